"""What the ledger knows of mailboxes: which mails were seen there, are left there, or could not be taken."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Select, Update, bindparam, delete, func, select, update

from gateway.errors import GatewayError
from gateway.ledger import archive, bulk
from gateway.ledger.literals import whole, word
from gateway.ledger.mail_tables import SHA256_START
from gateway.ledger.recording import Ledger, Recorder
from gateway.ledger.tables import message, not_taken, sighting

_CHUNK = 500  # values in one question


class Sighted(Struct, frozen=True):
    """A mail that we took and left on its server: its bytes' name, its size as listed, since when it is known."""

    sha256: str
    size: int
    at: int


class NotTaken(Struct, frozen=True):
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
    asked = bulk.asked(
        connection, "mails by name", partial(_named, connection), {"names": bulk.listed(connection, names)}
    )
    return dict(asked)


def _named(connection: Connection) -> Select[Any]:
    mine = bulk.among(connection, message.c.sha256, "names"), message.c.direction == word("in")
    found = select(message.c.sha256, message.c.id).where(*mine)
    if connection.dialect.name != "sqlite":
        return found
    starts = func.json_each(bindparam("names")).table_valued("value")
    return found.where(SHA256_START.in_(select(func.substr(starts.c.value, whole(1), whole(12)))))


def head_of(connection: Connection, name: str, size: int) -> bytes:
    """The first bytes of kept content, ``size`` of them where there are so many and they fit one piece."""
    return archive.head(connection, name, size)


def mark_deleted(connection: Connection, mailbox: str, uids: Sequence[str]) -> None:
    """These UIDs are gone from the server, or stand for other mails there: they tell nothing any more."""
    if uids:
        gone = {"of": mailbox, "uids": bulk.listed(connection, uids)}
        bulk.write(connection, "mails that are gone", partial(_gone, connection), [gone])


def _gone(connection: Connection) -> Update:
    which = sighting.c.mailbox == bindparam("of"), bulk.among(connection, sighting.c.uid, "uids")
    return update(sighting).where(*which).values(state=word("deleted"))


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


def not_giving(connection: Connection) -> set[str]:
    """The mailboxes, by name, that did not give something which they list."""
    return set(connection.execute(select(not_taken.c.mailbox).distinct()).scalars())


def forget_not_taken(recorder: Recorder, mailbox: str) -> None:
    """Puts to rest what a mailbox did not give, because nobody looks there any more, and tells it."""
    gone = recorder.connection.execute(delete(not_taken).where(not_taken.c.mailbox == mailbox))
    recorder.event("mailbox-gone", mailbox=mailbox, mails=gone.rowcount)
