"""What partners have acknowledged, and whether in time."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from sqlalchemy import Engine, select

from gateway.ledger.database import reading
from gateway.ledger.moments import duration, iso
from gateway.ledger.tables import exchange
from gateway.values import asdict


class Answered(Struct, frozen=True):
    """One exchange of ours on all of which the partner has spoken. Times are ms since 1970 UTC.

    ``due_at`` is None where no time was agreed.
    """

    partner: str
    exchange: int
    types: str
    control_number: str
    state: str
    handed_over_at: int | None
    due_at: int | None
    acknowledged_at: int

    @property
    def late_by(self) -> int:
        """How much too late it came, in ms; 0 where it came in time."""
        return 0 if self.due_at is None else max(0, self.acknowledged_at - self.due_at)

    @property
    def how(self) -> str:
        """``on time``, ``2 h late``, or that no time was agreed."""
        if self.due_at is None:
            return "no time was agreed"
        return f"{duration(self.late_by)} late" if self.late_by else "on time"

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times in ISO 8601, ``late_by`` in milliseconds."""
        times = {name: iso(getattr(self, name)) for name in ("handed_over_at", "due_at", "acknowledged_at")}
        return asdict(self) | times | {"late_by": self.late_by, "how": self.how}


def answered(engine: Engine, *, partner: str = "", limit: int = 200) -> list[Answered]:
    """What was acknowledged, the newest exchange first.

    Raises:
        DatabaseUnavailable: with the reason.
    """
    x = exchange.c
    columns = (x.partner, x.id, x.types, x.control_number, x.state, x.handed_over_at, x.due_at, x.acknowledged_at)
    statement = select(*columns).where(x.direction == "out", x.acknowledged_at.is_not(None))
    if partner:
        statement = statement.where(x.partner == partner)
    with reading(engine) as connection:
        rows = connection.execute(statement.order_by(x.id.desc()).limit(limit)).all()
    return [Answered(*row) for row in rows]
