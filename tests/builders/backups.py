"""Backups in tests: all rows of a ledger, a writer that never rests, and a backup that stops at a chosen point."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, MetaData, select

TESTS = Path(__file__).resolve().parents[1]

# Ledger transactions without end: each records a mail with its bytes and takes the next two numbers.
_WRITER = """
import sys
from gateway.ledger import tables
from gateway.ledger.database import open_engine
from gateway.ledger.recording import Ledger
engine = open_engine(sys.argv[1])
ledger = Ledger(engine, lambda: 1_793_656_800_000)
for number in range(1, 1_000_000):
    with ledger.transaction() as recorder:
        sha256 = recorder.keep(b"%d " % number * 2_000)
        row = recorder.add(tables.message, at=recorder.now, direction="in", state="processed", sha256=sha256)
        for level in ("interchange", "group"):
            taken = recorder.take_number("acme", "ZZ:US", "ZZ:THEM", level, lambda each: each + 1)
            assert taken == number
        recorder.event("received", message=row, number=number)
    print(number, flush=True)
"""

# A backup by the code itself, which waits for ever where the watcher is told something for the N-th time.
_BACKUP = """
import signal, sys
from pathlib import Path
from gateway.ledger.backup import Order, back_up
from gateway.ledger.database import open_engine
class Watcher:
    left = int(sys.argv[3])
    def step(self, name, total=0):
        print(name, flush=True)
        self.advance()
    def advance(self, amount=1):
        self.left -= 1
        if self.left == 0:
            print("here", flush=True)
            signal.pause()
back_up(open_engine(sys.argv[1]), Order(Path(sys.argv[2]), Path("/home"), 1), Watcher())
print("done", flush=True)
"""


def rows_of(engine: Engine) -> dict[str, Counter[tuple[Any, ...]]]:
    """All rows of all tables, as they are in the database: what a search index keeps for itself is left out."""
    metadata = MetaData()
    with engine.connect() as connection:
        metadata.reflect(connection, resolve_fks=False)
        return {
            name: Counter(_plain(row) for row in connection.execute(select(table)))
            for name, table in metadata.tables.items()
            if "_fts" not in name and "search" not in name
        }


def _plain(row: Any) -> tuple[Any, ...]:
    return tuple(bytes(each) if isinstance(each, (bytes, memoryview)) else each for each in row)


@contextmanager
def writer(url: str) -> Iterator[subprocess.Popen[str]]:
    """A process that records one mail after the other, with the numbers 1, 2, 3 …; it prints what it committed."""
    process = _started(_WRITER, url)
    try:
        wait_for(process, "5")
        yield process
    finally:
        process.kill()
        process.communicate()


def stuck_backup(url: str, target: Path, at: int) -> subprocess.Popen[str]:
    """A process that makes a backup and stops dead when the watcher is told something for the ``at``-th time."""
    return _started(_BACKUP, url, str(target), str(at))


def wait_for(process: subprocess.Popen[str], word: str) -> list[str]:
    """Reads what a process prints until it prints ``word``, or ends; gives it all."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line.strip())
        if said[-1] == word:
            break
    return said


def _started(program: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *words]
    return subprocess.Popen(command, cwd=TESTS.parent, stdout=subprocess.PIPE, text=True)
