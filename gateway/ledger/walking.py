"""The rows of one table as a query asks for them: walked along an index in order of time, or compared one by one.

What is here reads rows and says which meet the query, in its order; which of them to look at is decided by ``finding``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    any_,
    func,
    literal,
    or_,
    select,
)

from gateway.ledger import bulk, search_limits
from gateway.ledger.conditions import Condition
from gateway.ledger.id_order import end_of, none_is_newer_within
from gateway.ledger.query import Cursor, Query
from gateway.ledger.ways import EVERYTHING, Asked, Way

BEGINNING, END = -(2**63), 2**63 - 1

# What PostgreSQL is not to use. Without sorts and joins of whole tables nothing is left but the index in order.
_WALK = ("seqscan", "hashjoin", "mergejoin", "bitmapscan", "sort")
PROBE = ("seqscan", "hashjoin", "mergejoin")

Found = tuple[Any, int]  # what it is ordered by, and its id


class Window(Struct, frozen=True):
    """From ``start`` (included) to ``end`` (excluded), in ms."""

    start: int = BEGINNING
    end: int = END

    def within(self, column: ColumnElement[int]) -> list[Condition]:
        """As conditions."""
        found: list[Condition] = [] if self.start == BEGINNING else [column >= self.start]
        return found if self.end == END else [*found, column < self.end]

    def cut(self, start: int, end: int) -> Window:
        """What both have in common."""
        return Window(max(self.start, start), min(self.end, end))


class Rows:
    """The rows of one table, for one query.

    Args:
        connection: a transaction that reads.
        query: what is asked.
        asked: the same as the table has it.

    Attributes:
        sqlite: whether it is that.
        at: when a row was, a column.
        id: its number, a column.
        sort: what the query is ordered by.
        down: whether from the highest on.
    """

    def __init__(self, connection: Connection, query: Query, asked: Asked) -> None:
        self._connection = connection
        self.sqlite = connection.dialect.name == "sqlite"
        self._query = query
        self._asked = asked
        self._table: Table = asked.table
        self.at, self.id = asked.table.c.at, asked.table.c.id
        self._without: Sequence[str] = ()
        self.sort, self.down = query.order

    def edge(self, way: Way, window: Window, after: int = 0, *, back: bool = False) -> int | None:
        """The moment of the first row of a way in a window, or of the one ``after`` so many; ``back``: the last."""
        down = self.down ^ back
        if way is EVERYTHING and window == Window() and not after:
            return end_of(self._connection, self._table, last=down)
        moments: list[int] = []
        for each in way.alternatives:
            statement = select(self.at).where(*each, *window.within(self.at))
            statement = statement.order_by(self.at.desc() if down else self.at).limit(1).offset(after or None)
            moments += self.execute(statement, PROBE).scalars().all()
        if not moments:
            return None
        return max(moments) if down else min(moments)

    def walked_far(self, way: Way, window: Window, limit: int | None, others: Sequence[Select[Any]]) -> list[Found]:
        """The first rows along an index; those that do not come soon are looked for among the ids of others, too.

        SQLite reads a row only when the index has said that its id is among them. PostgreSQL has read it by then.
        """
        edge = self.edge(way, self.after_cursor(window), search_limits.NEAR) if self.sqlite and others else None
        if edge is None or limit is None:
            return self.walked(way, window, limit)
        near, far = window.cut(edge, END), window.cut(BEGINNING, edge)
        if not self.down:
            near, far = window.cut(BEGINNING, edge + 1), window.cut(edge + 1, END)
        found = self.walked(way, near, limit)
        if len(found) < limit:
            found += self.walked(way, far, limit - len(found), [self.id.op("+")(0).in_(each) for each in others])
        return found

    def walked(self, way: Way, window: Window, limit: int | None, more: Sequence[Condition] = ()) -> list[Found]:
        """The first rows along an index."""
        window = self.after_cursor(window)
        found: list[Found] = []
        for each in way.alternatives:
            conditions = (*each, *window.within(self.at), *more, *self._steered())
            statement = select(self.at, self.id).where(*conditions)
            found += self.fetched(statement.order_by(*self._time_order()).limit(limit), PROBE if way.sorted else _WALK)
        return self.first(found)[:limit]

    def _time_order(self) -> tuple[ColumnElement[Any], ...]:
        return (self.at.desc(), self.id.desc()) if self.down else (self.at, self.id)

    def compared(self, ids: Collection[int], window: Window, limit: int | None) -> list[Found]:
        """Those of some rows that meet the query, in order."""
        if not ids:
            return []
        soon = self._soon(ids, window, limit)
        if soon is not None:
            return soon
        value, window = self.value(), self.after_cursor(window)
        if self.sqlite:
            given = func.json_each(json.dumps(list(ids))).table_valued("value", name="given")
            among: Condition = self.id.in_(select(given.c.value))
            at: Any = self.at.op("+")(0)  # no index of its own
        else:
            among, at = self.id == any_(literal(list(ids), ARRAY(BigInteger))), self.at
        statement = select(value, self.id).where(among, *window.within(at), *self._steered())
        found = self.first(self.fetched(statement, PROBE))
        return found if limit is None else found[:limit]

    def _soon(self, ids: Collection[int], window: Window, limit: int | None) -> list[Found] | None:
        """The first of many rows by their ids, on PostgreSQL, where that is quicker and surely the same; else None."""
        of_exchanges = not self.sqlite and not self._asked.mails
        if (
            limit is None
            or len(ids) <= search_limits.AHEAD * limit
            or not (of_exchanges and self.down and self.sort == "at")
        ):
            return None
        some = sorted(ids, reverse=True)
        most = search_limits.AS_MANY * len(ids)
        if (some[0] - some[-1]) * limit // len(ids) > most:  # so many are likely to be as new as those of the page
            return None
        some = some[: search_limits.AHEAD * limit]
        found = self.compared(some, window, limit)
        if len(found) < limit:
            return None
        end = self.after_cursor(window).end
        return found if none_is_newer_within(self._value_of, found[-1], end, some[-1], most) else None

    def first(self, found: Sequence[Found]) -> list[Found]:
        """In order, each row once."""
        return sorted(set(found), reverse=self.down)

    def _steered(self) -> list[Condition]:
        return [*self._asked.steered, *self.beyond()]

    def beyond(self) -> list[Condition]:
        """What comes after the last row of the page before."""
        if self._query.before is None:
            return []
        value, number = self._query.before
        by = self.in_order(self.value())
        if self.down:
            return [or_(by < value, and_(by == value, self.id < number))]
        return [or_(by > value, and_(by == value, self.id > number))]

    def after_cursor(self, window: Window) -> Window:
        """The window, as far as the page before has not covered it."""
        before: Cursor | None = self._query.before
        if before is None or self.sort != "at" or not isinstance(before[0], int):
            return window
        return window.cut(BEGINNING, before[0] + 1) if self.down else window.cut(before[0], END)

    def value(self) -> ColumnElement[Any]:
        """What the rows are ordered by."""
        return self._asked.sorts[self.sort]

    def in_order(self, value: ColumnElement[Any]) -> ColumnElement[Any]:
        """Text is ordered by its characters, on both databases."""
        return value if self.sqlite or value.type.python_type is int else value.collate("C")

    def probe(self, statement: Select[Any], most: int | None = None) -> set[int] | None:
        """The ids that a statement gives, or None where they are more than ``most`` (few)."""
        most = search_limits.FEW if most is None else most
        found = self.execute(statement.limit(most + 1), PROBE)
        rows = found.cursor.fetchall()  # thousands: as rows of SQLAlchemy they take four times as long
        found.close()
        return None if len(rows) > most else {row[0] for row in rows}

    def fetched(self, statement: Select[Any], without: Sequence[str]) -> list[Found]:
        """The answer of a statement for what rows are ordered by and their ids."""
        return [(row[0], row[1]) for row in self.execute(statement, without)]

    def execute(self, statement: Select[Any], without: Sequence[str]) -> Any:
        """The answer of a statement; ``without`` says what PostgreSQL is not to use."""
        self.steer(without)
        return self._connection.execute(statement)

    def _value_of(self, statement: Select[Any]) -> Any:
        return self.execute(statement, PROBE).scalar()

    def steer(self, without: Sequence[str]) -> None:
        """``steer``, where PostgreSQL was not told the same last."""
        if not self.sqlite and self._without != without:
            steer(self._connection, without)
            self._without = without


def steer(connection: Connection, without: Sequence[str] = ()) -> None:
    """Tells PostgreSQL until the transaction ends what not to use; nothing: it is to do as it thinks best.

    What a plan is thought to cost without these must not make PostgreSQL start processes for it.
    """
    bulk.run(connection, _steering(tuple(without)))


@cache
def _steering(without: tuple[str, ...]) -> str:
    values = {f"enable_{each}": "OFF" if each in without else "ON" for each in _WALK}
    values["max_parallel_workers_per_gather"] = "0"
    return "; ".join(f"SET LOCAL {name} TO {value if without else 'DEFAULT'}" for name, value in values.items())
