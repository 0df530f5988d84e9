"""Events that hold nothing but digests of rows which are gone: they say nothing any more, and go too.

What a transaction recorded of its rows stays as long as any of them is there (see ``prints``). Rows that are gone need
no digest: a verification finds neither.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from gateway.ledger import tree
from gateway.ledger.prints import AUDITED, GONE, LENGTH, mentions
from gateway.ledger.recording import Recorder
from gateway.ledger.retention_purge import ranges
from gateway.ledger.tables import event

_PAGE = 500


class Spent:
    """Finds the events whose rows are all gone, a page at a time, from the first event on.

    That a row went is in an event of its own. This one stays as long as an earlier one that speaks of the row, for a
    verification takes what it was said last.

    Args:
        before: only what was recorded before, ms since 1970 UTC.
    """

    def __init__(self, before: int) -> None:
        self._before = before
        self._spoken_of: dict[str, _Runs] = defaultdict(_Runs)  # by the events that stay

    def page(self, connection: Connection, after: int) -> tuple[list[int], int | None]:
        """The numbers of the next ones after an event, and the event to go on after; None where there are no more."""
        e = event.c
        wanted: Select[Any] = select(e.seq, e.at, e.kind, e.body, e.rows).where(e.seq > after).order_by(e.seq)
        rows = connection.execute(wanted.limit(_PAGE)).all()
        records = [row for row in rows if row.kind == "recorded" and row.rows is not None]
        found = [row.seq for row in records if self._is_spent(connection, row)]
        are_old = all(row.at < self._before for row in rows)
        return found, rows[-1].seq if len(rows) == _PAGE and are_old else None

    def _is_spent(self, connection: Connection, row: Row[Any]) -> bool:
        said = list(mentions(json.loads(row.body), bytes(row.rows)))
        spans = [(name, first, first + len(digests) // LENGTH - 1) for name, first, digests in said]
        stays = row.at >= self._before or any(_is_there(connection, *span) for span in spans)
        if not stays and not any(self._ends(*each) for each in said):
            return True
        for name, first, last in spans:
            self._spoken_of[name].add(first, last)
        return False

    def _ends(self, name: str, first: int, digests: bytes) -> bool:
        """Whether it says of any row that it went, of which an event that stays speaks."""
        runs = self._spoken_of[name]
        places = range(0, len(digests), LENGTH)
        return any(first + at // LENGTH in runs and digests[at : at + LENGTH] == GONE for at in places)


class _Runs:
    """Numbers as runs; those that touch are one, so that there are few."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number <= self._lasts[at]

    def add(self, first: int, last: int) -> None:
        """Numbers from ``first`` to ``last`` too."""
        start = bisect_left(self._lasts, first - 1)
        end = bisect_right(self._firsts, last + 1)
        if start < end:
            first, last = min(first, self._firsts[start]), max(last, self._lasts[end - 1])
        self._firsts[start:end] = [first]
        self._lasts[start:end] = [last]


def forget(recorder: Recorder, seqs: list[int]) -> int:
    """Puts such events away, and says so; returns how many there were."""
    with tree.permit(recorder.connection, "records of rows that are gone"):
        count = tree.forget_events(recorder.connection, seqs)
    if count:
        what = f"{count} record{'' if count == 1 else 's'} of rows that are gone"
        recorder.event("purged", what=what, policy="", events=list(ranges(seqs)))
    return count


def _is_there(connection: Connection, name: str, first: int, last: int) -> bool:
    audited = AUDITED.get(name)
    if audited is None:
        return True  # of a table that this version does not know
    owner = audited.table.c[audited.owner]
    return connection.execute(select(owner).where(owner.between(first, last)).limit(1)).first() is not None
