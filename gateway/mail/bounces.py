"""Delivery status notifications (RFC 3464): what became of a mail of ours."""

from __future__ import annotations

from gateway.errors import GatewayError
from gateway.mail.addresses import address_list
from gateway.mail.headers import Headers, decoded, message_ids, split_entity
from gateway.mail.model import Bounce, Part
from gateway.mail.structure import Entity
from gateway.settings.model import Limits

STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_RECIPIENTS = 200
_HEADER_TYPES = frozenset({"text/rfc822-headers", "message/global-headers"})


def read_bounces(report: Entity, limits: Limits) -> tuple[Bounce, ...]:
    """What a multipart/report says, one value a recipient; empty where it says nothing that can be read."""
    status = next((part for part in report.leaves() if part.content_type in STATUS_TYPES), None)
    if status is None:
        return ()
    blocks = _blocks(status.data, limits)
    returned = _returned_headers(report, limits)
    original = next(iter(message_ids(returned.first("message-id"))), "") if returned else ""
    if not original and blocks:
        original = decoded(blocks[0].first("original-envelope-id"), 250)
    return tuple(_bounce(block, original) for block in blocks if block.first("action") or block.first("status"))


def _bounce(block: Headers, original: str) -> Bounce:
    recipient = block.first("original-recipient") or block.first("final-recipient")
    addresses = address_list(recipient.partition(";")[2] or recipient)
    return Bounce(
        original_message_id=original,
        recipient=addresses[0] if addresses else decoded(recipient, 320),
        action=decoded(block.first("action"), 40).lower(),
        status=decoded(block.first("status"), 40).partition(" ")[0],
        diagnostic=decoded(block.first("diagnostic-code").partition(";")[2] or block.first("diagnostic-code"), 500),
    )


def _blocks(data: bytes, limits: Limits) -> list[Headers]:
    """The groups of fields in a delivery-status part: first the message's, then one a recipient."""
    found: list[Headers] = []
    position = 0
    while position < len(data) and len(found) <= _RECIPIENTS:
        try:
            block, position = split_entity(data, position, len(data), limits)
        except GatewayError:
            break  # the rest is no fields; what was read so far counts
        if block.values:
            found.append(block)
    return found


def _returned_headers(report: Entity, limits: Limits) -> Headers | None:
    for child in report.children:
        if child.content_type in {"message/rfc822", "message/global"} and child.children:
            return child.children[0].headers
        if child.content_type in _HEADER_TYPES and child.part is not None:
            return _headers_of(child.part, limits)
    return None


def _headers_of(part: Part, limits: Limits) -> Headers | None:
    try:
        return split_entity(part.data, 0, len(part.data), limits)[0]
    except GatewayError:
        return None
