"""The acknowledgments that partners owe us."""

from __future__ import annotations

import time
from typing import Any

from msgspec import Struct
from sqlalchemy import Engine, select

from gateway.ledger.database import reading
from gateway.ledger.moments import iso, roughly
from gateway.ledger.tables import exchange, expectation
from gateway.values import asdict


class Awaited(Struct, frozen=True):
    """One acknowledgment (TA1, 997, 999 or any functional one) of one exchange; ``left`` is negative when overdue.

    ``due_at`` and ``left`` (ms) are None while the exchange is not handed over: the time does not run yet. ``urgent``:
    it was called overdue before, and its time has passed again.
    """

    partner: str
    exchange: int
    kind: str
    types: str
    control_number: str
    state: str
    handed_over_at: int | None
    due_at: int | None
    left: int | None
    urgent: bool = False
    agreement: str = ""
    versions: str = ""  # GS08 of its groups, with blanks between

    @property
    def overdue(self) -> bool:
        """Whether its time is over."""
        return self.left is not None and self.left <= 0

    @property
    def how_long(self) -> str:
        """``in 3 h 5 min``, ``2 d 1 h late``, or that the time does not run yet."""
        if self.left is None:
            return "not handed over yet"
        if not self.overdue:
            return f"in {roughly(self.left)}"
        return f"{roughly(self.left)} late{', urgent' * self.urgent}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times in ISO 8601, ``left`` in milliseconds."""
        times = {"handed_over_at": iso(self.handed_over_at), "due_at": iso(self.due_at)}
        return asdict(self) | times | {"overdue": self.overdue}


def awaited(
    engine: Engine,
    *,
    partner: str = "",
    only_overdue: bool = False,
    now: int | None = None,
    within: tuple[int | None, int | None] | None = None,
    limit: int | None = None,
) -> list[Awaited]:
    """What is awaited, the longest due first, what is not handed over yet at the end.

    Args:
        engine: the ledger.
        partner: only of this one.
        only_overdue: only what did not come in time.
        now: the moment (ms) that this is measured against; the clock's where None.
        within: only what is due from the first moment (included) until the second one; None there: no end.
        limit: at most so many.

    Raises:
        DatabaseUnavailable: with the reason.
    """
    moment = int(time.time() * 1000) if now is None else now
    e, x = expectation.c, exchange.c
    columns = (e.partner, e.exchange, e.kind, x.types, x.control_number, x.state, x.handed_over_at, e.due_at)
    statement = select(*columns, e.escalated_at, x.agreement, x.versions).join(exchange, x.id == e.exchange)
    if partner:
        statement = statement.where(e.partner == partner)
    if only_overdue:
        statement = statement.where(e.due_at <= moment)
    if within is not None:
        since, until = within
        statement = statement.where(*([e.due_at >= since] if since is not None else []))
        statement = statement.where(*([e.due_at < until] if until is not None else []))
    # NULL sorts first on one database and last on the other: ask for it.
    order = (e.due_at, e.exchange, e.kind)
    statement = statement.order_by(*order if within is not None else (e.due_at.is_(None), *order)).limit(limit)
    with reading(engine) as connection:
        rows = connection.execute(statement).mappings().all()
    return [
        Awaited(
            left=None if row["due_at"] is None else row["due_at"] - moment,
            urgent=row["escalated_at"] is not None,
            **{name: value for name, value in row.items() if name != "escalated_at"},
        )
        for row in rows
    ]
