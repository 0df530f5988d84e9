"""Many rows with one statement on PostgreSQL, where COPY cannot: changes, and rows that may be there already.

A statement executed for each row is a message to the server and an answer for each, and both sides wake up for it. Here
the values of a column go together, as one array, and the server makes rows of them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import ARRAY, Connection, Insert, Table, bindparam, func, select
from sqlalchemy.exc import DBAPIError

Row = dict[str, Any]

WORTH_IT = 4  # rows
_BYTES = 1_000_000  # of values that go at once
_statements: dict[tuple[str, tuple[str, ...]], str] = {}


def change(connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Changes columns of rows by their id.

    Args:
        connection: within a transaction.
        table: one with an ``id``.
        columns: which ones.
        rows: of each the values of these columns, and then its id; each id once.
    """
    key = (table.name, tuple(columns))
    given = {f"new_{each}": each for each in columns} | {"the_id": "id"}
    if key not in _statements:
        quote = connection.dialect.identifier_preparer.quote
        types = {name: table.c[column].type.compile(connection.dialect) for name, column in given.items()}
        arrays = ", ".join(f"%({name})b::{type_}[]" for name, type_ in types.items())
        sets = ", ".join(f"{quote(each)} = given.new_{each}" for each in columns)
        _statements[key] = (
            f"UPDATE {table.name} SET {sets} FROM unnest({arrays}) AS given ({', '.join(given)})"  # noqa: S608 - our names
            f" WHERE {table.name}.id = given.the_id"
        )
    values = zip(*rows, strict=True)
    _execute(connection, _statements[key], {name: list(each) for name, each in zip(given, values, strict=True)})


def offer(connection: Connection, table: Table, make: Callable[[], Insert], rows: Sequence[Row]) -> None:
    """Inserts rows in their order.

    Args:
        connection: within a transaction.
        table: where to.
        make: gives the INSERT, which says what becomes of a row that is there.
        rows: with equal keys, each once.
    """
    key = (table.name, ("INSERT", *rows[0]))
    if key not in _statements:
        arrays = [bindparam(name, type_=ARRAY(table.c[name].type)) for name in rows[0]]
        given = func.unnest(*arrays).table_valued(*rows[0], name="given").render_derived()
        statement = make().from_select(list(rows[0]), select(*given.c))
        # As the server has them: bytes that are written as text are twice as long.
        _statements[key] = str(statement.compile(dialect=connection.dialect)).replace(")s::", ")b::")
    for some in _portions(rows):
        _execute(connection, _statements[key], {name: [row[name] for row in some] for name in some[0]})


def _execute(connection: Connection, sql: str, columns: dict[str, list[Any]]) -> None:
    """Prepared: planned for these values, all of them would be copied into the plan."""
    driver: Any = connection.connection.driver_connection
    errors: Any = connection.dialect.loaded_dbapi.Error
    try:
        driver.execute(sql, columns, prepare=True)
    except errors as problem:  # as SQLAlchemy words what its own statements meet
        raise DBAPIError.instance(sql, None, problem, errors, dialect=connection.dialect) from problem


def _portions(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows that are sent together: big ones take memory on both sides, more than once."""
    some: list[Row] = []
    size = 0
    for row in rows:
        some.append(row)
        size += sum(len(value) for value in row.values() if isinstance(value, bytes))
        if size >= _BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some
