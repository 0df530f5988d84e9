"""What needs a person, each with its reason in a sentence and the command that comes next."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, Select, Table, and_, func, select, text

from gateway.ledger.alerts import cannot_tell
from gateway.ledger.at_rest import opened_sentences, opened_text
from gateway.ledger.missing import MISSED, RAISED, Arrival, Gap, missed_arrivals, raised_gaps
from gateway.ledger.needing import meaning_of, need_of, needs_a_person, places, those_in_need
from gateway.ledger.states import ExchangeState, MessageState
from gateway.ledger.tables import (
    acknowledgment,
    alert,
    arrival,
    exchange,
    expectation,
    finding,
    message,
    not_taken,
    number_gap,
)
from gateway.words import count

_NEXT: dict[ExchangeState, str] = {
    ExchangeState.QUARANTINED: "gateway quarantine show {ref}",
    ExchangeState.CONFLICT: "gateway quarantine show {ref}",
    ExchangeState.REJECTED: "gateway exchange show {ref}",
    ExchangeState.UNMATCHED: "gateway exchange show {ref}",
    ExchangeState.IN_DOUBT: "gateway exchange resolve {ref} --sent|--resend --why …",
    ExchangeState.REFUSED: "gateway exchange show {ref}",
    ExchangeState.OVERDUE: "gateway exchange resend {ref} --why …",
    ExchangeState.FAILED: "gateway exchange resend {ref} --why …",
    ExchangeState.BOUNCED: "gateway exchange resend {ref} --why …",
}
# Whose side it is on where no fault says so.
_SIDE: dict[str, str] = {
    ExchangeState.CONFLICT: "partner",
    ExchangeState.REJECTED: "partner",
    "partially accepted": "partner",
    ExchangeState.UNMATCHED: "partner",
    ExchangeState.OVERDUE: "partner",
    "receipt overdue": "partner",
    ExchangeState.REFUSED: "ours",
    "not delivered": "ours",
    ExchangeState.IN_DOUBT: "mail host",
    ExchangeState.FAILED: "mail host",
    ExchangeState.BOUNCED: "mail host",
}
_CHUNK = 500  # ids in one question


class Attention(Struct, frozen=True):
    """One thing that needs a person; ``urgent``: it was told before, and still stands.

    ``reference`` is what a command takes: ``m12`` for a message, ``34`` for an exchange, a mailbox's name, ``g5`` for
    a finding about numbers, ``e6`` for an expected file.
    ``reason`` may quote what a document holds; ``plain``, where there is one, says the same and quotes nothing.
    """

    reference: str
    state: str
    at: int
    partner: str
    what: str
    reason: str
    next_command: str
    urgent: bool = False
    exchange: int | None = None
    message: int | None = None
    side: str = ""  # ours, partner, mail host; empty: unknown
    plain: str = ""
    usage: str = ""  # ISA15 of its interchange
    code: str = ""  # of the fault that it has

    def as_dict(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            "reference": self.reference,
            "state": self.state,
            "at": self.at,
            "partner": self.partner,
            "what": self.what,
            "reason": self.reason,
            "next": self.next_command,
            "urgent": self.urgent,
        }


def attention(connection: Connection, limit: int = 1000, only: str = "") -> list[Attention]:
    """Everything that needs a person now: what is urgent, then the rest, each newest first.

    What a person settled or discarded is not in it. ``only``: of this partner alone, however much there is of others.
    Of more than ``limit`` the urgent ones stay, then the newest; ``left_out`` tells how many are not in it.
    """
    urgent = _urgent(connection, limit, only)
    rows = _rows(connection, limit, only, urgent)
    reasons = _reasons(connection, rows)
    found = [_of_exchange(row, reasons.get(row.id, _Reason()), urgent=row.id in urgent) for row in rows]
    found += [
        _of_message(row)
        for row in connection.execute(
            select(message).where(_messages(), *_of(message, only)).order_by(message.c.id.desc()).limit(limit)
        )
    ]
    found += beside(connection, limit, only)
    return sorted(found, key=lambda each: (each.urgent, each.at), reverse=True)[:limit]


def beside(connection: Connection, limit: int, only: str = "") -> list[Attention]:
    """What of it is no exchange and no mail of the ledger."""
    found = [_of_gap(each) for each in raised_gaps(connection, limit, only)]
    found += [_of_arrival(each) for each in missed_arrivals(connection, limit, only)]
    if only:
        return found
    newest = select(not_taken).order_by(not_taken.c.at.desc()).limit(limit)
    found += [_of_not_taken(row) for row in connection.execute(newest)]
    return found + [_of_rule(row) for row in connection.execute(select(alert).where(cannot_tell()))]


def by_partner(connection: Connection) -> tuple[dict[str, int], dict[str, int]]:
    """How many exchanges, and how many mails, of each partner need a person."""
    # By an expression, so that no index of partners is walked instead of what leads to those that need a person.
    x, m = (func.coalesce(table.c.partner, "") for table in (exchange, message))
    of_exchanges = select(x, func.count()).where(exchange.c.id.in_(those_in_need())).group_by(text("1"))
    of_mails = select(m, func.count()).where(_messages()).group_by(text("1"))
    exchanges, mails = ({str(key): n for key, n in connection.execute(each).all()} for each in (of_exchanges, of_mails))
    return exchanges, mails


def left_out(connection: Connection, listed: int, limit: int, only: str = "") -> int:
    """How many more things need a person than the ``listed`` ones that ``attention`` gave for this ``limit``."""
    if listed < limit:
        return 0
    counted = [
        _count(exchange, exchange.c.id.in_(those_in_need()), *_of(exchange, only)),
        _count(message, _messages(), *_of(message, only)),
        _count(number_gap, *RAISED, *_of(number_gap, only)),
        _count(arrival, *MISSED, *_of(arrival, only)),
    ]
    if not only:
        counted += [_count(not_taken), _count(alert, cannot_tell())]
    return sum(connection.execute(each).scalar_one() for each in counted) - listed


def _count(table: Table, *which: ColumnElement[bool]) -> Select[int]:
    return select(func.count()).select_from(table).where(*which)


def how_many(connection: Connection, most: int) -> int:
    """How many exchanges and mails need a person; no more than ``most`` + 1 are looked for."""
    found = 0
    for chunk in _chunks(_newest(connection, most + 1)):
        wanted = select(func.count()).select_from(exchange).where(needs_a_person(), exchange.c.id.in_(chunk))
        found += connection.execute(wanted).scalar_one()
        if found > most:
            return most + 1
    messages = select(message.c.id).where(_messages()).limit(most + 1 - found).subquery()
    return found + connection.execute(select(func.count()).select_from(messages)).scalar_one()


def _of(table: Table, only: str) -> list[ColumnElement[bool]]:
    """That a row is this partner's, where it is asked for one."""
    return [table.c.partner == only] if only else []


def _urgent(connection: Connection, limit: int, only: str) -> list[int]:
    """The exchanges that were told before and still stand, the newest first."""
    x = exchange.c
    again = select(expectation.c.exchange).where(expectation.c.escalated_at.is_not(None))
    wanted = select(x.id).where(x.id.in_(again), needs_a_person(), *_of(exchange, only))
    return list(connection.execute(wanted.order_by(x.at.desc(), x.id.desc()).limit(limit)).scalars())


def _rows(connection: Connection, limit: int, only: str, first: Sequence[int]) -> list[Row[Any]]:
    """The exchanges that need a person: those that come ``first``, and the newest of the others."""
    found: list[Row[Any]] = []
    wanted = dict.fromkeys([*first, *_newest(connection, limit, only)])
    for chunk in _chunks(list(wanted)):
        rows = connection.execute(select(exchange).where(needs_a_person(), exchange.c.id.in_(chunk)))
        found += rows
        if len(found) >= limit:
            break
    leading = set(first)
    return sorted(found, key=lambda row: (row.id in leading, row.at, row.id), reverse=True)[:limit]


def _newest(connection: Connection, limit: int, only: str = "") -> list[int]:
    """The newest exchanges among which those are that need a person, the newest first.

    Neither database finds what meets one of several conditions by the index of each, and in an old ledger in which all
    is well a walk would read everything: so each index is asked for itself.
    """
    x = exchange.c
    wanted: dict[int, int] = {}
    for place in places():
        newest = select(x.id, x.at).where(*place, *_of(exchange, only)).order_by(x.at.desc()).limit(limit)
        wanted |= {row.id: row.at for row in connection.execute(newest)}
    return sorted(wanted, key=lambda each: (wanted[each], each), reverse=True)


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for at in range(0, len(ids), _CHUNK):
        yield ids[at : at + _CHUNK]


def needs_attention(connection: Connection, number: int) -> bool:
    """Whether exchange ``number`` is among what needs a person."""
    return (
        connection.execute(select(exchange.c.id).where(needs_a_person(), exchange.c.id == number)).first() is not None
    )


def _messages() -> ColumnElement[bool]:
    # An exchange that stands for the interchange says more than the message that carried it.
    spoken_for = select(exchange.c.id).where(
        exchange.c.message == message.c.id, exchange.c.state == ExchangeState.QUARANTINED
    )
    return and_(message.c.state == MessageState.QUARANTINED, ~spoken_for.exists())


class _Reason(Struct, frozen=True):
    """Why, in full, and without anything that documents hold."""

    full: str = ""
    plain: str = ""


def _of_exchange(row: Row[Any], reason: _Reason, *, urgent: bool) -> Attention:
    way = "from" if row.direction == "in" else "to"
    state = need_of(row.state, row.verdict, row.fault_code)
    return Attention(
        str(row.id),
        state,
        row.at,
        row.partner,
        f"{way} {row.partner or row.from_address}: {_what(row)}",
        _fault(row.fault) or reason.full or meaning_of(state, row.state),
        _NEXT.get(ExchangeState(row.state), "gateway exchange show {ref}").format(ref=row.id),
        urgent,
        exchange=row.id,
        message=row.message,
        side=_fault(row.fault, "side") or _side(row, state),
        plain="" if row.fault else reason.plain,
        usage=row.usage,
        code=row.fault_code,
    )


def _side(row: Row[Any], state: str) -> str:
    """What we wrote and the partner rejected is ours to mend."""
    return "ours" if state == "partially accepted" and row.direction == "out" else _SIDE.get(state, "")


def _what(row: Row[Any]) -> str:
    """What an exchange is about; what came without a readable ISA has no number, and perhaps a file name."""
    if row.control_number or not row.file_name:
        return f"{row.types or row.kind} {row.control_number}".rstrip()
    return str(row.file_name)


def _of_message(row: Row[Any]) -> Attention:
    return Attention(
        f"m{row.id}",
        row.state,
        row.at,
        row.partner,
        f"message from {row.from_address or 'nobody'}: {row.subject[:200]}",
        _fault(row.fault) or row.state,
        f"gateway quarantine show m{row.id}",
        message=row.id,
        side=_fault(row.fault, "side"),
    )


def _of_rule(row: Row[Any]) -> Attention:
    """A rule of alerts whose mail, webhook or command does not work."""
    return Attention(
        row.reference,
        "not told",
        row.last_at,
        "",
        f"alert rule {row.reference}",
        row.subject,
        row.next_command,
        side=row.side,
    )


def _of_not_taken(row: Row[Any]) -> Attention:
    return Attention(
        row.mailbox,
        "not taken",
        row.at,
        "",
        f"message {row.uid} in mailbox {row.mailbox}: {count(row.size, 'byte')}",
        _fault(row.fault) or row.fault_code,
        f"gateway mailbox test {row.mailbox}",
        side=_fault(row.fault, "side"),
    )


def _of_gap(gap: Gap) -> Attention:
    state = "step back" if gap.kind == "step back" else "gap"
    reason = f"Exchange {gap.exchange} showed it. {_GAP_ADVICE.get(gap.kind, 'Ask the partner what became of them.')}"
    return Attention(
        f"g{gap.id}",
        state,
        gap.raised_at or gap.at,
        gap.partner,
        f"from {gap.partner}: {gap.what}",
        reason,
        f"gateway partner numbers show {gap.partner}",
        side="partner",
        plain=reason,
    )


_GAP_ADVICE = {
    "step back": "Ask the partner whether its numbers began anew.",
    "jump": "Ask the partner whether its numbers began anew.",
    "irregular": 'If the partner numbers like this, write numbers = "increasing" or "any" into its profile.',
}


def _of_arrival(arrival: Arrival) -> Attention:
    reason = f"It was due {_moment(arrival.due_at)} and has not come."
    return Attention(
        f"e{arrival.id}",
        "missed",
        arrival.missed_at or arrival.due_at,
        arrival.partner,
        f"from {arrival.partner}: {arrival.rule}",
        reason,
        f"gateway partner expected show {arrival.partner}",
        side="partner",
        plain=reason,
    )


def _fault(text: str, part: str = "message") -> str:
    return str(json.loads(text).get(part, "")) if text else ""


def _reasons(connection: Connection, rows: Sequence[Row[Any]]) -> dict[int, _Reason]:
    """The first sentence that explains each exchange: a finding of ours, the partner's error, or what is due."""
    ids = [row.id for row in rows]
    found: dict[int, _Reason] = {}
    for at in range(0, len(ids), _CHUNK):
        chunk = ids[at : at + _CHUNK]
        found |= _awaited(connection, chunk) | _said_by_partner(connection, chunk) | _found_by_us(connection, chunk)
    return found


def _found_by_us(connection: Connection, ids: Sequence[int]) -> dict[int, _Reason]:
    first = (
        select(func.min(finding.c.id))
        .where(finding.c.exchange.in_(ids), finding.c.level == "error")
        .group_by(finding.c.exchange)
    )
    rows = connection.execute(select(finding).where(finding.c.id.in_(first)))
    return {row.exchange: _Reason(opened_text(connection, row.message), _place(row)) for row in rows}


def _place(row: Row[Any]) -> str:
    """A finding by its code and place alone: its sentence may quote what the document holds."""
    segment = f" in segment {row.position}" + (f" ({row.segment})" if row.segment else "") if row.position else ""
    element = f", element {row.element}" if row.element else ""
    return f"The first error is {row.code}{segment}{element}."


def _said_by_partner(connection: Connection, ids: Sequence[int]) -> dict[int, _Reason]:
    rows = connection.execute(
        select(acknowledgment)
        .where(acknowledgment.c.exchange.in_(ids), acknowledgment.c.status != "accepted")
        .order_by(acknowledgment.c.id.desc())
    )
    found: dict[int, _Reason] = {}
    for row in rows:
        errors = opened_sentences(connection, row.errors)
        word = row.status.replace("_", " ")
        if errors or row.exchange not in found:
            said = f"Its {row.kind} says {row.names} is {word}"
            found[row.exchange] = _Reason(said + (f": {errors[0]}" if errors else "."), f"{said}.")
    return found


def _awaited(connection: Connection, ids: Sequence[int]) -> dict[int, _Reason]:
    rows = connection.execute(
        select(expectation).where(expectation.c.exchange.in_(ids), expectation.c.overdue_at.is_not(None))
    )
    said = {row.exchange: f"{_name(row.kind)} was due {_moment(row.due_at)} and has not come." for row in rows}
    return {exchange: _Reason(each, each) for exchange, each in said.items()}


def _name(kind: str) -> str:
    return "The functional acknowledgment (997 or 999)" if kind == "functional" else f"The {kind}"


def _moment(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC).astimezone():%Y-%m-%d %H:%M}"
