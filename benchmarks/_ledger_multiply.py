# ruff: noqa: SLF001 - the text index is filled by its own functions
"""A ledger many times over: what the recorder loaded into SQLite, written as several copies by bulk SQL or COPY.

Loading ten million exchanges through the recording code takes hours; copying them takes a part of one. What the
questions depend on is as a load of that size would have it:

* a load happens in bursts, after each of which time passes. The copies of a burst follow each other in the time up to
  the next one, and so do their ids: the order of ids stays the order of time;
* what is unique or selective differs in each copy: hashes, Message-IDs, UIDs, business numbers in keys, subjects and
  file names; numbers that are counted (ISA13, GS06, "PO-2026-000017") go on being counted, so many times as far;
* partners, seven years and the words of subjects stay the same, rare words as rare as they were. Acknowledgments that
  are awaited at the end are as many as a running gateway has: of the older copies they have come, all but a few.

What is not: the Merkle tree stands empty before the copies, so that nothing can be verified; bodies of events, paths of
delivered files and dates within an interchange are those of the original. ``lean`` leaves out what no question looks
at: raw bytes, sightings, series of numbers, digests of rows.

How the tables are copied, ``_ledger_copies`` says; what differs in a text, ``_ledger_fresh``.
"""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from _ledger_copies import LEAN, TEXTS, Copied, Plan, copied, numbered, statement, target_of
from _ledger_fresh import Fresh
from _ledger_life import Clocks
from _ledger_world import HOUR, Paper
from sqlalchemy import Connection, Engine, Table

from gateway.ledger import bulk, daily, marks, search_tables, tables, text

MARK = "multiplied"  # a file beside a database that was made so: how many copies
_PAUSE = HOUR // 2  # between bursts, at least
_AT_ONCE = 5_000  # rows that are indexed together
_BIG_HASH = 8 << 20  # bytes that FTS5 gathers before it writes them; 1 MB by default, which means to merge more often


# ---------------------------------------------------------------- bursts


def plan(original: sqlite3.Connection, copies: int, *, lean: bool = False) -> Plan:
    """Looks at the original, attached as ``original``, and makes the temporary tables that copying needs."""
    moments = [row[0] for row in original.execute("SELECT DISTINCT at FROM original.event ORDER BY at")]
    starts = [moments[0], *(later for one, later in pairwise(moments) if later - one > _PAUSE)]
    pause = statistics.median([b - a for a, b in pairwise(starts)] or [HOUR])
    shift = int(pause) // copies
    original.execute("CREATE TEMP TABLE copies (k INTEGER PRIMARY KEY)")
    original.executemany("INSERT INTO copies VALUES (?)", [(k,) for k in range(copies)])
    original.execute("CREATE TEMP TABLE answered (id INTEGER PRIMARY KEY)")
    original.execute(
        "INSERT INTO answered SELECT DISTINCT exchange FROM original.expectation"
        " WHERE due_at > ? AND overdue_at IS NULL AND exchange % 50 <> 0", (moments[-1],)
    )  # fmt: skip
    ranges: dict[str, list[int]] = {}
    for table in tables.metadata.sorted_tables:
        if numbered(table):
            ranges[table.name] = _cut(original, table, starts, ranges)
            _keep(original, table, ranges[table.name], copies)
    _take_apart(original, Fresh(copies))
    return Plan(copies, shift, moments[-1], ranges, lean)


def _take_apart(original: sqlite3.Connection, fresh: Fresh) -> None:
    """The parts of all texts, by the id of their row or by themselves: SQL puts them together ten times as fast."""
    names = ("before", "format", "number", "modulus", "after", "kept", "without", "step")
    for (table, column), control_number in TEXTS.items():
        own = numbered(tables.metadata.tables[table])
        kind = "INTEGER PRIMARY KEY" if own else "TEXT PRIMARY KEY"
        original.execute(
            f"CREATE TEMP TABLE texts_{table}_{column} (id {kind}, before TEXT, format TEXT, number INTEGER,"
            ' modulus INTEGER, after TEXT, kept INTEGER, "without" TEXT, step INTEGER)'
        )
        found = original.execute(
            f"SELECT DISTINCT {own or column}, {column}, {control_number or 0} FROM original.{table} t ORDER BY 1"
        )
        rows = (
            (key, fresh.parts_of_id(value) if control_number is None else fresh.parts(value, number))
            for key, value, number in found
        )
        original.executemany(
            f"INSERT INTO texts_{table}_{column} VALUES (?{', ?' * len(names)})",
            ((key, *(getattr(parts, name) for name in names)) for key, parts in rows),
        )


def _cut(original: sqlite3.Connection, table: Table, starts: list[int], known: dict[str, list[int]]) -> list[int]:
    """The first id of each burst, and the one after the last."""
    own = numbered(table)
    highest = original.execute(f"SELECT coalesce(max({own}), 0) FROM original.{table.name}").fetchone()[0]
    found: list[int] = []
    if "at" in table.c:
        for start in starts:
            # Ids follow time: the first one is searched for, half by half.
            low, high = (found[-1] if found else 1), highest + 1
            while low < high:
                middle = (low + high) // 2
                row = original.execute(
                    f"SELECT {own}, at FROM original.{table.name} WHERE {own} >= ? ORDER BY {own} LIMIT 1", (middle,)
                ).fetchone()
                if row is None or row[1] >= start:
                    high = middle
                else:
                    low = row[0] + 1
            found.append(low)
    else:
        parent, column = next((target, each.name) for each in table.c if (target := target_of(each)) is not None)
        bounds = known[parent.name]
        for bound in bounds[:-1]:
            least = f"SELECT {own} FROM original.{table.name} WHERE {column} >= ? ORDER BY {column}, {own} LIMIT 1"
            first = (original.execute(least, (bound,)).fetchone() or (highest + 1,))[0]
            found.append(max(first, found[-1] if found else 1))
    return [1, *found[1:], highest + 1]


def _keep(original: sqlite3.Connection, table: Table, bounds: list[int], copies: int) -> None:
    """The bursts of a table, and what its ids become."""
    name, own = table.name, numbered(table)
    original.execute(f"CREATE TEMP TABLE bursts_{name} (first INTEGER PRIMARY KEY, size INTEGER)")
    pairs = [(one, two - one) for one, two in pairwise(bounds) if two > one]
    original.executemany(f"INSERT INTO bursts_{name} VALUES (?, ?)", pairs)
    original.execute(f"CREATE TEMP TABLE new_{name} (id INTEGER PRIMARY KEY, base INTEGER, step INTEGER)")
    original.execute(
        f"INSERT INTO new_{name} SELECT t.{own}, (b.first - 1) * {copies} + t.{own} - b.first + 1, b.size"
        f" FROM bursts_{name} b CROSS JOIN original.{name} t WHERE t.{own} BETWEEN b.first AND b.first + b.size - 1"
    )


# ---------------------------------------------------------------- the whole


def multiply(original: Path, engine: Engine, copies: int, *, lean: bool = False) -> Plan:
    """Writes ``copies`` copies of an SQLite ledger into an empty, migrated one.

    Args:
        original: the file.
        engine: where to.
        copies: how many.
        lean: without what no question looks at.

    Raises:
        NobodySaidError: the tables have something new.
    """
    how = [each for table in tables.metadata.sorted_tables if (each := copied(table)) is not None]
    how = [each for each in how if not (lean and each.table.name in LEAN)]
    write = _into_sqlite if engine.dialect.name == "sqlite" else _into_postgresql
    with _told("all"):
        return write(original, engine, copies, how, lean=lean)


@contextmanager
def _told(what: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    if seconds >= 1:
        print(f"{what}: {seconds:,.1f} s", file=sys.stderr, flush=True)


def _opened(connection: sqlite3.Connection, original: Path, copies: int, *, lean: bool) -> Plan:
    """The original, attached, and what copying it needs."""
    connection.execute("ATTACH DATABASE ? AS original", (str(original),))
    Fresh(copies).add_to(connection)
    connection.execute("PRAGMA temp.cache_size = -200000")
    connection.execute("BEGIN")  # of the temporary tables alone: the original is only read
    made = plan(connection, copies, lean=lean)
    connection.execute("COMMIT")
    return made


def _into_sqlite(original: Path, engine: Engine, copies: int, how: list[Copied], *, lean: bool) -> Plan:
    """In the order of keys, so that no index is written here and there; other indexes afterwards.

    A process of its own makes the text index meanwhile.
    """
    beside = Path(f"{engine.url.database}.text")
    helper = multiprocessing.get_context("spawn").Process(target=index_beside, args=(original, beside, copies))
    helper.start()
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        for pragma in (
            *("journal_mode = DELETE", "journal_mode = OFF", "synchronous = OFF", "foreign_keys = OFF"),
            *("cache_size = -2500000", "threads = 2"),
        ):
            driver.execute(f"PRAGMA {pragma}").fetchall()
        made = _opened(driver, original, copies, lean=lean)
        kept = driver.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY tbl_name"
        ).fetchall()
        for name, _ in kept:
            driver.execute(f"DROP INDEX {name}")
        for each in how:
            with _told(each.table.name):  # one statement is one transaction; SQLAlchemy's would lock the original, too
                names = ", ".join(f'"{name}"' for name in each.columns)
                driver.execute(f"INSERT INTO main.{each.table.name} ({names}) {statement(each, made, ordered=True)}")
        for name, sql in kept:
            with _told(name):
                driver.execute(sql)
        driver.execute("DETACH DATABASE original")
        _count_days(connection)
        with _told("search_text"):
            helper.join()
            assert helper.exitcode == 0, "the text index was not made"
            _take_index(connection, beside)
        _index_mails(connection)
        _go_on(connection)
        driver.execute("PRAGMA journal_mode = DELETE").fetchall()
    engine.dispose()
    return made


def _into_postgresql(original: Path, engine: Engine, copies: int, how: list[Copied], *, lean: bool) -> Plan:
    """By COPY into bare tables, frozen; keys and indexes afterwards."""
    with engine.connect() as connection, closing(sqlite3.connect(":memory:", isolation_level=None)) as source:
        driver: Any = connection.connection.driver_connection
        made = _opened(source, original, copies, lean=lean)
        with connection.begin():
            constraints, indexes = _bared(driver)
        for each in how:
            with _told(each.table.name), connection.begin():
                name = each.table.name
                names = ", ".join(f'"{column}"' for column in each.columns)
                driver.execute(f"TRUNCATE {name}")
                with driver.cursor() as cursor, cursor.copy(f"COPY {name} ({names}) FROM STDIN (FREEZE)") as copy:
                    for row in source.execute(statement(each, made)):
                        copy.write_row(row)
        _dress(connection, constraints, indexes)
        with connection.begin():
            for table in made.ranges:
                own = numbered(tables.metadata.tables[table])
                driver.execute(_SEQUENCE.format(table=table, own=own))
        _count_days(connection)
        with _told("search_text"):
            _index_text(connection)
        _index_mails(connection)
        with _told("ix_search_text"), connection.begin():
            search_tables.make_trigram_index(connection)
        _go_on(connection)
        driver.execute("SET session_replication_role = origin")
        driver.commit()
        driver.autocommit = True
        with _told("vacuum"):
            driver.execute("VACUUM (ANALYZE)")
        driver.autocommit = False
    engine.dispose()
    return made


def _bared(driver: Any) -> tuple[list[Any], list[Any]]:
    """Takes all constraints and indexes away, and says which they were."""
    for sql in ("session_replication_role = replica", "maintenance_work_mem = '1500MB'"):
        driver.execute(f"SET {sql}")
    constraints = driver.execute(_CONSTRAINTS).fetchall()
    for table, name, *_ in constraints:
        driver.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    indexes = driver.execute(_INDEXES).fetchall()
    for name, _ in indexes:
        driver.execute(f"DROP INDEX {name}")
    return constraints, indexes


def _dress(connection: Connection, constraints: list[Any], indexes: list[Any]) -> None:
    """Makes them again, but for the text index. The copies are whole: nobody need look up each foreign key."""
    driver: Any = connection.connection.driver_connection
    keys = [
        (name, f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {sql}')
        for table, name, kind, sql in constraints
        if kind != "f"
    ]
    for name, sql in (*keys, *indexes):
        if name != "ix_search_text":
            with _told(name), connection.begin():
                driver.execute(sql)
    with connection.begin():
        for table, name, kind, sql in constraints:
            if kind == "f":
                driver.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {sql} NOT VALID')
        driver.execute("UPDATE pg_constraint SET convalidated = true WHERE NOT convalidated")


_CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, contype::text, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f') AND conrelid <> 'alembic_version'::regclass
ORDER BY contype = 'f' DESC, 1, 2
"""
_INDEXES = """
SELECT i.relname, pg_get_indexdef(x.indexrelid) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
WHERE i.relnamespace = 'public'::regnamespace AND x.indrelid <> 'alembic_version'::regclass ORDER BY x.indrelid, 1
"""
_SEQUENCE = """
SELECT setval(found, greatest((SELECT max({own}) FROM {table}), 1))
FROM pg_get_serial_sequence('{table}', '{own}') found WHERE found IS NOT NULL
"""


def _count_days(connection: Connection) -> None:
    """The daily counts, from the rows."""
    with _told("daily_count"):
        with connection.begin():
            months = daily.months(connection)
        for month in months:
            with connection.begin():
                daily.rebuild(connection, month)


def _go_on(connection: Connection) -> None:
    """The next event has a number of its own; the tree begins with it."""
    with connection.begin():
        following = connection.exec_driver_sql("SELECT coalesce(max(seq), 0) + 1 FROM event").scalar_one()
        connection.execute(tables.tree_head.update().values(next_seq=following, first_seq=following))


def _index_text(connection: Connection) -> None:
    """All exchanges into the empty text index, as ``text.rebuild`` does it, many at a time."""
    with connection.begin():
        highest = connection.exec_driver_sql("SELECT coalesce(max(id), 0) FROM exchange").scalar_one()
    names = [each.name for each in text._EXCHANGE]
    columns = ", ".join(f'"{name}"' for name in names)
    for first in range(1, highest + 1, _AT_ONCE):
        span = f"BETWEEN {first} AND {first + _AT_ONCE - 1}"
        with connection.begin():
            keys: dict[int, list[str]] = {}
            for owner, value in bulk.tuples(
                connection, f"SELECT exchange, value FROM business_key WHERE exchange {span}"
            ):
                keys.setdefault(owner, []).append(value)
            found = bulk.tuples(connection, f"SELECT {columns} FROM exchange WHERE id {span} ORDER BY id")
            rows = [dict(zip(names, row, strict=True)) for row in found]
            text._add(connection, [marks.of_exchange(row, keys.get(row["id"], ())) for row in rows])


def _index_mails(connection: Connection) -> None:
    """Those that no exchange speaks for."""
    with connection.begin():
        alone = list(bulk.tuples(connection, _ALONE))
    for start in range(0, len(alone), _AT_ONCE):
        with connection.begin():
            text.index_mails(connection, [row[0] for row in alone[start : start + _AT_ONCE]])


def index_beside(original: Path, file: Path, copies: int) -> None:
    """The text index of the exchanges of all copies, in a file of its own, while the copies themselves are written."""
    file.unlink(missing_ok=True)
    how = copied(tables.exchange)
    assert how is not None
    names = [each.name for each in text._EXCHANGE]
    keys = "(SELECT json_group_array(fresh_text(value, c.k)) FROM original.business_key WHERE exchange = t.id)"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for pragma in ("page_size = 8192", "journal_mode = OFF", "synchronous = OFF", "cache_size = -500000"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        made = _opened(connection, original, copies, lean=False)
        connection.execute(search_tables.FULL_TEXT)
        some = replace(how, columns={name: how.columns[name] for name in names} | {"keys": keys})
        with closing(connection.cursor()) as found:
            found.execute(statement(some, made))
            while rows := found.fetchmany(_AT_ONCE):
                connection.execute("BEGIN")
                known = [
                    marks.as_columns(marks.of_exchange(dict(zip(names, row[:-1], strict=True)), json.loads(row[-1])))
                    for row in rows
                ]
                connection.executemany(text._INSERT, known)
                connection.execute("COMMIT")


def _take_index(connection: Connection, file: Path) -> None:
    """Puts the text index that ``index_beside`` made in the place of the empty one."""
    driver: Any = connection.connection.driver_connection
    driver.execute("ATTACH DATABASE ? AS beside", (str(file),))
    with connection.begin():
        for name in ("search_text_data", "search_text_idx"):
            driver.execute(f"DELETE FROM main.{name}")
            driver.execute(f"INSERT INTO main.{name} SELECT * FROM beside.{name}")
    driver.execute("DETACH DATABASE beside")
    file.unlink()


_ALONE = """
SELECT id FROM message m WHERE NOT EXISTS (SELECT 1 FROM exchange x WHERE x.message = m.id) OR state = 'quarantined'
ORDER BY id
"""


# ---------------------------------------------------------------- how a load goes on


def continued(kept: tuple[Any, ...], made: Plan) -> tuple[Any, ...]:
    """What a load of the original kept, as if it had loaded all copies: each of them goes on."""
    world, (submitted, came, serial), turns, before = kept
    copies = made.copies
    jobs, world.jobs = world.jobs, []
    for k in range(copies):
        for job in jobs:
            if job.fate == "duplicate" and k:
                continue  # of copy 0 alone the bytes are known that came
            papers = tuple(_fresh_paper(paper, copies, k) for paper in job.papers)
            about = made.new("exchange", job.about, k) if job.about else 0
            world.plan(job.due + k * made.shift, job.way, job.trader, papers, about, job.fate)
    for trader in world.traders:
        trader.sent *= copies
        for counter in (trader.groups, trader.counters):
            for name in counter:
                counter[name] *= copies
    world.now += (copies - 1) * made.shift
    world.pace /= copies
    world.rarity /= copies
    submitted = {made.new("exchange", number, k): trader for number, trader in submitted.items() for k in range(copies)}
    came = {made.new("exchange", number, 0): case for number, case in came.items()}
    exchanges = before.exchanges * copies
    return world, (submitted, came, serial * copies), turns, Clocks(exchanges=exchanges, found=exchanges)


def _fresh_paper(paper: Paper, copies: int, k: int) -> Paper:
    fresh = Fresh(copies)
    return replace(paper, keys=tuple((name, fresh.fresh_text(value, k)) for name, value in paper.keys))
