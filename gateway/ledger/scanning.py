"""Digests of all rows as they are now, computed by processes side by side.

Each process reads the ledger by itself, so it may see later commits than the verification does: what differs is
looked at again within the verification's own moment. A small ledger is not worth another process. On SQLite the process
that verifies is one of them: once it has seen all events, it does pieces too.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from types import TracebackType
from typing import Protocol, Self

from sqlalchemy import Connection, Engine

from gateway.ledger import bulk, prints
from gateway.ledger.asking import Digests, agrees, digests_of
from gateway.ledger.database import open_engine, reading
from gateway.ledger.garbage import without_collecting
from gateway.ledger.helpers import Helpers, Piece
from gateway.ledger.latest import PAGE
from gateway.ledger.strays import LAST

PIECE = PAGE // 4  # owners; the smaller it is, the less one process waits for the last piece of another
WORTH_IT = 32  # pieces of work from which on other processes are started
_AHEAD = 6  # pieces that each process has to do while this one is at something else
_AT_HAND = 2  # pieces that each has while this one does pieces too

Take = Callable[[str, int, bytes, bytes], None]

_engines: dict[str, Engine] = {}  # of a process of the pool


class _Answer(Protocol):
    def done(self) -> bool: ...

    def result(self) -> Digests | None: ...


class Scanning:
    """Computes the digests of pieces, and gives each to ``take`` as (table, first owner, digests, of cores).

    ``go_on`` may be called at any time: it takes what is done and asks for more; ``finish`` does the rest.

    Args:
        connection: of the verification, for what is computed here.
        pieces: what there is to do.
        take: told of every piece, in any order.
        processes: how many to use, this one among them; 1 or a small ledger: none but this one.
    """

    def __init__(self, connection: Connection, pieces: Sequence[Piece], take: Take, processes: int) -> None:
        self._connection = connection
        self._left = deque(pieces)
        self._take = take
        self._processes = processes if len(pieces) >= WORTH_IT else 1
        self._stack = ExitStack()
        self._ask: Callable[[Piece], _Answer] | None = None
        self._running: deque[tuple[Piece, _Answer]] = deque()
        self._others = 0  # processes
        self._takes_part = True  # this process does pieces too

    def __enter__(self) -> Self:
        url = self._connection.engine.url
        if self._processes == 1:
            return self
        if self._connection.dialect.name != "sqlite":
            # Not forked: a connection to the database must not be shared with a child.
            self._others, self._takes_part = self._processes, False
            pool = ProcessPoolExecutor(self._others, mp_context=multiprocessing.get_context("spawn"))
            self._stack.callback(pool.shutdown, wait=True, cancel_futures=True)
            self._ask = partial(_submitted, pool, url.render_as_string(hide_password=False))
        elif agrees():
            tables = {name: audited.asking for name, audited in prints.AUDITED.items()}
            self._others = self._processes - 1
            self._ask = self._stack.enter_context(closing(Helpers(str(url.database), tables, self._others))).ask
        self.go_on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stack.close()

    def go_on(self) -> None:
        """Takes what is done, and lets the others begin more."""
        if self._ask is None:
            return
        while self._running and self._running[0][1].done():
            self._collect()
        self._begin(_AHEAD)

    def finish(self) -> Iterator[Piece]:
        """Does what is left; gives each piece once it is done."""
        while self._running or self._left:
            self._begin(_AT_HAND if self._takes_part else _AHEAD)
            if self._left and self._takes_part and not (self._running and self._running[0][1].done()):
                yield self._own(self._left.popleft())
            else:
                yield self._collect()

    def _begin(self, ahead: int) -> None:
        while self._ask is not None and self._left and len(self._running) < ahead * self._others:
            piece = self._left.popleft()
            self._running.append((piece, self._ask(piece)))

    def _own(self, piece: Piece) -> Piece:
        name, first, last = piece
        self._take(name, first, *digests(self._connection, name, first, last))
        return piece

    def _collect(self) -> Piece:
        piece, done = self._running.popleft()
        name, first, _ = piece
        self._take(name, first, *(done.result() or digests(self._connection, *piece)))
        return piece


def digests(connection: Connection, name: str, first: int, last: int) -> Digests:
    """The digests of what is there for owners ``first`` to ``last``, and those of their cores."""
    audited = prints.AUDITED[name]
    with without_collecting():
        return digests_of(prints.scan(connection, audited, first, last), audited.asking, first, last)


def _submitted(pool: ProcessPoolExecutor, url: str, piece: Piece) -> Future[Digests | None]:
    return pool.submit(_computed, url, piece)


def _computed(url: str, piece: Piece) -> Digests | None:
    """In a process of the pool."""
    if url not in _engines:
        _engines[url] = open_engine(url)
    with reading(_engines[url]) as connection:
        return digests(connection, *piece)


def pieces(connection: Connection) -> list[Piece]:
    """The owners of all tables from 1 on, in pieces that begin where a page does; none where there is no row."""
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    quote = connection.dialect.identifier_preparer.quote
    found: list[Piece] = []
    for name, audited in prints.AUDITED.items():
        of = quote(audited.owner)
        within = f"FROM {quote(name)} WHERE {of} BETWEEN {mark} AND {mark}"
        ((top,),) = bulk.tuples(connection, f"SELECT max({of}) {within}", [1, LAST])
        first = 1
        while top is not None and first <= top:
            ((there,),) = bulk.tuples(connection, f"SELECT min({of}) {within}", [first, LAST])
            first = max(first, int(there) // PIECE * PIECE)
            last = first - first % PIECE + PIECE - 1
            found.append((name, first, min(last, int(top))))
            first = last + 1
    return found
