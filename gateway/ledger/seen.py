"""Which transaction sets and partners there was traffic with lately: as the daily counts tell, however much it was."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from gateway.ledger.tables import daily_count

_MONTHS = 2  # before the newest one


def types_seen(connection: Connection) -> list[str]:
    """The transaction sets of the last months with traffic, by number."""
    d = daily_count.c
    wanted = select(d.type).where(d.month >= _first(connection), d.type != "").distinct()
    return sorted({each for types in connection.execute(wanted).scalars() for each in types.split()})


def partners_seen(connection: Connection, most: int) -> list[str]:
    """The partners of the last months with traffic, at most ``most``: those with the most of it, by key."""
    d = daily_count.c
    total = func.sum(d.interchanges)
    wanted = select(d.partner).where(d.month >= _first(connection), d.direction == "", d.partner != "")
    found = connection.execute(wanted.group_by(d.partner).order_by(total.desc(), d.partner).limit(most)).scalars()
    return sorted(found)


def _first(connection: Connection) -> int:
    newest = connection.execute(select(func.max(daily_count.c.month))).scalar()
    return (newest or 0) - _MONTHS
