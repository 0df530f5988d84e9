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

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    func,
    or_,
    select,
)

from gateway.ledger import search_limits
from gateway.ledger.clauses import Clause, TextIndex, marked
from gateway.ledger.conditions import Condition
from gateway.ledger.id_order import none_is_newer
from gateway.ledger.marks import mark, month_of, span_of
from gateway.ledger.query import Query
from gateway.ledger.walking import BEGINNING, END, PROBE, Found, Rows, Window
from gateway.ledger.ways import EVERYTHING, Asked, Way


class Finder:
    """Finds the ids of one page of exchanges, or of mails that no exchange speaks for.

    Args:
        connection: a transaction that reads.
        query: what is asked.
        asked: the same as the table has it.
    """

    def __init__(self, connection: Connection, query: Query, asked: Asked) -> None:
        self._rows = Rows(connection, query, asked)
        self._connection, self._asked = connection, asked
        self._index = TextIndex(connection)
        self._clauses = self._index.useful(asked.clauses)
        self._before, self._limit = query.before, query.limit
        # The only rows that can meet the query, where they are more than few. What is long overdue may lie anywhere: on
        # the way to the first fifty of two thousand are a fortieth of all rows.
        self._some: set[int] | None = None
        self._window = Window(
            BEGINNING if query.since is None else query.since, END if query.until is None else query.until
        )

    # ------------------------------------------------------------ what is asked of it

    def page(self) -> list[int]:
        """The ids of the page, in its order."""
        if self._asked.impossible:
            return []
        in_time = self._rows.sort == "at" and self._limit is not None
        return [number for _, number in (self._newest() if in_time else self._sorted())]

    def count(self, most: int | None = None) -> int:
        """How many there are whatever the page; at most ``most`` + 1 of them are looked for."""
        if self._asked.impossible:
            return 0
        few = self._few()
        if few is not None:
            return len(self._rows.compared(few, self._window, None))
        if most is not None and self._is_walked():
            self._limit = most + 1
            return len(self._newest())
        conditions = [*self._asked.conditions(), *self._superset()]
        statement = select(func.count()).select_from(self._asked.table).where(*conditions)
        if most is not None:
            some = select(self._rows.id).where(*conditions).limit(most + 1).subquery()
            statement = select(func.count()).select_from(some)
        return int(self._rows.execute(statement, ()).scalar_one())

    def _is_walked(self) -> bool:
        """Whether an index leads to what is asked for in order of time, so that the first thousands come at once."""
        window = (self._window.start, self._window.end) != (BEGINNING, END)
        return self._rows.sort == "at" and (window or any(way is not EVERYTHING for way in self._asked.ways))

    # ------------------------------------------------------------ in order of time

    def _newest(self) -> list[Found]:
        direct = next((way for way in self._asked.ways if way.answers(self._asked.names)), None)
        if direct is not None and len(direct.alternatives) == 1:
            return self._rows.walked(direct, self._window, self._limit)
        few = self._few()
        if few is not None:
            return self._rows.compared(few, self._window, self._limit)
        if direct is not None:
            return self._rows.walked(direct, self._window, self._limit)
        way, others = self._best_way()
        some = self._some if way is EVERYTHING else None
        if some is not None:
            ahead = sorted(some, reverse=True)[: search_limits.AHEAD * (self._limit or 0)]
            return self._newest_of(ahead) or self._rows.compared(some, self._window, self._limit)
        covered = frozenset().union(*(each.covers for each in self._asked.ways))
        if all(clause.field in covered for clause in self._clauses):
            return self._rows.walked_far(way, self._window, self._limit, [self._ids_of(each) for each in others])
        found = self._by_id()
        if found is None:
            found = self._month_by_month(way)
        return self._rows.first([*found, *self._beside()])[: self._limit]

    def _by_id(self) -> list[Found] | None:
        """The page as the text index leads to it from the highest id on; None where it does not surely."""
        if self._limit is None or not self._is_first_of_all_time():
            return None
        for pages in search_limits.PAGES:
            ids = self._index.some(self._clauses, pages * self._limit, order="highest")
            if len(ids) < pages * self._limit:  # these are all
                return self._rows.compared(ids, self._window, self._limit)
            found = self._newest_of(ids)
            if found is not None:
                return found
        return None

    def _newest_of(self, ids: Collection[int]) -> list[Found] | None:
        """The page out of the highest ids of exchanges, if their order surely leads to it; else None."""
        if self._limit is None or not self._is_first_of_all_time():
            return None
        found = self._rows.compared(ids, self._window, self._limit)
        if len(found) < self._limit or not none_is_newer(self._connection, self._index, found[-1][0], min(ids)):
            return None
        return found

    def _is_first_of_all_time(self) -> bool:
        """Whether the newest exchanges of all are asked for, on SQLite."""
        everything = self._window == Window() and self._before is None
        return self._rows.sqlite and self._rows.down and not self._asked.mails and everything

    def _few(self) -> set[int] | None:
        """The only rows that can meet the query, where an index names few."""
        found: set[int] | None = None
        sets = ((partial(self._of_set, each), frozenset[str]()) for each in self._asked.sets)
        ways = ((partial(self._rows.probe, self._ids_of(way)), way.covers) for way in self._asked.ways)
        for asked, covers in (*sets, *ways):
            ids = asked()
            if ids is None:
                continue
            found = ids if found is None else found & ids
            if len(found) > search_limits.VERY_FEW and self._is_indexed_with(covers):
                ids = self._named(self._months_of_window())
                found = found if ids is None else found & ids
            if len(found) <= search_limits.VERY_FEW:
                break
        return found

    def _of_set(self, statement: Select[Any]) -> set[int] | None:
        """The ids that a statement gives, where they are few; where they are some, they are kept for later."""
        ids = self._rows.probe(statement, max(search_limits.FEW, search_limits.SOME))
        if ids is None or len(ids) <= search_limits.FEW:
            return ids
        if self._some is None:
            self._some = ids
        return None

    def _is_indexed_with(self, covers: frozenset[str]) -> bool:
        """Whether the text index knows these few rows, and something more of the query to tell them apart."""
        fields = {clause.field for clause in self._clauses}
        return bool(fields & covers) and bool(fields - covers)

    def _ids_of(self, way: Way) -> Select[Any]:
        """The rows of a way within the window."""
        return select(self._rows.id).where(*way.together, *self._window.within(self._rows.at))

    def _best_way(self) -> tuple[Way, list[Way]]:
        """The way with the fewest rows, and others that have not many, as far as that is quickly told."""
        ways = [way for way in self._asked.ways if way is not EVERYTHING]
        if len(ways) < 2:
            return (ways[0] if ways else EVERYTHING), []
        counted = []
        for way in ways:
            some = self._ids_of(way).limit(search_limits.MANY).subquery()
            counted.append(self._rows.execute(select(func.count()).select_from(some), PROBE).scalar_one())
        best = ways[counted.index(min(counted))]
        return best, [
            way for way, number in zip(ways, counted, strict=True) if way is not best and number < search_limits.MANY
        ]

    def _month_by_month(self, way: Way) -> list[Found]:
        """The page, the text index asked about one month after the other, then about more and more together."""
        months = self._months(way)
        found: list[Found] = []
        turn, width = 0, search_limits.WIDTHS[0]
        while months and self._limit is not None and len(found) < self._limit:
            if turn == search_limits.ALL_TIME:
                ids = self._named(self._months_of_window())
                if ids is not None:
                    return self._rows.compared(ids, self._window, self._limit)
            some = months[:width]
            ids = self._named(some)
            if ids is None and len(some) > 1:  # of the first month alone they may be few
                some, turn = some[:1], 0
                ids = self._named(some)
            if ids is None and not self._rows.sqlite:  # it would read each row that it walks along
                ids = self._named(some, search_limits.SOME)
            part = self._window.cut(span_of(min(some))[0], span_of(max(some))[1])
            left = self._limit - len(found)
            if ids is None:
                found += self._rows.walked_far(way, part, left, [self._indexed(some)])
            else:
                found += self._rows.compared(ids, part, left)
            months = months[len(some) :]
            if ids == set() and turn >= search_limits.ALL_TIME:
                months = self._from_next_row(way, part, months)
            turn = turn + 1 if ids is not None else 0
            width = search_limits.WIDTHS[min(turn, len(search_limits.WIDTHS) - 1)]
            if ids:  # as many as will most likely name few rows
                width = min(width, max(1, search_limits.FEW * len(some) // (2 * len(ids))))
        return found

    def _months(self, way: Way) -> Sequence[int]:
        """The months from the first row of a way to its last one, in order, within the window and the page."""
        window = self._rows.after_cursor(self._window)
        first, last = self._rows.edge(way, window), self._rows.edge(way, window, back=True)
        if first is None or last is None:
            return []
        step = -1 if self._rows.down else 1
        return range(month_of(first), month_of(last) + step, step)

    def _from_next_row(self, way: Way, part: Window, months: Sequence[int]) -> Sequence[int]:
        """Of the months after a part those from the next row of a way on: a clock may have been centuries ahead."""
        down = self._rows.down
        rest = self._window.cut(BEGINNING, part.start) if down else self._window.cut(part.end, END)
        first = self._rows.edge(way, self._rows.after_cursor(rest)) if months else None
        return [] if first is None else range(month_of(first), months[-1] + (-1 if down else 1), -1 if down else 1)

    def _months_of_window(self) -> Sequence[int]:
        """The months of the window, where it has two ends and they are not far from each other."""
        if self._window.start == BEGINNING or self._window.end == END:
            return []
        months = range(month_of(self._window.start), month_of(self._window.end) + 1)
        return months if len(months) <= search_limits.WIDTHS[-1] else []

    def _indexed(self, months: Sequence[int] = ()) -> Select[Any]:
        """The ids that the text index names, of all time or of some months."""
        return self._index.ids(self._clauses_of(months), mails=self._asked.mails)

    def _named(self, months: Sequence[int] = (), most: int | None = None) -> set[int] | None:
        """The same ids, or None where they are more than ``most`` (few)."""
        most = search_limits.FEW if most is None else most
        self._rows.steer(PROBE)
        found = self._index.some(self._clauses_of(months), most + 1, mails=self._asked.mails)
        return None if len(found) > most else set(found)

    def _clauses_of(self, months: Sequence[int]) -> list[Clause]:
        of = [marked("month", *(mark(self._asked.month, month) for month in months))] if months else []
        return [*self._clauses, *of]

    def _beside(self) -> list[Found]:
        """What the text index does not have because it is at work."""
        if self._asked.beside is None:
            return []
        ids = self._rows.probe(self._asked.beside)
        if ids is None:  # so many that they are met at once
            return self._rows.walked(EVERYTHING, self._window, self._limit)
        return self._rows.compared(ids, self._window, self._limit)

    # ------------------------------------------------------------ rows

    def _sorted(self) -> list[Found]:
        """A page in another order, or everything: all that can meet the query is looked at."""
        few = self._few()
        if few is not None:
            return self._rows.compared(few, self._window, self._limit)
        value = self._rows.value()
        by = self._rows.in_order(value)
        order = (by.desc(), self._rows.id.desc()) if self._rows.down else (by, self._rows.id)
        conditions = [*self._asked.conditions(), *self._superset(), *self._rows.beyond()]
        statement = select(value, self._rows.id).where(*conditions).order_by(*order).limit(self._limit)
        return self._rows.fetched(statement, ())

    def _superset(self) -> list[Condition]:
        """What the text index says of the query, where it is asked about all time."""
        if not self._clauses:
            return []
        ids = self._indexed(self._months_of_window())
        if self._asked.beside is None:
            return [self._rows.id.in_(ids)]
        return [or_(self._rows.id.in_(ids), self._rows.id.in_(self._asked.beside))]

    # ------------------------------------------------------------ asking
