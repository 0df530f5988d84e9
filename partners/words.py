"""A partner in words for people, and as one document for machines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import timedelta
from typing import Any

from partners.calendar import Calendar, Holiday
from partners.model import (
    AckDetail,
    Agreement,
    CertificateState,
    Counted,
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


def in_words(partner: Partner, origin: str = "") -> Iterator[str]:
    """The lines that `gateway partner show` prints; ``origin`` says which revision this is."""
    yield f"{partner.name} ({partner.key}) is {_STATUS[partner.status]}."
    if origin:
        yield origin
    yield ""
    yield from _row("addresses", ", ".join(partner.addresses))
    yield from _row("identities", ", ".join(str(each) for each in partner.identities))
    yield from _row("proof", _EVIDENCE[partner.evidence])
    yield from _row("certificates", _certificates(partner))
    yield from _row("numbers", _numbers(partner))
    yield from _row("works", _calendar(partner.calendar))
    for expected in partner.expected:
        yield from _row("expected", f"{rule(expected)}{_zone(partner.calendar)}")
    yield from _row("contact", partner.contact)
    yield from _row("notes", partner.notes)
    for agreement in partner.agreements:
        yield ""
        yield from _agreement(partner, agreement)


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
    if is_dataclass(value) and not isinstance(value, Identity | Holiday):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return None if value is None else plain(value)


def _agreement(partner: Partner, agreement: Agreement) -> Iterator[str]:
    sets = "every transaction set" if agreement.sets == ("*",) else ", ".join(agreement.sets)
    versions = f" in {', '.join(agreement.versions)}" if agreement.versions else " in any version"
    if agreement.direction is Direction.IN:
        yield f"{agreement.name}: {partner.name} sends us {sets}{versions}"
        yield from _row("we answer", _answer(agreement))
        yield from _row("rejected", "what has a warning or an error" if agreement.reject_from == "warning" else "")
        yield from _row("judged by", agreement.guideline)
        yield from _row("secured", _insisted(agreement.security))
        yield from _row("usage", f"{_USAGE[agreement.envelope.usage]} (ISA15 {agreement.envelope.usage})")
        yield from _row("delivered", _delivery(partner, agreement))
    else:
        yield f"{agreement.name}: we send {partner.name} {sets}{versions}"
        yield from _row("we expect", _expected(agreement))
        yield from _row("judged by", agreement.guideline)
        if agreement.on_doubt == "resend":
            yield from _row("in doubt", "sent again, under the same numbers")
        else:
            yield from _row("in doubt", "held for a person")
        yield from _row("order", "a later document waits for an earlier one" if agreement.ordered else "")
        yield from _row("envelope", _envelope(partner, agreement))
        yield from _row("mailed", _mail(partner, agreement))
        yield from _row("secured", _secured(agreement.security))
    yield from _row("repeated", "held for a person" if agreement.on_repeat == "hold" else "")
    yield from _row("tracked", ", ".join(f"{name} ({path})" for name, path in agreement.business_keys))


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


def _delivery(partner: Partner, agreement: Agreement) -> str:
    delivery = agreement.delivery
    unit = "each transaction set" if delivery.unit == "set" else "each interchange"
    patience = f" (at most {duration_text(delivery.timeout)})"
    if delivery.kind == "command":
        return f"{unit} to the command {delivery.target}{patience}"
    if delivery.kind == "http":
        secret = f", with the secret {delivery.secret}" if delivery.secret else ""
        return f"{unit} by HTTP to {delivery.target}{secret}{patience}"
    return f"{unit} as a file in {delivery.target or f'inbox/{partner.key}'}"


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


def _row(label: str, text: str) -> Iterator[str]:
    """A labelled line; more lines of the text are set below it; nothing where there is no text."""
    for number, line in enumerate(text.strip().splitlines()):
        yield f"  {label if not number else '':<12} {line}"
