"""A copy of an SQLite ledger put back: made ready beside the present one, which is then kept under another name.

The present file is locked against everybody and its write-ahead log written into it before it gets another name, so
that nobody who has it open writes into the wrong one. At no moment is there no ledger, or half of one: the new file
takes the old one's name by one rename.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import Engine, make_url

from gateway.errors import HomeInUse, RestoreFailed
from gateway.ledger import backup_files
from gateway.ledger.backup_files import Meter, Watcher
from gateway.ledger.backup_manifest import Manifest
from gateway.ledger.backup_sqlite import reason
from gateway.ledger.database import open_engine

_BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a file
_PATIENCE = 5_000  # ms that somebody may still have the present ledger open
_READER = "a process that has its ledger open, such as the console: stop the gateway"


class SqlitePlace:
    """Where a ledger on SQLite is restored to.

    Args:
        url: of the database.
        home: for what is said to people.
        backup: for what is said to people.
    """

    def __init__(self, url: str, home: Path, backup: Path) -> None:
        self._file = Path(make_url(url).database or "")
        self._staged = self._file.with_name(f".{self._file.name}.restoring")
        self._home = home
        self._backup = backup

    @contextmanager
    def present(self) -> Iterator[Engine | None]:
        """The ledger that is there; None where there is none."""
        if not self._file.exists() or not self._file.stat().st_size:
            yield None
            return
        engine = open_engine(f"sqlite:///{self._file}")
        try:
            yield engine
        finally:
            engine.dispose()

    def stage(self, manifest: Manifest, watcher: Watcher) -> str:
        """Copies the backup's file to beside the present ledger; gives the url of the copy.

        Raises:
            RestoreFailed: with the reason; nothing was changed.
        """
        self.discard()
        kept = manifest.ledger
        meter = Meter(watcher, "restore the ledger (MB)", kept.size)
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            size, sha256 = backup_files.copy(self._backup / kept.name, self._staged, meter.add)
        except OSError as problem:
            self.discard()
            raise RestoreFailed(path=self._backup, reason=reason(problem)) from problem
        if (size, sha256) != (kept.size, kept.sha256):
            self.discard()
            raise RestoreFailed(path=self._backup, reason=f"{kept.name} is not what was backed up")
        return f"sqlite:///{self._staged}"

    def aside(self, stamp: str) -> str:
        """Where the present ledger is kept when it is replaced; empty where there is none."""
        if not self._file.exists():
            return ""
        found, number = self._file.with_name(f"{self._file.name}.replaced_{stamp}"), 1
        while os.path.lexists(found):
            number += 1
            found = self._file.with_name(f"{self._file.name}.replaced_{stamp}_{number}")
        return str(found)

    def take(self, kept: str) -> None:
        """Changes the two over: what was staged is the ledger from now on, and the present one is kept.

        Args:
            kept: where to, from ``aside``.

        Raises:
            HomeInUse: somebody has the present one open; nothing was changed.
            RestoreFailed: with the reason; nothing was changed.
        """
        try:
            self._settle_staged()
            if not self._file.exists():
                self._staged.rename(self._file)
            else:
                with self._alone() as is_damaged:
                    self._set_aside(Path(kept), is_damaged=is_damaged)
                    self._staged.replace(self._file)
            backup_files.sync(self._file.parent)
        except (OSError, sqlite3.Error) as problem:
            raise RestoreFailed(path=self._backup, reason=reason(problem)) from problem

    def discard(self) -> None:
        """What was staged goes."""
        for each in (self._staged, *(_beside(self._staged))):
            each.unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing is open."""

    def _settle_staged(self) -> None:
        """Everything that was written to it is in the file itself, and on the disk."""
        with closing(sqlite3.connect(self._staged, isolation_level=None)) as connection:
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise OSError(0, "the restored ledger is open elsewhere")
        for each in _beside(self._staged):
            each.unlink(missing_ok=True)
        backup_files.sync(self._staged)

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Nobody else can read or write the present ledger, and all that is in it is in its file.

        Gives whether it is damaged: such a file is nobody's to lock, and is moved as it is.
        """
        is_damaged = False
        with closing(sqlite3.connect(self._file, timeout=_PATIENCE / 1000, isolation_level=None)) as connection:
            try:
                connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
                # Without a log of its own beside it, nothing is left that closing could remove from the new one.
                (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
                connection.execute("BEGIN EXCLUSIVE")
                if mode == "wal":
                    raise HomeInUse(path=self._home, holder=_READER)
            except sqlite3.OperationalError as problem:
                if problem.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                    raise HomeInUse(path=self._home, holder=_READER) from problem
                is_damaged = True
            except sqlite3.DatabaseError:
                is_damaged = True
            yield is_damaged

    def _set_aside(self, kept: Path, *, is_damaged: bool) -> None:
        """The present file gets another name beside its own, with what a damaged one has beside it."""
        for each in _beside(self._file) if is_damaged else ():
            with suppress(FileNotFoundError):
                each.rename(kept.with_name(kept.name + each.name.removeprefix(self._file.name)))
        try:
            os.link(self._file, kept)
        except OSError:  # a file system without links: for an instant there is no ledger, and the next command says so
            self._file.rename(kept)


def _beside(file: Path) -> list[Path]:
    return [file.with_name(file.name + each) for each in _BESIDE]
