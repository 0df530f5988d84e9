"""Asking the service of a home for a batch at once: a named pipe that only a running service holds open.

A pipe cannot lie: whether somebody listens is asked of the kernel, so that there is no number of a process that another
one may have by now, and nothing to clean up after a power cut.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FILE_NAME = ".bell"


@contextmanager
def listening(home: Path) -> Iterator[int | None]:
    """While the block runs, ``ring`` is heard: the descriptor can be read then.

    Gives None where the directory can hold no named pipe (some network file systems), or another thing has the name.
    """
    path = home / FILE_NAME
    try:
        with suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        # For writing too: otherwise the pipe counts as ended, and stays readable, once the first caller has closed it.
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        yield None
        return
    try:
        yield descriptor if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else None
    finally:
        os.close(descriptor)


def ring(home: Path) -> bool:
    """Asks for a batch at once; false where nobody listens. Asked again before it begins, it is one batch."""
    descriptor = _opened(home)
    if descriptor is None:
        return False
    try:
        with suppress(BlockingIOError):  # full: it was asked for many times already
            os.write(descriptor, b".")
    except OSError:  # whoever listened ended just now
        return False
    finally:
        os.close(descriptor)
    return True


def is_heard(home: Path) -> bool:
    """Whether a service of this home runs on this machine."""
    descriptor = _opened(home)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is not None


def _opened(home: Path) -> int | None:
    """The pipe for writing; None where nobody holds the other end."""
    try:
        descriptor = os.open(home / FILE_NAME, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None
