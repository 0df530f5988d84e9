"""Operate: what a person does about an exchange or message.

Each act is recorded with who and why, and safe to repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, select, update

from gateway.errors import NotAllowedNow, NotFound
from gateway.flow import deadlines
from gateway.flow.context import Context
from gateway.flow.envelope import queue_again
from gateway.ledger import tables
from gateway.ledger.attention import needs_attention
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState, MessageState

_QUARANTINE = (ExchangeState.QUARANTINED, ExchangeState.CONFLICT)
_RESENDABLE = (
    ExchangeState.SENT,
    ExchangeState.OVERDUE,
    ExchangeState.FAILED,
    ExchangeState.BOUNCED,
    ExchangeState.IN_DOUBT,
    ExchangeState.COMPLETE,
    ExchangeState.REFUSED,
    ExchangeState.ACKNOWLEDGED,
)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a person names: ``m12`` is a message, ``34`` an exchange."""

    message: int | None
    exchange: int | None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """From what was typed.

        Raises:
            NotFound: it is neither.
        """
        digits = text.removeprefix("m")
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
            raise NotFound(what="exchange or message", key=text)
        return cls(int(digits), None) if text.startswith("m") else cls(None, int(digits))


def release(context: Context, reference: str, *, actor: str, reason: str) -> int:
    """Puts a quarantined message back; the next run processes it again. Returns the message's id.

    For an exchange, the message that carried it is processed again: what was done before is not repeated.
    A conflict (a used control number with other content) cannot be released by processing it again.

    Raises:
        NotFound, NotAllowedNow
    """
    with context.ledger.transaction(actor) as recorder:
        message = _quarantined_message(recorder, Reference.parse(reference))
        recorder.change(tables.message, message, state=MessageState.STORED, attempts=1)
        recorder.event("released", message=message, reason=reason)
    return message


def _quarantined_message(recorder: Recorder, reference: Reference) -> int:
    if reference.exchange is not None:
        exchange = _exchange(recorder, reference.exchange)
        if exchange.state != ExchangeState.QUARANTINED or exchange.message is None:
            raise _not_now("exchange", exchange, "only a quarantined one can be released")
        return int(exchange.message)
    assert reference.message is not None
    message = _message(recorder, reference.message)
    if message.state != MessageState.QUARANTINED:
        raise _not_now("message", message, "only a quarantined one can be released")
    return int(message.id)


def discard(context: Context, reference: str, *, actor: str, reason: str) -> None:
    """Puts a quarantined message or exchange aside for good; its bytes are kept.

    Raises:
        NotFound, NotAllowedNow
    """
    found = Reference.parse(reference)
    with context.ledger.transaction(actor) as recorder:
        x = tables.exchange
        if found.exchange is not None:
            exchange = _exchange(recorder, found.exchange)
            if exchange.state not in _QUARANTINE:
                raise _not_now("exchange", exchange, "only a quarantined one can be discarded")
            recorder.change(x, exchange.id, state=ExchangeState.DISCARDED, updated_at=recorder.now)
            recorder.event("discarded", exchange=exchange.id, partner=exchange.partner, reason=reason)
            recorder.flush()
            _discard_emptied_message(recorder, exchange.message, reason)
            return
        assert found.message is not None
        message = _message(recorder, found.message)
        if message.state != MessageState.QUARANTINED:
            raise _not_now("message", message, "only a quarantined one can be discarded")
        recorder.change(tables.message, message.id, state=MessageState.DISCARDED)
        recorder.event("discarded", message=message.id, reason=reason)
        recorder.connection.execute(
            update(x)
            .where(x.c.message == message.id, x.c.state == ExchangeState.QUARANTINED)
            .values(state=ExchangeState.DISCARDED, updated_at=recorder.now)
        )


def _discard_emptied_message(recorder: Recorder, message: int | None, reason: str) -> None:
    """A quarantined message whose last quarantined exchange was discarded holds nothing any more to decide on."""
    x, m = tables.exchange, tables.message
    kept = select(x.c.id).where(x.c.message == message, x.c.state == ExchangeState.QUARANTINED)
    state = recorder.connection.execute(select(m.c.state).where(m.c.id == message, ~kept.exists())).scalar()
    if message is not None and state == MessageState.QUARANTINED:
        recorder.change(m, message, state=MessageState.DISCARDED)
        recorder.event("discarded", message=message, reason=reason)


def resend(context: Context, number: int, *, actor: str, reason: str) -> None:
    """Queues the same bytes with the same numbers and Message-ID again.

    Raises:
        NotFound, NotAllowedNow: it is inbound, waits already, or was cancelled.
    """
    with context.ledger.transaction(actor) as recorder:
        exchange = _outbound(recorder, number)
        if exchange.state not in _RESENDABLE:
            raise _not_now("exchange", exchange, "it cannot be sent again from there")
        queue_again(recorder, exchange.id, reason=reason)


def resolve(context: Context, number: int, *, sent: bool, actor: str, reason: str) -> None:
    """Ends a doubt: the partner has it (``sent``), or it is sent again.

    Raises:
        NotFound, NotAllowedNow: it is not in doubt.
    """
    with context.ledger.transaction(actor) as recorder:
        exchange = _outbound(recorder, number)
        if exchange.state != ExchangeState.IN_DOUBT:
            raise _not_now("exchange", exchange, "only one in doubt can be resolved")
        recorder.event(
            "resolved", exchange=exchange.id, partner=exchange.partner, reason=reason, sent=sent, was=exchange.state
        )
        if not sent:
            queue_again(recorder, exchange.id, reason=reason)
            return
        recorder.connection.execute(delete(tables.outgoing).where(tables.outgoing.c.exchange == exchange.id))
        awaited = deadlines.begin(context, recorder, [exchange.id])
        recorder.change(
            tables.exchange,
            exchange.id,
            state=ExchangeState.SENT if awaited else ExchangeState.COMPLETE,
            handed_over_at=recorder.now,
            updated_at=recorder.now,
        )


def cancel(context: Context, number: int, *, actor: str, reason: str) -> None:
    """Takes an exchange off the wire before it was sent, or gives one up that failed. Its number stays used.

    Raises:
        NotFound, NotAllowedNow: the host has it already.
    """
    allowed = (ExchangeState.READY, ExchangeState.FAILED, ExchangeState.IN_DOUBT, ExchangeState.BOUNCED)
    with context.ledger.transaction(actor) as recorder:
        exchange = _outbound(recorder, number)
        if exchange.state not in allowed:
            raise _not_now("exchange", exchange, "it is too late to cancel it")
        for table in (tables.outgoing, tables.expectation):
            recorder.connection.execute(delete(table).where(table.c.exchange == exchange.id))
        recorder.change(tables.exchange, exchange.id, state=ExchangeState.CANCELLED, updated_at=recorder.now)
        recorder.event("cancelled", exchange=exchange.id, partner=exchange.partner, reason=reason)


def settle(context: Context, number: int, *, actor: str, reason: str) -> None:
    """A person looked at it and put it to rest: it needs no attention any more. Its state stays as it is.

    Raises:
        NotFound, NotAllowedNow: it needs nobody, or it is in quarantine (release or discard it).
    """
    with context.ledger.transaction(actor) as recorder:
        exchange = _exchange(recorder, number)
        if exchange.state in _QUARANTINE:
            raise _not_now("exchange", exchange, "release or discard it")
        table = tables.expectation
        awaits = select(table.c.exchange).where(table.c.exchange == exchange.id)
        if (
            not needs_attention(recorder.connection, exchange.id)
            and recorder.connection.execute(awaits).first() is None
        ):
            raise _not_now("exchange", exchange, "it needs nobody's attention")
        recorder.connection.execute(delete(table).where(table.c.exchange == exchange.id))
        recorder.change(tables.exchange, exchange.id, settled_at=recorder.now, updated_at=recorder.now)
        recorder.event("settled", exchange=exchange.id, partner=exchange.partner, reason=reason)


def _exchange(recorder: Recorder, number: int) -> Row[*tuple[Any, ...]]:
    table = tables.exchange
    found = recorder.connection.execute(select(table).where(table.c.id == number)).one_or_none()
    if found is None:
        raise NotFound(what="exchange", key=number)
    return found


def _outbound(recorder: Recorder, number: int) -> Row[*tuple[Any, ...]]:
    found = _exchange(recorder, number)
    if found.direction != "out":
        raise _not_now("exchange", found, "it came from the partner; only what we send can be sent again")
    return found


def _message(recorder: Recorder, number: int) -> Row[*tuple[Any, ...]]:
    table = tables.message
    found = recorder.connection.execute(select(table).where(table.c.id == number)).one_or_none()
    if found is None:
        raise NotFound(what="message", key=f"m{number}")
    return found


def _not_now(what: str, row: Row[*tuple[Any, ...]], reason: str) -> NotAllowedNow:
    return NotAllowedNow(what=what, key=row.id, state=row.state, reason=reason)
