"""The latest digest of every audited row, as noted and as found: outside of memory, whatever their number.

Of tables whose rows change also the digest of each row's core, as it was noted first.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import IO, Self

from sqlalchemy import Connection, func, select

from gateway.ledger.archive import guarded_file
from gateway.ledger.audited import AUDITED, CORE, GONE, LENGTH, UNTOLD, Digest
from gateway.ledger.retold import TOLD_OF, Retelling

_BEYOND = 10_000  # owners past the last row that are remembered one by one


class Latest:
    """Two nameless files a table, mapped: the digest of owner n stands at n times its length; two more for cores.

    Args:
        connection: to see how many rows there are.

    Raises:
        DatabaseUnavailable: there is no room for the files.
    """

    def __init__(self, connection: Connection) -> None:
        self._stack = ExitStack()
        self._maps: dict[str, mmap.mmap] = {}
        self._now: dict[str, mmap.mmap] = {}
        self._cores: dict[str, mmap.mmap] = {}
        self._cores_now: dict[str, mmap.mmap] = {}
        self._tops: dict[str, int] = {}
        self._past: dict[str, dict[int, bytes]] = {name: {} for name in AUDITED}
        for name, audited in AUDITED.items():
            owner = audited.table.c[audited.owner]
            self._tops[name] = int(connection.execute(select(func.max(owner))).scalar() or 0)

    def __enter__(self) -> Self:
        for name, top in self._tops.items():
            self._maps[name] = self._mapped(top, LENGTH)
            self._now[name] = self._mapped(top, LENGTH)
            if AUDITED[name].core is not None:
                self._cores[name] = self._mapped(top, CORE)
                self._cores_now[name] = self._mapped(top, CORE)
        return self

    def _mapped(self, top: int, length: int) -> mmap.mmap:
        file: IO[bytes] = self._stack.enter_context(guarded_file(None))
        file.truncate((top + 1) * length)  # a file with holes: it takes what is written
        made = mmap.mmap(file.fileno(), (top + 1) * length)
        self._stack.callback(made.close)
        return made

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stack.close()

    def note(self, name: str, first: int, digests: bytes, cores: bytes = b"") -> Retelling:
        """The digests of a run of owners and of their cores, later than what was noted before."""
        found = Retelling()
        top = self._tops.get(name)
        if top is None or first < 0:
            return found
        inside = max(0, min(top + 1 - first, len(digests) // LENGTH))
        start, stop = first * LENGTH, (first + inside) * LENGTH
        fresh = digests[: inside * LENGTH]
        before = self._maps[name][start:stop]
        self._maps[name][start:stop] = fresh
        if GONE in fresh:
            self._note_gone(name, first, before, fresh, found)
        if name == TOLD_OF and before != bytes(len(before)):
            found.again = _others(first, before, fresh)
        if name in self._cores:
            if cores:
                self._note_cores(name, first, cores[: inside * CORE], found)
        elif before not in (fresh, bytes(len(fresh))):
            found.altered = _others(first, before, fresh)
        past = self._past[name]
        for owner, digest in enumerate(_each(digests[inside * LENGTH :], LENGTH), first + inside):
            if digest == GONE and (past[owner] != GONE if owner in past else len(past) >= _BEYOND):
                found.gone.append(owner)
            if len(past) < _BEYOND or owner in past:
                past[owner] = digest
        return found

    def _note_gone(self, name: str, first: int, before: bytes, fresh: bytes, found: Retelling) -> None:
        """Whoever gets the number of a row that is gone has a core of its own."""
        for owner, (old, new) in enumerate(zip(_each(before, LENGTH), _each(fresh, LENGTH), strict=True), first):
            if new == GONE != old:
                found.gone.append(owner)
                if name in self._cores:
                    self._cores[name][owner * CORE : (owner + 1) * CORE] = UNTOLD

    def _note_cores(self, name: str, first: int, cores: bytes, found: Retelling) -> None:
        """What is told first stays."""
        kept = self._cores[name]
        at = first * CORE
        before = kept[at : at + len(cores)]
        if before == cores:
            return
        if before == bytes(len(cores)):
            kept[at : at + len(cores)] = cores
            return
        for owner, (old, new) in enumerate(zip(_each(before, CORE), _each(cores, CORE), strict=True), first):
            if old == UNTOLD:
                kept[owner * CORE : (owner + 1) * CORE] = new
            elif UNTOLD != new != old:
                found.altered.append(owner)

    def found(self, name: str, first: int, digests: bytes, cores: bytes = b"") -> None:
        """The digests of a run of owners, and of their cores, as their rows are now."""
        self._now[name][first * LENGTH : first * LENGTH + len(digests)] = digests
        if cores:
            self._cores_now[name][first * CORE : first * CORE + len(cores)] = cores

    @property
    def tops(self) -> dict[str, int]:
        """The highest owner of each table that there is a row of."""
        return dict(self._tops)

    def differing(self, name: str, first: int, last: int) -> Iterator[tuple[int, Digest, Digest]]:
        """Owners whose rows are not what was noted: (owner, noted, found)."""
        start, stop = first * LENGTH, (last + 1) * LENGTH
        noted, found = self._maps[name][start:stop], self._now[name][start:stop]
        if noted == found:
            return
        for owner in range(first, last + 1):
            at = (owner - first) * LENGTH
            if noted[at : at + LENGTH] != found[at : at + LENGTH]:
                yield owner, noted[at : at + LENGTH], found[at : at + LENGTH]

    def altered(self, name: str, first: int, last: int) -> Iterator[tuple[int, Digest]]:
        """Owners whose rows have another core than what was noted first, and that."""
        if name not in self._cores:
            return
        start, stop = first * CORE, (last + 1) * CORE
        noted, found = self._cores[name][start:stop], self._cores_now[name][start:stop]
        if noted == found:
            return
        for owner, (old, now) in enumerate(zip(_each(noted, CORE), _each(found, CORE), strict=True), first):
            if UNTOLD not in {old, now} and old != now:
                yield owner, old

    def count(self, name: str, first: int, last: int) -> int:
        """How many of these owners have rows now."""
        found = self._now[name][first * LENGTH : (last + 1) * LENGTH]
        if GONE not in found:
            return len(found) // LENGTH
        return sum(found[at : at + LENGTH] != GONE for at in range(0, len(found), LENGTH))

    def beyond(self, name: str) -> Iterator[int]:
        """Owners past the last row that should be there."""
        return (owner for owner, digest in sorted(self._past[name].items()) if digest != GONE)


def _others(first: int, before: bytes, fresh: bytes) -> list[int]:
    """The owners of a run of which there are other digests now than before, neither of them gone."""
    both = zip(_each(before, LENGTH), _each(fresh, LENGTH), strict=True)
    return [owner for owner, (old, new) in enumerate(both, first) if old != new and GONE not in {old, new}]


def _each(data: bytes, length: int) -> Iterator[bytes]:
    return (data[at : at + length] for at in range(0, len(data), length))
