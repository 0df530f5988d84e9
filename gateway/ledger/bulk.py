"""Many rows with one statement, at the driver's speed.

SQLAlchemy compiles the statement, once for each shape; the rows then go to the driver as they are. That is worth a
third of what recording costs: nothing here needs SQLAlchemy to look at every value again (whole numbers, text,
bytes).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Insert, Update

Row = dict[str, Any]

_compiled: dict[tuple[str, Hashable], tuple[str, Callable[[Row], Any] | None]] = {}


def write(connection: Connection, shape: Hashable, make: Callable[[], Insert | Update], rows: Sequence[Row]) -> None:
    """Executes one statement for every row.

    Args:
        connection: within a transaction.
        shape: names the statement; equal shapes have equal statements and rows with equal keys.
        make: gives the statement, whose parameters are the keys of the rows.
        rows: at least one; bytes, text, whole numbers and None only, for no value is converted.
    """
    sql, values = _statement(connection, shape, make, rows[0])
    connection.exec_driver_sql(sql, [values(row) for row in rows] if values else list(rows))


def _statement(
    connection: Connection, shape: Hashable, make: Callable[[], Insert | Update], row: Row
) -> tuple[str, Callable[[Row], Any] | None]:
    """The statement's text, and what makes parameters of a row where they go by position (SQLite)."""
    key = (connection.dialect.name, shape)
    if key not in _compiled:
        compiled = make().compile(dialect=connection.dialect, column_keys=list(row))
        order = compiled.positiontup
        _compiled[key] = (str(compiled), _by_position(order) if order else None)
    return _compiled[key]


def _by_position(names: Sequence[str]) -> Callable[[Row], tuple[Any, ...]]:
    if len(names) == 1:
        return lambda row: (row[names[0]],)
    return itemgetter(*names)
