"""Reconcile: what the partner says of what we sent, down to the transaction set. What it does not say: see overdue.

An acknowledgment counts only when it comes from the partner whose interchange it names, and not as a test for what
went in earnest. Late ones close what was overdue, repeated ones are noted, contradicting ones are kept and shown.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Row, delete, select

from gateway.errors import (
    AcknowledgmentAsTest,
    AcknowledgmentForged,
    AcknowledgmentOfGone,
    AcknowledgmentPartly,
    AcknowledgmentUnmatched,
    MessageFault,
)
from gateway.flow import anew, contradictions, deadlines, named
from gateway.flow.case import ACKNOWLEDGMENT_GROUP, InterchangeCase
from gateway.flow.context import Context
from gateway.flow.gone_before import Gone, gone_before
from gateway.ledger import tables
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState
from gateway.x12.model import GroupAck, Header, InterchangeAck, Status
from gateway.x12.received import group_codes_in_words, note_in_words

# Acknowledged by the partner before we knew that it was handed over: then it was.
UNDER_WAY = (ExchangeState.READY, ExchangeState.SENDING, ExchangeState.IN_DOUBT)
_NUMBER_CAME_BEFORE = "025"  # TA105
_FINAL = (
    *(ExchangeState.ACKNOWLEDGED, ExchangeState.REFUSED),
    *(ExchangeState.CANCELLED, ExchangeState.SUPERSEDED),
)


class _Said(Struct, frozen=True):
    """One statement of a partner, ready to be kept."""

    kind: str
    status: Status
    names: str
    codes: str = ""
    errors: tuple[str, ...] = ()


def acknowledged(context: Context, recorder: Recorder, case: InterchangeCase, carrier: int) -> bool:
    """Matches every TA1, 997 and 999 of an inbound interchange; false when one of them matches nothing of ours."""
    header, partner = case.report.header, case.partner
    assert header is not None
    assert partner is not None
    if not (case.report.interchange_acks or case.report.group_acks):
        return True
    recorder.flush()  # what this batch queued can be what is acknowledged
    matched = True
    for ta1 in case.report.interchange_acks:
        matched &= _interchange(context, recorder, partner.key, header, ta1, carrier)
    readable = {
        each.control_number
        for group in case.report.groups
        if group.functional_id == ACKNOWLEDGMENT_GROUP
        for each in group.sets
        if each.status is not Status.REJECTED
    }
    for ack in case.report.group_acks:
        if ack.ack_control_number not in readable:
            continue  # we refused this 997 or 999 itself: its exchange says why
        matched &= _group(context, recorder, partner.key, header, ack, carrier)
    return matched


def _interchange(
    context: Context, recorder: Recorder, partner: str, header: Header, ta1: InterchangeAck, carrier: int
) -> bool:
    words = () if ta1.status is Status.ACCEPTED else (note_in_words(ta1.note),)
    said = _Said("TA1", ta1.status, ta1.control_number, ta1.note, words)
    exchange = named.interchange(recorder, header, ta1)
    if exchange is None:
        other = (earnest := named.in_earnest(header)) and named.interchange(recorder, earnest, ta1)
        gone = None if other else gone_before(recorder, header, "interchange", ta1.control_number, ta1.date)
        whose = "" if other or gone else named.of_another(recorder, header, ta1)
        return _orphan(context, recorder, partner, said, carrier, other.id if other else None, gone, whose)
    repetition = _refuses_the_repetition(recorder, ta1, exchange.id)
    relation, earlier = contradictions.relation(recorder, exchange.id, None, said.kind, said.status)
    if repetition:
        relation = "duplicate"
    _keep(recorder, said, relation, carrier, exchange=exchange.id)
    recorder.event(
        "acknowledgment",
        exchange=exchange.id,
        partner=partner,
        kind="TA1",
        status=said.status,
        note=ta1.note,
        relation=relation,
        carrier=carrier,
    )
    if repetition:
        _received(context, recorder, exchange, Status.ACCEPTED, "the partner refused a repetition: it has it")
    elif relation != "duplicate" and ta1.status is Status.REJECTED:
        fulfil(recorder, exchange.id, "TA1")
        fulfil(recorder, exchange.id, "functional")
        handed_over(context, recorder, exchange)
        _conclude(context, recorder, exchange, Status.REJECTED)
    elif relation != "duplicate":
        _received(context, recorder, exchange, ta1.status)
    if relation == "contradicting":
        contradictions.call_a_person(context, recorder, exchange, said.kind, earlier, said.status)
    return True


def _refuses_the_repetition(recorder: Recorder, ta1: InterchangeAck, exchange: int) -> bool:
    """Whether a TA1 says only that the number came before (X12.5, note 025), and we did send it more than once."""
    return ta1.status is Status.REJECTED and ta1.note == _NUMBER_CAME_BEFORE and named.went_again(recorder, exchange)


def _received(
    context: Context,
    recorder: Recorder,
    exchange: Row[*tuple[Any, ...]],
    status: Status,
    reason: str = "the partner acknowledged it",
) -> None:
    """The interchange arrived; whether that is all that the partner will say depends on what is awaited."""
    fulfil(recorder, exchange.id, "TA1")
    if exchange.state in contradictions.ABANDONED:
        contradictions.after_all(context, recorder, exchange, status)
    elif exchange.state not in _FINAL and not anew.waits_to_go_again(exchange):
        handed_over(context, recorder, exchange, reason)
        if not _awaits(recorder, exchange.id):
            _conclude(context, recorder, exchange, status)
        elif exchange.state == ExchangeState.OVERDUE and not _overdue(recorder, exchange.id):
            recorder.change(tables.exchange, exchange.id, state=ExchangeState.SENT, updated_at=recorder.now)


def _group(context: Context, recorder: Recorder, partner: str, header: Header, ack: GroupAck, carrier: int) -> bool:
    words = tuple(group_codes_in_words(ack.codes))
    said = _Said(ack.kind, ack.status, f"{ack.functional_id} {ack.control_number}", " ".join(ack.codes), words)
    found = named.group(recorder, header, ack)
    if found is None:
        other = (earnest := named.in_earnest(header)) and named.group(recorder, earnest, ack)
        gone = None if other else gone_before(recorder, header, "group", ack.control_number)
        whose = "" if other or gone else named.of_another(recorder, header, ack)
        return _orphan(context, recorder, partner, said, carrier, other.exchange if other else None, gone, whose)
    group, exchange_id = int(found.group_id), int(found.exchange)
    relation, earlier = contradictions.relation(recorder, exchange_id, group, said.kind, said.status)
    if relation == "duplicate" and not _says_the_same(recorder, ack, group):
        relation = "contradicting"
    _keep(recorder, said, relation, carrier, exchange=exchange_id, group=group)
    recorder.event(
        "acknowledgment",
        exchange=exchange_id,
        partner=partner,
        kind=ack.kind,
        status=ack.status,
        group=ack.control_number,
        accepted=ack.accepted,
        received=ack.received,
        relation=relation,
        carrier=carrier,
    )
    if relation == "duplicate":
        return True
    status, matched = _sets(recorder, ack, group, exchange_id, carrier, relation)
    recorder.change(tables.functional_group, group, acknowledged=status, acknowledged_at=recorder.now)
    recorder.flush()
    exchange = recorder.connection.execute(select(tables.exchange).where(tables.exchange.c.id == exchange_id)).one()
    handed_over(context, recorder, exchange)
    verdict = _verdict(recorder, exchange_id)
    if verdict is not None:
        fulfil(recorder, exchange_id, "functional")
        _conclude(context, recorder, exchange, verdict)
    if relation == "contradicting":
        contradictions.call_a_person(context, recorder, exchange, said.kind, earlier, said.status)
    elif verdict is None and status in {Status.REJECTED, Status.PARTIALLY_ACCEPTED}:
        contradictions.rejected_in_part(context, recorder, exchange, ack, status)
    elif status is not Status.REJECTED and _fewer(ack, found.sets):
        contradictions.counts_differ(context, recorder, exchange, ack, found.sets)
    if not matched:
        strange = f"{ack.kind} for a set that is not in group {ack.functional_id} {ack.control_number}"
        _unmatched(context, recorder, partner, strange, carrier)
    return matched


def _fewer(ack: GroupAck, sets: int) -> bool:
    """Whether the partner counts fewer sets than its group has, or was given (AK902, AK903).

    A count of zero is what some translators write for every group.
    """
    return any(each is not None and 0 < each < sets for each in (ack.included, ack.received))


def _says_the_same(recorder: Recorder, ack: GroupAck, group: int) -> bool:
    """Whether an acknowledgment says of every set that it names what was said before."""
    table = tables.transaction_set
    rows = recorder.connection.execute(select(table).where(table.c.functional_group == group)).all()
    known = {row.id: row.acknowledged for row in rows}
    spoken = named.sets(rows, ack.sets)
    return all(known.get(row, each.status) == each.status for each, row in zip(ack.sets, spoken, strict=True))


def _sets(
    recorder: Recorder, ack: GroupAck, group: int, exchange: int, carrier: int, relation: str
) -> tuple[Status, bool]:
    """What the acknowledgment says of each set; sets that it does not name share the verdict on their group.

    Returns:
        The verdict on the group, which is not better than those on its sets; and whether all named sets are ours.
    """
    table = tables.transaction_set
    ours = recorder.connection.execute(select(table).where(table.c.functional_group == group)).all()
    meant = list(zip(ack.sets, named.sets(ours, ack.sets), strict=True))
    spoken = {row: each for each, row in meant if row is not None}
    strange = [each for each, row in meant if row is None]
    statuses = []
    for row in (each.id for each in ours):
        said = spoken.get(row)
        status = said.status if said else _unnamed(ack.status)
        statuses.append(status)
        recorder.change(table, row, acknowledged=status, acknowledged_at=recorder.now)
        if said:
            what = _Said(
                ack.kind, said.status, f"{said.set_id} {said.control_number}", " ".join(said.codes), said.errors
            )
            _keep(recorder, what, relation, carrier, exchange=exchange, group=group, set_=row)
    for each in strange:
        what = _Said(ack.kind, each.status, f"{each.set_id} {each.control_number}")
        _keep(recorder, what, "orphan", carrier, exchange=exchange, group=group)
    return _no_better(ack.status, statuses), not strange


def _no_better(group: Status, sets: Sequence[Status]) -> Status:
    """A group that is said to be accepted, with sets that are said to be rejected: some partners write that."""
    if group in {Status.REJECTED, Status.PARTIALLY_ACCEPTED} or Status.REJECTED not in sets:
        return group
    return Status.REJECTED if set(sets) == {Status.REJECTED} else Status.PARTIALLY_ACCEPTED


def _unnamed(group: Status) -> Status:
    """A set that a 997 leaves out was accepted, unless the whole group was rejected."""
    return Status.ACCEPTED if group is Status.PARTIALLY_ACCEPTED else group


def _verdict(recorder: Recorder, exchange: int) -> Status | None:
    """The partner's verdict on the whole exchange, once every group has one."""
    table = tables.functional_group
    said = list(recorder.connection.execute(select(table.c.acknowledged).where(table.c.exchange == exchange)).scalars())
    if not all(said):
        return None
    kinds = {Status(each) for each in said}
    if len(kinds) == 1:
        return kinds.pop()
    lacking = kinds & {Status.REJECTED, Status.PARTIALLY_ACCEPTED}
    return Status.PARTIALLY_ACCEPTED if lacking else Status.ACCEPTED_WITH_ERRORS


def _keep(
    recorder: Recorder,
    said: _Said,
    relation: str,
    carrier: int,
    *,
    exchange: int | None = None,
    group: int | None = None,
    set_: int | None = None,
) -> None:
    recorder.add(
        tables.acknowledgment,
        at=recorder.now,
        carrier=carrier,
        exchange=exchange,
        functional_group=group,
        transaction_set=set_,
        kind=said.kind,
        status=said.status,
        codes=said.codes,
        errors=_as_kept(recorder, said.errors, carrier),
        names=said.names,
        relation=relation,
    )
    recorder.flush()


def _as_kept(recorder: Recorder, errors: tuple[str, ...], carrier: int) -> str:
    """The sentences as JSON, encrypted where the partner wants that: they quote what its documents hold."""
    text = json.dumps(errors)
    if not errors or recorder.at_rest is None:
        return text
    x = tables.exchange.c
    return recorder.encrypted(text, recorder.connection.execute(select(x.partner).where(x.id == carrier)).scalar_one())


def _orphan(
    context: Context,
    recorder: Recorder,
    partner: str,
    said: _Said,
    carrier: int,
    in_earnest: int | None,
    gone: Gone | None,
    whose: str,
) -> bool:
    """An acknowledgment of nothing that we have: ``gone`` tells of what was put away since.

    Or a test that names ``in_earnest``, an exchange which was none; or of what went to another partner, ``whose``.
    """
    _keep(recorder, said, "forged" if whose else "orphan", carrier)
    _unmatched(context, recorder, partner, f"{said.kind} for {said.names}", carrier, in_earnest, gone, whose)
    return False


def _unmatched(
    context: Context,
    recorder: Recorder,
    partner: str,
    what: str,
    carrier: int,
    in_earnest: int | None = None,
    gone: Gone | None = None,
    whose: str = "",
) -> None:
    """The interchange that carries it keeps why somebody must ask."""
    fault: MessageFault = AcknowledgmentUnmatched(partner=partner, what=what)
    if gone is not None:
        where = f"; it may be in {', '.join(gone.archives)}" if gone.archives else ""
        fault = AcknowledgmentOfGone(partner=partner, what=what, where=where, word=gone.word)
    if in_earnest is not None:
        fault = AcknowledgmentAsTest(partner=partner, what=what, exchange=in_earnest)
    if whose:
        fault = AcknowledgmentForged(partner=partner, what=what, other=whose)
    recorder.change(tables.exchange, carrier, **recorder.fault(fault))
    relation = "forged" if whose else "orphan"
    recorder.event("unmatched", exchange=carrier, partner=partner, relation=relation, reason=str(fault))
    context.reporter.trouble(fault, f"exchange {carrier}")


def fulfil(recorder: Recorder, exchange: int, kind: str) -> None:
    """What was expected has come; late is remembered."""
    table = tables.expectation
    late = recorder.connection.execute(
        select(table.c.due_at).where(
            table.c.exchange == exchange, table.c.kind == kind, table.c.overdue_at.is_not(None)
        )
    ).scalar_one_or_none()
    if late is not None:
        recorder.event("late", exchange=exchange, kind=kind, by_ms=recorder.now - late)
    recorder.connection.execute(delete(table).where(table.c.exchange == exchange, table.c.kind == kind))


def _awaits(recorder: Recorder, exchange: int) -> bool:
    """Whether more acknowledgments are awaited; a receipt says nothing of the EDI."""
    table = tables.expectation
    wanted = select(table.c.kind).where(table.c.exchange == exchange, table.c.kind != "receipt").limit(1)
    return bool(recorder.connection.execute(wanted).scalar())


def _overdue(recorder: Recorder, exchange: int) -> bool:
    table = tables.expectation
    missed = select(table.c.kind).where(table.c.exchange == exchange, table.c.overdue_at.is_not(None)).limit(1)
    return recorder.connection.execute(missed).first() is not None


def handed_over(
    context: Context,
    recorder: Recorder,
    exchange: Row[*tuple[Any, ...]],
    reason: str = "the partner acknowledged it",
) -> None:
    """Who acknowledges it has it: an exchange that was in doubt, or not known as sent, is resolved.

    Not one that was refused and waits to be sent again: that the partner had it was known.
    """
    if exchange.state not in UNDER_WAY or anew.waits_to_go_again(exchange):
        return
    recorder.connection.execute(delete(tables.outgoing).where(tables.outgoing.c.exchange == exchange.id))
    deadlines.begin(context, recorder, [exchange.id], anew=False)
    recorder.change(
        tables.exchange, exchange.id, state=ExchangeState.SENT, handed_over_at=recorder.now, updated_at=recorder.now
    )
    recorder.event(
        "resolved",
        exchange=exchange.id,
        partner=exchange.partner,
        reason=reason,
        was=exchange.state,
    )


def _conclude(context: Context, recorder: Recorder, exchange: Row[*tuple[Any, ...]], verdict: Status) -> None:
    """The partner has spoken on all of it."""
    if exchange.state in contradictions.ABANDONED:
        contradictions.after_all(context, recorder, exchange, verdict)
        return
    if anew.waits_to_go_again(exchange):
        if verdict is Status.REJECTED:
            return
        recorder.connection.execute(delete(tables.outgoing).where(tables.outgoing.c.exchange == exchange.id))
    state = ExchangeState.REFUSED if verdict is Status.REJECTED else ExchangeState.ACKNOWLEDGED
    in_part = exchange.fault_code == AcknowledgmentPartly.code  # from now on the verdict says it
    if in_part or exchange.state == ExchangeState.FAILED:  # it came there after all, by whatever way
        recorder.change(tables.exchange, exchange.id, fault_code="", fault="")
    recorder.change(
        tables.exchange,
        exchange.id,
        state=state,
        verdict=verdict,
        updated_at=recorder.now,
        settled_at=None,
        acknowledged_at=exchange.acknowledged_at or recorder.now,
    )
    context.reporter.happened(f"sent interchanges {verdict.value.replace('_', ' ')} by partners")
