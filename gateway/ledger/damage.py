"""Damage: what the disk did to the ledger, found by reading all of it. The seal is for what people do to it.

Every page of an SQLite file is looked at, every reference followed, and all kept bytes are hashed again: their name is
their SHA-256, so that one flipped bit has another name. What was put away in order, or erased by forgetting its key, is
no damage; what is gone in any other way is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Select, bindparam, exists, func, select, text
from sqlalchemy.exc import DBAPIError, NoResultFound

from gateway.errors import ConfigurationFault, ContentErased, GatewayError, PayloadKeyUnreadable
from gateway.ledger import archive, bulk, tables
from gateway.ledger.database import reading
from gateway.ledger.erasures import Erasures
from gateway.ledger.literals import whole
from gateway.ledger.payload_keys import vault_of
from gateway.ledger.retention_checks import unexplained

_AT_ONCE = 500  # names in memory
_BYTES = 4_000_000  # of small content in memory
_LOST = 100  # that are named one by one


def damage(engine: Engine) -> Iterator[str]:
    """What is damaged, a sentence each; nothing where all is whole. Reads everything: minutes for a big ledger.

    Raises:
        DatabaseUnavailable: so much is damaged that it cannot be read on.
    """
    with reading(engine) as connection:
        if engine.dialect.name == "sqlite":
            yield from _pages(connection)
        yield from contents(connection)
        yield from missing(connection)
        yield from unexplained(connection)


def count(connection: Connection) -> int:
    """How many kept bytes there are, each under its own hash."""
    return int(connection.execute(select(func.count()).select_from(tables.content)).scalar_one())


def _pages(connection: Connection) -> Iterator[str]:
    for (said,) in connection.execute(text("PRAGMA integrity_check")):
        if said != "ok":
            yield f"The database file: {said}"
    for row in connection.execute(text("PRAGMA foreign_key_check")):
        yield f"A row of {row[0]} points to a row of {row[2]} that is not there."


def contents(connection: Connection, is_erased: Callable[[str], bool] | None = None) -> Iterator[str]:
    """Which kept bytes do not have the hash that is their name, a sentence each.

    Args:
        connection: within a transaction.
        is_erased: whether what cannot be read by its name was erased in order; None: as the events here tell.

    Raises:
        PayloadKeyUnreadable, ConfigurationFault: some lie encrypted, and the home's key is not at hand or is another
            one; all others were looked at.
    """
    is_erased = is_erased or Erasures(connection).accept
    c = tables.content.c

    def following() -> Select[Any]:
        wanted = select(c.sha256, c.size, func.length(c.bytes)).where(c.sha256 > bindparam("after"))
        return wanted.order_by(c.sha256).limit(whole(_AT_ONCE)).offset(whole(0))

    after: Any = ""
    locked: GatewayError | None = None
    while True:
        rows = bulk.asked(connection, ("contents", _AT_ONCE), following, {"after": after})
        right = _whole_together(connection, rows)
        for name, size, _ in rows:
            if name in right:
                continue
            said = "are not what they were"
            try:
                if _is_whole(connection, name, size, is_erased):
                    continue
            except (PayloadKeyUnreadable, ConfigurationFault) as fault:
                if _has_key(connection, name) and not _opens_any(connection):
                    locked = fault
                    continue
                said = "are said to be encrypted, and no key opens them"
            yield f"The kept bytes {name} {said}{_owners(connection, name)}."
        if len(rows) < _AT_ONCE:
            break
        after = rows[-1][0]
    if locked is not None:
        raise locked


def _has_key(connection: Connection, name: str) -> bool:
    k = tables.content_key.c
    return connection.execute(select(k.key).where(k.sha256 == name).limit(1)).first() is not None


def _opens_any(connection: Connection) -> bool:
    """Whether the home's key is at hand, and is the one of this ledger."""
    vault = vault_of(connection)
    try:
        return vault is not None and vault.opens_any(connection)
    except ConfigurationFault:
        return False


def missing(connection: Connection) -> Iterator[str]:
    """Which bytes are named by a mail or exchange, and are neither kept nor put away in order; a sentence each."""
    kept, away = tables.content.c.sha256, tables.put_away.c.sha256
    for word, table in (("Mail m", tables.message), ("Exchange ", tables.exchange)):
        name = table.c.sha256
        lost = (
            select(table.c.id, name)
            .where(name != "", ~exists().where(kept == name), ~exists().where(away == name))
            .order_by(table.c.id)
            .limit(_LOST)
        )
        for row in connection.execute(lost):
            yield f"{word}{row.id} names the bytes {row.sha256}, which are missing."


def _whole_together(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> set[str]:
    """The names of those that lie in clear, in one value each, and have the hash and the size that their row tells.

    Of all others, and of those that nobody can read like that, nothing is said.
    """
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    sql = f"SELECT sha256, size, pieces, cipher, bytes FROM content WHERE sha256 BETWEEN {mark} AND {mark}"  # noqa: S608
    found: set[str] = set()
    for first, last in _together(rows):
        try:
            found.update(
                name
                for name, size, pieces, cipher, data in bulk.tuples(connection, sql, [first, last])
                if not pieces
                and not cipher
                and isinstance(data, bytes)
                and len(data) == size
                and hashlib.sha256(data).hexdigest() == name
            )
        except DBAPIError:  # SQLite, of bytes that are stored as a text
            if connection.dialect.name != "sqlite":
                raise
    return found


def _together(rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, str]]:
    """The first and the last name of rows that follow each other and together have a few bytes."""
    first, last, held = "", "", 0
    for name, _, size in rows:
        if not isinstance(name, str) or not isinstance(size, int):  # SQLite keeps any value
            continue
        held += size
        if first and held > _BYTES:
            yield first, last
            first, held = "", size
        first, last = first or name, name
    if first:
        yield first, last


def _is_whole(connection: Connection, name: Any, size: Any, is_erased: Callable[[str], bool]) -> bool:
    hashed, length = hashlib.sha256(), 0
    try:
        for piece in archive.pieces_of(connection, name):
            hashed.update(piece)
            length += len(piece)
    except ContentErased:
        return is_erased(name)
    except (NoResultFound, TypeError, ValueError):  # a piece is gone; a value is none that anybody writes
        return False
    return bool(hashed.hexdigest() == name and length == size)


def _owners(connection: Connection, name: str) -> str:
    """Whose bytes they are, for people."""
    found = [
        f"{word}{number}"
        for word, table in (("mail m", tables.message), ("exchange ", tables.exchange))
        for number in connection.execute(select(table.c.id).where(table.c.sha256 == name).limit(5)).scalars()
    ]
    return f" ({', '.join(found)})" if found else ""
