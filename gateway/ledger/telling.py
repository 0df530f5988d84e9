"""Stories in plain words, for a terminal, a page or a letter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from itertools import groupby
from typing import Any, TypeVar

from gateway.ledger.events import Event, awaited_name, one_line, told
from gateway.ledger.moments import spoken
from gateway.ledger.rows import ExchangeRow
from gateway.ledger.states import EXCHANGE_MEANING, MESSAGE_MEANING, ExchangeState, MessageState
from gateway.ledger.story import (
    AcknowledgmentStory,
    FindingStory,
    GroupStory,
    MessageStory,
    PayloadStory,
    ReceiptStory,
    RelatedStory,
    SetStory,
    Story,
)
from gateway.values import asdict
from gateway.words import count

_T = TypeVar("_T")

MOST = 50  # sets, findings or acknowledgments told one by one; the JSON form has more
_ALIKE = 5  # events of one kind in a row that are told one by one
USAGE = {"P": "production", "T": "test", "I": "information"}


def tell(story: Story, zone: tzinfo | None = None) -> list[str]:
    """The story of an exchange, line by line: facts, groups and sets, acknowledgments, relations, timeline.

    Times are local, or in ``zone``. Nothing that a partner wrote can carry a line break or a control character.
    """
    row = story.exchange
    lines = [_title(row), f"  {EXCHANGE_MEANING[ExchangeState(row.state)]}", ""]
    lines += [f"  {name + ':':<14}{one_line(value)}" for name, value in _facts(story, zone) if value]
    lines += [f"  {_finding(each)}" for each in _few(story.findings)]
    for group in story.groups[:MOST]:
        lines += ["", *_group(group, zone)]
    if "groups" in story.cut or len(story.groups) > MOST:
        lines += ["", f"… and more groups; {story.sets:,} sets in all"]
    if story.answered or story.awaited:
        lines += ["", "Acknowledged by the partner" if row.direction == "out" else "Acknowledgments of it"]
        lines += [f"  {_acknowledgment(each, zone)}" for each in _few(story.answered)]
        lines += _and_more(story.answered, cut="answered" in story.cut)
        for awaited in story.awaited:
            due = f"due {spoken(awaited.due_at, zone).strip()}" if awaited.due_at else "not handed over yet"
            lines.append(f"  awaiting {awaited_name(awaited.kind)}: {due}{', overdue' if awaited.overdue_at else ''}")
    if story.answering:
        lines += ["", "What it acknowledges"]
        lines += [f"  {_acknowledgment(each, zone)}" for each in _few(story.answering)]
        lines += _and_more(story.answering, cut="answering" in story.cut)
    if story.receipts:
        lines += ["", "Receipts", *(f"  {_receipt(each, zone)}" for each in _few(story.receipts))]
    if story.related:
        lines += ["", "Related", *(f"  {_relation(each, zone)}" for each in _few(story.related))]
    facts = asdict(row) | {"message": row.message}
    lines += ["", "What happened", *_timeline(story.events, facts, zone, cut="events" in story.cut)]
    return [one_line(line) for line in lines]


def tell_message(story: MessageStory, zone: tzinfo | None = None) -> list[str]:
    """The story of a mail, line by line."""
    row = story.message
    facts = (
        ("received" if row.direction == "in" else "made", spoken(row.at, zone).strip()),
        ("from", row.from_address),
        ("to", ", ".join(row.to_addresses)),
        ("cc", ", ".join(row.cc_addresses)),
        ("subject", row.subject),
        ("Message-ID", row.message_id),
        ("in reply to", row.in_reply_to),
        ("dated", row.dated),
        ("mailbox", row.mailbox),
        ("host", row.host),
        ("user", row.user),
        ("files", ", ".join(row.file_names)),
        ("bytes", f"{row.size:,}, SHA-256 {row.sha256}"),
        *(("payload", _payload(each)) for each in story.payloads[:MOST]),
        ("partner", row.partner),
        ("sender", proven(row.proof, row.proof_detail)),
        ("secured", ", ".join(layer(each) for each in row.layers)),
        ("fault", f"{row.fault} ({row.fault_code})" if row.fault_code else ""),
    )
    lines = [f"Message m{row.id}: {row.kind or 'mail'}, {row.state}"]
    lines += [f"  {MESSAGE_MEANING[MessageState(row.state)]}", ""]
    lines += [f"  {name + ':':<14}{value}" for name, value in facts if value]
    if story.exchanges:
        lines += ["", "Exchanges", *(f"  {_relation(each, zone)}" for each in _few(story.exchanges))]
    lines += ["", "What happened", *_timeline(story.events, asdict(row), zone, cut="events" in story.cut)]
    return [one_line(line) for line in lines]


_PROOF = {
    "signed": "proven by an S/MIME signature",
    "dkim": "proven by DKIM",
    "mx": "proven by the word of our mail exchanger",
    "address": "known by the address alone",
}


def proven(proof: str, detail: Sequence[tuple[str, str]]) -> str:
    """What proved the sender of a mail, in words; "" where nothing did."""
    said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in detail)
    word = _PROOF.get(proof, proof)
    return f"{word} ({said})" if word and said else word


def _title(row: ExchangeRow) -> str:
    what = " ".join(row.types) or row.kind
    who = row.partner or row.from_address or "nobody we know"
    where = f"from {who}" if row.direction == "in" else f"to {who}"
    verdict = f", {row.verdict.replace('_', ' ')}" if row.verdict and row.verdict != row.state else ""
    return f"Exchange {row.id}: {what} {where}{verdict}, {row.state}"


def _facts(story: Story, zone: tzinfo | None) -> Iterator[tuple[str, str]]:
    row = story.exchange
    yield ("received" if row.direction == "in" else "made"), spoken(row.at, zone).strip()
    if row.handed_over_at is not None:
        yield "handed over", spoken(row.handed_over_at, zone).strip()
    if row.control_number:
        usage = f", {USAGE.get(row.usage, row.usage)}" if row.usage else ""
        yield "interchange", f"{row.control_number}, version {row.interchange_version}{usage}"
        yield "identities", f"{row.sender} → {row.receiver}"
    sets = f"{story.sets:,} sets, " if story.sets > 1 else ""
    yield "size", f"{count(row.size, 'byte')}, {sets}{count(row.segments, 'segment')}, SHA-256 {row.sha256}"
    yield "TA1", row.ta1
    yield "keys", ", ".join(f"{name} {value}" for name, value in row.keys[:MOST])
    yield ("payload", _payload(story.payload)) if story.payload is not None else ("file", row.file_name)
    yield "from", row.from_address
    yield "sender", proven(row.proof, row.proof_detail)
    yield "security", row.security
    yield "to", ", ".join(row.to_addresses)
    yield "cc", ", ".join(row.cc_addresses)
    yield "subject", row.subject
    yield "Message-ID", row.message_id
    if story.mail is not None:
        dated = f", dated {story.mail.dated}" if story.mail.dated else ""
        yield "mail", f"m{story.mail.id}, {count(story.mail.size, 'byte')}, SHA-256 {story.mail.sha256}{dated}"
    yield "mailbox", row.mailbox
    yield "host", row.host
    yield "user", row.user
    yield "agreement", row.agreement
    yield "job key", row.idempotency_key or ""
    yield "SMTP reply", row.smtp_reply
    yield "fault", f"{row.fault} ({row.fault_code})" if row.fault_code else ""
    if row.settled_at is not None:
        yield "put to rest", spoken(row.settled_at, zone).strip()


def _group(group: GroupStory, zone: tzinfo | None) -> Iterator[str]:
    verdicts = [group.status.replace("_", " ")] if group.status else []
    if group.acknowledged:
        verdicts.append(f"{group.acknowledged.replace('_', ' ')} by the partner{_when(group.acknowledged_at, zone)}")
    said = f": {'; '.join(verdicts)}" if verdicts else ""
    yield f"Group {group.functional_id} {group.control_number} ({group.version}){said}"
    yield from (f"  {_finding(each)}" for each in _few(group.findings))
    shown = [each for number, each in enumerate(group.sets) if number < MOST or each.findings][: 2 * MOST]
    for each in shown:
        yield f"  {_set(each, zone)}"
        yield from (f"    {_finding(found)}" for found in _few(each.findings))
    if group.size > len(shown):
        yield f"  … and {group.size - len(shown):,} more sets"


def _payload(part: PayloadStory) -> str:
    where = f" in part {part.path}" if part.path else ""
    mended = f"; {part.repairs}" if part.repairs else ""
    name = part.file_name or "no file name"
    return f"{name}{where}, {part.content_type}, {count(part.size, 'byte')}, SHA-256 {part.sha256}{mended}"


def _timeline(events: Sequence[Event], facts: Mapping[str, Any], zone: tzinfo | None, *, cut: bool) -> Iterator[str]:
    """Line by line; many events of one kind in a row (a thousand documents delivered) become one line with a count."""
    for shown, more, until in runs(events):
        yield from (f"  {told(each, facts, zone)}" for each in shown)
        if more:
            yield f"  {'':>20}  … and {more:,} more like it, until {spoken(until, zone).strip()}"
    if cut:
        yield "  … and more events in between; --json --all tells every one"


def runs(events: Sequence[Event]) -> Iterator[tuple[list[Event], int, int]]:
    """Events in order, as those that are told, how many more like the last of them came, and until when (ms)."""
    for _, run in groupby(events, key=lambda each: each.kind):
        alike = list(run)
        shown = alike if len(alike) <= _ALIKE else alike[:1]
        yield shown, len(alike) - len(shown), alike[-1].at


def _and_more(said: Sequence[object], *, cut: bool) -> list[str]:
    if cut:
        return ["  … and more"]
    return [f"  … and {len(said) - MOST:,} more"] if len(said) > MOST else []


def _set(each: SetStory, zone: tzinfo | None) -> str:
    status = f": {each.status.replace('_', ' ')}" if each.status else ""
    parts = [f"{each.set_id} {each.control_number}{status}"]
    if each.acknowledged:
        parts.append(f"{each.acknowledged.replace('_', ' ')} by the partner{_when(each.acknowledged_at, zone)}")
    if each.delivery == "delivered":
        parts.append(f"delivered to {each.delivered_to or 'the business'}{_when(each.delivered_at, zone)}")
    elif each.delivery:
        parts.append({"due": "waits to be delivered"}.get(each.delivery, each.delivery))
    if each.keys:
        parts.append(", ".join(f"{name} {value}" for name, value in each.keys[:MOST]))
    return "; ".join(parts)


def _finding(each: FindingStory) -> str:
    if each.message:
        return f"{each.level}: {each.message}"
    element = f"{each.element:02d}" if each.element else ""
    return f"{each.level}: {each.code} {each.segment}{element} at segment {each.position}"


def _acknowledgment(each: AcknowledgmentStory, zone: tzinfo | None) -> str:
    of = f" of exchange {each.exchange}" if each.exchange is not None else ""
    relation = "" if each.relation == "matched" else f" ({each.relation})"
    codes = f" [{each.codes}]" if each.codes else ""
    errors = f": {'; '.join(each.errors)}" if each.errors else ""
    status = each.status.replace("_", " ")
    when = spoken(each.at, zone)
    return f"{when}  {each.kind} says {each.names}{of} is {status}{codes}{relation}, in exchange {each.carrier}{errors}"


def layer(each: Mapping[str, Any]) -> str:
    """One S/MIME layer in words: ``signed (sha-256)``."""
    algorithm = f" ({each['algorithm']})" if each.get("algorithm") else ""
    return f"{each.get('kind', '')}{algorithm}{', weakly' if each.get('weak') else ''}"


def _receipt(each: ReceiptStory, zone: tzinfo | None) -> str:
    said = f"{each.disposition or 'unreadable'}{'/' + each.modifier if each.modifier else ''}"
    who = "we gave one" if each.direction == "out" else "the partner's"
    signed = f", signed by {each.signed_by}" if each.signed_by else ", not signed"
    content = {"yes": ", the content is confirmed", "no": ", OTHER CONTENT than we sent"}.get(each.mic_matches, "")
    relation = "" if each.relation == "matched" else f" ({each.relation})"
    return f"{spoken(each.at, zone)}  {who}: {said}{signed}{content}{relation}, in message m{each.message}"


def _relation(each: RelatedStory, zone: tzinfo | None) -> str:
    what = " ".join(each.types)
    number = f" {each.control_number}" if each.control_number else ""
    return f"{each.relation} exchange {each.id}: {each.direction} {what}{number}, {each.state}{_when(each.at, zone)}"


def _when(at: int | None, zone: tzinfo | None) -> str:
    return f" on {spoken(at, zone).strip()}" if at is not None else ""


def _few(things: Sequence[_T]) -> Sequence[_T]:
    return things[:MOST]
