"""Databases for the ledger's benchmark: where they lie, how big they are, what the bare driver needs for as much."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from servers import need
from sqlalchemy import Engine, func, select, text

from gateway.ledger import tables
from gateway.ledger.database import open_engine, reading, upgrade

RAW = "(raw bytes)"
_USER = "postgres"  # PostgreSQL refuses to run as root
_PORT_FILE, _PASSWORD = "port", "not-a-secret"  # nobody but this machine can reach it
# As an administrator sets it up on a machine of 24 GB that others use too; nothing here gives up durability.
POSTGRES = (
    "listen_addresses=127.0.0.1",
    "shared_buffers=3GB",
    "effective_cache_size=12GB",
    "maintenance_work_mem=512MB",
    "work_mem=32MB",
    "max_wal_size=8GB",
    "checkpoint_timeout=15min",
    "wal_compression=lz4",
    "random_page_cost=1.1",
    "fsync=on",
    "full_page_writes=on",
    "synchronous_commit=on",
)


@contextmanager
def database(kind: str, work: Path, *, reuse: bool, keep: bool) -> Iterator[str]:
    """The url of a migrated ledger under ``work``: an empty one, or with ``reuse`` the one that is there."""
    work.mkdir(parents=True, exist_ok=True)
    place = work / kind
    if place.exists() and not reuse:
        shutil.rmtree(place)
    if reuse and not place.exists():
        raise SystemExit(f"{place} is not there: load it first, with --keep")
    try:
        with _sqlite(place) if kind == "sqlite" else _postgresql(place) as url:
            engine = open_engine(url)
            upgrade(engine)
            engine.dispose()
            yield url
    finally:
        if not keep:
            shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _sqlite(place: Path) -> Iterator[str]:
    place.mkdir(exist_ok=True)
    yield f"sqlite:///{place / 'ledger.db'}"


@contextmanager
def _postgresql(place: Path) -> Iterator[str]:
    """A server of our own over ``place``."""
    fresh = not (place / "data").exists()
    place.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        shutil.chown(place, _USER)
    if fresh:
        _make_cluster(place)
    port = need.free_port()
    # A short directory: a Unix socket's path has at most 107 bytes.
    sockets = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(sockets, _USER)
    command = [need.program("postgres"), "-D", str(place / "data"), "-p", str(port), "-k", str(sockets)]
    command += [word for setting in POSTGRES for word in ("-c", setting)]
    with (place / "log").open("ab") as log:
        server = subprocess.Popen(need.as_user(_USER, command), cwd=place, stdout=log, stderr=log)
    url = f"postgresql://gateway:{_PASSWORD}@127.0.0.1:{port}/"
    try:
        _wait(server, f"{url}postgres", place / "log")
        if fresh:
            _make_database(f"{url}postgres")
        yield f"{url}ledger"
    finally:
        server.send_signal(signal.SIGINT)  # a fast shutdown, with a checkpoint: it is to start again at once
        server.wait(timeout=600)
        shutil.rmtree(sockets, ignore_errors=True)


def _make_cluster(place: Path) -> None:
    password = place / "password"
    password.write_text(_PASSWORD)
    if os.geteuid() == 0:
        shutil.chown(password, _USER)
    make = [need.program("initdb"), "-D", str(place / "data"), "-U", "gateway", "-A", "scram-sha-256"]
    make += [f"--pwfile={password}", "-E", "UTF8", "--locale=C.UTF-8"]
    made = subprocess.run(need.as_user(_USER, make), cwd=place, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr


def _make_database(url: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE ledger")


def _wait(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    import psycopg

    for _ in range(3_000):
        assert server.poll() is None, log.read_text()
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"PostgreSQL does not answer: {log.read_text()}")


# ---------------------------------------------------------------- sizes


def sizes(engine: Engine) -> dict[str, dict[str, int]]:
    """Bytes of each table and of each of its indexes, by table; the table itself under its own name.

    ``content`` counts without the raw bytes that lie in it, which stand under ``RAW``.
    """
    found: dict[str, dict[str, int]] = {}
    with reading(engine) as connection:
        for table, name, size in connection.execute(text(_DBSTAT if engine.dialect.name == "sqlite" else _RELATIONS)):
            found.setdefault(table, {})[name] = int(size)
        raw = connection.execute(select(func.sum(func.length(tables.content.c.bytes)))).scalar() or 0
    if "content" in found:
        found["content"]["content"] = max(0, found["content"]["content"] - int(raw))
    return found | {RAW: {RAW: int(raw)}}


_DBSTAT = """
SELECT coalesce(m.tbl_name, s.name), s.name, s.size
FROM (SELECT name, sum(pgsize) AS size FROM dbstat GROUP BY name) s LEFT JOIN sqlite_schema m ON m.name = s.name
"""
_RELATIONS = """
SELECT t.relname, t.relname, pg_table_size(t.oid) FROM pg_class t
WHERE t.relkind = 'r' AND t.relnamespace = 'public'::regnamespace
UNION ALL
SELECT t.relname, i.relname, pg_relation_size(i.oid) FROM pg_index x
JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
WHERE t.relnamespace = 'public'::regnamespace
"""


# ---------------------------------------------------------------- the floor


def floor(engine: Engine, commits: int, limit: int, place: Path) -> tuple[float, float]:
    """What the bare driver needs for the rows of the first ``limit`` exchanges: seconds, and CPU seconds of ours.

    They go into tables like the ledger's, indexes and all, with so many commits, as they stand in the end: there are
    no changes, no digests, no checks of what points where, and nothing that has to be made first.
    """
    rows = _rows(engine, limit)
    if engine.dialect.name == "sqlite":
        return _floor_sqlite(rows, commits, place)
    return _floor_postgresql(engine, rows, commits)


def _rows(engine: Engine, limit: int) -> dict[str, tuple[list[str], list[tuple[Any, ...]]]]:
    """All rows of the ledger's tables, cut to the share that so many exchanges have."""
    found = {}
    with reading(engine) as connection:
        total = connection.execute(select(func.count()).select_from(tables.exchange)).scalar_one()
        for table in tables.metadata.sorted_tables:
            count = connection.execute(select(func.count()).select_from(table)).scalar_one()
            wanted = select(table).order_by(*table.primary_key.columns).limit(-(-count * limit // max(total, limit)))
            rows = [tuple(row) for row in connection.execute(wanted)]
            if rows and table is not tables.tree_head:
                found[table.name] = ([column.name for column in table.columns], rows)
    return found


def _slices(rows: list[tuple[Any, ...]], number: int, of: int) -> list[tuple[Any, ...]]:
    return rows[len(rows) * number // of : len(rows) * (number + 1) // of]


def _floor_sqlite(
    rows: dict[str, tuple[list[str], list[tuple[Any, ...]]]], commits: int, place: Path
) -> tuple[float, float]:
    file = place / "floor.db"
    engine = open_engine(f"sqlite:///{file}")
    upgrade(engine)
    engine.dispose()
    try:
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 8000"):
                connection.execute(f"PRAGMA {pragma}").fetchall()
            start, cpu = time.perf_counter(), time.process_time()
            for number in range(commits):
                connection.execute("BEGIN IMMEDIATE")
                for table, (names, values) in rows.items():
                    marks = ", ".join("?" for _ in names)
                    columns = ", ".join(f'"{name}"' for name in names)
                    connection.executemany(
                        f"INSERT INTO {table} ({columns}) VALUES ({marks})", _slices(values, number, commits)
                    )
                connection.execute("COMMIT")
            return time.perf_counter() - start, time.process_time() - cpu
    finally:
        for each in place.glob("floor.db*"):
            each.unlink()


def _floor_postgresql(
    engine: Engine, rows: dict[str, tuple[list[str], list[tuple[Any, ...]]]], commits: int
) -> tuple[float, float]:
    import psycopg

    base = engine.url.set(drivername="postgresql")
    server = base.set(database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS floor")
        connection.execute("CREATE DATABASE floor")
    url = base.set(database="floor").render_as_string(hide_password=False)
    other = open_engine(url)
    upgrade(other)
    other.dispose()
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")  # slices of rows: what they point to comes later
        start, cpu = time.perf_counter(), time.process_time()
        for number in range(commits):
            for table, (names, values) in rows.items():
                columns = ", ".join(f'"{name}"' for name in names)
                with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                    for row in _slices(values, number, commits):
                        copy.write_row(row)
            connection.commit()
        found = time.perf_counter() - start, time.process_time() - cpu
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE floor")
    return found
