"""What was erased when a key was forgotten: only that may be unreadable.

Else whoever can write to the database could put any content under a key that was forgotten once, and it would pass as
erased in order. So the event of forgetting holds four bytes of the name of each content that lay under the key.
"""

from __future__ import annotations

import base64
import json
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, select, text

from gateway.ledger.tables import CONFIGURATION, content_key, event, exchange, message

FORGOTTEN = "payload-key-forgotten"
_DIGITS = 8  # of a name, in hexadecimal
_MOST = 100  # that have the same bytes, and are looked at


def fingerprints(names: Iterable[str]) -> str:
    """The beginnings of the names of contents, for the event that tells that their key was forgotten."""
    return base64.b64encode(b"".join(sorted(bytes.fromhex(name[:_DIGITS]) for name in names))).decode()


class _Told(Struct, frozen=True):
    """What the event says of a key: whose it was, and what lay under it; None where an earlier version wrote it."""

    partner: str
    beginnings: array[int] | None

    def holds(self, name: str) -> bool:
        """Whether a content lay under the key, as far as the event says."""
        wanted, known = int(name[:_DIGITS], 16), self.beginnings
        at = bisect_left(known, wanted) if known is not None else 0
        return known is not None and at < len(known) and known[at] == wanted


class Erasures:
    """Which contents may be unreadable because their keys were forgotten.

    Args:
        connection: of the ledger, within a transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._told: dict[int, _Told] = {}
        e = event.c
        asked = select(e.partner, e.body).where(text(CONFIGURATION), e.kind == FORGOTTEN).order_by(e.seq)
        for partner, body in connection.execute(asked):
            said = json.loads(body)
            self._told[int(said.get("key", 0))] = _Told(partner, _unpacked(said.get("fingerprints")))

    def accept(self, name: str) -> bool:
        """Whether a content lay under one of its keys when that was forgotten."""
        keys = self._connection.execute(select(content_key.c.key).where(content_key.c.sha256 == name)).scalars().all()
        return any(self._erased(name, self._told[key]) for key in keys if key in self._told)

    def _erased(self, name: str, told: _Told) -> bool:
        if told.holds(name):
            return True
        owners = {owner for table in (exchange, message) for owner in self._owners(table, name)}
        if told.beginnings is None:
            return not owners or told.partner in owners
        return told.partner in owners and self._came_back(name)

    def _owners(self, table: Any, name: str) -> Iterable[str]:
        return self._connection.execute(select(table.c.partner).where(table.c.sha256 == name).limit(_MOST)).scalars()

    def _came_back(self, name: str) -> bool:
        """Whether it was in an archive when its key was forgotten: an event tells that it was brought back."""
        for table, column in ((exchange, event.c.exchange), (message, event.c.message)):
            mine = select(table.c.id).where(table.c.sha256 == name).limit(_MOST)
            back = select(event.c.seq).where(column.in_(mine), event.c.kind == "recalled").limit(1)
            if self._connection.execute(back).first() is not None:
                return True
        return False


def _unpacked(packed: str | None) -> array[int] | None:
    if packed is None:
        return None
    found = array("I", base64.b64decode(packed))
    if sys.byteorder == "little":
        found.byteswap()
    return found
