"""The files of a backup: written under a name that looks unfinished, synced, and renamed when everything is there.

A process that dies leaves a directory whose name begins with a dot and ends in ``.unfinished``. While it lives it holds
a lock on it (flock), so that the next backup can tell what was abandoned, and removes it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

from gateway.errors import BackupExists

_CHUNK = 1 << 22  # bytes
_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8}\.unfinished")
MEGABYTE = 1_000_000


class Watcher(Protocol):
    """Who wants to see how far it is; what it raises ends the work."""

    def step(self, name: str, total: int = 0) -> None:
        """Something begins; ``total`` megabytes, tables …, 0 where it cannot be known."""

    def advance(self, amount: int = 1) -> None:
        """Some of it is done."""


class Nobody:
    """A watcher that does not look."""

    def step(self, name: str, total: int = 0) -> None:
        """Nothing."""

    def advance(self, amount: int = 1) -> None:
        """Nothing."""


class Meter:
    """Tells a watcher of bytes in whole megabytes."""

    def __init__(self, watcher: Watcher, step: str, total: int) -> None:
        self._watcher = watcher
        self._bytes = 0
        self._said = 0
        watcher.step(step, -(-total // MEGABYTE))

    def add(self, count: int) -> None:
        """So many bytes more."""
        self.reach(self._bytes + count)

    def reach(self, count: int) -> None:
        """So many bytes altogether."""
        self._bytes = count
        whole = count // MEGABYTE
        self._watcher.advance(whole - self._said)
        self._said = whole


@contextmanager
def unfinished(target: Path) -> Iterator[Path]:
    """A new directory beside ``target``, in which it is made; it is gone if the block raises.

    Raises:
        OSError: none can be made there.
    """
    clear_abandoned(target.parent)
    place = target.with_name(f".{target.name}.{secrets.token_hex(4)}.unfinished")
    place.mkdir(mode=0o700)
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield place
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    finally:
        os.close(descriptor)


def clear_abandoned(directory: Path) -> None:
    """Removes what processes that died left there unfinished."""
    for place in directory.iterdir() if directory.is_dir() else ():
        if _UNFINISHED.fullmatch(place.name) is None or not place.is_dir():
            continue
        with suppress(OSError):
            descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # else somebody is writing it now
                shutil.rmtree(place, ignore_errors=True)
            finally:
                os.close(descriptor)


def finish(place: Path, target: Path, *, overwrite: bool = False) -> None:
    """The directory gets its real name, durably. An earlier one of that name goes only with ``overwrite``.

    Raises:
        BackupExists: there is something of that name.
        OSError: with the reason.
    """
    for directory in sorted(each for each in place.rglob("*") if each.is_dir()):
        sync(directory)
    sync(place)
    earlier = target.with_name(f".{target.name}.{secrets.token_hex(4)}.unfinished")
    if os.path.lexists(target):
        if not overwrite:
            raise BackupExists(path=target)
        target.rename(earlier)
    place.rename(target)
    sync(target.parent)
    remove(earlier)


def remove(backup: Path) -> None:
    """Removes a backup: first its name, so that half of it never looks like a whole one."""
    if not os.path.lexists(backup):
        return
    going = backup
    if _UNFINISHED.fullmatch(backup.name) is None:
        going = backup.with_name(f".{backup.name}.{secrets.token_hex(4)}.unfinished")
        backup.rename(going)
    if going.is_dir() and not going.is_symlink():
        shutil.rmtree(going)
    else:
        going.unlink()


def sync(path: Path) -> None:
    """What was written to a file or directory is on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def written(path: Path) -> Iterator[IO[bytes]]:
    """A new file that only its owner may read; durable at the end of the block."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def copy(source: Path, target: Path, said: Callable[[int], None] = lambda _: None) -> tuple[int, str]:
    """Copies a file; durable when this returns. Gives its size and its SHA-256 in hexadecimal.

    Raises:
        OSError: with the reason; also where ``source`` is no regular file.
    """
    hashed, size = hashlib.sha256(), 0
    with regular(source) as file, written(target) as out:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
            out.write(chunk)
            size += len(chunk)
            said(len(chunk))
    return size, hashed.hexdigest()


def hashed(path: Path, said: Callable[[int], None] = lambda _: None) -> tuple[int, str]:
    """The size and the SHA-256 of a file, as the disk gives it (and not what memory remembers of it).

    Raises:
        OSError: it cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    with regular(path) as file:
        with suppress(OSError):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            said(len(chunk))
    return size, digest.hexdigest()


@contextmanager
def regular(path: Path) -> Iterator[IO[bytes]]:
    """A file for reading; neither a link, nor a pipe that would never end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is no regular file", str(path))
        yield file
