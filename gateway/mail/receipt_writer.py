"""Writing receipts and requests for them (RFC 8098, RFC 3335). Pure, and the same bytes for the same values.

What is written is the MIME entity alone, from its Content-Type on: ready to be signed, or to follow the headers of a
mail. Every line is short, in ASCII and ends with CR LF, so that no host on the way changes what a signature covers.
"""

from __future__ import annotations

import base64
import hashlib
import re

from msgspec import Struct

from gateway.errors import DocumentFault
from gateway.mail.addresses import normalise
from gateway.mail.receipts import FAILED, PROCESSED, Mic

_TOKEN = re.compile(r"[A-Za-z0-9-]{1,40}")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,250}>")
# Lines that every host leaves alone: no blank at the end, no dot, dashes or "From " at the beginning.
_SAFE = re.compile(r"(?:(?!From |\.|--)(?:[ -~]{0,74}[!-~])?\r\n)*+")
_PROTOCOL = "pkcs7-signature"


class ReceiptNote(Struct, frozen=True):
    """A receipt to be written, for one mail that we received.

    ``disposition`` is processed or failed. ``modifier`` is empty where all is well, ``error`` with processed or
    ``failure`` with failed where it is not, or ``warning``; ``reason`` names what went wrong (see
    ``gateway.mail.receipts``), ``text`` says it to people.
    """

    original_message_id: str
    recipient: str  # whose receipt this is: our address
    reporting_ua: str  # our host's name
    text: str
    disposition: str = PROCESSED
    modifier: str = ""
    reason: str = ""
    mic: Mic | None = None
    original_headers: bytes = b""  # the header block of their mail, to be returned with it


def receipt_entity(note: ReceiptNote) -> bytes:
    """The multipart/report: a part for people, one for machines, and where given the headers of their mail.

    Raises:
        DocumentFault: when a value would break out of its field, or is none that a receipt can have.
    """
    boundary = (
        "=_" + hashlib.sha256(f"{note.original_message_id} {note.disposition} {note.reason}".encode()).hexdigest()
    )
    boundary = boundary[:60]
    parts = [
        _part("text/plain; charset={charset}", note.text),
        _part("message/disposition-notification", "".join(_fields(note))),
    ]
    if note.original_headers:
        parts.append(_headers_part(note.original_headers))
    head = f'Content-Type: multipart/report; report-type=disposition-notification;\r\n boundary="{boundary}"\r\n\r\n'
    body = "".join(f"--{boundary}\r\n{each}\r\n" for each in parts)
    return f"{head}{body}--{boundary}--\r\n".encode("ascii")


def disposition(note: ReceiptNote) -> str:
    """The Disposition field's value (RFC 8098 section 3.2.6, with the texts of RFC 3335 section 7.5).

    Raises:
        DocumentFault: for a combination that means nothing.
    """
    allowed = {PROCESSED: ("", "error", "warning"), FAILED: ("", "failure", "error")}.get(note.disposition)
    if allowed is None or note.modifier not in allowed or bool(note.reason) > bool(note.modifier):
        raise _fault(f"no receipt says {note.disposition}/{note.modifier}: {note.reason}")
    said = note.disposition
    if note.modifier:
        said += f"/{note.modifier}"
    if note.reason:
        said += f": {_line(note.reason)}"
    return f"automatic-action/MDN-sent-automatically; {said}"


def request_headers(
    address: str, *, digests: tuple[str, ...] = (), required: bool = False
) -> tuple[tuple[str, str], ...]:
    """The headers that ask for a receipt to ``address``; signed where ``digests`` names algorithms, the best first.

    Raises:
        DocumentFault: when a value is no address or no algorithm.
    """
    try:
        headers = [("Disposition-Notification-To", normalise(address))]
    except ValueError as problem:
        raise _fault(str(problem)) from problem
    if digests:
        if not all(_TOKEN.fullmatch(each) for each in digests):
            raise _fault(f"{', '.join(digests)[:80]!a} are no algorithms")
        weight = "required" if required else "optional"
        options = f"signed-receipt-protocol={weight}, {_PROTOCOL}; signed-receipt-micalg={weight}, {', '.join(digests)}"
        headers.append(("Disposition-Notification-Options", options))
    return tuple(headers)


# ---------------------------------------------------------------- parts


def _fields(note: ReceiptNote) -> list[str]:
    if not _MESSAGE_ID.fullmatch(note.original_message_id):
        raise _fault(f"{note.original_message_id[:80]!a} is no message id")
    try:
        recipient = normalise(note.recipient)
    except ValueError as problem:
        raise _fault(str(problem)) from problem
    fields = [
        ("Reporting-UA", _line(note.reporting_ua)),
        ("Original-Recipient", f"rfc822; {recipient}"),
        ("Final-Recipient", f"rfc822; {recipient}"),
        ("Original-Message-ID", note.original_message_id),
        ("Disposition", disposition(note)),
    ]
    if note.reason and note.modifier in {"error", "failure"}:
        fields.append((note.modifier.capitalize(), _line(note.reason)))
    if note.mic is not None:
        fields.append(("Received-Content-MIC", _line(str(note.mic))))
    # Not folded: a line may have 998 characters, and some readers of receipts do not unfold.
    return [f"{name}: {value}\r\n" for name, value in fields]


def _part(content_type: str, text: str) -> str:
    """A part in 7bit where no host would touch it, else in base64."""
    lines = re.sub(r"\r\n|\r|\n", "\r\n", text)
    if lines and not lines.endswith("\r\n"):
        lines += "\r\n"
    charset = "us-ascii" if lines.isascii() else "utf-8"
    head = f"Content-Type: {content_type.format(charset=charset)}\r\nContent-Transfer-Encoding: "
    # A message/* part must not be encoded (RFC 2046 section 5.2); its fields are plain and begin with a name.
    if _SAFE.fullmatch(lines) or content_type.startswith("message/"):
        return f"{head}7bit\r\n\r\n{lines}"
    encoded = base64.encodebytes(lines.encode("utf-8", "replace")).decode("ascii").replace("\n", "\r\n")
    return f"{head}base64\r\n\r\n{encoded}"


def _headers_part(block: bytes) -> str:
    text = block.decode("ascii", "replace").replace("\ufffd", "?").rstrip("\r\n\0") + "\r\n"
    return _part("text/rfc822-headers", text)


def _line(value: str) -> str:
    """A value that stays on its line and in ASCII.

    Raises:
        DocumentFault: when it is not.
    """
    if not value.isascii() or not value.isprintable():
        raise _fault(f"{value[:80]!a} is not one line of plain text")
    return value


def _fault(reason: str) -> DocumentFault:
    return DocumentFault(name="the receipt", reason=reason)
