"""The whole story of one exchange or mail: what it is, what became of it, and everything that happened to it.

Of an interchange with a million sets the first are told, and those that something is wrong with: reading a story costs
the same whatever the size of what it tells. How much was left out is said in ``cut``.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field
from sqlalchemy import Connection, Engine, select

from gateway.errors import NotFound
from gateway.ledger import archive, parts
from gateway.ledger.database import reading
from gateway.ledger.events import Event
from gateway.ledger.references import exchange_ids_for, message_ids_for
from gateway.ledger.rows import ExchangeRow, MessageRow
from gateway.ledger.search import message_on
from gateway.ledger.story_values import (
    AcknowledgmentStory,
    AwaitedStory,
    FindingStory,
    GroupStory,
    MailStory,
    PayloadStory,
    ReceiptStory,
    RelatedStory,
    SetStory,
    plain,
)
from gateway.ledger.tables import exchange, message
from gateway.values import asdict

__all__ = [
    "LIMIT",
    "AcknowledgmentStory",
    "AwaitedStory",
    "FindingStory",
    "GroupStory",
    "MailStory",
    "MessageStory",
    "PayloadStory",
    "ReceiptStory",
    "RelatedStory",
    "SetStory",
    "Story",
    "exchange_ids_for",
    "mail_of",
    "message_ids_for",
    "message_story",
    "raw_bytes",
    "story",
]

LIMIT = 5_000  # groups, sets, findings, acknowledgments or events of one exchange that are read


class Story(Struct, frozen=True):
    """One exchange with all that belongs to it. ``findings`` are those of the interchange's own envelope.

    ``cut`` names the parts of which there are more than were read: groups, sets, findings, events …
    """

    exchange: ExchangeRow
    groups: tuple[GroupStory, ...]
    findings: tuple[FindingStory, ...]
    answered: tuple[AcknowledgmentStory, ...]  # what was said of it
    answering: tuple[AcknowledgmentStory, ...]  # what it said of others
    awaited: tuple[AwaitedStory, ...]
    receipts: tuple[ReceiptStory, ...]
    related: tuple[RelatedStory, ...]
    events: tuple[Event, ...]
    mail: MailStory | None = None
    payload: PayloadStory | None = None
    sets: int = 0  # how many transaction sets it has
    cut: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """For JSON: one document, times in ISO 8601."""
        told = {
            name: plain([asdict(each) for each in getattr(self, name)])
            for name in ("groups", "findings", "answered", "answering", "awaited", "receipts", "related")
        }
        for name, one in (("mail", self.mail), ("payload", self.payload)):
            told[name] = plain(asdict(one)) if one is not None else None
        told |= {"sets": self.sets, "cut": list(self.cut)}
        return self.exchange.as_dict() | told | {"events": [each.as_dict() for each in self.events]}


class MessageStory(Struct, frozen=True):
    """One mail, its parts that carry EDI, the exchanges that it led to, and what happened to the mail itself."""

    message: MessageRow
    exchanges: tuple[RelatedStory, ...]
    events: tuple[Event, ...]
    payloads: tuple[PayloadStory, ...] = ()
    cut: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON: one document, times in ISO 8601."""
        return self.message.as_dict() | {
            "payloads": plain([asdict(each) for each in self.payloads]),
            "exchanges": plain([asdict(each) for each in self.exchanges]),
            "events": [each.as_dict() for each in self.events],
            "cut": list(self.cut),
        }


def story(engine: Engine, number: int, limit: int | None = LIMIT) -> Story:
    """The story of an exchange.

    Args:
        engine: the ledger.
        number: the exchange's.
        limit: how many groups, sets, findings, acknowledgments and events are read; None: all of them.

    Raises:
        NotFound: there is no such exchange.
        DatabaseUnavailable: with the reason.
    """
    with reading(engine) as connection:
        return story_on(connection, number, limit)


def story_on(connection: Connection, number: int, limit: int | None = LIMIT) -> Story:
    """``story`` within a transaction that is open already."""
    bounds = parts.Bounds(connection, limit)
    row = parts.exchange_row_on(bounds, number)
    if row is None:
        raise NotFound(what="exchange", key=number)
    findings = parts.findings(bounds, number)
    groups, sets = parts.groups(bounds, number, findings)
    return Story(
        exchange=row,
        groups=groups,
        findings=findings.get((None, None), ()),
        answered=parts.acknowledgments_of(bounds, number),
        answering=parts.acknowledgments_in(bounds, number),
        awaited=parts.awaited(connection, number),
        receipts=parts.receipts(bounds, row),
        related=parts.related(bounds, row),
        events=parts.events(bounds, number, row.message),
        mail=parts.mail(connection, row.message),
        payload=parts.payload_of(connection, number),
        sets=sets,
        cut=tuple(bounds.cut),
    )


def message_story(engine: Engine, number: int, limit: int | None = LIMIT) -> MessageStory:
    """The story of a mail.

    Raises:
        NotFound: there is no such mail.
        DatabaseUnavailable: with the reason.
    """
    with reading(engine) as connection:
        return message_story_on(connection, number, limit)


def message_story_on(connection: Connection, number: int, limit: int | None = LIMIT) -> MessageStory:
    """``message_story`` within a transaction that is open already."""
    row = message_on(connection, number)
    if row is None:
        raise NotFound(what="message", key=f"m{number}")
    bounds = parts.Bounds(connection, limit)
    return MessageStory(
        row,
        tuple(parts.carried(bounds, number)),
        parts.events_of_mail(bounds, number),
        parts.payloads(bounds, number),
        tuple(bounds.cut),
    )


def raw_bytes(engine: Engine, sha256: str) -> bytes:
    """The kept bytes with that hash: an interchange or a whole mail.

    Raises:
        NotFound: they are not kept (any more).
    """
    with reading(engine) as connection:
        found = archive.read(connection, [sha256])
    if sha256 not in found:
        raise NotFound(what="content", key=sha256)
    return found[sha256]


def mail_of(engine: Engine, number: int) -> bytes:
    """The raw mail that carried an exchange.

    Raises:
        NotFound: there is no such exchange, or it has no mail.
    """
    with reading(engine) as connection:
        joined = message.join(exchange, exchange.c.message == message.c.id)
        name = connection.execute(select(message.c.sha256).select_from(joined).where(exchange.c.id == number)).scalar()
    if name is None:
        raise NotFound(what="mail of exchange", key=number)
    return raw_bytes(engine, name)
