"""Processes that compute digests of an SQLite ledger beside the one that verifies it.

They load nothing but what that takes, and so begin at once. What one of them cannot do (a value that SQLite cannot
encode, a ledger that another process keeps locked, its own death) is left to whoever asked.
"""

from __future__ import annotations

import gc
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from gateway.ledger.asking import Asking, Digests, digests_of

_FETCHED = 250  # rows
_WAIT = 30.0  # seconds for another process that keeps the ledger locked
_PROGRAM = "import sys; sys.path[:] = {path!r}; from gateway.ledger.digesting import answer; answer()"


class Helpers:
    """Some of these processes; each does one piece at a time.

    Args:
        path: of the ledger.
        count: how many.
    """

    def __init__(self, path: str, count: int) -> None:
        self._stack = ExitStack()
        self._free: SimpleQueue[_Helper] = SimpleQueue()
        for _ in range(count):
            self._free.put(self._stack.enter_context(closing(_Helper(path))))
        self._threads = self._stack.enter_context(ThreadPoolExecutor(count))

    def ask(self, asking: Asking, first: int, last: int) -> Future[Digests | None]:
        """The digests of owners ``first`` to ``last``, and of their cores, once they are done; None: they cannot be."""
        return self._threads.submit(self._ask, asking, first, last)

    def _ask(self, *piece: Any) -> Digests | None:
        helper = self._free.get()
        try:
            return helper.ask(piece)
        finally:
            self._free.put(helper)

    def close(self) -> None:
        """Ends them; what they have not begun is not done any more."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._stack.close()


class _Helper:
    def __init__(self, path: str) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        with suppress(OSError):
            self._process = subprocess.Popen(  # noqa: S603 - this very program
                [sys.executable, "-c", _PROGRAM.format(path=sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # its input ends when this process does
            )
            self._send(Path(path).absolute().as_uri() + "?mode=ro")

    def ask(self, piece: Sequence[Any]) -> Digests | None:
        if self._process is None or self._process.stdout is None:
            return None
        try:
            self._send(piece)
            found: Digests | None = pickle.load(self._process.stdout)  # noqa: S301 - a process of ours
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):  # it died
            return None
        return found

    def _send(self, what: Any) -> None:
        if self._process is not None and self._process.stdin is not None:
            pickle.dump(what, self._process.stdin)
            self._process.stdin.flush()

    def close(self) -> None:
        if self._process is None:
            return
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self._process.wait()


# ---------------------------------------------------------------- in such a process


def answer() -> None:
    """Answers on standard output what is asked on standard input, until that ends."""
    gc.disable()  # it makes many small values, none in circles
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    with suppress(EOFError, BrokenPipeError):
        place = pickle.load(asked)  # noqa: S301 - from the process that started this one
        with closing(sqlite3.connect(place, uri=True, isolation_level=None, timeout=_WAIT)) as connection:
            while True:
                pickle.dump(_found(connection, *pickle.load(asked)), answers)  # noqa: S301 - as above
                answers.flush()


def _found(connection: sqlite3.Connection, asking: Asking, first: int, last: int) -> Digests | None:
    try:
        return digests_of(asking.digests(_chunks(connection, asking, first, last)), asking, first, last)
    except (sqlite3.Error, ValueError):
        return None


def _chunks(connection: sqlite3.Connection, asking: Asking, first: int, last: int) -> Iterator[list[tuple[Any, ...]]]:
    cursor = connection.execute(f"{asking.sql}BETWEEN ? AND ?{asking.order}", (first, last))
    while rows := cursor.fetchmany(_FETCHED):
        yield rows
