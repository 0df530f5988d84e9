"""Possible: which acts a person may do with an exchange or mail as it stands now, and why not the others.

It says before the act what ``operate`` will say in it; that decides alone, in its own transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, select

from gateway.errors import NotFound
from gateway.flow.operate_inbound import HELD, QUARANTINE
from gateway.flow.operate_outbound import CANCELLABLE, RESENDABLE
from gateway.flow.replay import AT_REST, NOT_REPLAYED, REPLAYED
from gateway.flow.settle import UNDER_WAY, WAITS
from gateway.ledger import tables
from gateway.ledger.attention import needs_attention
from gateway.ledger.states import ExchangeState, MessageState

_OURS = "we sent it; this is for what came from a partner"
_THEIRS = "it came from the partner; this is for what we send"


class Possible(Struct, frozen=True):
    """One act by its verb (resend, resend-anew, resolve …). ``why_not`` is "" where it may be done now."""

    verb: str
    why_not: str = ""


def with_exchange(connection: Connection, number: int) -> tuple[Possible, ...]:
    """Every act on an exchange.

    Args:
        connection: within a transaction.
        number: the exchange's.

    Raises:
        NotFound: there is no such exchange.
    """
    x = tables.exchange
    row = connection.execute(select(x).where(x.c.id == number)).one_or_none()
    if row is None:
        raise NotFound(what="exchange", key=number)
    judged = _outbound(row) if row.direction == "out" else _inbound(connection, row)
    return tuple(Possible(verb, why) for verb, why in (*judged, ("settle", _settle(connection, row))))


def with_mail(connection: Connection, number: int) -> tuple[Possible, ...]:
    """Every act on a mail.

    Raises:
        NotFound: there is no such mail.
    """
    m = tables.message
    row = connection.execute(select(m).where(m.c.id == number)).one_or_none()
    if row is None:
        raise NotFound(what="message", key=f"m{number}")
    held = "" if row.state == MessageState.QUARANTINED else "only what is in quarantine can be"
    return (
        Possible("release", held and f"{held} released"),
        Possible("discard", held and f"{held} discarded"),
        Possible("replay", _replay(row)),
    )


# ---------------------------------------------------------------- what we send


def _outbound(row: Row[Any]) -> Iterator[tuple[str, str]]:
    yield "resend", _resend(row)
    yield "resend-anew", _resend_anew(row)
    in_doubt = row.state == ExchangeState.IN_DOUBT
    yield "resolve", "" if in_doubt else "only one in doubt can be resolved"
    yield "acknowledge", _acknowledge(row)
    yield "cancel", "" if row.state in CANCELLABLE else f"it is {row.state}: it is too late to cancel it"
    for verb in ("accept", "release", "discard", "redeliver", "replay"):
        yield verb, _OURS


def _resend(row: Row[Any]) -> str:
    if row.state in UNDER_WAY:
        return "it waits for the wire already"
    return "" if row.state in RESENDABLE else f"it is {row.state}: it cannot be sent again from there"


def _resend_anew(row: Row[Any]) -> str:
    if row.kind != "document":
        return "an acknowledgment keeps its number; send it again as it is"
    if row.state == ExchangeState.SUPERSEDED:
        return "its documents went under new numbers before"
    allowed = {*RESENDABLE, ExchangeState.READY}
    return "" if row.state in allowed else f"it is {row.state}: it cannot be sent again from there"


def _acknowledge(row: Row[Any]) -> str:
    if row.kind != "document":
        return "only a document is acknowledged"
    return "" if row.state in RESENDABLE else f"it is {row.state}: only what was sent can be acknowledged"


# ---------------------------------------------------------------- what came


def _inbound(connection: Connection, row: Row[Any]) -> Iterator[tuple[str, str]]:
    m, s = tables.message, tables.transaction_set
    mail = connection.execute(select(m).where(m.c.id == row.message)).one_or_none()
    held = row.state == ExchangeState.QUARANTINED and row.fault_code == HELD
    acceptable = held or row.state == ExchangeState.CONFLICT
    yield "accept", "" if acceptable else "only a used number, or a held repetition, can be accepted"
    yield "release", _release(row, mail)
    yield "discard", "" if row.state in QUARANTINE else "only what is in quarantine can be discarded"
    delivered = select(s.c.id).where(s.c.exchange == row.id, s.c.delivery == "delivered").limit(1)
    found = connection.execute(delivered).first() is not None
    yield "redeliver", "" if found else "none of its documents was delivered"
    yield "replay", _replay(mail)
    for verb in ("resend", "resend-anew", "resolve", "acknowledge", "cancel"):
        yield verb, _THEIRS


def _release(row: Row[Any], mail: Row[Any] | None) -> str:
    if row.state != ExchangeState.QUARANTINED or mail is None:
        return "only what is in quarantine can be released"
    return "its mail waits to be processed again" if mail.state == MessageState.STORED else ""


def _replay(mail: Row[Any] | None) -> str:
    if mail is None or mail.direction != "in":
        return "only a mail that came can be replayed"
    if mail.kind not in REPLAYED:
        return NOT_REPLAYED
    return "" if mail.state in AT_REST else "its mail waits to be processed"


def _settle(connection: Connection, row: Row[Any]) -> str:
    e = tables.expectation
    if row.state in QUARANTINE:
        return "it is decided by releasing, accepting or discarding it"
    if needs_attention(connection, row.id):
        return ""
    if row.state in UNDER_WAY:
        return WAITS
    awaited = connection.execute(select(e.c.exchange).where(e.c.exchange == row.id)).first()
    return "" if awaited is not None else "it needs nobody's attention"
