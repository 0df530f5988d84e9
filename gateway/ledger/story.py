"""The whole story of one exchange or mail: what it is, what became of it, and everything that happened to it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, or_, select

from gateway.errors import NotFound
from gateway.ledger import archive
from gateway.ledger.database import reading
from gateway.ledger.events import Event, event_of
from gateway.ledger.moments import iso
from gateway.ledger.query import number_forms
from gateway.ledger.rows import ExchangeRow, MessageRow
from gateway.ledger.sealing import opened_text
from gateway.ledger.search import exchange_on, message_on
from gateway.ledger.tables import (
    acknowledgment,
    business_key,
    event,
    exchange,
    expectation,
    finding,
    functional_group,
    message,
    receipt,
    transaction_set,
)


@dataclass(frozen=True, slots=True)
class FindingStory:
    """One thing wrong, as it was found; numbers are 0 where they do not apply."""

    level: str
    code: str
    x12: str
    scope: str
    segment: str
    position: int
    loop: str
    element: int
    component: int
    repetition: int
    offset: int
    value: str
    message: str


@dataclass(frozen=True, slots=True)
class SetStory:
    """A transaction set: our verdict or the partner's, where it was delivered, its keys and findings."""

    set_id: str
    control_number: str
    implementation: str
    guideline: str
    agreement: str
    status: str
    segments: int
    acknowledged: str
    acknowledged_at: int | None
    delivery: str
    delivered_to: str
    delivered_at: int | None
    keys: tuple[tuple[str, str], ...] = ()
    findings: tuple[FindingStory, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupStory:
    """A functional group with its sets and the findings of its own envelope."""

    functional_id: str
    application_sender: str
    application_receiver: str
    control_number: str
    version: str
    status: str
    acknowledged: str
    acknowledged_at: int | None
    sets: tuple[SetStory, ...] = ()
    findings: tuple[FindingStory, ...] = ()


@dataclass(frozen=True, slots=True)
class AcknowledgmentStory:
    """What one TA1, 997 or 999 said: ``carrier`` is the exchange it came in, ``exchange`` the one it speaks of."""

    at: int
    carrier: int
    exchange: int | None
    kind: str
    status: str
    codes: str
    errors: tuple[str, ...]
    names: str
    relation: str


@dataclass(frozen=True, slots=True)
class ReceiptStory:
    """What a receipt (MDN) said. ``direction`` is in for one of the partner's, out for one that we gave."""

    at: int
    direction: str
    message: int  # the mail that carries it
    disposition: str
    modifier: str
    mic: str
    mic_matches: str
    signed_by: str  # the fingerprint of the certificate that proved it
    relation: str


@dataclass(frozen=True, slots=True)
class AwaitedStory:
    """An acknowledgment that is still awaited. ``due_at`` is None until the exchange is handed over."""

    kind: str
    due_at: int | None
    overdue_at: int | None


@dataclass(frozen=True, slots=True)
class RelatedStory:
    """Another exchange, and what it is to this one: ``duplicate of``, ``answered by`` and so on."""

    relation: str
    id: int
    at: int
    direction: str
    types: tuple[str, ...]
    control_number: str
    state: str


@dataclass(frozen=True, slots=True)
class Story:
    """One exchange with all that belongs to it. ``findings`` are those of the interchange's own envelope."""

    exchange: ExchangeRow
    groups: tuple[GroupStory, ...]
    findings: tuple[FindingStory, ...]
    answered: tuple[AcknowledgmentStory, ...]  # what was said of it
    answering: tuple[AcknowledgmentStory, ...]  # what it said of others
    awaited: tuple[AwaitedStory, ...]
    receipts: tuple[ReceiptStory, ...]
    related: tuple[RelatedStory, ...]
    events: tuple[Event, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: one document, times in ISO 8601."""
        parts = {
            name: _plain([asdict(each) for each in getattr(self, name)])
            for name in ("groups", "findings", "answered", "answering", "awaited", "receipts", "related")
        }
        return self.exchange.as_dict() | parts | {"events": [each.as_dict() for each in self.events]}


@dataclass(frozen=True, slots=True)
class MessageStory:
    """One mail, the exchanges that it led to, and what happened to the mail itself."""

    message: MessageRow
    exchanges: tuple[RelatedStory, ...]
    events: tuple[Event, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: one document, times in ISO 8601."""
        return self.message.as_dict() | {
            "exchanges": _plain([asdict(each) for each in self.exchanges]),
            "events": [each.as_dict() for each in self.events],
        }


def story(engine: Engine, number: int) -> Story:
    """The story of an exchange.

    Raises:
        NotFound: there is no such exchange.
        DatabaseUnavailable: with the reason.
    """
    with reading(engine) as connection:
        row = exchange_on(connection, number)
        if row is None:
            raise NotFound(what="exchange", key=number)
        findings = _findings(connection, number)
        return Story(
            exchange=row,
            groups=_groups(connection, number, findings),
            findings=findings[None, None],
            answered=_acknowledgments(connection, acknowledgment.c.exchange == number),
            answering=_acknowledgments(connection, acknowledgment.c.carrier == number),
            awaited=_awaited(connection, number),
            receipts=_receipts(connection, row),
            related=_related(connection, row),
            events=_events(connection, number, row.message),
        )


def message_story(engine: Engine, number: int) -> MessageStory:
    """The story of a mail.

    Raises:
        NotFound: there is no such mail.
        DatabaseUnavailable: with the reason.
    """
    with reading(engine) as connection:
        row = message_on(connection, number)
        if row is None:
            raise NotFound(what="message", key=f"m{number}")
        carried = _others(connection, "carries", exchange.c.message == number)
        events = connection.execute(select(event).where(event.c.message == number).order_by(event.c.seq)).mappings()
        return MessageStory(row, tuple(carried), tuple(event_of(dict(each)) for each in events))


def exchange_ids_for(engine: Engine, text: str) -> list[int]:
    """The exchanges that a person means, newest first; none where nothing fits.

    Tried in this order, and the first that fits anything decides: the number of an exchange (without leading zeros),
    an ISA13 or GS06 control number, a Message-ID (with or without angle brackets), a business key.

    Raises:
        DatabaseUnavailable: with the reason.
    """
    wanted = text.strip()
    if not wanted or "\0" in wanted or not _is_utf8(wanted):
        return []
    x = exchange.c
    ways: list[ColumnElement[bool]] = []
    if wanted.isascii() and wanted.isdigit() and not wanted.startswith("0") and len(wanted) <= 18:
        ways.append(x.id == int(wanted))
    bare = wanted.removeprefix("<").removesuffix(">")
    groups = select(functional_group.c.exchange).where(functional_group.c.control_number.in_(number_forms(wanted)))
    keys = select(business_key.c.exchange).where(business_key.c.value == wanted)
    ways += [x.control_number.in_(number_forms(wanted)), x.id.in_(groups), x.message_id.in_([bare, f"<{bare}>"])]
    ways.append(x.id.in_(keys))
    with reading(engine) as connection:
        for way in ways:
            found = connection.execute(select(x.id).where(way).order_by(x.at.desc(), x.id.desc())).scalars().all()
            if found:
                return list(found)
    return []


def message_ids_for(engine: Engine, text: str) -> list[int]:
    """The mails with that Message-ID, newest first."""
    bare = text.strip().removeprefix("<").removesuffix(">")
    if not bare or "\0" in bare or not _is_utf8(bare):
        return []
    m = message.c
    with reading(engine) as connection:
        statement = select(m.id).where(m.message_id.in_([bare, f"<{bare}>"])).order_by(m.at.desc(), m.id.desc())
        return list(connection.execute(statement).scalars())


def raw_bytes(engine: Engine, sha256: str) -> bytes:
    """The kept bytes with that hash: an interchange or a whole mail.

    Raises:
        NotFound: they are not kept (any more).
    """
    with reading(engine) as connection:
        found = archive.read(connection, [sha256])
    if sha256 not in found:
        raise NotFound(what="content", key=sha256)
    return found[sha256]


def mail_of(engine: Engine, number: int) -> bytes:
    """The raw mail that carried an exchange.

    Raises:
        NotFound: there is no such exchange, or it has no mail.
    """
    with reading(engine) as connection:
        joined = message.join(exchange, exchange.c.message == message.c.id)
        name = connection.execute(select(message.c.sha256).select_from(joined).where(exchange.c.id == number)).scalar()
    if name is None:
        raise NotFound(what="mail of exchange", key=number)
    return raw_bytes(engine, name)


# ---------------------------------------------------------------- parts

_Findings = dict[tuple[int | None, int | None], tuple[FindingStory, ...]]


def _groups(connection: Connection, number: int, findings: _Findings) -> tuple[GroupStory, ...]:
    keys: dict[int, list[tuple[str, str]]] = defaultdict(list)
    k = business_key.c
    for row in connection.execute(select(k.transaction_set, k.name, k.value).where(k.exchange == number)):
        keys[row[0]].append((row[1], row[2]))
    s = transaction_set.c
    sets: dict[int, list[SetStory]] = defaultdict(list)
    for each in connection.execute(select(transaction_set).where(s.exchange == number).order_by(s.ordinal, s.id)):
        told = SetStory(**_fields(SetStory, each._mapping))  # noqa: SLF001 - SQLAlchemy's public accessor
        mine = findings.get((each.functional_group, each.id), ()) or findings.get((None, each.id), ())
        sets[each.functional_group].append(replace(told, keys=tuple(sorted(keys[each.id])), findings=mine))
    g = functional_group.c
    groups = []
    for each in connection.execute(select(functional_group).where(g.exchange == number).order_by(g.ordinal, g.id)):
        told_group = GroupStory(**_fields(GroupStory, each._mapping) | {"sets": tuple(sets[each.id])})  # noqa: SLF001
        groups.append(replace(told_group, findings=findings.get((each.id, None), ())))
    return tuple(groups)


def _findings(connection: Connection, number: int) -> _Findings:
    """The findings by group and set; those of the interchange itself under (None, None)."""
    found: dict[tuple[int | None, int | None], list[FindingStory]] = defaultdict(list)
    found[None, None] = []
    for each in connection.execute(select(finding).where(finding.c.exchange == number).order_by(finding.c.id)):
        told = FindingStory(**_fields(FindingStory, each._mapping))  # noqa: SLF001
        told = replace(told, value=opened_text(connection, told.value))
        found[each.functional_group, each.transaction_set].append(told)
    return {place: tuple(told) for place, told in found.items()}


def _acknowledgments(connection: Connection, which: ColumnElement[bool]) -> tuple[AcknowledgmentStory, ...]:
    rows = connection.execute(select(acknowledgment).where(which).order_by(acknowledgment.c.id)).mappings()
    return tuple(
        AcknowledgmentStory(**_fields(AcknowledgmentStory, row) | {"errors": _sentences(row["errors"])}) for row in rows
    )


def _awaited(connection: Connection, number: int) -> tuple[AwaitedStory, ...]:
    rows = connection.execute(
        select(expectation).where(expectation.c.exchange == number).order_by(expectation.c.kind)
    ).mappings()
    return tuple(AwaitedStory(**_fields(AwaitedStory, row)) for row in rows)


def _receipts(connection: Connection, row: ExchangeRow) -> tuple[ReceiptStory, ...]:
    """The receipts for an exchange's mail; of one that came in, those that we gave."""
    which = receipt.c.exchange == row.id if row.direction == "out" else receipt.c.original == row.message
    rows = connection.execute(select(receipt).where(which).order_by(receipt.c.id)).mappings()
    return tuple(ReceiptStory(**_fields(ReceiptStory, each)) for each in rows)


def _related(connection: Connection, row: ExchangeRow) -> tuple[RelatedStory, ...]:
    x = exchange.c
    ways: list[tuple[str, ColumnElement[bool]]] = []
    if row.duplicate_of is not None:
        ways.append(("duplicate of", x.id == row.duplicate_of))
    if row.answers is not None:
        ways.append(("answers", x.id == row.answers))
    if row.repeats is not None:
        ways.append(("same document as", x.id == row.repeats))
    ways.append(("same document as the later", x.repeats == row.id))
    ways += [("repeated by", x.duplicate_of == row.id), ("answered by", x.answers == row.id)]
    if row.message is not None:
        ways.append(("came in the same mail as", and_(x.message == row.message, x.id != row.id)))
    return tuple(each for relation, which in ways for each in _others(connection, relation, which))


def _others(connection: Connection, relation: str, which: ColumnElement[bool]) -> list[RelatedStory]:
    x = exchange.c
    columns = (x.id, x.at, x.direction, x.types, x.control_number, x.state)
    rows = connection.execute(select(*columns).where(which).order_by(x.id))
    return [RelatedStory(relation, r.id, r.at, r.direction, tuple(r.types.split()), r[4], r.state) for r in rows]


def _events(connection: Connection, number: int, mail: int | None) -> tuple[Event, ...]:
    """What happened to the exchange, and to its mail as a whole."""
    mine = event.c.exchange == number
    if mail is not None:
        mine = or_(mine, and_(event.c.message == mail, event.c.exchange.is_(None)))
    rows = connection.execute(select(event).where(mine).order_by(event.c.seq)).mappings()
    return tuple(event_of(dict(row)) for row in rows)


def _fields(kind: type[Any], row: Any) -> dict[str, Any]:
    """The columns of a row that a value of ``kind`` has too."""
    return {name: row[name] for name in kind.__dataclass_fields__ if name in row}


def _sentences(stored: str) -> tuple[str, ...]:
    try:
        errors = json.loads(stored) if stored else []
    except ValueError:
        return (stored,)
    return tuple(str(each) for each in errors) if isinstance(errors, list) else (str(errors),)


def _plain(told: Sequence[Any]) -> list[Any]:
    """Times in ISO 8601, at any depth."""
    return [_plain_value("", each) for each in told]


def _plain_value(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain_value(key, each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value("", each) for each in value]
    return iso(value) if (name == "at" or name.endswith("_at")) and value is not None else value


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
