"""The processes of one batch that write to a SQLite database by turns.

SQLite's own way to wait for the write lock is to sleep and look again, up to 100 ms each time: two busy writers
spend most of their time asleep. A lock of the kernel wakes the next one at once, and dies with its process.
"""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from sqlalchemy import Engine

_taking_turns: dict[Engine, tuple[int, Lock]] = {}


@contextmanager
def take_turns(engine: Engine) -> Iterator[None]:
    """While the block runs, this process and those that it forks within it wait for each other at every ``turn``.

    PostgreSQL needs none of this.
    """
    if engine.dialect.name != "sqlite":
        yield
        return
    with tempfile.TemporaryFile() as file:
        _taking_turns[engine] = file.fileno(), Lock()
        try:
            yield
        finally:
            del _taking_turns[engine]


@contextmanager
def turn(engine: Engine) -> Iterator[None]:
    """Our turn to write; costs nothing where nobody takes turns."""
    found = _taking_turns.get(engine)
    if found is None:
        yield
        return
    file, threads = found
    with threads:  # the kernel's lock is the whole process's: it would let all its threads in
        fcntl.lockf(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(file, fcntl.LOCK_UN)
