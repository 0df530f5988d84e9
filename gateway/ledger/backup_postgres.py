"""A dump of a ledger on PostgreSQL: by pg_dump in its custom format, of the very moment that the manifest speaks of.

A transaction that reads exports its snapshot, and pg_dump reads with that one. Nobody is held up: a dump locks tables
against being altered, and against nothing else. Only the schema of the ledger is dumped; the workers' queue is not, for
jobs are only wake-ups.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from gateway.errors import BackupFailed
from gateway.ledger import postgres_programs as programs
from gateway.ledger import tables
from gateway.ledger.backup_files import Watcher, sync
from gateway.ledger.postgres_programs import Program, ProgramFailedError

_DUMPING = re.compile(r"dumping contents of table ")
_MADE_BY = re.compile(r";\s+Dumped by pg_dump version: (\d+)")
DUMP, RESTORE = "dump the database", "read the dump"
# Those of the profiles are known to another package, and the text index is none of the ledger's own tables.
_BESIDE = ("alembic_version", "profile_revision", "partner_certificate", "search_text")
TABLES = tuple(dict.fromkeys((*tables.metadata.tables, *_BESIDE)))


def server_version(connection: Connection) -> str:
    """The server's version, as ``15.18``."""
    return str(connection.execute(text("SHOW server_version")).scalar_one()).split()[0]


def schema_of(connection: Connection) -> str:
    """The schema that the ledger lies in."""
    return str(connection.execute(text("SELECT current_schema()")).scalar_one())


def dump(engine: Engine, connection: Connection, to: Path, watcher: Watcher) -> Program:
    """Dumps what the transaction of ``connection`` sees; durable when this returns.

    Args:
        engine: the ledger's.
        connection: from ``reading``.
        to: a file that is not there yet.
        watcher: is told of tables.

    Returns:
        The program that did it.

    Raises:
        ProgramMissing, ProgramTooOld: pg_dump cannot do it.
        BackupFailed: with the reason.
    """
    version = server_version(connection)
    program = programs.find("pg_dump", int(version.partition(".")[0]), f"{DUMP} of a server {version}")
    # It lasts as long as the dump, and asks nothing meanwhile. For its own transaction pg_dump does the same.
    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
    where, secret = programs.conninfo(engine)
    words = [program.path, "--format=custom", "--no-owner", "--no-privileges", "--no-comments", "--no-password"]
    words += ["--verbose", f"--snapshot={snapshot}", f"--file={to}", f"--dbname={where}"]
    words += [f"--schema={_quoted(schema_of(connection))}", *_left_out(connection)]
    words += [f"--extension={_quoted(each)}" for each in _extensions(connection)]
    to.touch(mode=0o600, exist_ok=False)
    watcher.step("dump tables", len(TABLES))
    try:
        programs.run(words, secret, lambda line: watcher.advance() if _DUMPING.search(line) else None)
        sync(to)
    except (ProgramFailedError, OSError) as problem:
        raise BackupFailed(path=to.parent, reason=_reason(problem)) from problem
    return program


def _reason(problem: Exception) -> str:
    said = (problem.strerror if isinstance(problem, OSError) else None) or str(problem)
    return "the disk is full" if "No space left" in said else said


def _quoted(name: str) -> str:
    """A name as pg_dump's patterns want it, where every character stands for itself."""
    return '"' + name.replace('"', '""') + '"'


def _left_out(connection: Connection) -> list[str]:
    """Tables in our schema that are not ours."""
    return [f"--exclude-table={_quoted(schema_of(connection))}.{_quoted(each)}" for each in strangers(connection)]


def strangers(connection: Connection) -> list[str]:
    """Tables in the schema of the ledger that belong to somebody else."""
    found = connection.execute(
        text(
            "SELECT relname FROM pg_class WHERE relnamespace = CAST(current_schema() AS regnamespace)"
            " AND relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT EXISTS (SELECT 1 FROM pg_depend"
            " WHERE objid = pg_class.oid AND deptype = 'e') ORDER BY relname"
        )
    )
    return [each for each in found.scalars() if each not in TABLES]


def _extensions(connection: Connection) -> list[str]:
    """Extensions that were made in our schema."""
    found = text("SELECT extname FROM pg_extension WHERE extnamespace = CAST(current_schema() AS regnamespace)")
    return list(connection.execute(found).scalars())


# ---------------------------------------------------------------- looking at it


def problems(file: Path, watcher: Watcher) -> Iterator[str]:
    """What is wrong with a dump, a sentence each: its list of contents is read, and then all that is in it.

    Raises:
        ProgramMissing, ProgramTooOld: pg_restore cannot read it.
    """
    watcher.step("read the dump")
    try:
        program = reader(file)
        listed = set(re.findall(r"TABLE DATA \S+ (\S+) ", programs.run([program.path, "--list", str(file)], {})))
        missing = {"event", "exchange", "control_number"} - listed
        if missing:
            yield f"there is no table {', '.join(sorted(missing))} in the dump"
        programs.run([program.path, "--file=/dev/null", str(file)], {})
    except ProgramFailedError as problem:
        yield f"the dump cannot be read: {problem}"


def reader(file: Path, wanted: int = 0, purpose: str = RESTORE) -> Program:
    """pg_restore in a version that can read the dump.

    Raises:
        ProgramMissing, ProgramTooOld
        ProgramFailedError: it is no dump.
    """
    program = programs.find("pg_restore", wanted, purpose)
    try:
        made_by = _MADE_BY.search(programs.run([program.path, "--list", str(file)], {}))
    except ProgramFailedError as problem:
        newer = re.search(r"unsupported version \(([\d.]+)\)", str(problem))
        if newer is None:
            raise
        # What it was dumped by cannot be read, so ask for a newer program.
        return programs.find("pg_restore", program.major + 1, purpose)
    return programs.find("pg_restore", max(wanted, int(made_by[1]) if made_by else 0), purpose)


def chosen(reader: Program, dump: Path, there: Sequence[str]) -> str:
    """The list of what of a dump is restored: all but the schema itself, and the extensions that are there.

    Raises:
        ProgramFailedError: it is no dump.
    """
    listed = programs.run([reader.path, "--list", str(dump)], {})
    left_out = [r" SCHEMA - ", r" ACL ", r" COMMENT "]
    left_out += [rf" EXTENSION - {re.escape(each)} " for each in there]
    unwanted = re.compile("|".join(left_out))
    return (
        "\n".join(line for line in listed.splitlines() if not line.startswith(";") and not unwanted.search(line)) + "\n"
    )
