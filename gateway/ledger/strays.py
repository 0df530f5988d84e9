"""Numbers that no row of the ledger ever gets: below 1, or (SQLite keeps any value in any column) no whole number.

What goes through the ledger by its numbers begins at 1 and would never look at them. So they are asked for by
themselves, by an index, which costs next to nothing where there are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

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
        yield from _strays(connection, name, audited.table.c[audited.owner], every=every)


def stray_events(connection: Connection, *, every: bool) -> Iterator[Stray]:
    """Numbers of events, and of leaves in the place of one, that none can have; ``every`` as above."""
    for table in (tables.event, tables.event_leaf):
        yield from _strays(connection, table.name, table.c.seq, every=every)


def _strays(connection: Connection, name: str, column: ColumnElement[Any], *, every: bool) -> Iterator[Stray]:
    found = _asked(connection, column, column < 1)
    if connection.dialect.name == "sqlite":  # whose texts and bytes come after all numbers
        found += _asked(connection, column, column > LAST)
        if every:
            found += _asked(connection, column, (func.typeof(column) == "real") & (column > 0))
    for number in dict.fromkeys(found[:AT_MOST]):
        yield name, number
    if len(found) > AT_MOST:
        yield name, None


def _asked(connection: Connection, column: ColumnElement[Any], condition: ColumnElement[bool]) -> list[Any]:
    wanted = select(column).where(condition).order_by(column).limit(AT_MOST + 1)
    sql = str(wanted.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
    return [value for (value,) in bulk.legible(connection, sql)]
