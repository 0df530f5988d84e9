"""What a person does about what we send: sent again, numbered anew, resolved, cancelled, acknowledged by hand."""

from __future__ import annotations

from msgspec.structs import replace
from sqlalchemy import delete, select

from gateway.errors import PartnerNotActive
from gateway.flow import deadlines, envelope
from gateway.flow.acts import Act, Found, acting, before, not_now, outbound, told
from gateway.flow.context import Context
from gateway.flow.earlier import usage_for
from gateway.flow.settle import UNDER_WAY, await_again
from gateway.flow.stops import stops_of
from gateway.flow.submit import outbounds
from gateway.ledger import archive, tables
from gateway.ledger.recording import Recorder, insisting
from gateway.ledger.states import ExchangeState
from gateway.x12.model import Status

RESENDABLE = (
    ExchangeState.SENT,
    ExchangeState.OVERDUE,
    ExchangeState.FAILED,
    ExchangeState.BOUNCED,
    ExchangeState.IN_DOUBT,
    ExchangeState.COMPLETE,
    ExchangeState.REFUSED,
    ExchangeState.ACKNOWLEDGED,
)
CANCELLABLE = (ExchangeState.READY, ExchangeState.FAILED, ExchangeState.IN_DOUBT, ExchangeState.BOUNCED)
_TAKEN = (ExchangeState.SENT, ExchangeState.OVERDUE, ExchangeState.COMPLETE, ExchangeState.ACKNOWLEDGED)
_UNDONE = "resend-cancelled"  # the event
_NEXT_BATCH = "the next batch sends it (gateway night)"


@insisting
def resend(context: Context, number: int, *, actor: str, reason: str, dry_run: bool = False) -> Act:
    """Queues the same bytes with the same numbers and Message-ID again. While it waits, a repetition does nothing.

    Raises:
        NotFound, NotAllowedNow: it is inbound, waits for its first sending, was cancelled, or is in earnest and the
            partner in testing.
        PartnerNotActive: nothing is sent to the partner now.
    """
    with acting(context, actor, dry_run=dry_run) as recorder:
        exchange = outbound(recorder, number)
        if exchange.state in UNDER_WAY and told(recorder, "resent", exchange=number) is not None:
            return before(number, "it is queued again already", number)
        if exchange.state not in RESENDABLE:
            raise not_now("exchange", exchange, _instead(recorder, exchange))
        _require_trade(context, exchange)
        await_again(recorder, exchange)
        envelope.queue_again(recorder, exchange.id, reason=reason)
    return Act(str(number), f"queued again, the same bytes and numbers; {_NEXT_BATCH}", exchange=number)


def _require_trade(context: Context, exchange: Found) -> None:
    """Where nothing is sent to a partner now, what is queued again would wait, and nobody would know why."""
    stops = stops_of(context.directory)
    if not stops.keeps(exchange.partner, exchange.kind, exchange.usage):
        return
    if exchange.partner in stops.testing:
        reason = f"it is in earnest (ISA15 P) and {exchange.partner} is in testing; `--new-number` sends it as a test"
        raise not_now("exchange", exchange, reason)
    raise PartnerNotActive(partner=exchange.partner, status=context.directory.get(exchange.partner).status)


@insisting
def resend_anew(context: Context, number: int, *, actor: str, reason: str, dry_run: bool = False) -> Act:
    """Puts the documents of an exchange under new numbers and a new Message-ID, as new exchanges in its place.

    The old one is superseded: what was awaited for it is awaited no more. A partner that has both has the documents
    twice and cannot know it by their numbers, so this is for documents that the partner does not have. They keep their
    usage (ISA15), whatever the agreement says by now: a test never becomes a document in earnest by this, nor the
    other way round, except that all is a test that goes to a partner in testing.

    Raises:
        NotFound, NotAllowedNow: it is inbound, an acknowledgment, being sent right now, or was cancelled.
        GatewayError: as ``submit``, where the agreement has no place for the documents any more.
    """
    with acting(context, actor, dry_run=dry_run) as recorder:
        old = outbound(recorder, number)
        if old.state == ExchangeState.SUPERSEDED:
            return _superseded_before(recorder, number)
        if old.kind != "document":
            raise not_now("exchange", old, "an acknowledgment keeps its number; send it again as it is")
        if old.state not in {*RESENDABLE, ExchangeState.READY}:
            raise not_now("exchange", old, _instead(recorder, old))
        data = archive.read(recorder.connection, [old.sha256])[old.sha256]
        document = (told(recorder, "submitted", exchange=number) or {}).get("document", "")
        usage = usage_for(context.directory.get(old.partner), None, old.usage)
        prepared = outbounds(context, old.partner, data, old.file_name or f"exchange {number}")
        new = [envelope.queue(context, recorder, replace(each, document=document, usage=usage)) for each in prepared]
        _supersede(recorder, old, new, reason)
    by = ", ".join(map(str, new))
    said = _usage_in_words(old.usage, usage, {each.usage for each in prepared})
    return Act(str(number), f"superseded by exchange {by}, under new numbers{said}; {_NEXT_BATCH}", exchange=new[0])


def _usage_in_words(before: str, now: str, agreed: set[str]) -> str:
    """What is worth saying of ISA15; nothing where documents in earnest stay what they are."""
    if before != now:
        return f", as a test (ISA15 {now} in place of {before}) because the partner is in testing"
    if now == "T":
        return ", as a test (ISA15 T) as before"
    return "" if agreed == {now} else f", with ISA15 {now} as before"


def _instead(recorder: Recorder, exchange: Found) -> str:
    """Why it cannot go again, and what can."""
    if exchange.state == ExchangeState.CANCELLED:
        return "its number stays used; submit its documents again, under new ones (gateway send)"
    if exchange.state == ExchangeState.SUPERSEDED:
        return f"exchange {(told(recorder, 'superseded', exchange=exchange.id) or {}).get('by', '?')} went in its place"
    return "it cannot be sent again from there"


def _superseded_before(recorder: Recorder, number: int) -> Act:
    by = str((told(recorder, "superseded", exchange=number) or {}).get("by", ""))
    return before(number, f"it was superseded by exchange {by}", int(by.partition(",")[0]))


def _supersede(recorder: Recorder, old: Found, new: list[int], reason: str) -> None:
    _forget(recorder, old.id)
    recorder.change(
        tables.exchange, old.id, state=ExchangeState.SUPERSEDED, updated_at=recorder.now, settled_at=recorder.now
    )
    by = ", ".join(map(str, new))
    recorder.event("superseded", exchange=old.id, partner=old.partner, by=by, was=old.state, reason=reason)
    for each in new:
        recorder.event(
            "supersedes",
            exchange=each,
            partner=old.partner,
            earlier=old.id,
            number=old.control_number,
            reason=reason,
        )


def _forget(recorder: Recorder, number: int) -> None:
    """Nothing of it waits any more: neither for the wire nor for an answer."""
    for table in (tables.outgoing, tables.expectation):
        recorder.connection.execute(delete(table).where(table.c.exchange == number))


@insisting
def resolve(context: Context, number: int, *, sent: bool, actor: str, reason: str, dry_run: bool = False) -> Act:
    """Ends a doubt: the partner has it (``sent``), or it is sent again.

    Raises:
        NotFound, NotAllowedNow: it is not in doubt, or to be sent again in earnest to a partner in testing.
        PartnerNotActive: it is to be sent again, and nothing is sent to the partner now.
    """
    with acting(context, actor, dry_run=dry_run) as recorder:
        exchange = outbound(recorder, number)
        if exchange.state != ExchangeState.IN_DOUBT:
            was = told(recorder, "resolved", exchange=number)
            # An acknowledgment resolves it too, and says the same as a person who says "sent".
            if was is not None and was.get("sent", True) == sent:
                return before(number, f"the doubt was resolved: {was.get('reason') or 'by a person'}", number)
            raise not_now("exchange", exchange, "only one in doubt can be resolved")
        if not sent:
            _require_trade(context, exchange)
        recorder.event(
            "resolved", exchange=number, partner=exchange.partner, reason=reason, sent=sent, was=exchange.state
        )
        await_again(recorder, exchange)
        if sent:
            _take_as_sent(context, recorder, number)
        else:
            envelope.queue_again(recorder, number, reason=reason)
    return Act(str(number), "taken as sent" if sent else f"queued again; {_NEXT_BATCH}", exchange=number)


def _take_as_sent(context: Context, recorder: Recorder, number: int) -> None:
    recorder.connection.execute(delete(tables.outgoing).where(tables.outgoing.c.exchange == number))
    awaited = deadlines.begin(context, recorder, [number])
    recorder.change(
        tables.exchange,
        number,
        state=ExchangeState.SENT if awaited else ExchangeState.COMPLETE,
        handed_over_at=recorder.now,
        updated_at=recorder.now,
        settled_at=None,
    )


@insisting
def cancel(context: Context, number: int, *, actor: str, reason: str, dry_run: bool = False) -> Act:
    """Takes an exchange off the wire before it was sent, or gives one up that failed. Its number stays used.

    Of one that the host took before, and that was to go again, only that is cancelled: the partner may have it, so it
    stands as it stood, and what was awaited for it is awaited still.

    Raises:
        NotFound, NotAllowedNow: the host has it already.
    """
    with acting(context, actor, dry_run=dry_run) as recorder:
        exchange = outbound(recorder, number)
        if exchange.state == ExchangeState.CANCELLED:
            return before(number, "it was cancelled")
        newest, was = _of_resending(recorder, number)
        if exchange.state not in CANCELLABLE:
            if newest == _UNDONE:
                return before(number, "it was taken off the wire", number)
            raise not_now("exchange", exchange, "it is too late to cancel it")
        if newest == "resent" and was in _TAKEN and exchange.state in {ExchangeState.READY, ExchangeState.IN_DOUBT}:
            return _undo_resend(recorder, exchange, was, reason)
        _forget(recorder, number)
        recorder.change(tables.exchange, number, state=ExchangeState.CANCELLED, updated_at=recorder.now)
        recorder.event("cancelled", exchange=number, partner=exchange.partner, reason=reason)
    return Act(str(number), "cancelled; its number stays used")


def _of_resending(recorder: Recorder, number: int) -> tuple[str, str]:
    """Whether an exchange was last put on the wire again, or taken off it; and its state before that."""
    e = tables.event.c
    wanted = select(e.kind).where(e.exchange == number, e.kind.in_(["resent", _UNDONE])).order_by(e.seq.desc()).limit(1)
    newest = recorder.connection.execute(wanted).scalar() or ""
    return newest, str((told(recorder, newest, exchange=number) or {}).get("was", "")) if newest else ""


def _undo_resend(recorder: Recorder, exchange: Found, was: str, reason: str) -> Act:
    table = tables.outgoing
    recorder.connection.execute(delete(table).where(table.c.exchange == exchange.id))
    recorder.change(tables.exchange, exchange.id, state=ExchangeState(was), updated_at=recorder.now)
    recorder.event(_UNDONE, exchange=exchange.id, partner=exchange.partner, was=was, reason=reason)
    said = f"not sent again; it went before, and is {was} as it was"
    return Act(str(exchange.id), said, exchange=exchange.id)


@insisting
def acknowledge_by_hand(
    context: Context, number: int, verdict: Status, *, actor: str, reason: str, dry_run: bool = False
) -> Act:
    """Takes a person's word for the partner's acknowledgment: it was accepted, or rejected, on the telephone.

    Nothing is awaited for it any more. What the partner's own acknowledgment says later is kept beside it; one that
    says the opposite is shown to a person.

    Raises:
        NotFound, NotAllowedNow: it is inbound, an acknowledgment, was never sent, or waits for the wire.
    """
    state = ExchangeState.REFUSED if verdict is Status.REJECTED else ExchangeState.ACKNOWLEDGED
    with acting(context, actor, dry_run=dry_run) as recorder:
        exchange = outbound(recorder, number)
        if exchange.state == state and exchange.verdict == verdict and not exchange.fault_code:
            return before(number, f"it is {state} already")
        if exchange.kind != "document" or exchange.state not in RESENDABLE:
            raise not_now("exchange", exchange, "only a document that was sent can be acknowledged")
        _forget(recorder, number)
        for table in (tables.functional_group, tables.transaction_set):
            recorder.change_where(
                table, table.c.exchange == number, acknowledged=verdict.value, acknowledged_at=recorder.now
            )
        recorder.change(
            tables.exchange,
            number,
            state=state,
            verdict=verdict,
            acknowledged_at=exchange.acknowledged_at or recorder.now,
            updated_at=recorder.now,
            settled_at=recorder.now,  # who acts knows of it
            fault_code="",
            fault="",
        )
        recorder.event(
            "acknowledged-by-hand", exchange=number, partner=exchange.partner, verdict=verdict, reason=reason
        )
    return Act(str(number), f"taken as {verdict.value} on your word")
