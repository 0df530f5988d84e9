"""What can be known of what happened after a backup: by the ledger that is still there, and the checkpoint beside it.

Three cases. Nothing lost: the ledger that is there is whole and ends where the backup ends. Numbers known: it is whole
and newer, so it says where every count stands and which mails did not go. In both the checkpoint bears witness that it
is the newest. Unknown: it is gone, damaged, older, or another one; then every number may have been used, and every mail
that was waiting may have gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct, field
from sqlalchemy import Connection, Engine, func, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import GatewayError
from gateway.flow.checkpoint import Checkpoint
from gateway.ledger import tables
from gateway.ledger.database import reading
from gateway.ledger.erasures import FORGOTTEN
from gateway.ledger.reached import Reached, holds, marked, reached
from gateway.ledger.states import MessageState

_HELD, _RELEASED = "held", "hold-released"
# Of the events of the lost part, those that tell people what it held.
_TOLD = ("received", "submitted", "answered", "sent", "delivered", "acknowledgment")


class Outcome(StrEnum):
    """How much is known of what happened after the backup."""

    NOTHING_LOST = "nothing lost"
    NUMBERS_KNOWN = "numbers known"
    UNKNOWN = "unknown"


class Present(Struct, frozen=True):
    """The ledger that is there when a backup is restored. ``reached`` None: it is gone, or cannot be read.

    The rest counts only where ``newer``: it is whole, and the backup's history is the beginning, or all, of its own.
    ``witnessed``: the checkpoint says that it is the newest; on a server, where many write, nothing speaks against it.
    """

    there: bool = False
    reached: Reached | None = None
    whole: bool = False
    newer: bool = False
    witnessed: bool = False
    waiting: Mapping[int, int] = field(default_factory=dict)  # exchange whose mail never left → attempts
    stored: frozenset[int] = frozenset()  # messages that were not processed
    lost: Mapping[str, int] = field(default_factory=dict)  # kind of event → how many, after the backup
    again: tuple[str, ...] = ()  # holds and erasures after the backup, a sentence each

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever recorded in it."""
        return self.reached is not None and not self.reached.newest.seq


def look(engine: Engine | None, backup: Reached, known: Checkpoint | None) -> Present:
    """What the ledger that is there tells; a damaged one tells little, and no fault is raised for that.

    Args:
        engine: of that ledger; None where there is none.
        backup: how far the backup had come.
        known: the checkpoint of the home.
    """
    if engine is None:
        return Present()
    found = Present(there=True)
    try:
        with reading(engine) as connection:
            found = _read(connection, backup, known)
    except (GatewayError, SQLAlchemyError, LookupError, ValueError):
        return found
    return found


def _read(connection: Connection, backup: Reached, known: Checkpoint | None) -> Present:
    if not inspect(connection).has_table(tables.event.name):
        return Present(there=True, reached=Reached())  # a command that found no ledger made an empty file
    now = reached(connection)
    whole = _is_whole(connection)
    newer = whole and bool(now.newest.seq) and holds(connection, backup)
    return Present(
        there=True,
        reached=now,
        whole=whole,
        newer=newer,
        witnessed=_is_witnessed(connection, known),
        waiting=_waiting(connection) if newer else {},
        stored=_stored(connection) if newer else frozenset(),
        lost=_lost(connection, backup.newest.seq) if newer else {},
        again=_again(connection, backup.newest.seq) if newer else (),
    )


def _is_witnessed(connection: Connection, known: Checkpoint | None) -> bool:
    if known is None or not known.seq:
        return connection.dialect.name != "sqlite"  # workers keep no checkpoint
    return marked(connection, known.seq).mark == known.mark


def _is_whole(connection: Connection) -> bool:
    if connection.dialect.name != "sqlite":
        return True  # the server would say so
    return connection.exec_driver_sql("PRAGMA quick_check(1)").scalar() == "ok"


def _waiting(connection: Connection) -> dict[int, int]:
    o = tables.outgoing.c
    rows = connection.execute(select(o.exchange, o.attempts).where(o.state == "ready"))
    return {row.exchange: row.attempts for row in rows}


def _stored(connection: Connection) -> frozenset[int]:
    m = tables.message.c
    return frozenset(connection.execute(select(m.id).where(m.state == MessageState.STORED)).scalars())


def _lost(connection: Connection, seq: int) -> dict[str, int]:
    e = tables.event.c
    counted = select(e.kind, func.count().label("number")).where(e.seq > seq, e.kind.in_(_TOLD)).group_by(e.kind)
    found = {row.kind: row.number for row in connection.execute(counted)}
    return {kind: found[kind] for kind in _TOLD if kind in found}


def _again(connection: Connection, seq: int) -> tuple[str, ...]:
    """What a person has to do again: what was held is put away by the next night else, and what was erased is back."""
    e = tables.event.c
    wanted = select(e.kind, e.partner, e.body).where(e.seq > seq, e.kind.in_([_HELD, _RELEASED, FORGOTTEN]))
    return tuple(
        _act(row.kind, row.partner, json.loads(row.body)) for row in connection.execute(wanted.order_by(e.seq))
    )


def _act(kind: str, partner: str, said: Mapping[str, Any]) -> str:
    if kind == FORGOTTEN:
        return f"the key of {partner} for {said.get('period')} was forgotten ({said.get('reason')})"
    if kind == _RELEASED:
        return f"hold {said.get('hold')} was released ({said.get('reason')})"
    return f"hold {said.get('hold')} on {said.get('words')} was made ({said.get('reason')})"


def judge(present: Present, backup: Reached) -> Outcome:
    """How much is known of what happened after the backup."""
    if present.reached is None or not present.newer or not present.witnessed:
        return Outcome.UNKNOWN
    return Outcome.NOTHING_LOST if present.reached == backup else Outcome.NUMBERS_KNOWN


def why_newer(present: Present, restored: Connection | None, backup: Reached) -> str:
    """Why the ledger that is there is not known to be older than the backup; empty where it is, or there is none.

    Without ``restored`` only what can be said without asking the backup's own database.
    """
    if not present.there or present.is_empty:
        return ""
    if present.reached is None:
        return "it cannot be read"
    ends = f"it ends at event {present.reached.newest.seq}, the backup at {backup.newest.seq}"
    if present.reached.newest == backup.newest:
        return ""
    if present.newer:
        return ends
    if restored is None:
        return "" if present.reached.newest.seq < backup.newest.seq else f"{ends}, with another history"
    return "" if holds(restored, present.reached) else f"{ends}, with another history"
