"""Record: the rows of the ledger that speak of one inbound message, its payloads and its interchanges."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from msgspec import Struct

from gateway.errors import MessageFault
from gateway.flow.case import Case, InterchangeCase, PayloadCase
from gateway.ledger import tables
from gateway.ledger.plain_json import listed
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState, MessageState
from gateway.values import asdict
from gateway.x12.masking import masked_text
from gateway.x12.model import Finding, InterchangeReport, Status

T = TypeVar("T")

GOOD = (Status.ACCEPTED, Status.ACCEPTED_WITH_ERRORS)
_FEW = 100  # groups, sets and findings that are kept of a message that is quarantined as a whole
_SEGMENT_ID = 3  # characters, at most
_SUBJECT = 1_000  # characters that each interchange of such a message repeats
_TYPES = 100  # that are named with an exchange


class Entry(Struct, frozen=True):
    """One interchange that is about to become an exchange, with what was decided about it."""

    case: Case
    payload: PayloadCase
    payload_row: int
    interchange: InterchangeCase
    sha256: str
    state: ExchangeState
    fault: MessageFault | None = None
    duplicate_of: int | None = None
    owner: str = ""  # the partner under whose key its bytes lie, also where no exchange of the partner's comes of it

    @property
    def partner(self) -> str:
        """The partner's key, or "" for a stranger."""
        partner = self.interchange.partner or self.case.partner
        return partner.key if partner else ""


def record_message(recorder: Recorder, case: Case, owner: str) -> None:
    """What opening the mail told about it, and where it stands now; its bytes belong to ``owner``."""
    letter, fault = case.letter, case.fault
    state = MessageState.PROCESSED
    if fault is not None:
        state = MessageState.QUARANTINED
    elif letter is not None and letter.kind != "letter":
        state = MessageState.NOTED
    facts: dict[str, object] = {"state": state, "partner": case.partner.key if case.partner else ""}
    proof = case.proof
    detail = json.dumps(dict(proof.detail)) if proof is not None and proof.detail else "{}"
    facts |= {"proof": proof.kind if proof else "", "proof_detail": detail}
    facts["layers"] = json.dumps([asdict(each) for each in case.layers]) if case.layers else "[]"
    if letter is not None:
        facts |= {
            "kind": letter.kind,
            "message_id": letter.message_id,
            "in_reply_to": letter.in_reply_to,
            "subject": letter.subject,
            "from_address": letter.from_address,
            "to_addresses": listed(letter.to),
            "cc_addresses": listed(letter.cc),
            "dated": letter.date,
        }
    facts |= recorder.fault(fault) if fault is not None else {"fault_code": "", "fault": ""}
    recorder.change(tables.message, case.message.id, **facts)
    recorder.entrust(case.message.sha256, owner)
    if fault is not None:
        recorder.event("quarantined", message=case.message.id, code=fault.code, reason=str(fault))
    elif state is MessageState.NOTED and case.self_test is None:
        recorder.event("noted", message=case.message.id, kind=letter.kind if letter else "")


def record_payload(recorder: Recorder, case: Case, payload: PayloadCase) -> int:
    """One part that carries X12, or should. Only its hash is kept here: its interchanges have their bytes."""
    for repair in payload.repairs:
        recorder.event("repaired", message=case.message.id, part=payload.file_name or payload.path, repair=repair)
    return recorder.add(
        tables.payload,
        message=case.message.id,
        ordinal=case.payloads.index(payload) + 1,
        path=payload.path,
        file_name=payload.file_name,
        content_type=payload.content_type,
        sha256=hashlib.sha256(payload.data).hexdigest(),
        size=len(payload.data),
        repairs="; ".join(payload.repairs),
    )


def record_exchange(recorder: Recorder, entry: Entry) -> int:
    """The exchange with its tracked properties and EDI keys, its groups, sets, business keys and findings."""
    interchange, report = entry.interchange, entry.interchange.report
    agreement = interchange.first_agreement
    types = [each.id for each in report.sets] + (["TA1"] if report.interchange_acks else [])
    exchange = recorder.add(
        tables.exchange,
        at=entry.case.message.at,
        updated_at=recorder.now,
        direction="in",
        kind="acknowledgment" if interchange.only_acknowledges else "document",
        state=entry.state,
        verdict=str(report.status),
        partner=entry.partner,
        agreement=agreement.name if agreement else "",
        message=entry.case.message.id,
        payload=entry.payload_row,
        file_name=entry.payload.file_name,
        host=entry.case.message.host,
        user=entry.case.message.user,
        types=" ".join(islice(dict.fromkeys(types), _TYPES)),
        versions=" ".join(islice(dict.fromkeys(group.version for group in report.groups), _TYPES)),
        sha256=entry.sha256,
        size=len(interchange.raw),
        segments=report.segments,
        findings=how_many_findings(report),
        ta1=" ".join(report.ta1),
        duplicate_of=entry.duplicate_of,
        security=", ".join(f"{each.kind} {each.algorithm}" for each in reversed(entry.case.layers)),
        **(recorder.fault(entry.fault) if entry.fault is not None else {}),
        **_letter_facts(entry),
        **_header_facts(report),
    )
    sets = _record_sets(recorder, entry, exchange)
    _record_findings(recorder, entry, exchange, sets)
    return exchange


def _letter_facts(entry: Entry) -> dict[str, object]:
    letter = entry.case.letter
    if letter is None:
        return {}
    stranger = entry.case.fault is not None  # the message has all of it; each of its interchanges only the beginning
    return {
        "from_address": letter.from_address,
        "message_id": letter.message_id,
        "subject": letter.subject[:_SUBJECT] if stranger else letter.subject,
        "to_addresses": listed((*letter.to, *letter.cc)[: _FEW if stranger else None]),
    }


def _header_facts(report: InterchangeReport) -> dict[str, object]:
    header = report.header
    if header is None:
        return {}
    return {
        "sender_qualifier": header.sender.qualifier,
        "sender_id": header.sender.id,
        "receiver_qualifier": header.receiver.qualifier,
        "receiver_id": header.receiver.id,
        "interchange_date": header.date,
        "interchange_time": header.time,
        "interchange_version": header.version,
        "control_number": header.control_number,
        "usage": header.usage,
    }


class _Rows(Struct, frozen=True):
    """The ids that the groups and sets of one exchange were given."""

    groups: dict[int, int]
    sets: dict[tuple[int, int], int]


def _record_sets(recorder: Recorder, entry: Entry, exchange: int) -> _Rows:
    rows = _Rows({}, {})
    interchange = entry.interchange
    base = interchange.report.start
    for g, group in enumerate(_bounded(entry, interchange.report.groups)):
        rows.groups[g] = recorder.add(
            tables.functional_group,
            exchange=exchange,
            ordinal=g + 1,
            functional_id=group.functional_id,
            application_sender=group.sender,
            application_receiver=group.receiver,
            control_number=group.control_number,
            version=group.version,
            sets=len(group.sets),
            start=group.start - base,
            status=str(group.status),
        )
        for s, each in enumerate(_bounded(entry, group.sets, len(rows.sets))):
            agreement = interchange.agreements.get((g, s))
            due = entry.state is ExchangeState.ACCEPTED and agreement is not None and each.status in GOOD
            rows.sets[g, s] = recorder.add(
                tables.transaction_set,
                functional_group=rows.groups[g],
                exchange=exchange,
                ordinal=s + 1,
                set_id=each.id,
                control_number=each.control_number,
                implementation=each.implementation,
                guideline=each.guideline,
                agreement=agreement.name if agreement else "",
                status=str(each.status),
                start=each.start - base,
                end=each.end - base,
                segments=each.segments,
                delivery="due" if due else "",
            )
            if due:
                recorder.wake("deliver", entry.partner)
    for place, keys in interchange.business_keys.items():
        for name, values in keys.items():
            for value in values:
                recorder.put(
                    tables.business_key, value=value, name=name, transaction_set=rows.sets[place], exchange=exchange
                )
    return rows


def _bounded(entry: Entry, found: Iterable[T], before: int = 0) -> Iterator[T]:
    """All of it; of what nobody vouches for only the first few, ``before`` counted: a stranger shall not fill the disk.

    A few kB of gzip hold 40,000 sets with three findings each. Once it is released, all of it is examined and kept.
    """
    return islice(found, max(0, _FEW - before) if entry.case.fault is not None else None)


def _record_findings(recorder: Recorder, entry: Entry, exchange: int, rows: _Rows) -> None:
    base = entry.interchange.report.start  # offsets count in the interchange that is kept, not in its payload
    for finding, group, place in _bounded(entry, all_findings(entry.interchange.report)):
        if not (group is None or group in rows.groups) or not (place is None or place in rows.sets):
            continue
        recorder.add(
            tables.finding,
            exchange=exchange,
            functional_group=None if group is None else rows.groups[group],
            transaction_set=None if place is None else rows.sets[place],
            level=str(finding.level),
            code=finding.code,
            x12=finding.x12,
            scope=finding.scope,
            segment=_segment_id(finding.segment),
            position=finding.position,
            loop=finding.loop,
            element=finding.element,
            component=finding.component,
            repetition=finding.repetition,
            offset=finding.offset - base if finding.offset >= base else -1,
            value=recorder.encrypted(masked_text(finding.value), entry.owner),
            # A sentence quotes the document, be it only a number that does not agree.
            message=recorder.encrypted(finding.message, entry.owner),
        )


def how_many_findings(report: InterchangeReport) -> int:
    """How many ``all_findings`` gives."""
    of_sets = [len(each.findings) for group in report.groups for each in group.sets]
    return len(report.findings) + sum([len(group.findings) for group in report.groups]) + sum(of_sets)


def _segment_id(found: str) -> str:
    """What stood where a segment id belongs, if it can be one (2 or 3 characters, X12.6); else "?".

    After a terminator that came into the middle of a text, the rest of that text stands there. This column is kept in
    clear, and alerts tell it; sentence and value quote it too, which are encrypted and can be erased.
    """
    return found if len(found) <= _SEGMENT_ID else "?"


def all_findings(report: InterchangeReport) -> Iterator[tuple[Finding, int | None, tuple[int, int] | None]]:
    """Every finding with the ordinals (from 0) of the group and the set that it speaks of."""
    yield from ((finding, None, None) for finding in report.findings)
    for g, group in enumerate(report.groups):
        yield from ((finding, g, None) for finding in group.findings)
        for s, each in enumerate(group.sets):
            yield from ((finding, g, (g, s)) for finding in each.findings)
