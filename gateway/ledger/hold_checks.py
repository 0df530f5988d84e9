"""Is each legal hold as it was made and released? Asked before anything is put away or erased.

Whoever can write to the database could release a hold in its row, let the retention run, and make the row as it was: no
verification would find it afterwards. So the rows are held against the events in the very transaction that puts away.
"""

from __future__ import annotations

import json

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, select, text

from gateway.errors import NotAsRecorded
from gateway.ledger import prints
from gateway.ledger.tables import CONFIGURATION, event, hold

_HELD, _RELEASED = "held", "hold-released"
_STREAM = 100  # events at once


class Told(Struct, frozen=True):
    """What events tell of a hold: which made it, which one was the last to change it, which released it."""

    made: int
    last: int
    released: int | None = None


def told(connection: Connection) -> dict[int, Told]:
    """What events tell of each hold, by its number."""
    e = event.c
    asked = select(e.seq, e.kind, e.body).where(text(CONFIGURATION), e.kind.in_([_HELD, _RELEASED])).order_by(e.seq)
    found: dict[int, Told] = {}
    for seq, kind, body in connection.execute(asked):
        number = json.loads(body).get("hold")
        known = found.get(number, Told(seq, seq))
        found[number] = replace(known, last=seq, released=seq if kind == _RELEASED else known.released)
    return found


def refuse_what_differs(connection: Connection) -> None:
    """Says nothing where each hold is what was recorded of it last.

    Raises:
        NotAsRecorded: one is not, or is missing.
    """
    known = told(connection)
    both = prints.read(connection, prints.AUDITED[hold.name], sorted(known))
    now = {number: digests[: prints.LENGTH] for number, digests in both.items()}
    for number, each in known.items():
        if now[number] == _recorded(connection, number, event.c.seq > each.last, first=True):
            continue
        missing = now[number] == prints.GONE
        # Earlier versions wrote no event where a hold was extended: its digest is in a later record.
        if missing or now[number] != _recorded(connection, number, event.c.seq > each.last, first=False):
            reason = "its row is missing" if missing else "its row was changed in the database"
            raise NotAsRecorded(what="legal hold", key=number, reason=f"{reason}; nothing is put away or erased")


def _recorded(connection: Connection, number: int, which: ColumnElement[bool], *, first: bool) -> bytes | None:
    """The digest of a hold in the first or the last event ``recorded`` of some that speaks of it."""
    e = event.c
    asked = select(e.body, e.rows).where(e.kind == "recorded", e.body.contains(f'"{hold.name}":'), which)
    asked = asked.order_by(e.seq).limit(1) if first else asked.order_by(e.seq.desc())
    with connection.execute(asked.execution_options(yield_per=_STREAM)) as found:
        for body, rows in found:
            for name, start, digests in prints.mentions(json.loads(body), bytes(rows)):
                at = (number - start) * prints.LENGTH
                if name == hold.name and 0 <= at < len(digests):
                    return digests[at : at + prints.LENGTH]
    return None
