"""Finding exchanges and mails: the read side of the ledger.

``parse_query`` reads a query, ``search`` and ``search_messages`` give pages of rows, newest first, ``count`` and
``count_messages`` say how many there are in all. A mail that led to an exchange is found as that exchange; quarantined
mails, bounces and receipts are found by ``search_messages``.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, Table, func, select, tuple_

from gateway.ledger import tables
from gateway.ledger.conditions import Conditions
from gateway.ledger.database import reading
from gateway.ledger.query import Query
from gateway.ledger.rows import ExchangeRow, MessageRow, exchange_row, message_row
from gateway.ledger.words import parse_query

__all__ = ["ExchangeRow", "MessageRow", "Query", "count", "count_messages", "parse_query", "search", "search_messages"]

_mail = tables.message.c
_EXCHANGES = select(tables.exchange, _mail.cc_addresses, _mail.mailbox, _mail.proof, _mail.proof_detail).outerjoin(
    tables.message, _mail.id == tables.exchange.c.message
)
_PARAMETERS = 5_000  # ids in one statement; SQLite takes 32,766


def search(engine: Engine, query: Query, now: int | None = None) -> list[ExchangeRow]:
    """The exchanges that meet the query, newest first.

    Args:
        engine: the ledger.
        query: the criteria, the limit and the page.
        now: the moment that ``overdue`` is measured against (ms); the clock's where None.

    Raises:
        DatabaseUnavailable: with the reason.
    """
    with reading(engine) as connection:
        return exchanges_on(connection, query, now)


def count(engine: Engine, query: Query, now: int | None = None) -> int:
    """How many exchanges meet the query, whatever its limit and page."""
    with reading(engine) as connection:
        conditions = _conditions(connection, now).of_exchanges(query)
        return connection.execute(select(func.count()).select_from(tables.exchange).where(*conditions)).scalar_one()


def search_messages(engine: Engine, query: Query, now: int | None = None) -> list[MessageRow]:
    """The mails that meet the query and that no exchange speaks for, newest first."""
    with reading(engine) as connection:
        return messages_on(connection, query, now)


def count_messages(engine: Engine, query: Query, now: int | None = None) -> int:
    """How many mails ``search_messages`` would find without limit and page."""
    with reading(engine) as connection:
        conditions = _conditions(connection, now).of_messages(query)
        return connection.execute(select(func.count()).select_from(tables.message).where(*conditions)).scalar_one()


def exchanges_on(connection: Connection, query: Query, now: int | None = None) -> list[ExchangeRow]:
    """``search`` within a transaction that is open already."""
    statement = _EXCHANGES.where(*_conditions(connection, now).of_exchanges(query))
    return _exchanges(connection, _page(statement, tables.exchange, query))


def messages_on(connection: Connection, query: Query, now: int | None = None) -> list[MessageRow]:
    """``search_messages`` within a transaction that is open already."""
    statement = select(tables.message).where(*_conditions(connection, now).of_messages(query))
    return _messages(connection, _page(statement, tables.message, query))


def exchange_on(connection: Connection, number: int) -> ExchangeRow | None:
    """One exchange by its id; None where there is none."""
    found = _exchanges(connection, _EXCHANGES.where(tables.exchange.c.id == number))
    return found[0] if found else None


def message_on(connection: Connection, number: int) -> MessageRow | None:
    """One mail by its id, whether an exchange speaks for it or not; None where there is none."""
    found = _messages(connection, select(tables.message).where(tables.message.c.id == number))
    return found[0] if found else None


def _exchanges(connection: Connection, statement: Select[Any]) -> list[ExchangeRow]:
    found = connection.execute(statement).mappings().all()
    key = tables.business_key.c
    keys = _grouped(connection, select(key.exchange, key.name, key.value), key.exchange, [row["id"] for row in found])
    return [exchange_row(dict(row), tuple(sorted(set(keys[row["id"]])))) for row in found]


def _messages(connection: Connection, statement: Select[Any]) -> list[MessageRow]:
    found = connection.execute(statement).mappings().all()
    part = tables.payload.c
    files = select(part.message, part.ordinal, part.file_name).where(part.file_name != "")
    names = _grouped(connection, files, part.message, [row["id"] for row in found])
    return [message_row(dict(row), tuple(str(name) for _, name in sorted(names[row["id"]]))) for row in found]


def _conditions(connection: Connection, now: int | None) -> Conditions:
    return Conditions(connection.dialect.name, int(time.time() * 1000) if now is None else now)


def _page(statement: Select[Any], table: Table, query: Query) -> Select[Any]:
    """One page: the order is total, and the next page begins after a row, so nothing is seen twice or missed."""
    if query.before is not None:
        statement = statement.where(tuple_(table.c.at, table.c.id) < query.before)
    statement = statement.order_by(table.c.at.desc(), table.c.id.desc())
    return statement if query.limit is None else statement.limit(query.limit)


def _grouped(
    connection: Connection, statement: Select[Any], owner: ColumnElement[int], ids: Sequence[int]
) -> dict[int, list[tuple[Any, ...]]]:
    """The rows that belong to ``ids``, by owner (their first column), with a statement for thousands of owners."""
    groups: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for start in range(0, len(ids), _PARAMETERS):
        for row in connection.execute(statement.where(owner.in_(ids[start : start + _PARAMETERS]))):
            groups[row[0]].append(tuple(row[1:]))
    return groups
