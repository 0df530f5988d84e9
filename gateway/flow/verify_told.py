"""What rules the gateway, held against what was told of it: profiles, certificates, users and tokens.

These tables are not digested. Whoever changes them through the gateway makes an event of it, though, and events are
in the tree: played again in their order they come to what the tables must hold.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, text

from gateway.ledger.changes import told_revisions
from gateway.ledger.moments import milliseconds
from gateway.ledger.storable import clean
from gateway.ledger.tables import CONFIGURATION, api_token, console_user, event
from gateway.ledger.verify import Difference
from partners.tables import partner_certificate, profile_revision

Rows = dict[Any, dict[str, Any]]  # by their key, what is told of each column


def profiles(connection: Connection) -> Iterator[Difference]:
    """Every revision of a profile must have been told of, and be the text and the facts that were told."""
    told = told_revisions(connection)
    p = profile_revision.c
    for row in connection.execute(select(profile_revision).order_by(p.partner, p.revision)).mappings():
        what = f"evision {row['revision']} of the profile of {row['partner']}"
        reference = f"{row['partner']} {row['revision']}"
        facts = told.pop((row["partner"], row["revision"]), None)
        sha256 = hashlib.sha256(_bytes(row["profile"])).hexdigest()
        if facts is None:
            yield Difference("profile", reference, f"R{what} was put in past the gateway: no event tells of it.")
        elif sha256 != facts.get("sha256", sha256):
            yield Difference("profile", reference, f"R{what} is not what was applied.")
        elif names := _other(dict(row), {**facts, "sha256": sha256}):
            yield Difference("profile", reference, f"R{what} is not what was told of it ({names}).")
    for partner, revision in told:
        said = f"Revision {revision} of the profile of {partner} was applied, and is missing."
        yield Difference("profile", f"{partner} {revision}", said)


def people(connection: Connection) -> Iterator[Difference]:
    """Users of the console, API tokens and certificates of partners must be what the events come to."""
    for what, table, key, told in (
        ("User", console_user, ("name",), _users(connection)),
        ("API token", api_token, ("name",), _tokens(connection)),
        ("Certificate", partner_certificate, ("partner", "fingerprint"), _certificates(connection)),
    ):
        for row in connection.execute(select(table).order_by(*(table.c[name] for name in key))).mappings():
            name = tuple(row[each] for each in key)
            yield from _compared(what, name, dict(row), told.pop(name, None))
        for name in told:
            yield _difference(what, name, "was taken away past the gateway: no event tells of that")


def _compared(
    what: str, name: Sequence[Any], row: Mapping[str, Any], facts: Mapping[str, Any] | None
) -> Iterator[Difference]:
    if facts is None:
        yield _difference(what, name, "was put in past the gateway: no event tells of it")
    elif names := _other(row, facts):
        yield _difference(what, name, f"is not what was told of it ({names})")
    elif "certificate" in row and hashlib.sha256(_bytes(row["certificate"])).hexdigest() != row["fingerprint"]:
        yield _difference(what, name, "is not the one of that fingerprint")


def _difference(what: str, name: Sequence[Any], said: str) -> Difference:
    shown = f"{name[1]} of {name[0]}" if len(name) > 1 else name[0]
    return Difference("configuration", f"{what.lower()} {shown}", f"{what} {shown} {said}.")


def _other(row: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """The columns that hold something else than was told, for people; empty where there are none."""
    return ", ".join(name for name, told in facts.items() if _plain(row[name]) != told)


def _plain(value: Any) -> Any:
    """A value as it would stand in an event."""
    return clean(value) if isinstance(value, str) else value


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    return str(value).encode(errors="backslashreplace")


# ---------------------------------------------------------------- what the events come to


def _events(connection: Connection, kinds: Iterable[str]) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    e = event.c
    wanted = select(e.kind, e.at, e.actor, e.partner, e.body).where(text(CONFIGURATION), e.kind.in_(list(kinds)))
    for row in connection.execute(wanted.order_by(e.seq)):
        yield row, json.loads(row.body)


_USERS = ("user-added", "user-role", "user-password", "user-disabled", "user-enabled", "user-removed")


def _users(connection: Connection) -> Rows:
    found: Rows = {}
    for row, body in _events(connection, _USERS):
        name = (body["name"],)
        if row.kind == "user-added":
            issuer = body["by_provider"]
            found[name] = {
                "role": body["role"],
                "issuer": issuer,
                **({"subject": body["subject"]} if "subject" in body else {}),  # which older events do not tell
                "created_at": row.at,
                "created_by": row.actor,
                "password_at": None if issuer else row.at,
                "disabled_at": None,
            }
        elif row.kind == "user-removed":
            found.pop(name, None)
        else:
            column, value = {
                "user-role": ("role", body.get("role")),
                "user-password": ("password_at", row.at),
                "user-disabled": ("disabled_at", row.at),
                "user-enabled": ("disabled_at", None),
            }[row.kind]
            found.setdefault(name, {})[column] = value
    return found


def _tokens(connection: Connection) -> Rows:
    found: Rows = {}
    for row, body in _events(connection, ("token-added", "token-revoked")):
        name = (body["name"],)
        if row.kind == "token-added":
            until = body.get("until")
            found[name] = {
                "scopes": body["scopes"],
                "partner": row.partner,
                "created_at": row.at,
                "created_by": row.actor,
                "expires_at": milliseconds(datetime.fromisoformat(until)) if until else None,
                "revoked_at": None,
                "revoked_by": "",
            }
        else:
            found.setdefault(name, {}).update(revoked_at=row.at, revoked_by=row.actor)
    return found


_CERTIFICATES = {
    "certificate-added": "pending",
    "certificate-trusted": "trusted",
    "certificate-retired": "retired",
}


def _certificates(connection: Connection) -> Rows:
    found: Rows = {}
    for row, body in _events(connection, _CERTIFICATES):
        facts = found.setdefault((row.partner, body["fingerprint"]), {})
        facts["state"] = _CERTIFICATES[row.kind]
        if row.kind == "certificate-added":
            facts |= {"added_at": row.at, "added_by": row.actor, "source": body.get("source", "")}
            facts |= {"decided_at": None, "decided_by": ""}
        else:
            facts |= {"decided_at": row.at, "decided_by": row.actor}
    return found
