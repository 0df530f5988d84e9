"""The latest digest of every audited row, as noted and as found: outside of memory, whatever their number."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import IO, Self

from sqlalchemy import Connection, func, select

from gateway.ledger.archive import guarded_file
from gateway.ledger.prints import AUDITED, GONE, LENGTH, Digest

_BEYOND = 10_000  # owners past the last row that are remembered one by one


class Latest:
    """Two nameless files a table, mapped: the digest of owner n stands at n times its length.

    Args:
        connection: to see how many rows there are.

    Raises:
        DatabaseUnavailable: there is no room for the files.
    """

    def __init__(self, connection: Connection) -> None:
        self._stack = ExitStack()
        self._maps: dict[str, mmap.mmap] = {}
        self._now: dict[str, mmap.mmap] = {}
        self._tops: dict[str, int] = {}
        self._past: dict[str, dict[int, bytes]] = {name: {} for name in AUDITED}
        for name, audited in AUDITED.items():
            owner = audited.table.c[audited.owner]
            self._tops[name] = int(connection.execute(select(func.max(owner))).scalar() or 0)

    def __enter__(self) -> Self:
        for name, top in self._tops.items():
            self._maps[name] = self._mapped(top)
            self._now[name] = self._mapped(top)
        return self

    def _mapped(self, top: int) -> mmap.mmap:
        file: IO[bytes] = self._stack.enter_context(guarded_file(None))
        file.truncate((top + 1) * LENGTH)  # a file with holes: it takes what is written
        made = mmap.mmap(file.fileno(), (top + 1) * LENGTH)
        self._stack.callback(made.close)
        return made

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stack.close()

    def note(self, name: str, first: int, digests: bytes) -> None:
        """The digests of a run of owners, later than what was noted before."""
        top = self._tops.get(name)
        if top is None or first < 0:
            return
        inside = max(0, min(top + 1 - first, len(digests) // LENGTH))
        self._maps[name][first * LENGTH : (first + inside) * LENGTH] = digests[: inside * LENGTH]
        for at in range(inside * LENGTH, len(digests), LENGTH):
            past = self._past[name]
            if len(past) < _BEYOND or first + at // LENGTH in past:
                past[first + at // LENGTH] = digests[at : at + LENGTH]

    def found(self, name: str, first: int, digests: bytes) -> None:
        """The digests of a run of owners as their rows are now."""
        self._now[name][first * LENGTH : first * LENGTH + len(digests)] = digests

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

    def count(self, name: str, first: int, last: int) -> int:
        """How many of these owners have rows now."""
        found = self._now[name][first * LENGTH : (last + 1) * LENGTH]
        if GONE not in found:
            return len(found) // LENGTH
        return sum(found[at : at + LENGTH] != GONE for at in range(0, len(found), LENGTH))

    def beyond(self, name: str) -> Iterator[int]:
        """Owners past the last row that should be there."""
        return (owner for owner, digest in sorted(self._past[name].items()) if digest != GONE)
