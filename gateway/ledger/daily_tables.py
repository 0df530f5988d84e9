"""The table of daily counts: how much traffic there was, summed as it was recorded (see ``daily``).

Days are those of UTC, as numbers since 1970-01-01; a month is ``year × 12 + month - 1``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache, lru_cache

from sqlalchemy import BigInteger, Column, Table, Text

from gateway.ledger.columns import metadata
from gateway.ledger.columns import number_column as _number

_EPOCH = date(1970, 1, 1)

DIMENSIONS = ("partner", "direction", "kind", "usage", "type")
SUMS = ("interchanges", "sets", "bytes")


@cache
def day_column(what: str, day: int) -> str:
    """The name of the column that holds one of ``SUMS`` for one day of the month: ``i01`` to ``b31``."""
    return f"{what[0]}{day:02}"


# What of a partner came and went in one month (UTC), of one kind, usage and type: in all, and on each of its days.
# Months in rows and days in columns take a fifth of the space that a row for each day takes, and of the time to read.
# One more row of each month and partner holds the sum of the others; its direction, kind, usage and type are empty.
# Derived: the rows of exchanges and transaction sets say it again.
daily_count = Table(
    "daily_count",
    metadata,
    Column("month", BigInteger, primary_key=True, autoincrement=False),
    Column("partner", Text, primary_key=True),  # "" for strangers
    Column("direction", Text, primary_key=True),  # "" in the row of sums
    Column("kind", Text, primary_key=True),
    Column("usage", Text, primary_key=True),  # ISA15
    Column("type", Text, primary_key=True),  # of interchanges: all their types, as in exchange.types; of sets: ST01
    *(_number(name) for name in SUMS),  # bytes: of the interchanges
    *(Column(day_column(name, day), BigInteger, nullable=True) for name in SUMS for day in range(1, 32)),
    sqlite_with_rowid=False,
)


@lru_cache(maxsize=4096)
def month_and_day(day: int) -> tuple[int, int]:
    """The month that a day is in, and which day of it that is."""
    found = date_of(day)
    return found.year * 12 + found.month - 1, found.day


@cache
def first_day(month: int) -> int:
    """The number of the first day of a month."""
    return (date(month // 12, month % 12 + 1, 1) - _EPOCH).days


def length_of(month: int) -> int:
    """How many days a month has."""
    return first_day(month + 1) - first_day(month)


def months_of(first: int, last: int) -> Iterator[tuple[int, range]]:
    """The months that days from ``first`` to ``last`` (included) lie in, and which of their days those are."""
    month, day = month_and_day(first)
    while first <= last:
        days = range(day, min(length_of(month), day + last - first) + 1)
        yield month, days
        first += len(days)
        month, day = month + 1, 1


def date_of(day: int) -> date:
    """The day of that number."""
    return _EPOCH + timedelta(days=day)
