"""Taking what nobody else may have: our control numbers, and the ids of rows, within one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import length_hint
from typing import Any

from sqlalchemy import Connection, Select, Table, Update, bindparam, func, select, text, update

from gateway.ledger import bulk, tables
from gateway.ledger.archive import insert

Series = tuple[str, str, str, str]  # partner, ours, theirs, level

_KEY = ("partner", "ours", "theirs", "level")
_FIRST_BLOCK, _BIGGEST_BLOCK = 4, 256  # ids that PostgreSQL is asked for at once; what is left over is lost
# The sequence is found once, not for each id.
_BLOCK = text(
    "WITH found AS MATERIALIZED (SELECT CAST(pg_get_serial_sequence(:table, :column) AS regclass) AS sequence)"
    " SELECT nextval(sequence) FROM found, generate_series(1, :count)"
)

# Of the last transaction of this process that needed ids of a table: how many it asked for, and what it has left.
_before: dict[str, tuple[int, Iterator[int]]] = {}
# The sequence is found once, not for each id.
_BLOCK = text(
    "WITH found AS MATERIALIZED (SELECT CAST(pg_get_serial_sequence(:table, :column) AS regclass) AS sequence)"
    " SELECT nextval(sequence) FROM found, generate_series(1, :count)"
)

_needed: dict[str, int] = {}  # ids of a table that this process's last transaction with some took: the next one alike


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
        asked = self._asked.get(table.name, 0)
        count = min(asked or self._likely(table), _BIGGEST_BLOCK)
        values = {"table": table.name, "column": column.name, "count": count}
        ids = iter(sorted(self._connection.execute(_BLOCK, values).scalars()))
        self._asked[table.name] = asked + count
        _before[table.name] = asked + count, ids
        return ids

    def _likely(self, table: Table) -> int:
        """How many this transaction may need: as many as the one before it took."""
        asked, left = _before.get(table.name, (0, iter(())))
        return max(_FIRST_BLOCK, asked - length_hint(left))


def _next() -> Select[Any]:
    table = tables.control_number
    return select(table.c.next).where(*(table.c[name] == bindparam(name) for name in _KEY)).with_for_update()


def _following() -> Update:
    table = tables.control_number
    mine = (table.c[name] == bindparam(f"the_{name}") for name in _KEY)
    return update(table).where(*mine).values(next=bindparam("following"))
