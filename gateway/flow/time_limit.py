"""A bound on the processor time that one message may take, whatever a stranger found to make a parser slow.

Every parser here is linear by design and tested so; this is for what nobody thought of.
"""

from __future__ import annotations

import ctypes
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from gateway.errors import MessageTooSlow

_AGAIN = 1.0  # seconds after which it is said again, where the first time was lost in a callback


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
    stop = _by_signal(seconds) if main else _by_watcher(seconds)
    try:
        try:
            yield
        finally:
            stop()
    except _TimeIsUp:
        raise MessageTooSlow(limit=seconds) from None


def _by_signal(seconds: int) -> Callable[[], None]:
    before = signal.signal(signal.SIGVTALRM, _say)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, _AGAIN)

    def stop() -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)

    return stop


def _say(*_: object) -> NoReturn:
    raise _TimeIsUp


def _by_watcher(seconds: int) -> Callable[[], None]:
    """Signals reach the main thread only: another one is watched by a thread of its own."""
    watched = threading.get_ident()
    clock = time.pthread_getcpuclockid(watched)
    until = time.clock_gettime(clock) + seconds
    over = threading.Event()

    def watch() -> None:
        left = float(seconds)
        while not over.wait(max(left, _AGAIN)):
            left = until - time.clock_gettime(clock)
            if left <= 0:
                _raise_in(watched, _TimeIsUp)

    watcher = threading.Thread(target=watch, name="time limit", daemon=True)
    watcher.start()

    def stop() -> None:
        over.set()
        watcher.join()
        _raise_in(watched, None)  # what was said at the last moment is taken back

    return stop


def _raise_in(thread: int, what: type[BaseException] | None) -> None:
    given = ctypes.py_object(what) if what is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), given)
