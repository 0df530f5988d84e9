"""Who looks at the console, and what they may do there."""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

from msgspec import Struct
from starlette.requests import Request


class Role(IntEnum):
    """What somebody may do; each may also do what those before it may.

    VIEWER reads what is masked and downloads nothing raw. AUDITOR reads everything, raw bytes and exports too, and
    changes nothing. OPERATOR also acts: release, resend, settle, submit, send tests. ADMINISTRATOR also changes
    profiles, users, tokens and seals.
    """

    VIEWER = 1
    AUDITOR = 2
    OPERATOR = 3
    ADMINISTRATOR = 4

    @property
    def word(self) -> str:
        """As people write it."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> Role:
        """From the word."""
        return cls[word.upper()]


class User(Struct, frozen=True):
    """Somebody who came in. ``name`` is what the ledger keeps with each act."""

    name: str
    role: Role


class Session(Struct, frozen=True):
    """One sign-in. ``csrf`` is the secret that every form of it carries; ``id`` names it in the ledger's database."""

    user: User
    csrf: str
    id: str = ""


class People(Protocol):
    """Tells who asks."""

    def session(self, request: Request) -> Session | None:
        """Whose session the request belongs to; None where nobody signed in."""
        ...

    def may_still(self, session: Session, role: Role) -> bool:
        """Whether that session was not ended since, and its user has at least ``role`` still."""
        ...


class Somebody(Struct, frozen=True):
    """Everybody is one and the same: what tests of pages use."""

    user: User
    csrf: str = "form-secret-of-somebody"

    def session(self, request: Request) -> Session | None:
        """Always the same."""
        del request
        return Session(self.user, self.csrf)

    def may_still(self, session: Session, role: Role) -> bool:
        """As ever."""
        return session.user.role >= role
