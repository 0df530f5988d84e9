"""Watching for what calls for a batch before its time: one thread a watch, started again when it fails."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Mapping

from gateway.errors import GatewayError, unexpected

SHORTEST, LONGEST = 5.0, 900.0  # seconds between two attempts; they grow while attempts fail
FINAL = 300.0  # … and are at least this where trying again does not help by itself: accounts get locked
STEADY = 60.0  # an attempt that lasted this long was a good one
_END = 2.0  # seconds that a thread has to end

Attempt = Callable[[int], None]


class Watches:
    """Threads that watch. An attempt is given a file descriptor and watches until it can be read.

    Args:
        say: told of a fault, with the watch's name; once for as long as the same fault comes again.
        shortest: seconds between the first failure and the next attempt.
    """

    def __init__(self, say: Callable[[str, GatewayError], None], *, shortest: float = SHORTEST) -> None:
        self._say = say
        self._shortest = shortest
        self._running: dict[str, _Watch] = {}

    def keep(self, wanted: Mapping[str, Attempt]) -> None:
        """Starts what is wanted and does not run; ends what runs and is not wanted any more."""
        for name in self._running.keys() - wanted.keys():
            self._running.pop(name).end()
        for name, attempt in wanted.items():
            if name not in self._running:
                self._running[name] = _Watch(name, attempt, self._say, self._shortest)

    def close(self) -> None:
        """Ends all; a thread that hangs in an answer of its server does not hold us up."""
        self.keep({})


class _Watch:
    """One thread and the pipe that interrupts it."""

    def __init__(self, name: str, attempt: Attempt, say: Callable[[str, GatewayError], None], shortest: float) -> None:
        self._name = name
        self._attempt = attempt
        self._say = say
        self._shortest = shortest
        self._reading, self._writing = os.pipe()
        # A daemon: it holds nothing that a sudden end could harm.
        self._thread = threading.Thread(target=self._run, name=f"watch {name}", daemon=True)
        self._thread.start()

    def end(self) -> None:
        os.write(self._writing, b".")
        self._thread.join(_END)
        if not self._thread.is_alive():
            os.close(self._reading)
            os.close(self._writing)

    def _run(self) -> None:
        pause, told = self._shortest, ""
        while not self._is_over(0):
            began = time.monotonic()
            fault = self._try()
            if time.monotonic() - began > STEADY:
                pause, told = self._shortest, ""
            if fault is not None:
                if str(fault) != told and not self._is_over(0):
                    self._say(self._name, fault)
                    told = str(fault)
                pause = max(pause, FINAL) if fault.permanent else pause
            if self._is_over(pause):
                return
            pause = min(2 * pause, LONGEST)

    def _try(self) -> GatewayError | None:
        try:
            self._attempt(self._reading)
        except GatewayError as fault:
            return fault
        except Exception as problem:  # noqa: BLE001 - a watch goes on
            return unexpected(f"watching {self._name}", problem)
        return None

    def _is_over(self, seconds: float) -> bool:
        """Whether we are to end, within so many seconds."""
        with contextlib.suppress(OSError, ValueError):
            return bool(select.select([self._reading], [], [], seconds)[0])
        return True
