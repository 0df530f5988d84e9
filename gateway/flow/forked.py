"""A process of one batch beside the first: a fork without exec, so that it starts at once and keeps the home's lock.

It never touches what the parent has open (database connections, the progress bar's thread), and leaves by ``os._exit``.
"""

from __future__ import annotations

import gc
import os
import signal
import warnings
from collections.abc import Callable, Sequence

from sqlalchemy import Engine


def forked(work: Callable[[], int], engine: Engine, closing: Sequence[int]) -> int:
    """Begins a process that does ``work`` and ends with the exit status that it returns.

    An interrupt from the keyboard and a request to end are the parent's to decide on; its end closes the pipes.

    Args:
        work: what it does; whatever it raises ends it with status 1.
        engine: the ledger's; the child opens connections of its own.
        closing: descriptors that are the parent's alone.

    Returns:
        The process id, in the parent; the child never returns.
    """
    with warnings.catch_warnings():
        # Python warns of locks that other threads hold; the child uses nothing that the progress bar locks.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        for each in closing:
            os.close(each)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # else it only says that no more is to be begun
        gc.freeze()  # a collection would touch, and so copy, every page that both share
        engine.dispose(close=False)  # the parent's connections are the parent's
        status = work()
    finally:
        os._exit(status)


def ended(pid: int) -> str:
    """Waits for a process to end; how it died, or "" where it did not."""
    _, status = os.waitpid(pid, 0)
    if not status:
        return ""
    code = os.waitstatus_to_exitcode(status)
    return f"signal {-code}" if code < 0 else f"exit code {code}"
