"""Many rows with one statement, at the driver's speed.

SQLAlchemy compiles the statement, once for each shape; the rows then go to the driver as they are. That is worth a
third of what recording costs: nothing here needs SQLAlchemy to look at every value again (whole numbers, text,
bytes).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Delete,
    Insert,
    Select,
    Table,
    Text,
    Update,
    and_,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.dml import ReturningUpdate

from gateway.ledger import plain_json
from gateway.ledger.literals import word
from gateway.ledger.quick_json import compact

Row = dict[str, Any]
Statement = Insert | Update | Delete | ReturningUpdate[Any] | Select[Any]

_WORTH_A_COPY = 8  # rows; a COPY is four messages to the server
_FETCHED = 250

_compiled: dict[tuple[str, Hashable], tuple[str, Callable[[Row], Any] | None]] = {}


class _Worded:
    """What the driver meets within it is worded as SQLAlchemy words what its own statements meet."""

    __slots__ = ("_connection", "_sql")

    def __init__(self, connection: Connection, sql: str) -> None:
        self._connection = connection
        self._sql = sql

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, problem: BaseException | None, __: object) -> None:
        if problem is None:
            return
        dialect = self._connection.dialect
        errors: Any = dialect.loaded_dbapi.Error
        if isinstance(problem, errors):
            raise DBAPIError.instance(self._sql, None, problem, errors, dialect=dialect) from problem


def _execute(connection: Connection, sql: str, parameters: Any = (), **how: bool) -> Any:
    """A cursor of the driver's; whatever is asked here goes this way."""
    driver: Any = connection.connection.driver_connection
    return driver.execute(sql, parameters, **how)


def write(connection: Connection, shape: Hashable, make: Callable[[], Statement], rows: Sequence[Row]) -> None:
    """Executes one statement for every row.

    Args:
        connection: within a transaction.
        shape: names the statement; equal shapes have equal statements and rows with equal keys.
        make: gives the statement, whose parameters are the keys of the rows.
        rows: at least one; bytes, text, whole numbers and None only, for no value is converted.
    """
    sql, values = _statement(connection, shape, make, rows[0])
    many(connection, sql, [values(row) for row in rows] if values else list(rows))


def many(connection: Connection, sql: str, parameters: Sequence[Any]) -> None:
    """Executes a statement of the driver's for each of ``parameters``, at least one."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(sql, list(parameters))
        return
    driver: Any = connection.connection.driver_connection
    with _Worded(connection, sql):
        driver.executemany(sql, parameters)


def run(connection: Connection, sql: str) -> None:
    """Executes a statement of the driver's that has no parameters and no answer."""
    with _Worded(connection, sql):
        _execute(connection, sql)


def one(connection: Connection, shape: Hashable, make: Callable[[], Statement], row: Row) -> Any:
    """The first row of an answer as a tuple, or None; ``row`` holds the parameters of the statement."""
    return next(iter(asked(connection, shape, make, row)), None)


def asked(
    connection: Connection, shape: Hashable, make: Callable[[], Statement], row: Row, *, prepared: bool = False
) -> list[tuple[Any, ...]]:
    """The rows of an answer as the driver gives them; ``row`` holds the parameters of the statement.

    For what is asked in nearly every transaction: SQLAlchemy's own way costs ten times as much as a small answer.

    Args:
        connection: within a transaction.
        shape: names the statement, as for ``write``.
        make: gives the statement.
        row: its parameters.
        prepared: PostgreSQL may keep its plan, and use it for other parameters.
    """
    sql, values = _statement(connection, shape, make, row)
    kept = {"prepare": True} if prepared and connection.dialect.name == "postgresql" else {}
    with _Worded(connection, sql):
        found: list[tuple[Any, ...]] = _execute(connection, sql, values(row) if values else row, **kept).fetchall()
    return found


def among(connection: Connection, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """The condition that a column is one of the values of the parameter ``name``, which ``listed`` gives.

    One statement for any number of values, which is compiled once and prepared once.
    """
    if connection.dialect.name == "sqlite":
        return column.in_(select(func.json_each(bindparam(name)).table_valued("value").c.value))
    return column == any_(bindparam(name, type_=ARRAY(column.type)))


def listed(connection: Connection, values: Iterable[Any]) -> Any:
    """Values, text or whole numbers, as the parameter of ``among``."""
    return compact(list(values)).decode() if connection.dialect.name == "sqlite" else list(values)


def beside(connection: Connection, wanted: Select[Any], table: Table, names: Sequence[str]) -> Select[Any]:
    """``wanted`` of the rows of a table whose columns ``names``, all text, are together as one of ``keys`` says.

    As a list of tuples the same condition is no question for an index to SQLite.
    """
    values: list[ColumnElement[Any]]
    if connection.dialect.name == "sqlite":
        each = func.json_each(bindparam("keys")).table_valued("value").alias("wanted")
        values = [func.json_extract(each.c.value, word(f"$[{place}]")) for place in range(len(names))]
    else:
        arrays = [bindparam(f"keys_{name}", type_=ARRAY(Text)) for name in names]
        each = func.unnest(*arrays).table_valued(*names, name="wanted").render_derived()
        values = [each.c[name] for name in names]
    same = and_(*(table.c[name] == value for name, value in zip(names, values, strict=True)))
    return wanted.select_from(each).join(table, same)


def keys(connection: Connection, names: Sequence[str], values: Iterable[Sequence[str]]) -> Row:
    """The parameters of ``beside``."""
    if connection.dialect.name == "sqlite":
        return {"keys": plain_json.compact(list(values))}
    columns = zip(*values, strict=True)
    return {f"keys_{name}": list(column) for name, column in zip(names, columns, strict=True)}


def tuples(connection: Connection, sql: str, parameters: Sequence[Any] | Row = ()) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement as the driver gives them, without a look at any value.

    Args:
        connection: within a transaction.
        sql: with a question mark (SQLite) or %s (PostgreSQL) for each parameter.
        parameters: as the driver takes them.
    """
    for rows in chunks(connection, sql, parameters):
        yield from rows


def chunks(connection: Connection, sql: str, parameters: Sequence[Any] | Row = ()) -> Iterator[list[tuple[Any, ...]]]:
    """The same, many rows at once."""
    with _Worded(connection, sql):
        cursor = _execute(connection, sql, parameters)
        while rows := cursor.fetchmany(_FETCHED):
            yield rows


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

    Args:
        connection: within a transaction.
        table: where to.
        rows: at least one, with equal keys; text, whole numbers and None only, as for ``write``.
    """
    names = tuple(rows[0])
    values = _by_position(names)
    append_values(connection, table, names, [values(row) for row in rows])


def append_values(
    connection: Connection, table: Table, names: Sequence[str], values: Sequence[tuple[Any, ...]]
) -> None:
    """``append`` of rows whose values stand in the order of ``names``.

    On PostgreSQL they go by COPY, which costs a third of as many INSERTs.
    """
    if connection.dialect.name != "postgresql" or len(values) < _WORTH_A_COPY:
        many(connection, _insertion(connection, table.name, tuple(names)), values)
        return
    statement = f"COPY {table.name} ({_quoted(connection, names)}) FROM STDIN"
    driver: Any = connection.connection.driver_connection
    with _Worded(connection, statement), driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in values:
            copy.write_row(row)


def change(connection: Connection, table: str, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    """Changes these columns of rows; of each its values, and then its id."""
    key = (connection.dialect.name, ("change", table, columns))
    if key not in _compiled:
        mark = "?" if connection.dialect.name == "sqlite" else "%s"
        quote = connection.dialect.identifier_preparer.quote
        changed = ", ".join(f"{quote(each)} = {mark}" for each in columns)
        _compiled[key] = f"UPDATE {quote(table)} SET {changed} WHERE id = {mark}", None  # noqa: S608 - names of ours
    many(connection, _compiled[key][0], rows)


def _insertion(connection: Connection, table: str, names: tuple[str, ...]) -> str:
    key = (connection.dialect.name, (table, names))
    if key not in _compiled:
        mark = "?" if connection.dialect.name == "sqlite" else "%s"
        marks = ", ".join([mark] * len(names))
        _compiled[key] = f"INSERT INTO {table} ({_quoted(connection, names)}) VALUES ({marks})", None  # noqa: S608 - names of ours
    return _compiled[key][0]


def _quoted(connection: Connection, names: Sequence[str]) -> str:
    return ", ".join(connection.dialect.identifier_preparer.quote(each) for each in names)


def _statement(
    connection: Connection, shape: Hashable, make: Callable[[], Statement], row: Row
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
