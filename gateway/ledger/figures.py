"""Figures of the ledger as it stands, for whoever watches it: each from an index, a work table or the daily counts.

Nothing here takes longer when the ledger is ten years old: states in which nearly every exchange ends are not counted
(the daily counts tell how much came and went), what waits is few, and what needs a person has an index of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, func, literal_column, select, text

from gateway.ledger.alerts import RULE, STANDING, cannot_tell
from gateway.ledger.daily_tables import daily_count, day_column, month_and_day
from gateway.ledger.search_tables import UNUSUAL_STATE
from gateway.ledger.states import MessageState
from gateway.ledger.tables import alert, exchange, expectation, message, not_taken, outgoing, seal, transaction_set

DAY = 86_400_000  # ms
DUE: ColumnElement[str] = literal_column("'due'")  # not a parameter: the partial index is found by the very words


class Traffic(Struct, frozen=True):
    """What came or went of one partner today (UTC): interchanges, transaction sets, bytes."""

    partner: str
    direction: str
    kind: str
    interchanges: int
    sets: int
    bytes: int


def states(connection: Connection) -> dict[str, int]:
    """How many exchanges are in each state but those in which nearly every exchange ends."""
    state = exchange.c.state
    return _counts(connection.execute(select(state, func.count()).where(text(UNUSUAL_STATE)).group_by(state)).all())


def messages(connection: Connection) -> dict[str, int]:
    """How many mails wait to be processed, to be sent, or for a person."""
    waiting = (MessageState.STORED, MessageState.QUARANTINED, MessageState.QUEUED)
    found = select(message.c.state, func.count()).where(message.c.state.in_(waiting)).group_by(message.c.state)
    return {str(each): 0 for each in waiting} | _counts(connection.execute(found).all())


def left_on_servers(connection: Connection) -> dict[str, int]:
    """How many mails of each mailbox could not be taken."""
    mailbox = not_taken.c.mailbox
    return _counts(connection.execute(select(mailbox, func.count()).group_by(mailbox)).all())


def mails_waiting(connection: Connection) -> dict[str, int]:
    """How many mails wait for the wire: ready, sending, held."""
    found = select(outgoing.c.state, func.count()).group_by(outgoing.c.state)
    return dict.fromkeys(("ready", "sending", "held"), 0) | _counts(connection.execute(found).all())


def deliveries_due(connection: Connection) -> int:
    """How many transaction sets wait to be handed to the business."""
    wanted = select(func.count()).select_from(transaction_set).where(transaction_set.c.delivery == DUE)
    return int(connection.execute(wanted).scalar_one())


def awaited_by_partner(connection: Connection, now: int) -> tuple[dict[str, int], dict[str, int]]:
    """How many acknowledgments and receipts each partner owes us, and how many of them are overdue."""
    partner = expectation.c.partner
    wanted = select(partner, func.count()).group_by(partner)
    owed = connection.execute(wanted).all()
    late = connection.execute(wanted.where(expectation.c.due_at <= now)).all()
    return _counts(owed), _counts(late)


def oldest_waiting(connection: Connection) -> dict[str, int]:
    """Since when the oldest thing of each kind waits (ms since 1970 UTC); what does not wait is left out."""
    stored = select(func.min(message.c.id)).where(message.c.state == MessageState.STORED).scalar_subquery()
    mail = select(func.min(outgoing.c.exchange)).where(outgoing.c.state.in_(("ready", "sending"))).scalar_subquery()
    first = select(func.min(transaction_set.c.exchange)).where(transaction_set.c.delivery == DUE).scalar_subquery()
    questions = {
        "process": select(message.c.at).where(message.c.id == stored),
        "send": select(exchange.c.at).where(exchange.c.id == mail),
        "deliver": select(exchange.c.at).where(exchange.c.id == first),
        "acknowledgment": select(func.min(expectation.c.due_at)),
    }
    found = {name: connection.execute(question).scalar() for name, question in questions.items()}
    return {name: at for name, at in found.items() if at is not None}


def alerts_by_kind(connection: Connection) -> dict[tuple[str, str], int]:
    """How many alerts are not over, by kind and state (open, told, muted)."""
    wanted = select(alert.c.kind, alert.c.state, func.count())
    wanted = wanted.where(alert.c.state.in_(STANDING), alert.c.kind != RULE).group_by(alert.c.kind, alert.c.state)
    return {(kind, state): number for kind, state, number in connection.execute(wanted)}


def rules_failing(connection: Connection) -> int:
    """How many rules of alerts could not tell anybody the last time."""
    wanted = select(func.count()).select_from(alert).where(cannot_tell())
    return int(connection.execute(wanted).scalar_one())


def traffic_today(connection: Connection, now: int) -> list[Traffic]:
    """What came and went since midnight UTC. ``now``: ms since 1970 UTC."""
    month, day = month_and_day(now // DAY)
    c = daily_count.c
    sums = [func.coalesce(func.sum(c[day_column(what, day)]), 0) for what in ("interchanges", "sets", "bytes")]
    keys = (c.partner, c.direction, c.kind)
    # The rows of sums have no direction; of the others some are about interchanges and some about sets.
    wanted = select(*keys, *sums).where(c.month == month, c.direction != "").group_by(*keys)
    found = [Traffic(row[0], row[1], row[2], *(int(each) for each in row[3:])) for row in connection.execute(wanted)]
    return [each for each in found if each.interchanges or each.sets or each.bytes]


def last_seal(connection: Connection) -> int | None:
    """When the ledger was last sealed (ms since 1970 UTC)."""
    return connection.execute(select(seal.c.at).order_by(seal.c.size.desc()).limit(1)).scalar()


def bytes_on_disk(connection: Connection) -> int:
    """How many bytes the ledger takes on its disk."""
    if connection.dialect.name == "postgresql":
        return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    file = Path(connection.engine.url.database or "")
    there = [each for each in (file, file.with_name(f"{file.name}-wal")) if each.exists()]
    return sum(each.stat().st_size for each in there)


def _counts(rows: Sequence[Row[*tuple[Any, ...]]]) -> dict[str, int]:
    return {str(row[0]): int(row[1]) for row in rows}


def most(counts: Mapping[str, int], number: int, rest: str) -> dict[str, int]:
    """The ``number`` highest counts, and the sum of the others under ``rest``."""
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    kept = dict(ranked[:number])
    left = sum(count for _, count in ranked[number:])
    return kept | ({rest: left} if left else {})
