"""Encrypting what was kept of a partner before anybody wanted that: bytes, and what quotes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from gateway.ledger.at_rest import AtRest, encrypted_text, looks_encrypted
from gateway.ledger.key_life import thorough
from gateway.ledger.payload_keys import PARTNER, PayloadKey
from gateway.ledger.recording import Recorder
from gateway.ledger.retention_purge import users_of
from gateway.ledger.retention_units import Judge, Unit, ask
from gateway.ledger.tables import acknowledgment, content, finding


def in_clear(connection: Connection, units: Iterable[Unit]) -> dict[str, Unit]:
    """The bytes of some units that lie in clear, each with a unit that they belong to."""
    mine = {name: unit for unit in units for name in unit.names}
    wanted = select(content.c.sha256).where(content.c.cipher == "")
    return {row.sha256: mine[row.sha256] for row in ask(connection, wanted, content.c.sha256, list(mine))}


def encrypt(recorder: Recorder, judge: Judge, partner: str, units: Iterable[Unit]) -> int:
    """Writes bytes and sentences about some units of a partner anew, under its keys of their months.

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
    _words_of_partners(recorder, at_rest, partner, units)
    return len(names)


def _share(recorder: Recorder, at_rest: AtRest, judge: Judge, partner: str, names: Mapping[str, Unit]) -> None:
    """Who has the same bytes can read them whatever becomes of the partner's key."""
    users = users_of(recorder.connection, names)
    others = judge.units({key for keys in users.values() for key in keys})
    for name, keys in users.items():
        for owner in {others[key].partner for key in keys if key in others} - {partner}:
            at_rest.share(name, owner)


def _findings(recorder: Recorder, at_rest: AtRest, partner: str, units: Iterable[Unit]) -> None:
    """Values and sentences of findings: both lie in clear, or only the sentence, or neither."""
    at = {number: unit.at for unit in units for number in unit.exchanges}
    f = finding.c
    rows = ask(recorder.connection, select(f.id, f.exchange, f.value, f.message), f.exchange, list(at))
    rows = [row for row in rows if not looks_encrypted(row.message or row.value)]
    changed = []
    for row in rows:
        key = at_rest.of(PARTNER, partner, at[row.exchange])
        encrypted = {name: _encrypted(text, key) for name, text in (("value", row.value), ("message", row.message))}
        changed.append({"the_id": row.id, **{f"encrypted_{name}": text for name, text in encrypted.items()}})
    if changed:
        new: dict[str, Any] = {name: bindparam(f"encrypted_{name}") for name in ("value", "message")}
        recorder.connection.execute(update(finding).where(f.id == bindparam("the_id")).values(new), changed)
        recorder.touch(finding, sorted({row.exchange for row in rows}))


def _words_of_partners(recorder: Recorder, at_rest: AtRest, partner: str, units: Iterable[Unit]) -> None:
    """What the partner's acknowledgments say is wrong with documents of ours."""
    at = {number: unit.at for unit in units for number in unit.exchanges}
    a = acknowledgment.c
    wanted = select(a.id, a.carrier, a.errors).where(a.errors.not_in(["", "[]"]))
    changed = [
        {"the_id": row.id, "encrypted": encrypted_text(row.errors, at_rest.of(PARTNER, partner, at[row.carrier]))}
        for row in ask(recorder.connection, wanted, a.carrier, list(at))
        if not looks_encrypted(row.errors)
    ]
    if changed:
        new = update(acknowledgment).where(a.id == bindparam("the_id")).values(errors=bindparam("encrypted"))
        recorder.connection.execute(new, changed)
        recorder.touch(acknowledgment, sorted(each["the_id"] for each in changed))


def _encrypted(text: str, key: PayloadKey) -> str:
    return encrypted_text(text, key) if text else text
