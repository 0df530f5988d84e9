"""Leases: who may do a piece of work right now, among processes and machines that share a ledger on PostgreSQL.

A lease has a name (``mailbox:orders``, ``partner:acme:send``), a holder, a time until which it counts by the
database's clock, and an epoch that grows with each change of hands. It is taken and renewed by compare-and-set.
A process that slept past its lease believes that it still has it; therefore what it wants to commit carries a fence:
within the transaction the row is locked and compared, and a stranger in it makes the commit fail.

On SQLite one process has the whole home (``gateway.jobs.lock``), and ``ALONE`` stands for all leases.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

from msgspec import Struct
from sqlalchemy import BigInteger, Connection, Engine, Update, cast, func, or_, select, tuple_, update
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate
from sqlalchemy.sql.elements import ColumnElement

from gateway.errors import GatewayError, LeaseLost
from gateway.ledger.database import reading, writing
from gateway.ledger.on_postgres import array, insert
from gateway.ledger.tables import claim, lease

TERM = 60_000  # ms that a lease counts without being renewed
_RENEWALS = 4  # in one term


def database_now() -> ColumnElement[int]:
    """The database's clock in ms since 1970 UTC; the machines' own clocks may disagree."""
    return cast(func.extract("epoch", func.clock_timestamp()) * 1000, BigInteger)


class Lease(Struct, frozen=True):
    """A lease that we took."""

    name: str
    holder: str
    epoch: int

    def hold(self, connection: Connection) -> None:
        """Locks the row until the transaction ends, so that nobody can take the lease before the commit.

        Raises:
            LeaseLost: somebody else took it. One that has ended and was taken by nobody is still ours.
        """
        row = connection.execute(
            select(lease.c.holder, lease.c.epoch).where(lease.c.name == self.name).with_for_update(read=True)
        ).one_or_none()
        if row is None or (row.holder, row.epoch) != (self.holder, self.epoch):
            raise LeaseLost(name=self.name, reason=f"{row.holder if row else 'nobody'} has it")


class Leases(Protocol):
    """The leases of one process. ``alone``: nobody else can be at work, and nothing is fenced."""

    alone: bool

    def take(self, name: str) -> Lease | None:
        """Takes a lease, or None where somebody else has it."""
        ...

    def release(self, *leases: Lease | None) -> None:
        """Gives leases back, so that nobody has to wait until they end."""
        ...


class Alone:
    """Where one process has the whole home: every lease is ours, and there is no row of it."""

    alone = True

    def take(self, name: str) -> Lease:
        """Always ours."""
        return Lease(name, "", 0)

    def release(self, *leases: Lease | None) -> None:
        """Nothing to give back."""


ALONE = Alone()


class SharedLeases:
    """The leases of one process among many, kept alive by a thread for as long as the process runs.

    Args:
        engine: the shared ledger, on PostgreSQL.
        term: ms that a lease counts without being renewed; must be longer than any pause of a healthy machine.
    """

    alone = False

    def __init__(self, engine: Engine, term: int = TERM) -> None:
        self.engine = engine
        self.term = term
        self.lock = threading.Lock()
        self._held: dict[str, Lease] = {}
        self._until: dict[str, float] = {}  # of the monotonic clock
        self._claimed: dict[int, int] = {}
        self._pid = 0
        self._begin()

    @property
    def holder(self) -> str:
        """This process's name among all that ever worked on this ledger."""
        self._begin()
        return self._holder

    def take(self, name: str) -> Lease | None:
        """Takes a lease that nobody has. What this process has already is not given twice.

        Raises:
            DatabaseUnavailable: nobody knows; the lease ends by itself.
        """
        holder = self.holder
        with self.lock:
            if name in self._held:
                return None
            self._held[name] = Lease(name, holder, 0)  # no other thread of ours may try meanwhile
        until = time.monotonic() + self.term / 1000
        try:
            with writing(self.engine) as connection:
                epoch = connection.execute(_taking(name, holder, self.term)).scalar()
        except BaseException:
            self._held.pop(name, None)
            raise
        with self.lock:
            if epoch is None:
                del self._held[name]
                return None
            taken = self._held[name] = Lease(name, holder, int(epoch))
            self._until[name] = until
        self._keep_alive()
        return taken

    def release(self, *leases: Lease | None) -> None:
        """Gives leases back; those that we lost meanwhile are left alone. A database that is away ends them itself."""
        given = [each for each in leases if each is not None]
        with self.lock:
            for each in given:
                if self._held.get(each.name) == each:
                    del self._held[each.name]
        if not given:
            return
        with suppress(GatewayError), writing(self.engine) as connection:
            connection.execute(_locked(given).values(until=0))

    def elsewhere(self, prefix: str = "") -> set[str]:
        """The names of the leases that others have now."""
        with reading(self.engine) as connection:
            return set(
                connection.execute(
                    select(lease.c.name).where(
                        lease.c.name.startswith(prefix, autoescape=True),
                        lease.c.holder != self.holder,
                        lease.c.until > database_now(),
                    )
                ).scalars()
            )

    def claimed(self, messages: Iterable[int]) -> None:
        """These messages are in our hands from now on: their claims are renewed."""
        with self.lock:
            for each in messages:
                self._claimed[each] = self._claimed.get(each, 0) + 1
        self._keep_alive()

    def let_go(self, messages: Iterable[int]) -> None:
        """These messages are no longer in our hands."""
        with self.lock:
            for each in messages:
                if self._claimed.get(each, 0) > 1:
                    self._claimed[each] -= 1
                else:
                    self._claimed.pop(each, None)

    def is_fresh(self, held: Lease) -> bool:
        """Whether a lease of ours cannot have ended yet, by this machine's clock that never stands still."""
        with self.lock:
            return self._held.get(held.name) == held and time.monotonic() < self._until.get(held.name, 0.0)

    def renew(self) -> None:
        """Renews everything that we have; what others took meanwhile is lost.

        Raises:
            DatabaseUnavailable: with the reason.
        """
        with self.lock:
            held, messages = {each for each in self._held.values() if each.epoch}, list(self._claimed)
        if messages:
            with writing(self.engine) as connection:
                connection.execute(_renewing_claims(messages, self.holder, self.term))
        if held:
            self._renew(held)

    def _renew(self, held: set[Lease]) -> None:
        until = time.monotonic() + self.term / 1000
        with writing(self.engine) as connection:
            renewed = {row.name for row in connection.execute(_renewing(held, self.term))}
            # What a commit of ours holds just now was not renewed, and is ours all the same.
            now = connection.execute(select(lease).where(lease.c.name.in_([each.name for each in held])))
            ours = {Lease(row.name, row.holder, row.epoch) for row in now}
        with self.lock:
            self._until |= dict.fromkeys(renewed, until)
            for each in held - ours:
                if self._held.get(each.name) == each:
                    del self._held[each.name]

    def close(self) -> None:
        """Ends the thread and gives everything back."""
        self._stop.set()
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join(5)
        self.release(*list(self._held.values()))

    # ------------------------------------------------------------ the thread

    def _begin(self) -> None:
        """A process of its own, also after a fork: what the parent has is not the child's."""
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        self._holder = f"{socket.gethostname()} {self._pid} {secrets.token_hex(4)}"
        self.lock = threading.Lock()
        self._held, self._claimed, self._until = {}, {}, {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def _keep_alive(self) -> None:
        with self.lock:
            if self._thread is None or not self._thread.is_alive():
                # A daemon: when the process ends, the leases shall end too.
                self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self.term / 1000 / _RENEWALS):
            with suppress(GatewayError):  # a database that is away: the next time, or the leases end
                self.renew()


@contextmanager
def holding(leases: Leases, name: str) -> Iterator[Lease | None]:
    """Has a lease while the block runs; gives None where somebody else has it."""
    taken = leases.take(name)
    try:
        yield taken
    finally:
        leases.release(taken)


# ---------------------------------------------------------------- turns among transactions


CAME, SENT = "partner", "sent"  # what came from a partner; what became of what was sent to it


def take_turns_over(connection: Connection, partners: Iterable[str], *about: str) -> None:
    """Until this transaction ends, no other one decides about these partners. SQLite has one writer anyway.

    Reading what is known and writing what follows from it (duplicates, numbers, acknowledgments) is then one act; and
    because everybody asks in the same order, nobody waits in a circle.

    Args:
        connection: within a transaction.
        partners: their keys.
        about: ``CAME``, ``SENT``; nothing is both.
    """
    if connection.dialect.name != "postgresql":
        return
    wanted = sorted({f"{each}:{partner}" for partner in partners for each in about or (CAME, SENT)})
    name = func.unnest(array(wanted)).column_valued("name")
    if wanted:
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0)))).all()


# ---------------------------------------------------------------- statements


def _taking(name: str, holder: str, term: int) -> ReturningInsert[int]:
    row = insert(lease).values(name=name, holder=holder, epoch=1, until=database_now() + term)
    # Ours already: the answer to an earlier attempt was lost on its way.
    free = or_(lease.c.until <= database_now(), lease.c.holder == holder)
    return row.on_conflict_do_update(
        index_elements=[lease.c.name],
        set_={"holder": row.excluded.holder, "epoch": lease.c.epoch + 1, "until": row.excluded.until},
        where=free,
    ).returning(lease.c.epoch)


def _renewing(held: Iterable[Lease], term: int) -> ReturningUpdate[str]:
    # Nor those that were given back since somebody looked.
    kept = _locked(held, skip=True, only=lease.c.until > 0)
    return kept.values(until=database_now() + term).returning(lease.c.name)


def _locked(held: Iterable[Lease], *, skip: bool = False, only: ColumnElement[bool] | None = None) -> Update:
    """UPDATE of the rows that are as we know them, locked in one order for all. ``skip``: not those in use."""
    row = tuple_(lease.c.name, lease.c.holder, lease.c.epoch)
    known = [(each.name, each.holder, each.epoch) for each in held]
    wanted = select(lease.c.name).where(row.in_(known), *([] if only is None else [only]))
    mine = wanted.order_by(lease.c.name).with_for_update(skip_locked=skip)
    return update(lease).where(lease.c.name.in_(mine))


def _renewing_claims(messages: Sequence[int], holder: str, term: int) -> Update:
    given = claim.c.message.in_(messages)
    mine = select(claim.c.message).where(given, claim.c.holder == holder, claim.c.until > 0)  # else given back
    return (
        update(claim)
        .where(claim.c.message.in_(mine.order_by(claim.c.message).with_for_update(skip_locked=True)))
        .values(until=database_now() + term)
    )
