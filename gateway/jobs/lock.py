"""One process a home: a lock that the kernel lets go of, however the process ends."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.errors import ConfigurationFault, HomeInUse

FILE_NAME = ".lock"
SERVICE = ".serving"  # held by `gateway serve` as long as it runs; the home itself is free between its batches


class HomeLock:
    """Holds ``home/.lock`` while the block runs; a second process is refused at once and told who is at work.

    The lock is flock(2): it disappears with the process, also after ``kill -9``; the file stays, and its content
    only says who held it last. ``command`` names us to the others; by default it is read from the command line.
    ``file_name`` is another file for another lock.

    Raises:
        HomeInUse: on entering, when somebody else holds it.
        ConfigurationFault: on entering, when the file cannot be made.
    """

    def __init__(self, home: Path, command: str = "", *, file_name: str = FILE_NAME) -> None:
        self.path = home / file_name
        self._home = home
        self._command = command or _own_command()
        self._descriptor = -1

    def __enter__(self) -> Self:
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise ConfigurationFault(reason=f"{self.path} cannot be opened: {problem.strerror}.") from problem
        try:
            self._take(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Never unlink: somebody may have opened the old file, and would then hold a lock that nobody sees.
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
        self._descriptor = -1

    def _take(self, descriptor: int) -> None:
        try:
            if not _locked(descriptor):
                raise HomeInUse(path=self._home, holder=_holder(os.pread(descriptor, 4_096, 0)))
        except OSError as problem:
            raise ConfigurationFault(reason=f"{self.path} cannot be locked: {problem.strerror}.") from problem
        note = {
            "command": self._command,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now().astimezone().isoformat(timespec="seconds"),
        }
        with suppress(OSError):  # a full disk: the lock holds without its note
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(note).encode(), 0)


def holder(home: Path) -> str | None:
    """Who works on the home right now, in words; None where nobody does. Nothing is waited for."""
    note = _note_of_holder(home)
    return None if note is None else _holder(note)


def held_since(home: Path) -> int | None:
    """Since when somebody works on the home (ms since 1970 UTC), as they noted it; None where nobody does."""
    with suppress(ValueError, KeyError, TypeError):
        since = json.loads(_note_of_holder(home) or b"")["since"]
        return int(datetime.fromisoformat(since).timestamp() * 1000)
    return None


def _note_of_holder(home: Path) -> bytes | None:
    """What the process that holds the lock wrote of itself; None where none does."""
    try:
        descriptor = os.open(home / FILE_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return os.pread(descriptor, 4_096, 0)
    finally:
        os.close(descriptor)
    return None


def _locked(descriptor: int) -> bool:
    """Whether the lock is ours now. A few tries, since ``holder`` takes it for an instant to look."""
    for _ in range(3):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False


def _holder(note: bytes) -> str:
    """What the file says of the process that holds it; it may be empty for an instant."""
    try:
        found = json.loads(note)
        since = datetime.fromisoformat(found["since"])
        today = since.date() == datetime.now(since.tzinfo).date()
        when = since.strftime("%H:%M" if today else "%Y-%m-%d %H:%M")
        return f"{found['command']} (pid {found['pid']} on {found['host']} since {when})"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _own_command() -> str:
    """``gateway night``: the program and its sub-command, without options, which may hold names of partners."""
    words = iter(sys.argv[1:])
    for word in words:
        if word == "--home":
            next(words, None)
        elif not word.startswith("-"):
            return f"gateway {word}" if word.isalnum() else "gateway"
    return "gateway"
