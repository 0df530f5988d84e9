"""How SQLite is asked for the rows of a table so that their digests can be made of its answer at once.

SQLite encodes a row itself, in a fraction of the time. It is asked for all columns once, with marks between those that
are of the core and those that are not: without the marks that is the whole row, and between them stands the core.

Nothing but Python's own library, so that a process that only does this begins at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any

from gateway.ledger.encoding import Digest, Encoding
from gateway.ledger.plain_json import compact

# Behind a quotation mark that ends a text never comes another one: no list of values holds these bytes.
MARK = b',{"":0}'
MARK_SQL = """json('{"":0}')"""

Pick = Callable[[Sequence[bytes]], Iterable[bytes]]
Found = tuple[list[Any], list[Digest], list[Digest]]
"""Owners in their order, the digest of each, and that of its core; no cores where the table has none."""
Digests = tuple[bytes, bytes]
"""Those of a run of owners one after the other, zeros where nothing is; and those of their cores."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Which parts of a row the core is made of. The last part is the bracket at the end."""

    pick: Pick
    direction: int | None  # which part it is, where other columns are of the core in one direction than in the other
    picks: Mapping[bytes, Pick]  # by direction, as it stands in its part
    nothing: tuple[bytes, ...]  # parts that stand for columns which are not of the core; they come after all others

    def apart(self, data: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
        """The whole rows, and the cores, of rows as SQLite encoded them with marks."""
        mark, join, pick, picks, direction = MARK, b"".join, self.pick, self.picks, self.direction
        every = [each.split(mark) for each in data]
        wholes = [join(parts) for parts in every]
        if direction is None:
            return wholes, [join(pick(parts)) for parts in every]
        if self.nothing:
            every = [[*parts, *self.nothing] for parts in every]
        return wholes, [join(picks.get(parts[direction], pick)(parts)) for parts in every]


@dataclass(frozen=True, slots=True)
class Asking:
    """What SQLite is asked of a table, and what becomes of the answer."""

    sql: str  # for owners and encoded rows, but for which
    order: str
    one_by_one: bool  # each row has a digest of its own
    whole: Encoding
    core: Encoding | None
    parts: Parts | None  # None: there is no core

    def digests(self, chunks: Iterable[Sequence[tuple[Any, bytes]]]) -> Iterator[Found]:
        """From the rows of the answer, in their order."""
        return (self._single(each) for each in chunks) if self.one_by_one else self._together(chunks)

    def _single(self, chunk: Sequence[tuple[Any, bytes]]) -> Found:
        owners = [owner for owner, _ in chunk]
        data = [each for _, each in chunk]
        if self.core is None or self.parts is None:
            return owners, self.whole.each_digest(data), []
        wholes, cores = self.parts.apart(data)
        return owners, self.whole.each_digest(wholes), self.core.each_digest(cores)

    def _together(self, chunks: Iterable[Sequence[tuple[Any, bytes]]]) -> Iterator[Found]:
        """Rows of one owner may go on in the next chunk."""
        owner: Any = None
        wholes: list[bytes] = []
        cores: list[bytes] = []
        for chunk in chunks:
            data = [each for _, each in chunk]
            some: list[bytes] = []
            if self.core is not None and self.parts is not None:
                data, some = self.parts.apart(data)
                some = self.core.cut(some)
            texts = self.whole.cut(data)
            found: Found = ([], [], [])
            for place, (number, _) in enumerate(chunk):
                if number != owner:
                    if wholes:
                        self._end(found, owner, wholes, cores)
                    owner = number
                    wholes.clear()
                    cores.clear()
                wholes.append(texts[place])
                if some:
                    cores.append(some[place])
            yield found
        if wholes:
            found = ([], [], [])
            self._end(found, owner, wholes, cores)
            yield found

    def _end(self, found: Found, owner: object, wholes: Sequence[bytes], cores: Sequence[bytes]) -> None:
        found[0].append(owner)
        found[1].append(self.whole.digest_together(wholes))
        if self.core is not None:
            found[2].append(self.core.digest_together(cores))


@cache
def agrees() -> bool:
    """Whether SQLite writes a value of each kind, each character that JSON has rules for, and marks as we do."""
    every = "".join(chr(code) for code in [*range(1, 0x100), 0x2028, 0x2029, 0xFEFF, 0xFFFD, 0xFFFF, 0x1F512, 0x10FFFF])
    values = [every, "", 0, -1, 2**63 - 1, -(2**63), None]
    marks = ", ".join("?" * len(values))
    marked = f"SELECT json_array(value, {MARK_SQL}) FROM json_each('[1,2]')"  # noqa: S608 - nothing from outside
    wanted = [(f"[{each}{MARK.decode()}]",) for each in (1, 2)]
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            same = connection.execute(f"SELECT json_array({marks})", values).fetchone()[0] == compact(values)
            return bool(same and connection.execute(marked).fetchall() == wanted)
        except sqlite3.Error:
            return False


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
