"""Volumes: how many interchanges, transaction sets and bytes, by partner, direction, kind, usage, type and time.

Whole days of UTC come from the daily counts; what they cannot tell is counted row by row: hours, days of other zones,
the ends of a window that does not begin or end at midnight UTC.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from gateway.errors import QueryInvalid
from gateway.ledger.daily import DAY
from gateway.ledger.daily_sums import sums, sums_by_day
from gateway.ledger.daily_tables import DIMENSIONS, daily_count, date_of
from gateway.ledger.reports.rows import Key, Sums, counted, names_type, which
from gateway.ledger.reports.scope import Scope, Stretch, stretches
from gateway.ledger.tables import exchange

BY = ("month", "day", "hour", *DIMENSIONS)


@dataclass(frozen=True, slots=True)
class Volume:
    """One line: what was asked for by, and the sums. What was not asked for is None.

    ``type`` is that of a transaction set; where an interchange holds several, the interchange and its bytes are
    counted under all of them together ("850 860"), and each set under its own. ``partner`` "" stands for strangers.
    """

    interchanges: int
    sets: int
    bytes: int  # of the interchanges
    month: str | None = None  # 2026-10
    day: str | None = None  # 2026-10-25
    hour: int | None = None  # 0 to 23
    partner: str | None = None
    direction: str | None = None
    kind: str | None = None
    usage: str | None = None
    type: str | None = None

    @property
    def kilocharacters(self) -> Decimal:
        """Thousands of characters, exactly; a character is a byte."""
        return Decimal(self.bytes) / 1000

    def as_dict(self) -> dict[str, Any]:
        """For JSON: what was asked for, and the sums."""
        told = {name: value for name in BY if (value := getattr(self, name)) is not None}
        sums_ = {"interchanges": self.interchanges, "sets": self.sets, "bytes": self.bytes}
        return told | sums_ | {"kilocharacters": float(self.kilocharacters)}


@dataclass(frozen=True, slots=True)
class Volumes:
    """The lines in the order of what they are by, and their total."""

    scope: Scope
    by: tuple[str, ...]
    rows: tuple[Volume, ...]
    total: Volume

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        rows = [each.as_dict() for each in self.rows]
        return self.scope.as_dict() | {"by": list(self.by), "rows": rows, "total": self.total.as_dict()}


def volumes(connection: Connection, scope: Scope, by: Sequence[str] = ("partner", "direction")) -> Volumes:
    """The volumes of a scope.

    Args:
        connection: within a transaction.
        scope: window and criteria.
        by: some of ``BY``, in the order that the lines are sorted in.

    Raises:
        QueryInvalid: ``by`` names what there is not.
    """
    for name in by:
        if name not in BY or by.count(name) > 1:
            raise QueryInvalid(where=f"by {name}", reason=f"some of {', '.join(BY)} are possible, each once")
    found: dict[Key, list[int]] = defaultdict(lambda: [0, 0, 0])
    for key, amounts in _counted(connection, _clamped(connection, scope), by):
        line = found[key]
        for place, amount in enumerate(amounts):
            line[place] += amount
    rows = tuple(_line(by, key, found[key]) for key in sorted(found))
    interchanges, sets, bytes_ = (sum(line[place] for line in found.values()) for place in range(3))
    return Volumes(scope, tuple(by), rows, Volume(interchanges, sets, bytes_))


def _line(by: Sequence[str], key: Key, amounts: Sequence[int]) -> Volume:
    told: dict[str, Any] = dict(zip(by, key, strict=True))
    if "day" in told:
        told["day"] = date_of(told["day"]).isoformat()
    return Volume(amounts[0], amounts[1], amounts[2], **told)


def _clamped(connection: Connection, scope: Scope) -> Scope:
    """The window without the years before the first exchange and after the last."""
    first, last = connection.execute(select(func.min(exchange.c.at), func.max(exchange.c.at))).one()
    if first is None or first >= scope.until or last < scope.since:
        return replace(scope, until=scope.since + 1)
    return replace(scope, since=max(scope.since, first), until=min(scope.until, last + 1))


def _counted(connection: Connection, scope: Scope, by: Sequence[str]) -> Iterator[tuple[Key, Sums]]:
    local = "hour" in by or "day" in by
    for stretch in stretches(scope, months="month" in by, offsets=local):
        from_rows, days = _sources(stretch, by)
        labels = {"month": stretch.month}
        for part in from_rows:
            asked = [name for name in by if name not in labels]
            for key, amounts in counted(connection, scope, part, asked):
                yield _arranged(by, labels | dict(zip(asked, key, strict=True))), amounts
        if days is not None:
            yield from _from_days(connection, scope, days, by, labels)


def _sources(stretch: Stretch, by: Sequence[str]) -> tuple[list[Stretch], range | None]:
    """What of a stretch must be counted row by row, and the days that the daily counts tell."""
    first, after = -(-stretch.since // DAY), stretch.until // DAY
    if "hour" in by or ("day" in by and stretch.offset % DAY) or first >= after:
        return [stretch], None
    ends = [replace(stretch, until=first * DAY), replace(stretch, since=after * DAY)]
    return [each for each in ends if each.since < each.until], range(first, after)


def _from_days(
    connection: Connection, scope: Scope, days: range, by: Sequence[str], labels: dict[str, Any]
) -> Iterator[tuple[Key, Sums]]:
    asked = [name for name in by if name in DIMENSIONS]
    conditions: list[ColumnElement[bool]] = which(scope, daily_count.c)
    if scope.type is not None:
        conditions.append(names_type(daily_count.c.type, scope.type))
    if "day" not in by:
        for key, amounts in sums(connection, days[0], days[-1], asked, *conditions):
            yield _arranged(by, labels | dict(zip(asked, key, strict=True))), amounts
        return
    for day, key, amounts in sums_by_day(connection, days[0], days[-1], asked, *conditions):
        yield _arranged(by, labels | {"day": day} | dict(zip(asked, key, strict=True))), amounts


def _arranged(by: Sequence[str], values: dict[str, Any]) -> Key:
    return tuple(values[name] for name in by)
