"""Directories that were the outbox before gateway.toml named another one: what lies there is sent by nobody."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection

from gateway.flow.outbox_files import claimed, is_document
from gateway.ledger.changes import SETTINGS, last_of
from gateway.settings import Settings

_KEY, _DEFAULT = "gateway.outbox", "outbox"
_LOOKED_AT = 200  # records of settings among which those of this home are looked for


def place_of(settings: Settings) -> str:
    """How records of settings name a home: machines that share a ledger have one each."""
    return f"{socket.gethostname()}:{settings.home}"


def left_behind(connection: Connection, settings: Settings) -> dict[Path, int]:
    """Former outboxes of this home in which documents lie, each with how many, by what was recorded of gateway.toml."""
    here = place_of(settings)
    found: dict[Path, int] = {}
    for each in last_of(connection, SETTINGS, _LOOKED_AT):
        if each.get("place") != here:
            continue
        named = Path(each.get("settings", {}).get(_KEY) or _DEFAULT).expanduser()
        place = settings.home / named
        with suppress(OSError):  # it is gone, or nobody may look into it
            if place not in found and not _is_same(place, settings.outbox) and (number := _documents(place)):
                found[place] = number
    return found


def _is_same(place: Path, outbox: Path) -> bool:
    return place == outbox or (outbox.exists() and place.samefile(outbox))


def _documents(place: Path) -> int:
    """How many documents would be taken there, in the directories of partners and beside them, or were being taken."""
    rooms = [place, *(each for each in place.iterdir() if each.is_dir() and not each.name.startswith("."))]
    return sum(sum(map(is_document, each.iterdir())) + claimed(each) for each in rooms)
