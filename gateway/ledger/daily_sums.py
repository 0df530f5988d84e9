"""Reading the daily counts: what each partner had on each day, and sums over any days by any dimensions.

Only for whole days of UTC; ``reports`` does the rest from the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, func, select

from gateway.ledger.daily_tables import SUMS, daily_count, day_column, first_day, length_of, months_of
from gateway.ledger.literals import whole

Key = tuple[str, ...]  # values of the dimensions that are asked for
Sums = tuple[int, int, int]  # interchanges, sets, bytes


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
        columns = [_sum(daily_count.c[day_column(what, day)]) for day in days]
        wanted = select(daily_count.c.partner, *columns).where(daily_count.c.month == month)
        for partner, *counts in connection.execute(wanted.group_by(daily_count.c.partner)).all():
            if any(counts):
                line = found.setdefault(partner, [0] * (last - first + 1))
                line[place : place + len(days)] = counts
        place += len(days)
    return found


def sums(
    connection: Connection, first: int, last: int, by: Sequence[str], *which: ColumnElement[bool]
) -> Iterator[tuple[Key, Sums]]:
    """Sums of days from ``first`` to ``last`` (included) by some of ``DIMENSIONS``; a key may come several times.

    ``which`` are conditions over ``daily_count``.
    """
    d = daily_count.c
    dimensions = [d[name] for name in by]
    whole = [month for month, days in months_of(first, last) if len(days) == length_of(month)]
    asked: list[tuple[ColumnElement[bool], range | None]] = [
        (d.month == month, days) for month, days in months_of(first, last) if month not in whole
    ]
    if whole:
        asked.append((d.month.between(whole[0], whole[-1]), None))
    for when, days in asked:
        columns = [_sum(d[name] if days is None else _together(name, days)) for name in SUMS]
        for row in connection.execute(select(*dimensions, *columns).where(when, *which).group_by(*dimensions)):
            if any(found := (row[-3], row[-2], row[-1])):
                yield tuple(row[:-3]), found


def sums_by_day(
    connection: Connection, first: int, last: int, by: Sequence[str], *which: ColumnElement[bool]
) -> Iterator[tuple[int, Key, Sums]]:
    """As ``sums``, for each day with traffic."""
    d = daily_count.c
    dimensions = [d[name] for name in by]
    for month, days in months_of(first, last):
        columns = [_sum(d[day_column(name, day)]) for name in SUMS for day in days]
        wanted = select(*dimensions, *columns).where(d.month == month, *which).group_by(*dimensions)
        start, count = first_day(month) + days[0] - 1, len(days)
        for row in connection.execute(wanted):
            key, numbers = tuple(row[: len(by)]), row[len(by) :]
            for place in range(count):
                if any(found := (numbers[place], numbers[count + place], numbers[2 * count + place])):
                    yield start + place, key, found


def _sum(column: ColumnElement[Any]) -> ColumnElement[int]:
    # PostgreSQL's sum of whole numbers is a decimal, which is slow to read; SUM of nothing but NULL is NULL.
    return func.coalesce(func.sum(column).cast(BigInteger), whole(0))


def _together(name: str, days: Iterable[int]) -> ColumnElement[int]:
    found = whole(0)
    for day in days:
        found = found + func.coalesce(daily_count.c[day_column(name, day)], whole(0))
    return found
