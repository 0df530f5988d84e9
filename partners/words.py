"""A partner in words for people, and as one document for machines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from msgspec import Struct

from partners.calendar import Calendar, Holiday
from partners.model import (
    AckDetail,
    Agreement,
    CertificateState,
    Counted,
    Delivery,
    Direction,
    Evidence,
    FunctionalAck,
    Identity,
    Numbering,
    Partner,
    Security,
    Separators,
    Status,
    TA1Policy,
)
from partners.profile_rules import MIDNIGHT
from partners.profile_times import clock_text, holiday_text
from partners.profile_values import duration_text, line_ending_text, separator_text
from partners.profile_writer import plain
from partners.schedule import rule

_STATUS = {
    Status.DRAFT: "a draft: nothing is exchanged yet",
    Status.TESTING: "in testing: test documents are exchanged",
    Status.LIVE: "live: documents are exchanged",
    Status.SUSPENDED: "suspended: what it sends is quarantined, nothing is sent to it",
    Status.ENDED: "ended: kept for the record",
}
_TA1 = {
    TA1Policy.WHEN_ASKED: "a TA1 when ISA14 asks for it or the interchange is refused",
    TA1Policy.ALWAYS: "always a TA1",
    TA1Policy.NEVER: "never a TA1",
}
_DETAIL = {
    AckDetail.SET: "naming every transaction set",
    AckDetail.REJECTED: "naming the transaction sets that were not accepted",
    AckDetail.GROUP: "for the group as a whole",
}
_EVIDENCE = {
    Evidence.ADDRESS: "address alone: a claim, chosen knowingly",
    Evidence.MX: "the word of our mail exchanger that DKIM or DMARC passed, or better",
    Evidence.DKIM: "a DKIM signature that we verify, or better",
    Evidence.SIGNED: "an S/MIME signature by a trusted certificate",
}
_NUMBERS = {
    Numbering.CONSECUTIVE: "",  # goes without saying
    Numbering.INCREASING: "may leave some out",
    Numbering.ANY: "say nothing",
}
_USAGE = {"P": "production", "T": "test", "I": "information"}


_ON_OTHER = {
    "quarantine": "quarantined",
    "accept": "taken as a test",
    "reject": "refused with TA1 020",
}

Row = tuple[str, str]  # a label and what there is to say; the text may have several lines


class Part(Struct, frozen=True):
    """What is said of the partner as a whole, or of one agreement: a sentence, and rows below it."""

    title: str
    rows: tuple[Row, ...]


def described(partner: Partner) -> Iterator[Part]:
    """A partner in words: the whole first, then each agreement; rows that have nothing to say are left out."""
    yield Part(f"{partner.name} ({partner.key}) is {_STATUS[partner.status]}.", tuple(_said(_whole(partner))))
    for agreement in partner.agreements:
        title, rows = _agreement(partner, agreement)
        yield Part(title, tuple(_said(rows)))


def in_words(partner: Partner, origin: str = "") -> Iterator[str]:
    """The lines that `gateway partner show` prints; ``origin`` says which revision this is."""
    whole, *agreements = described(partner)
    yield whole.title
    if origin:
        yield origin
    for part in (whole, *agreements):
        yield ""
        if part is not whole:
            yield part.title
        for label, text in part.rows:
            for number, line in enumerate(text.strip().splitlines()):
                yield f"  {label if not number else '':<12} {line}"


def _said(rows: Iterator[Row]) -> Iterator[Row]:
    return ((label, text) for label, text in rows if text.strip())


def _whole(partner: Partner) -> Iterator[Row]:
    yield "addresses", ", ".join(partner.addresses)
    yield "identities", ", ".join(str(each) for each in partner.identities)
    yield "proof", _EVIDENCE[partner.evidence]
    yield "certificates", _certificates(partner)
    yield "numbers", _numbers(partner)
    yield "works", _calendar(partner.calendar)
    for expected in partner.expected:
        yield "expected", f"{rule(expected)}{_zone(partner.calendar)}"
    yield "tests", f"{_ON_OTHER[partner.on_test]} while it is live"
    yield "in earnest", f"{_ON_OTHER[partner.on_production]} while it is testing"
    yield "contact", partner.contact
    yield "notes", partner.notes


def as_document(partner: Partner) -> dict[str, Any]:
    """Everything a profile settles, defaults filled in, as JSON values (durations in seconds)."""
    document: dict[str, Any] = _plain(partner)
    for one, agreement in zip(document["agreements"], partner.agreements, strict=True):
        one["business_keys"] = dict(agreement.business_keys)
    document["guidelines"] = dict(partner.guidelines)
    document["certificates"] = [
        {"fingerprint": each.fingerprint, "state": each.state.value, "not_after": each.not_after}
        for each in partner.certificates
    ]
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Struct) and not isinstance(value, Identity | Holiday):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    return None if value is None else plain(value)


def _agreement(partner: Partner, agreement: Agreement) -> tuple[str, Iterator[Row]]:
    sets = "every transaction set" if agreement.sets == ("*",) else ", ".join(agreement.sets)
    versions = f" in {', '.join(agreement.versions)}" if agreement.versions else " in any version"
    if agreement.direction is Direction.IN:
        return f"{agreement.name}: {partner.name} sends us {sets}{versions}", _inbound(partner, agreement)
    return f"{agreement.name}: we send {partner.name} {sets}{versions}", _outbound(partner, agreement)


def _inbound(partner: Partner, agreement: Agreement) -> Iterator[Row]:
    yield "we answer", _answer(agreement)
    yield "rejected", "what has a warning or an error" if agreement.reject_from == "warning" else ""
    yield "judged by", agreement.guideline
    yield "secured", _insisted(agreement.security)
    yield "usage", f"{_USAGE[agreement.envelope.usage]} (ISA15 {agreement.envelope.usage})"
    yield "delivered", _delivery(partner, agreement.delivery)
    yield "tests", _delivery(partner, agreement.test_delivery, "/test")
    yield from _both(agreement)


def _outbound(partner: Partner, agreement: Agreement) -> Iterator[Row]:
    yield "we expect", _expected(agreement)
    yield "judged by", agreement.guideline
    yield "in doubt", "sent again, under the same numbers" if agreement.on_doubt == "resend" else "held for a person"
    yield "order", "a later document waits for an earlier one" if agreement.ordered else ""
    yield "envelope", _envelope(partner, agreement)
    yield "mailed", _mail(partner, agreement)
    yield "secured", _secured(agreement.security)
    yield from _both(agreement)


def _both(agreement: Agreement) -> Iterator[Row]:
    yield "repeated", "held for a person" if agreement.on_repeat == "hold" else ""
    yield "tracked", ", ".join(f"{name} ({path})" for name, path in agreement.business_keys)


def _numbers(partner: Partner) -> str:
    pairs = (("ISA13", partner.numbers), ("GS06", partner.group_numbers))
    return ", ".join(f"{name} {_NUMBERS[each]}" for name, each in pairs if _NUMBERS[each])


def _calendar(calendar: Calendar) -> str:
    if calendar == Calendar():
        return ""
    closes = clock_text(calendar.closes) if calendar.closes != MIDNIGHT else "24:00"
    words = [f"{', '.join(calendar.days)} {clock_text(calendar.opens)} to {closes}{_zone(calendar)}"]
    words += [f"not on {', '.join(holiday_text(each) for each in calendar.holidays)}"] if calendar.holidays else []
    return "; ".join(words)


def _zone(calendar: Calendar) -> str:
    return f" ({calendar.time_zone})"


def _certificates(partner: Partner) -> str:
    states = [each.state for each in partner.certificates]
    counts = [(states.count(each), each.value) for each in CertificateState]
    return ", ".join(f"{number} {word}" for number, word in counts if number)


def _secured(security: Security) -> str:
    """What we do with our mails."""
    words = ["compressed"] if security.compress else []
    words += [f"signed ({security.digest})"] if security.sign else []
    words += [f"encrypted ({security.cipher}, {security.key_transport})"] if security.encrypt else []
    if security.receipt != "none":
        within = (
            f" within {_time(security.receipt_within, security.receipt_counted)}" if security.receipt_within else ""
        )
        kind = "a signed receipt" if security.receipt == "signed" else "a receipt"
        words.append(f"asking for {kind}{within}")
    return ", ".join(words)


def _insisted(security: Security) -> str:
    """What we insist on, and which receipts we give."""
    wanted = [word for word, is_so in (("signed", security.sign), ("encrypted", security.encrypt)) if is_so]
    words = [f"must be {' and '.join(wanted)}"] if wanted else []
    words += ["weak algorithms are read"] if security.weak else []
    if security.receipt != "none":
        signed = ", signed where that is asked for" if security.receipt == "signed" else ", never signed"
        words.append(f"receipts are given{signed}")
    return ", ".join(words)


def _functional(agreement: Agreement) -> str:
    chosen = agreement.acknowledgment.functional
    if chosen is FunctionalAck.NONE:
        return ""
    if chosen is not FunctionalAck.AUTO:
        return f"a {chosen.value}"
    guides = {each.startswith("005010X") for each in agreement.versions}
    if len(guides) == 1 and "005010" not in agreement.versions:
        return "a 999" if guides == {True} else "a 997"
    return "a 999 to HIPAA versions (005010X…), a 997 to others"


def _answer(agreement: Agreement) -> str:
    functional = _functional(agreement)
    said = f"{functional}, {_DETAIL[agreement.acknowledgment.detail]}" if functional else "no 997 or 999"
    return f"{said}; {_TA1[agreement.acknowledgment.ta1]}"


def _expected(agreement: Agreement) -> str:
    within = agreement.acknowledgment.within
    expected = [_functional(agreement), "a TA1" if agreement.envelope.request_ta1 else ""]
    if within is None or not any(expected):
        return "no acknowledgment"
    said = _time(within, agreement.acknowledgment.counted)
    return f"{' and '.join(filter(None, expected))} within {said} of the hand-over"


def _time(span: timedelta, counted: Counted) -> str:
    return f"{duration_text(span)} of working time" if counted is Counted.WORKING else duration_text(span)


def _delivery(partner: Partner, delivery: Delivery, place: str = "") -> str:
    unit = "each transaction set" if delivery.unit == "set" else "each interchange"
    patience = f" (at most {duration_text(delivery.timeout)})"
    if delivery.kind == "command":
        return f"{unit} to the command {delivery.target}{patience}"
    if delivery.kind == "http":
        secret = f", with the secret {delivery.secret}" if delivery.secret else ""
        return f"{unit} by HTTP to {delivery.target}{secret}{patience}"
    return f"{unit} as a file in {delivery.target or f'inbox/{partner.key}{place}'}"


def _envelope(partner: Partner, agreement: Agreement) -> str:
    envelope = agreement.envelope
    ours = envelope.our_identity or "our first identity"
    theirs = envelope.partner_identity or partner.identities[0]
    words = [f"from {ours} to {theirs}"]
    if envelope.application_sender or envelope.application_receiver:
        words.append(
            f"GS ids {envelope.application_sender or 'as ISA'} and {envelope.application_receiver or 'as ISA'}"
        )
    if envelope.interchange_version:
        words.append(f"ISA12 {envelope.interchange_version}")
    words.append(_USAGE[envelope.usage])
    if envelope.separators != Separators():
        words.append(_separators(envelope.separators))
    return ", ".join(words)


def _separators(separators: Separators) -> str:
    four = (separators.element, separators.component, separators.segment, separators.repetition)
    ending = f" and {line_ending_text(separators.line_ending)}" if separators.line_ending else ""
    return f"separators {' '.join(separator_text(each) for each in four)}{ending}"


def _mail(partner: Partner, agreement: Agreement) -> str:
    mail = agreement.mail
    to = ", ".join(mail.to or partner.addresses[:1])
    copies = f", copies to {', '.join(mail.cc)}" if mail.cc else ""
    return f'to {to}{copies}, subject "{mail.subject}", as {mail.file_name}'
