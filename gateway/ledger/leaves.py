"""All events as leaves of the tree, in their order, read page by page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from gateway.ledger import tables, tree

PAGE = 8_192  # events that are read at once


@dataclass(frozen=True, slots=True)
class Leaf:
    """An event as a leaf: ``rows`` is None where it speaks of none, or was put away."""

    seq: int
    hash: bytes
    body: str
    rows: bytes | None


class Pages:
    """All events after ``seq``, those put away in order included, read page by page."""

    def __init__(self, connection: Connection, after: int = 0) -> None:
        self._connection = connection
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
        e, kept = tables.event.c, tables.event_leaf.c
        columns = [*(e[name] for name in tree.LEAF), e.rows]
        wanted = select(*columns).where(e.seq > self._after).order_by(e.seq).limit(PAGE)
        page = [_leaf(row) for row in self._connection.execute(wanted)]
        last = page[-1].seq if len(page) == PAGE else None
        away = select(kept.seq, kept.leaf).where(kept.seq > self._after).order_by(kept.seq).limit(PAGE)
        if last is not None:
            away = away.where(kept.seq <= last)
        found = [Leaf(row.seq, bytes(row.leaf), "", None) for row in self._connection.execute(away)]
        if found:
            if len(found) == PAGE:  # more may follow before the last event of the page
                page = [each for each in page if each.seq <= found[-1].seq]
            page = sorted([*page, *found], key=lambda each: each.seq)
        if page:
            self._after, self._waiting, self._at = page[-1].seq, page, 0
        return bool(page)


def _leaf(row: Any) -> Leaf:
    rows = None if row[8] is None else bytes(row[8])
    return Leaf(row[0], tree.leaf_of(row[:8], rows), row[7] if rows is not None else "", rows)
