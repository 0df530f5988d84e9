"""Changes of the configuration: events that belong to no exchange and no mail, found by an index of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Select, func, select, text

from gateway.ledger.database import reading
from gateway.ledger.events import Event, event_of
from gateway.ledger.tables import CONFIGURATION, event

# What people change, or what was found changed: everything else of this index is the work of batches.
KINDS: Sequence[str] = (
    *("settings-seen", "settings-changed", "profile-applied", "profile-noticed", "partner-status"),
    "numbers-started",
    "numbers-left",
    *("certificate-added", "certificate-trusted", "certificate-retired"),
    *("key-added", "key-exported", "key-retired", "secret-set", "secret-removed", "authorized"),
    *("user-added", "user-role", "user-password", "user-disabled", "user-enabled", "user-removed"),
    *("token-added", "token-revoked"),
    *("restore-accepted", "numbers-jumped", "numbers-reset", "number-explained", "expected-settled"),
)
SETTINGS = ("settings-seen", "settings-changed")
_PROFILES = ("profile-applied", "partner-status", "profile-noticed")


def changes(
    engine: Engine,
    *,
    partner: str | None = None,
    kinds: Sequence[str] = KINDS,
    limit: int = 50,
    before: int | None = None,
) -> list[Event]:
    """Who changed what about the gateway itself, newest first.

    Args:
        engine: the ledger.
        partner: the key of the partner that it is about; None: all.
        kinds: the kinds of events that are wanted.
        limit: at most so many.
        before: only what happened before this event (its ``seq``), for the next page.

    Raises:
        DatabaseUnavailable: with the reason.
    """
    wanted = _of_kinds(kinds).order_by(event.c.seq.desc()).limit(limit)
    if partner is not None:
        wanted = wanted.where(event.c.partner == partner)
    if before is not None:
        wanted = wanted.where(event.c.seq < before)
    with reading(engine) as connection:
        return [event_of(dict(row)) for row in connection.execute(wanted).mappings()]


def last_of(connection: Connection, kinds: Sequence[str], limit: int) -> list[Mapping[str, Any]]:
    """The bodies of the newest events of some kinds, newest first."""
    wanted = select(event.c.body).where(text(CONFIGURATION), event.c.kind.in_(kinds))
    rows = connection.execute(wanted.order_by(event.c.seq.desc()).limit(limit)).scalars()
    return [json.loads(body) for body in rows]


def told_revisions(connection: Connection) -> dict[tuple[str, int], Mapping[str, Any]]:
    """The revisions of profiles that were told of, and what of their rows, by column; older events tell less."""
    e = event.c
    wanted = select(e.kind, e.at, e.actor, e.partner, e.body).where(text(CONFIGURATION), e.kind.in_(_PROFILES))
    found: dict[tuple[str, int], Mapping[str, Any]] = {}
    for row in connection.execute(wanted.order_by(e.seq)):
        body = json.loads(row.body)
        if "revision" not in body:
            continue
        facts = {name: body[name] for name in ("sha256", "status", "file", "by") if body.get(name) is not None}
        if row.kind == "profile-noticed":
            facts["at"] = body.get("applied_at")
        else:
            facts = {"file": ""} | facts | {"at": row.at, "by": row.actor}
        place = (row.partner or body.get("partner", ""), body["revision"])
        found[place] = {**found.get(place, {}), **facts}
    return found


def count_told(connection: Connection) -> int:
    """How many events tell of a revision of a profile; counted in the index."""
    wanted = select(func.count()).select_from(event).where(text(CONFIGURATION), event.c.kind.in_(_PROFILES))
    return connection.execute(wanted).scalar_one()


def _of_kinds(kinds: Sequence[str]) -> Select[Any]:
    return select(event).where(text(CONFIGURATION), event.c.kind.in_(kinds))
