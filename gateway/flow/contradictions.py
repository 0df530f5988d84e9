"""Contradictions: does a partner's acknowledgment say something new, the same again, or the opposite of an earlier one?

Both words are kept, the newest one counts, and a person is told: only the partner knows which one holds. A TA1 that
refuses the interchange contradicts a 997 that accepts its groups, and the other way round; so does any acknowledgment
that says the opposite of what a person was told on the telephone. What was refused and sent again has a new first word.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, select

from gateway.errors import (
    AcknowledgmentContradicting,
    AcknowledgmentCounts,
    AcknowledgmentOfCancelled,
    AcknowledgmentPartly,
    AcknowledgmentTooLate,
    GatewayError,
)
from gateway.flow import anew
from gateway.flow.acts import told
from gateway.flow.context import Context
from gateway.ledger import tables
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState
from gateway.x12.model import GroupAck, Status

ABANDONED = (ExchangeState.SUPERSEDED, ExchangeState.CANCELLED)  # by a person, before the partner spoke
_BY_HAND = "acknowledged-by-hand"  # the event
_REPEATED = "duplicate"  # says what was said before, or speaks of a repetition of ours


def relation(recorder: Recorder, exchange: int, group: int | None, kind: str, status: Status) -> tuple[str, str]:
    """Matched (the first word on it), duplicate or contradicting, with the earlier word that it speaks to.

    Args:
        recorder: the transaction, flushed.
        exchange: ours, that it answers.
        group: its functional group; None where it speaks of the interchange (TA1).
        kind: TA1, 997 or 999.
        status: what it says.
    """
    table = tables.acknowledgment
    last = _newest(
        recorder,
        exchange,
        select(table.c.id, table.c.status).where(
            table.c.exchange == exchange,
            table.c.functional_group.is_(None) if group is None else table.c.functional_group == group,
            table.c.transaction_set.is_(None),
            table.c.relation != _REPEATED,
        ),
    )
    if last:
        return ("duplicate" if status == last else "contradicting"), last
    opposite = _on_the_other_level(recorder, exchange, kind, status) or _by_hand(recorder, exchange, status)
    return ("contradicting", opposite) if opposite else ("matched", "")


def _on_the_other_level(recorder: Recorder, exchange: int, kind: str, status: Status) -> str:
    """What contradicts it among the words on groups (for a TA1) or on the interchange (for a 997 or 999)."""
    table = tables.acknowledgment
    rejected = table.c.status == Status.REJECTED
    if kind == "TA1" and status is Status.REJECTED:
        opposite: tuple[ColumnElement[bool], ...] = (
            table.c.functional_group.is_not(None),
            table.c.transaction_set.is_(None),
            ~rejected,
        )
    elif kind != "TA1" and status is not Status.REJECTED:
        opposite = (table.c.functional_group.is_(None), table.c.kind == "TA1", rejected)
    else:
        return ""
    said = (table.c.exchange == exchange, table.c.relation != _REPEATED, *opposite)
    return _newest(recorder, exchange, select(table.c.id, table.c.status).where(*said))


def _newest(recorder: Recorder, exchange: int, words: Select[tuple[int, str]]) -> str:
    """The newest of some words; "" where there is none, or where it was said before the exchange went anew."""
    newest = words.order_by(tables.acknowledgment.c.id.desc()).limit(1)
    found = recorder.connection.execute(newest).one_or_none()
    if found is None or found.id <= anew.spoken_before(recorder, exchange):
        return ""
    return str(found.status)


def _by_hand(recorder: Recorder, exchange: int, status: Status) -> str:
    e = tables.event.c
    asked = select(e.kind, e.body).where(e.exchange == exchange, e.kind.in_((_BY_HAND, anew.AWAITED_ANEW)))
    last = recorder.connection.execute(asked.order_by(e.seq.desc()).limit(1)).one_or_none()
    verdict = str(json.loads(last.body).get("verdict", "")) if last is not None and last.kind == _BY_HAND else ""
    differs = (verdict == Status.REJECTED) != (status is Status.REJECTED)
    return verdict if verdict and differs else ""


def call_a_person(
    context: Context, recorder: Recorder, exchange: Row[*tuple[Any, ...]], kind: str, earlier: str, now: Status
) -> None:
    """The partner contradicts itself: the exchange keeps why somebody must ask."""
    words = {"before": earlier.replace("_", " "), "now": now.value.replace("_", " ")}
    _tell(context, recorder, exchange, AcknowledgmentContradicting(partner=exchange.partner, kind=kind, **words))


def after_all(context: Context, recorder: Recorder, exchange: Row[*tuple[Any, ...]], verdict: Status) -> None:
    """The partner speaks on what a person gave up: if it took it, it may have the documents twice."""
    recorder.change(tables.exchange, exchange.id, verdict=verdict, updated_at=recorder.now)
    if verdict is Status.REJECTED:
        return
    now = verdict.value.replace("_", " ")
    if exchange.state == ExchangeState.CANCELLED:
        _tell(context, recorder, exchange, AcknowledgmentOfCancelled(partner=exchange.partner, now=now))
        return
    by = (told(recorder, "superseded", exchange=exchange.id) or {}).get("by", "?")
    _tell(context, recorder, exchange, AcknowledgmentTooLate(partner=exchange.partner, now=now, by=by))


def rejected_in_part(
    context: Context, recorder: Recorder, exchange: Row[*tuple[Any, ...]], ack: GroupAck, status: Status
) -> None:
    """One of several groups has rejected documents: nobody need wait for the words on the others to know."""
    if exchange.state in ABANDONED:
        return
    group = f"group {ack.functional_id} {ack.control_number}"
    now = status.value.replace("_", " ")
    _tell(context, recorder, exchange, AcknowledgmentPartly(partner=exchange.partner, group=group, now=now))


def counts_differ(
    context: Context, recorder: Recorder, exchange: Row[*tuple[Any, ...]], ack: GroupAck, sets: int
) -> None:
    """The partner takes the group, but counts fewer sets than were in it: some of the documents may be missing."""
    counted = min(each for each in (ack.included, ack.received) if each)
    group = f"group {ack.functional_id} {ack.control_number}"
    fault = AcknowledgmentCounts(partner=exchange.partner, kind=ack.kind, group=group, counted=counted, sets=sets)
    _tell(context, recorder, exchange, fault)


def _tell(context: Context, recorder: Recorder, exchange: Row[*tuple[Any, ...]], fault: GatewayError) -> None:
    recorder.change(tables.exchange, exchange.id, settled_at=None, **recorder.fault(fault))
    context.reporter.trouble(fault, f"exchange {exchange.id}")
