"""Volumes: how many interchanges, transaction sets and bytes, by partner, direction, kind, usage, type and time.

Whole days of UTC come from the daily counts; what they cannot tell is counted row by row: hours, days of other zones,
the ends of a window that does not begin or end at midnight UTC.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Any, overload

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from gateway.errors import QueryInvalid
from gateway.ledger.daily import DAY, bounds
from gateway.ledger.daily_sums import lines_by_day, sums, sums_by_day
from gateway.ledger.daily_tables import DIMENSIONS, SUMS, date_of
from gateway.ledger.reports.rows import Key, Sums, counted
from gateway.ledger.reports.scope import Scope, Stretch, stretches

BY = ("month", "day", "hour", *DIMENSIONS)


class Volume(Struct, frozen=True):
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


class Lines(Sequence[Volume]):
    """The lines of a report, kept as columns: there may be tens of thousands, and most are only written out.

    Args:
        by: what they are by.
        columns: the values for each of ``by``, then the three sums, each as long as there are lines; days are numbers
            since 1970-01-01. They are sorted here.
    """

    __slots__ = ("_by", "_columns", "_order")

    def __init__(self, by: Sequence[str], columns: Sequence[Sequence[Any]]) -> None:
        self._by = tuple(by)
        self._columns = tuple(columns)
        self._order = list(range(len(columns[-1])))
        for column in reversed(self._columns[:-3]):  # a sort keeps the order of what is equal
            self._order.sort(key=column.__getitem__)

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, place: int) -> Volume: ...
    @overload
    def __getitem__(self, place: slice) -> list[Volume]: ...
    def __getitem__(self, place: int | slice) -> Volume | list[Volume]:
        if isinstance(place, slice):
            return [self._line(each) for each in self._order[place]]
        return self._line(self._order[place])

    def __iter__(self) -> Iterator[Volume]:
        return map(self._line, self._order)

    def total(self) -> Volume:
        """The sums of all lines."""
        interchanges, sets, bytes_ = (sum(column) for column in self._columns[-3:])
        return Volume(interchanges, sets, bytes_)

    def _line(self, place: int) -> Volume:
        values = [column[place] for column in self._columns]
        told = dict(zip(self._by, values, strict=False))
        if "day" in told:
            told["day"] = _written_day(told["day"])
        return Volume(*values[-3:], **told)


class Volumes(Struct, frozen=True):
    """The lines in the order of what they are by, and their total."""

    scope: Scope
    by: tuple[str, ...]
    rows: Lines
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
    sources = list(_sources(_clamped(connection, scope), by))
    if len(sources) == 1 and sources[0].days is not None and "day" in by:  # nothing to add up
        columns = _columns_by_day(connection, scope, sources[0], by)
    else:
        found: dict[Key, list[int]] = defaultdict(lambda: [0, 0, 0])
        for source in sources:
            for key, amounts in _counted(connection, scope, source, by):
                line = found[key]
                for place, amount in enumerate(amounts):
                    line[place] += amount
        columns = [[key[place] for key in found] for place in range(len(by))]
        columns += [[amounts[place] for amounts in found.values()] for place in range(3)]
    rows = Lines(by, columns)
    return Volumes(scope, tuple(by), rows, rows.total())


def _clamped(connection: Connection, scope: Scope) -> Scope:
    """The window without the days before the first exchange and after the last."""
    first, last = bounds(connection)
    if first is None or last is None or first >= scope.until or last < scope.since:
        return replace(scope, until=scope.since + 1)
    since, until = first // DAY * DAY, (last // DAY + 1) * DAY
    return replace(scope, since=max(scope.since, since), until=min(scope.until, until))


class _Source(Struct, frozen=True):
    """A part of the window: days that the daily counts tell, or a stretch that is counted row by row."""

    month: str
    days: range | None
    stretch: Stretch


def _sources(scope: Scope, by: Sequence[str]) -> Iterator[_Source]:
    for stretch in stretches(scope, months="month" in by, offsets="hour" in by or "day" in by):
        first, after = -(-stretch.since // DAY), stretch.until // DAY
        if "hour" in by or ("day" in by and stretch.offset % DAY) or first >= after:
            yield _Source(stretch.month, None, stretch)
            continue
        yield _Source(stretch.month, range(first, after), stretch)
        for end in (replace(stretch, until=first * DAY), replace(stretch, since=after * DAY)):
            if end.since < end.until:
                yield _Source(stretch.month, None, end)


def _counted(connection: Connection, scope: Scope, source: _Source, by: Sequence[str]) -> Iterator[tuple[Key, Sums]]:
    """The keys in the order of ``by``, with their sums."""
    if source.days is None:
        asked = [name for name in by if name != "month"]
        arranged = _arrangement(("month", *asked), by)
        for key, amounts in counted(connection, scope, source.stretch, asked):
            yield arranged((source.month, *key)), amounts
        return
    asked, narrow = _asked(scope, by)
    first, last = source.days[0], source.days[-1]
    if "day" not in by:
        arranged = _arrangement(("month", *asked), by)
        for key, amounts in sums(connection, first, last, asked, narrow):
            yield arranged((source.month, *key)), amounts
        return
    arranged = _arrangement(("month", "day", *asked), by)
    for day, key, amounts in sums_by_day(connection, first, last, asked, narrow):
        yield arranged((source.month, day, *key)), amounts


def _columns_by_day(connection: Connection, scope: Scope, source: _Source, by: Sequence[str]) -> list[list[Any]]:
    """The columns of lines that come from the daily counts alone, each day of each key once."""
    assert source.days is not None, "the caller looks"
    asked, narrow = _asked(scope, by)
    columns: dict[str, list[Any]] = {name: [] for name in ("month", "day", *asked, *SUMS)}
    for key, start, *counts in lines_by_day(connection, source.days[0], source.days[-1], asked, narrow):
        places = [place for place, amounts in enumerate(zip(*counts, strict=True)) if any(amounts)]
        columns["day"] += [start + place for place in places]
        for name, value in zip(("month", *asked), (source.month, *key), strict=True):
            columns[name] += [value] * len(places)
        for name, amounts in zip(SUMS, counts, strict=True):
            columns[name] += [amounts[place] for place in places]
    return [columns[name] for name in (*by, *SUMS)]


def _asked(scope: Scope, by: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """What the daily counts are asked for: by which dimensions, and narrowed by which values."""
    narrow = {name: value for name in DIMENSIONS if (value := getattr(scope, name)) is not None}
    return [name for name in by if name in DIMENSIONS], narrow


@lru_cache(maxsize=4096)
def _written_day(day: int) -> str:
    return date_of(day).isoformat()


def _arrangement(given: Sequence[str], by: Sequence[str]) -> Callable[[tuple[Any, ...]], Key]:
    """What puts the values of ``given`` into the order of ``by``."""
    places = [given.index(name) for name in by]
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: tuple(values[place] for place in places)
