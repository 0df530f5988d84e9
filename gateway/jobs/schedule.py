"""When the next batch runs, and a wait that a signal ends."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import FrameType


def next_run(now: datetime, interval: timedelta, last: datetime | None) -> datetime:
    """When the next batch is due, given when the last one began; both with a time zone.

    A missed batch runs at once, and only once: there is nothing to catch up with, since a batch takes all that
    waits. When the clock was set back, the next batch is never further away than one interval.
    """
    if last is None:
        return now
    return min(max(last + interval, now), now + interval)


CALM = 1.0  # seconds between a call and the batch it calls for: a burst of mail is taken together


class Pacer:
    """Waits between batches. ``stop`` ends the wait at once; a batch that is running is finished first.

    ``call`` asks for a batch before its time.

    The wait is a select on a pipe of our own, because a signal handler may write to a pipe at any moment, but
    may deadlock on a lock (``threading.Event``) that the interrupted code holds.
    """

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        self._stopped = False
        self._called = False
        self._bells: list[int] = []

    @property
    def stopped(self) -> bool:
        """Whether somebody asked to stop."""
        return self._stopped

    def stop(self) -> None:
        """Ends the present and every later wait. Safe in signal handlers and other threads."""
        if not self._stopped:
            self._stopped = True
            self._ring()

    def call(self) -> None:
        """Shortens the present wait, or else the next one, to ``CALM``. Safe in other threads."""
        if not self._called:
            self._called = True
            self._ring()

    def hear(self, descriptor: int) -> None:
        """From now on whatever can be read from that descriptor is a call; nobody else reads from it."""
        self._bells.append(descriptor)

    def wait(self, seconds: float) -> bool:
        """Waits, by the monotonic clock; True when the time is up or we are called, False once we are to stop."""
        until = time.monotonic() + max(seconds, 0.0)
        while not self._stopped:
            if self._called:
                self._called = False
                until = min(until, time.monotonic() + CALM)
            rest = until - time.monotonic()
            if rest <= 0:
                return True
            heard, _, _ = select.select([self._reading, *self._bells], [], [], rest)
            for each in heard:
                self._called = self._called or each != self._reading
                _drain(each)
        return False

    def runs(self, interval: timedelta, now: Callable[[], datetime]) -> Iterator[datetime]:
        """Gives the moment of every batch when it is due, the first at once, until we are to stop."""
        last: datetime | None = None
        while self.wait((next_run(now(), interval, last) - now()).total_seconds()):
            last = now()
            yield last

    @contextmanager
    def signals(self, *numbers: int) -> Iterator[None]:
        """While the block runs, these signals (SIGTERM and SIGINT by default) stop us instead of killing us."""
        wanted = numbers or (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self._signalled) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def close(self) -> None:
        """Lets go of the pipe."""
        os.close(self._reading)
        os.close(self._writing)

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full: whoever waits is woken anyway
            os.write(self._writing, b".")

    def _signalled(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - Python's signature
        self.stop()


def _drain(descriptor: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(descriptor, 4_096)
