"""How it stands: how many are in each state, what the last batch was, and the facts of one thing in quarantine."""

from __future__ import annotations

import json

from sqlalchemy import Connection, and_, func, or_, select, text

from gateway.errors import NotFound
from gateway.ledger import tables
from gateway.ledger.search_tables import UNUSUAL_STATE, USUAL_STATES
from gateway.ledger.states import ExchangeState, MessageState
from gateway.ledger.tables import batch, exchange, expectation, message, not_taken, outgoing
from gateway.ledger.waiting import DUE

# States beside the usual ones that wait for nothing and nobody.
_ENDED = (
    *(ExchangeState.DUPLICATE, ExchangeState.DISCARDED, ExchangeState.EMPTY),
    *(ExchangeState.CANCELLED, ExchangeState.SUPERSEDED),
)


def counts(connection: Connection, since: int) -> dict[str, int]:
    """How many exchanges are in each state, and how much waits.

    Of what ended, or was settled by a person, only that is counted which came or went since then (ms since 1970 UTC):
    so the answer takes no longer, and says nothing else, when the ledger is ten years old.
    """
    by, states, recent = (exchange.c.direction, exchange.c.state), exchange.c.state, exchange.c.at >= since
    waiting_ones = and_(states.not_in(_ENDED), exchange.c.settled_at.is_(None))
    found = {
        f"{row.direction} {row.state}": row.number
        for where in ((text(UNUSUAL_STATE), or_(recent, waiting_ones)), (states.in_(USUAL_STATES), recent))
        for row in connection.execute(select(*by, func.count().label("number")).where(*where).group_by(*by))
    }
    waiting = {
        "messages stored": select(func.count()).where(message.c.state == MessageState.STORED),
        "messages left on their servers, not taken": select(func.count()).select_from(not_taken),
        "messages quarantined": select(func.count()).where(message.c.state == MessageState.QUARANTINED),
        "mails waiting": select(func.count()).where(or_(outgoing.c.state == "ready", outgoing.c.state == "sending")),
        "acknowledgments awaited": select(func.count()).select_from(expectation),
        "deliveries due": select(func.count()).where(DUE),
    }
    for name, statement in waiting.items():
        found[name] = connection.execute(statement).scalar_one()
    return found


def repeated_documents(connection: Connection, since: int) -> dict[str, int]:
    """How many documents came or went since then (ms since 1970 UTC) that had come or gone under another number."""
    found = select(func.count()).select_from(exchange).where(exchange.c.repeats.is_not(None), exchange.c.at >= since)
    return {"documents of the last 7 days that repeat earlier ones": connection.execute(found).scalar_one()}


def last_batch(connection: Connection) -> dict[str, int | None] | None:
    """The newest run of the night: id, started_at, ended_at, exit_code; None before the first."""
    row = connection.execute(select(batch).order_by(batch.c.id.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    return {"id": row.id, "started_at": row.started_at, "ended_at": row.ended_at, "exit_code": row.exit_code}


def quarantined(connection: Connection, *, message: int | None, exchange: int | None) -> dict[str, object]:
    """The facts of one message or exchange with its fault, whatever its state.

    Raises:
        NotFound: there is none of that number.
    """
    table = tables.message if message is not None else tables.exchange
    number = message if message is not None else exchange
    row = connection.execute(select(table).where(table.c.id == number)).mappings().one_or_none()
    if row is None:
        raise NotFound(what="message" if message is not None else "exchange", key=number)
    found = dict(row)
    found["fault"] = json.loads(found["fault"]) if found["fault"] else None
    return found
