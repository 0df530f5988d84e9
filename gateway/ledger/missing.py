"""What should have come: numbers that partners left out, and files that were expected by an hour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, func, select

from gateway.ledger.moments import iso
from gateway.ledger.tables import arrival, number_epoch, number_gap, received_number
from gateway.values import asdict

_GAP = "gap"
_INTERCHANGE = "interchange"
RAISED = (number_gap.c.closed_at.is_(None), number_gap.c.raised_at.is_not(None))
MISSED = (arrival.c.missed_at.is_not(None), arrival.c.exchange.is_(None), arrival.c.settled_at.is_(None))


class Gap(Struct, frozen=True):
    """Numbers of a partner that did not come, or a place where they went back or jumped. Times are ms since 1970 UTC.

    ``raised_at`` is None while it may still close by itself; ``closed_by`` is "arrived", or who said ``reason``.
    """

    id: int
    at: int
    partner: str
    theirs: str
    ours: str
    level: str  # interchange, or group and its functional id
    epoch: int
    kind: str  # gap, step back, jump, irregular
    first: int
    last: int
    exchange: int  # the one that showed it
    closed_at: int | None
    closed_by: str
    reason: str
    raised_at: int | None

    @property
    def count(self) -> int:
        """How many numbers are missing; 0 where that is not the question."""
        return self.last - self.first + 1 if self.kind == _GAP else 0

    @property
    def what(self) -> str:
        """What is wrong, in words."""
        whose = f"{self.level} numbers of {self.theirs}"
        match self.kind:
            case "step back":
                return f"the {whose} went back from {self.last} to {self.first}"
            case "jump":
                return f"the {whose} jumped from {self.first - 1} to {self.last + 1}"
            case "irregular":
                return f"the {whose} do not follow each other"
        if self.count == 1:
            return f"{self.level} number {self.first} of {self.theirs} did not come"
        return f"{self.level} numbers {self.first} to {self.last} of {self.theirs} did not come"

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times in ISO 8601, and what is wrong in words."""
        times = {name: iso(getattr(self, name)) for name in ("at", "closed_at", "raised_at")}
        return asdict(self) | times | {"count": self.count, "what": self.what}


class SeriesRow(Struct, frozen=True):
    """One series of a partner's numbers in its present epoch; ``came`` counts the numbers of all its epochs."""

    partner: str
    theirs: str
    ours: str
    level: str
    epoch: int
    began: int
    reason: str
    lowest: int | None
    highest: int | None
    came: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times in ISO 8601."""
        return asdict(self) | {"began": iso(self.began)}


class Arrival(Struct, frozen=True):
    """A file that was expected by an hour, and what became of it. Times are ms since 1970 UTC."""

    id: int
    partner: str
    agreement: str
    rule: str
    opens_at: int
    due_at: int
    missed_at: int | None
    exchange: int | None
    arrived_at: int | None
    settled_at: int | None

    @property
    def state(self) -> str:
        """expected, came, missed, came late, or settled."""
        if self.exchange is not None:
            return "came late" if self.missed_at is not None else "came"
        if self.settled_at is not None:
            return "settled"
        return "expected" if self.missed_at is None else "missed"

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times in ISO 8601."""
        names = ("opens_at", "due_at", "missed_at", "arrived_at", "settled_at")
        return asdict(self) | {name: iso(getattr(self, name)) for name in names} | {"state": self.state}


def raised_gaps(connection: Connection, limit: int = 1000, only: str = "") -> list[Gap]:
    """What people were told of and nobody explained, the newest; ``only``: of this partner."""
    wanted = select(number_gap).where(*RAISED)
    if only:
        wanted = wanted.where(number_gap.c.partner == only)
    newest = wanted.order_by(number_gap.c.raised_at.desc(), number_gap.c.id.desc()).limit(limit)
    return [Gap(*row) for row in connection.execute(newest)]


def gaps_of(connection: Connection, partner: str, *, everything: bool = False) -> list[Gap]:
    """The findings about a partner's numbers that are open, told or not; or all that there ever were."""
    wanted = select(number_gap).where(number_gap.c.partner == partner)
    if not everything:
        wanted = wanted.where(number_gap.c.closed_at.is_(None))
    return [Gap(*row) for row in connection.execute(wanted.order_by(number_gap.c.id))]


def told_with(gaps: Sequence[Gap]) -> dict[int, int]:
    """Findings about groups that nobody is told of by themselves, each with the one of their missing interchange."""
    lost = {each.exchange: each.id for each in gaps if each.level == _INTERCHANGE and each.closed_at is None}
    return {
        each.id: lost[each.exchange]
        for each in gaps
        if each.level != _INTERCHANGE and each.raised_at is None and each.closed_at is None and each.exchange in lost
    }


def series_of(connection: Connection, partner: str) -> list[SeriesRow]:
    """A partner's series of numbers, each with its present epoch."""
    n, r = number_epoch.c, received_number.c
    key = ("partner", "theirs", "ours", "level")
    counts = {
        tuple(row[:-1]): row[-1]
        for row in connection.execute(
            select(*(r[name] for name in key), func.count())
            .where(r.partner == partner)
            .group_by(*(r[name] for name in key))
        )
    }
    rows = connection.execute(
        select(number_epoch).where(n.partner == partner).order_by(n.level.desc(), n.theirs, n.ours, n.epoch)
    )
    found = {tuple(getattr(row, name) for name in key): row for row in rows}
    return [
        SeriesRow(
            row.partner,
            row.theirs,
            row.ours,
            row.level,
            row.epoch,
            row.at,
            row.reason,
            row.lowest,
            row.highest,
            counts.get(name, 0),
        )
        for name, row in found.items()
    ]


def missed_arrivals(connection: Connection, limit: int = 1000, only: str = "") -> list[Arrival]:
    """Files that did not come, and that nobody put to rest; ``only``: of this partner."""
    wanted = select(arrival).where(*MISSED)
    if only:
        wanted = wanted.where(arrival.c.partner == only)
    return [Arrival(*row) for row in connection.execute(wanted.order_by(arrival.c.id.desc()).limit(limit))]


def arrivals_of(connection: Connection, partner: str, limit: int) -> Sequence[Arrival]:
    """The newest files that a partner was expected to send."""
    wanted = select(arrival).where(arrival.c.partner == partner)
    return [Arrival(*row) for row in connection.execute(wanted.order_by(arrival.c.due_at.desc()).limit(limit))]
