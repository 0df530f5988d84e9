"""A partner's monthly statement as values: traffic, quality, times, errors, open items, exchanges and charges."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, func, select

from gateway.errors import QueryInvalid
from gateway.ledger.literals import whole, word
from gateway.ledger.moments import at_zone, iso
from gateway.ledger.needing import meaning_of, need_of, those_in_need
from gateway.ledger.reports.answers import Answers, answers
from gateway.ledger.reports.charges import Charge, Charges, charges
from gateway.ledger.reports.mistakes import Mistake, mistakes
from gateway.ledger.reports.quality import Quality, quality
from gateway.ledger.reports.scope import Scope, month_of
from gateway.ledger.reports.volumes import Volume, Volumes, volumes
from gateway.ledger.tables import exchange
from gateway.settings import TariffSettings
from gateway.values import asdict

MOST_LISTED = 200  # exchanges
MOST_OPEN = 50
_PARTS = ("handed_over_at", "due_at", "acknowledged_at")


class Listed(Struct, frozen=True):
    """One document's exchange, as a statement lists it; times in ms since 1970 UTC."""

    id: int
    at: int
    direction: str
    types: str
    control_number: str
    usage: str
    size: int
    state: str
    verdict: str
    handed_over_at: int | None
    due_at: int | None
    acknowledged_at: int | None
    fault_code: str

    @property
    def need(self) -> str:
        """Why it needs a person, in a word or two, as ``gateway status`` says it."""
        return need_of(self.state, self.verdict, self.fault_code)

    @property
    def meaning(self) -> str:
        """The same in a sentence."""
        return meaning_of(self.need, self.state)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times in ISO 8601."""
        return asdict(self) | {name: iso(getattr(self, name)) for name in ("at", *_PARTS)}


class Statement(Struct, frozen=True):
    """One partner's month. ``as_of`` (ms) is when it was asked for: what came later is not in it.

    ``open`` are exchanges up to the month's end that need a person, the newest first, ``open_count`` how many there
    are in all; ``listed`` the month's documents in the order of their time, ``documents`` how many there are in all.
    """

    our_name: str
    partner: str
    name: str
    scope: Scope
    as_of: int
    by_day: Volumes  # day, direction, type
    by_type: Volumes  # direction, kind, type
    quality: tuple[Quality, ...]  # by direction
    answers: tuple[Answers, ...]  # by direction and type
    all_answers: tuple[Answers, ...]  # by direction
    mistakes: tuple[Mistake, ...]
    open: tuple[Listed, ...]
    open_count: int
    listed: tuple[Listed, ...]
    documents: int
    currency: str
    charge: Charge | None  # None: nothing that a VAN would have carried, or no charges were asked for

    @property
    def month(self) -> str:
        """As 2026-10."""
        return f"{at_zone(self.scope.since, self.scope.zone):%Y-%m}"

    def traffic(self, direction: str) -> Volume:
        """All that came (in) or went (out)."""
        found = [each for each in self.by_type.rows if each.direction == direction]
        interchanges, sets = sum(each.interchanges for each in found), sum(each.sets for each in found)
        return Volume(interchanges, sets, sum(each.bytes for each in found))

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the same numbers as the pages."""
        return {
            "our_name": self.our_name,
            "partner": self.partner,
            "name": self.name,
            "month": self.month,
            "as_of": iso(self.as_of, self.scope.zone),
            **self.scope.as_dict(),
            "by_day": [each.as_dict() for each in self.by_day.rows],
            "by_type": [each.as_dict() for each in self.by_type.rows],
            "quality": [each.as_dict() for each in self.quality],
            "acknowledgments": [each.as_dict() for each in self.answers],
            "mistakes": [each.as_dict() for each in self.mistakes],
            "open": [each.as_dict() for each in self.open],
            "open_count": self.open_count,
            "exchanges": [each.as_dict() for each in self.listed],
            "documents": self.documents,
            "currency": self.currency or None,
            "charge": None if self.charge is None else self.charge.as_dict(),
        }


def statement(
    connection: Connection,
    scope: Scope,
    now: int,
    *,
    name: str = "",
    our_name: str = "",
    charged: Charges | None = None,
    most: int = MOST_LISTED,
) -> Statement:
    """The statement of one partner for one month.

    Args:
        connection: a transaction that sees one moment.
        scope: a month, with the partner's key and nothing else.
        now: the moment (ms) that overdue is measured against.
        name: the partner's name; its key where it is empty.
        our_name: our company.
        charged: what a VAN would have asked in that month (``charges``), of all partners or this one; None: left out.
        most: how many exchanges are listed.

    Raises:
        QueryInvalid: the scope is not one partner's month.
    """
    if scope.partner is None or month_of(at_zone(scope.since, scope.zone), scope.zone) != (scope.since, scope.until):
        raise QueryInvalid(where="statement", reason="it is of one partner and one month, such as 2026-10")
    found = [each for month in (charged.months if charged else ()) for each in month.partners]
    return Statement(
        our_name,
        scope.partner,
        name or scope.partner,
        scope,
        now,
        volumes(connection, scope, ["day", "direction", "type"]),
        volumes(connection, scope, ["direction", "kind", "type"]),
        quality(connection, scope, ["direction"]),
        answers(connection, scope, now, ["direction", "type"]),
        answers(connection, scope, now, ["direction"]),
        mistakes(connection, scope),
        _listed(connection, _open(scope), MOST_OPEN, newest=True),
        _count(connection, _open(scope)),
        _listed(connection, _documents(scope), most, newest=False),
        _count(connection, _documents(scope)),
        charged.currency if charged else "",
        next((each for each in found if each.partner == scope.partner), None),
    )


def charges_for_statements(connection: Connection, scope: Scope, tariff: TariffSettings | None) -> Charges | None:
    """What ``statement`` is given as ``charged``: counted once for all partners; None where there is no tariff."""
    everybody = Scope(scope.since, scope.until, scope.zone)
    return charges(connection, everybody, tariff) if tariff is not None else None


def partners_with_traffic(connection: Connection, scope: Scope) -> list[str]:
    """The keys of partners that sent or got anything in a window."""
    return [each.partner for each in volumes(connection, scope, ["partner"]).rows if each.partner]


def _documents(scope: Scope) -> list[ColumnElement[bool]]:
    x = exchange.c
    return [x.partner == scope.partner, x.at >= scope.since, x.at < scope.until, x.kind == "document"]


def _open(scope: Scope) -> list[ColumnElement[bool]]:
    x = exchange.c
    # By the indexes of those that need a person, and by them alone: a partner's exchanges may be a million.
    mine = x.partner.concat(word("")) == scope.partner
    return [x.id.in_(those_in_need()), mine, x.at.op("+")(whole(0)) < scope.until]


def _listed(connection: Connection, which: list[ColumnElement[bool]], most: int, *, newest: bool) -> tuple[Listed, ...]:
    x = exchange.c
    names = (
        "id",
        "at",
        "direction",
        "types",
        "control_number",
        "usage",
        "size",
        "state",
        "verdict",
        *_PARTS,
        "fault_code",
    )
    order = (x.at.desc(), x.id.desc()) if newest else (x.at, x.id)
    rows = connection.execute(select(*(x[name] for name in names)).where(*which).order_by(*order).limit(most))
    return tuple(Listed(*row) for row in rows)


def _count(connection: Connection, which: list[ColumnElement[bool]]) -> int:
    return int(connection.execute(select(func.count()).select_from(exchange).where(*which)).scalar_one())
