"""Reading the daily counts: what each partner had on each day, and sums over any days by any dimensions.

Only for whole days of UTC; ``reports`` does the rest from the rows. Statements with a hundred columns take longer to
make than to execute, so each shape is made once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, bindparam, func, select

from gateway.ledger.daily_tables import SUMS, daily_count, day_column, first_day, length_of, months_of
from gateway.ledger.literals import whole, word

Key = tuple[str, ...]  # values of the dimensions that are asked for
Sums = tuple[int, int, int]  # interchanges, sets, bytes

_MOST_SHAPES = 500
_made: dict[tuple[Any, ...], tuple[str, Sequence[str] | None]] = {}


def matrix(connection: Connection, first: int, last: int, what: str = "interchanges") -> dict[str, list[int]]:
    """Counts by partner and day.

    Args:
        connection: within a transaction.
        first: the first day, as a number since 1970-01-01 (UTC).
        last: the last day, included.
        what: one of interchanges, sets and bytes.

    Returns:
        For each partner that had traffic one number for each day.
    """
    found: dict[str, list[int]] = {}
    place = 0
    for month, days in months_of(first, last):
        columns = tuple(day_column(what, day) for day in days)
        for row in _ask(connection, ("partner",), columns, {}, month, month):
            if any(row[1:]):
                line = found.setdefault(row[0], [0] * (last - first + 1))
                line[place : place + len(days)] = row[1:]
        place += len(days)
    return found


def sums(
    connection: Connection, first: int, last: int, by: Sequence[str], filters: Mapping[str, str] | None = None
) -> Iterator[tuple[Key, Sums]]:
    """Sums of days from ``first`` to ``last`` (included) by some of ``DIMENSIONS``; a key may come several times.

    ``filters`` are values of dimensions; a type is met by what has it among its types.
    """
    found = list(months_of(first, last))
    full = [month for month, days in found if len(days) == length_of(month)]
    asked: list[tuple[int, int, tuple[str, ...]]] = [
        (month, month, _together(days)) for month, days in found if month not in full
    ]
    if full:
        asked.append((full[0], full[-1], SUMS))
    for since, until, columns in asked:
        for row in _ask(connection, tuple(by), columns, filters or {}, since, until):
            if any(amounts := (row[-3], row[-2], row[-1])):
                yield tuple(row[:-3]), amounts


def lines_by_day(
    connection: Connection, first: int, last: int, by: Sequence[str], filters: Mapping[str, str] | None = None
) -> Iterator[tuple[Key, int, Sequence[int], Sequence[int], Sequence[int]]]:
    """The counts of each day by some of ``DIMENSIONS``; a key comes once for each month.

    Each line is the key, the first of the line's days, and interchanges, sets and bytes of that day and those after.
    """
    for month, days in months_of(first, last):
        columns = tuple(day_column(name, day) for name in SUMS for day in days)
        start, width, count = first_day(month) + days[0] - 1, len(by), len(days)
        sets, bytes_ = width + count, width + 2 * count
        for row in _ask(connection, tuple(by), columns, filters or {}, month, month):
            yield tuple(row[:width]), start, row[width:sets], row[sets:bytes_], row[bytes_:]


def sums_by_day(
    connection: Connection, first: int, last: int, by: Sequence[str], filters: Mapping[str, str] | None = None
) -> Iterator[tuple[int, Key, Sums]]:
    """As ``sums``, for each day with traffic."""
    for key, start, *counts in lines_by_day(connection, first, last, by, filters):
        for day, amounts in enumerate(zip(*counts, strict=True), start):
            if any(amounts):
                yield day, key, amounts


def names_type(types: ColumnElement[str], wanted: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether blank-separated types have that one, between two blanks, among them."""
    padded = word(" ").concat(types).concat(word(" "))
    return func.replace(padded, wanted, word("")) != padded


# ---------------------------------------------------------------- statements


def _ask(
    connection: Connection,
    by: tuple[str, ...],
    columns: tuple[str, ...],
    filters: Mapping[str, str],
    since: int,
    until: int,
) -> Sequence[Sequence[Any]]:
    """Sums of columns (or of several that are added, "i01+i02") over months from ``since`` to ``until``."""
    shape = (by, columns, tuple(filters), since == until)
    sql, order = _written(connection, shape, partial(_statement, *shape))
    given: dict[str, Any] = {"since": since, "until": until}
    given |= {f"the_{name}": f" {value} " if name == "type" else value for name, value in filters.items()}
    return connection.exec_driver_sql(sql, tuple(given[name] for name in order) if order else given).all()


def _statement(by: tuple[str, ...], columns: tuple[str, ...], filters: tuple[str, ...], one_month: bool) -> Select[Any]:
    d = daily_count.c
    # The rows of sums know partners alone; they are a twelfth of all.
    is_wide = {*by, *filters} <= {"partner"}
    conditions = [_met(name, bindparam(f"the_{name}")) for name in filters]
    conditions += [d.month >= bindparam("since"), d.month <= bindparam("until")]
    conditions.append(d.direction == word("") if is_wide else d.direction != word(""))
    dimensions = [d[name] for name in by]
    if is_wide and by == ("partner",) and one_month:  # each partner has one row
        return select(*dimensions, *(_added(each) for each in columns)).where(*conditions)
    # PostgreSQL's sum of whole numbers is a decimal, which is slow to read; SUM of no rows is NULL.
    summed = [func.coalesce(func.sum(_added(each)).cast(BigInteger), whole(0)) for each in columns]
    return select(*dimensions, *summed).where(*conditions).group_by(*dimensions)


def _met(name: str, wanted: ColumnElement[Any]) -> ColumnElement[bool]:
    column = daily_count.c[name]
    return names_type(column, wanted) if name == "type" else column == wanted


def _added(written: str) -> ColumnElement[int]:
    """One column, or the sum of several; NULL is nothing."""
    found = [func.coalesce(daily_count.c[name], whole(0)) for name in written.split("+")]
    added: ColumnElement[int] = found[0]
    for each in found[1:]:
        added = added + each
    return added


def _together(days: Iterable[int]) -> tuple[str, ...]:
    """The sums of some days of a month."""
    return tuple("+".join(day_column(name, day) for day in days) for name in SUMS)


def _written(
    connection: Connection, shape: tuple[Any, ...], make: Callable[[], Select[Any]]
) -> tuple[str, Sequence[str] | None]:
    """The statement's text for the driver, and the order of its parameters where they go by position (SQLite)."""
    key = (connection.dialect.name, *shape)
    if key not in _made:
        if len(_made) >= _MOST_SHAPES:
            _made.clear()
        compiled = make().compile(dialect=connection.dialect)
        _made[key] = str(compiled), compiled.positiontup
    return _made[key]
