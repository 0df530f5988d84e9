"""Maildir as a mailbox: mail that a local mail system has delivered, taken straight from its directory."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gateway.errors import MailboxUnavailable
from gateway.mail.model import Fetched, Listed
from gateway.mail.spool import SPOOL_OVER, Spool, Spooled

_PIECE = 1_000_000
_FOLDERS = ("new", "cur")
_TIME = re.compile(r"\d{1,20}")


class MaildirMailbox:
    """The directory ``path`` with its new/ and cur/. Raw bytes are those of the file: often with bare LF."""

    def __init__(self, name: str, path: Path | str, *, max_size: int = 100_000_000, spool: Path | None = None) -> None:
        self._name = name
        self._path = Path(path)
        self._max_size = max_size
        self._spool = spool

    @property
    def name(self) -> str:
        """The mailbox's name in gateway.toml."""
        return self._name

    @property
    def host(self) -> str:
        """The directory."""
        return str(self._path)

    @property
    def user(self) -> str:
        """Nobody logs in."""
        return ""

    @contextmanager
    def session(self) -> Iterator[MaildirSession]:
        """Looks whether the directory is there.

        Raises:
            MailboxUnavailable: when it is no Maildir that can be read.
        """
        session = MaildirSession(self._name, self._path, self._max_size, self._spool)
        session.files()
        yield session


def _uid(name: str) -> str:
    """The file name up to the colon; bytes that are no UTF-8 are spelt out, for not every database takes them."""
    return name.partition(":")[0].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class MaildirSession:
    """One look at a Maildir. The uid of a message is its file name up to the colon, which never changes."""

    def __init__(self, name: str, path: Path, max_size: int, spool: Path | None = None) -> None:
        self._name = name
        self._path = path
        self._max_size = max_size
        self._spool = spool
        self._marked: dict[str, None] = {}
        self.left_out: list[tuple[Listed, str]] = []

    def files(self) -> dict[str, Path]:
        """Every message file by its uid."""
        found: dict[str, Path] = {}
        try:
            for folder in _FOLDERS:
                for entry in os.scandir(self._path / folder):
                    if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
                        found[_uid(entry.name)] = Path(entry.path)
        except OSError as problem:
            raise self._unavailable(problem) from problem
        return found

    def listing(self) -> Sequence[Listed]:
        """All messages, oldest first by the time in their names."""
        listed: list[Listed] = []
        files = self.files()
        for number, uid in enumerate(sorted(files, key=_age), 1):
            try:
                listed.append(Listed(number, uid, files[uid].stat(follow_symlinks=False).st_size))
            except FileNotFoundError:
                continue  # another reader took it
            except OSError as problem:
                raise self._unavailable(problem) from problem
        return listed

    def fetch(self, wanted: Sequence[Listed]) -> Iterator[Fetched]:
        """Reads the files; one that is gone, or past the size limit, is left out (see ``left_out``)."""
        files = self.files()
        for listed in wanted:
            path = files.get(listed.uid)
            if path is None or not path.exists():
                files = self.files()  # a mail reader moves it from new/ to cur/
                path = files.get(listed.uid)
            body = self._read(path, listed) if path is not None else None
            if body is not None:
                yield Fetched(listed, body)
            elif path is None:
                self.left_out.append((listed, "the file is gone"))

    def delete(self, done: Iterable[Listed]) -> None:
        """Marks messages; the files go at ``commit``."""
        self._marked.update((listed.uid, None) for listed in done)

    def commit(self) -> None:
        """Removes the marked files and syncs the directories, so that they do not come back after a power cut."""
        files = self.files()
        touched: set[Path] = set()
        try:
            for uid in self._marked:
                path = files.get(uid)
                if path is not None:
                    path.unlink(missing_ok=True)
                    touched.add(path.parent)
            for directory in touched:
                _sync(directory)
        except OSError as problem:
            raise self._unavailable(problem) from problem
        self._marked.clear()

    def _read(self, path: Path, listed: Listed) -> bytes | Spooled | None:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            self.left_out.append((listed, "the file is gone"))
            return None
        except OSError as problem:
            self.left_out.append((listed, f"the file cannot be read: {problem.strerror}"))
            return None
        with os.fdopen(handle, "rb") as file:
            size = os.fstat(file.fileno())
            if not stat.S_ISREG(size.st_mode) or size.st_size > self._max_size:
                self.left_out.append((listed, f"{size.st_size} bytes are past the limit of {self._max_size}"))
                return None
            return self._content(file)

    def _content(self, file: BinaryIO) -> bytes | Spooled:
        """What is read stays what it is, even if somebody writes to the file: a big one is copied."""
        content = file.read(min(SPOOL_OVER, self._max_size))
        if len(content) < SPOOL_OVER:
            return content
        try:
            spool = Spool(self._spool)
            while content:
                spool.write(content)
                content = file.read(min(_PIECE, self._max_size - spool.size))
        except OSError as problem:
            raise self._unavailable(problem) from problem
        return spool.done()

    def _unavailable(self, problem: OSError) -> MailboxUnavailable:
        return MailboxUnavailable(mailbox=self._name, host=str(self._path), reason=problem.strerror or problem)


def _age(uid: str) -> tuple[int, str]:
    found = _TIME.match(uid)
    return (int(found[0]) if found else 0, uid)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
