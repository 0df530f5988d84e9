"""The life of payload keys: made before they are needed, emptied when their day is over, forgotten on a person's word.

See ``payload_keys`` for what they are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Engine, Row, func, select, text, update
from sqlalchemy.exc import DBAPIError

from gateway.errors import NotFound
from gateway.ledger import payload_keys
from gateway.ledger.database import guarded
from gateway.ledger.erasures import FORGOTTEN, fingerprints
from gateway.ledger.mailboxes import messages_of
from gateway.ledger.payload_keys import PARTNER, TRANSIT, vault_of
from gateway.ledger.recording import Ledger, Recorder
from gateway.ledger.tables import content_key, message, payload_key

RESTING = 2 * 86_400_000  # ms after its day in which a key in transit may still be used by a slow transaction
_AT_ONCE = 500
# PostgreSQL keeps a row's earlier state as long as anybody's snapshot is older than the change.
_SEEN = """
SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
AND age(backend_xmin) >= (SELECT min(age(xmin)) FROM payload_key WHERE token IS NULL) LIMIT 1
"""


def ready(ledger: Ledger, encrypting: Collection[str]) -> None:
    """Makes the key for what comes today, where any partner wants its bytes encrypted, before anything comes.

    Raises:
        PayloadKeyUnreadable: the home has no key.
    """
    today = payload_keys.period_of(TRANSIT, ledger.clock())
    with ledger.reading() as connection:
        newest = payload_keys.live(connection, TRANSIT)
        vault = vault_of(connection)
    if not encrypting or vault is None or (newest is not None and newest.period == today):
        return
    with ledger.transaction() as recorder:
        key = payload_keys.make(recorder.connection, vault, TRANSIT, "", recorder.now)
        recorder.touch(payload_key, [key.id])


def empty_transit(ledger: Ledger) -> int:
    """What still lies under the keys of earlier days goes to its owners; then those keys are forgotten.

    Returns:
        How many keys went.
    """
    with ledger.reading() as connection:
        over = [row.id for row in _over(connection, ledger.clock())]
    gone = 0
    for key in over:
        while _entrust_some(ledger, key):
            pass
        with ledger.transaction() as recorder:
            gone += _forget_empty(recorder, key)
    if over:
        wipe(ledger.engine)
    return gone


def _over(connection: Connection, now: int) -> list[Row[Any]]:
    k = payload_key.c
    newest = payload_keys.live(connection, TRANSIT)
    wanted = select(k.id).where(k.scope == TRANSIT, k.token.is_not(None), k.created_at < now - RESTING)
    return [row for row in connection.execute(wanted) if newest is not None and row.id != newest.id]


def _entrust_some(ledger: Ledger, key: int) -> int:
    with ledger.transaction() as recorder:
        wanted = select(content_key.c.sha256).where(content_key.c.key == key).limit(_AT_ONCE)
        names = list(recorder.connection.execute(wanted).scalars())
        known = messages_of(recorder.connection, names)
        rows = recorder.connection.execute(
            select(message.c.sha256, message.c.partner).where(message.c.id.in_(known.values()))
        )
        owners = {row.sha256: row.partner for row in rows}
        for name in names:
            recorder.entrust(name, owners.get(name, ""))
    return len(names)


def _forget_empty(recorder: Recorder, key: int) -> bool:
    """A key that nothing lies under any more. Locked first: whoever is about to use it has committed by then."""
    k = payload_key.c
    recorder.connection.execute(select(k.id).where(k.id == key).with_for_update())
    used = recorder.connection.execute(select(content_key.c.sha256).where(content_key.c.key == key).limit(1)).first()
    if used is not None:
        return False
    gone = {"token": None, "forgotten_at": recorder.now, "reason": "nothing lies under it any more"}
    recorder.connection.execute(update(payload_key).where(k.id == key).values(gone))
    recorder.touch(payload_key, [key])
    return True


# ---------------------------------------------------------------- forgetting


class Month(Struct, frozen=True):
    """A partner's key of one month that is at hand, and how many contents lie under it and under no other key."""

    key: int
    period: str
    contents: int

    @property
    def number(self) -> tuple[int, int]:
        """Its year and month."""
        year, month = map(int, self.period.split("-"))
        return year, month

    @property
    def moments(self) -> tuple[int, int]:
        """When it begins and when the next one does, ms since 1970 UTC."""
        year, month = self.number
        following = (year + month // 12, month % 12 + 1)
        return _start(year, month), _start(*following)


def _start(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp() * 1000)


def months(connection: Connection, partner: str, before: tuple[int, int] | None = None) -> list[Month]:
    """A partner's keys that are at hand, the oldest first.

    Args:
        connection: within a transaction.
        partner: whose.
        before: only of months before this (year, month).

    Raises:
        NotFound: the partner never had one.
    """
    k, c = payload_key.c, content_key.c
    mine = (k.scope == PARTNER, k.partner == partner)
    if connection.execute(select(k.id).where(*mine).limit(1)).first() is None:
        raise NotFound(what="payload key of", key=partner)
    counted = select(func.count()).where(c.key == k.id).scalar_subquery()
    rows = connection.execute(
        select(k.id, k.period, counted).where(*mine, k.token.is_not(None)).order_by(k.period, k.id)
    )
    found = [Month(*row) for row in rows]
    return [each for each in found if before is None or each.number < before]


def forget(recorder: Recorder, partner: str, month: Month, reason: str) -> None:
    """Forgets one key: what lies under it alone can never be read again. The transaction's actor did it."""
    gone = {"token": None, "forgotten_at": recorder.now, "forgotten_by": recorder.actor, "reason": reason}
    recorder.connection.execute(update(payload_key).where(payload_key.c.id == month.key).values(gone))
    recorder.touch(payload_key, [month.key])
    recorder.event(
        FORGOTTEN,
        partner=partner,
        key=month.key,
        period=month.period,
        contents=month.contents,
        fingerprints=fingerprints(sealed_by(recorder.connection, month.key)),
        reason=reason,
    )


def wipe(engine: Engine) -> bool:
    """What was just removed leaves the database's files too, as far as the database can see to that.

    SQLite overwrites what it frees (see ``thorough``); here its write-ahead log is emptied. PostgreSQL writes the small
    table of keys anew; other rows it overwrites in time.

    Returns:
        False where somebody is at work on it, or reads an older state: then it is done the next time.

    Raises:
        DatabaseUnavailable: with the reason.
    """
    with guarded(engine), engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            return _emptied(connection)
        with suppress(Exception):
            options = connection.execution_options(isolation_level="AUTOCOMMIT")
            options.execute(text("SET lock_timeout = '2s'"))
            options.execute(text("VACUUM FULL payload_key"))
            return options.execute(text(_SEEN)).first() is None
    return False


def _emptied(connection: Connection) -> bool:
    """Whether SQLite's write-ahead log is empty now; it waits for readers as long as for a writer."""
    driver: Any = connection.connection.driver_connection
    try:
        ((busy, _, _),) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error as problem:
        raise DBAPIError("PRAGMA wal_checkpoint", None, problem) from problem
    return not busy


def thorough(connection: Connection) -> None:
    """What this transaction removes is overwritten: nothing of it stays in pages that are free."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")


def sealed_by(connection: Connection, key: int) -> Iterator[str]:
    """The names of the contents that lie under a key."""
    yield from connection.execute(select(content_key.c.sha256).where(content_key.c.key == key)).scalars()
