"""Receipts (MDN, RFC 8098, RFC 3335) that we give: for a mail that asks for one, to the partner who sent it, once.

A receipt says that a mail arrived whole, and opened: what its EDI is worth is for the TA1, 997 or 999. It goes to
addresses of the partner only, so that nobody learns from us what became of a forged mail. No receipt is ever
answered.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from msgspec import Struct
from sqlalchemy import select

from gateway.errors import GatewayError, MessageFault, SecurityFault, SenderUnproven, Side
from gateway.flow.case import Case
from gateway.flow.context import Context
from gateway.flow.envelope import queue_again
from gateway.ledger import archive, tables
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState, MessageState
from gateway.mail.compose import is_message_id, letter, message_id, written_date
from gateway.mail.model import Draft
from gateway.mail.receipt_reader import request_in
from gateway.mail.receipt_writer import ReceiptNote, receipt_entity
from gateway.mail.receipts import (
    FAILED,
    PROCESSED,
    UNEXPECTED,
    Mic,
    ReceiptRequest,
    digest_name,
)
from gateway.mail.smime.layers import Plan, mic, open_layers, secure
from partners.model import Direction, Partner, Security

DIGESTS = ("sha-256", "sha-384", "sha-512", "sha-224", "sha-1")  # in which we state integrity checks
_SIGNING = ("sha-256", "sha-384", "sha-512")  # with which we sign
_CHUNK = 500  # names in one question
KIND = "receipt"  # of the exchange that carries one


class _Owed(Struct, frozen=True):
    """A receipt that is to be given: to whom, what it says, and how."""

    partner: Partner
    to: str
    note: ReceiptNote
    security: Security
    signed: bool
    digest: str


class Given:
    """Which of a group's mails have got a receipt already, under the same Message-ID. The ledger is asked once."""

    def __init__(self, recorder: Recorder, cases: Sequence[Case]) -> None:
        self._recorder = recorder
        self._cases = cases
        self._names: set[str] | None = None

    def __contains__(self, name: str) -> bool:
        if self._names is None:
            self._names = set(self._asked())
        return name in self._names

    def add(self, name: str) -> None:
        """A receipt was given now."""
        if self._names is not None:
            self._names.add(name)

    def _asked(self) -> Iterator[str]:
        m, r = tables.message, tables.receipt
        names = list({each.letter.message_id for each in self._cases if each.letter is not None})
        for at in range(0, len(names), _CHUNK):
            wanted = select(m.c.message_id).join(r, r.c.original == m.c.id)
            wanted = wanted.where(m.c.message_id.in_(names[at : at + _CHUNK]), r.c.direction == "out")
            yield from self._recorder.connection.execute(wanted).scalars()


def give(context: Context, recorder: Recorder, case: Case, given: Given) -> None:
    """Queues the receipt that a mail asks for, if its partner is known and the agreement lets us.

    The same mail again, under whatever headers, gets the stored receipt again.
    """
    try:
        owed = _owed(context, case)
    except GatewayError as fault:
        _not_given(context, recorder, case, fault)
        return
    if owed is None:
        return
    name = owed.note.original_message_id
    earlier = _given_before(recorder, owed) if name in given else None
    if earlier is not None:
        exchange, message = earlier
        if message != case.message.id and not _is_waiting(recorder, exchange):
            queue_again(recorder, exchange, reason=f"message m{case.message.id} is the same mail again")
        return
    try:
        entity, fingerprint = _written(context, owed, recorder.now)
    except GatewayError as fault:
        _not_given(context, recorder, case, fault)
        return
    _queue(context, recorder, case, owed, entity, fingerprint)
    given.add(name)


def _owed(context: Context, case: Case) -> _Owed | None:
    """What the mail is owed; None where it asks for nothing, or nobody may know of it."""
    partner = _asker(context, case)
    if partner is None or case.letter is None:
        return None
    security = _agreed(case, partner)
    request = request_in(case.message.raw, context.limits) if security is not None else None
    smtp = context.settings.smtp
    if security is None or request is None or smtp is None:
        return None
    if not is_message_id(case.letter.message_id):
        raise MessageFault(reason="it has no Message-ID that a receipt could name")
    known = {each.lower() for each in partner.addresses}
    to = next((each for each in request.to if each.lower() in known), "")
    if not to:
        raise MessageFault(reason="the receipt is to go to an address that is not the partner's")
    digest = request.digest(DIGESTS) or _signature_digest(case)
    note = _note(context, case, request, digest, smtp.sender)
    return _Owed(partner, to, note, security, request.signed and security.receipt == "signed", digest)


def _signature_digest(case: Case) -> str:
    """Who does not say in which digest the integrity check should be most likely knows the one that it signs with."""
    signed = [layer.algorithm for layer in case.layers if layer.kind == "signed" and layer.algorithm in DIGESTS]
    return signed[-1] if signed else "sha-256"


def _asker(context: Context, case: Case) -> Partner | None:
    """The active partner whose address the mail bears; None for who gets no answer whatever happens."""
    letter_ = case.letter
    if letter_ is None or letter_.kind != "letter" or letter_.sender_problem or letter_.loop:
        return None
    fault = _fault(case)
    if isinstance(fault, SenderUnproven):
        return None  # nobody knows whom an answer would be for
    if fault is not None and (fault.side is Side.OURS or not fault.permanent):
        return None  # it is processed again when that is mended, and answered then
    partner = context.directory.by_address(letter_.from_address)
    return partner if partner is not None and partner.status in {"testing", "live"} else None


def _agreed(case: Case, partner: Partner) -> Security | None:
    """The agreement that lets us give receipts: of a document in the mail, or any where nothing opened."""
    carried = [each for _, interchange in case.interchanges for each in interchange.agreements.values()]
    inbound = [each for each in partner.agreements if each.direction is Direction.IN]
    return next((each.security for each in carried or inbound if each.security.receipt != "none"), None)


def _note(context: Context, case: Case, request: ReceiptRequest, digest: str, ours: str) -> ReceiptNote:
    assert case.letter is not None
    refusal = request.refusal(DIGESTS)
    problem = _problem(case)
    modifier, reason = ("failure", refusal) if refusal else ("error", problem) if problem else ("", "")
    words = "It arrived whole and was opened." if not modifier else f"It could not be taken: {reason}."
    return ReceiptNote(
        original_message_id=case.letter.message_id,
        recipient=ours,
        reporting_ua=f"{context.settings.domain}; EDI gateway",
        text=f"This is a receipt for your mail {case.letter.message_id}.\n{words}\n",
        disposition=FAILED if refusal else PROCESSED,
        modifier=modifier,
        reason=reason,
        mic=None if refusal else _mic(context, case, digest),
    )


def _problem(case: Case) -> str:
    """What goes after ``processed/error:``; "" where the mail arrived whole, opened and proved what it should."""
    fault = _fault(case)
    if fault is None:
        return ""
    return fault.disposition if isinstance(fault, SecurityFault) else UNEXPECTED


def _fault(case: Case) -> MessageFault | None:
    """What is wrong with the mail as a whole, or with how an interchange in it is secured."""
    inside = (each.fault for _, each in case.interchanges if isinstance(each.fault, SecurityFault))
    return case.fault or next(inside, None)


def _mic(context: Context, case: Case, digest: str) -> Mic | None:
    """The integrity check over what the request is about (RFC 3335 section 2.3); None where nothing opened."""
    opened = case.opened
    if opened is None and case.secured:
        return None
    if opened is None:
        opened = open_layers(case.message.raw[:], limits=context.limits, at=case.message.at / 1000)
    return Mic(mic(opened.covered, digest_name(digest)), digest)


def _given_before(recorder: Recorder, owed: _Owed) -> tuple[int, int] | None:
    """The exchange of a receipt that said the same of the same mail, and the message that it was given for.

    None where its bytes are not kept any more: then a new one says it.
    """
    r, x, m, letter = tables.receipt, tables.exchange, tables.message, tables.message.alias("letter")
    recorder.flush()
    same = select(m.c.id).where(m.c.message_id == owed.note.original_message_id, m.c.direction == "in")
    row = recorder.connection.execute(
        select(r.c.exchange, r.c.original, letter.c.sha256)
        .join(x, x.c.id == r.c.exchange)
        .join(letter, letter.c.id == x.c.message)
        .where(
            r.c.original.in_(same),
            r.c.direction == "out",
            x.c.partner == owed.partner.key,
            r.c.disposition == owed.note.disposition,
            r.c.modifier == _modifier(owed.note),
            r.c.mic == str(owed.note.mic or ""),
        )
        .order_by(r.c.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None or not archive.at_hand(recorder.connection, [row.sha256]):
        return None
    return row.exchange, row.original


def _is_waiting(recorder: Recorder, exchange: int) -> bool:
    table = tables.outgoing
    return recorder.connection.execute(select(table.c.exchange).where(table.c.exchange == exchange)).first() is not None


def _written(context: Context, owed: _Owed, now: int) -> tuple[bytes, str]:
    """The receipt's entity, signed where that was asked for and agreed, and the fingerprint of what signed it."""
    plain = receipt_entity(owed.note)
    if not owed.signed:
        return plain, ""
    key = context.keys.signing(now, owed.security.key)
    chosen = digest_name(owed.digest)
    plan = Plan(sign_with=context.keys.pair(key), digest=chosen if chosen in _SIGNING else _SIGNING[0], at=now / 1000)
    return secure(plain, plan).entity, key.fingerprint


def _modifier(note: ReceiptNote) -> str:
    return f"{note.modifier}: {note.reason}" if note.modifier else ""


def _queue(context: Context, recorder: Recorder, case: Case, owed: _Owed, entity: bytes, fingerprint: str) -> None:
    """The receipt as an exchange of its own: the way of every mail of ours, with its attempts, proofs and bounces."""
    smtp = context.settings.smtp
    assert smtp is not None
    original = owed.note.original_message_id
    draft = Draft(
        sender=smtp.sender,
        sender_name=smtp.sender_name,
        to=(owed.to,),
        subject=f"Receipt for {original}",
        message_id=message_id(context.settings.domain, f"receipt {owed.partner.key} {original} {case.message.id}"),
        body="",
        in_reply_to=original,
        references=(original,),
        date=recorder.now / 1000,
    )
    raw = letter(draft, entity)
    message = _record_message(context, recorder, owed, draft, raw)
    exchange = _record_exchange(context, recorder, owed, draft, entity, message, signed=bool(fingerprint))
    recorder.add(
        tables.receipt,
        at=recorder.now,
        direction="out",
        message=message,
        exchange=exchange,
        original=case.message.id,
        original_message_id=original,
        disposition=owed.note.disposition,
        modifier=_modifier(owed.note),
        mic=str(owed.note.mic or ""),
        signed_by=fingerprint,
        relation="matched",
    )
    recorder.event(
        "receipt-given",
        exchange=exchange,
        message=case.message.id,
        partner=owed.partner.key,
        to=owed.to,
        disposition=owed.note.disposition,
        modifier=_modifier(owed.note),
        signed="signed" if fingerprint else "",
    )
    recorder.put(
        tables.outgoing,
        exchange=exchange,
        message=message,
        partner=owed.partner.key,
        state="ready",
        next_at=recorder.now,
        # RFC 8098 wants none; but many hosts refuse that from who logged in, and a bounce should find its way home.
        envelope_sender=smtp.sender,
        recipients=json.dumps([owed.to]),
    )
    recorder.wake("dispatch")
    context.reporter.happened("receipts given")


def _record_message(context: Context, recorder: Recorder, owed: _Owed, draft: Draft, raw: bytes) -> int:
    smtp = context.settings.smtp
    assert smtp is not None
    return recorder.add(
        tables.message,
        at=recorder.now,
        direction="out",
        state=MessageState.QUEUED,
        kind=KIND,
        host=smtp.host,
        user=smtp.user,
        sha256=recorder.keep(raw, owner=owed.partner.key),
        size=len(raw),
        message_id=draft.message_id,
        in_reply_to=draft.in_reply_to,
        subject=draft.subject,
        from_address=draft.sender,
        to_addresses=json.dumps(draft.to),
        dated=written_date(draft),
        partner=owed.partner.key,
    )


def _record_exchange(
    context: Context, recorder: Recorder, owed: _Owed, draft: Draft, entity: bytes, message: int, *, signed: bool
) -> int:
    smtp = context.settings.smtp
    assert smtp is not None
    return recorder.add(
        tables.exchange,
        at=recorder.now,
        updated_at=recorder.now,
        direction="out",
        kind=KIND,
        state=ExchangeState.READY,
        partner=owed.partner.key,
        message=message,
        from_address=draft.sender,
        host=smtp.host,
        message_id=draft.message_id,
        subject=draft.subject,
        to_addresses=json.dumps(draft.to),
        user=smtp.user,
        types="MDN",
        sha256=recorder.keep(entity, owner=owed.partner.key),
        size=len(entity),
        security=f"signed {digest_name(owed.digest)}" if signed else "",
    )


def _not_given(context: Context, recorder: Recorder, case: Case, fault: GatewayError) -> None:
    """It was asked for and cannot be given: nothing of the mail itself depends on that."""
    recorder.event("receipt-not-given", message=case.message.id, code=fault.code, reason=str(fault))
    context.reporter.trouble(fault, f"message m{case.message.id}")
