"""A dump proven by restoring it, into a database of its own that goes again."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Engine, text

from gateway.ledger import backup_postgres
from gateway.ledger import postgres_programs as programs
from gateway.ledger.backup_files import Watcher
from gateway.ledger.database import guarded, open_engine, reading
from gateway.ledger.postgres_schemas import identifier, looking_at


@contextmanager
def scratch(engine: Engine, dump: Path, schema: str, watcher: Watcher) -> Iterator[Engine | None]:
    """The dump restored into a database of its own, which goes at the end; None where we may not make one.

    Raises:
        ProgramFailedError: it could not be restored.
        ProgramMissing, ProgramTooOld
    """
    with reading(engine) as connection:
        may = connection.execute(text("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"))
        if not may.scalar():
            yield None
            return
    watcher.step("restore into a scratch database")
    name = f"gateway_check_{secrets.token_hex(6)}"
    _outside(engine, f"CREATE DATABASE {name} TEMPLATE template0")
    made = open_engine(looking_at(engine.url.set(database=name), schema))
    try:
        reader = backup_postgres.reader(dump)
        where, secret = programs.conninfo(made)
        words = [reader.path, "--exit-on-error", "--no-owner", "--no-privileges", "--no-comments", "--no-password"]
        _outside(made, f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)}")
        with tempfile.TemporaryDirectory() as directory:
            chosen = Path(directory) / "list"
            chosen.write_text(backup_postgres.chosen(reader, dump, []))
            programs.run([*words, f"--use-list={chosen}", f"--dbname={where}", str(dump)], secret)
        yield made
    finally:
        made.dispose()
        with suppress(Exception):  # said by its name: gateway_check_…
            _outside(engine, f"DROP DATABASE IF EXISTS {name}")


def _outside(engine: Engine, statement: str) -> None:
    """A statement that is no part of a transaction."""
    with guarded(engine), engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(statement)
