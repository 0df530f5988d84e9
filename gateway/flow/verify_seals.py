"""The seals by which a verification goes: which of them hold, and whether all that were made are still there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, select, text

from gateway.errors import SealInvalid
from gateway.ledger import seals, tables
from gateway.ledger.seals import Seal, SealKey
from gateway.ledger.tables import CONFIGURATION
from gateway.ledger.verify import Difference

KEY = "key"  # what a difference refers to where seals cannot be checked for want of a key


def opened(
    connection: Connection, key: SealKey | None, outside: Sequence[str], known: list[Seal]
) -> Iterator[Difference]:
    """Fills ``known`` with the seals whose signature fits, and tells of the other notes and of those that are gone.

    Args:
        connection: within a transaction.
        key: with which seals are signed; None where it is not at hand.
        outside: signed notes that were kept outside of the database.
        known: an empty list.
    """
    s = tables.seal.c
    kept = [_as_text(note) for note in connection.execute(select(s.note).order_by(s.size)).scalars()]
    made = _made(connection)
    if key is None and (outside or kept or made):
        yield Difference("seal", KEY, _unchecked(len({each.strip() for each in (*outside, *kept)})))
    for note in (*outside, *kept):
        try:
            if key is not None and (found := seals.opened(note, key)) not in known:
                known.append(found)
        except SealInvalid as fault:
            yield Difference("seal", "seal", str(fault))
    yield from _gone(connection, made)


def _unchecked(count: int) -> str:
    what = "A seal" if count == 1 else f"{count} seals" if count else "The seals that were made"
    return (
        f"{what} cannot be checked: the key that signed them is not here. Give the key that you hold (--key), "
        "or put the secret seal in its place again."
    )


def _made(connection: Connection) -> list[Any]:
    """The events that tell of a seal, in their order."""
    e = tables.event.c
    wanted = select(e.seq, e.at, e.actor, e.body).where(text(CONFIGURATION), e.kind == "sealed")
    return list(connection.execute(wanted.order_by(e.seq)).all())


def _gone(connection: Connection, made: Sequence[Any]) -> Iterator[Difference]:
    """Each seal that an event tells of must be in the table, as it was made."""
    rows = {row.size: row for row in connection.execute(select(tables.seal))}
    looked: set[int] = set()
    for event in made:
        body = json.loads(event.body)
        size = body["size"]
        if size in looked:  # made twice over the same tree; the first one is kept
            continue
        looked.add(size)
        row = rows.get(size)
        if row is None:
            yield Difference(
                "seal", str(size), f"The seal over {size} events, of which event {event.seq} tells, is gone."
            )
        elif (row.seq, row.at, row.by, _root(row.note)) != (body["newest"], event.at, event.actor, body["root"]):
            said = f"The seal over {size} events is not the one of which event {event.seq} tells."
            yield Difference("seal", str(size), said)


def _root(note: object) -> str | None:
    try:
        return seals.read(_as_text(note)).root.hex()
    except SealInvalid:
        return None


def _as_text(note: object) -> str:
    return note if isinstance(note, str) else repr(note)
