"""Writing the ledger: short transactions, each with a ``Recorder``; and reading it, one moment at a time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection, Engine

from gateway.errors import DatabaseConflict
from gateway.ledger import archive
from gateway.ledger.database import reading, writing
from gateway.ledger.garbage import without_collecting
from gateway.ledger.recorder import Recorder, Row, Wake

__all__ = ["Clock", "Fence", "Ledger", "Listener", "Recorder", "Row", "Wake", "Waker", "insisting"]

Clock = Callable[[], int]
Waker = Callable[[Connection, Iterable[Wake]], None]
Listener = Callable[[Sequence[Row]], None]
P = ParamSpec("P")
T = TypeVar("T")

_TRIES = 8  # of a transaction that others are in the way of


def insisting(work: Callable[P, T]) -> Callable[P, T]:
    """Makes of work in one transaction one that is done again where another transaction was in its way.

    Raises:
        DatabaseConflict: others were in the way each time.
    """

    @wraps(work)
    def insistent(*args: P.args, **options: P.kwargs) -> T:
        for attempt in range(1, _TRIES):
            try:
                return work(*args, **options)
            except DatabaseConflict:  # nothing was written
                time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - jitter, no secret
        return work(*args, **options)

    return insistent


class Fence(Protocol):
    """What a commit depends on: a lease, or claims (see ``leases`` and ``claims``)."""

    def hold(self, connection: Connection) -> None:
        """Makes sure, until the transaction ends, that the work is still ours.

        Raises:
            LeaseLost: it is not; the transaction must be undone.
        """
        ...


class Ledger:
    """The ledger of one home: ``transaction`` to write, ``reading`` to ask.

    Args:
        engine: from ``gateway.ledger.database.open_engine``.
        clock: gives milliseconds since 1970 UTC.
        actor: who acts where nobody else is named.
        waker: called in a transaction, at its end, with what others shall look at once it is committed.
    """

    def __init__(self, engine: Engine, clock: Clock, actor: str = "gateway", waker: Waker | None = None) -> None:
        self.engine = engine
        self.clock = clock
        self.actor = actor
        self.waker = waker
        self.listener: Listener | None = None  # hears what was recorded, once it is durable

    @contextmanager
    def transaction(self, actor: str | None = None, *fences: Fence) -> Iterator[Recorder]:
        """One short write transaction: all of it becomes durable at the end, or nothing.

        Args:
            actor: who acts.
            fences: leases and claims that must be ours until the commit.

        Raises:
            LeaseLost: one of them is not; nothing was written.
            DatabaseConflict: another transaction was in the way; nothing was written.
            DatabaseUnavailable: the database cannot be used; nothing was written, as far as anybody can know where
                the connection broke during the commit.
        """
        with without_collecting(), writing(self.engine) as connection:
            for fence in fences:
                fence.hold(connection)
            recorder = Recorder(connection, self.clock(), actor or self.actor)
            yield recorder
            recorder.flush()
            if recorder.wakes and self.waker is not None:
                self.waker(connection, recorder.wakes)
            recorder.finish()
        if self.listener is not None and recorder.told:
            self.listener(recorder.told)

    @insisting
    def write(self, work: Callable[[Recorder], T], *fences: Fence) -> T:
        """Does ``work`` in one transaction, and the whole of it again where another one was in the way."""
        with self.transaction(None, *fences) as recorder:
            return work(recorder)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read-only view of one moment."""
        with reading(self.engine) as connection:
            yield connection

    def content(self, sha256: str) -> bytes:
        """The raw bytes of that name.

        Raises:
            KeyError: they were never kept.
        """
        return self.contents([sha256])[sha256]

    def pieces(self, sha256: str) -> Iterator[bytes]:
        """The raw bytes of that name, of any size, a piece at a time; nothing where they were never kept."""
        with self.reading() as connection:
            yield from archive.pieces_of(connection, sha256)

    def contents(self, names: Sequence[str]) -> dict[str, bytes]:
        """The raw bytes of several names; absent ones are left out."""
        with self.reading() as connection:
            return archive.read(connection, names)

    def record(self, kind: str, /, *, partner: str = "", actor: str | None = None, **body: Any) -> None:
        """One event in a transaction of its own, for acts that touch nothing else in the ledger."""
        with self.transaction(actor) as recorder:
            recorder.event(kind, partner=partner, **body)
