"""What partners said of what we sent: every TA1, 997 and 999, and how each relates to what was said before."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from sqlalchemy import Engine, func, select

from gateway.ledger.at_rest import opened_sentences
from gateway.ledger.database import reading
from gateway.ledger.moments import iso
from gateway.ledger.tables import acknowledgment, exchange
from gateway.values import asdict

RELATIONS = ("matched", "duplicate", "contradicting", "orphan", "forged")
ODD = RELATIONS[1:]


class Statement(Struct, frozen=True):
    """One acknowledgment of an interchange or group; ``carrier`` is the exchange that it came in.

    ``exchange`` is ours that it answers, None for an orphan or a forged one. ``names`` are the numbers it names.
    """

    at: int
    partner: str
    relation: str
    kind: str
    status: str
    names: str
    exchange: int | None
    carrier: int
    errors: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON, with the time in ISO 8601."""
        return asdict(self) | {"at": iso(self.at)}


def statements(
    engine: Engine, *, partner: str = "", relations: tuple[str, ...] = RELATIONS, limit: int = 200
) -> list[Statement]:
    """The newest first.

    Raises:
        DatabaseUnavailable: with the reason.
    """
    a, x = acknowledgment.c, exchange.c
    wanted = (
        select(a.at, x.partner, a.relation, a.kind, a.status, a.names, a.exchange, a.carrier, a.errors)
        .join(exchange, x.id == a.carrier)
        .where(a.transaction_set.is_(None))
        .order_by(a.id.desc())
        .limit(limit)
    )
    if set(relations) != set(RELATIONS):
        wanted = wanted.where(a.relation.in_(relations))
    if "matched" not in relations:
        wanted = wanted.where(a.relation != "matched")  # the words of the index
    if partner:
        wanted = wanted.where(x.partner == partner)
    with reading(engine) as connection:
        rows = connection.execute(wanted).all()
        return [Statement(*row[:-1], opened_sentences(connection, row.errors)) for row in rows]


def odd_since(engine: Engine, moment: int) -> dict[str, int]:
    """How many acknowledgments since ``moment`` (ms since 1970 UTC) were not the first word on something of ours."""
    a = acknowledgment.c
    wanted = (
        select(a.relation, func.count().label("number"))
        .where(a.relation != "matched", a.at >= moment, a.transaction_set.is_(None))
        .group_by(a.relation)
    )
    with reading(engine) as connection:
        return {row.relation: row.number for row in connection.execute(wanted)}
