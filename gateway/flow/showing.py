"""Showing: the raw bytes of interchanges and mails, with the passwords of the ISA masked unless a person asks for them.

Who sees ISA02 and ISA04 as they are is history: the event is committed before the first byte is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Table, select

from gateway.errors import MessageFault, NotFound, UsageFault
from gateway.ledger import archive, tables
from gateway.ledger.recording import Ledger
from gateway.ledger.references import answer_ids_for
from gateway.mail.letters import open_letter
from gateway.settings.model import Limits
from gateway.x12.masking import holds_secret, masked

_HEAD = 1_000  # bytes of an interchange that hold its ISA
_CHUNK = 200


def record(ledger: Ledger, what: str, *, exchange: int | None = None, message: int | None = None) -> None:
    """Tells that somebody sees something unmasked. ``what``: the interchange, its segments, a document, the mail."""
    x, m = tables.exchange.c, tables.message.c
    wanted = (
        select(x.partner).where(x.id == exchange) if exchange is not None else select(m.partner).where(m.id == message)
    )
    with ledger.transaction() as recorder:
        partner = recorder.connection.execute(wanted).scalar()
        if partner is None:
            raise NotFound(what="exchange" if exchange is not None else "message", key=exchange or f"m{message}")
        recorder.event("shown-unmasked", exchange=exchange, message=message, partner=partner, what=what)


def interchange_bytes(ledger: Ledger, number: int, *, unmasked: bool = False) -> Iterator[bytes]:
    """The raw bytes of an exchange, a piece at a time.

    Args:
        ledger: where it is.
        number: the exchange's.
        unmasked: as they are; recorded with who.

    Raises:
        NotFound: there is no such exchange, or its bytes were never kept.
        ContentPutAway, ContentErased, PayloadKeyUnreadable: they cannot be had any more, or not here.
    """
    sha256 = _name(ledger, tables.exchange, number, "exchange")
    if unmasked:
        record(ledger, "the interchange", exchange=number)
    return _pieces(ledger, sha256, unmasked=unmasked)


def answer_bytes(ledger: Ledger, number: int, *, unmasked: bool = False) -> Iterator[bytes]:
    """The raw bytes of the acknowledgments of an exchange, one interchange after the other, oldest first.

    Raises:
        NotFound: nothing acknowledges it.
    """
    answers = answer_ids_for(ledger.engine, number)
    if not answers:
        raise NotFound(what="acknowledgment of exchange", key=number)
    return (piece for each in answers for piece in interchange_bytes(ledger, each, unmasked=unmasked))


def mail_bytes(ledger: Ledger, message: int, limits: Limits, *, unmasked: bool = False) -> Iterator[bytes]:
    """The raw bytes of a mail, a piece at a time.

    A mail is shown as it is or not at all: what is encoded in it cannot be masked.

    Raises:
        NotFound: there is no such mail, or its bytes were never kept.
        UsageFault: an ISA in it holds a password.
    """
    sha256 = _name(ledger, tables.message, message, "message")
    if unmasked:
        record(ledger, "the mail", message=message)
    elif _mail_holds_secret(ledger, message, sha256, limits):
        raise UsageFault(
            reason=f"an interchange in mail m{message} holds a password (ISA02, ISA04), which cannot be masked inside "
            "a mail: --raw shows the interchange without it; --unmasked shows the mail, and the ledger keeps who did"
        )
    return _pieces(ledger, sha256, unmasked=True)


def message_of(ledger: Ledger, number: int) -> int:
    """The mail of an exchange.

    Raises:
        NotFound: there is no such exchange, or it has no mail.
    """
    with ledger.reading() as connection:
        x = tables.exchange.c
        found: int | None = connection.execute(select(x.message).where(x.id == number)).scalar()
    if found is None:
        raise NotFound(what="mail of exchange", key=number)
    return found


def _name(ledger: Ledger, table: Table, number: int, what: str) -> str:
    with ledger.reading() as connection:
        found: str | None = connection.execute(select(table.c.sha256).where(table.c.id == number)).scalar()
    if found is None:
        raise NotFound(what=what, key=f"m{number}" if what == "message" else number)
    return found


def _pieces(ledger: Ledger, sha256: str, *, unmasked: bool) -> Iterator[bytes]:
    empty = True
    for piece in ledger.pieces(sha256):
        yield piece if unmasked or not empty else masked(piece)
        empty = False
    if empty:
        raise NotFound(what="content", key=sha256)


def _mail_holds_secret(ledger: Ledger, message: int, sha256: str, limits: Limits) -> bool:
    """Whether an interchange of the mail holds a password, as far as the mail can be opened."""
    x = tables.exchange.c
    with ledger.reading() as connection:
        names: Sequence[str] = (
            connection.execute(select(x.sha256).where(x.message == message).order_by(x.id).limit(_CHUNK))
            .scalars()
            .all()
        )
        if any(holds_secret(archive.head(connection, name, _HEAD)) for name in names):
            return True
    raw = b"".join(ledger.pieces(sha256))
    try:
        parts = open_letter(raw, limits).parts
    except MessageFault:
        return holds_secret(raw)
    return holds_secret(raw) or any(holds_secret(part.data) for part in parts)
