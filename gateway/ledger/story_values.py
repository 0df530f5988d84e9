"""What a story is made of: groups, sets, findings, acknowledgments, receipts, related exchanges, as frozen values."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

from gateway.ledger.moments import iso


class FindingStory(Struct, frozen=True):
    """One thing wrong, as it was found; numbers are 0 where they do not apply."""

    level: str
    code: str
    x12: str
    scope: str
    segment: str
    position: int
    loop: str
    element: int
    component: int
    repetition: int
    offset: int
    value: str
    message: str


class SetStory(Struct, frozen=True):
    """A transaction set: our verdict or the partner's, where it was delivered, its keys and findings."""

    set_id: str
    control_number: str
    implementation: str
    guideline: str
    agreement: str
    status: str
    segments: int
    acknowledged: str
    acknowledged_at: int | None
    delivery: str
    delivered_to: str
    delivered_at: int | None
    keys: tuple[tuple[str, str], ...] = ()
    findings: tuple[FindingStory, ...] = ()
    id: int = 0
    ordinal: int = 0  # in its group, from 1
    start: int = 0  # byte offset in the interchange; 0 of one that we sent


class GroupStory(Struct, frozen=True):
    """A functional group with its sets and the findings of its own envelope. ``size`` is how many sets it has."""

    functional_id: str
    application_sender: str
    application_receiver: str
    control_number: str
    version: str
    status: str
    acknowledged: str
    acknowledged_at: int | None
    sets: tuple[SetStory, ...] = ()
    findings: tuple[FindingStory, ...] = ()
    id: int = 0
    ordinal: int = 0
    size: int = 0


class AcknowledgmentStory(Struct, frozen=True):
    """What one TA1, 997 or 999 said: ``carrier`` is the exchange it came in, ``exchange`` the one it speaks of.

    ``functional_group`` and ``transaction_set`` are the ids of what it speaks of within that exchange, or None.
    """

    at: int
    carrier: int
    exchange: int | None
    kind: str
    status: str
    codes: str
    errors: tuple[str, ...]
    names: str
    relation: str
    functional_group: int | None = None
    transaction_set: int | None = None


class ReceiptStory(Struct, frozen=True):
    """What a receipt (MDN) said. ``direction`` is in for one of the partner's, out for one that we gave."""

    at: int
    direction: str
    message: int  # the mail that carries it
    disposition: str
    modifier: str
    mic: str
    mic_matches: str
    signed_by: str  # the fingerprint of the certificate that proved it
    relation: str


class AwaitedStory(Struct, frozen=True):
    """An acknowledgment that is still awaited. ``due_at`` is None until the exchange is handed over."""

    kind: str
    due_at: int | None
    overdue_at: int | None


class RelatedStory(Struct, frozen=True):
    """Another exchange, and what it is to this one: ``duplicate of``, ``answered by`` and so on."""

    relation: str
    id: int
    at: int
    direction: str
    types: tuple[str, ...]
    control_number: str
    state: str
    payload: int | None = None  # of a mail's: the part of the mail that it came in


class PayloadStory(Struct, frozen=True):
    """One part of a mail that carries EDI. ``sha256`` is that of its decoded bytes, ``size`` their number."""

    id: int
    ordinal: int
    path: str
    file_name: str
    content_type: str
    size: int
    sha256: str
    repairs: str


class MailStory(Struct, frozen=True):
    """The mail of an exchange, in brief: its number, when we got or made it, its own Date, its bytes."""

    id: int
    at: int
    state: str
    kind: str
    from_address: str
    subject: str
    dated: str
    size: int
    sha256: str


def sentences(stored: str) -> tuple[str, ...]:
    """The sentences of a JSON list."""
    try:
        errors = json.loads(stored) if stored else []
    except ValueError:
        return (stored,)
    return tuple(str(each) for each in errors) if isinstance(errors, list) else (str(errors),)


def plain(told: Any) -> Any:
    """For JSON: times in ISO 8601, at any depth."""
    return _plain_value("", told)


def _plain_value(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain_value(key, each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value("", each) for each in value]
    return iso(value) if (name == "at" or name.endswith("_at")) and value is not None else value
