"""What is to come next of an exchange, in a few words: what, by whom, and until when."""

from __future__ import annotations

from gateway.ledger.moments import roughly
from gateway.ledger.rows import ExchangeRow
from gateway.ledger.states import ExchangeState

_NEXT: dict[ExchangeState, str] = {
    ExchangeState.READY: "the next batch sends it",
    ExchangeState.SENDING: "the SMTP host answers",
    ExchangeState.ACCEPTED: "the next batch hands it to the business",
}
# What a person has to do, unless somebody has put it to rest.
_BY_A_PERSON: dict[ExchangeState, str] = {
    ExchangeState.REJECTED: "the partner corrects it and sends it anew",
    ExchangeState.CONFLICT: "somebody accepts or discards it",
    ExchangeState.QUARANTINED: "somebody releases or discards it",
    ExchangeState.UNMATCHED: "somebody asks the partner what it speaks of",
    ExchangeState.IN_DOUBT: "somebody asks the partner, or its acknowledgment comes",
    ExchangeState.REFUSED: "the business corrects it and submits it anew",
    ExchangeState.FAILED: "somebody sends it again, or cancels it",
    ExchangeState.BOUNCED: "somebody corrects the address and sends it again",
}


def upcoming(row: ExchangeRow, now: int) -> str:
    """What comes next, as the end of "next: …"; "" where nothing does.

    Args:
        row: the exchange.
        now: the moment that what is due is measured against, ms since 1970 UTC.
    """
    state = ExchangeState(row.state)
    if state is ExchangeState.SENT and row.acknowledged_at is None:
        return _awaited(row.due_at, now)
    if row.settled_at is not None:
        return _NEXT.get(state, "")
    if state is ExchangeState.OVERDUE:
        late = f"; {roughly(now - row.due_at)} late" if row.due_at is not None and row.due_at < now else ""
        return f"somebody asks the partner{late}"
    if state is ExchangeState.ACCEPTED and row.fault_code:
        return "the next batch tries to hand it over again"
    if state in {ExchangeState.DELIVERED, ExchangeState.ACCEPTED} and row.verdict == "partially_accepted":
        return "the partner corrects what was refused"
    return _BY_A_PERSON.get(state, "") or _NEXT.get(state, "")


def _awaited(due_at: int | None, now: int) -> str:
    if due_at is None:
        return "the partner's answer"
    if due_at >= now:
        return f"the partner's acknowledgment, due in {roughly(due_at - now)}"
    return f"the partner's acknowledgment; it was due {roughly(now - due_at)} ago"
