"""Which exchanges need a person: one meaning, for what is listed, counted, searched and reported.

It is more than a state: of what was delivered or acknowledged some documents may have been refused, and what was
accepted may not have reached the business.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Select, TextClause, and_, or_, select, text, union_all

from gateway.ledger.literals import word
from gateway.ledger.search_tables import ATTENTION, FAULTY, UNUSUAL_STATE, UNUSUAL_VERDICT
from gateway.ledger.states import EXCHANGE_ATTENTION, EXCHANGE_MEANING, ExchangeState
from gateway.ledger.tables import exchange, expectation

TAKEN = (ExchangeState.ACCEPTED, ExchangeState.DELIVERED)
GONE = (ExchangeState.SENT, ExchangeState.COMPLETE, ExchangeState.ACKNOWLEDGED)
_AFTER = (*GONE, ExchangeState.SUPERSEDED, ExchangeState.CANCELLED)  # when a partner may still contradict itself
_MEANING = {
    "partially accepted": "Some of its documents were accepted, and others rejected.",
    "not delivered": "It was accepted, but the business could not be given it.",
    "receipt overdue": "The receipt that was asked for did not come in time.",
    "contradicted": "What the partner acknowledged does not fit what it acknowledged before, or what became of it.",
    "not to all": "The SMTP host did not take it for everybody.",
}
_PARTLY = "acknowledgment.partly"  # the fault of what one of its groups was rejected of, and others await their answer
_STATES = sorted(each.value for each in EXCHANGE_ATTENTION)

Place = tuple[ColumnElement[bool] | TextClause, ...]


def needs_a_person(x: Any = exchange.c) -> ColumnElement[bool]:
    """Whether an exchange needs a person, by its row; ``x`` are the columns to look at."""
    # Of a partially accepted one some documents were refused, by us or by the partner: somebody should know.
    partly = and_(
        x.verdict == "partially_accepted",
        or_(
            and_(x.direction == "in", x.state.in_(TAKEN)),
            and_(x.direction == "out", x.state == ExchangeState.ACKNOWLEDGED),
        ),
    )
    # Accepted and acknowledged, but the business could not be given it: the fault says why.
    stuck = and_(x.state == ExchangeState.ACCEPTED, x.fault_code != "")
    # The host took it, but not for everybody: the fault names who.
    short = and_(x.state.in_(GONE), x.fault_code.like("sending%"))
    # Acknowledged, but without the receipt that would prove it.
    unconfirmed = x.id.in_(_without_receipt())
    # The partner contradicted itself, or took what was sent again under new numbers.
    contradicted = and_(x.direction == "out", x.fault_code.like("acknowledgment%"))
    wanted = or_(x.state.in_(_STATES), partly, stuck, short, unconfirmed, contradicted)
    return and_(wanted, x.settled_at.is_(None))


def need_of(state: str, verdict: str, fault_code: str) -> str:
    """What is the matter with an exchange that needs a person; its state, where that says it."""
    if state in TAKEN:
        return "not delivered" if fault_code else "partially accepted"
    if state in GONE and fault_code == _PARTLY:
        return "partially accepted"
    if state == ExchangeState.ACKNOWLEDGED and verdict == "partially_accepted" and not fault_code:
        return "partially accepted"
    if state in GONE and not fault_code:
        return "receipt overdue"
    if state in _AFTER and fault_code.startswith("acknowledgment"):
        return f"{state}, contradicted"
    return f"{state}, not to all" if state in GONE else state


def meaning_of(need: str, state: str) -> str:
    """A sentence about what ``need_of`` says, or else about the state."""
    return _MEANING.get(need.removeprefix(f"{state}, "), EXCHANGE_MEANING[ExchangeState(state)])


def places() -> Iterator[Place]:
    """Where an index leads to exchanges among which all are that need a person (see ``search_tables``).

    Each holds nothing else: else what needs nobody would fill a bounded answer in its place.
    """
    x = exchange.c
    incoming, outgoing = (x.direction == word(each) for each in ("in", "out"))
    acknowledged = x.state == word(ExchangeState.ACKNOWLEDGED)
    for place in (
        (text(ATTENTION),),
        (text(UNUSUAL_VERDICT), x.verdict == word("partially_accepted"), incoming, x.state.in_(TAKEN)),
        (text(UNUSUAL_VERDICT), x.verdict == word("partially_accepted"), outgoing, acknowledged),
        (text(UNUSUAL_STATE), x.state == word(ExchangeState.ACCEPTED), x.fault_code != word("")),
        (text(FAULTY), x.fault_code >= word("sending"), x.fault_code < word("sendinh"), x.state.in_(GONE)),
        (text(FAULTY), x.fault_code >= word("acknowledgment"), x.fault_code < word("acknowledgmenu"), outgoing),
        (x.id.in_(_without_receipt()),),
    ):
        yield (*place, x.settled_at.is_(None))


def those_in_need() -> Select[Any]:
    """The ids of all exchanges that need a person, each by an index; some may come twice."""
    return select(union_all(*(select(exchange.c.id).where(*place) for place in places())).subquery().c[0])


def _without_receipt() -> Select[Any]:
    late = (expectation.c.kind == "receipt", expectation.c.overdue_at.is_not(None))
    return select(expectation.c.exchange).where(*late)
