"""The latest digest of every audited row, as noted and as found: outside of memory, whatever their number.

Of tables whose rows change also the digest of each row's core, as it was noted first. A page of a file for every page
of owners that has any: whatever number somebody wrote into a row, or into an event, it costs a page.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import IO, Self

from gateway.ledger.archive import guarded_file
from gateway.ledger.audited import AUDITED, CORE, GONE, LENGTH, UNTOLD, Digest
from gateway.ledger.retold import TOLD_OF, Retelling

PAGE = 8_192  # owners
_NOTHING = bytes(PAGE * LENGTH)  # at least as many as of the longest run that is put at once


class Latest:
    """Two nameless files a table, mapped: of what was noted, and of what was found; two more for cores.

    Raises:
        DatabaseUnavailable: there is no room for the files.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._noted: dict[str, _Digests] = {}
        self._found: dict[str, _Digests] = {}
        self._cores: dict[str, _Digests] = {}
        self._cores_found: dict[str, _Digests] = {}

    def __enter__(self) -> Self:
        for name, audited in AUDITED.items():
            self._noted[name] = _Digests(self._stack, LENGTH)
            self._found[name] = _Digests(self._stack, LENGTH)
            if audited.core is not None:
                self._cores[name] = _Digests(self._stack, CORE)
                self._cores_found[name] = _Digests(self._stack, CORE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stack.close()

    def note(self, name: str, first: int, digests: bytes, cores: bytes = b"") -> Retelling | None:
        """The digests of a run of owners and of their cores, later than what was noted before.

        Returns:
            What of it is to be judged; None where nothing is.
        """
        noted = self._noted.get(name)
        if noted is None:
            return None
        before = noted.swap(first, digests)
        kept = self._cores.get(name)
        altered: list[int] = []
        again: list[int] = []
        gone: list[int] = []
        if not _NOTHING.startswith(before):
            if GONE in digests:
                gone = _newly_gone(first, before, digests, kept)
            if name == TOLD_OF:
                again = _others(first, before, digests)
            if kept is None:
                altered = _others(first, before, digests)
        if cores and kept is not None:
            told = kept.swap(first, cores)
            if told != cores and not _NOTHING.startswith(told):
                altered = _first_told(kept, first, told, cores)
        return Retelling(altered, again, gone) if altered or again or gone else None

    def found(self, name: str, first: int, digests: bytes, cores: bytes = b"") -> None:
        """The digests of a run of owners, and of their cores, as their rows are now."""
        self._found[name].swap(first, digests)
        if cores:
            self._cores_found[name].swap(first, cores)

    def pages(self, name: str) -> list[int]:
        """The pages of a table with anything in them, in their order: page n begins with owner n times ``PAGE``."""
        return sorted(self._noted[name].places.keys() | self._found[name].places.keys())

    def differing(self, name: str, page: int) -> Iterator[tuple[int, Digest]]:
        """Owners whose rows are not what was noted, and what was."""
        noted, found = self._noted[name].page(page), self._found[name].page(page)
        if noted == found:
            return
        for owner, (old, now) in enumerate(zip(_each(noted, LENGTH), _each(found, LENGTH), strict=True), page * PAGE):
            if old != now:
                yield owner, old

    def altered(self, name: str, page: int) -> Iterator[tuple[int, Digest]]:
        """Owners whose rows have another core than what was noted first, and that."""
        if name not in self._cores:
            return
        noted, found = self._cores[name].page(page), self._cores_found[name].page(page)
        if noted == found:
            return
        for owner, (old, now) in enumerate(zip(_each(noted, CORE), _each(found, CORE), strict=True), page * PAGE):
            if UNTOLD not in {old, now} and old != now:
                yield owner, old

    def count(self, name: str, page: int) -> int:
        """How many owners of a page have rows now."""
        found = self._found[name].page(page)
        if GONE not in found:
            return PAGE
        return PAGE - _each(found, LENGTH).count(GONE)


class _Digests:
    """Digests of one length by their owner's number; zeros where none was put."""

    def __init__(self, stack: ExitStack, length: int) -> None:
        self._length, self._size = length, PAGE * length
        file: IO[bytes] = stack.enter_context(guarded_file(None))
        file.truncate(self._size)
        self._map = mmap.mmap(file.fileno(), self._size)
        stack.callback(self._map.close)
        self.places: dict[int, int] = {}  # where in the file a page is

    def swap(self, first: int, digests: bytes) -> bytes:
        """Puts the digests of a run of owners; what was there before."""
        page, at = divmod(first, PAGE)
        start, at = self.places.get(page, -1), at * self._length
        if start < 0:
            start = self._new(page)
        if at + len(digests) > self._size:
            room = self._size - at
            return self.swap(first, digests[:room]) + self.swap((page + 1) * PAGE, digests[room:])
        start += at
        end = start + len(digests)
        before = self._map[start:end]
        self._map[start:end] = digests
        return before

    def page(self, page: int) -> bytes:
        start = self.places.get(page)
        return bytes(self._size) if start is None else self._map[start : start + self._size]

    def _new(self, page: int) -> int:
        start = len(self.places) * self._size
        if start == len(self._map):
            self._map.resize(2 * start)  # a file with holes: it takes what is written
        self.places[page] = start
        return start


def _newly_gone(first: int, before: bytes, fresh: bytes, kept: _Digests | None) -> list[int]:
    """The owners of a run who are gone now; whoever gets the number of such a row has a core of its own."""
    both = enumerate(zip(_each(before, LENGTH), _each(fresh, LENGTH), strict=True), first)
    gone = [owner for owner, (old, new) in both if new == GONE != old]
    if kept is not None:
        for owner in gone:
            kept.swap(owner, UNTOLD)
    return gone


def _first_told(kept: _Digests, first: int, before: bytes, cores: bytes) -> list[int]:
    """What is told first stays; the owners of a run of whom another core is told."""
    altered = []
    stays = bytearray()
    for owner, (old, new) in enumerate(zip(_each(before, CORE), _each(cores, CORE), strict=True), first):
        stays += new if old == UNTOLD else old
        if UNTOLD not in {old, new} and old != new:
            altered.append(owner)
    kept.swap(first, bytes(stays))
    return altered


def _others(first: int, before: bytes, fresh: bytes) -> list[int]:
    """The owners of a run of which there are other digests now than before, neither of them gone."""
    if len(before) == LENGTH:
        return [first] if before != fresh and before != GONE != fresh else []
    both = enumerate(zip(_each(before, LENGTH), _each(fresh, LENGTH), strict=True), first)
    return [owner for owner, (old, new) in both if old != new and old != GONE != new]


def _each(data: bytes, length: int) -> list[bytes]:
    return [data[at : at + length] for at in range(0, len(data), length)]
