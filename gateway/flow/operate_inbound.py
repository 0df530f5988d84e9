"""What a person does about what came: released, discarded, accepted, handed over again."""

from __future__ import annotations

import hashlib

from sqlalchemy import select

from gateway.errors import NotAllowedNow
from gateway.flow import series
from gateway.flow.acknowledge import refuse_number, take
from gateway.flow.acts import (
    Act,
    Found,
    Reference,
    acting,
    before,
    exchange_row,
    inbound,
    message_row,
    not_now,
    told,
)
from gateway.flow.case import Case
from gateway.flow.context import Context
from gateway.flow.duplicates import Earlier, Known
from gateway.flow.inbound import prepare
from gateway.flow.record import GOOD, Entry
from gateway.ledger import archive, tables
from gateway.ledger.recording import Recorder, insisting
from gateway.ledger.states import ExchangeState, MessageState
from gateway.ledger.work import TAKEN_AS_TEST, stored_message
from gateway.x12.model import Status

QUARANTINE = (ExchangeState.QUARANTINED, ExchangeState.CONFLICT)
HELD = "document.repeated"  # a quarantined interchange that only a person's word lets through


# ---------------------------------------------------------------- quarantine


@insisting
def release(context: Context, reference: str, *, actor: str, reason: str, dry_run: bool = False) -> Act:
    """Puts a quarantined message back; the next run processes it again.

    For an exchange, the message that carried it is processed again: what was done before is not repeated. A document
    that was held because it came before is accepted at once, as by ``accept``. A conflict (a used control number with
    other content) cannot be released by processing it again.

    Raises:
        NotFound, NotAllowedNow
    """
    named = Reference.parse(reference)
    with acting(context, actor, dry_run=dry_run) as recorder:
        held = named.exchange is not None and exchange_row(recorder, named.exchange).fault_code == HELD
        if not held:
            return _release(recorder, reference, named, reason)
    assert named.exchange is not None
    return accept(context, named.exchange, actor=actor, reason=reason, dry_run=dry_run)


def _release(recorder: Recorder, reference: str, named: Reference, reason: str) -> Act:
    if named.exchange is None:
        row = message_row(recorder, named.message or 0)
        what, message = "message", row.id
        released = row.state != MessageState.DISCARDED and told(recorder, "released", message=row.id) is not None
    else:
        row = exchange_row(recorder, named.exchange)
        what, message = "exchange", row.message
        released = any(told(recorder, kind, exchange=row.id) is not None for kind in ("replaced", "accepted-by-hand"))
    if row.state != MessageState.QUARANTINED or message is None:  # the word is the same for both
        if released:
            return before(reference, "it was released")
        raise not_now(what, row, "only a quarantined one can be released")
    if message_row(recorder, message).state == MessageState.STORED:
        return before(reference, f"message m{message} waits to be processed again")
    recorder.change(tables.message, message, state=MessageState.STORED, attempts=1)
    recorder.event("released", message=message, reason=reason)
    return Act(reference, f"message m{message} is processed again by the next batch (gateway night)")


@insisting
def discard(context: Context, reference: str, *, actor: str, reason: str, dry_run: bool = False) -> Act:
    """Puts a quarantined message or exchange aside for good; its bytes are kept.

    Raises:
        NotFound, NotAllowedNow
    """
    named = Reference.parse(reference)
    with acting(context, actor, dry_run=dry_run) as recorder:
        if named.exchange is not None:
            return _discard_exchange(recorder, exchange_row(recorder, named.exchange), reason)
        return _discard_message(recorder, message_row(recorder, named.message or 0), reason)


def _discard_exchange(recorder: Recorder, exchange: Found, reason: str) -> Act:
    number = int(exchange.id)
    if exchange.state == ExchangeState.DISCARDED:
        return before(number, "it was put aside")
    if exchange.state not in QUARANTINE:
        raise not_now("exchange", exchange, "only a quarantined one can be discarded")
    recorder.change(tables.exchange, number, state=ExchangeState.DISCARDED, updated_at=recorder.now)
    recorder.event("discarded", exchange=number, partner=exchange.partner, reason=reason)
    recorder.flush()
    _discard_emptied_message(recorder, exchange.message, reason)
    return Act(str(number), "discarded; its bytes are kept")


def _discard_message(recorder: Recorder, message: Found, reason: str) -> Act:
    x = tables.exchange
    if message.state == MessageState.DISCARDED:
        return before(f"m{message.id}", "it was put aside")
    if message.state != MessageState.QUARANTINED:
        raise not_now("message", message, "only a quarantined one can be discarded")
    recorder.change(tables.message, message.id, state=MessageState.DISCARDED)
    recorder.event("discarded", message=message.id, reason=reason)
    recorder.change_where(
        x,
        x.c.message == message.id,
        x.c.state == ExchangeState.QUARANTINED,
        state=ExchangeState.DISCARDED,
        updated_at=recorder.now,
    )
    return Act(f"m{message.id}", "discarded; its bytes are kept")


def _discard_emptied_message(recorder: Recorder, message: int | None, reason: str) -> None:
    """A quarantined message whose last quarantined exchange was discarded holds nothing any more to decide on."""
    x, m = tables.exchange, tables.message
    kept = select(x.c.id).where(x.c.message == message, x.c.state == ExchangeState.QUARANTINED)
    state = recorder.connection.execute(select(m.c.state).where(m.c.id == message, ~kept.exists())).scalar()
    if message is not None and state == MessageState.QUARANTINED:
        recorder.change(m, message, state=MessageState.DISCARDED)
        recorder.event("discarded", message=message, reason=reason)


# ---------------------------------------------------------------- knowingly


@insisting
def accept(context: Context, number: int, *, actor: str, reason: str, dry_run: bool = False) -> Act:
    """Takes what was refused for its number (TA1 025), or held because its document came before: knowingly.

    Its documents are delivered under its number, and the partner is answered as by agreement. From then on both
    interchanges are known: either one coming again is a duplicate.

    While an interchange is held, its number is free. If other content took it meanwhile, the held one becomes the
    conflict that it would have been had it come later: only when it is accepted again, it is taken.

    Raises:
        NotFound, NotAllowedNow: it was neither refused for its number nor held.
        MessageFault: it cannot be taken with the profiles as they are now.
    """
    with context.ledger.reading() as connection:
        x = tables.exchange
        message = connection.execute(select(x.c.message).where(x.c.id == number, x.c.direction == "in")).scalar()
        case = prepare(context, stored_message(connection, message, context.settings.home)) if message else None
    with acting(context, actor, dry_run=dry_run) as recorder:
        exchange = inbound(recorder, number)
        if exchange.state not in QUARANTINE and told(recorder, "accepted-by-hand", exchange=number) is not None:
            return before(number, "it was accepted", number)
        if exchange.state != ExchangeState.CONFLICT and not (
            exchange.state == ExchangeState.QUARANTINED and exchange.fault_code == HELD
        ):
            raise not_now("exchange", exchange, "only a used number or a held repetition can be accepted")
        assert case is not None, "an inbound exchange has its message"
        entry = _entry(case, exchange)
        # What came as a test stays one, wherever the partner stands by now.
        entry.interchange.as_test = told(recorder, TAKEN_AS_TEST, exchange=number) is not None
        known, earlier = _earlier(context, recorder, entry, number)
        if earlier is not None and exchange.state == ExchangeState.QUARANTINED:
            refuse_number(context, recorder, entry, number, earlier, why=reason)
            said = (
                f"its number was used meanwhile, by exchange {earlier.id}: not accepted, but a conflict now; accept it"
            )
            return Act(str(number), f"{said} again if it is to be taken beside that one", exchange=number)
        recorder.event("accepted-by-hand", exchange=number, partner=exchange.partner, was=exchange.state, reason=reason)
        _put_in_its_place(recorder, known, entry, number)
        if earlier is None:  # a used number was noted when it was used first
            series.record(context, recorder, [(entry, number)])
        take(context, recorder, entry, number)
    return Act(str(number), "accepted; the next batch delivers what it holds (gateway night)", exchange=number)


def _entry(case: Case, exchange: Found) -> Entry:
    """The interchange of an exchange, as it is judged now.

    Raises:
        MessageFault: why it cannot be taken.
    """
    found = next(
        (
            (payload, each)
            for payload, each in case.interchanges
            if hashlib.sha256(each.raw).hexdigest() == exchange.sha256
        ),
        None,
    )
    fault = case.fault or (found[1].fault if found is not None else None)
    if fault is not None:
        raise fault
    if found is None:
        raise not_now("exchange", exchange, "its bytes are not found in its mail any more")
    payload, interchange = found
    rejected = interchange.report.status is Status.REJECTED
    state = ExchangeState.REJECTED if rejected else ExchangeState.ACCEPTED
    owner = interchange.partner.key if interchange.partner is not None else ""
    return Entry(case, payload, exchange.payload, interchange, exchange.sha256, state, owner=owner)


def _earlier(context: Context, recorder: Recorder, entry: Entry, number: int) -> tuple[Known, Earlier | None]:
    """What is known of its number, and the exchange that used it for other content, if one did.

    Raises:
        NotAllowedNow: the very same bytes were taken.
    """
    header = entry.interchange.counted
    assert header is not None, "what has no header is never refused for its number"
    known = Known(recorder, [header], int(context.settings.duplicate_window.total_seconds() * 1000))
    earlier = known.earlier(header, entry.sha256)
    if earlier is not None and earlier.sha256 == entry.sha256:
        reason = f"the same bytes were taken as exchange {earlier.id}; discard this one"
        raise NotAllowedNow(what="exchange", key=number, state="held", reason=reason)
    return known, earlier


def _put_in_its_place(recorder: Recorder, known: Known, entry: Entry, number: int) -> None:
    header = entry.interchange.counted
    assert header is not None, "looked at before"
    known.take_beside(header, number, entry.sha256)
    recorder.change(
        tables.exchange,
        number,
        state=entry.state,
        updated_at=recorder.now,
        settled_at=None,
        fault_code="",
        fault="",
    )
    table = tables.transaction_set
    good = (table.c.exchange == number, table.c.status.in_(GOOD), table.c.agreement != "")
    recorder.change_where(table, *good, delivery="due")


@insisting
def redeliver(context: Context, number: int, *, actor: str, reason: str, dry_run: bool = False) -> Act:
    """Hands the documents of an exchange to the business again, under the same names and keys.

    Raises:
        NotFound, NotAllowedNow: nothing of it was delivered, or its bytes are not kept any more.
    """
    table = tables.transaction_set
    with acting(context, actor, dry_run=dry_run) as recorder:
        exchange = inbound(recorder, number)
        states = list(recorder.connection.execute(select(table.c.delivery).where(table.c.exchange == number)).scalars())
        if "due" in states and told(recorder, "redelivered", exchange=number) is not None:
            return before(number, "its documents wait to be handed over again", number)
        if "delivered" not in states:
            raise not_now("exchange", exchange, "none of its documents was delivered")
        archive.refuse_gone(recorder.connection, exchange.sha256)
        recorder.change_where(table, table.c.exchange == number, table.c.delivery == "delivered", delivery="due")
        recorder.change(tables.exchange, number, state=ExchangeState.ACCEPTED, updated_at=recorder.now)
        recorder.event("redelivered", exchange=number, partner=exchange.partner, reason=reason)
    sets = states.count("delivered")
    documents = "1 document" if sets == 1 else f"{sets} documents"
    return Act(str(number), f"{documents} to be handed over again by the next batch (gateway night)", exchange=number)
