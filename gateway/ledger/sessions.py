"""Sessions of the console: who signed in, from where, and until when that counts.

The number in the cookie is 256 random bits; only its SHA-256 is kept, so that who reads the database cannot come in.
"""

from __future__ import annotations

import hashlib
import secrets

from msgspec import Struct
from sqlalchemy import Connection, delete, insert, select, update

from gateway.ledger.user_tables import console_session, console_user

SEEN_EVERY = 60_000  # ms: a session's last use is kept no finer, so that looking around writes next to nothing
_AGENT = 200  # characters of what a browser says of itself


class Limits(Struct, frozen=True):
    """How long a session counts (ms): without use, and at most."""

    idle: int
    longest: int


class KnownSession(Struct, frozen=True):
    """One session with the role that its user has now; times are ms since 1970 UTC."""

    id: str
    user: str
    role: str
    csrf: str
    created_at: int
    seen_at: int
    address: str
    agent: str
    how: str


_COLUMNS = select(console_session, console_user.c.role).join(
    console_user, console_user.c.name == console_session.c.user
)


def begin(connection: Connection, user: str, now: int, *, address: str = "", agent: str = "", how: str = "") -> str:
    """A new session of a user; gives the number for the cookie."""
    number = secrets.token_urlsafe(32)
    connection.execute(
        insert(console_session).values(
            id=hashed(number),
            user=user,
            csrf=secrets.token_urlsafe(32),
            created_at=now,
            seen_at=now,
            address=address,
            agent=agent[:_AGENT],
            how=how,
        )
    )
    return number


def find(connection: Connection, number: str, now: int, limits: Limits) -> KnownSession | None:
    """The session whose cookie holds ``number``, while it counts and its user is let in."""
    s = console_session.c
    row = (
        connection.execute(
            _COLUMNS.where(
                s.id == hashed(number),
                s.seen_at > now - limits.idle,
                s.created_at > now - limits.longest,
                console_user.c.disabled_at.is_(None),
            )
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else KnownSession(**row)


def role_of(connection: Connection, id_: str) -> str | None:
    """The role that the user of a session has now, however old it is; None where it was ended, or they are disabled."""
    wanted = select(console_user.c.role).join(console_session, console_session.c.user == console_user.c.name)
    wanted = wanted.where(console_session.c.id == id_, console_user.c.disabled_at.is_(None))
    return connection.execute(wanted).scalar_one_or_none()


def of_user(connection: Connection, user: str, now: int, limits: Limits) -> list[KnownSession]:
    """The sessions of a user that count, the last used first."""
    s = console_session.c
    wanted = _COLUMNS.where(s.user == user, s.seen_at > now - limits.idle, s.created_at > now - limits.longest)
    return [KnownSession(**row) for row in connection.execute(wanted.order_by(s.seen_at.desc())).mappings()]


def touch(connection: Connection, id_: str, now: int) -> None:
    """Keeps that a session was used now."""
    connection.execute(update(console_session).where(console_session.c.id == id_).values(seen_at=now))


def end(connection: Connection, id_: str, user: str) -> bool:
    """Ends a session of that user; false where there is none."""
    s = console_session.c
    return bool(connection.execute(delete(console_session).where(s.id == id_, s.user == user)).rowcount)


def replace(connection: Connection, number: str) -> None:
    """Ends the session whose cookie holds ``number``, whosever it is: the browser gets another one."""
    connection.execute(delete(console_session).where(console_session.c.id == hashed(number)))


def end_all(connection: Connection, user: str, but: str = "") -> int:
    """Ends all sessions of a user, but that one; says how many there were."""
    s = console_session.c
    return int(connection.execute(delete(console_session).where(s.user == user, s.id != but)).rowcount)


def forget_old(connection: Connection, now: int, limits: Limits) -> None:
    """Removes what counts no more."""
    s = console_session.c
    connection.execute(
        delete(console_session).where((s.seen_at <= now - limits.idle) | (s.created_at <= now - limits.longest))
    )


def hashed(number: str) -> str:
    """What is kept of a number in a cookie."""
    return hashlib.sha256(number.encode(errors="surrogateescape")).hexdigest()
