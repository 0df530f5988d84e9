"""How SQLite is asked for the rows of a table so that their digests can be made of its answer at once.

SQLite encodes a row itself, in a fraction of the time, and its core beside it: each without the defaults at its end, so
that nothing is left to do but to hash (see ``audited``).

Nothing but Python's own library, so that a process that only does this begins at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any

from gateway.ledger.encoding import Digest, Encoding
from gateway.ledger.plain_json import compact

Answered = Sequence[tuple[Any, ...]]
"""Some rows of the answer: the owner, the whole row, and its core where the table has one, encoded."""
Found = tuple[list[Any], list[Digest], list[Digest]]
"""Owners in their order, the digest of each, and that of its core; no cores where the table has none."""
Digests = tuple[bytes, bytes]
"""Those of a run of owners one after the other, zeros where nothing is; and those of their cores."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What SQLite is asked of a table, and what becomes of the answer."""

    sql: str  # for owners and encoded rows, but for which
    order: str
    one_by_one: bool  # each row has a digest of its own
    whole: Encoding
    core: Encoding | None  # None: there is no core

    def digests(self, chunks: Iterable[Answered]) -> Iterator[Found]:
        """From the rows of the answer, in their order."""
        return (self._single(each) for each in (chunks if self.one_by_one else _whole_owners(chunks)))

    def _single(self, rows: Answered) -> Found:
        owners, wholes, *cores = zip(*rows, strict=True)
        if not self.one_by_one and len(set(owners)) < len(owners):
            return self._together(owners, wholes, *cores)
        return list(owners), self.whole.each_digest(wholes), self.core.each_digest(cores[0]) if self.core else []

    def _together(self, owners: Sequence[Any], wholes: Sequence[bytes], cores: Sequence[bytes] = ()) -> Found:
        """Where some owner has several rows."""
        of_wholes = _by_owner(owners, wholes)
        of_cores = _by_owner(owners, cores).values() if self.core else ()
        return (
            list(of_wholes),
            [self.whole.digest_together(each) for each in of_wholes.values()],
            [self.core.digest_together(each) for each in of_cores] if self.core else [],
        )


def _by_owner(owners: Sequence[Any], rows: Sequence[bytes]) -> dict[Any, list[bytes]]:
    found: dict[Any, list[bytes]] = {}
    for owner, row in zip(owners, rows, strict=True):
        if owner in found:
            found[owner].append(row)
        else:
            found[owner] = [row]
    return found


def _whole_owners(chunks: Iterable[Answered]) -> Iterator[Answered]:
    """The same rows, cut where an owner ends."""
    waiting: list[tuple[Any, ...]] = []
    for chunk in chunks:
        waiting += chunk
        last, end = waiting[-1][0], len(waiting)
        if waiting[0][0] == last:
            continue
        while waiting[end - 1][0] == last:
            end -= 1
        yield waiting[:end]
        waiting = waiting[end:]
    if waiting:
        yield waiting


@cache
def agrees() -> bool:
    """Whether SQLite writes a value of each kind, and each character that JSON has rules for, as we do."""
    every = "".join(chr(code) for code in [*range(1, 0x100), 0x2028, 0x2029, 0xFEFF, 0xFFFD, 0xFFFF, 0x1F512, 0x10FFFF])
    values = [every, "", 0, -1, 2**63 - 1, -(2**63), None]
    marks = ", ".join("?" * len(values))
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            found: str = connection.execute(f"SELECT json_array({marks})", values).fetchone()[0]
        except sqlite3.Error:
            return False
        return found == compact(values)


def digests_of(found: Iterable[Found], asking: Asking, first: int, last: int) -> Digests:
    """What was found of owners ``first`` to ``last``, put together."""
    owners: list[Any] = []
    wholes: list[Digest] = []
    cores: list[Digest] = []
    for some, of_rows, of_cores in found:
        owners += some
        wholes += of_rows
        cores += of_cores
    core = asking.core
    return _placed(owners, wholes, asking.whole.length, first, last), (
        b"" if core is None else _placed(owners, cores, core.length, first, last)
    )


def _placed(owners: Sequence[Any], digests: Sequence[Digest], length: int, first: int, last: int) -> bytes:
    """Digests of that length one after the other, those of owner ``first`` to owner ``last``; zeros where none is."""
    count = last + 1 - first
    if len(owners) == count and owners[0] == first and owners[-1] == last and set(map(type, owners)) == {int}:
        return b"".join(digests)
    every = [bytes(length)] * count
    for owner, digest in zip(owners, digests, strict=True):
        if isinstance(owner, int):  # SQLite keeps a fraction too (see ``strays``)
            every[owner - first] = digest
    return b"".join(every)
