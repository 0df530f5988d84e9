"""Backup: a copy of the ledger of one moment, made while others work on it, and checked before it has a name.

A backup is a directory: the database (``ledger.db``, or ``ledger.dump`` of PostgreSQL), what else belongs to the home
where that was wanted, and ``manifest.json``, which says what it is. It is written beside its place, read back from the
disk, opened and compared with what the ledger said of itself at that moment, and only then gets its name.
"""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

import gateway
from gateway.errors import BackupDamaged, BackupExists, BackupFailed, GatewayError
from gateway.ledger import (
    backup_files,
    backup_manifest,
    backup_postgres,
    backup_sqlite,
    postgres_scratch,
)
from gateway.ledger.backup_contents import odd_contents
from gateway.ledger.backup_files import Meter, Watcher
from gateway.ledger.backup_manifest import HOME, LEDGER, SQLITE, KeptFile, Manifest
from gateway.ledger.database import newest, reading, shown
from gateway.ledger.postgres_programs import ProgramFailedError
from gateway.ledger.reached import Reached, reached
from gateway.ledger.verify import Verification

QUICK, FULL = "quick", "full"
NOT_TRIED = "The dump was read to its end, but not restored for trial: "
NOT_ALLOWED = "this user may not make a database (CREATEDB) on the server."
NO_SERVER = "no server was named for that."
EARLIER = "Its rows were not verified: it is of an earlier version. A restore with --full verifies them."
_NAMED = 20  # rows and events that a verification names


class Order(Struct, frozen=True):
    """What is to be backed up, and how.

    ``home``: files of the home, each with the name that it gets. ``full``: everything is looked at, not a sample.
    """

    target: Path
    home_directory: Path
    at: int  # now, ms since 1970 UTC
    home: Sequence[tuple[str, Path]] = ()
    full: bool = False
    overwrite: bool = False


class Checked(Struct, frozen=True):
    """A backup and what is wrong with it. ``proven`` is empty, or says what could not be looked at and why."""

    manifest: Manifest
    problems: tuple[str, ...]
    unproven: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"problems": list(self.problems), "unproven": self.unproven, "manifest": self.manifest.as_dict()}


def back_up(engine: Engine, order: Order, watcher: Watcher) -> Checked:
    """Makes a backup and checks it; when this returns, it is whole, durable and has its name.

    Raises:
        BackupExists: there is something of that name.
        BackupFailed: with the reason; nothing was left there.
        ProgramMissing, ProgramTooOld: pg_dump or pg_restore cannot do it.
        DatabaseUnavailable: the ledger cannot be read.
    """
    target = order.target
    if os.path.lexists(target) and not order.overwrite:
        raise BackupExists(path=target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with backup_files.unfinished(target) as place:
            manifest = _write(engine, order, place, watcher)
            found = _inside(place, manifest, watcher, full=order.full, engine=engine)
            _refuse_problems(found, target)
            backup_manifest.write(manifest, place)
            backup_files.finish(place, target, overwrite=order.overwrite)
    except BackupFailed as fault:
        raise BackupFailed(path=target, reason=fault.details["reason"]) from fault
    except OSError as problem:
        raise BackupFailed(path=target, reason=problem.strerror or problem) from problem
    return found


def check(backup: Path, watcher: Watcher, *, full: bool, engine: Engine | None = None) -> Checked:
    """Looks whether a backup is what was written.

    Args:
        backup: its directory.
        watcher: is told what is looked at.
        full: look at everything, not at a sample, and verify every event and row.
        engine: of a server on which a dump may be restored for trial.

    Raises:
        BackupDamaged: it has no manifest that could be read.
        ProgramMissing, ProgramTooOld: pg_restore cannot read it.
    """
    manifest = backup_manifest.read(backup)
    problems = tuple(_odd_files(backup, manifest, watcher))
    if problems:
        return Checked(manifest, problems)  # a database that was changed is not worth opening
    found = _inside(backup, manifest, watcher, full=full, engine=engine, rows=full)
    if full and manifest.revision != newest() and not found.unproven:
        return replace(found, unproven=EARLIER)
    return found


def not_as_recorded(connection: Connection, watcher: Watcher) -> list[str]:
    """What a verification in full names in a copy, whose tables are of the newest revision; a sentence each."""
    watcher.step("verify events and rows")
    found = [each.sentence for each in Verification(connection).full()]
    more = [f"{len(found) - _NAMED} more differences"] if len(found) > _NAMED else []
    return [*found[:_NAMED], *more]


def require_whole(backup: Path, watcher: Watcher, *, full: bool = False) -> Manifest:
    """The manifest of a backup that is what was written; whether its rows are as recorded is not looked at.

    Raises:
        BackupDamaged: it is not.
        ProgramMissing, ProgramTooOld
    """
    manifest = backup_manifest.read(backup)
    problems = tuple(_odd_files(backup, manifest, watcher))
    found = Checked(manifest, problems) if problems else _inside(backup, manifest, watcher, full=full)
    if found.problems:
        raise BackupDamaged(path=backup, reason="; ".join(found.problems[:3]))
    return found.manifest


def room_for(engine: Engine) -> int:
    """About how many bytes a backup of this ledger needs; of a dump of PostgreSQL only that it is no more."""
    with reading(engine) as connection:
        return _size(connection)


def _size(connection: Connection) -> int:
    if connection.dialect.name == SQLITE:
        return backup_sqlite.size_of(connection)
    names = ", ".join(f"'{each}'" for each in backup_postgres.TABLES)
    wanted = f"SELECT sum(pg_table_size(oid)) FROM pg_class WHERE relkind = 'r' AND relname IN ({names})"  # noqa: S608 - ours
    return int(connection.execute(text(wanted)).scalar() or 0)


# ---------------------------------------------------------------- writing


def _write(engine: Engine, order: Order, place: Path, watcher: Watcher) -> Manifest:
    """Everything but the manifest, which is given back."""
    files = []
    with reading(engine) as connection:
        now = reached(connection)  # and with it, the moment of this transaction is fixed
        manifest = _described(engine, connection, order, now)
        ledger = place / LEDGER[manifest.kind]
        if manifest.kind == SQLITE:
            _refuse_without_room(place, _size(connection))
            backup_sqlite.copy(connection, ledger, watcher)
        else:
            program = backup_postgres.dump(engine, connection, ledger, watcher)
            manifest = replace(manifest, program=f"pg_dump {program.version}")
    meter = Meter(watcher, "read it back (MB)", ledger.stat().st_size)
    files.append(KeptFile(ledger.name, *backup_files.hashed(ledger, meter.add)))
    for name, source in order.home:
        copied = place / HOME / name
        copied.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.append(KeptFile(f"{HOME}/{name}", *backup_files.copy(source, copied)))
    return replace(manifest, files=tuple(files))


def _described(engine: Engine, connection: Connection, order: Order, now: Reached) -> Manifest:
    kind = connection.dialect.name
    on_sqlite = kind == SQLITE
    return Manifest(
        at=order.at,
        gateway=gateway.__version__,
        host=socket.gethostname(),
        home=str(order.home_directory),
        kind=kind,
        url=shown(engine.url),
        server=sqlite3.sqlite_version if on_sqlite else backup_postgres.server_version(connection),
        program="",
        schema="" if on_sqlite else backup_postgres.schema_of(connection),
        revision=str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()),
        reached=now,
        files=(KeptFile(LEDGER[kind], 0, ""),),
        verified=FULL if order.full else QUICK,
    )


def _refuse_without_room(place: Path, wanted: int) -> None:
    free = os.statvfs(place)
    if free.f_bavail * free.f_frsize < wanted:
        megabytes = f"{wanted / 1e6:,.1f} MB are needed, and {free.f_bavail * free.f_frsize / 1e6:,.1f} MB are free"
        raise BackupFailed(path=place, reason=f"there is no room: {megabytes}")


# ---------------------------------------------------------------- looking


def _refuse_problems(found: Checked, target: Path) -> None:
    if found.problems:
        raise BackupFailed(path=target, reason=f"what was written is not whole: {found.problems[0]}")


def _inside(
    backup: Path, manifest: Manifest, watcher: Watcher, *, full: bool, engine: Engine | None = None, rows: bool = False
) -> Checked:
    """What is wrong with the database in it; with ``rows`` what a verification names too."""
    ledger = backup / manifest.ledger.name
    rows = rows and manifest.revision == newest()
    try:
        if manifest.kind == SQLITE:
            return Checked(manifest, tuple(_odd_database(ledger, manifest, watcher, full=full, rows=rows)))
        problems = tuple(backup_postgres.problems(ledger, watcher))
        if problems or not full:
            return Checked(manifest, problems)
        return _tried(ledger, manifest, watcher, engine, rows=rows)
    except (DBAPIError, sqlite3.Error) as problem:
        return Checked(manifest, (f"the database cannot be read: {backup_sqlite.reason(problem)}",))


def _odd_files(backup: Path, manifest: Manifest, watcher: Watcher) -> Iterator[str]:
    meter = Meter(watcher, "compare the files (MB)", manifest.size)
    for each in manifest.files:
        try:
            size, sha256 = backup_files.hashed(backup / each.name, meter.add)
        except OSError as problem:
            yield f"{each.name}: {problem.strerror or problem}"
            continue
        if size != each.size:
            yield f"{each.name} has {size} bytes and had {each.size}"
        elif sha256 != each.sha256:
            yield f"{each.name} was changed: its SHA-256 is not the one that was written down"


def _odd_database(ledger: Path, manifest: Manifest, watcher: Watcher, *, full: bool, rows: bool) -> Iterator[str]:
    with backup_sqlite.opened(ledger) as engine, engine.connect() as connection:
        yield from backup_sqlite.problems(connection, watcher, full=full)
        yield from _odd_history(connection, manifest)
        if rows:
            yield from not_as_recorded(connection, watcher)


def _odd_history(connection: Connection, manifest: Manifest) -> Iterator[str]:
    """What the copy says of itself is what the ledger said."""
    if not inspect(connection).has_table("event"):
        yield "there is no ledger in it"
        return
    found, wanted = reached(connection), manifest.reached
    if found.newest != wanted.newest:
        yield f"it ends at event {found.newest.seq}, and the ledger ended at {wanted.newest.seq}"
    if found.numbers != wanted.numbers:
        yield "its control numbers are not those that the ledger had"
    if (found.size, found.root) != (wanted.size, wanted.root):
        yield "the root of its tree is not the one that the ledger had"


def _tried(ledger: Path, manifest: Manifest, watcher: Watcher, engine: Engine | None, *, rows: bool) -> Checked:
    """A dump is proven by restoring it, where that is allowed."""
    if engine is None or engine.dialect.name == SQLITE:
        return Checked(manifest, (), NOT_TRIED + NO_SERVER)
    try:
        with postgres_scratch.scratch(engine, ledger, manifest.schema, watcher) as made:
            if made is None:
                return Checked(manifest, (), NOT_TRIED + NOT_ALLOWED)
            with reading(made) as connection:
                problems = [*_odd_history(connection, manifest), *odd_contents(connection, watcher, full=True)]
                problems += not_as_recorded(connection, watcher) if rows else []
    except ProgramFailedError as problem:
        return Checked(manifest, (f"the dump cannot be restored: {problem}",))
    except GatewayError as fault:
        return Checked(manifest, (), f"{NOT_TRIED}{fault}")
    return Checked(manifest, tuple(problems))
