"""Alerts at rest: what people were told, what they are still to be told, and what each rule remembers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, or_, select, text

from gateway.errors import NotFound
from gateway.ledger.events import Event, event_of
from gateway.ledger.moments import iso
from gateway.ledger.recording import Recorder
from gateway.ledger.states import MessageState
from gateway.ledger.tables import CONFIGURATION, alert, batch, event, exchange, message

RULE = "rule"  # the kind of a row that is a rule's memory
OPEN, TOLD, MUTED, CLOSED = "open", "told", "muted", "closed"
IDLE, TELLING, FAILING = "idle", "telling", "failing"  # states of a rule
STANDING = (OPEN, TOLD, MUTED)
_OF_ALERTS = ("alert-raised", "alert-reopened", "alert-muted", "alert-closed")
_CHUNK = 500  # topics in one question
_OF_EARNEST = "acknowledgment.as-test"  # a fault of a test that speaks of what went in earnest
_LOCK = 4_717_205  # of PostgreSQL: one process at a time compares what there is with what was


class Alert(Struct, frozen=True):
    """One thing that people are told of. Times are ms since 1970 UTC; ``told`` is when each rule told it last."""

    id: int
    at: int
    kind: str
    partner: str
    reference: str
    exchange: int | None
    message: int | None
    subject: str
    side: str
    next_command: str
    topic: str
    count: int
    last_at: int
    state: str
    told_at: int | None
    told: Mapping[str, int]
    closed_at: int | None
    usage: str = ""  # ISA15 of its interchange, or of what that speaks of

    def as_dict(self) -> dict[str, object]:
        """For JSON: times in ISO 8601."""
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "partner": self.partner,
            "reference": self.reference,
            "subject": self.subject,
            "side": self.side or "unknown",
            "next": self.next_command,
            "exchange": self.exchange,
            "message": self.message,
            "count": self.count,
            "since": iso(self.at),
            "last": iso(self.last_at),
            "told": {rule: iso(at) for rule, at in self.told.items()},
            "closed": None if self.closed_at is None else iso(self.closed_at),
        }


class Memory(Struct, frozen=True):
    """What one rule remembers: ``pending`` is what it is about to tell, None where nothing is.

    ``next_at`` is when it may tell again, ``attempts`` how often it failed in a row, ``number`` how often it told.
    """

    id: int
    at: int
    state: str
    next_at: int
    attempts: int
    number: int
    told_at: int | None
    trouble: str
    pending: Mapping[str, Any] | None
    message: int | None


def standing(connection: Connection) -> list[Alert]:
    """All alerts that are not closed, newest first."""
    return _listed(connection, alert.c.state.in_(STANDING))


def of_kinds(connection: Connection, kinds: Iterable[str]) -> list[Alert]:
    """The alerts of these kinds that are not closed, newest first."""
    return _listed(connection, and_(alert.c.state.in_(STANDING), alert.c.kind.in_(list(kinds))))


def of_partner(connection: Connection, partner: str) -> list[Alert]:
    """The alerts of one partner that are not closed, newest first."""
    return _listed(connection, and_(alert.c.state.in_(STANDING), alert.c.partner == partner))


def counted(connection: Connection, partner: str = "") -> dict[tuple[str, str], int]:
    """How many alerts are not closed, by state and kind; of all partners or of one."""
    which: list[ColumnElement[bool]] = [alert.c.state.in_(STANDING), alert.c.kind != RULE]
    which += [alert.c.partner == partner] if partner else []
    wanted = select(alert.c.state, alert.c.kind, func.count()).where(*which).group_by(alert.c.state, alert.c.kind)
    return {(row[0], row[1]): row[2] for row in connection.execute(wanted)}


def per_partner(connection: Connection) -> dict[str, int]:
    """How many alerts are open, told or not, by partner; those that were muted are not."""
    which = (alert.c.state.in_((OPEN, TOLD)), alert.c.partner != "", alert.c.kind != RULE)
    wanted = select(alert.c.partner, func.count()).where(*which).group_by(alert.c.partner)
    return {row[0]: row[1] for row in connection.execute(wanted)}


def worth_telling(connection: Connection, closed_since: int) -> list[Alert]:
    """What rules may have to tell: what is open, and what was closed lately; oldest first."""
    lately = and_(alert.c.state == CLOSED, alert.c.next_at > closed_since)
    return _listed(connection, or_(alert.c.state.in_((OPEN, TOLD)), lately))[::-1]


def every(connection: Connection, limit: int) -> list[Alert]:
    """All alerts, closed ones too, newest first."""
    return _listed(connection, alert.c.id > 0, limit)


def page(
    connection: Connection,
    states: Sequence[str],
    limit: int,
    *,
    partner: str = "",
    kind: str = "",
    before: int | None = None,
) -> list[Alert]:
    """Alerts in some states, the newest first.

    Args:
        connection: within a transaction.
        states: some of open, told, muted and closed.
        limit: at most so many.
        partner: only those of this partner (its key).
        kind: only those of this kind.
        before: only those of a lower number, for the next page.
    """
    which: list[ColumnElement[bool]] = [alert.c.state.in_(states)]
    which += [alert.c.partner == partner] if partner else []
    which += [alert.c.kind == kind] if kind else []
    which += [alert.c.id < before] if before is not None else []
    return _listed(connection, and_(*which), limit)


def history(connection: Connection, found: Alert, limit: int = 100) -> list[Event]:
    """What happened to an alert, the newest first: raised, told, muted, closed, as far as its own events say."""
    e = event.c
    about = e.exchange == found.exchange if found.exchange is not None else e.message == found.message
    if found.exchange is None and found.message is None:
        about = and_(text(CONFIGURATION), e.seq > 0)
    wanted = select(event).where(about, e.kind.in_(_OF_ALERTS), e.at >= found.at).order_by(e.seq.desc())
    events = [event_of(dict(row)) for row in connection.execute(wanted.limit(limit * 5)).mappings()]
    return [each for each in events if each.body.get("alert") == found.id][:limit]


def one(connection: Connection, number: int) -> Alert:
    """The alert of that number.

    Raises:
        NotFound: there is none.
    """
    found = _listed(connection, alert.c.id == number)
    if not found:
        raise NotFound(what="alert", key=number)
    return found[0]


def by_topic(connection: Connection, topics: Iterable[str]) -> dict[str, Alert]:
    """The newest alert of each topic, whatever its state."""
    wanted = list(topics)
    found: dict[str, Alert] = {}
    for at in range(0, len(wanted), _CHUNK):
        listed = _listed(connection, alert.c.topic.in_(wanted[at : at + _CHUNK]))
        found |= {each.topic: each for each in reversed(listed)}
    return found


def numbered(connection: Connection, numbers: Iterable[int]) -> list[Alert]:
    """The alerts of those numbers that are still there."""
    wanted = list(numbers)
    found: list[Alert] = []
    for at in range(0, len(wanted), _CHUNK):
        found += _listed(connection, alert.c.id.in_(wanted[at : at + _CHUNK]))
    return found


def alone(connection: Connection) -> None:
    """From here to the end of the transaction no other process compares or tells; SQLite has that anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def memory(connection: Connection, rule: str) -> Memory | None:
    """What the rule of that name remembers; None where it never had anything to tell."""
    wanted = select(alert).where(alert.c.topic == f"rule/{rule}", alert.c.kind == RULE)
    row = connection.execute(wanted).mappings().first()
    return None if row is None else _memory(dict(row))


def new_memory(recorder: Recorder, rule: str) -> Memory:
    """A rule that remembers nothing yet."""
    number = recorder.add(
        alert,
        at=recorder.now,
        kind=RULE,
        subject="",
        next_command=f"gateway alert test {rule}",
        topic=f"rule/{rule}",
        last_at=recorder.now,
        state=IDLE,
        next_at=recorder.now,
        reference=rule,
        side="ours",
    )
    return Memory(number, recorder.now, IDLE, recorder.now, 0, 0, None, "", None, None)


def forgotten(connection: Connection, rules: Iterable[str]) -> list[Memory]:
    """What rules that are no more were about to tell, or could not tell. ``rules``: those that there are."""
    unfinished = alert.c.state.in_((TELLING, FAILING))
    wanted = select(alert).where(unfinished, alert.c.kind == RULE, alert.c.reference.not_in(list(rules)))
    return [_memory(dict(row)) for row in connection.execute(wanted).mappings()]


def remember(recorder: Recorder, known: Memory, **changes: Any) -> Memory:
    """Keeps what changed in a rule's memory, and gives it as it is now."""
    now = replace(known, **changes)
    recorder.change(
        alert,
        now.id,
        state=now.state,
        next_at=now.next_at,
        attempts=now.attempts,
        count=now.number,
        told_at=now.told_at,
        subject=now.trouble,
        told="" if now.pending is None else json.dumps(now.pending),
        message=now.message,
        last_at=recorder.now,
    )
    return now


def cannot_tell() -> ColumnElement[bool]:
    """Which memories are of rules that could not tell, or of which nobody knows whether they could, the last time."""
    unsure = and_(alert.c.state == TELLING, alert.c.attempts > 0)
    return and_(alert.c.kind == RULE, or_(alert.c.state == FAILING, unsure))


def rule_of_mail(connection: Connection, message_id: str) -> tuple[str, int] | None:
    """Which rule sent the mail with that Message-ID, and the mail's number; None where it is no mail of an alert."""
    if not message_id:
        return None
    row = connection.execute(
        select(event.c.body, event.c.message)
        .join(message, message.c.id == event.c.message)
        .where(message.c.message_id == message_id, message.c.kind == "alert", event.c.kind == "alert-telling")
        .limit(1)
    ).first()
    return None if row is None else (str(json.loads(row.body)["rule"]), row.message)


def replies(connection: Connection) -> set[int]:
    """Quarantined mails that answer a mail of an alert."""
    told = message.alias("told")
    wanted = select(message.c.id).join(told, told.c.message_id == message.c.in_reply_to)
    quarantined = and_(message.c.state == MessageState.QUARANTINED, message.c.in_reply_to != "")
    return set(connection.execute(wanted.where(quarantined, told.c.kind == "alert")).scalars())


def last_batches(connection: Connection) -> list[Row[Any]]:
    """The last two runs of the night, the newest first."""
    return list(connection.execute(select(batch).order_by(batch.c.id.desc()).limit(2)))


def _listed(connection: Connection, which: Any, limit: int | None = None) -> list[Alert]:
    speaks = case((exchange.c.fault_code == _OF_EARNEST, "P"), else_=func.coalesce(exchange.c.usage, ""))
    rows = connection.execute(
        select(alert, speaks.label("usage"))
        .join(exchange, exchange.c.id == alert.c.exchange, isouter=True)
        .where(which, alert.c.kind != RULE)
        .order_by(alert.c.id.desc())
        .limit(limit)
    ).mappings()
    return [_alert(dict(row)) for row in rows]


def _alert(row: Mapping[str, Any]) -> Alert:
    values = {name: row[name] for name in Alert.__struct_fields__}
    return Alert(**(values | {"told": json.loads(row["told"] or "{}")}))


def _memory(row: Mapping[str, Any]) -> Memory:
    return Memory(
        id=row["id"],
        at=row["at"],
        state=row["state"],
        next_at=row["next_at"] or 0,
        attempts=row["attempts"],
        number=row["count"],
        told_at=row["told_at"],
        trouble=row["subject"],
        pending=json.loads(row["told"]) if row["told"] else None,
        message=row["message"],
    )
