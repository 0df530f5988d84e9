"""Mails we write (RFC 5322, 2045–2047, 2231, 1767): pure, and the same bytes for the same draft."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from urllib.parse import quote

from gateway.errors import DocumentFault
from gateway.mail.addresses import normalise
from gateway.mail.model import Attachment, Draft
from gateway.mail.packing import packed

_LINE = 76  # characters of a header line we write; RFC 5322 wants at most 78
_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,75}")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@\[\]:-]{3,250}>")
_CONTENT_TYPE = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*(?:; ?[A-Za-z0-9-]+=[A-Za-z0-9_.+:-]+)*"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_OWN = frozenset({
    "from", "to", "cc", "bcc", "reply-to", "sender", "subject", "date", "message-id", "in-reply-to", "references",
    "mime-version", "auto-submitted",
})  # fmt: skip
# What 7bit keeps byte for byte on its way through any host: printable ASCII in short CR LF lines, no blank at a
# line's end, nothing that a mailbox file would escape.
_SAFE_7BIT = re.compile(rb"(?:(?!From )(?!\.)(?!--)(?:[\x20-\x7e\t]{0,75}[\x21-\x7e])?\r\n)*+")
_ANY_7BIT = re.compile(rb"(?:[^\x00\r\n\x80-\xff]{0,998}\r\n)*+[^\x00\r\n\x80-\xff]{0,998}")
_NOT_7BIT = (
    "transfer_encoding = 7bit cannot carry it: it has bytes beyond ASCII, a line of over 998, or line ends other than "
    "CR LF; let the envelope have line_ending = crlf, or leave transfer_encoding to auto"
)


def compose(draft: Draft) -> bytes:
    """The complete mail with CR LF line ends, in 7-bit ASCII only.

    Raises:
        DocumentFault: when a value would break out of its header, or an address is none.
    """
    return letter(draft, entity(draft))


def letter(draft: Draft, inner: bytes) -> bytes:
    """The mail around an entity that is ready, whether ``entity`` made it or something was done to that.

    Raises:
        DocumentFault: when a value would break out of its header, or an address is none.
    """
    return "".join(_folded(name, value) for name, value in _headers(draft)).encode("ascii") + inner


def entity(draft: Draft) -> bytes:
    """The mail's MIME entity, Content headers and content (RFC 2045 section 2.4): what is signed or encrypted.

    Raises:
        DocumentFault: when a value would break out of its header, or 7bit cannot carry the content.
    """
    attachments = [packed(each, draft.compress, draft.date) for each in draft.attachments]
    parts = [_attachment_part(each, draft.transfer_encoding) for each in attachments]
    if draft.place == "attachment" or len(parts) != 1:
        parts.insert(0, _text_part(draft.body))
    if len(parts) == 1:
        ((head, content),) = parts
        return f"{head}\r\n".encode("ascii") + content
    boundary = f"=_{hashlib.sha256(draft.message_id.encode()).hexdigest()[:40]}"
    pieces = [f'Content-Type: multipart/mixed;\r\n boundary="{boundary}"\r\n\r\n'.encode("ascii")]
    for head, content in parts:
        pieces.append(f"--{boundary}\r\n{head}\r\n".encode("ascii"))
        pieces.append(content)
        pieces.append(b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode("ascii"))
    return b"".join(pieces)


def is_message_id(text: str) -> bool:
    """Whether a Message-ID that came from outside can be written into In-Reply-To and References as it is."""
    return _MESSAGE_ID.fullmatch(text) is not None and "@" in text


def message_id(domain: str, seed: str) -> str:
    """A Message-ID that is the same whenever ``seed`` is the same.

    Raises:
        DocumentFault: when ``domain`` is no domain name.
    """
    local = hashlib.sha256(seed.encode()).hexdigest()[:40]
    return f"<{_address(f'{local}@{domain}')}>"


def written_date(draft: Draft) -> str:
    """The Date header of a mail, as it is written."""
    return _written(draft.date)


@lru_cache(maxsize=64)
def _written(date: float) -> str:
    """All mails of a transaction have the same moment."""
    return format_datetime(datetime.fromtimestamp(date, UTC))


# ---------------------------------------------------------------- headers


def _headers(draft: Draft) -> Iterator[tuple[str, str]]:
    """The headers in the order in which they are written, values encoded."""
    if not draft.to:
        raise _fault(draft.message_id, "it has no recipient")
    sender = _address(draft.sender)
    yield "From", f"{_phrase(draft.sender_name)} <{sender}>" if draft.sender_name else sender
    yield "To", ", ".join(map(_address, draft.to))
    if draft.cc:
        yield "Cc", ", ".join(map(_address, draft.cc))
    if draft.reply_to:
        yield "Reply-To", _address(draft.reply_to)
    yield "Subject", _encoded(_checked("Subject", draft.subject))
    yield "Date", written_date(draft)
    yield "Message-ID", _id(draft.message_id)
    if draft.in_reply_to:
        yield "In-Reply-To", _id(draft.in_reply_to)
    if draft.references:
        yield "References", " ".join(map(_id, draft.references))
    if draft.auto_submitted:
        yield "Auto-Submitted", "auto-replied" if draft.auto_replied else "auto-generated"
    yield from _extra_headers(draft)
    yield "MIME-Version", "1.0"


def _extra_headers(draft: Draft) -> Iterator[tuple[str, str]]:
    for name, value in draft.headers:
        lower = name.lower()
        if not _FIELD_NAME.fullmatch(name) or lower in _OWN or lower.startswith("content-"):
            raise _fault("the mail", f"the extra header {name!a} is none, or one that the gateway writes itself")
        yield name, _encoded(_checked(name, value))


def _checked(name: str, value: str) -> str:
    if _CONTROL.search(value):
        raise _fault(name, f"a control character in {value[:80]!a} would break out of the header")
    return value


def _address(address: str) -> str:
    try:
        return normalise(address)
    except ValueError as problem:
        raise _fault("the mail", str(problem)) from problem


def _id(text: str) -> str:
    if not _MESSAGE_ID.fullmatch(text):
        raise _fault("the mail", f"{text[:80]!a} is no message id")
    return text


def _phrase(name: str) -> str:
    _checked("the sender's name", name)
    if not name.isascii():
        return _encoded(name)
    if _PHRASE.fullmatch(name) and "=?" not in name:
        return name
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'


def _encoded(value: str) -> str:
    """Text as RFC 2047 encoded words where it is not plain ASCII (or only looks encoded)."""
    if value.isascii() and "=?" not in value and max(map(len, value.split(" ")), default=0) < 900:
        return value
    words: list[str] = []
    piece = ""
    for character in value:
        if len((piece + character).encode("utf-8", "replace")) > 42:  # base64 of 42 bytes fits a word of 75
            words.append(piece)
            piece = ""
        piece += character
    words.append(piece)
    return " ".join(f"=?utf-8?b?{base64.b64encode(each.encode('utf-8', 'replace')).decode()}?=" for each in words)


def _folded(name: str, value: str) -> str:
    """The header, folded at blanks, so that no blank is lost or made."""
    if len(name) + len(value) + 2 <= _LINE:
        return f"{name}: {value}\r\n"
    line = f"{name}:"
    lines: list[str] = []
    for word in value.split(" "):
        if len(line) + 1 + len(word) > _LINE and line.strip() and word and not line.endswith(":"):
            lines.append(line)
            line = ""
        line += f" {word}"
    lines.append(line)
    return "\r\n".join(lines) + "\r\n"


# ---------------------------------------------------------------- parts


def _text_part(body: str) -> tuple[str, bytes]:
    text = re.sub(r"\r\n|\r|\n", "\r\n", body)
    if text and not text.endswith("\r\n"):
        text += "\r\n"
    data = text.encode("utf-8", "replace")
    charset = "us-ascii" if text.isascii() else "utf-8"
    return _part(f"Content-Type: text/plain; charset={charset}\r\n", data)


def _attachment_part(attachment: Attachment, encoding: str) -> tuple[str, bytes]:
    if not _CONTENT_TYPE.fullmatch(attachment.content_type):
        raise _fault(attachment.file_name, f"{attachment.content_type[:80]!a} is no content type")
    name = _checked("a file name", attachment.file_name)
    head = f"Content-Type: {attachment.content_type}{_parameter('name', name)}\r\n"
    head += f"Content-Disposition: attachment{_parameter('filename', name)}\r\n"
    return _part(head, attachment.data, encoding)


def _parameter(key: str, value: str) -> str:
    """A parameter on a line of its own; RFC 2231 where it is not plain ASCII, in pieces where it is long."""
    if not value:
        return ""
    if value.isascii() and len(value) <= 60:
        quoted = re.sub(r'(["\\])', r"\\\1", value)
        return f';\r\n {key}="{quoted}"'
    encoded = quote(value, safe="!#$&+-.^_`{}~", encoding="utf-8", errors="replace")
    if len(encoded) <= 55:
        return f";\r\n {key}*=utf-8''{encoded}"
    pieces = re.findall(r"(?:%[0-9A-F]{2}|[^%]){1,18}", encoded)
    pieces[0] = f"utf-8''{pieces[0]}"
    return "".join(f";\r\n {key}*{number}*={piece}" for number, piece in enumerate(pieces))


def _part(head: str, data: bytes, encoding: str = "auto") -> tuple[str, bytes]:
    """The part's headers with its transfer encoding, and its content: by default 7bit where that is safe, else base64.

    ``7bit`` by choice takes all that mail can carry (RFC 2045 section 2.7); hosts on the way may fold or strip it.
    """
    if encoding == "7bit" and not _ANY_7BIT.fullmatch(data):
        raise _fault("the document", _NOT_7BIT)
    if encoding == "7bit" or (encoding == "auto" and _SAFE_7BIT.fullmatch(data)):
        return f"{head}Content-Transfer-Encoding: 7bit\r\n", data
    return f"{head}Content-Transfer-Encoding: base64\r\n", _base64_lines(data)


def _base64_lines(data: bytes) -> bytes:
    return b"".join(
        binascii.b2a_base64(data[start : start + 57], newline=False) + b"\r\n" for start in range(0, len(data), 57)
    )


def _fault(name: str, reason: str) -> DocumentFault:
    return DocumentFault(name=name, reason=reason)
