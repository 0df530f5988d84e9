"""API tokens: what programs show in the place of a sign-in. Only their SHA-256 is kept; each has scopes and an end.

A token is 256 random bits after a mark by which scanners for lost secrets know it, so a plain hash cannot be turned
back. Every change is an event; the name of a token is never given again, because the ledger tells by it who acted.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, insert, select, update

from gateway.errors import ApiTokenTaken, ApiTokenUnknown, UsageFault
from gateway.ledger.moments import iso
from gateway.ledger.recording import Recorder
from gateway.ledger.user_tables import api_token

MARK = "edigw_"
SCOPES: Mapping[str, str] = {
    "search": "find exchanges, tell their story, list documents; passwords of an ISA masked",
    "download": "raw bytes, the passwords of an ISA masked: interchanges, documents that came",
    "submit": "hand in documents for partners, and follow them",
    "act": "release, discard, accept, resend, redeliver, resolve, cancel, settle",
    "partners": "read profiles",
    "profiles": "change profiles",
    "report": "statements and counts",
    "metrics": "the figures for monitoring",
    "unmasked": "see ISA02 and ISA04 as they are; the ledger keeps each time",
}
USED_EVERY = 3_600_000  # ms: a token's last use is kept no finer
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class ApiToken(Struct, frozen=True):
    """One token, without what it is; times are ms since 1970 UTC. ``partner`` empty: all partners."""

    id: int
    name: str
    scopes: tuple[str, ...]
    partner: str
    created_at: int
    created_by: str
    expires_at: int | None
    used_at: int | None
    revoked_at: int | None
    revoked_by: str

    def trouble(self, now: int) -> str:
        """Why it counts no more; empty where it does."""
        if self.revoked_at is not None:
            return f"the token {self.name} was revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return f"the token {self.name} has expired"
        return ""

    def as_dict(self, now: int) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "scopes": list(self.scopes),
            "partner": self.partner,
            "good": not self.trouble(now),
            "created_at": iso(self.created_at),
            "created_by": self.created_by,
            "expires_at": iso(self.expires_at),
            "used_at": iso(self.used_at),
            "revoked_at": iso(self.revoked_at),
            "revoked_by": self.revoked_by,
        }


def add(recorder: Recorder, name: str, scopes: Iterable[str], *, partner: str = "", lasts: int | None = None) -> str:
    """Makes a token and gives it, this once.

    Args:
        recorder: the transaction; its actor makes it.
        name: small letters, digits, dots, hyphens and underscores.
        scopes: of ``SCOPES``, one at least.
        partner: the key of the only partner whose exchanges it sees.
        lasts: for how long it is good (ms); None: for ever.

    Raises:
        UsageFault: the name, a scope or the end cannot be.
        ApiTokenTaken: there is or was one of that name.
    """
    if not _NAME.fullmatch(name):
        raise UsageFault(reason="the name of a token has small letters, digits, dots, hyphens and underscores")
    asked = set(scopes)
    if not asked or not asked <= SCOPES.keys():
        raise UsageFault(reason=f"a token needs scopes, of {', '.join(SCOPES)}")
    if partner and asked & {"profiles", "metrics"}:
        raise UsageFault(reason="a token of one partner cannot change profiles or read the figures of all")
    if lasts is not None and lasts <= 0:
        raise UsageFault(reason="the token would have expired already")
    expires_at = None if lasts is None else recorder.now + lasts
    table = api_token.c
    if recorder.connection.execute(select(table.id).where(table.name == name)).first() is not None:
        raise ApiTokenTaken(name=name)
    ordered = " ".join(each for each in SCOPES if each in asked)
    token = MARK + secrets.token_urlsafe(32)
    recorder.connection.execute(
        insert(api_token).values(
            name=name,
            sha256=hashed(token),
            scopes=ordered,
            partner=partner,
            created_at=recorder.now,
            created_by=recorder.actor,
            expires_at=expires_at,
        )
    )
    recorder.event("token-added", partner=partner, name=name, scopes=ordered, until=iso(expires_at))
    return token


def every(connection: Connection) -> list[ApiToken]:
    """All tokens, by name, those that count no more too."""
    return [_token(row) for row in connection.execute(select(api_token).order_by(api_token.c.name))]


def find(connection: Connection, token: str) -> ApiToken | None:
    """What is known of a token that somebody shows; whether it still counts, its ``trouble`` says."""
    row = connection.execute(select(api_token).where(api_token.c.sha256 == hashed(token))).one_or_none()
    return None if row is None else _token(row)


def revoke(recorder: Recorder, name: str, reason: str = "") -> bool:
    """Ends a token for good; false where it was revoked before.

    Raises:
        ApiTokenUnknown
    """
    table = api_token.c
    row = recorder.connection.execute(select(api_token).where(table.name == name)).one_or_none()
    if row is None:
        raise ApiTokenUnknown(name=name)
    if row.revoked_at is not None:
        return False
    values = {"revoked_at": recorder.now, "revoked_by": recorder.actor}
    recorder.connection.execute(update(api_token).where(table.name == name).values(values))
    recorder.event("token-revoked", partner=row.partner, name=name, reason=reason)
    return True


def touch(connection: Connection, number: int, now: int) -> None:
    """Keeps that a token was used."""
    connection.execute(update(api_token).where(api_token.c.id == number).values(used_at=now))


def hashed(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def _token(row: Any) -> ApiToken:
    return ApiToken(
        row.id,
        row.name,
        tuple(row.scopes.split()),
        row.partner,
        row.created_at,
        row.created_by,
        row.expires_at,
        row.used_at,
        row.revoked_at,
        row.revoked_by,
    )
