"""All events as leaves of the tree, in their order, read page by page."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from gateway.ledger import bulk, prints, tables, tree
from gateway.ledger.garbage import without_collecting
from gateway.ledger.strays import LAST

PAGE = 2_048  # events that are read at once


class Leaf(NamedTuple):  # a third of what a frozen dataclass costs, of which there are millions
    """An event as a leaf: ``rows`` is None where it speaks of none, or was put away.

    ``body`` is that of an event which speaks of rows, or tells what was put away (``purged``); of others it is empty.
    ``exchange`` and ``message`` are those that it tells of; ``away``: it was put away, and nobody knows any more.
    """

    seq: int
    hash: bytes
    body: str
    rows: bytes | None
    exchange: int | None = None
    message: int | None = None
    away: bool = False


class Pages:
    """All events after ``seq``, those put away in order included, read page by page.

    Args:
        connection: within a transaction.
        after: ``seq``.
        quick: let SQLite encode the events, where this version of it writes every character as we do; not for whoever
            has found that they do not fit the tree.
    """

    def __init__(self, connection: Connection, after: int = 0, *, quick: bool = False) -> None:
        self._connection = connection
        self._quick = quick and connection.dialect.name == "sqlite" and prints.agrees()
        self._after = after
        self._waiting: list[Leaf] = []
        self._at = 0

    def until(self, seq: int | None) -> list[Leaf]:
        """The next events, up to number ``seq``, which is not among them; all that are left where it is None."""
        found: list[Leaf] = []
        while self._at < len(self._waiting) or self._more():
            if seq is None or self._waiting[-1].seq < seq:
                found += self._waiting[self._at :]
                self._at = len(self._waiting)
                continue
            stop = self._at
            while self._waiting[stop].seq < seq:
                stop += 1
            found += self._waiting[self._at : stop]
            self._at = stop
            break
        return found

    def all(self) -> Iterator[list[Leaf]]:
        """Page by page."""
        while self._more():
            yield self._waiting

    def _more(self) -> bool:
        kept = tables.event_leaf.c
        with without_collecting():
            page = self._events()
        last = page[-1].seq if len(page) == PAGE else None
        # In SQLite a text would come after all numbers (see ``strays``).
        upto = last if last is not None else LAST
        away = (
            select(kept.seq, kept.leaf).where(kept.seq > self._after, kept.seq <= upto).order_by(kept.seq).limit(PAGE)
        )
        found = [
            Leaf(row.seq, tree.kept_bytes(row.leaf), "", None, away=True) for row in self._connection.execute(away)
        ]
        if found:
            if len(found) == PAGE:  # more may follow before the last event of the page
                page = [each for each in page if each.seq <= found[-1].seq]
            page = sorted([*page, *found], key=lambda each: each.seq)
        if page:
            self._after, self._waiting, self._at = page[-1].seq, page, 0
        return bool(page)

    def _events(self) -> list[Leaf]:
        """The next page of those that are there."""
        if self._quick:
            try:
                return self._encoded_by_sqlite()
            except DBAPIError:  # bytes where a text should be
                pass
        mark = "?" if self._connection.dialect.name == "sqlite" else "%s"
        columns = ", ".join(map(self._connection.dialect.identifier_preparer.quote, (*tree.LEAF, "rows")))
        sql = f"SELECT {columns} FROM event WHERE seq > {mark} ORDER BY seq LIMIT {PAGE}"  # noqa: S608 - names of ours
        leaf_of = tree.leaf_of
        body, kind, exchange, message = map(tree.LEAF.index, ("body", "kind", "exchange", "message"))
        return [
            Leaf(
                row[0],
                leaf_of(row[:-1], rows := _digests(row[-1])),
                "" if rows is None and row[kind] != "purged" else str(row[body]),
                rows,
                row[exchange],
                row[message],
            )
            for row in bulk.legible(self._connection, sql, [self._after])
        ]

    def _encoded_by_sqlite(self) -> list[Leaf]:
        """The same, in half the time: few events speak of rows, and of the others only the hash is wanted."""
        quote = self._connection.dialect.identifier_preparer.quote
        sql = (
            f"SELECT seq, CAST(json_array({', '.join(map(quote, tree.LEAF))}) AS BLOB),"  # noqa: S608 - names of ours
            f" CASE WHEN {quote('rows')} IS NULL AND kind <> 'purged' THEN '' ELSE body END, {quote('rows')},"
            " exchange, message"
            f" FROM event WHERE seq > ? ORDER BY seq LIMIT {PAGE}"
        )
        sha256, new = hashlib.sha256, tuple.__new__  # else Python is asked once more for each
        return [
            new(Leaf, (seq, sha256(b"\0" + data).digest(), body, None, exchange, message, False))
            if rows is None
            else _of_rows(seq, data, body, rows)
            for some in bulk.chunks(self._connection, sql, [self._after])
            for seq, data, body, rows, exchange, message in some
        ]


def _of_rows(seq: int, data: bytes, body: object, rows: object) -> Leaf:
    digests = _digests(rows)
    return Leaf(seq, tree.leaf_of_encoded(data, digests), str(body), digests)


def _digests(rows: object) -> bytes | None:
    """Digests as they are, or as what stands in their place."""
    return None if rows is None else tree.kept_bytes(rows)
