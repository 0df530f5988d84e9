"""Encrypting what a partner's bytes and findings were before anybody wanted them encrypted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from gateway.ledger.at_rest import AtRest, encrypted_text, looks_encrypted
from gateway.ledger.key_life import thorough
from gateway.ledger.payload_keys import PARTNER
from gateway.ledger.recording import Recorder
from gateway.ledger.retention_purge import users_of
from gateway.ledger.retention_units import Judge, Unit, ask
from gateway.ledger.tables import content, finding


def in_clear(connection: Connection, units: Iterable[Unit]) -> dict[str, Unit]:
    """The bytes of some units that lie in clear, each with a unit that they belong to."""
    mine = {name: unit for unit in units for name in unit.names}
    wanted = select(content.c.sha256).where(content.c.cipher == "")
    return {row.sha256: mine[row.sha256] for row in ask(connection, wanted, content.c.sha256, list(mine))}


def encrypt(recorder: Recorder, judge: Judge, partner: str, units: Iterable[Unit]) -> int:
    """Writes the bytes and the values in findings of some units of a partner anew, under its keys of their months.

    Returns:
        How many contents that were.
    """
    at_rest, units = recorder.at_rest, list(units)
    if at_rest is None:
        return 0
    thorough(recorder.connection)
    names = in_clear(recorder.connection, units)
    for name, unit in names.items():
        at_rest.encrypt(name, at_rest.of(PARTNER, partner, unit.at))
    _share(recorder, at_rest, judge, partner, names)
    _findings(recorder, at_rest, partner, units)
    return len(names)


def _share(recorder: Recorder, at_rest: AtRest, judge: Judge, partner: str, names: Mapping[str, Unit]) -> None:
    """Who has the same bytes can read them whatever becomes of the partner's key."""
    users = users_of(recorder.connection, names)
    others = judge.units({key for keys in users.values() for key in keys})
    for name, keys in users.items():
        for owner in {others[key].partner for key in keys if key in others} - {partner}:
            at_rest.share(name, owner)


def _findings(recorder: Recorder, at_rest: AtRest, partner: str, units: Iterable[Unit]) -> None:
    at = {number: unit.at for unit in units for number in unit.exchanges}
    f = finding.c
    wanted = select(f.id, f.exchange, f.value, f.message).where(f.value != "")
    rows = [row for row in ask(recorder.connection, wanted, f.exchange, list(at)) if not looks_encrypted(row.value)]
    changed = []
    for row in rows:
        key = at_rest.of(PARTNER, partner, at[row.exchange])
        encrypted = {"value": encrypted_text(row.value, key), "message": encrypted_text(row.message, key)}
        changed.append({"the_id": row.id, **{f"encrypted_{name}": text for name, text in encrypted.items()}})
    if changed:
        new: dict[str, Any] = {name: bindparam(f"encrypted_{name}") for name in ("value", "message")}
        recorder.connection.execute(update(finding).where(f.id == bindparam("the_id")).values(new), changed)
        recorder.touch(finding, sorted({row.exchange for row in rows}))
