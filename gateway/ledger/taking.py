"""Taking what nobody else may have: our control numbers, and the ids of rows, within one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import length_hint
from typing import Any

from sqlalchemy import Connection, Select, Table, Update, bindparam, func, select, update

from gateway.ledger import bulk, tables
from gateway.ledger.archive import insert

Series = tuple[str, str, str, str]  # partner, ours, theirs, level

_KEY = ("partner", "ours", "theirs", "level")
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

    def take(self, series: Series, after: Callable[[int], int]) -> int:
        """The next number of a series; ``after`` gives the one that follows a number."""
        if series not in self._next:
            self._next[series] = self._locked(series)
        number = self._next[series]
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
        values = dict(zip(_KEY, series, strict=True))
        found = bulk.one(self._connection, "next number", _next, values)
        if found is None:  # nobody took one yet; on PostgreSQL somebody else may be about to
            begun = insert(self._connection, tables.control_number).on_conflict_do_nothing()
            self._connection.execute(begun, values | {"next": 1})
            found = bulk.one(self._connection, "next number", _next, values)
        assert found is not None
        return int(found[0])


class Ids:
    """Ids for rows that are still to be written.

    Args:
        connection: within a writing transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._free: dict[str, Iterator[int]] = {}
        self._asked: dict[str, int] = {}  # how many we asked for

    def take(self, table: Table) -> int:
        """An id of that table that nobody has."""
        taken = next(self._free.get(table.name, iter(())), None)
        if taken is None:
            self._free[table.name] = self._more(table)
            taken = next(self._free[table.name])
        return taken

    def _more(self, table: Table) -> Iterator[int]:
        """On SQLite we hold the write lock, on PostgreSQL the sequence gives a block."""
        column = next(iter(table.primary_key.columns))
        if self._connection.dialect.name == "sqlite":
            highest = self._connection.execute(select(func.max(column))).scalar() or 0
            return iter(range(highest + 1, highest + 1_000_000_000))
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


def _next() -> Select[Any]:
    table = tables.control_number
    return select(table.c.next).where(*(table.c[name] == bindparam(name) for name in _KEY)).with_for_update()


def _following() -> Update:
    table = tables.control_number
    mine = (table.c[name] == bindparam(f"the_{name}") for name in _KEY)
    return update(table).where(*mine).values(next=bindparam("following"))
