"""What partners mail: orders, acknowledgments, bounces; written by hand, so that no product code vouches for it."""

from __future__ import annotations

import email
import email.policy
import itertools
from email.message import EmailMessage, Message

from faults.protocol.home import IDENTITY, OURS, US, WHEN
from gateway.demo import documents

_ids = itertools.count(1)


def mail(data: bytes, partner: str = "acme", *, message_id: str = "", body: str = "see attachment") -> bytes:
    """A mail with one interchange."""
    made = EmailMessage()
    made["From"], made["To"] = f"edi@{partner}.example", US
    made["Message-ID"] = message_id or f"<{next(_ids)}@{partner}.example>"
    made["Subject"] = "EDI"
    made.set_content(body)
    made.add_attachment(data, maintype="application", subtype="EDI-X12", filename="interchange.edi")
    return made.as_bytes(policy=email.policy.SMTP)


def orders(number: int, *pos: str, partner: str = "acme") -> bytes:
    """An interchange with 850s: one for each purchase order, ``PO-<number>`` by default."""
    sets = [documents.order(po, WHEN, control) for control, po in enumerate(pos or [f"PO-{number}"], 1)]
    return documents.interchange(f"ZZ:{IDENTITY[partner]}", OURS, number, WHEN, [("PO", "004010", sets)])


def order_mail(number: int, partner: str = "acme") -> bytes:
    """A mail with one order."""
    return mail(orders(number, partner=partner), partner)


def functional(
    number: int, group: int | str, verdict: str = "A", *, partner: str = "acme", functional_id: str = "IN"
) -> bytes:
    """A 997 under ``number`` for one of our groups with one set."""
    good = verdict == "A"
    said = "810" if functional_id == "IN" else "997"
    ack = (
        "ST*997*0001",
        f"AK1*{functional_id}*{group}",
        f"AK2*{said}*0001",
        "AK5*A" if good else "AK5*R*5",
        f"AK9*{'A' if good else 'R'}*1*1*{int(good)}",
    )
    return documents.interchange(f"ZZ:{IDENTITY[partner]}", OURS, number, WHEN, [("FA", "004010", [ack])])


def ta1(number: int, ours: int | str, verdict: str = "R", note: str = "025", *, partner: str = "acme") -> bytes:
    """A TA1 alone, for an interchange of ours."""
    raw = documents.interchange(f"ZZ:{IDENTITY[partner]}", OURS, number, WHEN, [])
    head, tail = raw[:106], raw[raw.index(b"IEA") :]
    return head + b"\r\n" + f"TA1*{int(ours):09}*261102*2200*{verdict}*{note}~\r\n".encode() + tail


def bounce(original: bytes, recipient: str = "edi@acme.example") -> bytes:
    """What a mail system returns for a mail that it cannot deliver (RFC 3464)."""
    parsed = email.message_from_bytes(original)
    lines = (
        "From: MAILER-DAEMON@host.example", f"To: {US}", f"Message-ID: <{next(_ids)}@host.example>",
        "Auto-Submitted: auto-replied", "Subject: Undelivered Mail", "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"', "",
        "--b", "Content-Type: text/plain", "", "I am sorry.", "",
        "--b", "Content-Type: message/delivery-status", "",
        "Reporting-MTA: dns; host.example", "",
        f"Final-Recipient: rfc822; {recipient}", "Action: failed", "Status: 5.1.1",
        "Diagnostic-Code: smtp; 550 5.1.1 no such user", "",
        "--b", "Content-Type: text/rfc822-headers", "",
        f"Message-ID: {parsed['Message-ID']}", f"Subject: {parsed['Subject']}", "",
        "--b--", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode()


def auto_reply(original: bytes, sender: str = "edi@acme.example") -> bytes:
    """What a person on holiday answers (RFC 3834)."""
    parsed = email.message_from_bytes(original)
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, US, f"Auto: {parsed['Subject']}"
    made["Message-ID"] = f"<{next(_ids)}@acme.example>"
    made["In-Reply-To"], made["Auto-Submitted"] = str(parsed["Message-ID"]), "auto-replied"
    made.set_content("I am away.")
    return made.as_bytes(policy=email.policy.SMTP)


def receipt(original: bytes, sender: str = "edi@acme.example") -> bytes:
    """A receipt (RFC 8098) for a mail of ours, which even asks for one itself."""
    parsed = email.message_from_bytes(original)
    lines = (
        f"From: {sender}", f"To: {US}", f"Message-ID: <{next(_ids)}@acme.example>", "Subject: Read",
        f"Disposition-Notification-To: {sender}", "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=disposition-notification; boundary="b"', "",
        "--b", "Content-Type: text/plain", "", "It was read.", "",
        "--b", "Content-Type: message/disposition-notification", "",
        f"Final-Recipient: rfc822; {sender}", f"Original-Message-ID: {parsed['Message-ID']}",
        "Disposition: automatic-action/MDN-sent-automatically; processed", "",
        "--b--", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode()


# ---------------------------------------------------------------- reading what we sent


def parsed(raw: bytes) -> Message:
    """A mail of ours."""
    return email.message_from_bytes(raw)


def segments(raw: bytes) -> list[list[str]]:
    """The segments of the interchange that a mail of ours carries."""
    for part in parsed(raw).walk():
        content = part.get_payload(decode=True)
        if isinstance(content, bytes) and content.lstrip().startswith(b"ISA"):
            text = content.lstrip().decode("latin-1")
            return [each.strip("\r\n").split(text[3]) for each in text.split(text[105]) if each.strip("\r\n")]
    return []


def value(raw: bytes, segment: str, element: int) -> str:
    """An element of the first segment of a name, or ``""``."""
    return next((each[element] for each in segments(raw) if each[0] == segment), "")
