"""How much waits for a step: cheap questions, asked often while a batch runs."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from gateway.ledger.literals import word
from gateway.ledger.states import MessageState
from gateway.ledger.tables import message, outgoing, transaction_set

# The word stands in the statement itself: with a bound one SQLite does not see that the partial index serves.
DUE = transaction_set.c.delivery == word("due")


def messages_waiting(connection: Connection) -> int:
    """Stored messages that wait to be processed."""
    return _count(connection, select(func.count()).where(message.c.state == MessageState.STORED))


def deliveries_waiting(connection: Connection) -> int:
    """Accepted transaction sets that the business does not have yet."""
    return _count(connection, select(func.count()).where(DUE))


def mails_waiting(connection: Connection, now: int) -> int:
    """Mails that are ready and due at ``now`` (ms since 1970 UTC)."""
    ready = select(func.count()).where(outgoing.c.state == "ready", outgoing.c.next_at <= now)
    return _count(connection, ready)


def _count(connection: Connection, question: object) -> int:
    return int(connection.execute(question).scalar_one())  # type: ignore[call-overload]
