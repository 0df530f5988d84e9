"""The files of the outbox: claimed before they are read, moved where they belong, given back; never over another one.

A file is taken by a rename into ``.submitting/MARK/`` beside it, under its own name, so that whoever renames another
one over its old place does not touch it. MARK is the newest event of the ledger at that moment: where a process died
on its way, whether it had come to its end is told by what the ledger knows since then. Directories are synced once for
a group of files.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

WORK_DIRECTORY = ".submitting"
SENT_DIRECTORY = ".submitted"
FAILED_DIRECTORY = ".refused"
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP}  # what a file system says that syncs no directories (some shares)


_LONGEST = 230  # bytes of a name, of the 255 that a file system has; the rest is for .12345 and .why.txt


class Claim(Struct, frozen=True):
    """A file that is being submitted. ``place``: the partner's directory."""

    file: Path
    place: Path

    @property
    def name(self) -> str:
        """How the business called it."""
        return spelt(self.file.name)

    @property
    def is_there(self) -> bool:
        """Whether it lies there still, be it a link that leads nowhere."""
        return os.path.lexists(self.file)

    def read(self) -> bytes:
        """What is in it; a link that is relative leads on from where it was put."""
        file = self.place / self.file.readlink() if self.file.is_symlink() else self.file
        return file.read_bytes()

    def room(self, directory: str) -> Path:
        """Where it can lie in a directory of the partner's; an equal name is numbered, never overwritten.

        A long name is cut, so that a number and the name of what is written beside it have room too.
        """
        _make(self.place / directory)
        stem, suffix = _cut(self.file.stem, _LONGEST - _bytes(self.file.suffix)), self.file.suffix
        target = self.place / directory / f"{stem}{suffix}"
        number = 1
        while target.exists():
            number += 1
            target = target.with_name(f"{stem}.{number}{suffix}")
        return target

    def move(self, directory: str) -> None:
        """Puts it among its siblings of the same fate; if it is gone, another process was quicker."""
        target = self.room(directory)
        with suppress(FileNotFoundError):
            self.file.replace(target)

    def give_back(self) -> None:
        """Puts it where it was, if nobody has put another one there and it can be; else it waits where it is."""
        before = self.place / self.file.name
        with suppress(OSError):
            with suppress(FileExistsError):
                before.hardlink_to(self.file)  # unlike a rename never over another file
            if before.samefile(self.file):
                self.file.unlink()


class Group(Struct, frozen=True):
    """Files that were claimed together. ``interrupted``: by a batch that did not come to its end."""

    directory: Path
    claims: tuple[Claim, ...]
    mark: int
    interrupted: bool = False

    def let_go(self) -> None:
        """Makes durable where its files went, and removes its directory if nothing is left in it.

        Raises:
            OSError: nobody knows whether they stay there.
        """
        place = self.directory.parent.parent
        _sync(place / SENT_DIRECTORY, place / FAILED_DIRECTORY, self.directory, place)
        with suppress(OSError):
            self.directory.rmdir()


def spelt(name: str | bytes | os.PathLike[str]) -> str:
    """A name or path as text; bytes that are no UTF-8 are spelt out, for not every database takes them."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def interrupted(place: Path) -> list[Group]:
    """What batches that did not come to their end left in work, the oldest first.

    Raises:
        OSError: a directory cannot be read.
    """
    work = place / WORK_DIRECTORY
    found = [each for each in work.iterdir() if _marks(each)] if work.is_dir() else []
    return [
        Group(each, tuple(Claim(file, place) for file in sorted(each.iterdir())), _marks(each)[0], interrupted=True)
        for each in sorted(found, key=_marks)
    ]


def claim(place: Path, files: Sequence[Path], mark: int) -> tuple[Group, list[tuple[Path, OSError]]]:
    """Takes files into work, durably; those that are gone meanwhile are left out.

    Args:
        place: the partner's directory.
        files: in it.
        mark: the number of the ledger's newest event.

    Returns:
        What was taken, and what could not be taken and why.

    Raises:
        OSError: nothing can be taken there; what was taken is found by ``interrupted``.
    """
    directory = _new_directory(place, mark)
    claims: list[Claim] = []
    refused: list[tuple[Path, OSError]] = []
    for file in files:
        try:
            file.open("rb").close()  # what we may not read stays where it can be seen
            target = directory / file.name
            file.rename(target)
        except FileNotFoundError:
            continue
        except OSError as problem:
            refused.append((file, problem))
        else:
            claims.append(Claim(target, place))
    _sync(directory, place)
    return Group(directory, tuple(claims), mark), refused


def is_document(file: Path) -> bool:
    """A finished file: writers are asked to write under a name that begins with a dot or ends in .tmp, and rename."""
    return file.is_file() and not file.name.startswith(".") and file.suffix.lower() not in {".tmp", ".part"}


def claimed(place: Path) -> int:
    """How many files are in work, or were left there."""
    return sum(not each.is_dir() for each in place.glob(f"{WORK_DIRECTORY}/*/*"))


def _new_directory(place: Path, mark: int) -> Path:
    """One that nobody else uses: in it no file can come to lie over another."""
    _make(place / WORK_DIRECTORY)
    number = 0
    while True:
        directory = place / WORK_DIRECTORY / (f"{mark}.{number}" if number else str(mark))
        try:
            directory.mkdir()
        except FileExistsError:
            number += 1
        else:
            _sync(directory.parent)
            return directory


def _marks(directory: Path) -> tuple[int, ...]:
    """The mark of a directory, and its number among those with the same; nothing where it is none of ours."""
    parts = directory.name.split(".")
    ours = len(parts) <= 2 and all(each.isascii() and each.isdigit() for each in parts)
    return tuple(map(int, parts)) if ours and directory.is_dir() else ()


def _make(directory: Path) -> None:
    if not directory.is_dir():
        directory.mkdir(exist_ok=True)
        _sync(directory.parent)


def _sync(*directories: Path) -> None:
    """Syncs those of them that are there."""
    for each in directories:
        if not each.is_dir():
            continue
        descriptor = os.open(each, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        except OSError as problem:
            if problem.errno not in _NO_SYNC:
                raise
        finally:
            os.close(descriptor)


def _bytes(text: str) -> int:
    return len(os.fsencode(text))


def _cut(stem: str, most: int) -> str:
    """A stem of at most so many bytes."""
    while _bytes(stem) > max(most, 1):
        stem = stem[:-1]
    return stem
