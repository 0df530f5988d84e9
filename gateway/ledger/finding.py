"""How a query is found: ids in order, without reading what does not matter, whatever there is.

Neither database may guess. To walk from the newest row on and compare each is right for what is common and takes for
ever for what is rare; to fetch all that an index names and sort it is right for what is rare only. So first each index
that a criterion has is *probed*: does it name few rows? Then these are compared, and nothing else. Where none does,
and the text index knows something of the query, it is asked month by month, newest first: a month that it names few
rows of is compared row by row, a month of many is walked. Else the rows are walked along the index that names fewest.
On SQLite, whose text index has its ids in order, the newest of what is asked about all time comes before that; on
PostgreSQL, of many rows those with the highest ids are compared first (see ``id_order``).

The conditions themselves decide what is found (see ``conditions``); what is here decides only how long it takes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
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
from sqlalchemy.dialects.postgresql import ARRAY

from gateway.ledger import bulk
from gateway.ledger.clauses import Clause, TextIndex, marked
from gateway.ledger.conditions import Condition
from gateway.ledger.id_order import end_of, none_is_newer, none_is_newer_within
from gateway.ledger.marks import mark, month_of, span_of
from gateway.ledger.query import Cursor, Query
from gateway.ledger.ways import EVERYTHING, Asked, Way

FEW = 1_000  # rows that are compared one by one
SOME = 5_000  # rows that are compared where nothing leads to them in order: three times as quick as to walk for them
VERY_FEW = 100  # so few that no other index need be asked
MANY = 100_000  # rows up to which ways are counted
NEAR = 2_000  # rows that are walked before anything else is tried
WIDTHS = (1, 3, 8, 12)  # months that are looked at together, one time after the other
ALL_TIME = 3  # how often, before the index is asked about all time
OFTEN = 10  # rows of the newest month, from which on the newest of all time are soon found
AHEAD = 4  # pages that are looked at for one of the newest
AS_MANY = 40  # ids that PostgreSQL reads in the index of time while it compares one row
_BEGINNING, _END = -(2**63), 2**63 - 1

# What PostgreSQL is not to use. Without sorts and joins of whole tables nothing is left but the index in order.
_WALK = ("seqscan", "hashjoin", "mergejoin", "bitmapscan", "sort")
_PROBE = ("seqscan", "hashjoin", "mergejoin")

Found = tuple[Any, int]  # what it is ordered by, and its id


@dataclass(frozen=True, slots=True)
class Window:
    """From ``start`` (included) to ``end`` (excluded), in ms."""

    start: int = _BEGINNING
    end: int = _END

    def within(self, column: ColumnElement[int]) -> list[Condition]:
        """As conditions."""
        found: list[Condition] = [] if self.start == _BEGINNING else [column >= self.start]
        return found if self.end == _END else [*found, column < self.end]

    def cut(self, start: int, end: int) -> Window:
        """What both have in common."""
        return Window(max(self.start, start), min(self.end, end))


class Finder:
    """Finds the ids of one page of exchanges, or of mails that no exchange speaks for.

    Args:
        connection: a transaction that reads.
        query: what is asked.
        asked: the same as the table has it.
    """

    def __init__(self, connection: Connection, query: Query, asked: Asked) -> None:
        self._connection = connection
        self._sqlite = connection.dialect.name == "sqlite"
        self._query = query
        self._asked = asked
        self._table: Table = asked.table
        self._at, self._id = asked.table.c.at, asked.table.c.id
        self._index = TextIndex(connection)
        self._clauses = self._index.useful(asked.clauses)
        self._without: Sequence[str] = ()
        self._sort, self._down = query.order
        self._limit = query.limit
        self._window = Window(
            _BEGINNING if query.since is None else query.since, _END if query.until is None else query.until
        )

    # ------------------------------------------------------------ what is asked of it

    def page(self) -> list[int]:
        """The ids of the page, in its order."""
        if self._asked.impossible:
            return []
        in_time = self._sort == "at" and self._limit is not None
        return [number for _, number in (self._newest() if in_time else self._sorted())]

    def count(self, most: int | None = None) -> int:
        """How many there are whatever the page; at most ``most`` + 1 of them are looked for."""
        if self._asked.impossible:
            return 0
        few = self._few()
        if few is not None:
            return len(self._compared(few, self._window, None))
        if most is not None and self._is_walked():
            self._limit = most + 1
            return len(self._newest())
        conditions = [*self._asked.conditions(), *self._superset()]
        statement = select(func.count()).select_from(self._table).where(*conditions)
        if most is not None:
            some = select(self._id).where(*conditions).limit(most + 1).subquery()
            statement = select(func.count()).select_from(some)
        return int(self._execute(statement, ()).scalar_one())

    def _is_walked(self) -> bool:
        """Whether an index leads to what is asked for in order of time, so that the first thousands come at once."""
        window = (self._window.start, self._window.end) != (_BEGINNING, _END)
        return self._sort == "at" and (window or any(way is not EVERYTHING for way in self._asked.ways))

    # ------------------------------------------------------------ in order of time

    def _newest(self) -> list[Found]:
        direct = next((way for way in self._asked.ways if way.answers(self._asked.names)), None)
        if direct is not None and len(direct.alternatives) == 1:
            return self._walked(direct, self._window, self._limit)
        few = self._few()
        if few is not None:
            return self._compared(few, self._window, self._limit)
        if direct is not None:
            return self._walked(direct, self._window, self._limit)
        way, others = self._best_way()
        some = self._some() if way is EVERYTHING else None
        if some is not None:
            return self._newest_of(some) or self._compared(some, self._window, self._limit)
        covered = frozenset().union(*(each.covers for each in self._asked.ways))
        if all(clause.field in covered for clause in self._clauses):
            return self._walked_far(way, self._window, self._limit, [self._ids_of(each) for each in others])
        found = self._by_id()
        if found is None:
            found = self._month_by_month(way)
        return self._first([*found, *self._beside()])

    def _by_id(self) -> list[Found] | None:
        """The page as the text index leads to it from the highest id on; None where it does not surely."""
        months = self._months(EVERYTHING) if self._is_first_of_all_time() else ()
        if not months or self._limit is None:
            return None
        often = self._named(months[:1], OFTEN)
        ids = self._named() if often is not None else None  # from its beginning is twice as quick
        if ids is not None:
            found = self._newest_of(ids) if len(ids) > AHEAD * self._limit else None
            return found or self._compared(ids, self._window, self._limit)
        return self._newest_of(self._index.some(self._clauses, AHEAD * self._limit, order="highest"))

    def _newest_of(self, ids: Collection[int]) -> list[Found] | None:
        """The page out of ids of exchanges, as far as their order leads to it; None where it does not surely."""
        if self._limit is None or not self._is_first_of_all_time():
            return None
        some = sorted(ids, reverse=True)[: AHEAD * self._limit]
        found = self._compared(some, self._window, self._limit)
        if len(found) < self._limit or not none_is_newer(self._connection, self._index, found[-1][0], some[-1]):
            return None
        return found

    def _is_first_of_all_time(self) -> bool:
        """Whether the newest exchanges of all are asked for, on SQLite."""
        everything = self._window == Window() and self._query.before is None
        return self._sqlite and self._down and not self._asked.mails and everything

    def _value_of(self, statement: Select[Any]) -> Any:
        return self._execute(statement, _PROBE).scalar()

    def _few(self) -> set[int] | None:
        """The only rows that can meet the query, where an index names few."""
        found: set[int] | None = None
        ways = [(self._ids_of(way), way.covers) for way in self._asked.ways]
        for statement, covers in (*((each, frozenset[str]()) for each in self._asked.sets), *ways):
            ids = self._probe(statement)
            if ids is None:
                continue
            found = ids if found is None else found & ids
            if len(found) > VERY_FEW and self._is_indexed_with(covers):
                ids = self._named(self._months_of_window())
                found = found if ids is None else found & ids
            if len(found) <= VERY_FEW:
                break
        return found

    def _some(self) -> set[int] | None:
        """The only rows that can meet the query, where they are more than few.

        What is long overdue may lie anywhere: on the way to the first fifty of two thousand are a fortieth of all rows.
        """
        for statement in self._asked.sets:
            ids = self._probe(statement, SOME)
            if ids is not None:
                return ids
        return None

    def _is_indexed_with(self, covers: frozenset[str]) -> bool:
        """Whether the text index knows these few rows, and something more of the query to tell them apart."""
        fields = {clause.field for clause in self._clauses}
        return bool(fields & covers) and bool(fields - covers)

    def _ids_of(self, way: Way) -> Select[Any]:
        """The rows of a way within the window."""
        return select(self._id).where(*way.together, *self._window.within(self._at))

    def _best_way(self) -> tuple[Way, list[Way]]:
        """The way with the fewest rows, and others that have not many, as far as that is quickly told."""
        ways = [way for way in self._asked.ways if way is not EVERYTHING]
        if len(ways) < 2:
            return (ways[0] if ways else EVERYTHING), []
        counted = []
        for way in ways:
            some = self._ids_of(way).limit(MANY).subquery()
            counted.append(self._execute(select(func.count()).select_from(some), _PROBE).scalar_one())
        best = ways[counted.index(min(counted))]
        return best, [way for way, number in zip(ways, counted, strict=True) if way is not best and number < MANY]

    def _month_by_month(self, way: Way) -> list[Found]:
        """The page, the text index asked about one month after the other, then about more and more together."""
        months = self._months(way)
        found: list[Found] = []
        turn, width = 0, WIDTHS[0]
        while months and self._limit is not None and len(found) < self._limit:
            if turn == ALL_TIME:
                ids = self._named(self._months_of_window())
                if ids is not None:
                    return self._compared(ids, self._window, self._limit)
            some = months[:width]
            ids = self._named(some)
            if ids is None and len(some) > 1:  # of the first month alone they may be few
                some, turn = some[:1], 0
                ids = self._named(some)
            if ids is None and not self._sqlite:  # it would read each row that it walks along
                ids = self._named(some, SOME)
            part = self._window.cut(span_of(min(some))[0], span_of(max(some))[1])
            left = self._limit - len(found)
            if ids is None:
                found += self._walked_far(way, part, left, [self._indexed(some)])
            else:
                found += self._compared(ids, part, left)
            months = months[len(some) :]
            turn = turn + 1 if ids is not None else 0
            width = WIDTHS[min(turn, len(WIDTHS) - 1)]
            if ids:  # as many as will most likely name few rows
                width = min(width, max(1, FEW * len(some) // (2 * len(ids))))
        return found

    def _months(self, way: Way) -> Sequence[int]:
        """The months from the first row of a way to its last one, in order, within the window and the page."""
        window = self._after_cursor(self._window)
        first, last = self._edge(way, window), self._edge(way, window, back=True)
        if first is None or last is None:
            return []
        step = -1 if self._down else 1
        return range(month_of(first), month_of(last) + step, step)

    def _months_of_window(self) -> Sequence[int]:
        """The months of the window, where it has two ends and they are not far from each other."""
        if self._window.start == _BEGINNING or self._window.end == _END:
            return []
        months = range(month_of(self._window.start), month_of(self._window.end) + 1)
        return months if len(months) <= WIDTHS[-1] else []

    def _indexed(self, months: Sequence[int] = ()) -> Select[Any]:
        """The ids that the text index names, of all time or of some months."""
        return self._index.ids(self._clauses_of(months), mails=self._asked.mails)

    def _named(self, months: Sequence[int] = (), most: int | None = None) -> set[int] | None:
        """The same ids, or None where they are more than ``most`` (few)."""
        most = FEW if most is None else most
        self._steer(_PROBE)
        found = self._index.some(self._clauses_of(months), most + 1, mails=self._asked.mails)
        return None if len(found) > most else set(found)

    def _clauses_of(self, months: Sequence[int]) -> list[Clause]:
        of = [marked("month", *(mark(self._asked.month, month) for month in months))] if months else []
        return [*self._clauses, *of]

    def _edge(self, way: Way, window: Window, after: int = 0, *, back: bool = False) -> int | None:
        """The moment of the first row of a way in a window, or of the one ``after`` so many; ``back``: the last."""
        down = self._down ^ back
        if way is EVERYTHING and window == Window() and not after:
            return end_of(self._connection, self._table, last=down)
        moments: list[int] = []
        for each in way.alternatives:
            statement = select(self._at).where(*each, *window.within(self._at))
            statement = statement.order_by(self._at.desc() if down else self._at).limit(1).offset(after or None)
            moments += self._execute(statement, _PROBE).scalars().all()
        if not moments:
            return None
        return max(moments) if down else min(moments)

    def _beside(self) -> list[Found]:
        """What the text index does not have because it is at work."""
        if self._asked.beside is None:
            return []
        ids = self._probe(self._asked.beside)
        if ids is None:  # so many that they are met at once
            return self._walked(EVERYTHING, self._window, self._limit)
        return self._compared(ids, self._window, self._limit)

    # ------------------------------------------------------------ rows

    def _walked_far(self, way: Way, window: Window, limit: int | None, others: Sequence[Select[Any]]) -> list[Found]:
        """The first rows along an index; those that do not come soon are looked for among the ids of others, too.

        SQLite reads a row only when the index has said that its id is among them. PostgreSQL has read it by then.
        """
        edge = self._edge(way, self._after_cursor(window), NEAR) if self._sqlite and others else None
        if edge is None or limit is None:
            return self._walked(way, window, limit)
        near, far = window.cut(edge, _END), window.cut(_BEGINNING, edge)
        if not self._down:
            near, far = window.cut(_BEGINNING, edge + 1), window.cut(edge + 1, _END)
        found = self._walked(way, near, limit)
        if len(found) < limit:
            found += self._walked(way, far, limit - len(found), [self._id.op("+")(0).in_(each) for each in others])
        return found

    def _walked(self, way: Way, window: Window, limit: int | None, more: Sequence[Condition] = ()) -> list[Found]:
        """The first rows along an index."""
        window = self._after_cursor(window)
        found: list[Found] = []
        for each in way.alternatives:
            conditions = (*each, *window.within(self._at), *more, *self._steered())
            statement = select(self._at, self._id).where(*conditions)
            found += self._rows(statement.order_by(*self._time_order()).limit(limit), _WALK)
        return self._first(found)[:limit]

    def _time_order(self) -> tuple[ColumnElement[Any], ...]:
        return (self._at.desc(), self._id.desc()) if self._down else (self._at, self._id)

    def _compared(self, ids: Collection[int], window: Window, limit: int | None) -> list[Found]:
        """Those of some rows that meet the query, in order."""
        if not ids:
            return []
        soon = self._soon(ids, window, limit)
        if soon is not None:
            return soon
        value, window = self._value(), self._after_cursor(window)
        if self._sqlite:
            given = func.json_each(json.dumps(list(ids))).table_valued("value", name="given")
            among: Condition = self._id.in_(select(given.c.value))
            at: Any = self._at.op("+")(0)  # no index of its own
        else:
            among, at = self._id == any_(literal(list(ids), ARRAY(BigInteger))), self._at
        statement = select(value, self._id).where(among, *window.within(at), *self._steered())
        found = self._first(self._rows(statement, _PROBE))
        return found if limit is None else found[:limit]

    def _soon(self, ids: Collection[int], window: Window, limit: int | None) -> list[Found] | None:
        """The first of many rows by their ids, on PostgreSQL, where that is quicker and surely the same; else None."""
        of_exchanges = not self._sqlite and not self._asked.mails
        if limit is None or len(ids) <= AHEAD * limit or not (of_exchanges and self._down and self._sort == "at"):
            return None
        some = sorted(ids, reverse=True)
        most = AS_MANY * len(ids)
        if (some[0] - some[-1]) * limit // len(ids) > most:  # so many are likely to be as new as those of the page
            return None
        some = some[: AHEAD * limit]
        found = self._compared(some, window, limit)
        if len(found) < limit:
            return None
        end = self._after_cursor(window).end
        return found if none_is_newer_within(self._value_of, found[-1][0], end, some[-1], most) else None

    def _sorted(self) -> list[Found]:
        """A page in another order, or everything: all that can meet the query is looked at."""
        few = self._few()
        if few is not None:
            return self._compared(few, self._window, self._limit)
        value = self._value()
        by = self._in_order(value)
        order = (by.desc(), self._id.desc()) if self._down else (by, self._id)
        conditions = [*self._asked.conditions(), *self._superset(), *self._beyond()]
        statement = select(value, self._id).where(*conditions).order_by(*order).limit(self._limit)
        return self._rows(statement, ())

    def _superset(self) -> list[Condition]:
        """What the text index says of the query, where it is asked about all time."""
        if not self._clauses:
            return []
        ids = self._indexed(self._months_of_window())
        if self._asked.beside is None:
            return [self._id.in_(ids)]
        return [or_(self._id.in_(ids), self._id.in_(self._asked.beside))]

    def _steered(self) -> list[Condition]:
        return [*self._asked.steered, *self._beyond()]

    def _beyond(self) -> list[Condition]:
        """What comes after the last row of the page before."""
        if self._query.before is None:
            return []
        value, number = self._query.before
        by = self._in_order(self._value())
        if self._down:
            return [or_(by < value, and_(by == value, self._id < number))]
        return [or_(by > value, and_(by == value, self._id > number))]

    def _after_cursor(self, window: Window) -> Window:
        """The window, as far as the page before has not covered it."""
        before: Cursor | None = self._query.before
        if before is None or self._sort != "at" or not isinstance(before[0], int):
            return window
        return window.cut(_BEGINNING, before[0] + 1) if self._down else window.cut(before[0], _END)

    def _value(self) -> ColumnElement[Any]:
        return self._asked.sorts[self._sort]

    def _in_order(self, value: ColumnElement[Any]) -> ColumnElement[Any]:
        """Text is ordered by its characters, on both databases."""
        return value if self._sqlite or value.type.python_type is int else value.collate("C")

    def _first(self, found: Sequence[Found]) -> list[Found]:
        """In order, each row once."""
        return sorted(set(found), reverse=self._down)[: self._limit]

    # ------------------------------------------------------------ asking

    def _probe(self, statement: Select[Any], most: int | None = None) -> set[int] | None:
        """The ids that a statement gives, or None where they are more than ``most`` (few)."""
        most = FEW if most is None else most
        found = self._execute(statement.limit(most + 1), _PROBE).scalars().all()
        return None if len(found) > most else set(found)

    def _rows(self, statement: Select[Any], without: Sequence[str]) -> list[Found]:
        return [(row[0], row[1]) for row in self._execute(statement, without)]

    def _execute(self, statement: Select[Any], without: Sequence[str]) -> Any:
        self._steer(without)
        return self._connection.execute(statement)

    def _steer(self, without: Sequence[str]) -> None:
        if not self._sqlite and self._without != without:
            steer(self._connection, without)
            self._without = without


def steer(connection: Connection, without: Sequence[str] = ()) -> None:
    """Tells PostgreSQL until the transaction ends what not to use; nothing: it is to do as it thinks best.

    What a plan is thought to cost without these must not make PostgreSQL compile it, or start processes for it.
    """
    bulk.run(connection, _steering(tuple(without)))


@cache
def _steering(without: tuple[str, ...]) -> str:
    values = {f"enable_{each}": "OFF" if each in without else "ON" for each in _WALK}
    values |= {"jit": "OFF", "max_parallel_workers_per_gather": "0"}
    return "; ".join(f"SET LOCAL {name} TO {value if without else 'DEFAULT'}" for name, value in values.items())
