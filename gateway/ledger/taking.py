"""Taking what nobody else may have: our control numbers, and the ids of rows, within one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import length_hint
from typing import Any

from sqlalchemy import Connection, Select, Table, Update, bindparam, func, select, update

from gateway.ledger import bulk, counters, tables
from gateway.ledger.archive import insert

Series = tuple[str, str, str, str]  # partner, ours, theirs, level

_KEY = ("partner", "ours", "theirs", "level")
# Only a recorder writes to these, so that whoever holds the write lock knows their ids until the commit.
_USUAL = (
    *("message", "payload", "exchange", "functional_group", "transaction_set"),
    *("finding", "acknowledgment", "received_number"),
)
_FIRST_BLOCK, _BIGGEST_BLOCK = 4, 256  # ids that PostgreSQL is asked for at once; what is left over is lost
# Of several tables at once; each one's sequence is found once, not for each id.
_BLOCKS = (
    "SELECT wanted.name, nextval(wanted.sequence) FROM"
    " (SELECT name, number, CAST(pg_get_serial_sequence(name, key) AS regclass) AS sequence"
    "  FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS given (name, key, number) OFFSET 0) AS wanted,"
    " generate_series(1, wanted.number)"
)

# Of the last transactions of this process, by the table that the first id was of: how many ids of each table it asked
# for, and what it has left.
_before: dict[str, tuple[dict[str, int], dict[str, Iterator[int]]]] = {}


class Numbers:
    """Control numbers of identity pairs, gapless: a rollback gives them back.

    Args:
        connection: within a writing transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._next: dict[Series, int] = {}
        self._taken: set[Series] = set()
        self._asked: set[tuple[str, str, str]] = set()

    def take(self, series: Series, after: Callable[[int], int]) -> int:
        """The next number of a series; ``after`` gives the one that follows a number."""
        number = self._next.get(series)
        if number is None:
            number = self._locked(series)
        self._taken.add(series)
        self._next[series] = after(number)
        return number

    def write(self) -> None:
        """Writes which numbers follow, all with one statement."""
        rows = [
            {f"the_{name}": value for name, value in zip(_KEY, series, strict=True)} | {"following": self._next[series]}
            for series in sorted(self._taken)
        ]
        if rows:
            bulk.write(self._connection, "following number", _following, rows)
        self._taken.clear()

    def _locked(self, series: Series) -> int:
        if series[:-1] not in self._asked:
            self._ask(series)
        if series not in self._next:  # nobody took one yet; on PostgreSQL somebody else may be about to
            first = dict(zip(_KEY, series, strict=True)) | {"next": counters.beginning(self._connection, *series[1:])}
            bulk.write(self._connection, "first number", partial(_first, self._connection), [first])
            self._ask(series)
        return self._next[series]

    def _ask(self, series: Series) -> None:
        """Both levels of a pair at once: who takes a number of one mostly takes one of the other too.

        The interchange's before the group's, as everybody locks them (``counters.LEVELS``).
        """
        self._asked.add(series[:-1])
        pair = dict(zip(_KEY, series[:-1], strict=False))
        for level, number in bulk.asked(self._connection, "next numbers", _next, pair):
            self._next.setdefault((*series[:-1], level), number)


class Ids:
    """Ids for rows that are still to be written.

    Args:
        connection: within a writing transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._on_sqlite = connection.dialect.name == "sqlite"
        self._last: dict[str, int] = {}  # on SQLite
        self._free: dict[str, Iterator[int]] = {}
        self._asked: dict[str, int] = {}  # how many we asked for

    def take(self, table: Table) -> int:
        """An id of that table that nobody has."""
        name = table.name
        if self._on_sqlite:  # where we hold the write lock
            last = self._last.get(name)
            if last is None:
                last = self._highest(table)
            self._last[name] = last = last + 1
            return last
        taken = next(self._free.get(name, iter(())), None)
        if taken is None:
            self._free[name] = self._more(table)
            taken = next(self._free[name])
        return taken

    def _highest(self, table: Table) -> int:
        """The highest id of a table; of those that most transactions write to, all are asked for together."""
        together = _USUAL if table.name in _USUAL else (table.name,)
        shape = ("highest", together)
        (found,) = bulk.asked(self._connection, shape, partial(_highest_of, together), {})
        self._last |= zip(together, (each or 0 for each in found), strict=True)
        return self._last[table.name]

    def _more(self, table: Table) -> Iterator[int]:
        """PostgreSQL's sequences give blocks."""
        wanted = {table.name: 3 * self._asked.get(table.name, 0) or _FIRST_BLOCK}
        if not self._asked:
            wanted |= _likely(table.name)
            _before[table.name] = self._asked, self._free
        self._ask({name: min(count, _BIGGEST_BLOCK) for name, count in wanted.items()})
        return self._free[table.name]

    def _ask(self, wanted: dict[str, int]) -> None:
        """Takes so many ids of each table."""
        keys = [next(iter(tables.metadata.tables[name].primary_key.columns)).name for name in wanted]
        found: dict[str, list[int]] = {name: [] for name in wanted}
        for name, number in bulk.tuples(self._connection, _BLOCKS, (list(wanted), keys, list(wanted.values()))):
            found[name].append(number)
        for name, numbers in found.items():
            self._free[name] = iter(sorted(numbers))
            self._asked[name] = self._asked.get(name, 0) + len(numbers)


def _likely(table: str) -> dict[str, int]:
    """How many ids of each table a transaction may need that begins with one of this: as the one before it took."""
    asked, left = _before.get(table, ({}, {}))
    # A copy: it may be another thread's, that goes on.
    taken = {name: count - length_hint(left[name]) for name, count in asked.copy().items()}
    return {name: count for name, count in taken.items() if count}


def _highest_of(names: Sequence[str]) -> Select[Any]:
    keys = [next(iter(tables.metadata.tables[name].primary_key.columns)) for name in names]
    return select(*(select(func.max(key)).scalar_subquery() for key in keys))


def _next() -> Select[Any]:
    table = tables.control_number
    pair = [table.c[name] == bindparam(name) for name in _KEY[:-1]]
    return select(table.c.level, table.c.next).where(*pair).order_by(table.c.level.desc()).with_for_update()


def _first(connection: Connection) -> Any:
    return insert(connection, tables.control_number).on_conflict_do_nothing()


def _following() -> Update:
    table = tables.control_number
    mine = (table.c[name] == bindparam(f"the_{name}") for name in _KEY)
    return update(table).where(*mine).values(next=bindparam("following"))
