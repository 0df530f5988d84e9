"""Opening the ledger's database, its transactions, and its failures in words."""

from __future__ import annotations

import builtins
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest
from builders import ledger_rows as make
from servers import need
from sqlalchemy import func, literal, make_url, select, text
from sqlalchemy.exc import IntegrityError

from gateway.errors import ConfigurationFault, DatabaseConflict, DatabaseEncoding, DatabaseUnavailable, NotInstalled
from gateway.flow.check_machine import check_encoding
from gateway.ledger import database, tables
from gateway.ledger.backup_files import Nobody
from gateway.ledger.database import open_engine, reading, revision, upgrade, writing
from gateway.ledger.postgres_sessions import PARAMETERS
from gateway.ledger.recording import Ledger
from gateway.ledger.restore_postgres import PostgresPlace
from gateway.ledger.secrets import Secrets, make_key
from gateway.ledger.walking import steer

pytestmark = pytest.mark.integration


def exchanges(connection) -> int:
    return connection.execute(select(func.count()).select_from(tables.exchange)).scalar_one()


@pytest.fixture
def sqlite(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'deep' / 'down' / 'ledger.db'}")
    upgrade(engine)
    yield engine
    engine.dispose()


def test_sqlite_keeps_a_commit_through_a_power_cut_and_checks_foreign_keys(sqlite):
    with writing(sqlite) as connection:
        told = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("synchronous", "foreign_keys")}
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    assert told == {"synchronous": 2, "foreign_keys": 1}  # 2: FULL
    with pytest.raises(IntegrityError), writing(sqlite) as connection:
        make.exchange(connection, message=404)


def test_foreign_keys_are_on_again_after_a_migration(sqlite):
    upgrade(sqlite)
    with reading(sqlite) as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_block_that_raises_leaves_nothing_behind(ledger_engine):
    def fail() -> None:
        with writing(ledger_engine) as connection:
            make.exchange(connection)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with reading(ledger_engine) as connection:
        assert exchanges(connection) == 0


def test_a_reader_sees_one_moment_and_blocks_nobody(ledger_engine):
    with reading(ledger_engine) as reader:
        assert exchanges(reader) == 0
        with writing(ledger_engine) as writer:
            make.exchange(writer)
        assert exchanges(reader) == 0
    with reading(ledger_engine) as reader:
        assert exchanges(reader) == 1


def test_writers_that_read_first_wait_for_each_other_and_lose_nothing(ledger_engine):
    """With a BEGIN that takes its lock at the first write, most of these fail on SQLite."""
    with writing(ledger_engine) as connection:
        make.insert(connection, tables.batch, id=1, started_at=0)

    def add() -> None:
        for _ in range(10):
            with writing(ledger_engine) as connection:
                seen = select(tables.batch.c.started_at).where(tables.batch.c.id == 1)
                row = connection.execute(seen.with_for_update()).scalar_one()
                connection.execute(tables.batch.update().values(started_at=row + 1))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    with reading(ledger_engine) as connection:
        assert connection.execute(select(tables.batch.c.started_at)).scalar_one() == 40


def test_a_reader_cannot_write_on_postgresql(postgres):
    engine = open_engine(postgres.fresh_database())
    upgrade(engine)
    with pytest.raises(DatabaseUnavailable, match="it is read-only"), reading(engine) as connection:
        make.exchange(connection)
    engine.dispose()


def test_two_processes_may_upgrade_at_once(ledger_url):
    engines = [open_engine(ledger_url) for _ in range(2)]
    faults: list[BaseException] = []

    def run(engine) -> None:
        try:
            upgrade(engine)
        except BaseException as problem:  # noqa: BLE001 - told by the assertion below
            faults.append(problem)

    # alembic keeps its context in a module, so the second upgrade is held at the lock by a real writer instead
    with writing(engines[0]):
        waiting = threading.Thread(target=run, args=(engines[1],))
        waiting.start()
        time.sleep(0.2)
    waiting.join()
    run(engines[0])
    assert faults == []
    assert database.revision(engines[0]) == database.newest()
    for each in engines:
        each.dispose()


# ---------------------------------------------------------------- failures in words


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("not a url", "not of the form"),
        ("mysql://u:hush@h/d", "mysql is not supported"),
        ("sqlite://", "a ledger in memory would be lost"),
        ("sqlite:///:memory:", "a ledger in memory would be lost"),
        ("postgresql://u:hush@h:port/d", "not of the form"),
        ("", "not of the form"),
    ],
)
def test_a_url_that_cannot_be_used_is_explained(url, said):
    with pytest.raises(ConfigurationFault, match=said) as caught:
        open_engine(url)
    assert "hush" not in str(caught.value)


def test_postgresql_without_its_driver_names_the_package(monkeypatch):
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "psycopg":
            raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(NotInstalled) as caught:
        open_engine("postgresql://localhost/ledger")
    assert caught.value.details["extra"] == "postgres"


def test_a_locked_database_says_so(sqlite, monkeypatch):
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 50)
    impatient = open_engine(str(sqlite.url))
    other = sqlite3.connect(sqlite.url.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable, match="another process keeps it locked"), writing(impatient):
        pass
    other.close()
    with writing(impatient) as connection:
        make.exchange(connection)
    impatient.dispose()


def test_a_full_disk_says_so_and_nothing_is_half_written(sqlite):
    with reading(sqlite) as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()

    def write() -> None:
        with writing(sqlite) as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            make.exchange(connection)
            connection.execute(tables.content.insert().values(sha256="x", size=1, at=1, bytes=b"x" * 1_000_000))

    with pytest.raises(DatabaseUnavailable, match="the disk is full"):
        write()
    with reading(sqlite) as connection:
        assert exchanges(connection) == 0


def test_a_file_that_is_no_database_says_so(tmp_path):
    (tmp_path / "ledger.db").write_bytes(b"this is a letter, not a ledger\n" * 50)
    with pytest.raises(DatabaseUnavailable, match="not an SQLite database"):
        database.revision(open_engine(f"sqlite:///{tmp_path / 'ledger.db'}"))


def test_a_directory_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnavailable, match="cannot be made"):
        open_engine(f"sqlite:///{tmp_path / 'file' / 'ledger.db'}")


def test_a_database_that_was_never_migrated_says_so(ledger_url):
    engine = open_engine(ledger_url)
    with pytest.raises(DatabaseUnavailable, match="it was never migrated"), reading(engine) as connection:
        exchanges(connection)
    engine.dispose()


def test_a_server_that_is_not_there_says_so_without_the_password():
    engine = open_engine(f"postgresql://gateway:hush@127.0.0.1:{need.free_port()}/ledger")
    with pytest.raises(DatabaseUnavailable, match="cannot be reached") as caught, writing(engine):
        pass
    assert "hush" not in str(caught.value.as_dict())


def test_a_refused_login_says_so_without_the_password(postgres):
    url = postgres.url().replace(postgres.password.replace(" ", "%20"), "hush")
    for each in (url, url.replace(":hush@", "@") + "?password=hush"):
        engine = open_engine(each)
        with pytest.raises(DatabaseUnavailable, match=r"login|authentication") as caught, writing(engine):
            pass
        assert "hush" not in str(caught.value.as_dict())
        engine.dispose()


def test_a_database_that_does_not_exist_says_so(postgres):
    engine = open_engine(postgres.url("nowhere"))
    with pytest.raises(DatabaseUnavailable, match='database "nowhere" does not exist'), writing(engine):
        pass
    engine.dispose()


def test_a_commit_on_postgresql_is_durable_even_where_the_server_is_set_to_forget(postgres):
    url = postgres.fresh_database()
    engine = open_engine(url)
    with writing(engine) as connection:
        name = engine.url.database
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    engine.dispose()
    with writing(engine) as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    engine.dispose()


OTHERWISE = {
    "standard_conforming_strings": "off",
    "datestyle": "'German, DMY'",
    "intervalstyle": "sql_standard",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "client_encoding": "LATIN1",
    "default_transaction_isolation": "serializable",
    "idle_session_timeout": "100",
}


def test_what_an_administrator_sets_changes_neither_what_a_statement_means_nor_what_a_transaction_sees(postgres):
    """With standard_conforming_strings off a whole verification took a sound ledger for a changed one."""
    url = postgres.fresh_database()
    with psycopg.connect(url, autocommit=True) as connection:
        for name, value in OTHERWISE.items():
            connection.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET {name} = {value}")
    engine = open_engine(url)
    with reading(engine) as connection:
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "repeatable read"
    with writing(engine) as connection:
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "read committed"
        assert connection.execute(text(r"SELECT '\' || :more"), {"more": "☃"}).scalar() == "\\☃"
        escaped = literal("a_b").like("a\\_b", escape="\\")
        assert connection.execute(select(escaped)).scalar() is True
        assert connection.exec_driver_sql("SELECT now()").scalar()
        shown = {name: connection.exec_driver_sql(f"SHOW {name}").scalar() for name in OTHERWISE}
    assert shown == {
        "standard_conforming_strings": "on",
        "datestyle": "ISO, DMY",
        "intervalstyle": "postgres",
        "array_nulls": "on",
        "transform_null_equals": "off",
        "client_encoding": "UTF8",
        "default_transaction_isolation": "serializable",  # every transaction says what it is
        "idle_session_timeout": "100ms",  # theirs; a connection that was ended is replaced
    }
    engine.dispose()
    with psycopg.connect(url, options=PARAMETERS) as connection:
        asked = ("transaction_isolation", "standard_conforming_strings", "datestyle", "idle_session_timeout")
        found = [connection.execute(f"SHOW {name}").fetchone()[0] for name in asked]
    assert found == ["read committed", "on", "ISO, MDY", "0"]


def test_a_database_that_the_server_keeps_read_only_says_so_also_after_a_look(postgres):
    url = postgres.fresh_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET default_transaction_read_only = on")
    engine = open_engine(url)
    with reading(engine) as connection:
        connection.exec_driver_sql("SELECT 1")
    with pytest.raises(DatabaseUnavailable, match="it is read-only"), writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE tried (n int)")
    engine.dispose()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"password": "wrong"}, "the login was refused"),
        ({"username": "nobody"}, "the login was refused"),
        ({"username": "crowded", "password": "x"}, "the server has no connection left"),
        ({"database": "elsewhere"}, "there is no such database on the server"),
        ({"port": 1}, "the server cannot be reached"),
    ],
)
def test_why_a_server_takes_no_connection_is_told(postgres, wrong, told):
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS crowded")
        connection.execute("CREATE ROLE crowded LOGIN PASSWORD 'x' CONNECTION LIMIT 0")
    engine = open_engine(make_url(postgres.url()).set(**wrong).render_as_string(hide_password=False))
    with pytest.raises(DatabaseUnavailable, match=f"cannot be used: {told} "), reading(engine):
        pass
    engine.dispose()


def test_of_two_that_keep_the_same_secret_at_once_neither_fails_and_the_key_of_seals_is_the_first(
    postgres, migrated_template, tmp_path
):
    """Had both made a key, what one of them sealed would fit no key any more."""
    engine = open_engine(postgres.fresh_database(migrated_template))
    make_key(tmp_path / "key")
    secrets = Secrets(engine, tmp_path / "key", {})
    with ThreadPoolExecutor(2) as pool:
        with writing(engine) as connection:
            for name in ("seal", "smtp"):
                secrets.set(name, "first", "ann", 1, within=connection)
            begun = pool.submit(secrets.begin, "seal", "x", "bob", 2)
            kept = pool.submit(secrets.set, "smtp", "y", "bob", 2)
            until = time.monotonic() + 20
            waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            while connection.execute(waiting).scalar() < 2 and time.monotonic() < until:
                time.sleep(0.01)
        assert (begun.result(), kept.result()) == (False, None)
    assert (secrets.get("seal"), secrets.get("smtp")) == ("first", "y")
    engine.dispose()


def test_a_database_that_cannot_hold_every_text_gets_no_ledger_and_no_backup(postgres, tmp_path):
    """What a server makes that was set up without a locale: a mail in another script would never be taken."""
    url = postgres.fresh_database("template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
    engine = open_engine(url)
    with pytest.raises(DatabaseEncoding, match="SQL_ASCII"):
        upgrade(engine)
    assert [(each.code, each.ok) for each in check_encoding(engine)] == [("database.encoding", False)]
    assert revision(engine) is None
    with closing(PostgresPlace(url, tmp_path, tmp_path)) as place, pytest.raises(DatabaseEncoding, match="SQL_ASCII"):
        place.stage(None, Nobody())
    engine.dispose()
    postgres.drop(url)


def test_a_statement_on_postgresql_is_planned_for_its_values_however_often_it_is_repeated(postgres):
    """A plan for any value may walk a whole table for the one value that an index is there for."""
    engine = open_engine(postgres.fresh_database())
    plan = text("EXPLAIN SELECT * FROM kinds WHERE kind = :kind")
    with writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE kinds AS SELECT 1 AS kind FROM generate_series(1, 20000)")
        connection.exec_driver_sql("CREATE INDEX ON kinds (kind)")
        connection.exec_driver_sql("ANALYZE kinds")
        for _ in range(20):
            connection.execute(plan, {"kind": 1})
        assert "Index" in str(connection.execute(plan, {"kind": 2}).scalar())
        assert connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar() == 0
        # What the server plans for itself, for foreign keys, it may keep.
        assert connection.exec_driver_sql("SHOW plan_cache_mode").scalar() == "auto"
    engine.dispose()


def test_no_statement_on_postgresql_is_compiled_also_after_a_search_had_its_way_of_planning(postgres):
    """Where statistics are missing it compiled a look-up of a hundred rows, for up to 300 ms."""
    engine = open_engine(postgres.fresh_database())
    with reading(engine) as connection:
        assert connection.exec_driver_sql("SHOW jit").scalar() == "off"
        steer(connection, ["seqscan"])
        steer(connection)
        assert connection.exec_driver_sql("SHOW jit").scalar() == "off"
    engine.dispose()


@pytest.mark.parametrize("state", ["40001", "40P01"], ids=["serialization failure", "deadlock"])
def test_a_transaction_that_another_one_was_in_the_way_of_is_done_again_as_a_whole(postgres, state):
    engine = open_engine(postgres.fresh_database())
    upgrade(engine)
    ledger, tries = Ledger(engine, lambda: 1), []

    def work(recorder):
        tries.append(recorder)
        make.exchange(recorder.connection)
        if len(tries) < 3:
            recorder.connection.exec_driver_sql(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$")
        return "done"

    assert ledger.write(work) == "done"
    with reading(engine) as connection:
        assert (len(tries), exchanges(connection)) == (3, 1)
    with pytest.raises(DatabaseConflict), ledger.transaction() as recorder:
        recorder.connection.exec_driver_sql(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$")
    engine.dispose()


def test_a_connection_that_the_server_dropped_is_replaced(postgres):
    engine = open_engine(postgres.fresh_database())
    with writing(engine) as connection:
        process = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    other = open_engine(postgres.url())
    with writing(other) as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend({process})")
    other.dispose()
    with writing(engine) as connection:
        assert connection.exec_driver_sql("SELECT pg_backend_pid()").scalar() != process
    engine.dispose()


def test_a_database_that_may_only_be_read_says_so(sqlite):
    def write() -> None:
        with writing(sqlite) as connection:
            connection.exec_driver_sql("PRAGMA query_only = ON")
            make.exchange(connection)

    with pytest.raises(DatabaseUnavailable, match="it is read-only for this user"):
        write()
