"""What the ledger shows of the traffic with a partner, gathered for the question why nothing flows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct, field
from sqlalchemy import Column, Connection, Row, func, or_, select

from gateway.flow.check_running import workers_at_work
from gateway.flow.context import Context
from gateway.flow.stops import waiting_while
from gateway.ledger import tables
from gateway.ledger.alerts import Alert, of_kinds
from gateway.ledger.at_rest import opened_sentences
from gateway.ledger.awaited import Awaited, awaited
from gateway.ledger.missing import arrivals_of, gaps_of
from gateway.ledger.states import ExchangeState, MessageState
from partners.learning import company
from partners.model import Identity, Partner
from partners.onboarding_likeness import difference

_MAILS = 2_000  # the newest, among which a partner's last one is looked for
_LOOKED_AT = 500  # quarantined mails and interchanges, and exchanges of the partner: the newest
_SHOWN = 5
_FEW = 200
HOSTS = ("smtp", "mailbox", "login", "no access", "configuration")  # kinds of alerts of what all mail goes through
_TROUBLES = (ExchangeState.BOUNCED, ExchangeState.FAILED, ExchangeState.IN_DOUBT)
_TAKEN = (ExchangeState.ACCEPTED, ExchangeState.DELIVERED, ExchangeState.RECONCILED)


class Refusal(Struct, frozen=True):
    """A mail or interchange in quarantine that is, or seems to be, the partner's."""

    reference: str
    at: int
    code: str
    reason: str
    address: str
    control_number: str = ""
    sender: Identity | None = None
    receiver: Identity | None = None


class Trouble(Struct, frozen=True):
    """An exchange that went wrong."""

    reference: int
    at: int
    control_number: str
    reason: str


class Evidence(Struct, frozen=True):
    """Everything that was found; times are ms since 1970 UTC, None for never."""

    last_batch: int | None = None
    met: tuple[tuple[str, str], ...] = ()  # what keeps a mailbox or host from us: a sentence, and the next command
    workers: bool = False  # they do what is due, without batches
    last_mail: int | None = None
    last_mailbox: str = ""
    any_mail: int | None = None
    any_mailbox: str = ""
    last_accepted: int | None = None
    last_sent: int | None = None
    refusals: tuple[Refusal, ...] = ()
    rejected: Trouble | None = None
    refused_by_them: Trouble | None = None
    troubles: dict[str, Trouble] = field(default_factory=dict)
    waiting: int = 0
    waiting_tried: int = 0
    kept_back: int = 0  # of those that wait, for as long as the partner has its status
    undelivered: int = 0
    awaited: tuple[Awaited, ...] = ()
    gaps: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()


def evidence_of(context: Context, partner: Partner) -> Evidence:
    """Asks the ledger, by its indexes and for a bounded number of rows each."""
    with context.ledger.reading() as connection:
        rows = _exchanges(connection, partner.key)
        came = [row for row in rows if row.direction == "in"]
        went = [row for row in rows if row.direction == "out"]
        mail, any_mail = _last_mail(connection, partner, came), _any_mail(connection)
        waiting, tried = _waiting(connection, partner.key)
        return Evidence(
            last_batch=connection.execute(select(func.max(tables.batch.c.started_at))).scalar(),
            met=tuple((each.subject, each.next_command) for each in hosts_away(connection, partner.key)),
            workers=workers_at_work(connection, context.clock()),
            last_mail=mail.at if mail else None,
            last_mailbox=mail.mailbox if mail else "",
            any_mail=any_mail.at if any_mail else None,
            any_mailbox=any_mail.mailbox if any_mail else "",
            last_accepted=max((row.at for row in came if row.state in _TAKEN), default=None),
            last_sent=max((row.handed_over_at for row in went if row.handed_over_at is not None), default=None),
            refusals=tuple(_refusals(connection, partner, came)),
            rejected=_rejected(connection, came),
            refused_by_them=_refused_by_them(connection, went),
            troubles=_troubles(went),
            waiting=waiting,
            waiting_tried=tried,
            kept_back=waiting_while(connection, partner, partner.status),
            undelivered=sum(row.state == ExchangeState.ACCEPTED and bool(row.fault_code) for row in came),
            awaited=tuple(awaited(context.ledger.engine, partner=partner.key, now=context.clock())),
            gaps=tuple(
                f"{each.what[0].upper()}{each.what[1:]}."
                for each in gaps_of(connection, partner.key)
                if each.raised_at is not None
            ),
            missed=tuple(
                f"{each.rule} did not come."
                for each in arrivals_of(connection, partner.key, _FEW)
                if each.state == "missed"
            ),
        )


def hosts_away(connection: Connection, partner: str, kinds: Iterable[str] = HOSTS) -> list[Alert]:
    """What batches or workers met last that keeps a mailbox or the SMTP host from us, the newest first."""
    return [each for each in of_kinds(connection, kinds) if each.partner in {"", partner}]


def _exchanges(connection: Connection, key: str) -> Sequence[Row[*tuple[Any, ...]]]:
    """The newest exchanges of the partner, the newest first."""
    x = tables.exchange.c
    wanted = select(*_columns()).where(x.partner == key)
    return connection.execute(wanted.order_by(x.at.desc(), x.id.desc()).limit(_LOOKED_AT)).all()


def _columns() -> Sequence[Column[Any]]:
    x = tables.exchange.c
    return (
        *(x.id, x.at, x.direction, x.kind, x.state, x.partner, x.message, x.from_address, x.control_number),
        *(x.sender_qualifier, x.sender_id, x.receiver_qualifier, x.receiver_id),
        *(x.fault_code, x.fault, x.handed_over_at, x.settled_at),
    )


def _last_mail(
    connection: Connection, partner: Partner, came: Sequence[Row[*tuple[Any, ...]]]
) -> Row[*tuple[Any, ...]] | None:
    """The partner's newest mail: among all of late, also those that carried no interchange; else by its exchanges."""
    m = tables.message.c
    columns = (m.at, m.mailbox, m.direction, m.partner, m.from_address)
    late = select(*columns).order_by(m.at.desc()).limit(_MAILS).subquery().c
    addresses = [each.lower() for each in partner.addresses]
    theirs = or_(late.partner == partner.key, func.lower(late.from_address).in_(addresses))
    wanted = select(late.at, late.mailbox).where(late.direction == "in", theirs).order_by(late.at.desc()).limit(1)
    found = connection.execute(wanted).one_or_none()
    newest = next((row.message for row in came if row.message is not None), None)
    if found is not None or newest is None:
        return found
    return connection.execute(select(m.at, m.mailbox).where(m.id == newest)).one_or_none()


def _any_mail(connection: Connection) -> Row[*tuple[Any, ...]] | None:
    """The newest mail that any mailbox received, of whomever."""
    m = tables.message.c
    newest = connection.execute(select(m.at, m.mailbox, m.direction).order_by(m.at.desc()).limit(_FEW)).all()
    return next((row for row in newest if row.direction == "in"), None)


def _waiting(connection: Connection, key: str) -> tuple[int, int]:
    o = tables.outgoing.c
    row = connection.execute(select(func.count(), func.max(o.attempts)).where(o.partner == key)).one()
    return int(row[0]), int(row[1] or 0)


def _refusals(connection: Connection, partner: Partner, came: Sequence[Row[*tuple[Any, ...]]]) -> Iterator[Refusal]:
    """What is in quarantine and the partner's: by its key, its domain, or an identity like one of its own."""
    m, x = tables.message.c, tables.exchange.c
    mails = connection.execute(
        select(m.id, m.at, m.partner, m.from_address, m.fault_code, m.fault)
        .where(m.state == MessageState.QUARANTINED, m.direction == "in")
        .order_by(m.id.desc())
        .limit(_LOOKED_AT)
    ).all()
    ids = [row.id for row in mails]
    within = connection.execute(
        select(*_columns()).where(x.message.in_(ids), x.state == ExchangeState.QUARANTINED).order_by(x.id)
    ).all()
    inside = {row.message: row for row in reversed(within)}
    found = [_of_mail(row, inside.get(row.id)) for row in mails if _is_theirs(partner, row, inside.get(row.id))]
    quarantined = set(ids)
    alone = [row for row in came if row.state == ExchangeState.QUARANTINED and row.message not in quarantined]
    found += [_of_exchange(row) for row in alone]
    yield from sorted(found, key=lambda each: -each.at)[:_SHOWN]


def _is_theirs(partner: Partner, row: Row[*tuple[Any, ...]], inside: Row[*tuple[Any, ...]] | None) -> bool:
    domain = row.from_address.lower().rpartition("@")[2]
    # Where everybody has an address, a domain tells of nobody.
    domains = {each.lower().rpartition("@")[2] for each in partner.addresses if company(each.rpartition("@")[2])}
    if row.partner == partner.key or domain in domains:
        return True
    sender = _identity(inside.sender_qualifier, inside.sender_id) if inside is not None else None
    return sender is not None and any(sender == each or difference(sender, each) for each in partner.identities)


def _of_mail(row: Row[*tuple[Any, ...]], inside: Row[*tuple[Any, ...]] | None) -> Refusal:
    reference = f"m{row.id}"
    if inside is None:
        return Refusal(reference, row.at, row.fault_code, _sentence(row.fault), row.from_address)
    return Refusal(
        reference,
        row.at,
        row.fault_code,
        _sentence(row.fault),
        row.from_address,
        inside.control_number,
        _identity(inside.sender_qualifier, inside.sender_id),
        _identity(inside.receiver_qualifier, inside.receiver_id),
    )


def _of_exchange(row: Row[*tuple[Any, ...]]) -> Refusal:
    return Refusal(
        str(row.id),
        row.at,
        row.fault_code,
        _sentence(row.fault),
        row.from_address,
        row.control_number,
        _identity(row.sender_qualifier, row.sender_id),
        _identity(row.receiver_qualifier, row.receiver_id),
    )


def _identity(qualifier: str, id_: str) -> Identity | None:
    return Identity.of(qualifier, id_) if id_ else None


def _rejected(connection: Connection, came: Sequence[Row[*tuple[Any, ...]]]) -> Trouble | None:
    """The newest interchange that we rejected, with the first thing that is wrong with it."""
    row = next((row for row in came if row.state == ExchangeState.REJECTED and row.settled_at is None), None)
    if row is None:
        return None
    f = tables.finding.c
    wanted = (
        select(f.code, f.segment, f.element).where(f.exchange == row.id, f.level == "error").order_by(f.id).limit(1)
    )
    first = connection.execute(wanted).one_or_none()
    place = f" in {first.segment}{f'{first.element:02}' if first.element else ''}" if first and first.segment else ""
    return Trouble(row.id, row.at, row.control_number, f"{first.code}{place}." if first else "see what was found.")


def _refused_by_them(connection: Connection, went: Sequence[Row[*tuple[Any, ...]]]) -> Trouble | None:
    """The newest of ours that the partner rejected, with the first sentence of its acknowledgment."""
    row = next((row for row in went if row.state == ExchangeState.REFUSED and row.settled_at is None), None)
    if row is None:
        return None
    a = tables.acknowledgment.c
    texts = connection.execute(select(a.errors).where(a.exchange == row.id).order_by(a.id)).scalars()
    first = next((error for text in texts for error in opened_sentences(connection, text)), "")
    return Trouble(row.id, row.at, row.control_number, str(first))


def _troubles(went: Sequence[Row[*tuple[Any, ...]]]) -> dict[str, Trouble]:
    found: dict[str, Trouble] = {}
    for row in went:
        if row.state in _TROUBLES and row.settled_at is None:
            found.setdefault(row.state, Trouble(row.id, row.at, row.control_number, _sentence(row.fault)))
    return found


def _sentence(fault: str) -> str:
    """The sentence of a fault that is kept as JSON."""
    try:
        return str(json.loads(fault).get("message", "")) if fault else ""
    except (ValueError, AttributeError):
        return fault
