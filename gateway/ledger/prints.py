"""Digests of rows: what makes a change of any row show, although rows of the ledger do change.

Each transaction ends with an event of kind ``recorded`` that holds a digest of every audited row which it inserted or
changed, as the row was when the transaction ended; a row that was removed in order has the digest of zeros. The
current row must agree with its latest digest, and events cannot be changed (see ``tree``).

A digest is made of the values in the order of the table's columns, without the defaults at the end: a column that a
later version adds at the end leaves it as it is, and no column ever changes its place. Rows without a number of their
own are digested together, for their owner.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from gateway.ledger import bulk, tables
from gateway.ledger.plain_json import compact, compact_any
from gateway.ledger.storable import make_storable

Row = Mapping[str, Any]
Digest = bytes

LENGTH = 16  # bytes of a digest
GONE = bytes(LENGTH)

_sha256 = hashlib.sha256
_owner = itemgetter(0)  # of a row that was read
_NUL = "\\u0000"  # in JSON
_AT_ONCE = 2_000  # rows that are read again with one statement


@dataclass(frozen=True, slots=True)
class Audited:
    """A table whose rows are digested: ``owner`` is the column by which rows belong together, ``id`` one by one."""

    table: Table
    owner: str
    columns: tuple[str, ...]  # in the order of the table
    blank: tuple[Any, ...]  # their defaults
    tails: tuple[bytes, ...]  # how a row that is encoded whole ends where all from a column on have theirs
    usual: list[int]  # which of these the last row had, for the next one most likely has it too
    whole: Callable[[Mapping[str, Any]], tuple[Any, ...]]  # all values of a row, in the order of the table
    part: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None  # of them those of ``columns``; None: that is all
    start: bytes  # of what is hashed
    asking: str  # SQLite for its owners and encoded rows, but for which
    in_order: str

    def encoded(self, values: Sequence[Any]) -> str:
        """A row as text, from its values in the order of ``columns``."""
        end = len(values)
        blank = self.blank
        while values[end - 1] == blank[end - 1]:  # the key is never blank
            end -= 1
        try:
            return compact(values[:end])
        except (TypeError, ValueError):
            return compact_any(values[:end])

    def cut(self, data: bytes) -> bytes:
        """The same in UTF-8, from what SQLite made of all columns."""
        tails = self.tails
        usual = self.usual[0]
        if data.endswith(tails[usual]) and not (usual and data.endswith(tails[usual - 1])):
            return data[: -len(tails[usual])] + b"]"
        low, high = 0, len(tails) - 1  # the last tail is the bracket alone
        while low < high:
            middle = (low + high) // 2
            if data.endswith(tails[middle]):
                high = middle
            else:
                low = middle + 1
        self.usual[0] = low
        return data[: -len(tails[low])] + b"]"

    @property
    def one_by_one(self) -> bool:
        """Whether each row has a digest of its own."""
        return self.owner == "id"

    def digest(self, rows: Sequence[str]) -> Digest:
        """The digest of one row, or of all rows of an owner, encoded; no rows at all are gone."""
        return self.digest_of([each.encode() for each in rows])

    def digest_of(self, rows: Sequence[bytes]) -> Digest:
        """The same of rows in UTF-8, which are in the order of their characters in that of their bytes."""
        if not rows:
            return GONE
        data = rows[0] if len(rows) == 1 else b"\n".join(sorted(rows))
        return _sha256(self.start + data).digest()[:LENGTH]


def _audited(table: Table, owner: str = "id", *, without: Iterable[str] = ()) -> Audited:
    columns = [each.name for each in table.columns if each.name not in without]
    blank = tuple(_default(table, each) for each in columns)
    every = [each.name for each in table.columns]
    part = itemgetter(*(every.index(each) for each in columns)) if columns != every else None
    ends = ["," + compact([each])[1:-1] for each in blank]
    tails = tuple(("".join(ends[place:]) + "]").encode() for place in range(len(ends) + 1))
    start = f"{table.name}\0".encode()
    quote = sqlite.dialect().identifier_preparer.quote
    of = quote(owner)
    encoded = f"CAST(json_array({', '.join(map(quote, columns))}) AS BLOB)"
    asking = f"SELECT {of}, {encoded} FROM {quote(table.name)} WHERE {of} "  # noqa: S608 - names of ours
    order = f" ORDER BY {of}"
    return Audited(table, owner, tuple(columns), blank, tails, [0], itemgetter(*every), part, start, asking, order)


def _default(table: Table, column: str) -> Any:
    default = table.c[column].default
    return default.arg if isinstance(default, ScalarElementColumnDefault) else None


# How often a message was tried is work, not history.
AUDITED: Mapping[str, Audited] = {
    each.table.name: each
    for each in (
        _audited(tables.message, without=("attempts",)),
        _audited(tables.payload),
        _audited(tables.exchange),
        _audited(tables.interchange_key, "exchange"),
        _audited(tables.functional_group),
        _audited(tables.transaction_set),
        _audited(tables.business_key, "exchange"),
        _audited(tables.finding, "exchange"),
        _audited(tables.acknowledgment),
        _audited(tables.receipt),
        _audited(tables.received_number, "exchange"),
        _audited(tables.hold),
        _audited(tables.payload_key),
        _audited(tables.moved_archive),
    )
}


class Prints:
    """The digests of what one transaction writes.

    What was inserted is digested from the values that were inserted; what changed later is read again at the end.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[int, Digest]] = {name: {} for name in AUDITED}
        self._again: dict[str, set[int]] = defaultdict(set)

    def wrote(self, name: str, rows: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
        """Rows of an audited table are about to be inserted: once a table and flush, exchanges before their parts.

        What no database takes in a text is put right in the rows (see ``storable``).

        Returns:
            All their values, in the order of the table.
        """
        audited = AUDITED[name]
        known, whole, encoded = self._known[name], audited.whole, audited.encoded
        found = [whole(row) for row in rows]
        if audited.one_by_one:
            part, start = audited.part, audited.start
            for place, values in enumerate(found):
                text = encoded(part(values) if part else values)
                if not text.isascii() or _NUL in text:
                    make_storable(rows[place])
                    values = found[place] = whole(rows[place])  # noqa: PLW2901 - the same, put right
                    text = encoded(part(values) if part else values)
                known[values[0]] = _sha256(start + text.encode()).digest()[:LENGTH]
            return found
        together: dict[int, list[str]] = defaultdict(list)
        for place, row in enumerate(rows):
            text = encoded(found[place])
            if not text.isascii() or _NUL in text:
                make_storable(row)
                found[place] = whole(row)
                text = encoded(found[place])
            together[row[audited.owner]].append(text)
        new = self._known["exchange"]
        for owner, texts in together.items():
            if owner in new and owner not in known:
                known[owner] = audited.digest(texts)
            else:  # it may have rows from before
                self._again[name].add(owner)
        return found

    def touched(self, name: str, owners: Iterable[int]) -> None:
        """Rows changed, or went: they are read again when the transaction ends."""
        if name in AUDITED:
            self._again[name].update(owners)

    def entry(self, connection: Connection) -> tuple[str, bytes] | None:
        """Body and digests of the event ``recorded``; None where nothing that is audited was written."""
        for name, owners in self._again.items():
            self._known[name] |= read(connection, AUDITED[name], sorted(owners), quick=True)
        self._again.clear()
        told: dict[str, list[list[int]]] = {}
        digests: list[bytes] = []
        for name, known in self._known.items():
            if known:
                order = sorted(known)
                told[name] = list(_ranges(order))
                digests += [known[owner] for owner in order]
        return (compact({"rows": told}), b"".join(digests)) if told else None


def mentions(body: Mapping[str, Any], digests: bytes) -> Iterator[tuple[str, int, bytes]]:
    """What an event ``recorded`` says: table, the first owner of a run, and the digests of the run.

    Raises:
        ValueError: it says nothing that can be read.
    """
    at = 0
    try:
        for name, ranges in body["rows"].items():
            for first, count in ranges:
                yield name, first, digests[at : at + count * LENGTH]
                at += count * LENGTH
    except (KeyError, TypeError, AttributeError):
        raise ValueError("it does not say which rows it speaks of") from None
    if at != len(digests):
        raise ValueError(f"it speaks of {at // LENGTH} rows and has {len(digests) // LENGTH} digests")


def read(connection: Connection, audited: Audited, owners: Sequence[int], *, quick: bool = False) -> dict[int, Digest]:
    """The digests of what the rows of these owners are now; ``GONE`` where there are none.

    Args:
        connection: within a transaction.
        audited: which table.
        owners: in ascending order.
        quick: let SQLite encode the rows, where this version of it writes every character as we do; not for whoever
            has found that a row differs from what was recorded.
    """
    found = dict.fromkeys(owners, GONE)
    on_sqlite = connection.dialect.name == "sqlite"
    which = "IN (SELECT value FROM json_each(?))" if on_sqlite else "= ANY(%s)"
    digests = _encoded_by_sqlite if quick and on_sqlite and agrees() else _digests
    for start in range(0, len(owners), _AT_ONCE):
        some = list(owners[start : start + _AT_ONCE])
        parameters = [compact(some) if on_sqlite else some]
        try:
            found.update(digests(connection, audited, which, parameters))
        except DBAPIError:  # bytes that are no text
            found.update(_digests(connection, audited, which, parameters))
    return found


@cache
def agrees() -> bool:
    """Whether SQLite writes a value of each kind, and each character that JSON has rules for, as we do."""
    every = "".join(chr(code) for code in [*range(1, 0x100), 0x2028, 0x2029, 0xFEFF, 0xFFFD, 0xFFFF, 0x1F512, 0x10FFFF])
    values = [every, "", 0, -1, 2**63 - 1, -(2**63), None]
    marks = ", ".join("?" * len(values))
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            return bool(connection.execute(f"SELECT json_array({marks})", values).fetchone()[0] == compact(values))
        except sqlite3.Error:
            return False


def encoded_rows(connection: Connection, audited: Audited, owner: int) -> list[str]:
    """The rows of one owner as the texts that its digest is made of; none where there are none."""
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    return sorted(audited.encoded(row[1:]) for row in _rows(connection, audited, f"= {mark}", [owner]))


def scan(connection: Connection, audited: Audited, first: int, last: int) -> Iterator[tuple[int, Digest]]:
    """The digests of what is there now for owners from ``first`` to ``last``, in their order.

    SQLite encodes the rows itself, in half the time. Should a version of it write some value in another way than we do,
    that digest differs, and whoever compares has to ``read`` that row. What it cannot encode, we do.
    """
    if connection.dialect.name != "sqlite":
        yield from _digests(connection, audited, "BETWEEN %s AND %s", [first, last])
        return
    try:
        found = list(_encoded_by_sqlite(connection, audited, "BETWEEN ? AND ?", [first, last]))
    except DBAPIError:
        yield from _digests(connection, audited, "BETWEEN ? AND ?", [first, last])
    else:
        yield from found


def _encoded_by_sqlite(
    connection: Connection, audited: Audited, which: str, parameters: Sequence[Any]
) -> Iterator[tuple[int, Digest]]:
    cut, start = audited.cut, audited.start
    rows = bulk.tuples(connection, audited.asking + which + audited.in_order, parameters)
    if audited.one_by_one:
        for number, data in rows:
            yield number, _sha256(start + cut(data)).digest()[:LENGTH]
        return
    for number, together in groupby(rows, _owner):
        yield number, audited.digest_of([cut(data) for _, data in together])


def _rows(connection: Connection, audited: Audited, which: str, parameters: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Owner and columns of the rows whose owner is one of ``which``, in the order of the owners."""
    quote = connection.dialect.identifier_preparer.quote
    owner = quote(audited.owner)
    columns = ", ".join([owner, *map(quote, audited.columns)])
    sql = f"SELECT {columns} FROM {quote(audited.table.name)} WHERE {owner} {which} ORDER BY {owner}"  # noqa: S608 - names of ours
    return iter(bulk.legible(connection, sql, parameters))


def _digests(
    connection: Connection, audited: Audited, which: str, parameters: Sequence[Any]
) -> Iterator[tuple[int, Digest]]:
    """In the order of the owners."""
    rows = _rows(connection, audited, which, parameters)
    encoded, digest = audited.encoded, audited.digest
    if audited.one_by_one:
        for row in rows:
            yield row[0], digest((encoded(row[1:]),))
        return
    for number, together in groupby(rows, _owner):
        yield number, digest([encoded(row[1:]) for row in together])


def _ranges(numbers: Sequence[int]) -> Iterator[list[int]]:
    """Numbers in ascending order as runs: [first, how many]."""
    first, count = numbers[0], 0
    for number in numbers:
        if number == first + count:
            count += 1
            continue
        yield [first, count]
        first, count = number, 1
    yield [first, count]
