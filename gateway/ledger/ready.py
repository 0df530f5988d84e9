"""Questions whose shape never changes: built and compiled once, then put to the driver as they are.

A story asks some twenty of them, each for a handful of rows by their key; SQLAlchemy's own way to build such a
statement, compile it and wrap its answer costs many times what the database does. On PostgreSQL the server keeps their
plans too: they look up a key, and any plan by its index is the right one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, select

from gateway.ledger import bulk
from gateway.ledger.literals import whole

Row = dict[str, Any]


class Ready:
    """A question with parameters (``bindparam``), which are given by their names when it is asked.

    Args:
        name: of its own among all of them.
        make: gives the statement for a connection; called once for each kind of database.
        order: the column of the statement that its rows are ordered by.
    """

    def __init__(self, name: str, make: Callable[[Connection], Select[Any]], order: str = "") -> None:
        self.name = name
        self._make = make
        self._order = order
        self._names: dict[str, tuple[str, ...]] = {}

    def rows(
        self, connection: Connection, *, limit: int | None = None, newest: bool = False, **parameters: Any
    ) -> list[Row]:
        """Its rows, in their order.

        Args:
            connection: within a transaction.
            limit: no more than so many.
            newest: the last ones in the order, from the end.
            parameters: text, whole numbers and None only, for no value is converted; lists as ``bulk.listed`` gives.
        """
        if limit is not None:
            parameters["limit"] = limit
        shape = (self.name, limit is not None, newest)
        made = partial(self._statement, connection, limited=limit is not None, newest=newest)
        found = bulk.asked(connection, shape, made, parameters, prepared=True)
        if not found:
            return []
        names = self._columns(connection)
        return [dict(zip(names, row, strict=True)) for row in found]

    def row(self, connection: Connection, **parameters: Any) -> Row | None:
        """The first of its rows, or None."""
        return next(iter(self.rows(connection, **parameters)), None)

    def _statement(self, connection: Connection, *, limited: bool, newest: bool) -> Select[Any]:
        wanted = self._make(connection)
        if not self._order:
            return _limited(wanted) if limited else wanted
        order: ColumnElement[Any] = wanted.selected_columns[self._order]
        if limited and connection.dialect.name == "postgresql":
            # Asked for the first of an order, PostgreSQL may go through the whole table in that order instead of using
            # the index of what is wanted. An OFFSET keeps the two questions apart.
            inner = wanted.offset(whole(0)).subquery()
            wanted, order = select(inner), inner.c[self._order]
        wanted = wanted.order_by(order.desc() if newest else order)
        return _limited(wanted) if limited else wanted

    def _columns(self, connection: Connection) -> tuple[str, ...]:
        kind = connection.dialect.name
        if kind not in self._names:
            self._names[kind] = tuple(self._make(connection).selected_columns.keys())
        return self._names[kind]


def _limited(wanted: Select[Any]) -> Select[Any]:
    # SQLAlchemy would give SQLite an OFFSET of its own, as a parameter that nobody knows of.
    return wanted.limit(bindparam("limit")).offset(whole(0))
