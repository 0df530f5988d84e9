"""What an exchange and a mail are, as names and values: the tracked properties, the EDI keys, bytes, proof."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from gateway.ledger.events import Event, by_whom, sentence
from gateway.ledger.rows import ExchangeRow, MessageRow
from gateway.ledger.story import MailStory, PayloadStory, Story
from gateway.ledger.telling import USAGE, layer, proven, runs

Pairs = list[tuple[str, str]]
MOST = 50  # groups that are named
_MOOD = {
    "bad": frozenset(
        {
            *("quarantined", "rejected", "conflict", "failed", "refused", "bounced", "overdue", "escalated"),
            *("in-doubt", "delivery-failed", "recipient-refused", "receipt-unproven", "unmatched"),
        }
    ),
    "watch": frozenset({"deferred", "late", "duplicate", "recipient-deferred", "number-missing", "not-taken"}),
}


class Step(Struct, frozen=True):
    """One line of the timeline. ``mood`` is bad, watch or "", for a mark beside the words."""

    at: int
    sentence: str
    who: str
    mood: str


class Run(Struct, frozen=True):
    """Events of one kind in a row; ``more`` of them are not told one by one, the last of them at ``until``."""

    events: tuple[Step, ...]
    more: int
    until: int


def timeline(events: Sequence[Event], facts: dict[str, Any]) -> list[Run]:
    """What happened, oldest first. ``facts`` fill what an event's own body is silent about."""
    return [
        Run(tuple(_step(each, facts) for each in shown), more, until)
        for shown, more, until in runs([each for each in events if each.kind != "recorded"])
    ]


def _step(each: Event, facts: dict[str, Any]) -> Step:
    mood = next((name for name, kinds in _MOOD.items() if each.kind in kinds), "")
    return Step(each.at, sentence(each, facts), by_whom(each), mood)


def tracked(row: ExchangeRow | MessageRow) -> Pairs:
    """The seven tracked properties, by the names that users know, and what else stands in the mail's head."""
    files = row.file_name if isinstance(row, ExchangeRow) else ", ".join(row.file_names)
    return [
        ("File Name", files),
        ("From Address", row.from_address),
        ("Host", row.host),
        ("Message ID", row.message_id),
        ("Subject", row.subject),
        ("To Address", ", ".join(row.to_addresses)),
        ("User", row.user),
        ("Cc", ", ".join(row.cc_addresses)),
        ("Mailbox", row.mailbox),
    ]


def keys(story: Story) -> Pairs:
    """The EDI keys: of the interchange, and of its groups."""
    return list(_keys(story))


def _keys(story: Story) -> Iterator[tuple[str, str]]:
    row = story.exchange
    yield "Sender (ISA05/06)", row.sender
    yield "Receiver (ISA07/08)", row.receiver
    yield "Interchange control number (ISA13)", row.control_number
    yield "Date and time (ISA09/10)", f"{row.interchange_date} {row.interchange_time}".strip()
    yield "Interchange version (ISA12)", row.interchange_version
    yield "Usage (ISA15)", f"{row.usage} – {USAGE.get(row.usage, 'unknown')}" if row.usage else ""
    for each in story.groups[:MOST]:
        what = f"{each.functional_id} {each.control_number}, version {each.version}"
        who = f"{each.application_sender} → {each.application_receiver}"
        sets = f", {each.size:,} set{'' if each.size == 1 else 's'}"
        yield f"Group {each.ordinal} (GS01–08)", f"{what}, {who}{sets}"
    yield "TA1", row.ta1
    yield "Agreement", row.agreement
    yield "Job key", row.idempotency_key or ""


def bytes_of(story: Story) -> Pairs:
    """Sizes and hashes: of the interchange, of the part of the mail, of the mail."""
    row = story.exchange
    sets = f", {story.sets:,} sets" if story.sets > 1 else ""
    found = [
        ("Interchange", f"{row.size:,} bytes, {row.segments:,} segments{sets}"),
        ("SHA-256", row.sha256),
    ]
    if story.payload is not None:
        found += _payload(story.payload)
    return found + (_mail(story.mail) if story.mail is not None else [])


def _payload(part: PayloadStory) -> Pairs:
    name = part.file_name or "no file name"
    where = f", part {part.path}" if part.path else ""
    return [
        ("Payload", f"{name}{where}, {part.content_type}, {part.size:,} bytes"),
        ("SHA-256 of the payload", part.sha256),
        ("Mended", part.repairs),
    ]


def _mail(mail: MailStory) -> Pairs:
    dated = f", dated {mail.dated}" if mail.dated else ""
    return [("Mail", f"m{mail.id}, {mail.size:,} bytes{dated}"), ("SHA-256 of the mail", mail.sha256)]


def proof(row: ExchangeRow) -> Pairs:
    """Who is proven to have sent it, how it was secured, and what the SMTP host said."""
    return [
        ("Sender", proven(row.proof, row.proof_detail)),
        ("Security", row.security),
        ("A receipt must state", row.mic),
        ("SMTP reply", row.smtp_reply),
        ("Fault", f"{row.fault} ({row.fault_code})" if row.fault_code else ""),
    ]


def about_mail(row: MessageRow) -> Pairs:
    """What a mail is, beside its tracked properties."""
    return [
        ("In reply to", row.in_reply_to),
        ("Dated", row.dated),
        ("Size", f"{row.size:,} bytes"),
        ("SHA-256", row.sha256),
        ("Partner", row.partner),
        ("Sender", proven(row.proof, row.proof_detail)),
        ("Secured", ", ".join(layer(each) for each in row.layers)),
        ("Fault", f"{row.fault} ({row.fault_code})" if row.fault_code else ""),
    ]
