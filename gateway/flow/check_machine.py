"""Checks of what stands around the ledger: which disk it is on, which time zone holds, who has it in hand."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Engine, text

from gateway.flow.check_result import Check
from gateway.jobs.lock import held_since, holder
from gateway.ledger import database
from gateway.ledger.moments import duration

MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs", "fuse.glusterfs", "gfs")
LONG_HELD = 12 * 3_600_000  # ms that one command may be at work before somebody should look
APART = 60  # seconds by which the clocks of two machines may differ
_OCTAL = {f"\\{ord(each):03o}": each for each in " \t\n\\"}  # how mountinfo writes what would break its lines


def check_zone() -> Iterator[Check]:
    """The machine's time zone is known: hours in settings and in what people read are local ones."""
    name = os.environ.get("TZ", "").removeprefix(":")
    if not name or name.startswith("/"):
        return
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        if not any(each.isdigit() for each in name):  # EST5EDT and the like are rules of their own (POSIX)
            said = f"The time zone {name} (TZ) is not known: local hours are taken for UTC."
            yield Check("clock", None, said, "Correct TZ, or install the system's tzdata.", code="clock.unknown-zone")


def check_held(home: Path, now: int) -> Iterator[Check]:
    """No command holds the home for so long that it must be stuck. ``now``: ms since 1970 UTC."""
    since = held_since(home)
    if since is None or now - since < LONG_HELD:
        return
    said = f"{holder(home) or 'Another process'} has been at work on this home for {duration(now - since)}."
    advice = "Look whether it still works; stop it (SIGTERM) if it does not, and the next run goes on."
    yield Check("lock", None, f"{said[0].upper()}{said[1:]}", advice, code="lock.long-held")


# ---------------------------------------------------------------- the database


def check_filesystem(engine: Engine, mounts: Path = MOUNTS) -> Iterator[Check]:
    """An SQLite ledger is on a disk of this machine: network file systems do not keep its locks and syncs."""
    if engine.dialect.name != "sqlite":
        return
    try:
        kind = _file_system(Path(engine.url.database or "").resolve(), mounts.read_text("utf-8", "replace"))
    except OSError:
        return  # not Linux
    if kind.startswith(_NETWORK):
        said = f"The ledger {engine.url.database} is on a network file system ({kind}), which may damage it."
        advice = "Put it on a disk of this machine, or use PostgreSQL ([database] url); docs/scaling.md."
        yield Check("database", False, said, advice, code="database.network-disk")


def _file_system(file: Path, mounts: str) -> str:
    """The kind of file system that a file is on, by /proc/self/mountinfo (proc(5))."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields, rest = left.split(" "), right.split(" ")
        if len(fields) < 5 or not rest[0]:
            continue
        point = fields[4]
        for written, meant in _OCTAL.items():
            point = point.replace(written, meant)
        if file.is_relative_to(point) and len(Path(point).parts) >= best:
            best, kind = len(Path(point).parts), rest[0]
    return kind


def check_encoding(engine: Engine) -> Iterator[Check]:
    """The database can hold what mails are written in."""
    if encoding := database.narrow_encoding(engine):
        said = f"The database keeps text in {encoding}: what it cannot hold of a mail keeps the mail from being taken."
        advice = "Make a database in UTF8, and restore a backup of the ledger into it; docs/backup.md."
        yield Check("database", False, said, advice, code="database.encoding")


def check_trigrams(engine: Engine) -> Iterator[Check]:
    """The database can find text by trigrams; without them the search reads much more."""
    if engine.dialect.name == "sqlite":
        if not sqlite_has_trigrams():
            said = f"This SQLite ({sqlite3.sqlite_version}) has no full-text index of trigrams (FTS5, from 3.34)."
            advice = "Install a newer SQLite or Python; without it the ledger cannot be written."
            yield Check("database", False, said, advice, code="database.no-trigrams")
        return
    with database.reading(engine) as connection:
        there = connection.execute(text("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'")).scalar()
        index = connection.execute(text("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_search_text'")).scalar()
    if not there:
        said = "The database has no pg_trgm: a search for words reads much more than it must."
        advice = "As its administrator: CREATE EXTENSION pg_trgm; then run `gateway ledger reindex`."
        yield Check("database", None, said, advice, code="database.no-trigrams")
    elif "gin_trgm_ops" not in str(index):
        said = "The text index was made before pg_trgm was there, and does not use it."
        yield Check("database", None, said, "Run `gateway ledger reindex`.", code="database.no-trigrams")


def sqlite_has_trigrams() -> bool:
    """Whether this Python's SQLite can make a full-text table of trigrams."""
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute("CREATE VIRTUAL TABLE tried USING fts5 (c, tokenize = 'trigram')")
        except sqlite3.OperationalError:
            return False
    return True


def check_database_clock(engine: Engine, now: float) -> Iterator[Check]:
    """The clock of a database server agrees with ours. ``now``: seconds since 1970 UTC."""
    if engine.dialect.name != "postgresql":
        return
    with database.reading(engine) as connection:
        theirs: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    apart = theirs.timestamp() - now
    if abs(apart) > APART:
        way = "ahead of" if apart > 0 else "behind"
        said = f"The clock of the database server is {duration(int(abs(apart)) * 1000)} {way} ours."
        advice = "Run a time service on both machines: leases and deadlines go by the clock."
        yield Check("clock", None, said, advice, code="clock.differs")
