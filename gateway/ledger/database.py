"""The ledger's database: opening it, its transactions, its migrations, and its failures in words.

SQLite (one machine) and PostgreSQL (many workers) give the same answers. Every use of the database goes through
``reading`` or ``writing``, so that it has the right transaction and every failure of the database becomes a
``DatabaseUnavailable`` that says why, without a password.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

import gateway
from gateway.errors import (
    ConfigurationFault,
    DatabaseConflict,
    DatabaseEmpty,
    DatabaseEncoding,
    DatabaseUnavailable,
    DiskFailed,
    GatewayError,
    MigrationsBehind,
    NotInstalled,
)
from gateway.ledger import postgres_sessions
from gateway.ledger.columns import know_postgres, metadata
from gateway.ledger.states import ExchangeState, MessageState
from gateway.ledger.turns import turn

# Else the driver looks each of them up in three places that have nothing, and makes an exception each time.
for _states in (ExchangeState, MessageState):
    sqlite3.register_adapter(_states, str.__str__)

BUSY_TIMEOUT = 30_000  # ms that a SQLite writer waits for another before it gives up
_READ_ONLY = "ledger_read_only"  # execution option: this transaction only reads
_MIGRATION_LOCK = 7_305_997  # PostgreSQL advisory lock: one process migrates, the others wait and find it done
_DISK_FAILED = frozenset({10, 11, 26})  # SQLITE_IOERR, SQLITE_CORRUPT, SQLITE_NOTADB
_SECRET_PARAMETERS = ("password", "sslpassword")

# What SQLite says, and what it means to an operator. First match wins; the texts are those of sqlite3_errstr.
_SQLITE_REASONS = (
    ("database is locked", "another process keeps it locked"),
    ("database table is locked", "another process keeps it locked"),
    ("database or disk is full", "the disk is full"),
    ("disk i/o error", "the disk reports an error (disk I/O error)"),
    ("readonly database", "it is read-only for this user"),
    ("unable to open database file", "the file cannot be opened: look at the path and its permissions"),
    ("file is not a database", "the file is not an SQLite database"),
    ("malformed", "the file is damaged"),
    ("no such table", "it was never migrated: a table is missing"),
    ("no such column", "it is at an older revision: a column is missing"),
)
# The same for PostgreSQL: the class or code of SQLSTATE (PostgreSQL manual, appendix A). Longest match wins.
_SQLSTATES = {
    "28": "the login was refused",
    "3D000": "there is no such database on the server",
    "42501": "this user lacks a right",
    "42P01": "it was never migrated: a table is missing",
    "42703": "it is at an older revision: a column is missing",
    "53100": "the disk is full",
    "53200": "the server is out of memory",
    "53300": "the server has no connection left",
    "55P03": "another process keeps a row locked",
    "22P05": "a text has characters that the database's encoding cannot hold",
    "25P03": "the server ended a transaction in which nothing was asked for too long",
    "40001": "another transaction was at work at the same time",
    "40P01": "another transaction was at work at the same time (deadlock)",
    "57014": "the statement was cancelled or took too long",
    "57P05": "the server ended a session in which nothing was asked for too long",
    "57P": "the server is shutting down or starting up",
    "58": "the server reports an error of its disk or system",
    "XX": "the server reports damage or an internal error",
    "25006": "it is read-only",
}
# A server that refuses a connection gives no SQLSTATE to the driver, only words; first match wins.
_REFUSALS = (
    ("authentication failed", _SQLSTATES["28"]),
    ("no pg_hba.conf entry", _SQLSTATES["28"]),
    ("too many", _SQLSTATES["53300"]),
    ("connection slots", _SQLSTATES["53300"]),
    ("role ", _SQLSTATES["28"]),
    ("does not exist", _SQLSTATES["3D000"]),
    ("starting up", _SQLSTATES["57P"]),
    ("shutting down", _SQLSTATES["57P"]),
    ("", "the server refuses the connection"),
)
_CONFLICTS = ("40001", "40P01")  # the same transaction may well succeed when it is done again


def open_engine(url: str) -> Engine:
    """An engine for ``sqlite:///path`` or ``postgresql://user:password@host/database``; nothing is connected yet.

    For SQLite the directory is made where it is missing. The file itself is made by the first ``upgrade``.

    Raises:
        ConfigurationFault: the url is not understood, or names a database in memory or of another kind.
        NotInstalled: PostgreSQL without the psycopg package.
        DatabaseUnavailable: the directory of the file cannot be made.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise ConfigurationFault(
            reason="database url: it is not of the form sqlite:///path or postgresql://…"
        ) from None
    kind = parsed.drivername.partition("+")[0]
    if kind == "sqlite":
        return _sqlite(parsed)
    if kind in {"postgresql", "postgres"}:
        return _postgresql(parsed.set(drivername="postgresql+psycopg"))
    raise ConfigurationFault(reason=f"database url: {kind} is not supported, only sqlite and postgresql are")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads, of one moment: what others commit meanwhile is not seen, nobody is blocked.

    Raises:
        DatabaseUnavailable: with the reason.
    """
    options: dict[str, Any] = {_READ_ONLY: True}
    if engine.dialect.name == "postgresql":
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with guarded(engine), engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: durable when the block ends well, undone when it raises.

    SQLite takes the write lock at once (BEGIN IMMEDIATE), waiting up to ``BUSY_TIMEOUT``; with a lock taken at the
    first write, two transactions that both have read would fail each other.

    Raises:
        DatabaseUnavailable: with the reason.
        sqlalchemy.exc.IntegrityError: a constraint was broken; callers that expect it catch it.
    """
    with turn(engine), guarded(engine), engine.begin() as connection:
        yield connection


@contextmanager
def guarded(engine: Engine) -> Iterator[None]:
    """Turns failures of the database into ``DatabaseUnavailable``; our own faults and broken constraints pass."""
    try:
        yield
    except (GatewayError, IntegrityError):
        raise
    except DBAPIError as problem:
        if getattr(problem.orig, "sqlite_errorcode", 0) & 0xFF in _DISK_FAILED:
            # After a failed sync the kernel calls its pages clean: what this handle believes may be nowhere.
            engine.dispose()
            raise DiskFailed(reason=_reason(problem), url=shown(engine.url)) from problem
        fault = DatabaseConflict if getattr(problem.orig, "sqlstate", None) in _CONFLICTS else DatabaseUnavailable
        raise fault(reason=_scrubbed(_reason(problem), engine.url), url=shown(engine.url)) from problem
    except (PoolTimeout, OSError) as problem:
        raise DatabaseUnavailable(reason=_scrubbed(str(problem), engine.url), url=shown(engine.url)) from problem


def settle(engine: Engine) -> None:
    """What a process that died left in SQLite's write-ahead log is written into the database, and synced, now.

    The log may hold a commit whose sync failed: read back from memory it looks whole, and the disk never had it.
    Nothing may be built upon it before the disk has it for good.

    Raises:
        DatabaseUnavailable: with the reason.
    """
    if engine.dialect.name != "sqlite" or not Path(f"{engine.url.database}-wal").exists():
        return
    with guarded(engine), engine.connect() as connection:
        try:
            # PASSIVE waits for no reader: what one still looks at is synced by a later one.
            _driver(connection).execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as problem:
            raise DBAPIError("PRAGMA wal_checkpoint", None, problem) from problem


def shown(url: URL) -> str:
    """The url for people and logs: passwords are ``***``."""
    hidden = {key: "***" for key in _SECRET_PARAMETERS if key in url.query}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


# ---------------------------------------------------------------- migrations


def migrations_directory() -> Path:
    """Where the migration scripts are: packaged beside the code, or at the top of the source tree.

    Raises:
        ConfigurationFault: they are in neither place.
    """
    package = Path(gateway.__file__).parent
    for place in (package / "migrations", package.parent / "migrations"):
        if (place / "env.py").is_file():
            return place
    raise ConfigurationFault(reason="the migration scripts are missing from this installation")


def upgrade(engine: Engine, wanted: str = "head") -> None:
    """Brings the database to revision ``wanted`` (the newest), from empty or any earlier one, in one transaction.

    Raises:
        DatabaseUnavailable: with the reason; nothing was changed.
        ConfigurationFault: the database is at a revision that this gateway does not know.
        DatabaseEncoding: it is empty, and cannot hold every text.
    """
    # Slow to import, and most commands never migrate.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    from gateway.ledger import tree  # noqa: PLC0415 - knows all tables, which this module need not

    config = Config()
    config.set_main_option("script_location", str(migrations_directory()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    found = revision(engine)
    _refuse_unknown(found)
    if found is None and (encoding := narrow_encoding(engine)):
        raise DatabaseEncoding(encoding=encoding)
    with guarded(engine), _migrating(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, wanted)
        if wanted in {"head", newest()}:
            tree.adopt(connection, int(time.time() * 1000))


def revision(engine: Engine) -> str | None:
    """The revision that the database is at; None where it is empty, or there is no file: a look makes none.

    Raises:
        DatabaseUnavailable: with the reason.
    """
    if engine.dialect.name == "sqlite" and not Path(str(engine.url.database)).exists():
        return None
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def narrow_encoding(engine: Engine) -> str | None:
    """The encoding of a database that cannot hold every text; None where it can.

    Raises:
        DatabaseUnavailable: with the reason.
    """
    if engine.dialect.name != "postgresql":
        return None
    with reading(engine) as connection:
        encoding = str(connection.exec_driver_sql("SHOW server_encoding").scalar())
    return None if encoding == "UTF8" else encoding


def newest() -> str:
    """The revision that this gateway needs."""
    return revisions()[-1]


def revisions() -> tuple[str, ...]:
    """All revisions, oldest first: the history is one line, and each file is named ``<revision>_<what>.py``."""
    scripts = (migrations_directory() / "versions").glob("[0-9]*_*.py")
    return tuple(sorted(script.name.partition("_")[0] for script in scripts))


def check(engine: Engine) -> None:
    """Says nothing when the database is at the newest revision.

    Raises:
        MigrationsBehind: it is at an earlier one.
        DatabaseEmpty: it is at none.
        ConfigurationFault: it is at one that this gateway does not know.
        DatabaseUnavailable: with the reason.
    """
    found, wanted = existing(engine), newest()
    if found == wanted:
        return
    _refuse_unknown(found)
    raise MigrationsBehind(found=found, wanted=wanted)


def existing(engine: Engine) -> str:
    """The revision of a ledger that is there, whichever it is.

    Raises:
        DatabaseEmpty: it is not.
        DatabaseUnavailable: with the reason.
    """
    found = revision(engine)
    if found is None:
        raise DatabaseEmpty(place=shown(engine.url))
    return found


def _refuse_unknown(found: str | None) -> None:
    if found is not None and found not in revisions():
        raise ConfigurationFault(
            reason=f"the database is at revision {found}, which this gateway does not know: a newer gateway wrote it"
        )


@contextmanager
def _migrating(engine: Engine) -> Iterator[Connection]:
    """A writing transaction in which tables may be rebuilt: foreign keys are checked at its end, not on the way."""
    with engine.connect() as connection:
        on_sqlite = engine.dialect.name == "sqlite"
        if on_sqlite:  # only possible outside of a transaction, so before SQLAlchemy begins one
            _driver(connection).execute("PRAGMA foreign_keys = OFF")
        try:
            with connection.begin():
                if not on_sqlite:
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
                yield connection
                if on_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                    raise DatabaseUnavailable(reason="rows point to rows that do not exist; nothing was changed")
        finally:
            if on_sqlite:
                _driver(connection).execute("PRAGMA foreign_keys = ON")


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


# ---------------------------------------------------------------- engines


def _sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise ConfigurationFault(reason="database url: a ledger in memory would be lost; give sqlite:///path")
    directory = Path(url.database).expanduser().parent
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise DatabaseUnavailable(reason=f"{directory} cannot be made: {problem.strerror}", url=shown(url)) from problem
    engine = _create(url.set(drivername="sqlite", database=str(Path(url.database).expanduser())))
    event.listen(engine, "connect", _sqlite_connected)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_connected(connection: Any, _record: object) -> None:
    # The driver must not begin transactions by itself: _sqlite_begin does, and says which kind.
    connection.isolation_level = None
    for pragma in (
        "page_size = 8192",  # of a new file: mails of 20 KB cost a fifth less than in pages of 4 KB
        f"busy_timeout = {BUSY_TIMEOUT}",
        "journal_mode = WAL",
        "synchronous = FULL",  # NORMAL lost mails in power cuts that were already deleted from the server
        "foreign_keys = ON",
        "cache_size = -20000",  # kB a connection: with the default of 2 MB a big ledger is read again for every row
        "wal_autocheckpoint = 8000",  # pages, 64 MB: collecting 20 KB mails is a quarter faster than with 4 MB
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _sqlite_begin(connection: Connection) -> None:
    only_reads = connection.get_execution_options().get(_READ_ONLY)
    connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")


def _postgresql(url: URL) -> Engine:
    know_postgres(metadata)
    logging.getLogger("psycopg").setLevel(logging.CRITICAL + 1)  # what ends a transaction is a fault, and told as one
    engine = _create(url, **postgres_sessions.OPTIONS)
    # Before SQLAlchemy asks what the server is like: it writes literals by the answer.
    event.listen(engine, "connect", postgres_sessions.connected, insert=True)
    event.listen(engine, "checkout", partial(postgres_sessions.checked, engine))
    return engine


def _create(url: URL, **options: Any) -> Engine:
    try:
        return create_engine(url, **options)
    except ModuleNotFoundError:
        raise NotInstalled(feature="PostgreSQL", package="psycopg", extra="postgres") from None
    except ImportError as problem:
        raise NotInstalled(feature=f"PostgreSQL ({problem})", package="psycopg[binary]", extra="postgres") from None
    except (NoSuchModuleError, SQLAlchemyError, TypeError, ValueError) as problem:
        raise ConfigurationFault(reason=f"database url: {_scrubbed(str(problem), url)}") from None


# ---------------------------------------------------------------- reasons


def _reason(problem: DBAPIError) -> str:
    said = " ".join(str(problem.orig).split()) or type(problem.orig).__name__
    state = getattr(problem.orig, "sqlstate", None)
    if state:
        known = max((code for code in _SQLSTATES if state.startswith(code)), key=len, default="")
        return f"{_SQLSTATES[known]} ({said})" if known else said
    lowered = said.lower()
    for words, meaning in _SQLITE_REASONS:
        if words in lowered:
            return meaning if words.startswith(("database", "disk")) else f"{meaning} ({said})"
    refused = lowered.partition(" fatal: ")[2] if "connection failed" in lowered else ""
    if refused:
        return f"{next(meaning for words, meaning in _REFUSALS if words in refused)} ({said})"
    if "connection" in lowered or "resolve" in lowered:
        return f"the server cannot be reached ({said})"
    return said


def _scrubbed(sentence: str, url: URL) -> str:
    """The sentence without any password of the url."""
    secrets = [url.password, *(url.query.get(key) for key in _SECRET_PARAMETERS)]
    for secret in secrets:
        if isinstance(secret, str) and secret:
            sentence = sentence.replace(secret, "***")
    return sentence
