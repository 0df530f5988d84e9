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


def none_is_newer_within(ask: Ask, last: tuple[int, int], end: int, number: int, most: int) -> bool:
    """Whether it is certain that no exchange from ``last`` on until before ``end`` has an id below ``number``.

    Args:
        ask: asks the ledger.
        last: an exchange: when it was (ms), and its id, which is not below ``number``.
        end: in ms.
        number: an id.
        most: ids above that of ``last`` that there may be; where there are more, nothing is certain.
    """
    at, own = tables.exchange.c.at, tables.exchange.c.id
    # What is looked at before the first one that is newer, if any, has ids from ``number`` on.
    many = select(func.max(own)).scalar_subquery() - last[1] >= most
    newer = select(own).where(at >= last[0], at < end, own < number).limit(1).exists()
    return not ask(select(case((many, True), else_=newer)))
