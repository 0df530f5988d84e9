"""Claims: stored messages that one of many workers processes right now (PostgreSQL).

A group is claimed in one short transaction, with SKIP LOCKED, so that workers do not wait for each other; the same
transaction counts the attempt. It is parsed outside of any transaction, and recorded in one that takes the claims
away: who finds them gone, or another's, is refused. A dead worker's claims end by the database's clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    any_,
    bindparam,
    delete,
    exists,
    func,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.sql.elements import CollectionAggregate

from gateway.errors import LeaseLost
from gateway.ledger.leases import SharedLeases, database_now
from gateway.ledger.on_postgres import insert
from gateway.ledger.recording import Ledger
from gateway.ledger.states import MessageState
from gateway.ledger.tables import claim, message
from gateway.ledger.work import StoredMessage, fitting, read_messages


class Claims(Struct, frozen=True):
    """Some messages that are ours. ``epochs`` by message."""

    holder: str
    epochs: dict[int, int]

    def hold(self, connection: Connection) -> None:
        """Takes the claims away in this transaction: the messages are done with it.

        Raises:
            LeaseLost: some are not ours any more; the transaction must be undone.
        """
        _lock(connection, self.epochs)
        mine = delete(claim).where(claim.c.message == _any(self.epochs), claim.c.holder == self.holder)
        done = connection.execute(mine.returning(claim.c.message, claim.c.epoch))
        if lost := {each for each, _ in self.epochs.items() - {(row.message, row.epoch) for row in done}}:
            names = ", ".join(f"m{each}" for each in sorted(lost)[:5])
            raise LeaseLost(name=f"message {names}", reason="another worker took it over")

    def only(self, messages: Iterable[int]) -> Claims:
        """The claims of some of them."""
        return Claims(self.holder, {each: self.epochs[each] for each in messages})


class Forsaken(Struct, frozen=True):
    """A message whose holder gave no sign of life. Its claim ends: should that one wake up, its commit is refused."""

    message: int

    def hold(self, connection: Connection) -> None:
        """Ends the claim in this transaction.

        Raises:
            LeaseLost: somebody has the message after all.
        """
        _lock(connection, [self.message])
        ended = delete(claim).where(claim.c.message == self.message, claim.c.until <= database_now())
        if connection.execute(ended.returning(claim.c.message)).first() is None:
            raise LeaseLost(name=f"message m{self.message}", reason="a worker has it")


@contextmanager
def claiming(
    ledger: Ledger,
    leases: SharedLeases,
    limit: int,
    size: int,
    attempts: int,
    directory: Path,
    *,
    suspect: bool = False,
) -> Iterator[tuple[Claims, list[StoredMessage]]]:
    """Claims the oldest messages that nobody has, reads them, and gives back what is left of the claims at the end.

    Args:
        ledger: the shared ledger.
        leases: who we are; they renew the claims while the block runs.
        limit: how many messages at most.
        size: how many bytes together, but always one message if there is one.
        attempts: messages that were tried so often are left alone.
        directory: where big ones are unpacked, into nameless files.
        suspect: one message that somebody has tried before, instead of those that nobody has.
    """
    tried = message.c.attempts.between(1, attempts - 1) if suspect else message.c.attempts == 0
    with ledger.transaction() as recorder:
        claims = _take(recorder.connection, leases, 1 if suspect else limit, size, tried)
    leases.claimed(claims.epochs)
    try:
        with ledger.reading() as connection:
            waiting = read_messages(connection, list(claims.epochs), directory)
        yield claims, [replace(each, attempts=each.attempts - 1) for each in waiting]  # those before this one
    finally:
        leases.let_go(claims.epochs)


def _take(connection: Connection, leases: SharedLeases, limit: int, size: int, which: ColumnElement[bool]) -> Claims:
    free = connection.execute(
        select(message.c.id, message.c.size)
        .where(message.c.state == MessageState.STORED, which, not_claimed())
        .order_by(message.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=message)
    ).all()
    chosen = [row.id for row in fitting(free, size)]
    if not chosen:
        return Claims(leases.holder, {})
    until = database_now() + leases.term
    each = func.unnest(_array(chosen)).column_valued("each")
    rows = insert(claim).from_select(
        ["message", "holder", "epoch", "until"], select(each, literal(leases.holder), literal(1), until)
    )
    taken = connection.execute(
        rows.on_conflict_do_update(
            index_elements=[claim.c.message],
            set_={"holder": rows.excluded.holder, "epoch": claim.c.epoch + 1, "until": rows.excluded.until},
            where=claim.c.until <= database_now(),  # somebody may have been quicker since we looked
        ).returning(claim.c.message, claim.c.epoch)
    )
    epochs = {row.message: row.epoch for row in taken}
    connection.execute(update(message).where(message.c.id == _any(epochs)).values(attempts=message.c.attempts + 1))
    return Claims(leases.holder, dict(sorted(epochs.items())))


def _lock(connection: Connection, messages: Iterable[int]) -> None:
    """Messages first, then their claims, as whoever claims does: nobody waits in a circle."""
    wanted = select(message.c.id).where(message.c.id == _any(messages)).order_by(message.c.id)
    connection.execute(wanted.with_for_update()).all()


def _any(messages: Iterable[int]) -> CollectionAggregate[bool]:
    """For a comparison with many: one parameter, where ``in_`` has one for each."""
    return any_(_array(messages))


def _array(messages: Iterable[int]) -> BindParameter[Sequence[int]]:
    return bindparam(None, list(messages), ARRAY(BigInteger))


def not_claimed() -> ColumnElement[bool]:
    """Whether nobody processes a message now."""
    return ~exists().where(claim.c.message == message.c.id, claim.c.until > database_now())


def give_back(connection: Connection, claims: Claims) -> None:
    """Lets others have the messages at once; the attempt does not count, for it was not their fault."""
    _lock(connection, claims.epochs)
    mine = [(each, claims.holder, epoch) for each, epoch in claims.epochs.items()]
    row = tuple_(claim.c.message, claim.c.holder, claim.c.epoch)
    given = connection.execute(update(claim).where(row.in_(mine)).values(until=0).returning(claim.c.message))
    back = list(given.scalars())
    if back:
        connection.execute(update(message).where(message.c.id.in_(back)).values(attempts=message.c.attempts - 1))


def forsaken(connection: Connection, attempts: int) -> list[int]:
    """Messages whose processing ended a process ``attempts`` times, and that nobody tries now: poison."""
    left = select(message.c.id).where(
        message.c.state == MessageState.STORED, message.c.attempts >= attempts, not_claimed()
    )
    return list(connection.execute(left).scalars())


def is_any_free(connection: Connection) -> bool:
    """Whether a stored message waits that nobody has."""
    waiting = select(message.c.id).where(message.c.state == MessageState.STORED, not_claimed()).limit(1)
    return connection.execute(waiting).first() is not None
