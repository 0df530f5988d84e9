"""Daily counts: interchanges, transaction sets and bytes of each day, partner, direction, kind, usage and type.

They are summed in the transaction that records or removes the rows, so they agree with the rows at every moment; to
ask them is a hundred times quicker than to count the rows. Days are those of UTC, numbered since 1970-01-01. An
exchange's partner, direction, kind, usage, types, size and time never change once it is recorded, which is what lets
a sum be kept at all.

``daily_sums`` reads them. ``check`` compares them with the rows, ``rebuild`` writes them anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache, partial
from itertools import islice
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Insert,
    Select,
    Table,
    bindparam,
    case,
    delete,
    func,
    select,
)
from sqlalchemy.dialects import sqlite

from gateway.ledger import bulk, on_postgres
from gateway.ledger.daily_tables import (
    DIMENSIONS,
    SUMS,
    daily_count,
    date_of,
    day_column,
    first_day,
    month_and_day,
)
from gateway.ledger.literals import whole, word
from gateway.ledger.tables import exchange, transaction_set

DAY = 86_400_000  # ms
LONGEST_TYPE = 60  # characters: a stranger's interchange may name a hundred types of any length

_AT_ONCE = 1_000  # ids in one statement
_NOTHING = (0, 0, 0)
_WHOLE = -1  # in place of a day: the month
_ALL = ("", "", "", "")  # direction, kind, usage and type of a row of sums
_ZEROS = dict.fromkeys(SUMS, 0)
_BLANK: dict[str, Any] = dict.fromkeys(column.name for column in daily_count.columns)

Row = Mapping[str, Any]
Key = tuple[str, ...]  # one value for each of DIMENSIONS
Sums = tuple[int, int, int]  # interchanges, sets, bytes


class Difference(Struct, frozen=True):
    """A count that is not what the rows say: of one day, or of a month where ``day`` is None."""

    month: date  # its first day
    day: date | None
    key: Key
    counted: Sums
    rows: Sums

    def __str__(self) -> str:
        of = " ".join(each for each in self.key if each) or "strangers"
        of += ", all together" if not any(self.key[1:]) else ""
        told = [f"{one} interchanges, {two} sets, {three} bytes" for one, two, three in (self.counted, self.rows)]
        when = self.day.isoformat() if self.day else f"{self.month:%Y-%m}"
        return f"{when}, {of}: counted are {told[0]}; the rows say {told[1]}"


class Counts:
    """What one transaction adds to the daily counts.

    ``wrote`` after each insertion, ``removing`` before each removal, and ``write`` once, at the end: counts are locked
    from then until the commit, by everybody in the same order, so that nobody waits in a circle.
    """

    def __init__(self) -> None:
        self._added: dict[tuple[int, Key], list[int]] = defaultdict(lambda: [0, 0, 0])  # by day and dimensions
        self._exchanges: dict[int, tuple[int, Key]] = {}  # of this transaction: day, and dimensions but for the type

    def wrote(self, connection: Connection, name: str, rows: Sequence[Row]) -> None:
        """Rows of a table were inserted; exchanges before the sets that belong to them."""
        if name == "exchange":
            for row in rows:
                day = row["at"] // DAY
                of: Key = (row["partner"], row["direction"], row["kind"], row["usage"])
                self._exchanges[row["id"]] = day, of
                self._add(day, (*of, clipped(row["types"])), 1, 0, row["size"])
        elif name == "transaction_set":
            known = self._exchanges
            self._look_up(connection, {row["exchange"] for row in rows if row["exchange"] not in known})
            for row in rows:
                day, of = known[row["exchange"]]
                self._add(day, (*of, clipped(row["set_id"])), 0, 1, 0)

    def removing(self, connection: Connection, name: str, ids: Sequence[int]) -> None:
        """Rows of a table are about to be removed, by their ids; sets before the exchanges that they belong to."""
        if name not in {"exchange", "transaction_set"}:
            return
        table, counting = (exchange, _of_exchanges) if name == "exchange" else (transaction_set, _of_sets)
        for start in range(0, len(ids), _AT_ONCE):
            for row in connection.execute(counting(table.c.id.in_(ids[start : start + _AT_ONCE]))):
                self._add(row[0], tuple(row[1:6]), *(-int(each) for each in row[6:]))

    def write(self, connection: Connection) -> None:
        """Adds it all to the table."""
        added = _with_sums({key: sums for key, sums in self._added.items() if any(sums)})
        self._added.clear()
        self._exchanges.clear()
        if not added:
            return
        rows = _wide(added)
        days = {month_and_day(day)[1] for day, _ in added}
        shape = tuple(days) if len(days) == 1 else tuple(range(1, 32))  # few shapes: each is compiled once
        blank = dict.fromkeys(day_column(name, day) for name in SUMS for day in shape)
        _write(connection, [blank | row for row in rows], shape)
        if any(min(sums) < 0 for sums in added.values()):
            empty = [daily_count.c[name] == 0 for name in SUMS]
            months = {row["month"] for row in rows}
            connection.execute(delete(daily_count).where(daily_count.c.month.in_(months), *empty))

    def _add(self, day: int, key: Key, *amounts: int) -> None:
        sums = self._added[day, key]
        for place, amount in enumerate(amounts):
            sums[place] += amount

    def _look_up(self, connection: Connection, ids: Iterable[int]) -> None:
        """Exchanges of earlier transactions that got more sets."""
        wanted, day = sorted(ids), _day()
        for start in range(0, len(wanted), _AT_ONCE):
            some = exchange.c.id.in_(wanted[start : start + _AT_ONCE])
            found = select(exchange.c.id, day, *_of()).where(some)
            self._exchanges |= {row[0]: (row[1], tuple(row[2:])) for row in connection.execute(found)}


def count_rows(connection: Connection, rows: Mapping[str, Sequence[Row]]) -> None:
    """Adds what one transaction inserted to the daily counts; to be called once, near its end (see ``Counts``).

    Args:
        connection: the transaction, in which the rows are written already.
        rows: the inserted rows by the name of their table; only exchanges and transaction sets are looked at.
    """
    counts = Counts()
    for name in ("exchange", "transaction_set"):
        counts.wrote(connection, name, rows.get(name, ()))
    counts.write(connection)


def clipped(type_: str) -> str:
    """A type as it is counted: what is over the longest is cut, and ends in an ellipsis."""
    return type_ if len(type_) <= LONGEST_TYPE else type_[: LONGEST_TYPE - 1] + "…"


def clipped_column(column: ColumnElement[str]) -> ColumnElement[str]:
    """``clipped`` in SQL."""
    # Literals of our own: with bound parameters the same text twice is not the same expression to GROUP BY.
    short = func.substr(column, 1, whole(LONGEST_TYPE - 1), type_=column.type)
    too_long = func.length(column) > whole(LONGEST_TYPE)
    return case((too_long, short.concat(word("…"))), else_=column)


# ---------------------------------------------------------------- verifying


def check(connection: Connection, most: int = 1_000) -> list[Difference]:
    """Compares the counts with the rows: an empty list where they agree, else the first ``most`` differences.

    Everything is read, a month at a time; 10 million exchanges take minutes.

    Args:
        connection: a transaction that sees one moment (``reading``).
        most: how many differences are told.
    """
    return list(islice(_differences(connection), most))


def rebuild(connection: Connection, month: int) -> None:
    """Writes the counts of one month (see ``months``) anew, from the rows; others wait with what they record."""
    if connection.dialect.name == "postgresql":
        # Whoever has counted is waited for, whoever is about to count waits: what we read is what was counted.
        connection.exec_driver_sql("LOCK TABLE daily_count IN EXCLUSIVE MODE")
    connection.execute(delete(daily_count).where(daily_count.c.month == month))
    rows = [_BLANK | row for row in _wide(_with_sums(_from_rows(connection, month)))]
    if rows:
        bulk.append(connection, daily_count, rows)


def months(connection: Connection) -> range:
    """The months from the first exchange or count to the last, as ``year × 12 + month - 1``."""
    month = daily_count.c.month
    days = [each // DAY for each in bounds(connection) if each is not None]
    counted = connection.execute(select(func.min(month), func.max(month))).one()
    found = [*(month_and_day(each)[0] for each in days), *(each for each in counted if each is not None)]
    return range(min(found), max(found) + 1) if found else range(0)


def bounds(connection: Connection) -> tuple[int | None, int | None]:
    """The times of the first and of the last exchange, in ms; None where there is none."""
    # Two questions: asked for both ends at once, SQLite reads the whole index.
    ends = (select(each(exchange.c.at)) for each in (func.min, func.max))
    first, last = (connection.execute(each).scalar() for each in ends)
    return first, last


def _differences(connection: Connection) -> Iterator[Difference]:
    for month in months(connection):
        counted, rows = _counted(connection, month), _with_sums(_from_rows(connection, month))
        whole: dict[tuple[int, Key], Sums] = {}
        for (_, key), amounts in rows.items():
            _more(whole, (_WHOLE, key), amounts)
        rows |= whole
        for day, key in sorted(counted.keys() | rows.keys()):
            one, other = counted.get((day, key), _NOTHING), rows.get((day, key), _NOTHING)
            if one != other:
                yield Difference(date_of(first_day(month)), None if day == _WHOLE else date_of(day), key, one, other)


def _counted(connection: Connection, month: int) -> dict[tuple[int, Key], Sums]:
    """The counts of a month as they are kept, by day and dimensions, and for the whole month."""
    found: dict[tuple[int, Key], Sums] = {}
    start = first_day(month) - 1
    columns = {start + day: tuple(day_column(name, day) for name in SUMS) for day in range(1, 32)} | {_WHOLE: SUMS}
    for row in connection.execute(select(daily_count).where(daily_count.c.month == month)).mappings():
        key = tuple(row[name] for name in DIMENSIONS)
        for day, (one, two, three) in columns.items():
            amounts = (row[one] or 0, row[two] or 0, row[three] or 0)
            if any(amounts):
                found[day, key] = amounts
    return found


def _from_rows(connection: Connection, month: int) -> dict[tuple[int, Key], Sums]:
    """What the rows of a month say, by day and dimensions."""
    at = exchange.c.at
    found: dict[tuple[int, Key], Sums] = {}
    span = (at >= first_day(month) * DAY, at < first_day(month + 1) * DAY)
    for wanted in (_of_exchanges(*span), _of_sets(*span)):
        for row in connection.execute(wanted):
            _more(found, (row[0], tuple(row[1:6])), row[6:])
    return found


def _more(found: dict[tuple[int, Key], Sums], key: tuple[int, Key], amounts: Sequence[Any]) -> None:
    one, two, three = found.get(key, _NOTHING)  # PostgreSQL's sums of whole numbers are decimals
    found[key] = one + int(amounts[0]), two + int(amounts[1]), three + int(amounts[2])


# ---------------------------------------------------------------- rows and statements


def _with_sums(added: Mapping[tuple[int, Key], Sequence[int]]) -> dict[tuple[int, Key], Sums]:
    """Counts with the sums of each day and partner."""
    found: dict[tuple[int, Key], Sums] = {}
    for (day, key), amounts in added.items():
        _more(found, (day, key), amounts)
        _more(found, (day, (key[0], *_ALL)), amounts)
    return found


def _wide(added: Mapping[tuple[int, Key], Sequence[int]]) -> list[dict[str, Any]]:
    """Rows for the table, in the order of their keys."""
    rows: dict[tuple[int, Key], dict[str, Any]] = {}
    for (day, key), amounts in added.items():
        month, of_month = month_and_day(day)
        row = rows.setdefault((month, key), {"month": month, **dict(zip(DIMENSIONS, key, strict=True)), **_ZEROS})
        for name, amount in zip(SUMS, amounts, strict=True):
            row[name] += amount
            row[day_column(name, of_month)] = amount
    return [rows[key] for key in sorted(rows)]


def _write(connection: Connection, rows: list[dict[str, Any]], days: tuple[int, ...]) -> None:
    if connection.dialect.name == "sqlite":
        bulk.write(connection, ("daily_count", days), partial(_adding, sqlite.insert, days), rows)
        return
    # All rows with one statement that has an array for each column: a third of what as many statements cost.
    connection.execute(_adding_arrays(days), {name: [row[name] for row in rows] for name in rows[0]})


def _adding(make: Callable[[Table], Any], days: Iterable[int]) -> Any:
    """INSERT that adds to what is there; NULL stands for nothing on a day."""
    row = make(daily_count)
    d, new = daily_count.c, row.excluded
    more: dict[str, ColumnElement[int]] = {name: d[name] + new[name] for name in SUMS}
    for name in (day_column(name, day) for name in SUMS for day in days):
        more[name] = func.coalesce(d[name] + new[name], d[name], new[name])
    return row.on_conflict_do_update(index_elements=list(daily_count.primary_key.columns), set_=more)


@lru_cache(maxsize=40)
def _adding_arrays(days: tuple[int, ...]) -> Insert:
    """The same for PostgreSQL, with an array for each column."""
    names = ["month", *DIMENSIONS, *SUMS, *(day_column(name, day) for name in SUMS for day in days)]
    arrays = [bindparam(name, type_=ARRAY(daily_count.c[name].type)) for name in names]
    rows = func.unnest(*arrays).table_valued(*names, name="new").render_derived()
    insertion: Insert = _adding(on_postgres.insert, days).from_select(names, select(*(rows.c[name] for name in names)))
    return insertion


def _of() -> list[ColumnElement[Any]]:
    return [exchange.c[name] for name in DIMENSIONS[:-1]]


def _day() -> ColumnElement[int]:
    return (exchange.c.at // whole(DAY)).label("day")


def _of_exchanges(*which: ColumnElement[bool]) -> Select[Any]:
    by = [_day(), *_of(), clipped_column(exchange.c.types).label("type")]
    return select(*by, func.count(), whole(0), func.sum(exchange.c.size)).where(*which).group_by(*by)


def _of_sets(*which: ColumnElement[bool]) -> Select[Any]:
    by = [_day(), *_of(), clipped_column(transaction_set.c.set_id).label("type")]
    joined = select(*by, whole(0), func.count(), whole(0)).join_from(
        transaction_set, exchange, exchange.c.id == transaction_set.c.exchange
    )
    return joined.where(*which).group_by(*by)
