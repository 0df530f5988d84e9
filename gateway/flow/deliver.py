"""Deliver: accepted documents go to the business, each once, under a name and key that a repetition shares.

The hand-over comes first, its record second: a crash between them hands the same document over again
under the same name and idempotency key, which the business can recognise.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, Select, select

from gateway.errors import DeliveryFailed, GatewayError, UnknownPartner
from gateway.flow.context import Context
from gateway.flow.handover import Deliverable, Handover
from gateway.flow.patience import patiently
from gateway.ledger import bulk, tables
from gateway.ledger.leases import holding
from gateway.ledger.literals import word
from gateway.ledger.recording import Fence, Recorder
from gateway.ledger.states import ExchangeState
from gateway.ledger.work import DueExchange, DueSet, due_deliveries, partners_to_deliver
from partners.model import Agreement, Delivery, Direction, Partner

GROUP = 200  # exchanges a commit
GROUP_BYTES = 16_000_000  # and no more than this in memory

_ODD = re.compile(r"[^A-Za-z0-9.-]+")  # what stays out of the names of files

_Places = dict[tuple[str, Delivery], Handover]  # by partner and delivery settings
_Handed = tuple[str, Handover, str, int]  # where it went, by which way, SHA-256, bytes


class _Done(Struct, frozen=True):
    due: DueSet
    target: str
    place: Handover
    sha256: str  # of the bytes that the business got
    size: int


def deliver(context: Context, partner: str | None = None) -> None:
    """Hands over what is due, or what is due of one partner. A target that fails is tried again by the next run."""
    context.reporter.step("deliver")
    if context.leases.alone:
        _deliver_due(context, partner, 0)
        return
    with context.ledger.reading() as connection:
        partners = [partner] if partner is not None else partners_to_deliver(connection)
    for each in partners:
        _deliver_shared(context, each)


def deliver_some(context: Context) -> None:
    """One group of what is due, for whoever has other things to do too; everything where others deliver as well."""
    if not context.leases.alone:
        deliver(context)
        return
    with context.ledger.reading() as connection:
        due = due_deliveries(connection, GROUP, GROUP_BYTES)
    if due:
        _deliver_group(context, due)


def _deliver_shared(context: Context, partner: str) -> None:
    """One partner's documents, while nobody else delivers them."""
    after = 0
    while not context.stopping():
        with holding(context.leases, f"partner:{partner}:deliver") as lease:
            if lease is None:
                return
            after = _deliver_due(context, partner, after, lease)
        # What was committed while the lease was ours, others have left to us: look again without it.
        with context.ledger.reading() as connection:
            if not due_deliveries(connection, 1, 1, after, partner):
                return


def _deliver_due(context: Context, partner: str | None, after: int, *fences: Fence) -> int:
    """Everything that is due after an exchange; returns the last one that was looked at."""
    while not context.stopping():
        with context.ledger.reading() as connection:
            due = due_deliveries(connection, GROUP, GROUP_BYTES, after, partner)
        if not due:
            break
        _deliver_group(context, due, *fences)
        after = due[-1].id
    return after


def _deliver_group(context: Context, due: list[DueExchange], *fences: Fence) -> None:
    contents = context.ledger.contents([each.sha256 for each in due])
    places: _Places = {}
    done: dict[int, list[_Done]] = {}
    failures: dict[int, GatewayError] = {}
    for exchange in due:
        done[exchange.id] = []
        try:
            for each in _hand_over(context, places, exchange, contents[exchange.sha256]):
                done[exchange.id].append(each)
        except GatewayError as fault:
            failures[exchange.id] = fault
            context.reporter.trouble(fault, f"exchange {exchange.id}")
    _settle(context, places, done, failures)

    def record(unsure: bool) -> None:
        def work(recorder: Recorder) -> None:
            _record(recorder, due, _not_yet(recorder, done) if unsure else done, failures)

        context.ledger.write(work, *fences)

    patiently(context, record)
    context.reporter.happened("documents delivered", sum(len(each) for each in done.values()))
    context.reporter.advance(len(due))


def _settle(context: Context, places: _Places, done: dict[int, list[_Done]], failures: dict[int, GatewayError]) -> None:
    """Nothing counts as delivered before its place says that it is there for good."""
    for place in places.values():
        try:
            place.settle()
        except GatewayError as fault:
            context.reporter.trouble(fault, "deliver")
            for exchange, each in done.items():
                kept = [one for one in each if one.place is not place]
                if len(kept) < len(each):
                    done[exchange] = kept
                    failures[exchange] = fault


def _hand_over(context: Context, places: _Places, exchange: DueExchange, raw: bytes) -> Iterator[_Done]:
    """Hands over set by set, and says where each went."""
    try:
        partner = context.directory.get(exchange.partner)
    except UnknownPartner as fault:
        raise DeliveryFailed(what=f"exchange {exchange.id}", target="?", reason=str(fault)) from fault
    whole: dict[Delivery, _Handed] = {}
    for due in exchange.sets:
        delivery = _delivery(context, partner, due, test=exchange.test)
        place = places.get((partner.key, delivery))
        if place is None:
            place = places[partner.key, delivery] = context.handover(delivery, partner.key)
        if delivery.unit == "interchange":
            if delivery not in whole:
                together = tuple(
                    each for each in exchange.sets if _delivery(context, partner, each, test=exchange.test) == delivery
                )
                whole[delivery] = _handed(place, deliverable(exchange, together, raw))
            yield _Done(due, *whole[delivery])
        else:
            yield _Done(due, *_handed(place, deliverable(exchange, (due,), raw)))


def _handed(place: Handover, item: Deliverable) -> _Handed:
    return place.deliver(item), place, hashlib.sha256(item.data).hexdigest(), len(item.data)


def _delivery(context: Context, partner: Partner, due: DueSet, *, test: bool) -> Delivery:
    """Where a set goes: tests to a place of their own, whatever the one for documents in earnest is."""
    agreement = _agreement(partner, due)
    if not test:
        return agreement.delivery
    chosen = agreement.test_delivery
    return chosen if chosen.target else replace(chosen, target=str(test_inbox(context.settings.inbox, partner.key)))


def test_inbox(inbox: Path, partner: str) -> Path:
    """Where a partner's tests are delivered, unless its profile says another place."""
    return inbox / partner / "test"


def _agreement(partner: Partner, due: DueSet) -> Agreement:
    """The agreement that the set was accepted under, as it stands now; else the one that is about it by now."""
    found = partner.agreement_named(due.agreement, Direction.IN, [(due.set_id, each) for each in due.versions])
    if found is None:
        reason = f"{partner.key} has no agreement {due.agreement} any more, nor another one on {due.set_id}"
        raise DeliveryFailed(what=f"{due.set_id} {due.control_number}", target="?", reason=reason)
    return found


def deliverable(exchange: DueExchange, sets: tuple[DueSet, ...], raw: bytes) -> Deliverable:
    """The documents inside their own envelope, so that any X12 reader of the business can take them."""
    first = sets[0]
    sender = exchange.sender.partition(":")[2]
    # The exchange makes it unique: numbers come again, to other identities of ours or in another year.
    parts = [sender, exchange.control_number, f"x{exchange.id}"]
    if len(sets) == 1:
        numbers = (exchange.control_number, first.group_control_number, first.control_number)
        parts = [first.set_id, sender, *numbers, f"x{exchange.id}"]
    name = "_".join([_ODD.sub("-", part).strip("-.") or "0" for part in parts])
    return Deliverable(
        name=f"{name}.edi",
        key=f"{exchange.sender}/{exchange.receiver}/{exchange.control_number}/{exchange.id}"
        + (f"/{first.group_control_number}/{first.control_number}" if len(sets) == 1 else ""),
        data=cut(raw, exchange.control_number, sets),
        facts={
            "partner": exchange.partner,
            "exchange": str(exchange.id),
            "sender": exchange.sender,
            "receiver": exchange.receiver,
            "interchange_control_number": exchange.control_number,
            "group_control_number": first.group_control_number,
            "usage": "T" if exchange.test else exchange.usage,
            "set_id": " ".join(dict.fromkeys(each.set_id for each in sets)),
            "set_control_number": first.control_number if len(sets) == 1 else "",
            "message_id": exchange.message_id,
            "file_name": exchange.file_name,
        },
    )


def cut(raw: bytes, control_number: str, sets: Sequence[DueSet]) -> bytes:
    """The interchange with only these transaction sets; their own bytes are untouched.

    ISA and GS stay as received; GE01 and IEA01 count what is left (X12.5 sections 4.1 and 4.2).
    """
    element, segment = raw[3:4], raw[105:106]  # fixed positions in the ISA
    gap = _line_end(raw, 106)
    found = [raw[:106]]
    groups = {each.group_start: each.group_control_number for each in sets}
    for start, group_number in groups.items():
        inside = [each for each in sets if each.group_start == start]
        found.append(raw[start : raw.index(segment, start) + 1])
        found += [raw[each.start : each.end] for each in inside]
        found.append(element.join((b"GE", str(len(inside)).encode(), group_number.encode("latin-1"))) + segment)
    found.append(element.join((b"IEA", str(len(groups)).encode(), control_number.encode("latin-1"))) + segment)
    return gap.join(found) + gap


def _line_end(raw: bytes, at: int) -> bytes:
    """The line end that this sender writes after segments, if any."""
    if raw[at : at + 2] == b"\r\n":
        return b"\r\n"
    return raw[at : at + 1] if raw[at : at + 1] in {b"\n", b"\r"} else b""


def _not_yet(recorder: Recorder, done: dict[int, list[_Done]]) -> dict[int, list[_Done]]:
    """What is not recorded by a commit whose answer was lost."""
    table = tables.transaction_set
    ids = [each.due.id for sets in done.values() for each in sets]
    due = set(
        recorder.connection.execute(select(table.c.id).where(table.c.id.in_(ids), table.c.delivery == "due")).scalars()
    )
    return {exchange: [each for each in sets if each.due.id in due] for exchange, sets in done.items()}


def _record(
    recorder: Recorder, due: list[DueExchange], done: dict[int, list[_Done]], failures: dict[int, GatewayError]
) -> None:
    table = tables.transaction_set
    for exchange in due:
        for each in done[exchange.id]:
            recorder.change(
                table, each.due.id, delivery="delivered", delivered_to=each.target, delivered_at=recorder.now
            )
            recorder.event(
                "delivered",
                exchange=exchange.id,
                partner=exchange.partner,
                set=each.due.set_id,
                control_number=each.due.control_number,
                target=each.target,
                sha256=each.sha256,
                size=each.size,
            )
        if exchange.id in failures:
            fault = failures[exchange.id]
            recorder.event(
                "delivery-failed",
                exchange=exchange.id,
                partner=exchange.partner,
                code=fault.code,
                reason=str(fault),
            )
            recorder.change(
                tables.exchange, exchange.id, updated_at=recorder.now, settled_at=None, **recorder.fault(fault)
            )
    recorder.flush()
    connection = recorder.connection
    touched = {"exchanges": bulk.listed(connection, [exchange.id for exchange in due if done[exchange.id]])}
    waiting = bulk.asked(connection, "sets that wait", partial(_waiting, connection), touched)
    incomplete = {exchange for (exchange,) in waiting}
    for exchange in due:
        if done[exchange.id] and exchange.id not in incomplete:
            recorder.change(
                tables.exchange,
                exchange.id,
                state=ExchangeState.DELIVERED,
                updated_at=recorder.now,
                fault_code="",
                fault="",
            )


def _waiting(connection: Connection) -> Select[Any]:
    """Which of some exchanges have something to deliver still."""
    s = tables.transaction_set.c
    due = bulk.among(connection, s.exchange, "exchanges"), s.delivery == word("due")
    return select(s.exchange).where(*due).distinct()
