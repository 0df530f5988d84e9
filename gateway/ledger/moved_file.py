"""An archive as a file: opened to be read, never to be changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event

from gateway.errors import DatabaseUnavailable, MovedArchiveAltered, MovedArchiveUnreadable
from gateway.ledger.database import newest, open_engine, revisions, shown, upgrade
from gateway.ledger.payload_keys import Vault

_CHUNK = 1 << 20  # bytes
_HEADER = b"SQLite format 3\0"


@contextmanager
def opened(path: Path, vault: Vault | None = None) -> Iterator[Engine]:
    """An engine that reads an archive; the file is not touched. One of an earlier version is read from a copy.

    Args:
        path: the archive.
        vault: opens what lies encrypted in it, with keys that are not in the archive.

    Raises:
        MovedArchiveUnreadable: it is none, or a newer gateway wrote it.
        MovedArchiveAltered: within the block, by what reads it: tables are missing, or the file is damaged.
    """
    place = path
    with ExitStack() as stack:
        if _revision(path) != newest():
            path = stack.enter_context(_brought_up(path))
        engine = create_engine(f"sqlite:///{_uri(path)}&uri=true")
        stack.callback(engine.dispose)
        event.listen(engine, "connect", _connected)
        event.listen(engine, "begin", _begin)
        if vault is not None:
            vault.attach(engine)
        try:
            yield engine
        except DatabaseUnavailable as fault:
            if fault.details.get("url") != shown(engine.url):
                raise
            raise MovedArchiveAltered(path=place, reason=reason_of(fault)) from fault


def reason_of(problem: BaseException) -> str:
    """What keeps an archive from being read, in words about an archive."""
    said = str(getattr(problem.__cause__, "orig", None) or problem)
    for begins, what in (("no such table: ", "table"), ("no such column: ", "column")):
        if said.startswith(begins):
            return f"it has no {what} {said.removeprefix(begins)}"
    return said


def _uri(path: Path) -> str:
    return f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"


def _revision(path: Path) -> str:
    _refuse_no_file(path)
    try:
        with path.open("rb") as file:
            head = file.read(len(_HEADER))
        if head != _HEADER:
            raise MovedArchiveUnreadable(path=path, reason="it is not an SQLite file")
        with closing(sqlite3.connect(_uri(path), uri=True)) as connection:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except OSError as problem:
        raise MovedArchiveUnreadable(path=path, reason=problem.strerror or problem) from problem
    except sqlite3.Error as problem:
        raise MovedArchiveUnreadable(path=path, reason=problem) from problem
    if found is None or found[0] not in revisions():
        raise MovedArchiveUnreadable(path=path, reason="it is of a version that this gateway does not know")
    return str(found[0])


@contextmanager
def _brought_up(path: Path) -> Iterator[Path]:
    """A copy at the newest revision, gone after the block."""
    with tempfile.TemporaryDirectory(prefix="gateway-archive-") as place:
        copy = Path(place) / "archive.db"
        try:
            shutil.copyfile(path, copy)
        except OSError as problem:
            raise MovedArchiveUnreadable(path=path, reason=f"no room for a copy: {problem.strerror}") from problem
        engine = open_engine(f"sqlite:///{copy}")
        try:
            upgrade(engine)
            with engine.connect() as connection:
                driver: Any = connection.connection.driver_connection
                driver.execute("PRAGMA journal_mode = DELETE").fetchall()
        finally:
            engine.dispose()
        yield copy


def _connected(connection: Any, _record: object) -> None:
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file.

    Raises:
        MovedArchiveUnreadable: it cannot be read.
    """
    _refuse_no_file(path)
    hashed = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                hashed.update(chunk)
    except OSError as problem:
        raise MovedArchiveUnreadable(path=path, reason=problem.strerror or problem) from problem
    return hashed.hexdigest()


def _refuse_no_file(path: Path) -> None:
    """A pipe in the place of an archive would be waited for, and a device read, for ever."""
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except OSError as problem:
        raise MovedArchiveUnreadable(path=path, reason=problem.strerror or problem) from problem
    if not is_file:
        raise MovedArchiveUnreadable(path=path, reason="it is no file")


def sync(path: Path) -> None:
    """A file or directory is durable when this returns."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
