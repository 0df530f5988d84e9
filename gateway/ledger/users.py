"""Users of the console: who may come in, with which role. Every change is an event, told by its transaction.

A user comes in by a password that is kept here as a hash, or because an OpenID provider vouches for them; the latter
are bound to the provider's own number for them (issuer and subject), never to a name that may be given to another.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, delete, insert, select, update

from gateway.errors import UsageFault, UserTaken, UserUnknown, UserVouchedFor
from gateway.ledger import sessions
from gateway.ledger.moments import iso
from gateway.ledger.recording import Recorder
from gateway.ledger.user_tables import console_user

ROLES = ("viewer", "auditor", "operator", "administrator")
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}")
_OURS = frozenset({"gateway", "console", "serve", "worker"})  # the ledger names these itself


class KnownUser(Struct, frozen=True):
    """One user; times are ms since 1970 UTC. ``password`` is the encoded hash, never shown."""

    name: str
    role: str
    password: str
    issuer: str
    subject: str
    created_at: int
    created_by: str
    password_at: int | None
    signed_in_at: int | None
    disabled_at: int | None

    def __repr__(self) -> str:
        return f"KnownUser({self.name!r}, {self.role!r})"

    @property
    def way(self) -> str:
        """How they come in."""
        return "provider" if self.issuer else "password"

    def as_dict(self) -> dict[str, Any]:
        """For JSON, without the hash."""
        return {
            "name": self.name,
            "role": self.role,
            "disabled": self.disabled_at is not None,
            "comes_in_by": self.way,
            "issuer": self.issuer,
            "created_at": iso(self.created_at),
            "created_by": self.created_by,
            "password_at": iso(self.password_at),
            "signed_in_at": iso(self.signed_in_at),
            "disabled_at": iso(self.disabled_at),
        }


def checked_name(written: str) -> str:
    """A user's name as it is kept: in small letters.

    Raises:
        UsageFault: it cannot be one.
    """
    name = written.strip().lower()
    if not _NAME.fullmatch(name):
        raise UsageFault(reason="the name of a user has letters, digits and . _ @ + -, at most 100 of them")
    if name in _OURS:
        raise UsageFault(reason=f"{name} is what the ledger calls the gateway itself: choose another name")
    return name


def checked_role(role: str) -> str:
    """The role.

    Raises:
        UsageFault: there is none of that name.
    """
    if role not in ROLES:
        raise UsageFault(reason=f"a role is {', '.join(ROLES[:-1])} or {ROLES[-1]}")
    return role


# ---------------------------------------------------------------- looking


def every(connection: Connection) -> list[KnownUser]:
    """All users, by name."""
    rows = connection.execute(select(console_user).order_by(console_user.c.name)).mappings()
    return [KnownUser(**row) for row in rows]


def are_any(connection: Connection) -> bool:
    """Whether there is a user at all."""
    return connection.execute(select(console_user.c.name).limit(1)).first() is not None


def find(connection: Connection, name: str) -> KnownUser | None:
    """The user of that name."""
    return _one(connection, console_user.c.name == name)


def find_vouched(connection: Connection, issuer: str, subject: str) -> KnownUser | None:
    """The user whom a provider knows under that number."""
    return _one(connection, (console_user.c.issuer == issuer) & (console_user.c.subject == subject))


def wanted(connection: Connection, name: str) -> KnownUser:
    """The user of that name.

    Raises:
        UserUnknown: there is none.
    """
    found = find(connection, name)
    if found is None:
        raise UserUnknown(name=name)
    return found


# ---------------------------------------------------------------- changing


def add(
    recorder: Recorder, name: str, role: str, *, password: str = "", issuer: str = "", subject: str = ""
) -> KnownUser:
    """A new user.

    Args:
        recorder: the transaction; its actor adds.
        name: as ``checked_name`` gives it.
        role: one of ``ROLES``.
        password: encoded (see ``passwords``); empty for whom a provider vouches for.
        issuer: the provider.
        subject: the provider's number for the user.

    Raises:
        UsageFault: the name or role cannot be.
        UserTaken: there is a user of that name.
    """
    name, role = checked_name(name), checked_role(role)
    if find(recorder.connection, name) is not None:
        raise UserTaken(name=name)
    made = KnownUser(
        name,
        role,
        password,
        issuer,
        subject,
        recorder.now,
        recorder.actor,
        recorder.now if password else None,
        None,
        None,
    )
    row = {field: getattr(made, field) for field in KnownUser.__struct_fields__}
    recorder.connection.execute(insert(console_user).values(row))
    recorder.event("user-added", name=name, role=role, by_provider=issuer, subject=subject)
    return made


def set_role(recorder: Recorder, name: str, role: str) -> bool:
    """Gives a user another role; false where it is theirs already.

    Raises:
        UsageFault, UserUnknown
    """
    before = wanted(recorder.connection, name)
    if before.role == checked_role(role):
        return False
    _change(recorder, name, role=role)
    recorder.event("user-role", name=name, role=role, before=before.role)
    return True


def set_password(recorder: Recorder, name: str, password: str) -> int:
    """Gives a user another (encoded) password and ends their sessions; says how many.

    Raises:
        UserUnknown
        UserVouchedFor: a provider vouches for them.
    """
    found = wanted(recorder.connection, name)
    if found.issuer:
        raise UserVouchedFor(name=name, issuer=found.issuer)
    _change(recorder, name, password=password, password_at=recorder.now)
    ended = sessions.end_all(recorder.connection, name)
    recorder.event("user-password", name=name, sessions=ended)
    return ended


def renew_hash(connection: Connection, name: str, password: str) -> None:
    """Keeps the same password, encoded anew as newer libraries do."""
    connection.execute(update(console_user).where(console_user.c.name == name).values(password=password))


def disable(recorder: Recorder, name: str) -> bool:
    """Lets a user in no more, and ends their sessions; false where it was so before.

    Raises:
        UserUnknown
    """
    if wanted(recorder.connection, name).disabled_at is not None:
        return False
    _change(recorder, name, disabled_at=recorder.now)
    recorder.event("user-disabled", name=name, sessions=sessions.end_all(recorder.connection, name))
    return True


def enable(recorder: Recorder, name: str) -> bool:
    """Lets a user in again; false where it was so before.

    Raises:
        UserUnknown
    """
    if wanted(recorder.connection, name).disabled_at is None:
        return False
    _change(recorder, name, disabled_at=None)
    recorder.event("user-enabled", name=name)
    return True


def remove(recorder: Recorder, name: str) -> None:
    """Forgets a user and ends their sessions. What they did stays in the ledger under their name.

    Raises:
        UserUnknown
    """
    found = wanted(recorder.connection, name)
    sessions.end_all(recorder.connection, name)
    recorder.connection.execute(delete(console_user).where(console_user.c.name == name))
    recorder.event("user-removed", name=name, role=found.role)


def signed_in(recorder: Recorder, name: str) -> None:
    """Notes when a user came in last."""
    _change(recorder, name, signed_in_at=recorder.now)


def _change(recorder: Recorder, name: str, **values: Any) -> None:
    recorder.connection.execute(update(console_user).where(console_user.c.name == name).values(values))


def _one(connection: Connection, condition: Any) -> KnownUser | None:
    row = connection.execute(select(console_user).where(condition)).mappings().one_or_none()
    return None if row is None else KnownUser(**row)
