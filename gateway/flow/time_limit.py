"""A bound on the processor time that one message may take, whatever a stranger found to make a parser slow.

Every parser here is linear by design and tested so; this is for what nobody thought of.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from msgspec import Struct

from gateway.errors import MessageTooSlow

_CLOCK = signal.ITIMER_VIRTUAL
_AGAIN = 1.0  # seconds after which it is said again, where the first time was lost in a callback
_IDLE = 10  # looks at nothing after which the watcher ends


class _TimeIsUp(BaseException):  # no Exception: nothing that forgives a damaged part may forgive this
    """Never leaves this module."""


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Lets a block take so many seconds of processor time. Waiting (for the DNS) costs none.

    In the main thread the time of the whole process counts, in another one that of the thread.

    Raises:
        MessageTooSlow: it took more, and was stopped where it was.
    """
    main = threading.current_thread() is threading.main_thread()
    stop = _alarm.watch(seconds) if main else _watcher.watch(seconds)
    try:
        try:
            yield
        finally:
            stop()
    except _TimeIsUp:
        stop()  # it may have been said just as we were about to
        raise MessageTooSlow(limit=seconds) from None


class _Alarm:
    """The timer of the main thread. Its handler stays: to put back the one before takes longer than the timer."""

    def __init__(self) -> None:
        self._listens = False
        self._runs = False

    def watch(self, seconds: int) -> Callable[[], None]:
        """Watches the main thread until what is given back is called."""
        if not self._listens:
            signal.signal(signal.SIGVTALRM, self._say)
            self._listens = True
        self._runs = True
        signal.setitimer(_CLOCK, seconds, _AGAIN)
        return self._stop

    def _stop(self) -> None:
        signal.setitimer(_CLOCK, 0)
        self._runs = False

    def _say(self, *_: object) -> None:
        if self._runs:  # else another thread took the signal at the last moment
            raise _TimeIsUp


class _Block(Struct, eq=False):
    """A block that runs: in which thread, by which clock, and until when."""

    thread: int
    clock: int
    until: float


class _Watcher:
    """Signals reach the main thread only: the others are watched by one thread, that looks again and again.

    A thread for each block, or to wake one, would cost more than what most mails take.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Knows of nothing: a process that was forked has only one thread."""
        self._lock = threading.Lock()
        self._blocks: set[_Block] = set()
        self._thread: threading.Thread | None = None

    def watch(self, seconds: int) -> Callable[[], None]:
        """Watches this thread until what is given back is called."""
        thread = threading.get_ident()
        clock = time.pthread_getcpuclockid(thread)
        block = _Block(thread, clock, time.clock_gettime(clock) + seconds)
        with self._lock:
            self._blocks.add(block)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="time limit", daemon=True)
                self._thread.start()

        def stop() -> None:
            with self._lock:
                self._blocks.discard(block)
            _raise_in(thread, None)  # what was said at the last moment is taken back

        return stop

    def _run(self) -> None:
        idle = 0
        while idle < _IDLE:
            time.sleep(_AGAIN)
            with self._lock:
                for each in self._blocks:
                    if time.clock_gettime(each.clock) >= each.until:
                        _raise_in(each.thread, _TimeIsUp)
                idle = 0 if self._blocks else idle + 1
                if idle == _IDLE:
                    self._thread = None


def _raise_in(thread: int, what: type[BaseException] | None) -> None:
    given = ctypes.py_object(what) if what is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), given)


_alarm = _Alarm()
_watcher = _Watcher()
os.register_at_fork(after_in_child=_watcher.begin)
