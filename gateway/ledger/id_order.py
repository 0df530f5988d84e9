"""Whether ids tell which exchanges are the newest. They nearly always do: they are given as exchanges are recorded.

Several that record at once, a restored ledger or a clock that was put back can make a higher id the older one. The
index of time holds every id, and the text index of SQLite knows the lowest id of each month at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Select, Table, case, func, select

from gateway.ledger import tables
from gateway.ledger.clauses import TextIndex, marked
from gateway.ledger.literals import whole
from gateway.ledger.marks import mark, month_of, span_of
from gateway.ledger.ready import Ready

_MOST = 24  # months that are looked at
_ONE_BY_ONE = 2  # of these, months whose ids are looked at


def _moment(table: Table, *, last: bool) -> Ready:
    at = table.c.at
    ordered = select(at).order_by(at.desc() if last else at).limit(whole(1)).offset(whole(0))
    return Ready(f"{'last' if last else 'first'} of {table.name}", lambda _: ordered)


_ENDS = {
    (table.name, last): _moment(table, last=last)
    for table in (tables.exchange, tables.message)
    for last in (False, True)
}

Ask = Callable[[Select[Any]], Any]  # runs a statement and gives the first value of its first row, or None


def end_of(connection: Connection, table: Table, *, last: bool) -> int | None:
    """The moment (ms) of the first exchange or mail of all, or of the last; None where there is none."""
    row = _ENDS[table.name, last].row(connection)
    return None if row is None else int(row["at"])


def none_is_newer(connection: Connection, index: TextIndex, moment: int, number: int) -> bool:
    """Whether it is certain that no exchange from ``moment`` on has an id below ``number``, on SQLite.

    Args:
        connection: within a transaction.
        index: the text index.
        moment: in ms.
        number: an id.
    """
    at, own = tables.exchange.c.at, tables.exchange.c.id
    last = end_of(connection, tables.exchange, last=True)
    if last is None or last < moment:
        return True
    months = range(month_of(moment), month_of(last) + 1)
    if len(months) > _MOST:
        return False
    unsure = []
    for month in months:
        lowest = index.some([marked("month", mark("month", month))], 1, order="lowest")
        if lowest and lowest[0] < number:
            unsure.append(month)
    if len(unsure) > _ONE_BY_ONE:
        return False
    for month in unsure:
        start, end = span_of(month)
        below = select(own).where(at >= max(start, moment), at < end, own.op("+")(0) < number)
        if connection.execute(below.limit(1)).first() is not None:
            return False
    return True


def none_is_newer_within(ask: Ask, moment: int, end: int, number: int, most: int) -> bool:
    """Whether it is certain that no exchange from ``moment`` until before ``end`` has an id below ``number``.

    Args:
        ask: asks the ledger.
        moment: in ms.
        end: in ms.
        number: an id.
        most: exchanges of that time that may be looked at; where there are more, nothing is certain.
    """
    at, own = tables.exchange.c.at, tables.exchange.c.id
    some = select(own).where(at >= moment, at < end).order_by(at).limit(most).subquery()
    unsure = func.count() >= most
    return not ask(select(case((unsure, 1), (func.min(some.c.id) < number, 1), else_=0)).select_from(some))
