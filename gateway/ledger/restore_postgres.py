"""A dump put back on PostgreSQL, beside the present ledger, which is touched only when all is ready, and then kept.

A dump names its schema, and the present ledger lies in the same one. So one transaction moves the present tables out of
the way, restores, moves what was restored to a schema of its own, and moves the present ones back. What was restored is
then made ready there, and one last transaction changes the two over. PostgreSQL undoes all of either that was not
committed, whatever ended it.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, Engine, make_url, text

from gateway.errors import BackupUnfit, DatabaseEncoding, HomeInUse, RestoreFailed
from gateway.ledger import backup_postgres
from gateway.ledger import postgres_programs as programs
from gateway.ledger.backup_files import MEGABYTE, Watcher
from gateway.ledger.backup_manifest import Manifest
from gateway.ledger.backup_postgres import schema_of, server_version, strangers
from gateway.ledger.database import guarded, narrow_encoding, open_engine, reading, writing
from gateway.ledger.postgres_programs import Program, ProgramFailedError
from gateway.ledger.postgres_schemas import identifier, looking_at, move

STAGED = "ledger_restoring"  # the schema in which a restored ledger is made ready
_HELD = "ledger_restoring_held"  # where the present one is, for as long as the first transaction runs
_LOCK_TIMEOUT = "10s"
_CHUNK = 1 << 20

_AT_WORK = """
SELECT holder FROM {table} WHERE until > extract(epoch FROM clock_timestamp()) * 1000 ORDER BY until DESC LIMIT 1
"""


class PostgresPlace:
    """Where a ledger on PostgreSQL is restored to.

    Args:
        url: of the database, with its password.
        home: for what is said to people.
        backup: for what is said to people.
    """

    def __init__(self, url: str, home: Path, backup: Path) -> None:
        self._url = make_url(url)
        self._home = home
        self._backup = backup
        self._engine = open_engine(url)

    @contextmanager
    def present(self) -> Iterator[Engine | None]:
        """The ledger that is there; None where there is none."""
        with reading(self._engine) as connection:
            there = connection.execute(text("SELECT to_regclass('alembic_version')")).scalar() is not None
        yield self._engine if there else None

    def stage(self, manifest: Manifest, watcher: Watcher) -> str:
        """Restores beside the present ledger; gives the url of what was restored.

        Raises:
            BackupUnfit, DatabaseEncoding, ProgramMissing, ProgramTooOld: it cannot be restored here.
            HomeInUse: somebody works on the ledger.
            RestoreFailed: with the reason; nothing was changed.
        """
        if encoding := narrow_encoding(self._engine):
            raise DatabaseEncoding(encoding=encoding)
        self.discard()
        dump = self._backup / manifest.ledger.name
        with reading(self._engine) as connection:
            self._refuse_at_work(connection)
            self._refuse_strangers(connection)
            wanted = int(server_version(connection).partition(".")[0])
            present, extensions = schema_of(connection), _extensions(connection)
        try:
            with tempfile.TemporaryDirectory() as directory:
                chosen = Path(directory) / "list"
                reader = backup_postgres.reader(dump)
                shell = programs.find("psql", wanted, "restore the database")
                chosen.write_text(backup_postgres.chosen(reader, dump, extensions))
                schema = manifest.schema or present
                _pour(self._engine, shell, reader, dump, chosen, _head(schema), _tail(schema), watcher)
        except ProgramFailedError as problem:
            raise RestoreFailed(path=self._backup, reason=str(problem)) from problem
        return self.staged_url(present)

    def staged_url(self, present: str) -> str:
        """The url of the ledger in its schema of its own; what extensions made stays in sight."""
        return looking_at(self._url, STAGED, present)

    def aside(self, stamp: str) -> str:
        """The schema in which the present ledger is kept when it is replaced; empty where there is none."""
        with self.present() as engine:
            if engine is None:
                return ""
        with reading(self._engine) as connection:
            taken = set(connection.execute(text("SELECT nspname FROM pg_namespace")).scalars())
        name, number = f"ledger_replaced_{stamp}", 1
        while name in taken:
            number += 1
            name = f"ledger_replaced_{stamp}_{number}"
        return name

    def take(self, kept: str) -> None:
        """Changes the two over: what was staged is the ledger from now on, and the present one is kept.

        Args:
            kept: the schema that it goes to, from ``aside``.

        Raises:
            HomeInUse, DatabaseUnavailable: nothing was changed.
        """
        with writing(self._engine) as connection:
            connection.execute(text("SELECT set_config('lock_timeout', :most, true)"), {"most": _LOCK_TIMEOUT})
            present = schema_of(connection)
            self._refuse_at_work(connection)
            if kept:
                connection.exec_driver_sql(f"CREATE SCHEMA {identifier(kept)}")
                connection.execute(text(move(present, kept)))
            connection.execute(text(move(STAGED, present)))
            connection.exec_driver_sql(f"DROP SCHEMA {STAGED}")
        self._analyze(present)

    def discard(self) -> None:
        """What was staged goes."""
        with writing(self._engine) as connection:
            connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {STAGED} CASCADE")

    def close(self) -> None:
        """Lets go of the database."""
        self._engine.dispose()

    def _analyze(self, schema: str) -> None:
        """Nothing is known yet of how the rows are spread; the planner would guess."""
        with guarded(self._engine), self._engine.connect() as plain:
            connection = plain.execution_options(isolation_level="AUTOCOMMIT")
            wanted = text(
                "SELECT relname FROM pg_class WHERE relnamespace = CAST(:schema AS regnamespace) AND relkind = 'r'"
            )
            for name in connection.execute(wanted, {"schema": schema}).scalars().all():
                connection.exec_driver_sql(f"ANALYZE {identifier(schema)}.{identifier(name)}")

    def _refuse_at_work(self, connection: Connection) -> None:
        for table in ("lease", "claim"):
            if connection.execute(text("SELECT to_regclass(:name)"), {"name": table}).scalar() is not None:
                holder = connection.execute(text(_AT_WORK.format(table=table))).scalar()
                if holder is not None:
                    raise HomeInUse(path=self._home, holder=f"a worker ({holder})")

    def _refuse_strangers(self, connection: Connection) -> None:
        if found := strangers(connection):
            reason = f"its schema {schema_of(connection)} holds tables that are not the gateway's: {', '.join(found)}"
            raise BackupUnfit(path=self._backup, reason=reason)


# ---------------------------------------------------------------- restoring


def _head(schema: str) -> str:
    name = identifier(schema)
    return "\n".join(
        [
            "BEGIN;",
            f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}';",
            f"CREATE SCHEMA IF NOT EXISTS {name};",
            f"CREATE SCHEMA {_HELD};",
            f"CREATE SCHEMA {STAGED};",
            move(schema, _HELD),
            "",
        ]
    )


def _tail(schema: str) -> str:
    return "\n".join([move(schema, STAGED), move(_HELD, schema), f"DROP SCHEMA {_HELD};", "COMMIT;", ""])


def _extensions(connection: Connection) -> list[str]:
    return list(connection.execute(text("SELECT extname FROM pg_extension")).scalars())


def _pour(
    engine: Engine, shell: Program, reader: Program, dump: Path, chosen: Path, head: str, tail: str, watcher: Watcher
) -> None:
    """One transaction of psql: the head, what pg_restore writes, and the tail, if pg_restore came to its end.

    Raises:
        ProgramFailedError: nothing was committed.
    """
    where, secret = programs.conninfo(engine)
    restoring = [reader.path, "--no-owner", "--no-privileges", "--no-comments", f"--use-list={chosen}", "--file=-"]
    doing = [shell.path, "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", f"--dbname={where}"]
    watcher.step("restore tables (MB)")
    with (
        programs.started(doing, secret, stdout=subprocess.DEVNULL, stdin=subprocess.PIPE) as (psql, complaints),
        programs.started([*restoring, str(dump)], {}, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as (
            source,
            said,
        ),
    ):
        assert psql.stdin is not None
        assert source.stdout is not None
        listening = [threading.Thread(target=list, args=(each,), daemon=True) for each in (complaints, said)]
        for each in listening:
            each.start()
        with suppress(BrokenPipeError):  # psql ended: it says why
            psql.stdin.write(head.encode())
            _copy(source.stdout, psql.stdin, watcher)
            if source.wait() == 0:
                psql.stdin.write(tail.encode())
        with suppress(BrokenPipeError):
            psql.stdin.close()
        psql.wait()
        if psql.returncode == 0:
            source.wait()
        for each in listening:
            each.join(10)
        if psql.returncode != 0:
            raise ProgramFailedError(complaints.reason())
        if source.returncode != 0:
            raise ProgramFailedError(said.reason())


def _copy(source: IO[bytes], target: IO[bytes], watcher: Watcher) -> None:
    done = 0
    while chunk := source.read(_CHUNK):
        target.write(chunk)
        done += len(chunk)
        if done >= MEGABYTE:
            watcher.advance(done // MEGABYTE)
            done %= MEGABYTE
