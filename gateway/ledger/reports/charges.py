"""Charges: what a VAN would have asked for the same traffic, by the tariff that the operator wrote into gateway.toml.

Amounts are computed as exact fractions and rounded once, for each partner and month, so that partners' shares come to
the month's sum. A month is one of the report's zone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import BigInteger, ColumnElement, Connection, Select, case, func, or_, select

from gateway.errors import QueryInvalid
from gateway.ledger.literals import whole
from gateway.ledger.moments import at_zone
from gateway.ledger.reports.rows import within_window
from gateway.ledger.reports.scope import Scope, Stretch, month_of, stretches
from gateway.ledger.tables import exchange, transaction_set
from gateway.settings import TariffSettings

NO_TARIFF = TariffSettings(currency="")  # how kilocharacters are counted where nobody wrote one


class Charge(Struct, frozen=True):
    """One partner in one month. Amounts are None where there is no tariff.

    Kilocharacters are as the tariff counts them (rounded up, at least a minimum), with their exact fraction.
    """

    month: str  # 2026-10
    partner: str
    interchanges_in: int
    interchanges_out: int
    kilocharacters_in: Decimal
    kilocharacters_out: Decimal
    traffic: Decimal | None = None
    mailbox_fee: Decimal | None = None

    @property
    def total(self) -> Decimal | None:
        """Traffic and mailbox fee."""
        return None if self.traffic is None or self.mailbox_fee is None else self.traffic + self.mailbox_fee

    def as_dict(self) -> dict[str, Any]:
        """For JSON: numbers as text, so that none of them loses a place."""
        told = {
            "month": self.month,
            "partner": self.partner,
            "interchanges_in": self.interchanges_in,
            "interchanges_out": self.interchanges_out,
            "kilocharacters_in": written(self.kilocharacters_in),
            "kilocharacters_out": written(self.kilocharacters_out),
        }
        amounts = {"traffic": self.traffic, "mailbox_fee": self.mailbox_fee, "total": self.total}
        return told | {name: None if amount is None else str(amount) for name, amount in amounts.items()}


class MonthCharges(Struct, frozen=True):
    """All partners with traffic in one month. The average prices say what a kilocharacter cost, tiers included.

    Where one partner was asked for there is no monthly fee, which is everybody's, and so no total.
    """

    month: str
    partners: tuple[Charge, ...]
    monthly_fee: Decimal | None = None
    average_in: Decimal | None = None  # a kilocharacter, rounded to six places
    average_out: Decimal | None = None

    @property
    def total(self) -> Decimal | None:
        """All partners and the monthly fee."""
        if self.monthly_fee is None:
            return None
        return sum((each.total or Decimal(0) for each in self.partners), self.monthly_fee)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        amounts = {
            "monthly_fee": self.monthly_fee,
            "average_in": self.average_in,
            "average_out": self.average_out,
            "total": self.total,
        }
        told = {name: None if amount is None else str(amount) for name, amount in amounts.items()}
        return {"month": self.month, "partners": [each.as_dict() for each in self.partners], **told}


class Charges(Struct, frozen=True):
    """The months of a scope. ``currency`` is empty where there is no tariff."""

    currency: str
    months: tuple[MonthCharges, ...]

    @property
    def total(self) -> Decimal | None:
        """All months; None without amounts, and where one partner was asked for."""
        totals = [each.total for each in self.months]
        if not self.currency or None in totals:
            return None
        return sum((each for each in totals if each is not None), Decimal(0))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        total = None if self.total is None else str(self.total)
        return {"currency": self.currency or None, "months": [each.as_dict() for each in self.months], "total": total}


def charges(connection: Connection, scope: Scope, tariff: TariffSettings | None) -> Charges:
    """What a VAN would have asked in the months of a scope; of a scope's criteria only ``partner`` is looked at.

    Interchanges of known partners count: what came, and what was handed over to the SMTP host, each once. Receipts of
    mail do not. A tariff with tiers needs everybody's traffic, so all is counted whichever partner is asked for.

    Args:
        connection: within a transaction.
        scope: whole months.
        tariff: None counts kilocharacters and gives no amounts.

    Raises:
        QueryInvalid: the window is not one of whole months, or is narrowed by what a VAN does not ask.
    """
    _refuse_parts(scope)
    found = []
    for month in stretches(scope, months=True, offsets=False):
        counted = _counted(connection, month, tariff or NO_TARIFF)
        told = _amounts(month.month, counted, tariff) if tariff else _without_amounts(month.month, counted, NO_TARIFF)
        if scope.partner is not None:
            theirs = tuple(each for each in told.partners if each.partner == scope.partner)
            told = replace(told, partners=theirs, monthly_fee=None)
        found.append(told)
    return Charges(tariff.currency if tariff else "", tuple(found))


def written(number: Decimal) -> str:
    """A number without an exponent and without zeros at its end."""
    return f"{number.normalize():f}"


def _refuse_parts(scope: Scope) -> None:
    begins, ends = (at_zone(at, scope.zone) for at in (scope.since, scope.until))
    if month_of(begins, scope.zone)[0] != scope.since or month_of(ends, scope.zone)[0] != scope.until:
        raise QueryInvalid(where="since and until", reason="charges are for whole months, such as on=2026-10")
    for name in ("direction", "kind", "type", "usage"):
        if getattr(scope, name) is not None:
            raise QueryInvalid(where=name, reason="charges are for all traffic of a partner, or of all")


# ---------------------------------------------------------------- counting


class _Traffic(Struct):
    """What of one partner counts: interchanges and characters in and out, as the tariff counts them."""

    interchanges_in: int = 0
    interchanges_out: int = 0
    in_: int = 0
    out: int = 0


def _counted(connection: Connection, month: Stretch, tariff: TariffSettings) -> dict[str, _Traffic]:
    found: dict[str, _Traffic] = defaultdict(_Traffic)
    statement = _of_documents if tariff.rounding == "document" else _of_interchanges
    for row in connection.execute(statement(month, tariff)):
        traffic = found[row.partner]
        if row.direction == "in":
            traffic.interchanges_in, traffic.in_ = row.interchanges, int(row.characters)
        else:
            traffic.interchanges_out, traffic.out = row.interchanges, int(row.characters)
    return found


def _which(month: Stretch, tariff: TariffSettings) -> list[ColumnElement[bool]]:
    x = exchange.c
    kinds = ["document"] if tariff.free_acknowledgments else ["document", "acknowledgment"]
    found = [*within_window(month), x.partner != "", x.kind.in_(kinds)]
    if tariff.free_test:
        found.append(x.usage != "T")
    return [*found, or_(x.direction == "in", x.handed_over_at.is_not(None))]


def _of_interchanges(month: Stretch, tariff: TariffSettings) -> Select[Any]:
    x = exchange.c
    size = x.size if tariff.rounding == "none" else _rounded_up(x.size, whole(1), tariff)
    characters = func.sum(_at_least(size, tariff)).cast(BigInteger).label("characters")
    counted = select(x.partner, x.direction, func.count().label("interchanges"), characters)
    return counted.where(*_which(month, tariff)).group_by(x.partner, x.direction)


def _of_documents(month: Stretch, tariff: TariffSettings) -> Select[Any]:
    """Each set with its share of the interchange by segments; an interchange without sets counts as one."""
    x, s = exchange.c, transaction_set.c
    columns = (x.id, x.partner, x.direction, x.size, func.coalesce(s.segments, whole(1)).label("segments"))
    sets = select(*columns).outerjoin_from(exchange, transaction_set, s.exchange == x.id)
    each = sets.where(*_which(month, tariff)).subquery()
    part = case((each.c.segments > 0, each.c.segments), else_=whole(1))
    parts = func.sum(part).over(partition_by=each.c.id).cast(BigInteger)
    shares = select(each.c.id, each.c.partner, each.c.direction, each.c.size, part.label("part"), parts.label("parts"))
    share = shares.subquery()
    characters = _at_least(_rounded_up(share.c.size * share.c.part, share.c.parts, tariff), tariff)
    count = func.count(share.c.id.distinct()).label("interchanges")
    summed = select(
        share.c.partner, share.c.direction, count, func.sum(characters).cast(BigInteger).label("characters")
    )
    return summed.group_by(share.c.partner, share.c.direction)


def _rounded_up(size: ColumnElement[int], divisor: ColumnElement[int], tariff: TariffSettings) -> ColumnElement[int]:
    """``size / divisor`` up to whole kilocharacters, in characters."""
    kilo = whole(tariff.kilocharacter)
    return (size + divisor * kilo - whole(1)) // (divisor * kilo) * kilo


def _at_least(size: ColumnElement[int], tariff: TariffSettings) -> ColumnElement[int]:
    least = whole(tariff.minimum * tariff.kilocharacter)
    return case((size < least, least), else_=size)


# ---------------------------------------------------------------- amounts


def _without_amounts(month: str, counted: Mapping[str, _Traffic], tariff: TariffSettings) -> MonthCharges:
    return MonthCharges(month, tuple(_charge(month, key, counted[key], tariff) for key in sorted(counted)))


def _charge(month: str, partner: str, traffic: _Traffic, tariff: TariffSettings) -> Charge:
    kilo = tariff.kilocharacter
    return Charge(
        month,
        partner,
        traffic.interchanges_in,
        traffic.interchanges_out,
        Decimal(traffic.in_) / kilo,
        Decimal(traffic.out) / kilo,
    )


def _amounts(month: str, counted: Mapping[str, _Traffic], tariff: TariffSettings) -> MonthCharges:
    price_in, price_out = average_prices(
        sum(each.in_ for each in counted.values()), sum(each.out for each in counted.values()), tariff
    )
    kilo = tariff.kilocharacter
    keys = sorted(counted)
    exact = [(counted[key].in_ * price_in + counted[key].out * price_out) / kilo for key in keys]
    shares = shared(exact, tariff.decimals)
    mailbox_fee, monthly_fee = (
        rounded(Fraction(each), tariff.decimals) for each in (tariff.mailbox_fee, tariff.monthly_fee)
    )
    told = _without_amounts(month, counted, tariff)
    partners = [
        replace(each, traffic=amount, mailbox_fee=mailbox_fee)
        for each, amount in zip(told.partners, shares, strict=True)
    ]
    return MonthCharges(month, tuple(partners), monthly_fee, rounded(price_in, 6), rounded(price_out, 6))


def average_prices(in_: int, out: int, tariff: TariffSettings) -> tuple[Fraction, Fraction]:
    """What a kilocharacter in and out costs on average in a month that has so many characters, exactly.

    Each tier is taken to hold both directions as the month as a whole does.
    """
    prices = [(0, tariff.per_kilocharacter_in, tariff.per_kilocharacter_out)]
    prices += [(each.start, each.price_in, each.price_out) for each in tariff.tiers]
    volume = Fraction(in_ + out, tariff.kilocharacter)
    if not volume:
        return Fraction(prices[0][1]), Fraction(prices[0][2])
    cost_in = cost_out = Fraction(0)
    ends = [Fraction(start) for start, _, _ in prices[1:]] + [volume]
    for (start, price_in, price_out), end in zip(prices, ends, strict=True):
        held = max(Fraction(0), min(end, volume) - start)
        cost_in += held * Fraction(price_in)
        cost_out += held * Fraction(price_out)
    return cost_in / volume, cost_out / volume


def shared(exact: Sequence[Fraction], decimals: int) -> list[Decimal]:
    """Amounts rounded so that they come to their rounded sum: those that lose most by rounding down get the rest."""
    unit = 10**decimals
    scaled = [each * unit for each in exact]
    low = [each.numerator // each.denominator for each in scaled]
    left = _half_up(sum(scaled, Fraction(0))) - sum(low)
    order = sorted(range(len(exact)), key=lambda place: (low[place] - scaled[place], place))
    for place in order[:left]:
        low[place] += 1
    return [_money(each, decimals) for each in low]


def rounded(amount: Fraction, decimals: int) -> Decimal:
    """An amount to so many places, halves up."""
    return _money(_half_up(amount * 10**decimals), decimals)


def _half_up(number: Fraction) -> int:
    return (2 * number.numerator + number.denominator) // (2 * number.denominator)


def _money(units: int, decimals: int) -> Decimal:
    return Decimal(units).scaleb(-decimals)
