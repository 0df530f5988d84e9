"""How it goes with each partner: when something last came and went, what is awaited, what was rejected lately."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from msgspec import Struct
from sqlalchemy import Connection, func, select, text

from gateway.ledger.daily import DAY
from gateway.ledger.daily_sums import sums
from gateway.ledger.literals import word
from gateway.ledger.search_tables import UNUSUAL_STATE
from gateway.ledger.states import ExchangeState
from gateway.ledger.tables import exchange, expectation

WINDOW = 30  # days that shares are of
_LOOKED_BACK = 90 * DAY  # ms in which the last traffic is looked for
_REFUSED = (ExchangeState.REJECTED, ExchangeState.CONFLICT, ExchangeState.REFUSED)


class Health(Struct, frozen=True):
    """Of one partner. Times are ms since 1970 UTC; None: nothing in the last 90 days, or nothing awaited.

    ``rejected`` of ``documents`` of the last 30 days were rejected, by us or by the partner; ``awaited`` are its
    acknowledgments and receipts that are not there yet, ``overdue`` those of them whose time is over.
    """

    came_at: int | None = None
    went_at: int | None = None
    awaited: int = 0
    overdue: int = 0
    oldest_due_at: int | None = None
    rejected: int = 0
    documents: int = 0

    @property
    def rejected_share(self) -> float | None:
        """The share that was rejected; None where there was nothing."""
        return min(1.0, self.rejected / self.documents) if self.documents else None


def health(connection: Connection, partners: Sequence[str], now: int) -> Mapping[str, Health]:
    """The health of these partners; each look is bounded, however much history there is."""
    awaited = _awaited(connection)
    rejected = _rejected(connection, now)
    documents = _documents(connection, now)
    found = {}
    for key in partners:
        number, overdue, oldest = awaited.get(key, (0, 0, None))
        found[key] = Health(
            last_traffic(connection, key, "in", now),
            last_traffic(connection, key, "out", now),
            number,
            overdue,
            oldest,
            rejected.get(key, 0),
            documents.get(key, 0),
        )
    return found


def last_traffic(connection: Connection, partner: str, direction: str, now: int) -> int | None:
    """When something last came from a partner, or went to it; None where that is over 90 days ago."""
    x = exchange.c
    wanted = select(x.at).where(x.partner == partner, x.at > now - _LOOKED_BACK, x.direction == direction)
    return connection.execute(wanted.order_by(x.at.desc()).limit(1)).scalar()


def _awaited(connection: Connection) -> dict[str, tuple[int, int, int | None]]:
    e = expectation.c
    wanted = select(e.partner, func.count(), func.count(e.overdue_at), func.min(e.due_at)).group_by(e.partner)
    return {row[0]: (row[1], row[2], row[3]) for row in connection.execute(wanted)}


def _rejected(connection: Connection, now: int) -> dict[str, int]:
    """Found by the index of unusual states."""
    x = exchange.c
    wanted = (
        select(x.partner, func.count())
        .where(
            text(UNUSUAL_STATE),
            x.state.in_([word(each) for each in _REFUSED]),
            x.at >= now - WINDOW * DAY,
            x.kind == word("document"),
        )
        .group_by(x.partner)
    )
    return {row[0]: row[1] for row in connection.execute(wanted)}


def _documents(connection: Connection, now: int) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for key, amounts in sums(connection, now // DAY - WINDOW, now // DAY, ("partner",), {"kind": "document"}):
        found[key[0]] += amounts[0]
    return found
