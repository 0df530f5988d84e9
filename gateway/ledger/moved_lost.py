"""Archives that are known to be lost: a person said so, and says so again if one was found after all.

That is told by events and changes no row: what an archive held, and its SHA-256, stay as they were recorded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy import Connection, Engine, select, text

from gateway.errors import MovedArchiveLost
from gateway.ledger.database import reading
from gateway.ledger.moments import iso, spoken
from gateway.ledger.moved_file import sha256_of
from gateway.ledger.tables import CONFIGURATION, event, moved_archive

if TYPE_CHECKING:
    from gateway.ledger.moved import Archive

LOST, FOUND = "archive-lost", "archive-found"


class Lost(Struct, frozen=True):
    """Who said that an archive is lost, when (ms since 1970 UTC), and why."""

    at: int
    actor: str
    reason: str

    @property
    def words(self) -> str:
        """Who said it and why."""
        return f"{self.actor} said on {spoken(self.at).strip()} that it is lost ({self.reason})"

    def as_dict(self) -> dict[str, object]:
        """For ``--json``."""
        return {"at": iso(self.at), "by": self.actor, "reason": self.reason}


def lost(connection: Connection) -> dict[int, Lost]:
    """The archives that are known to be lost, by their numbers."""
    e = event.c
    asked = select(e.at, e.kind, e.actor, e.body).where(text(CONFIGURATION), e.kind.in_([LOST, FOUND])).order_by(e.seq)
    found: dict[int, Lost] = {}
    for at, kind, actor, body in connection.execute(asked):
        said = json.loads(body)
        found.pop(said.get("archive"), None)
        if kind == LOST:
            found[said.get("archive")] = Lost(at, actor, said.get("reason", ""))
    return found


def lost_at(connection: Connection, path: Path) -> tuple[int, Lost] | None:
    """The archive that was written to that place and is known to be lost; None where there is none."""
    known = lost(connection)
    if not known:
        return None
    m, place = moved_archive.c, path.resolve()
    rows = connection.execute(select(m.id, m.file).where(m.id.in_(sorted(known))).order_by(m.id.desc()))
    return next(((row.id, known[row.id]) for row in rows if Path(row.file).resolve() == place), None)


def refuse_lost(home: Engine, path: Path) -> None:
    """Says nothing where a file is there, or nobody said that what was written to its place is lost.

    Raises:
        MovedArchiveLost
    """
    if path.exists():
        return
    with reading(home) as connection:
        found = lost_at(connection, path)
    if found is not None:
        number, said = found
        when = spoken(said.at).strip()
        raise MovedArchiveLost(archive=number, path=path, by=said.actor, at=when, reason=said.reason)


def remembered(home: Engine, path: Path) -> tuple[int, Lost] | None:
    """Of a file that is there: the archive that is known to be lost and that it is, or that was written to its place.

    Raises:
        MovedArchiveUnreadable: the file cannot be read.
    """
    with reading(home) as connection:
        known = lost(connection)
        if not known:
            return None
        same = select(moved_archive.c.id).where(moved_archive.c.sha256 == sha256_of(path))
        number = next((each for (each,) in connection.execute(same) if each in known), None)
        return (number, known[number]) if number is not None else lost_at(connection, path)


def state_of(archive: Archive, said: Lost | None) -> str:
    """Where an archive stands, by a look at its place and size."""
    path = Path(archive.file)
    there = path.is_file()
    whole = there and path.stat().st_size == archive.size
    if said is not None:
        return "lost, and at its place again" if whole else "lost"
    if not there:
        return "not at its place"
    if not whole:
        return "not what was written"
    return "moved out" if archive.moved_at is not None else "being moved out"
