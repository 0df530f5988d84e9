"""Many rows with one statement, at the driver's speed.

SQLAlchemy compiles the statement, once for each shape; the rows then go to the driver as they are. That is worth a
third of what recording costs: nothing here needs SQLAlchemy to look at every value again (whole numbers, text,
bytes).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Insert, Select, Table, Update
from sqlalchemy.exc import DBAPIError

Row = dict[str, Any]

_WORTH_A_COPY = 8  # rows; a COPY is four messages to the server
_FETCHED = 1_000

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


def one(connection: Connection, shape: Hashable, make: Callable[[], Select[Any]], row: Row) -> Any:
    """The first row of an answer, or None; ``row`` holds the parameters of the statement."""
    sql, values = _statement(connection, shape, make, row)
    return connection.exec_driver_sql(sql, values(row) if values else row).first()


def tuples(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement as the driver gives them, without a look at any value.

    Args:
        connection: within a transaction.
        sql: with a question mark (SQLite) or %s (PostgreSQL) for each parameter.
        parameters: as the driver takes them.
    """
    driver: Any = connection.connection.driver_connection
    errors: Any = connection.dialect.loaded_dbapi.Error
    try:
        cursor = driver.execute(sql, parameters)
        while rows := cursor.fetchmany(_FETCHED):
            yield from rows
    except errors as problem:  # as SQLAlchemy words what its own statements meet
        raise DBAPIError.instance(sql, None, problem, errors, dialect=connection.dialect) from problem


def legible(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of a statement as ``tuples`` gives them, also where somebody wrote text that is none.

    SQLite stores any bytes as text; those that are no UTF-8 are told as they are.
    """
    try:
        return list(tuples(connection, sql, parameters))
    except DBAPIError:
        if connection.dialect.name != "sqlite":
            raise
    driver: Any = connection.connection.driver_connection
    before, driver.text_factory = driver.text_factory, lambda raw: raw.decode("utf-8", "backslashreplace")
    try:
        return list(tuples(connection, sql, parameters))
    finally:
        driver.text_factory = before


def append(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Inserts rows that cannot be there yet.

    On PostgreSQL they go by COPY, which costs a third of as many INSERTs.

    Args:
        connection: within a transaction.
        table: where to.
        rows: at least one, with equal keys; text, whole numbers and None only, as for ``write``.
    """
    if connection.dialect.name != "postgresql" or len(rows) < _WORTH_A_COPY:
        write(connection, table.name, table.insert, rows)
        return
    names = list(rows[0])
    quoted = ", ".join(connection.dialect.identifier_preparer.quote(each) for each in names)
    values = itemgetter(*names)
    statement = f"COPY {table.name} ({quoted}) FROM STDIN"
    driver: Any = connection.connection.driver_connection
    errors: Any = connection.dialect.loaded_dbapi.Error
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(values(row))
    except errors as problem:  # as SQLAlchemy words what its own statements meet
        raise DBAPIError.instance(statement, None, problem, errors, dialect=connection.dialect) from problem


def _statement(
    connection: Connection, shape: Hashable, make: Callable[[], Insert | Update | Select[Any]], row: Row
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
