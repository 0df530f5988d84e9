"""Counting exchanges and transaction sets row by row, by any dimensions and by local days and hours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, literal, select

from gateway.ledger.daily import DAY, clipped_column
from gateway.ledger.daily_sums import names_type
from gateway.ledger.literals import whole
from gateway.ledger.reports.scope import Scope, Stretch
from gateway.ledger.tables import exchange, transaction_set

HOUR = 3_600_000  # ms
Key = tuple[Any, ...]
Sums = tuple[int, int, int]  # interchanges, sets, bytes


def counted(connection: Connection, scope: Scope, stretch: Stretch, by: Sequence[str]) -> Iterator[tuple[Key, Sums]]:
    """Sums by some of partner, direction, kind, usage, type, day and hour; a key may come several times.

    Days are numbers since 1970-01-01, hours from 0 to 23, both in the stretch's local time.
    """
    types = (clipped_column(exchange.c.types), clipped_column(transaction_set.c.set_id))
    of = [_columns(stretch, each) for each in types]
    within = [*within_window(stretch), *which(scope, exchange.c)]
    dimensions = [of[0][name] for name in by]
    interchanges = select(*dimensions, func.count(), func.sum(exchange.c.size)).group_by(*dimensions)
    if scope.type is not None:
        interchanges = interchanges.where(has_type(types[0], scope.type))
    for row in connection.execute(interchanges.where(*within)):
        if row[-2]:
            yield tuple(row[:-2]), (row[-2], 0, int(row[-1]))
    dimensions = [of[1][name] for name in by]
    sets = select(*dimensions, func.count()).join_from(transaction_set, exchange).group_by(*dimensions)
    if scope.type is not None:
        sets = sets.where(has_type(types[1], scope.type))
    for row in connection.execute(sets.where(*within)):
        if row[-1]:
            yield tuple(row[:-1]), (0, row[-1], 0)


def within_window(window: Scope | Stretch) -> list[ColumnElement[bool]]:
    """The exchanges of a window."""
    return [exchange.c.at >= window.since, exchange.c.at < window.until]


def which(scope: Scope, of: Any) -> list[ColumnElement[bool]]:
    """The conditions of a scope but for its window and type, over the columns of a table."""
    names = ("partner", "direction", "kind", "usage")
    return [of[name] == value for name in names if (value := getattr(scope, name)) is not None]


def has_type(types: ColumnElement[str], type_: str) -> ColumnElement[bool]:
    """Whether blank-separated types have that one among them."""
    return names_type(types, literal(f" {type_} "))


def _columns(stretch: Stretch, type_: ColumnElement[str]) -> Mapping[str, ColumnElement[Any]]:
    x = exchange.c
    local = x.at + whole(stretch.offset)
    return {
        "partner": x.partner,
        "direction": x.direction,
        "kind": x.kind,
        "usage": x.usage,
        "type": type_,
        "day": local // whole(DAY),
        "hour": (local // whole(HOUR)) % whole(24),
    }
