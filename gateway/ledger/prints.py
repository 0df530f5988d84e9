"""Digests of rows: what makes a change of any row show, although rows of the ledger do change.

Each transaction ends with an event of kind ``recorded`` that holds a digest of every audited row which it inserted or
changed, as the row was when the transaction ended; a row that was removed in order has the digest of zeros. The
current row must agree with its latest digest, and events cannot be changed (see ``tree``). Beside it stands a digest of
the row's core, which must stay what it was when it was told first (see ``audited``): so nobody makes another row of it
by recording it again, and a row that was altered is not taken for the row that it was because we changed its state.

A digest is made of the values in the order of the table's columns, without the defaults at the end: a column that a
later version adds at the end leaves it as it is, and no column ever changes its place. Rows without a number of their
own are digested together, for their owner.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import add, itemgetter
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from gateway.ledger import bulk
from gateway.ledger.asking import Found, agrees
from gateway.ledger.audited import AUDITED, CORE, GONE, LENGTH, UNTOLD, Audited, Digest
from gateway.ledger.plain_json import compact
from gateway.ledger.storable import make_storable

__all__ = ["AUDITED", "CORE", "GONE", "LENGTH", "UNTOLD", "Audited", "Digest", "agrees"]  # defined elsewhere

Row = Mapping[str, Any]

_sha256 = hashlib.sha256
_owner = itemgetter(0)  # of a row that was read
_NUL = b"\\u0000"  # in JSON
_END = 2**63  # beyond all numbers
_AT_ONCE = 2_000  # rows that are read again with one statement


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
            part, start, core = audited.part, audited.start, audited.core
            for place, values in enumerate(found):
                own = part(values) if part else values
                text = encoded(own)
                if not text.isascii() or _NUL in text:
                    make_storable(rows[place])
                    values = found[place] = whole(rows[place])  # noqa: PLW2901 - the same, put right
                    own = part(values) if part else values
                    text = encoded(own)
                digest = _sha256(start + text).digest()[:LENGTH]
                if core is not None:
                    data = core.start + core.encoded(core.of(own))
                    digest += _sha256(data).digest()[:CORE]
                known[values[0]] = digest
            return found
        together: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        for place, row in enumerate(rows):
            text = encoded(found[place])
            if not text.isascii() or _NUL in text:
                make_storable(row)
                found[place] = whole(row)
            together[row[audited.owner]].append(found[place])
        new = self._known["exchange"]
        for owner, some in together.items():
            if owner in new and owner not in known:
                known[owner] = b"".join(audited.both(some))
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
                told[name] = []
                for first, count in _ranges(sorted(known)):
                    run, data = as_run(AUDITED[name], first, [known[owner] for owner in range(first, first + count)])
                    told[name].append(run)
                    digests.append(data)
        return (compact({"rows": told}), b"".join(digests)) if told else None


def as_run(audited: Audited, first: int, digests: Sequence[Digest]) -> tuple[list[int], bytes]:
    """The digests of owners from ``first`` on as an event ``recorded`` holds them: what its body says, and the bytes.

    That is the first owner and how many there are, and of a table with a core the bytes of its digest; then all digests
    of whole rows, and after them those of the cores.
    """
    if audited.core is None:
        return [first, len(digests)], b"".join(digests)
    wholes, cores = [each[:LENGTH] for each in digests], [each[LENGTH:] for each in digests]
    return [first, len(digests), CORE], b"".join(wholes + cores)


def runs(body: Mapping[str, Any], digests: bytes) -> Iterator[tuple[str, int, bytes, bytes]]:
    """What an event ``recorded`` says: table, the first owner of a run, the digests of the run, and those of the cores.

    The last are none where the table has no core, and in what an earlier version wrote.

    Raises:
        ValueError: it says nothing that can be read.
    """
    at = 0
    try:
        for name, ranges in body["rows"].items():
            for first, count, *core in ranges:
                if not (isinstance(first, int) and isinstance(count, int) and 0 < first < first + count <= _END):
                    raise ValueError  # noqa: TRY301 - rows that cannot be
                end = at + count * LENGTH
                more = end + count * core[0] if core else end
                yield name, first, digests[at:end], digests[end:more] if core == [CORE] else b""
                at = more
    except (KeyError, TypeError, AttributeError, ValueError):
        raise ValueError("it does not say which rows it speaks of") from None
    if at != len(digests):
        raise ValueError(f"it speaks of rows with {at} bytes of digests, and has {len(digests)}")


def mentions(body: Mapping[str, Any], digests: bytes) -> Iterator[tuple[str, int, bytes]]:
    """The same without the cores.

    Raises:
        ValueError: it says nothing that can be read.
    """
    return ((name, first, some) for name, first, some, _ in runs(body, digests))


def read(connection: Connection, audited: Audited, owners: Sequence[int], *, quick: bool = False) -> dict[int, Digest]:
    """The digests of what the rows of these owners are now, each with that of its core where the table has one.

    Args:
        connection: within a transaction.
        audited: which table.
        owners: in ascending order.
        quick: let SQLite encode the rows, where this version of it writes every character as we do; not for whoever
            has found that a row differs from what was recorded.

    Returns:
        By owner; zeros where there are no rows.
    """
    found = dict.fromkeys(owners, audited.gone)
    on_sqlite = connection.dialect.name == "sqlite"
    which = "IN (SELECT value FROM json_each(?))" if on_sqlite else "= ANY(%s)"
    digests = _encoded_by_sqlite if quick and on_sqlite and agrees() else _digests
    for start in range(0, len(owners), _AT_ONCE):
        some = list(owners[start : start + _AT_ONCE])
        parameters = [bulk.listed(connection, some)]
        try:
            each = list(digests(connection, audited, which, parameters))
        except DBAPIError:  # bytes that are no text
            each = list(_digests(connection, audited, which, parameters))
        for numbers, wholes, cores in each:
            found.update(zip(numbers, map(add, wholes, cores) if cores else wholes, strict=True))
    return found


def encoded_rows(connection: Connection, audited: Audited, owner: int) -> list[str]:
    """The rows of one owner as the texts that its digest is made of; none where there are none."""
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    return sorted(audited.encoded(row[1:]).decode() for row in _rows(connection, audited, f"= {mark}", [owner]))


def scan(connection: Connection, audited: Audited, first: int, last: int) -> Iterator[Found]:
    """The digests of what is there now for owners from ``first`` to ``last``, in their order, many at once.

    SQLite encodes the rows itself, in a fraction of the time. Should a version of it write some value in another way
    than we do, that digest differs, and whoever compares has to ``read`` that row. What it cannot encode, we do.
    """
    if connection.dialect.name == "sqlite" and agrees():
        try:
            found = list(_encoded_by_sqlite(connection, audited, "BETWEEN ? AND ?", [first, last]))
        except DBAPIError:  # bytes that are no text
            pass
        else:
            yield from found
            return
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    yield from _digests(connection, audited, f"BETWEEN {mark} AND {mark}", [first, last])


def _encoded_by_sqlite(
    connection: Connection, audited: Audited, which: str, parameters: Sequence[Any]
) -> Iterator[Found]:
    asking = audited.asking
    return asking.digests(bulk.chunks(connection, asking.sql + which + asking.order, parameters))


def _rows(connection: Connection, audited: Audited, which: str, parameters: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Owner and columns of the rows whose owner is one of ``which``, in the order of the owners."""
    quote = connection.dialect.identifier_preparer.quote
    owner = quote(audited.owner)
    columns = ", ".join([owner, *map(quote, audited.columns)])
    sql = f"SELECT {columns} FROM {quote(audited.table.name)} WHERE {owner} {which} ORDER BY {owner}"  # noqa: S608 - names of ours
    return iter(bulk.legible(connection, sql, parameters))


def _digests(connection: Connection, audited: Audited, which: str, parameters: Sequence[Any]) -> Iterator[Found]:
    """The same where we encode them."""
    rows = _rows(connection, audited, which, parameters)
    core = audited.core is not None
    for number, together in groupby(rows, _owner):
        whole, some = audited.both([row[1:] for row in together])
        yield [number], [whole], [some] if core else []


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
