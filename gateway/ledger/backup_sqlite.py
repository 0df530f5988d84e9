"""A copy of an SQLite ledger, made while others write to it, and looked at without touching it.

SQLite's backup API begins anew whenever somebody else commits between two of its steps: with a busy gateway it never
ends. Within a transaction that reads it does not, for it copies what that transaction sees. Nobody is held up by it;
the write-ahead log grows by what is written meanwhile, and is used anew afterwards.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from gateway.errors import BackupFailed
from gateway.ledger.backup_contents import odd_contents
from gateway.ledger.backup_files import Meter, Watcher, sync

_STEP = 1_000  # pages, 8 MB
_SYNC_EVERY = 64_000_000  # bytes; so that the last sync, and with it everybody else's, is short


def size_of(connection: Connection) -> int:
    """The bytes that a copy will have."""
    return int(
        connection.exec_driver_sql(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        ).scalar_one()
    )


def copy(connection: Connection, to: Path, watcher: Watcher) -> None:
    """Copies the database as the transaction of ``connection`` sees it; durable when this returns.

    Args:
        connection: from ``reading``, after a first SELECT, so that its moment is fixed.
        to: a file that is not there yet.
        watcher: is told of megabytes.

    Raises:
        BackupFailed: with the reason.
    """
    source = connection.connection.driver_connection
    assert isinstance(source, sqlite3.Connection)
    meter = Meter(watcher, "copy the ledger (MB)", size_of(connection))
    page = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    descriptor = os.open(to, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    synced = 0

    def said(_status: int, remaining: int, total: int) -> None:
        nonlocal synced
        done = (total - remaining) * page
        meter.reach(done)
        if done - synced > _SYNC_EVERY:
            os.fdatasync(descriptor)
            synced = done

    try:
        with closing(sqlite3.connect(to, isolation_level=None)) as target:
            # Nothing is there that a journal could bring back, and it is synced below.
            for pragma in ("journal_mode = OFF", "synchronous = OFF"):
                target.execute(f"PRAGMA {pragma}").fetchall()
            source.backup(target, pages=_STEP, progress=said, sleep=0)
        os.fsync(descriptor)
    except (sqlite3.Error, OSError) as problem:
        raise BackupFailed(path=to.parent, reason=reason(problem)) from problem
    finally:
        os.close(descriptor)
    sync(to.parent)


def reason(problem: Exception) -> str:
    """What went wrong, for people."""
    if isinstance(problem, DBAPIError):
        return str(problem.orig)
    if isinstance(problem, OSError):
        return problem.strerror or str(problem)
    return {"database or disk is full": "the disk is full"}.get(str(problem), str(problem))


@contextmanager
def opened(file: Path) -> Iterator[Engine]:
    """An engine for a file that nobody changes; nothing is written to it or beside it."""
    url = f"file:{quote(str(file.resolve()))}?mode=ro&immutable=1"
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(url, uri=True, check_same_thread=False))
    event.listen(engine, "connect", lambda connection, _record: setattr(connection, "isolation_level", None))
    try:
        yield engine
    finally:
        engine.dispose()


def problems(connection: Connection, watcher: Watcher, *, full: bool) -> Iterator[str]:
    """What is wrong with a database, a sentence each; nothing where all is well.

    Args:
        connection: to the file (see ``opened``).
        watcher: is told of what is looked at.
        full: every index and reference and the hash of all kept bytes, instead of structure and a sample.
    """
    watcher.step("check the tables")
    for (said,) in connection.exec_driver_sql("PRAGMA integrity_check" if full else "PRAGMA quick_check").all():
        if said != "ok":
            yield f"the database file: {said}"
    if full:
        for row in connection.exec_driver_sql("PRAGMA foreign_key_check").all():
            yield f"a row of {row[0]} points to a row of {row[2]} that is not there"
    yield from odd_contents(connection, watcher, full=full)
