"""The states of messages and exchanges, each with the sentence an operator reads."""

from __future__ import annotations

from enum import StrEnum


class MessageState(StrEnum):
    """Where a received or sent mail stands."""

    STORED = "stored"
    PROCESSED = "processed"
    NOTED = "noted"
    QUARANTINED = "quarantined"
    DISCARDED = "discarded"
    SENT = "sent"
    QUEUED = "queued"


class ExchangeState(StrEnum):
    """Where an exchange stands; the verdict (accepted, rejected, …) is kept beside it."""

    # inbound
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    QUARANTINED = "quarantined"
    DISCARDED = "discarded"
    RECONCILED = "reconciled"
    UNMATCHED = "unmatched"
    EMPTY = "empty"
    # outbound
    READY = "ready"
    SENDING = "sending"
    IN_DOUBT = "in doubt"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused by the partner"
    OVERDUE = "overdue"
    COMPLETE = "complete"
    FAILED = "failed"
    BOUNCED = "bounced"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


# Two tables, because equal words of two enumerations are equal keys.
MESSAGE_MEANING: dict[MessageState, str] = {
    MessageState.STORED: "The raw mail is safe; it waits to be processed.",
    MessageState.PROCESSED: "Everything it carried has an exchange of its own.",
    MessageState.NOTED: "A bounce, receipt, auto-reply or self-test: read and recorded, with nothing for the business.",
    MessageState.QUARANTINED: "It cannot be processed; it waits for a person.",
    MessageState.DISCARDED: "A person looked at it and put it aside; the raw mail is kept.",
    MessageState.SENT: "The SMTP host took it.",
    MessageState.QUEUED: "It waits for the wire.",
}

EXCHANGE_MEANING: dict[ExchangeState, str] = {
    ExchangeState.ACCEPTED: "Accepted and acknowledged; the documents wait to be handed to the business.",
    ExchangeState.DELIVERED: "The business has the documents.",
    ExchangeState.REJECTED: "Nothing in it was acceptable; the partner was told.",
    ExchangeState.DUPLICATE: "The same bytes as an earlier exchange: not delivered, acknowledged the same way again.",
    ExchangeState.CONFLICT: "A used control number with other content: not delivered; answered with TA1 025, unless it"
    " only acknowledges.",
    ExchangeState.QUARANTINED: "It cannot be processed; it waits for a person.",
    ExchangeState.DISCARDED: "A person looked at it and put it aside; the bytes are kept.",
    ExchangeState.RECONCILED: "An acknowledgment that was matched to what it answers.",
    ExchangeState.UNMATCHED: "An acknowledgment of something we never sent to that partner.",
    ExchangeState.EMPTY: "An accepted envelope without a document: there is nothing to deliver.",
    ExchangeState.READY: "Numbered and fixed; it waits for the wire.",
    ExchangeState.SENDING: "It is being handed to the SMTP host right now.",
    ExchangeState.IN_DOUBT: "The SMTP host may or may not have taken it; an acknowledgment or a person resolves it.",
    ExchangeState.SENT: "The SMTP host took it; the partner's acknowledgment or receipt is awaited.",
    ExchangeState.ACKNOWLEDGED: "The partner accepted it, wholly or in part: see the verdict.",
    ExchangeState.REFUSED: "The partner rejected it, or its receipt says that it could not be taken.",
    ExchangeState.OVERDUE: "The SMTP host took it, but the acknowledgment or receipt did not come in time.",
    ExchangeState.COMPLETE: "The SMTP host took it; no acknowledgment or receipt is expected any more.",
    ExchangeState.FAILED: "The SMTP host refused it for good, or refused every attempt.",
    ExchangeState.BOUNCED: "The SMTP host took it, but the partner's mail system returned it.",
    ExchangeState.CANCELLED: "A person cancelled it before it was sent; its number stays used.",
    ExchangeState.SUPERSEDED: "A person had its documents sent again under new numbers, as another exchange.",
}

# What a person has to look at.
MESSAGE_ATTENTION = frozenset({MessageState.QUARANTINED})
EXCHANGE_ATTENTION = frozenset(
    {
        ExchangeState.REJECTED,
        ExchangeState.CONFLICT,
        ExchangeState.QUARANTINED,
        ExchangeState.UNMATCHED,
        ExchangeState.IN_DOUBT,
        ExchangeState.REFUSED,
        ExchangeState.OVERDUE,
        ExchangeState.FAILED,
        ExchangeState.BOUNCED,
    }
)
