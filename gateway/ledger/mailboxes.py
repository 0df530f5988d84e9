"""What the ledger knows of mailboxes: which mails were seen there, are left there, or could not be taken."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from gateway.errors import GatewayError
from gateway.ledger import archive
from gateway.ledger.recording import Ledger
from gateway.ledger.tables import message, not_taken, sighting

_CHUNK = 500  # values in one question


@dataclass(frozen=True, slots=True)
class Sighted:
    """A mail that we took and left on its server: its bytes' name, its size as listed, since when it is known."""

    sha256: str
    size: int
    at: int


@dataclass(frozen=True, slots=True)
class NotTaken:
    """A mail that a mailbox lists and that we do not have, and why."""

    uid: str
    size: int
    fault: GatewayError


def left_on_server(connection: Connection, mailbox: str) -> dict[str, list[Sighted]]:
    """The mails of a mailbox that we took and, as far as we know, are still on its server, by UID."""
    found: dict[str, list[Sighted]] = defaultdict(list)
    columns = (sighting.c.uid, sighting.c.sha256, sighting.c.size, sighting.c.at)
    for row in connection.execute(select(*columns).where(sighting.c.mailbox == mailbox, sighting.c.state == "stored")):
        found[row.uid].append(Sighted(row.sha256, row.size, row.at))
    return dict(found)


def messages_of(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """Received messages by the SHA-256 of their raw bytes."""
    rows = connection.execute(
        select(message.c.sha256, message.c.id).where(message.c.sha256.in_(names), message.c.direction == "in")
    )
    return {row.sha256: row.id for row in rows}


def head_of(connection: Connection, name: str, size: int) -> bytes:
    """The first bytes of kept content, ``size`` of them where there are so many and they fit one piece."""
    return archive.head(connection, name, size)


def mark_deleted(connection: Connection, mailbox: str, uids: Sequence[str]) -> None:
    """These UIDs are gone from the server, or stand for other mails there: they tell nothing any more."""
    for at in range(0, len(uids), _CHUNK):
        connection.execute(
            update(sighting)
            .where(sighting.c.mailbox == mailbox, sighting.c.uid.in_(uids[at : at + _CHUNK]))
            .values(state="deleted")
        )


def note_not_taken(ledger: Ledger, mailbox: str, refused: Sequence[NotTaken], *, finished: bool) -> None:
    """Writes down what could not be taken; what is new tells an event.

    Args:
        ledger: where.
        mailbox: whose.
        refused: what was not taken.
        finished: it is all there is, so that what was noted before and is not among it has been settled.
    """
    now = {each.uid: each for each in refused}
    with ledger.reading() as connection:
        before = set(connection.execute(select(not_taken.c.uid).where(not_taken.c.mailbox == mailbox)).scalars())
    settled = sorted(before - now.keys()) if finished else []
    fresh = [each for uid, each in now.items() if uid not in before]
    if not settled and not fresh:
        return
    with ledger.transaction() as recorder:
        for at in range(0, len(settled), _CHUNK):
            recorder.connection.execute(
                delete(not_taken).where(not_taken.c.mailbox == mailbox, not_taken.c.uid.in_(settled[at : at + _CHUNK]))
            )
        for each in fresh:
            row = {"mailbox": mailbox, "uid": each.uid, "size": each.size, "at": recorder.now}
            told = json.dumps(each.fault.as_dict(), ensure_ascii=False, sort_keys=True)
            recorder.connection.execute(not_taken.insert(), row | {"fault_code": each.fault.code, "fault": told})
            recorder.event("not-taken", mailbox=mailbox, uid=each.uid, size=each.size, reason=str(each.fault))
