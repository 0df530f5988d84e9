"""Numbers that no row of the ledger ever gets: below 1, or (SQLite keeps any value in any column) no whole number.

What goes through the ledger by its numbers begins at 1 and would never look at them. So they are asked for by
themselves, by an index, which costs next to nothing where there are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from sqlalchemy import Connection, Dialect, Table, func, select

from gateway.ledger import bulk, tables
from gateway.ledger.prints import AUDITED

LAST = 2**63 - 1  # the biggest number that a database keeps
AT_MOST = 20  # strays of one table that are named

Stray = tuple[str, Any]
"""A table and the number that stands in it; None after the last one that is named, where there are more."""


def stray_owners(connection: Connection, *, every: bool) -> Iterator[Stray]:
    """Owners of audited rows that none can have.

    Args:
        connection: within a transaction.
        every: also fractions, for which SQLite reads an index from beginning to end.
    """
    for name, audited in AUDITED.items():
        yield from _strays(connection, name, audited.table, audited.owner, every=every)


def stray_events(connection: Connection, *, every: bool) -> Iterator[Stray]:
    """Numbers of events, and of leaves in the place of one, that none can have; ``every`` as above."""
    for table in (tables.event, tables.event_leaf):
        yield from _strays(connection, table.name, table, "seq", every=every)


def _strays(connection: Connection, name: str, table: Table, column: str, *, every: bool) -> Iterator[Stray]:
    found: list[Any] = []
    for sql in _questions(connection.dialect, table, column, every):
        found += [value for (value,) in bulk.legible(connection, sql)]
    for number in dict.fromkeys(found[:AT_MOST]):
        yield name, number
    if len(found) > AT_MOST:
        yield name, None


@cache
def _questions(dialect: Dialect, table: Table, name: str, every: bool) -> tuple[str, ...]:
    """As texts: a verification asks one of every table, and would make them anew for longer than they take."""
    column = table.c[name]
    conditions = [column < 1]
    if dialect.name == "sqlite":  # whose texts and bytes come after all numbers
        conditions.append(column > LAST)
        if every:
            conditions.append((func.typeof(column) == "real") & (column > 0))
    return tuple(
        str(
            select(column)
            .where(condition)
            .order_by(column)
            .limit(AT_MOST + 1)
            .compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        )
        for condition in conditions
    )
