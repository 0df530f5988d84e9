"""What is due, computed from the ledger alone: any process may be killed, the next one asks here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select

from gateway.errors import NotFound
from gateway.ledger import archive
from gateway.ledger.archive import Raw
from gateway.ledger.literals import word
from gateway.ledger.states import MessageState
from gateway.ledger.stops import Stops, may_go
from gateway.ledger.tables import (
    content,
    event,
    exchange,
    expectation,
    functional_group,
    message,
    outgoing,
    transaction_set,
)
from gateway.ledger.waiting import DUE

TAKEN_AS_TEST = "taken-as-test"  # the event of an interchange that is a test whatever its ISA15 says

_DAY = 86_400_000  # ms
_RAW = (content.c.bytes, content.c.pieces, content.c.cipher)


class StoredMessage(Struct, frozen=True):
    """A collected mail that waits to be processed. A big one is a view of a file, not in memory."""

    id: int
    at: int
    mailbox: str
    host: str
    user: str
    sha256: str
    attempts: int
    raw: Raw


class DueSet(Struct, frozen=True):
    """An accepted transaction set that the business does not have yet."""

    id: int
    exchange: int
    agreement: str
    set_id: str
    control_number: str
    group_control_number: str
    group_start: int
    start: int
    end: int
    versions: tuple[str, ...]  # ST03, where there is one, and GS08


class DueExchange(Struct, frozen=True):
    """An inbound exchange with sets that are due for delivery."""

    id: int
    partner: str
    sha256: str
    size: int
    sender: str
    receiver: str
    control_number: str
    message_id: str
    file_name: str
    sets: tuple[DueSet, ...]
    usage: str = ""  # ISA15
    test: bool = False  # it must never mix with documents in earnest


class DueMail(Struct, frozen=True):
    """An outgoing mail whose time has come, or which a dead process left behind as ``sending``.

    ``rest``: some recipients have it already; ``recipients`` are those that were refused for a time. ``refused``: the
    partner refused it when it went before. ``redirected``: it goes elsewhere than was written when it was made.
    ``types`` and ``versions`` are ST01 and GS08 of a document, with blanks between; of what is none they are empty.
    """

    exchange: int
    message: int
    partner: str
    agreement: str
    kind: str
    control_number: str
    attempts: int
    envelope_sender: str
    recipients: tuple[str, ...]
    raw_sha256: str
    rest: bool = False
    refused: bool = False
    redirected: bool = False
    types: str = ""
    versions: str = ""


class Overdue(Struct, frozen=True):
    """An acknowledgment that did not come in time. ``within`` (ms) is what was agreed; ``overdue_at``: said already."""

    exchange: int
    kind: str
    partner: str
    due_at: int
    state: str
    agreement: str
    within: int
    overdue_at: int | None
    types: str  # ST01
    versions: str  # GS08


def stored_messages(
    connection: Connection, limit: int, size: int, attempts: int, directory: Path | None = None
) -> list[StoredMessage]:
    """The oldest messages that wait to be processed and were tried fewer than ``attempts`` times.

    At most ``limit`` of them and ``size`` bytes together, but always one if there is one. Big ones are unpacked
    into nameless files in ``directory``.
    """
    waiting = connection.execute(
        select(message.c.id, message.c.size)
        .where(message.c.state == MessageState.STORED, message.c.attempts < attempts)
        .order_by(message.c.id)
        .limit(limit)
    ).all()
    return read_messages(connection, [row.id for row in fitting(waiting, size)], directory)


def fresh_messages(connection: Connection, limit: int, size: int, after: int = 0) -> list[int]:
    """The oldest messages that wait to be processed and were never tried, of numbers above ``after``.

    At most ``limit`` of them and ``size`` bytes together, but always one if there is one.
    """
    waiting = connection.execute(
        select(message.c.id, message.c.size)
        .where(message.c.state == MessageState.STORED, message.c.attempts == 0, message.c.id > after)
        .order_by(message.c.id)
        .limit(limit)
    ).all()
    return [row.id for row in fitting(waiting, size)]


def fitting(rows: Sequence[Row[*tuple[Any, ...]]], size: int) -> list[Row[*tuple[Any, ...]]]:
    """The first rows whose ``size`` comes to no more than that together, but always one if there is one."""
    return [row for row, before in zip(rows, _sums(row.size for row in rows), strict=True) if before < size]


def read_messages(connection: Connection, ids: Sequence[int], directory: Path | None = None) -> list[StoredMessage]:
    """These received messages with their raw bytes, oldest first."""
    rows = connection.execute(
        select(message, *_RAW)
        .join(content, content.c.sha256 == message.c.sha256)
        .where(message.c.id.in_(ids))
        .order_by(message.c.id)
    ).all()
    return [
        StoredMessage(
            row.id,
            row.at,
            row.mailbox,
            row.host,
            row.user,
            row.sha256,
            row.attempts,
            archive.raw(connection, row, directory),
        )
        for row in rows
    ]


def stored_message(connection: Connection, number: int, directory: Path | None = None) -> StoredMessage:
    """One received mail as if it had never been processed, whatever its state.

    Raises:
        NotFound: there is none of that number, or its bytes were put away.
    """
    row = connection.execute(
        select(message, *_RAW)
        .outerjoin(content, content.c.sha256 == message.c.sha256)
        .where(message.c.id == number, message.c.direction == "in")
    ).one_or_none()
    if row is not None and row.bytes is None:
        archive.read(connection, [row.sha256])  # says so, where its bytes were put away
    if row is None or row.bytes is None:
        raise NotFound(what="received message", key=f"m{number}")
    raw = archive.raw(connection, row, directory)
    return StoredMessage(row.id, row.at, row.mailbox, row.host, row.user, row.sha256, 0, raw)


def _sums(sizes: Iterable[int]) -> Iterator[int]:
    """For each size, how much the ones before it come to."""
    before = 0
    for size in sizes:
        yield before
        before += size


def exhausted_messages(connection: Connection, attempts: int) -> list[int]:
    """Messages whose processing ended a process ``attempts`` times: poison."""
    return list(
        connection.execute(
            select(message.c.id).where(message.c.state == MessageState.STORED, message.c.attempts >= attempts)
        ).scalars()
    )


def due_deliveries(
    connection: Connection, limit: int, size: int, after: int = 0, partner: str | None = None
) -> list[DueExchange]:
    """Exchanges with accepted sets that are not delivered, oldest first, beginning after exchange ``after``.

    At most ``limit`` of them and ``size`` bytes together, but always one if there is one. ``partner``: only theirs.
    """
    wanted = select(transaction_set.c.exchange).where(DUE, transaction_set.c.exchange > after)
    if partner is not None:
        wanted = wanted.join(exchange, exchange.c.id == transaction_set.c.exchange).where(exchange.c.partner == partner)
    rows = connection.execute(
        select(
            transaction_set,
            functional_group.c.control_number.label("group_number"),
            functional_group.c.start.label("group_start"),
            functional_group.c.version.label("group_version"),
            exchange.c.partner,
            exchange.c.sha256,
            exchange.c.size,
            exchange.c.sender_qualifier,
            exchange.c.sender_id,
            exchange.c.receiver_qualifier,
            exchange.c.receiver_id,
            exchange.c.control_number.label("interchange_number"),
            exchange.c.message_id,
            exchange.c.file_name,
            exchange.c.usage,
        )
        .join(functional_group, functional_group.c.id == transaction_set.c.functional_group)
        .join(exchange, exchange.c.id == transaction_set.c.exchange)
        .where(
            DUE,
            transaction_set.c.exchange.in_(wanted.distinct().order_by(transaction_set.c.exchange).limit(limit)),
        )
        .order_by(transaction_set.c.exchange, transaction_set.c.id)
    ).all()
    tests = _taken_as_tests(connection, {row.exchange for row in rows if row.usage != "T"})
    found: dict[int, DueExchange] = {}
    for row in rows:
        due = due_set(row)
        before = found.get(row.exchange)
        found[row.exchange] = DueExchange(
            row.exchange,
            row.partner,
            row.sha256,
            row.size,
            f"{row.sender_qualifier}:{row.sender_id}",
            f"{row.receiver_qualifier}:{row.receiver_id}",
            row.interchange_number,
            row.message_id,
            row.file_name,
            (*(before.sets if before else ()), due),
            row.usage,
            row.usage == "T" or row.exchange in tests,
        )
    whole = list(found.values())
    return [each for each, before in zip(whole, _sums(each.size for each in whole), strict=True) if before < size]


def due_set(row: Row[Any]) -> DueSet:
    """A set from its row, with the number, the start and the version of its group."""
    return DueSet(
        row.id,
        row.exchange,
        row.agreement,
        row.set_id,
        row.control_number,
        row.group_number,
        row.group_start,
        row.start,
        row.end,
        tuple(each for each in (row.implementation, row.group_version) if each),
    )


def taken_as_test() -> ColumnElement[bool]:
    """Whether an exchange was taken as a test although ISA15 says production, for a statement about exchanges."""
    asked = select(event.c.seq).where(event.c.exchange == exchange.c.id, event.c.kind == word(TAKEN_AS_TEST))
    return asked.correlate(exchange).exists()


def _taken_as_tests(connection: Connection, exchanges: Iterable[int]) -> set[int]:
    """Which of these were taken as a test although ISA15 says production."""
    wanted = sorted(exchanges)
    if not wanted:
        return set()
    asked = select(event.c.exchange).where(event.c.exchange.in_(wanted), event.c.kind == TAKEN_AS_TEST)
    return set(connection.execute(asked).scalars())


def partners_to_deliver(connection: Connection) -> list[str]:
    """The partners of whom accepted sets are not delivered."""
    due = select(transaction_set.c.exchange).where(DUE)
    found = select(exchange.c.partner).where(exchange.c.id.in_(due)).distinct().order_by(exchange.c.partner)
    return list(connection.execute(found).scalars())


def partners_to_mail(
    connection: Connection,
    now: int,
    limit: int,
    skip: Iterable[int] = (),
    without: Iterable[str] = (),
    stops: Stops = Stops(),  # noqa: B008 - it is frozen
) -> list[str]:
    """The partners whose mails are due, or were being sent, those who wait longest first.

    ``skip`` are exchanges, and ``without`` partners, to leave out; what ``stops`` keep back is not due.
    """
    ready = and_(
        outgoing.c.state == "ready",
        outgoing.c.next_at <= now,
        outgoing.c.exchange.not_in(list(skip)),
        may_go(stops),
    )
    found = (
        select(outgoing.c.partner)
        .where(or_(ready, outgoing.c.state == "sending"), outgoing.c.partner.not_in(list(without)))
        .group_by(outgoing.c.partner)
        .order_by(func.min(outgoing.c.exchange))
        .limit(limit)
    )
    return list(connection.execute(found).scalars())


def due_mails(
    connection: Connection,
    now: int,
    limit: int,
    skip: Iterable[int] = (),
    without: Iterable[str] = (),
    only: Iterable[str] | None = None,
    stops: Stops = Stops(),  # noqa: B008 - it is frozen
) -> list[DueMail]:
    """Mails that are ready and due, in the order in which they were numbered.

    ``skip`` are exchanges, and ``without`` partners, to leave out; ``only`` partners to look at; what ``stops`` keep
    back is not due.
    """
    ready = and_(
        outgoing.c.state == "ready",
        outgoing.c.next_at <= now,
        outgoing.c.exchange.not_in(list(skip)),
        outgoing.c.partner.not_in(list(without)),
        may_go(stops),
    )
    if only is not None:
        ready = and_(ready, outgoing.c.partner.in_(list(only)))
    return _mails(connection, ready, limit)


def taken_since(connection: Connection, moment: int) -> int:
    """How many mails the SMTP host took since ``moment`` (ms since 1970 UTC), of those that are not over a day old."""
    recent = and_(exchange.c.at > moment - _DAY, exchange.c.handed_over_at > moment)
    return connection.execute(select(func.count()).select_from(exchange).where(recent)).scalar_one()


def interrupted_mails(connection: Connection, partner: str | None = None) -> list[DueMail]:
    """Mails that a process was handing over when it died: nobody knows whether the host took them.

    Where others may be sending now, only those of a ``partner`` whose lease is ours are known to be interrupted.
    """
    sending = outgoing.c.state == "sending"
    return _mails(connection, sending if partner is None else and_(sending, outgoing.c.partner == partner), None)


def _mails(connection: Connection, which: object, limit: int | None) -> list[DueMail]:
    rows = connection.execute(
        select(
            outgoing,
            message.c.sha256,
            exchange.c.agreement,
            exchange.c.kind,
            exchange.c.control_number,
            exchange.c.to_addresses,
            exchange.c.verdict,
            exchange.c.types,
            exchange.c.versions,
        )
        .join(message, message.c.id == outgoing.c.message)
        .join(exchange, exchange.c.id == outgoing.c.exchange)
        .where(which)  # type: ignore[arg-type]
        .order_by(outgoing.c.exchange)
        .limit(limit)
    )
    return [
        DueMail(
            row.exchange,
            row.message,
            row.partner,
            row.agreement,
            row.kind,
            row.control_number,
            row.attempts,
            row.envelope_sender,
            tuple(json.loads(row.recipients)),
            row.sha256,
            json.loads(row.recipients) != json.loads(row.to_addresses),
            row.verdict == "rejected",
            types=row.types if row.kind == "document" else "",
            versions=row.versions if row.kind == "document" else "",
        )
        for row in rows
    ]


def newly_overdue(connection: Connection, now: int) -> list[Overdue]:
    """Acknowledgments whose time has passed and for which that was not said before."""
    return _overdue(connection, and_(expectation.c.due_at < now, expectation.c.overdue_at.is_(None)))


def long_overdue(connection: Connection) -> list[Overdue]:
    """Acknowledgments that are overdue, and that nobody called urgent yet."""
    return _overdue(connection, and_(expectation.c.overdue_at.is_not(None), expectation.c.escalated_at.is_(None)))


def _overdue(connection: Connection, which: ColumnElement[bool]) -> list[Overdue]:
    e, x = expectation.c, exchange.c
    columns = (
        e.exchange,
        e.kind,
        e.partner,
        e.due_at,
        x.state,
        x.agreement,
        e.within,
        e.overdue_at,
        x.types,
        x.versions,
    )
    rows = connection.execute(select(*columns).join(exchange, x.id == e.exchange).where(which).order_by(e.due_at))
    return [Overdue(**row) for row in rows.mappings()]
