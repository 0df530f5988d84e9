"""Finding exchanges and mails: the read side of the ledger.

``parse_query`` reads a query, ``search`` and ``search_messages`` give pages of rows, newest first or in the order that
the query names, ``count`` and ``count_messages`` say how many there are in all. A mail that led to an exchange is found
as that exchange; quarantined mails, bounces and receipts are found by ``search_messages``.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, Engine, Select, select

from gateway.errors import QueryInvalid
from gateway.ledger import bulk, tables, ways
from gateway.ledger.database import reading
from gateway.ledger.finding import Finder
from gateway.ledger.literals import word
from gateway.ledger.query import SORTS, Cursor, Query
from gateway.ledger.ready import Ready
from gateway.ledger.rows import ExchangeRow, MessageRow, exchange_row, message_row
from gateway.ledger.walking import steer
from gateway.ledger.words import parse_query

__all__ = [
    "ExchangeRow",
    "MessageRow",
    "Query",
    "count",
    "count_messages",
    "cursor_of",
    "parse_query",
    "search",
    "search_messages",
]

MAIL_SORTS = frozenset({"at", "size", "partner", "state", "subject", "from"})
_SORTED_BY = {"updated": "updated_at", "control": "control_number", "file": "file_name", "from": "from_address"}

_AT_ONCE = 5_000  # ids in one statement


def _those(name: str, wanted: Select[Any], column: ColumnElement[int]) -> Ready:
    """The rows whose column is one of ``ids``."""
    return Ready(name, lambda connection: wanted.where(bulk.among(connection, column, "ids")))


_mail, _key, _part = tables.message.c, tables.business_key.c, tables.payload.c
_EXCHANGES = _those(
    "page of exchanges",
    select(tables.exchange, _mail.cc_addresses, _mail.mailbox, _mail.proof, _mail.proof_detail).outerjoin(
        tables.message, _mail.id == tables.exchange.c.message
    ),
    tables.exchange.c.id,
)
_KEYS = _those("their keys", select(_key.exchange.label("owner"), _key.name, _key.value), _key.exchange)
_MAILS = _those("page of mails", select(tables.message), _mail.id)
_FILES = _those(
    "their files",
    select(_part.message.label("owner"), _part.ordinal, _part.file_name).where(_part.file_name != word("")),
    _part.message,
)


def search(engine: Engine, query: Query, now: int | None = None) -> list[ExchangeRow]:
    """The exchanges that meet the query, in its order.

    Args:
        engine: the ledger.
        query: the criteria, the order, the limit and the page.
        now: the moment that ``overdue`` is measured against (ms); the clock's where None.

    Raises:
        DatabaseUnavailable: with the reason.
    """
    with reading(engine) as connection:
        return _exchanges(connection, _exchange_finder(connection, query, now).page())


def count(engine: Engine, query: Query, now: int | None = None, most: int | None = None) -> int:
    """How many exchanges meet the query, whatever its limit and page.

    An exact count of millions takes its time. With ``most`` no more than ``most`` + 1 are looked for, so that a
    result above ``most`` means "more than that".
    """
    with reading(engine) as connection:
        return _exchange_finder(connection, _uncut(query), now).count(most)


def search_messages(engine: Engine, query: Query, now: int | None = None) -> list[MessageRow]:
    """The mails that meet the query and that no exchange speaks for, in its order where mails have what it is by.

    Raises:
        QueryInvalid: a page in an order that mails do not have.
        DatabaseUnavailable: with the reason.
    """
    with reading(engine) as connection:
        return _messages(connection, _mail_finder(connection, query, now).page())


def count_messages(engine: Engine, query: Query, now: int | None = None, most: int | None = None) -> int:
    """How many mails ``search_messages`` would find without limit and page; ``most`` as in ``count``."""
    with reading(engine) as connection:
        return _mail_finder(connection, _uncut(query), now).count(most)


def exchanges_on(connection: Connection, query: Query, now: int | None = None) -> list[ExchangeRow]:
    """``search`` within a transaction that is open already."""
    found = _exchange_finder(connection, query, now).page()
    _unsteer(connection)
    return _exchanges(connection, found)


def messages_on(connection: Connection, query: Query, now: int | None = None) -> list[MessageRow]:
    """``search_messages`` within a transaction that is open already."""
    found = _mail_finder(connection, query, now).page()
    _unsteer(connection)
    return _messages(connection, found)


def cursor_of(row: ExchangeRow | MessageRow, query: Query) -> Cursor:
    """Where the page after ``row`` begins in the order of the query: its ``before``."""
    name, _ = query.order
    if name == "type":
        value: Any = " ".join(row.types) if isinstance(row, ExchangeRow) else ""
    else:
        value = getattr(row, _SORTED_BY.get(name, name))
    return value, row.id


def exchange_on(connection: Connection, number: int) -> ExchangeRow | None:
    """One exchange by its id; None where there is none."""
    found = _exchanges(connection, [number])
    return found[0] if found else None


def message_on(connection: Connection, number: int) -> MessageRow | None:
    """One mail by its id, whether an exchange speaks for it or not; None where there is none."""
    found = _messages(connection, [number])
    return found[0] if found else None


def _exchanges(connection: Connection, ids: Sequence[int]) -> list[ExchangeRow]:
    """The exchanges of these ids, in that order."""
    found = {row["id"]: row for row in _rows(connection, _EXCHANGES, ids)}
    keys: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for row in _rows(connection, _KEYS, ids):
        keys[row["owner"]].add((row["name"], row["value"]))
    return [exchange_row(found[each], tuple(sorted(keys.get(each, ())))) for each in ids if each in found]


def _messages(connection: Connection, ids: Sequence[int]) -> list[MessageRow]:
    """The mails of these ids, in that order."""
    found = {row["id"]: row for row in _rows(connection, _MAILS, ids)}
    names: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for row in _rows(connection, _FILES, ids):
        names[row["owner"]].append((row["ordinal"], row["file_name"]))
    return [
        message_row(found[each], tuple(name for _, name in sorted(names.get(each, ()))))
        for each in ids
        if each in found
    ]


def _rows(connection: Connection, those: Ready, ids: Sequence[int]) -> list[dict[str, Any]]:
    """The rows of these ids, with a statement for thousands of them."""
    found: list[dict[str, Any]] = []
    for start in range(0, len(ids), _AT_ONCE):
        found += those.rows(connection, ids=bulk.listed(connection, ids[start : start + _AT_ONCE]))
    return found


def _exchange_finder(connection: Connection, query: Query, now: int | None) -> Finder:
    return Finder(connection, query, ways.of_exchanges(query, connection.dialect.name, _now(now)))


def _mail_finder(connection: Connection, query: Query, now: int | None) -> Finder:
    if query.order[0] not in MAIL_SORTS:
        if query.before is not None:
            refuse_order_of_mails(query)
        query = replace(query, sort=None)
    return Finder(connection, query, ways.of_mails(query, connection.dialect.name, _now(now)))


def refuse_order_of_mails(query: Query) -> None:
    """Where mails alone are asked for, an order that they do not have is no order: pages would not follow each other.

    Raises:
        QueryInvalid: mails cannot be sorted like that.
    """
    if query.order[0] not in MAIL_SORTS:
        raise QueryInvalid(where=f"sort={query.sort}", reason=f"mails are sorted by {', '.join(_mail_sorts())}")


def _mail_sorts() -> list[str]:
    return [name for name in SORTS if name in MAIL_SORTS]


def _uncut(query: Query) -> Query:
    return replace(query, sort=None, before=None, limit=None)


def _now(now: int | None) -> int:
    return int(time.time() * 1000) if now is None else now


def _unsteer(connection: Connection) -> None:
    """The transaction goes on as if nothing had been found in it."""
    if connection.dialect.name == "postgresql":
        steer(connection)
