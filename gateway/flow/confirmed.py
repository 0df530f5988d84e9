"""Receipts that we get: each is tied to the mail it speaks of, proved, and compared with what we sent (RFC 3335).

Only a receipt from the partner whom the mail went to counts; where a signed one was asked for, only one that a
trusted certificate signed. A good one ends the wait, and any doubt whether the mail arrived; with our signed
original it proves later what the partner was given.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from sqlalchemy import Row, delete, select

from gateway.errors import GatewayError, MessageFault, ReceiptMismatch, ReceiptNegative, ReceiptUnproven
from gateway.flow import reconcile
from gateway.flow.case import Case
from gateway.flow.context import Context
from gateway.flow.original import original
from gateway.flow.receipts import KIND
from gateway.flow.secure import RECEIPT, SIGNED_RECEIPT
from gateway.ledger import tables
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState
from gateway.mail.receipt_reader import receipt_in
from gateway.mail.receipts import Mic, Receipt

_TAKEN = frozenset({"processed", "displayed", "dispatched"})  # the last two are what people's mail programs say
_WAITING = (ExchangeState.SENT, ExchangeState.OVERDUE)
_SETTLED = (ExchangeState.ACKNOWLEDGED, ExchangeState.REFUSED, ExchangeState.CANCELLED, ExchangeState.SUPERSEDED)


class _Judged(Struct, frozen=True):
    """A receipt with what is to be thought of it. ``fault`` is None for a good one."""

    receipt: Receipt
    relation: str
    mic_matches: str = ""
    fault: GatewayError | None = None


def confirmed(context: Context, recorder: Recorder, case: Case) -> None:
    """Keeps what a received receipt says, and lets it act on the exchange it speaks of."""
    receipt = _read(context, case)
    recorder.flush()  # what this batch queued can be what is confirmed
    exchange = _exchange(recorder, receipt.original_message_id)
    if exchange is None:
        _keep(recorder, case, _Judged(receipt, "orphan"), None)
        recorder.event("receipt-unmatched", message=case.message.id, names=receipt.original_message_id)
        context.reporter.happened("receipts unmatched")
        return
    judged = _judged(context, recorder, case, receipt, exchange)
    _keep(recorder, case, judged, exchange)
    _tell(context, recorder, case, judged, exchange)
    if judged.relation == "matched" and _counts(case, exchange):
        _act(context, recorder, judged, exchange)


def _counts(case: Case, exchange: Row[*tuple[Any, ...]]) -> bool:
    """A receipt that nobody asked for moves nothing, unless a signature proves it."""
    return RECEIPT in exchange.security or (case.opened is not None and case.opened.signed)


def _read(context: Context, case: Case) -> Receipt:
    """What it says: of a signed one only what the signature covers. What cannot be read says nothing."""
    covered = case.opened.entity if case.opened is not None else case.message.raw
    try:
        return receipt_in(covered, context.limits) or Receipt()
    except MessageFault:
        return Receipt()


def _exchange(recorder: Recorder, original: str) -> Row[*tuple[Any, ...]] | None:
    """The exchange whose mail the receipt names; receipts of ours are never confirmed."""
    if not original:
        return None
    x, m = tables.exchange, tables.message
    return recorder.connection.execute(
        select(x)
        .where(x.c.message.in_(select(m.c.id).where(m.c.message_id == original)))
        .where(x.c.direction == "out", x.c.kind != KIND)
        .order_by(x.c.id.desc())
        .limit(1)
    ).one_or_none()


def _judged(
    context: Context, recorder: Recorder, case: Case, receipt: Receipt, exchange: Row[*tuple[Any, ...]]
) -> _Judged:
    if reason := _unproven(context, case, exchange):
        fault = ReceiptUnproven(exchange=exchange.id, partner=exchange.partner, reason=reason)
        return _Judged(receipt, "forged", fault=fault)
    matches = _mic_matches(context, recorder, receipt, exchange)
    relation = _relation(recorder, receipt, exchange.id)
    return _Judged(receipt, relation, matches, _wrong(receipt, matches, exchange))


def _unproven(context: Context, case: Case, exchange: Row[*tuple[Any, ...]]) -> str:
    """Why the receipt does not count as the partner's; "" where it does."""
    assert case.letter is not None
    sender = context.directory.by_address(case.letter.from_address)
    if case.letter.sender_problem or sender is None or sender.key != exchange.partner:
        return f"it comes from {case.letter.from_address or 'nobody'}"
    if case.security_fault is not None:
        return str(case.security_fault)
    if SIGNED_RECEIPT in exchange.security and not (case.opened is not None and case.opened.signed):
        return "a signed one was asked for, and it is not signed"
    return ""


def _mic_matches(context: Context, recorder: Recorder, receipt: Receipt, exchange: Row[*tuple[Any, ...]]) -> str:
    ours, theirs = Mic.parse(exchange.mic), receipt.mic
    if ours is None or (theirs is None and (receipt.problems or SIGNED_RECEIPT not in exchange.security)):
        return ""
    if theirs is None:
        return "no"
    if theirs.digest != ours.digest:
        ours = _mic_of_original(context, recorder, exchange, theirs.algorithm) or ours
    return "yes" if theirs.matches(ours) else "no"


def _mic_of_original(
    context: Context, recorder: Recorder, exchange: Row[*tuple[Any, ...]], algorithm: str
) -> Mic | None:
    """Our integrity check in the digest that the partner took instead of the one asked for; None where it cannot be."""
    certificates = [key.certificate for key in context.keys.keys]
    try:
        kept = original(recorder.connection, exchange)
        return kept.mic(kept.opened(certificates, context.limits, exchange.at / 1000), algorithm)
    except GatewayError:
        return None


def _wrong(receipt: Receipt, matches: str, exchange: Row[*tuple[Any, ...]]) -> GatewayError | None:
    details: dict[str, object] = {"exchange": exchange.id, "partner": exchange.partner}
    if receipt.disposition not in _TAKEN or receipt.problems:
        said = ", ".join([receipt.disposition or "nothing that can be read", *receipt.problems])
        return ReceiptNegative(**details, reason=said)
    if matches == "no":
        return ReceiptMismatch(**details, mic=receipt.mic or "missing", ours=exchange.mic)
    return None


def _relation(recorder: Recorder, receipt: Receipt, exchange: int) -> str:
    """Is this the first receipt that counts, the last one again, or another?"""
    r = tables.receipt
    last = recorder.connection.execute(
        select(r)
        .where(r.c.direction == "in", r.c.exchange == exchange, r.c.relation.in_(["matched", "contradicting"]))
        .order_by(r.c.id.desc())
        .limit(1)
    ).one_or_none()
    if last is None:
        return "matched"
    same = (last.disposition, last.modifier, last.mic) == (receipt.disposition, _modifiers(receipt), _mic(receipt))
    return "duplicate" if same else "contradicting"


def _keep(recorder: Recorder, case: Case, judged: _Judged, exchange: Row[*tuple[Any, ...]] | None) -> None:
    proof = dict(case.proof.detail) if case.proof is not None and case.proof.kind == "signed" else {}
    recorder.add(
        tables.receipt,
        at=recorder.now,
        direction="in",
        message=case.message.id,
        exchange=exchange.id if exchange is not None else None,
        original=exchange.message if exchange is not None else None,
        original_message_id=judged.receipt.original_message_id,
        disposition=judged.receipt.disposition,
        modifier=_modifiers(judged.receipt),
        mic=_mic(judged.receipt),
        mic_matches=judged.mic_matches,
        signed_by=proof.get("fingerprint", ""),
        relation=judged.relation,
    )


def _tell(context: Context, recorder: Recorder, case: Case, judged: _Judged, exchange: Row[*tuple[Any, ...]]) -> None:
    recorder.event(
        "receipt-unproven" if judged.relation == "forged" else "receipt",
        exchange=exchange.id,
        message=case.message.id,
        partner=exchange.partner,
        disposition=judged.receipt.disposition,
        modifier=_modifiers(judged.receipt),
        signed_by=dict(case.proof.detail).get("fingerprint", "") if case.proof is not None else "",
        mic_matches=judged.mic_matches,
        relation=judged.relation,
        reason=str(judged.fault or ""),
    )
    context.reporter.happened("receipts received")
    if judged.fault is not None and judged.relation != "duplicate":
        context.reporter.trouble(judged.fault, f"exchange {exchange.id}")


def _act(context: Context, recorder: Recorder, judged: _Judged, exchange: Row[*tuple[Any, ...]]) -> None:
    """The first receipt that counts: a good one ends the wait for it, a bad one calls a person."""
    reconcile.handed_over(context, recorder, exchange, "the partner gave a receipt for it")
    reconcile.fulfil(recorder, exchange.id, "receipt")
    if judged.fault is None:
        _conclude(recorder, exchange)
    elif exchange.state not in _SETTLED:
        table = tables.expectation
        recorder.connection.execute(delete(table).where(table.c.exchange == exchange.id))
        recorder.change(
            tables.exchange,
            exchange.id,
            state=ExchangeState.REFUSED,
            updated_at=recorder.now,
            settled_at=None,
            **recorder.fault(judged.fault),
        )


def _conclude(recorder: Recorder, exchange: Row[*tuple[Any, ...]]) -> None:
    """Where nothing else is awaited, it is complete; where something is overdue, that alone is."""
    x, e = tables.exchange, tables.expectation
    state = ExchangeState.SENT if exchange.state in reconcile.UNDER_WAY else exchange.state  # see handed_over
    if state not in _WAITING:
        return
    awaited = recorder.connection.execute(select(e.c.overdue_at).where(e.c.exchange == exchange.id)).scalars().all()
    if not awaited:
        recorder.change(x, exchange.id, state=ExchangeState.COMPLETE, updated_at=recorder.now)
    elif state == ExchangeState.OVERDUE and not any(awaited):
        recorder.change(x, exchange.id, state=ExchangeState.SENT, updated_at=recorder.now)


def _modifiers(receipt: Receipt) -> str:
    return ", ".join(receipt.modifiers or receipt.problems)


def _mic(receipt: Receipt) -> str:
    return str(receipt.mic or "")
