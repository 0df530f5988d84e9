"""What belongs together beyond one mail: an order and its acknowledgment, an original and its duplicate, a receipt.

A unit stays while anything that it is linked with is within its time, held or at work; so the proof of an exchange
lives as long as the exchange. One step counts, or an endless chain would keep everything. Where a row points to another
by a foreign key, both go or none does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Column, ColumnElement, Connection, Select, select

from gateway.ledger.retention_units import Judge, Key, Unit, ask
from gateway.ledger.tables import (
    acknowledgment,
    event,
    exchange,
    finding,
    functional_group,
    message,
    payload,
    receipt,
    received_number,
    transaction_set,
)

NOT_OVER = "its time is not over"

_Ends = tuple[Key, Key]  # of a link, as exchanges ("x") and mails ("m")


class Going(Struct, frozen=True):
    """The units of some that can leave the ledger now, and why others stay."""

    units: tuple[Unit, ...]
    staying: Mapping[Key, str]


def going(
    connection: Connection, judge: Judge, keys: Iterable[Key], now: int, *, only: Collection[Key] | None = None
) -> Going:
    """Which units leave the ledger, together with those that they are linked with and whose time is over too.

    Args:
        connection: the transaction in which the answer holds.
        judge: knows their time, and what keeps them.
        keys: of the units.
        now: ms since 1970 UTC.
        only: no other units than these leave with them.
    """
    links = _Links(connection, judge, now)
    first = judge.units(keys)
    links.add(first.values())
    with_them = {key: unit for key, unit in links.others().items() if only is None or key in only}
    candidates = first | {key: unit for key, unit in with_them.items() if links.may_go(unit)}
    links.add(unit for key, unit in candidates.items() if key not in first)
    staying = {key: why for key, unit in candidates.items() if (why := links.why_it_stays(unit))}
    newest = _newest(connection, judge) & candidates.keys() - staying.keys()
    staying |= dict.fromkeys(newest, "it is the newest of its kind")
    while more := links.pointed_at(candidates.keys() - staying.keys()):
        staying |= more
    return Going(tuple(unit for key, unit in candidates.items() if key not in staying), staying)


def beside_held(connection: Connection, judge: Judge, units: Iterable[Unit]) -> dict[Key, str]:
    """Those of some units that are linked with a held one, which keeps them and their bytes, each with the reason.

    Args:
        connection: the transaction in which the answer holds.
        judge: knows what is held.
        units: which.
    """
    if not judge.holds_any:
        return {}
    links = _Links(connection, judge, 0)
    units = list(units)
    links.add(units)
    return {unit.key: why for unit in units if (why := links.held_beside(unit))}


def _newest(connection: Connection, judge: Judge) -> set[Key]:
    """The units of the highest numbers: SQLite counts on from those, and no number is given twice."""
    if connection.dialect.name != "sqlite":
        return set()
    exchanges, mails = _last(connection, _OF_EXCHANGES), _last(connection, _OF_MAILS)
    return {("m", number) for number in mails} | set(judge.keys_of(exchanges).values())


_OF_EXCHANGES: tuple[Column[Any], ...] = (
    *(table.c.exchange for table in (functional_group, transaction_set, finding, received_number)),
    exchange.c.id,
    # Of these a row goes with whichever of its units goes first: all of them stay.
    acknowledgment.c.carrier,
    acknowledgment.c.exchange,
    receipt.c.exchange,
)
_OF_MAILS: tuple[Column[Any], ...] = (message.c.id, payload.c.message, receipt.c.message, receipt.c.original)


def _last(connection: Connection, owners: Sequence[Column[Any]]) -> set[int]:
    """The exchange or mail of the last row of each table, by each column that names one."""
    wanted = [select(owner).order_by(owner.table.c.id.desc()).limit(1) for owner in owners]
    found = [connection.execute(each).scalar() for each in wanted]
    return {number for number in found if number is not None}


class _Links:
    """The links of some units, and the units at their other ends."""

    def __init__(self, connection: Connection, judge: Judge, now: int) -> None:
        self._connection = connection
        self._judge = judge
        self._now = now
        self._units: dict[Key, Unit] = {}
        self._known: set[Key] = set()  # units whose links were looked for
        self._linked: dict[Key, set[Key]] = defaultdict(set)
        self._pointing: dict[Key, set[Key]] = defaultdict(set)  # unit → units whose exchanges point to it

    def add(self, units: Iterable[Unit]) -> None:
        """Looks for the links of these."""
        new = [unit for unit in units if unit.key not in self._known]
        self._known.update(unit.key for unit in new)
        self._units |= {unit.key: unit for unit in new}
        x = [each for unit in new for each in unit.exchanges]
        m = [unit.message for unit in new if unit.message is not None]
        symmetric, pointing = list(self._symmetric(x, m)), list(self._pointers(x))
        ends = {end for pair in (*symmetric, *pointing) for end in pair}
        of = {("x", n): key for n, key in self._judge.keys_of([n for kind, n in ends if kind == "x"]).items()}
        self._units |= self._judge.units({of.get(end, end) for end in ends} - self._units.keys())
        for one, other in ((of.get(a, a), of.get(b, b)) for a, b in symmetric):
            self._linked[one].add(other)
            self._linked[other].add(one)
        for pointer, target in ((of.get(a, a), of.get(b, b)) for a, b in pointing):
            self._pointing[target].add(pointer)
            self._linked[target].add(pointer)

    def others(self) -> dict[Key, Unit]:
        """The units at the other ends, whose own links were not looked for."""
        return {key: unit for key, unit in self._units.items() if key not in self._known}

    def may_go(self, unit: Unit) -> bool:
        """Whether its own time is over, and nothing keeps it by itself."""
        return not unit.kept_by and unit.is_over(self._now)

    def why_it_stays(self, unit: Unit) -> str:
        """Empty where it can go."""
        if unit.kept_by:
            return unit.kept_by
        if not unit.is_over(self._now):
            return NOT_OVER
        needs = [self._units[key] for key in self._linked[unit.key] if key != unit.key and key in self._units]
        keeper = next((each for each in needs if not self.may_go(each)), None)
        return f"it belongs to {_named(keeper)}" if keeper is not None else ""

    def held_beside(self, unit: Unit) -> str:
        """Empty where nothing that it is linked with is held."""
        linked = [self._units[key] for key in sorted(self._linked[unit.key]) if key != unit.key and key in self._units]
        found = next((each for each in linked if each.hold is not None), None)
        return f"it belongs to {_named(found)}, which is held (hold {found.hold})" if found is not None else ""

    def pointed_at(self, leaving: Iterable[Key]) -> dict[Key, str]:
        """Those of the leaving that something points to which stays."""
        leaving = set(leaving)
        return {
            key: f"it belongs to {_named(self._units[stays[0]])}"
            for key in leaving
            if (stays := sorted(k for k in self._pointing[key] if k not in leaving and k in self._units))
        }

    def _symmetric(self, x: Sequence[int], m: Sequence[int]) -> Iterator[_Ends]:
        a, r, e, c = acknowledgment.c, receipt.c, event.c, exchange.c
        for column in (c.id, c.answers):
            yield from self._pairs(("x", c.id), ("x", c.answers), column, x)
        yield from self._pairs(("x", c.id), ("x", c.duplicate_of), c.id, x)
        for column, values in ((a.carrier, x), (a.exchange, x)):
            yield from self._pairs(("x", a.carrier), ("x", a.exchange), column, values)
        for column, values in ((r.exchange, x), (r.message, m)):
            yield from self._pairs(("x", r.exchange), ("m", r.message), column, values)
        for column in (r.original, r.message):
            yield from self._pairs(("m", r.original), ("m", r.message), column, m)
        for column, values in ((e.exchange, x), (e.message, m)):
            yield from self._pairs(("x", e.exchange), ("m", e.message), column, values)

    def _pointers(self, x: Sequence[int]) -> Iterator[_Ends]:
        """Exchanges that point to these by a foreign key."""
        c = exchange.c
        for column in (c.answers, c.duplicate_of):
            yield from self._pairs(("x", c.id), ("x", column), column, x)

    def _pairs(
        self,
        one: tuple[str, ColumnElement[Any]],
        other: tuple[str, ColumnElement[Any]],
        column: ColumnElement[Any],
        values: Sequence[int],
    ) -> Iterator[_Ends]:
        ends = select(one[1], other[1]).distinct()
        there: Select[*tuple[Any, ...]] = ends.where(one[1].is_not(None), other[1].is_not(None))
        for row in ask(self._connection, there, column, values):
            first, second = map(int, row)
            yield (one[0], first), (other[0], second)


def _named(unit: Unit) -> str:
    return f"exchange {unit.exchanges[0]}" if unit.exchanges else f"mail m{unit.message}"
