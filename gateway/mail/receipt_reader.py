"""Reading receipts and requests for them out of mails (RFC 8098, RFC 3335), bounded and lenient. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.errors import GatewayError
from gateway.mail.addresses import address_list
from gateway.mail.decode import Raw
from gateway.mail.headers import Headers, decoded, message_ids, split_entity, to_text
from gateway.mail.receipts import Mic, Receipt, ReceiptRequest
from gateway.mail.structure import Entity, Span, Splitter, below_layers
from gateway.settings.model import Limits

RECEIPT_TYPES = frozenset({"message/disposition-notification", "message/global-disposition-notification"})
_HEADER_TYPES = frozenset({"text/rfc822-headers", "message/global-headers"})
_BLOCKS = 4  # groups of fields; there should be one, some put a blank line into it
_FIELDS_SIZE = 64_000
_TEXT = 2_000
_REPEATED = 10  # Error, Failure and Warning may be there several times
_OPTIONS = 20
_VALUES = 20
_DISPOSITION = re.compile(r"([a-z-]{1,40})(?:\s*/\s*(.*))?", re.DOTALL)
_OPTION = re.compile(r"\s*([A-Za-z0-9-]{1,60})\s*=\s*(required|optional)\s*,(.*)", re.IGNORECASE | re.DOTALL)


def read_receipt(entity: Entity, limits: Limits) -> Receipt | None:
    """What a multipart/report, or a bare message/disposition-notification, says; None where it is no receipt."""
    part = next((each for each in entity.leaves() if each.content_type in RECEIPT_TYPES), None)
    if part is None:
        return None
    fields = _fields(part.data[:_FIELDS_SIZE], limits)
    disposition = _disposition(fields)
    return Receipt(
        original_message_id=_original(fields, entity, limits),
        final_recipient=_recipient(fields.first("final-recipient")),
        original_recipient=_recipient(fields.first("original-recipient")),
        action=disposition[0],
        sending=disposition[1],
        disposition=disposition[2],
        modifiers=disposition[3],
        mic=Mic.parse(_once(fields, "received-content-mic")),
        errors=_texts(fields, "error"),
        failures=_texts(fields, "failure"),
        warnings=_texts(fields, "warning"),
        reporting_ua=decoded(fields.first("reporting-ua"), 200),
        text=_text(entity),
    )


def receipt_in(raw: Raw, limits: Limits) -> Receipt | None:
    """The receipt in a mail, or in a MIME entity by itself, such as the content that a signature covers.

    A multipart/signed is looked into, its signature not checked (RFC 3335 wants receipts signed).

    Raises:
        MessageFault: past the bounds of ``limits``, or when the entity cannot be read.
    """
    entity = Splitter(limits).entity(Span(raw, 0, len(raw)))
    entity = below_layers(entity)
    return read_receipt(entity, limits) if entity.content_type in {"multipart/report", *RECEIPT_TYPES} else None


def request_in(raw: Raw, limits: Limits) -> ReceiptRequest | None:
    """The receipt that a mail asks for in its headers; None where it asks for none.

    Raises:
        MessageFault: past the bounds of ``limits``, or when the headers cannot be read.
    """
    return read_request(split_entity(raw, 0, len(raw), limits)[0])


def read_request(headers: Headers) -> ReceiptRequest | None:
    """The receipt that these headers ask for; None where they ask for none."""
    wanted = headers.all("disposition-notification-to")
    if not wanted:
        return None
    options, unknown = _options(headers.all("disposition-notification-options")[:4])
    must_sign, protocols = options.get("signed-receipt-protocol", (False, ()))
    must_digest, digests = options.get("signed-receipt-micalg", (False, ()))
    return ReceiptRequest(
        to=address_list(", ".join(wanted[:4])),
        protocols=protocols,
        protocol_required=must_sign,
        digests=digests,
        digest_required=must_digest,
        unknown_required=unknown,
    )


def _options(values: Sequence[str]) -> tuple[dict[str, tuple[bool, tuple[str, ...]]], tuple[str, ...]]:
    """The options that we know, each (whether required, values), and the names of other required ones."""
    known: dict[str, tuple[bool, tuple[str, ...]]] = {}
    unknown: list[str] = []
    for written in ";".join(values).split(";")[:_OPTIONS]:
        found = _OPTION.fullmatch(written)
        if found is None:
            continue
        name, required = found[1].lower(), found[2].lower() == "required"
        if name in {"signed-receipt-protocol", "signed-receipt-micalg"}:
            known.setdefault(name, (required, _listed(found[3])))
        elif required:
            unknown.append(name)
    return known, tuple(unknown)


def _listed(values: str) -> tuple[str, ...]:
    words = (decoded(each, 40).strip("\"' ") for each in values.split(",")[:_VALUES])
    return tuple(each for each in words if each)


# ---------------------------------------------------------------- the fields


def _fields(data: bytes, limits: Limits) -> Headers:
    """All fields, of the first few groups; what is no field ends it."""
    found: dict[str, list[str]] = {}
    position = 0
    for _ in range(_BLOCKS):
        if position >= len(data):
            break
        try:
            block, position = split_entity(data, position, len(data), limits)
        except GatewayError:
            break
        for name, values in block.values.items():
            found.setdefault(name, []).extend(values)
    return Headers(found)


def _once(fields: Headers, name: str) -> str:
    """The value of a field that must not say two things; "" where it does."""
    values = {" ".join(each.split()) for each in fields.all(name)}
    return decoded(values.pop(), 1_000) if len(values) == 1 else ""


def _disposition(fields: Headers) -> tuple[str, str, str, tuple[str, ...]]:
    """Action mode, sending mode, type and modifiers: ``automatic-action/MDN-sent-automatically; processed/error: x``.

    A modifier of RFC 8098 is one word, its text stands in the fields Error, Failure and Warning; RFC 3335 puts a
    text after a colon and may have commas in it, which do not end it.
    """
    modes, semicolon, said = _once(fields, "disposition").partition(";")
    if not semicolon:
        modes, said = "", modes  # some leave the modes away
    action, _, sending = modes.lower().partition("/")
    found = _DISPOSITION.fullmatch(" ".join(said.lower().split()))
    if found is None:
        return action.strip(), sending.strip(), "", ()
    return action.strip(), sending.strip(), found[1], _modifiers(found[2] or "")


def _modifiers(text: str) -> tuple[str, ...]:
    modifiers: list[str] = []
    for piece in (each.strip() for each in text.split(",")[:_VALUES]):
        head, colon, rest = piece.partition(":")
        if modifiers and ":" in modifiers[-1] and not colon and head not in {"error", "failure", "warning"}:
            modifiers[-1] += f", {piece}"
        elif piece:
            modifiers.append(f"{head.strip()}: {rest.strip()}" if rest.strip() else head.strip())
    return tuple(modifiers)


def _recipient(value: str) -> str:
    """The address in ``rfc822; edi@partner.example``; what is no address as it was written."""
    written = value.partition(";")[2] or value
    return next(iter(address_list(written)), decoded(written, 320))


def _texts(fields: Headers, name: str) -> tuple[str, ...]:
    return tuple(each for each in (decoded(value, 500) for value in fields.all(name)[:_REPEATED]) if each)


def _original(fields: Headers, entity: Entity, limits: Limits) -> str:
    """The Message-ID that it speaks of: its own field, else that of the headers that it returns."""
    if fields.all("original-message-id"):
        return next(iter(message_ids(_once(fields, "original-message-id"), 1)), "")
    for child in entity.children:
        headers = child.children[0].headers if child.children else None
        if child.part is not None and child.content_type in _HEADER_TYPES:
            headers = _fields(child.part.data[:_FIELDS_SIZE], limits)
        if headers is not None:
            return next(iter(message_ids(headers.first("message-id"), 1)), "")
    return ""


def _text(entity: Entity) -> str:
    """The beginning of the part for people, on one line."""
    part = next((each for each in entity.leaves() if each.content_type == "text/plain"), None)
    return decoded(to_text(part.data[: 4 * _TEXT], part.charset), _TEXT) if part is not None else ""
