"""One received mail, opened: who sent it, what it is, and its parts. Pure: bytes in, a ``Letter`` out.

The bounds of ``Limits`` hold before and while anything is parsed, so that no mail costs more than its size.
"""

from __future__ import annotations

import re

from gateway.errors import MessageFault, MessageMalformed, MessageTooLarge
from gateway.mail.addresses import address_list, single_sender
from gateway.mail.bounces import STATUS_TYPES, read_bounces, read_words
from gateway.mail.decode import Raw
from gateway.mail.headers import Headers, decoded, message_ids, split_entity
from gateway.mail.model import Bounce, Letter, Part
from gateway.mail.structure import Entity, Span, Splitter, below_layers
from gateway.settings.model import Limits

_RECEIPT_TYPES = frozenset({"message/disposition-notification", "message/global-disposition-notification"})
_BULK = frozenset({"bulk", "junk", "list"})
_ANSWERS = frozenset({"auto_reply", "auto-reply"})
_ANSWERING_HEADERS = ("x-autoreply", "x-autorespond", "x-auto-reply-from", "x-mail-autoreply")
_BULK_HEADERS = ("list-id", "list-unsubscribe")
_MAILER = re.compile(r"(?:^|[\s<])(?:mailer-daemon|postmaster)(?:@|>|\s*(?:\(|$))", re.IGNORECASE)
_WORDS = frozenset({"text/plain", "text/html", "text/enriched"})
_EDI = re.compile(rb"(?:\A|\n|\xbf)[ \t]*+ISA[^A-Za-z0-9\s]")
# The same in any place of a line, in UTF-16 or EBCDIC, or as a file that was written into a text.
_EDI_ANYWHERE = re.compile(
    rb"ISA([^A-Za-z0-9\s])\d\d\1|I\0S\0A|\xc9\xe2\xc1[^\n]\xf0"
    rb"|^(?:SVNB[A-Za-z0-9+/]{20}|begin [0-7]{3,4} \S|=ybegin )",
    re.MULTILINE,
)
_QUOTED = re.compile(rb"[ \t]*[>|]")
_QUOTATIONS = 100  # in one text that are passed over
_ID = 998  # characters of a line (RFC 5322 section 2.1.1), hence of a Message-ID
_ENVELOPE_HEADERS = ("delivered-to", "x-original-to", "envelope-to")


def open_letter(raw: Raw, limits: Limits) -> Letter:
    """Opens a mail, or any MIME entity. ``raw`` may be a view of a file; it is read, never copied as a whole.

    Raises:
        MessageTooLarge, HeadersTooLarge, StructureTooDeep, TooManyParts: past a bound of ``limits``.
        MessageMalformed: when mail readers would disagree on what it says, or it has no structure at all.
    """
    raw = _bounded(raw, limits)
    top = Splitter(limits).entity(Span(raw, 0, len(raw)))
    kind, bounces = _kind(top, limits)
    return _letter(top.headers, limits, kind, tuple(top.leaves()), bounces)


def open_headers(raw: Raw, limits: Limits) -> Letter | None:
    """What a mail says of itself whose parts cannot be told: a letter without any. None where even that is unclear."""
    try:
        raw = _bounded(raw, limits)
        headers, _ = split_entity(raw, 0, len(raw), limits)
    except MessageFault:
        return None
    return _letter(headers, limits, "letter", (), ())


def _letter(
    headers: Headers, limits: Limits, kind: str, parts: tuple[Part, ...], bounces: tuple[Bounce, ...]
) -> Letter:
    sender, problem = single_sender(headers.all("from"))
    received = len(headers.all("received"))
    return Letter(
        kind=kind,
        from_address=sender,
        sender_problem=problem,
        to=_addresses(headers, "to"),
        cc=_addresses(headers, "cc"),
        subject=decoded(headers.first("subject"), limits.header_line),
        message_id=_own_id(headers),
        in_reply_to=_message_id(headers, "in-reply-to"),
        references=message_ids(headers.first("references")),
        date=decoded(headers.first("date"), _ID),
        parts=parts,
        bounces=bounces,
        auto_submitted=_auto_submitted(headers) not in {"", "no"},
        delivered_to=_delivered_to(headers),
        loop=f"it passed {received} hosts; the limit is {limits.received}" if received > limits.received else "",
    )


def _bounded(raw: Raw, limits: Limits) -> Raw:
    if len(raw) > limits.message_size:
        raise MessageTooLarge(size=len(raw), limit=limits.message_size)
    head = raw[: limits.header_block]
    if not head.strip(b"\r\n\t \0"):
        raise MessageMalformed(reason="the message is empty")
    if b"\n" not in head:
        return raw[:].replace(b"\r", b"\n")  # line ends of a system long gone
    return raw


def _addresses(headers: Headers, name: str) -> tuple[str, ...]:
    found = headers.all(name)
    return address_list(", ".join(found)) if found else ()


def _delivered_to(headers: Headers) -> tuple[str, ...]:
    """Whom the envelope named, as the hosts on the way wrote it down."""
    found = [value for name in _ENVELOPE_HEADERS for value in headers.all(name)]
    return address_list(", ".join(found)) if found else ()


def _own_id(headers: Headers) -> str:
    """The Message-ID, or what stands in its place as it is written: people look for it by that."""
    return _message_id(headers, "message-id") or decoded(headers.first("message-id"), _ID)


def _message_id(headers: Headers, name: str) -> str:
    return next(iter(message_ids(headers.first(name), 1)), "")


def _auto_submitted(headers: Headers) -> str:
    """The keyword of Auto-Submitted (RFC 3834 section 5), in lower case."""
    value = headers.first("auto-submitted")
    return value.partition(";")[0].partition("(")[0].strip().lower()[:40] if value else ""


# ---------------------------------------------------------------- what it is


def _kind(top: Entity, limits: Limits) -> tuple[str, tuple[Bounce, ...]]:
    report = _report(top)
    if report is not None:
        types = {part.content_type for part in report.leaves()}
        wanted = report.parameters.get("report-type", "").lower()
        if wanted == "delivery-status" or types & STATUS_TYPES:
            return "bounce", read_bounces(report, limits)
        if wanted == "disposition-notification" or types & _RECEIPT_TYPES:
            return "receipt", ()
    if _is_from_a_mailer(top.headers):
        return "bounce", read_words(top)
    answers = _answers_by_itself(top.headers)
    if (answers or _is_bulk(top.headers)) and not any(
        _may_be_edi(part) or (not answers and _holds_edi(part.data)) for part in _own_leaves(top)
    ):
        return "auto-reply", ()
    return "letter", ()


def _report(top: Entity) -> Entity | None:
    """The multipart/report that the mail is, perhaps signed (RFC 3335 wants receipts signed)."""
    entity = below_layers(top)
    if entity.content_type == "multipart/report" or entity.content_type in STATUS_TYPES | _RECEIPT_TYPES:
        return entity
    return None


def _is_from_a_mailer(headers: Headers) -> bool:
    """A bounce in no standard's format: it has the null sender and comes from the mail system itself."""
    path = headers.first("return-path").replace(" ", "")
    if path != "<>" and (path or "x-failed-recipients" not in headers.values):
        return False
    senders = headers.all("from")
    return len(senders) == 1 and _MAILER.search(senders[0]) is not None


def _answers_by_itself(headers: Headers) -> bool:
    """Whether a program wrote it that answers: it is read by nobody, never answered, and may quote what we sent."""
    automatic = _auto_submitted(headers)
    return (
        automatic == "auto-replied"
        or headers.first("precedence").strip().lower() in _ANSWERS
        or any(name in headers.values for name in _ANSWERING_HEADERS)
        or (automatic not in {"", "no"} and "x-auto-response-suppress" in headers.values)
    )


def _is_bulk(headers: Headers) -> bool:
    """Whether it tells everybody the same: a list or a gateway may carry an order all the same, in any form."""
    return headers.first("precedence").strip().lower() in _BULK or any(name in headers.values for name in _BULK_HEADERS)


def _own_leaves(entity: Entity) -> list[Part]:
    """The leaves that the sender wrote, not those of a message that the mail only carries along."""
    if entity.content_type.startswith("message/"):
        return []
    if entity.part is not None:
        return [entity.part]
    return [part for child in entity.children for part in _own_leaves(child)]


def _may_be_edi(part: Part) -> bool:
    """Whether a part may carry what we are here for: any file, and words that begin like an interchange."""
    return bool(part.file_name) or part.content_type not in _WORDS or _EDI.search(part.data) is not None


def _holds_edi(data: bytes) -> bool:
    """Whether words hold an interchange anywhere, in any form, but for a quotation."""
    for count, found in enumerate(_EDI_ANYWHERE.finditer(data)):
        if count >= _QUOTATIONS or not _QUOTED.match(data, data.rfind(b"\n", 0, found.start()) + 1):
            return True
    return False
