"""The latest digest of every audited row, for a verification in full: outside of memory, whatever their number."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import IO, Self

from sqlalchemy import Connection, func, select

from gateway.ledger.archive import guarded_file
from gateway.ledger.prints import AUDITED, GONE, LENGTH

_BEYOND = 10_000  # owners past the last row that are remembered one by one


class Latest:
    """One nameless file a table, mapped: the digest of owner n stands at n times its length.

    Args:
        connection: to see how many rows there are.

    Raises:
        DatabaseUnavailable: there is no room for the files.
    """

    def __init__(self, connection: Connection) -> None:
        self._stack = ExitStack()
        self._maps: dict[str, mmap.mmap] = {}
        self._tops: dict[str, int] = {}
        self._past: dict[str, dict[int, bytes]] = {name: {} for name in AUDITED}
        for name, audited in AUDITED.items():
            owner = audited.table.c[audited.owner]
            self._tops[name] = int(connection.execute(select(func.max(owner))).scalar() or 0)

    def __enter__(self) -> Self:
        for name, top in self._tops.items():
            file: IO[bytes] = self._stack.enter_context(guarded_file(None))
            file.truncate((top + 1) * LENGTH)  # a file with holes: it takes what is written
            self._maps[name] = mmap.mmap(file.fileno(), (top + 1) * LENGTH)
            self._stack.callback(self._maps[name].close)
        return self

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

    def top(self, name: str) -> int:
        """The highest owner that there is room for."""
        return self._tops[name]

    def between(self, name: str, first: int, last: int) -> bytes:
        """The digests of owners ``first`` to ``last``, one after the other."""
        return self._maps[name][first * LENGTH : (last + 1) * LENGTH]

    def beyond(self, name: str) -> Iterator[int]:
        """Owners past the last row that should be there."""
        return (owner for owner, digest in sorted(self._past[name].items()) if digest != GONE)
