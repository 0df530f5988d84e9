"""Prove: whether the partner sent it, by the evidence that their profile asks for; stronger evidence is always enough.

``From`` alone is a claim. What is not proven is quarantined and gets no answer, for an answer would go to whoever wrote
it. What cannot be decided because the DNS does not answer is quarantined too, and tried again by every batch.
"""

from __future__ import annotations

from sqlalchemy import and_, func, select

from gateway.errors import DnsUnavailable, SenderUndecided, SenderUnproven
from gateway.flow.case import Case
from gateway.flow.context import Context
from gateway.ledger import tables
from gateway.ledger.states import MessageState
from gateway.mail.authentication_results import mx_proof
from gateway.mail.model import Proof
from gateway.settings.values import say_duration
from partners.model import Evidence

BY_ADDRESS = Proof(Evidence.ADDRESS)
_ORDER = list(Evidence)  # the weakest first
_HOUR = 3_600_000
_ASKED_FOR = {
    Evidence.MX: "the word of our mail exchanger (evidence mx)",
    Evidence.DKIM: "a DKIM signature (evidence dkim)",
    Evidence.SIGNED: "an S/MIME signature (evidence signed)",
}


def prove(context: Context, case: Case) -> None:
    """Fills ``case.proof`` with what proves the sender, or ``case.fault`` with why nothing does.

    A signature that was checked before stands in ``case.proof`` already. The DNS may be asked: never call it within a
    transaction.
    """
    assert case.partner is not None
    assert case.letter is not None
    wanted, address = case.partner.evidence, case.letter.from_address
    looked: list[str] = []
    try:
        case.proof = case.proof or _found(context, case, wanted, looked)
    except DnsUnavailable as fault:
        retry = say_duration(context.settings.proof.retry)
        case.fault = SenderUndecided(address=address, reason=str(fault), retry=retry)
        return
    if not enough(case.proof, wanted):
        found = "; ".join(looked) or f"found is {_name(case.proof)}"
        case.fault = SenderUnproven(
            address=address, partner=case.partner.key, wanted=_ASKED_FOR[wanted], found=found, evidence=wanted.value
        )


def enough(proof: Proof | None, wanted: Evidence) -> bool:
    """Whether a proof is what was asked for, or stronger."""
    if proof is None or proof.kind not in _ORDER:
        return wanted is Evidence.ADDRESS
    return _ORDER.index(Evidence(proof.kind)) >= _ORDER.index(wanted)


def _found(context: Context, case: Case, wanted: Evidence, looked: list[str]) -> Proof | None:
    """The proof that is there, the cheapest that is enough first; what was found instead is added to ``looked``."""
    if wanted is Evidence.SIGNED:
        looked.append("it bears no signature by a trusted certificate of theirs")
        return None
    if wanted is Evidence.ADDRESS:
        if context.settings.proof.dkim != "always":
            return BY_ADDRESS
        return _by_mx(context, case, []) or _by_dkim_if_decided(context, case) or BY_ADDRESS
    by_mx = _by_mx(context, case, looked) if wanted is Evidence.MX else None
    return by_mx or _by_dkim(context, case, looked)


def _by_mx(context: Context, case: Case, looked: list[str]) -> Proof | None:
    assert case.letter is not None
    proof, instead = mx_proof(case.message.raw, case.letter.from_address, context.settings.proof, context.limits)
    if proof is None:
        looked.append(instead)
    return proof


def _by_dkim(context: Context, case: Case, looked: list[str]) -> Proof | None:
    assert case.letter is not None
    if context.settings.proof.dkim == "never":
        looked.append('DKIM is not verified here (proof.dkim = "never")')
        return None
    from gateway.mail.dkim_proof import dkim_proof  # noqa: PLC0415 - slow to load; most homes never need it

    proof, instead = dkim_proof(
        case.message.raw, case.letter.from_address, context.txt, case.message.at / 1000, context.limits
    )
    if proof is None:
        looked.append(instead)
    return proof


def _by_dkim_if_decided(context: Context, case: Case) -> Proof | None:
    """What is only recorded need not wait for the DNS."""
    try:
        return _by_dkim(context, case, [])
    except DnsUnavailable:
        return None


def _name(proof: Proof | None) -> str:
    return proof.kind if proof is not None and proof.kind else "nothing"


# ---------------------------------------------------------------- what could not be decided


def try_again(context: Context) -> None:
    """Puts back the messages that waited for the DNS, at most once an hour each, until ``proof.retry`` is over."""
    m, e = tables.message.c, tables.event.c
    now = context.clock()
    oldest = now - int(context.settings.proof.retry.total_seconds() * 1000)
    last = select(func.max(e.at)).where(and_(e.message == m.id, e.kind == "quarantined")).scalar_subquery()
    waiting = select(m.id).where(
        m.state == MessageState.QUARANTINED,
        m.fault_code == SenderUndecided.code,
        m.at >= oldest,
        last <= now - _HOUR,
    )
    with context.ledger.reading() as connection:
        messages = list(connection.execute(waiting.order_by(m.id)).scalars())
    if not messages:
        return
    with context.ledger.transaction() as recorder:
        for each in messages:
            recorder.change(tables.message, each, state=MessageState.STORED, attempts=1)
            recorder.event("released", message=each, reason="the DNS is asked again who sent it")
