"""Where an archive is written: its name is reserved by an empty file, beside which it grows until it is whole.

Whoever writes holds a lock (flock) on the empty file, and renames over it what is whole. So no two gateways give one
name to two archives, and what a process that died left, raw bytes among it, is known and removed by the next one.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NAME = r"ledger-\d{1,4}-\d\d(?:-\d+)?\.db"
_RESERVED = re.compile(_NAME)
_PART = re.compile(rf"\.({_NAME})\.part(?:-wal|-shm|-journal)?")
_SUFFIXES = ("", "-wal", "-shm", "-journal")


@contextmanager
def reserved(directory: Path, month: str, known: Collection[str] = ()) -> Iterator[tuple[Path, Path]]:
    """The file to write into, and the name that it gets: ``ledger-2019-03.db``, or ``ledger-2019-03-2.db``.

    Nothing is left of either where the block ended before the file got its name.

    Args:
        directory: where the archive goes; it is made where it is missing.
        month: as 2019-03.
        known: names that are not given again, wherever the archives of these names are kept by now.

    Raises:
        OSError: with the reason.
    """
    directory.mkdir(parents=True, exist_ok=True)
    clear_abandoned(directory)
    target, lock = _reserve(directory, month, known)
    work = _work(target)
    try:
        _remove(work)
        os.close(os.open(work, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))  # nobody else reads it
        yield work, target
    finally:
        _remove(work)
        if _is_reservation(target, lock):
            target.unlink()
        os.close(lock)


def clear_abandoned(directory: Path) -> None:
    """Removes what processes that died left there unfinished; what is being written is left alone."""
    for name in sorted(each.name for each in directory.iterdir()):
        part = _PART.fullmatch(name)
        if part is not None or _RESERVED.fullmatch(name) is not None:
            with suppress(OSError):  # it is another's, or went by itself
                _clear(directory / (part[1] if part is not None else name))


def _clear(target: Path) -> None:
    try:
        lock = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        _remove(_work(target))
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # else somebody is writing it now
        _remove(_work(target))
        if _is_reservation(target, lock):
            target.unlink()
    finally:
        os.close(lock)


def _reserve(directory: Path, month: str, known: Collection[str]) -> tuple[Path, int]:
    """The first name that is free, taken, with the descriptor that holds its lock."""
    number = 1
    while True:
        target = directory / f"ledger-{month}{f'-{number}' if number > 1 else ''}.db"
        if target.name in known:
            number += 1
            continue
        try:
            lock = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            number += 1
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_reservation(target, lock):
            return target, lock
        os.close(lock)  # taken for abandoned before it was locked


def _is_reservation(target: Path, lock: int) -> bool:
    """Whether a name is still that of the empty file that a descriptor has open."""
    mine = os.fstat(lock)
    try:
        there = target.lstat()
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino, there.st_size) == (mine.st_dev, mine.st_ino, 0)


def _work(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


def _remove(work: Path) -> None:
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):
            Path(f"{work}{suffix}").unlink()
