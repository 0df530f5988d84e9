"""A process that computes digests of an SQLite ledger beside the one that verifies it (see ``helpers``).

It loads nothing but what that takes, and so begins at once.
"""

from __future__ import annotations

import gc
import pickle
import sqlite3
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from typing import Any

from gateway.ledger.asking import Asking, Digests, digests_of

HEAD = struct.Struct("!qq")  # of an answer: bytes of digests, and of those of cores
CANNOT = -1  # in place of the first: what was asked cannot be done here

_FETCHED = 250  # rows
_WAIT = 30.0  # seconds for another process that keeps the ledger locked


def answer() -> None:
    """Answers on standard output what is asked on standard input, until that ends."""
    gc.disable()  # of many small values none are in circles
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    with suppress(EOFError, BrokenPipeError):
        tables: Mapping[str, Asking]
        place, tables = pickle.load(asked)  # noqa: S301 - from the process that started this one
        with closing(sqlite3.connect(place, uri=True, isolation_level=None, timeout=_WAIT)) as connection:
            while True:
                name, first, last = pickle.load(asked)  # noqa: S301 - as above
                found = _found(connection, tables[name], first, last)
                answers.write(HEAD.pack(CANNOT, 0) if found is None else HEAD.pack(*map(len, found)))
                for each in found or ():
                    answers.write(each)
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
