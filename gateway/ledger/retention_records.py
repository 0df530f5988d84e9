"""Events that hold nothing but digests of rows which are gone: they say nothing any more, and go too.

What a transaction recorded of its rows stays as long as any of them is there (see ``prints``). Rows that are gone need
no digest: a verification finds neither.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from gateway.ledger import tree
from gateway.ledger.prints import AUDITED, LENGTH, mentions
from gateway.ledger.recording import Recorder
from gateway.ledger.retention_purge import ranges
from gateway.ledger.tables import event

_PAGE = 500


def spent(connection: Connection, after: int, before: int) -> tuple[list[int], int | None]:
    """The next events whose rows are all gone.

    Args:
        connection: within a transaction.
        after: the event to begin after.
        before: only what was recorded before, ms since 1970 UTC.

    Returns:
        Their numbers, and the event to go on after; None where there are no more.
    """
    e = event.c
    wanted: Select[Any] = select(e.seq, e.at, e.kind, e.body, e.rows).where(e.seq > after).order_by(e.seq).limit(_PAGE)
    rows = connection.execute(wanted).all()
    old = [row for row in rows if row.at < before]
    found = [row.seq for row in old if row.kind == "recorded" and row.rows is not None and _is_spent(connection, row)]
    return found, rows[-1].seq if len(rows) == _PAGE and len(old) == len(rows) else None


def forget(recorder: Recorder, seqs: list[int]) -> int:
    """Puts such events away, and says so; returns how many there were."""
    with tree.permit(recorder.connection, "records of rows that are gone"):
        count = tree.forget_events(recorder.connection, seqs)
    if count:
        what = f"{count} record{'' if count == 1 else 's'} of rows that are gone"
        recorder.event("purged", what=what, policy="", events=list(ranges(seqs)))
    return count


def _is_spent(connection: Connection, row: Row[Any]) -> bool:
    return not any(_is_there(connection, *span) for span in _spans(row))


def _spans(row: Row[Any]) -> Iterator[tuple[str, int, int]]:
    for name, first, digests in mentions(json.loads(row.body), bytes(row.rows)):
        yield name, first, first + len(digests) // LENGTH - 1


def _is_there(connection: Connection, name: str, first: int, last: int) -> bool:
    audited = AUDITED.get(name)
    if audited is None:
        return True  # of a table that this version does not know
    owner = audited.table.c[audited.owner]
    return connection.execute(select(owner).where(owner.between(first, last)).limit(1)).first() is not None
