"""What became of a mail of ours: delivery status notifications (RFC 3464), and bounces in words only.

qmail, old Exchange and Exim, and many a web host write bounces that follow no standard. They quote the mail that came
back, so its Message-ID, the recipient and the status can be found in the words.
"""

from __future__ import annotations

import re

from gateway.errors import GatewayError
from gateway.mail.addresses import address_list
from gateway.mail.headers import Headers, decoded, message_ids, split_entity, to_text
from gateway.mail.model import Bounce, Part
from gateway.mail.structure import Entity
from gateway.settings.model import Limits

STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_RECIPIENTS = 200
_HEADER_TYPES = frozenset({"text/rfc822-headers", "message/global-headers"})
_LOOKED_AT = 64_000  # bytes of a bounce's words
_QUOTED_ID = re.compile(r"^[> \t]*message-id:[ \t]*(?:\r?\n[> \t]+)?(<[^<>\s]{1,250}>)", re.IGNORECASE | re.MULTILINE)
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_REPLY = re.compile(r"(?:^|[^\d.])([45]\d\d[ -][^\r\n]{3,400})", re.MULTILINE)
_FOR = re.compile(
    r"^[ \t]*<?([^\s<>()\[\],;:@\"\\]{1,64}@[^\s<>()\[\],;:@\"\\]{1,255}?)(?:>?:?[ \t]*\r?$|>:[ \t])", re.MULTILINE
)
_LATE = re.compile(
    r"(?:delivery|message)[^.\n]{0,60}\bdelay|will (?:keep|continue) (?:trying|to try)|still being retried"
    r"|not yet been delivered|warning: message",
    re.IGNORECASE,
)
_OVER = re.compile(r"too long|giv(?:en|ing) up|expired|not going to try|permanent|retry timeout", re.IGNORECASE)


def read_bounces(report: Entity, limits: Limits) -> tuple[Bounce, ...]:
    """What a multipart/report says, one value a recipient; empty where it says nothing that can be read."""
    status = next((part for part in report.leaves() if part.content_type in STATUS_TYPES), None)
    blocks = _blocks(status.data, limits) if status is not None else []
    returned = _returned_headers(report, limits)
    original = next(iter(message_ids(returned.first("message-id"))), "") if returned else ""
    envelope_id = decoded(blocks[0].first("original-envelope-id"), 250) if blocks else ""
    found = tuple(
        _bounce(block, original, envelope_id) for block in blocks if block.first("action") or block.first("status")
    )
    return found or read_words(report)


def read_words(top: Entity) -> tuple[Bounce, ...]:
    """What a bounce in no standard's form says: at most one value, and none where it quotes no mail."""
    text = "\n".join(_words(top))[:_LOOKED_AT]
    quoted = _QUOTED_ID.search(text)
    if quoted is None:
        return ()
    before = text[: quoted.start()]
    named = address_list(top.headers.first("x-failed-recipients")) or _FOR.findall(before)
    status, reply = _STATUS.search(before), _REPLY.search(before)
    for_now = status is not None and status[1].startswith("4") and _OVER.search(before) is None
    late = for_now or _LATE.search(before) is not None
    bounce = Bounce(
        original_message_id=quoted[1],
        recipient=named[0] if named else "",
        action="delayed" if late else "failed",
        status=status[1] if status else "",
        diagnostic=decoded(reply[1], 500) if reply else "",
    )
    return (bounce,)


def _words(entity: Entity) -> list[str]:
    """The text of a mail, and the headers of what it carries along."""
    carried = entity.headers.first("message-id") if entity.forwarded else ""
    found = [f"Message-ID: {carried}"] if carried else []
    if entity.part is not None and entity.content_type.startswith("text/"):
        found.append(to_text(entity.part.data[:_LOOKED_AT], entity.part.charset))
    for child in entity.children[:10]:
        found += _words(child)
    return found


def _bounce(block: Headers, original: str, envelope_id: str) -> Bounce:
    recipient = block.first("original-recipient") or block.first("final-recipient")
    addresses = address_list(recipient.partition(";")[2] or recipient)
    return Bounce(
        original_message_id=original,
        recipient=addresses[0] if addresses else decoded(recipient, 320),
        action=decoded(block.first("action"), 40).lower(),
        status=decoded(block.first("status"), 40).partition(" ")[0],
        diagnostic=decoded(block.first("diagnostic-code").partition(";")[2] or block.first("diagnostic-code"), 500),
        envelope_id=envelope_id,
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
