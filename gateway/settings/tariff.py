"""The [tariff] table: amounts of money, exactly as they are written, and prices that change with volume."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from gateway.settings.model import Tier
from gateway.settings.values import kind_of, quoted, text

_AMOUNT = re.compile(r"\d{1,9}(?:\.\d{1,6})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_TIER = ("from", "in", "out")
_MOST = 10**12  # kilocharacters


def amount(value: object) -> Decimal:
    """An amount of money, not negative: ``"0.12"`` or 0.12, at most six places after the point."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f'an amount such as "0.12" is wanted, not {kind_of(value)}')  # noqa: TRY004 - one class for all reasons
    written = str(value).strip()  # of a float its shortest form, which is what the file says
    if _AMOUNT.fullmatch(written) is None:
        raise ValueError(f'an amount such as "0.12" is wanted (a point, at most six places), not {quoted(value)}')
    return Decimal(written)


def currency(value: object) -> str:
    """A currency by its three letters (ISO 4217)."""
    written = text(value)
    if _CURRENCY.fullmatch(written) is None:
        raise ValueError('a currency such as "USD" or "EUR" is wanted')
    return written


def tiers(value: object) -> tuple[Tier, ...]:
    """A list of ``{ from = 10000, in = "0.08", out = "0.08" }``, each beginning above the one before."""
    if not isinstance(value, list):
        raise ValueError(f'a list of {{ from = 10000, in = "0.08", out = "0.08" }} is wanted, not {kind_of(value)}')  # noqa: TRY004
    found = tuple(_tier(place, each) for place, each in enumerate(value, 1))
    for before, after in zip((0, *(each.start for each in found)), found, strict=False):
        if after.start <= before:
            raise ValueError(f"the tier from {after.start} must begin above {before}")
    return found


def _tier(place: int, value: object) -> Tier:
    if not isinstance(value, Mapping) or sorted(value) != sorted(_TIER):
        raise ValueError(f"tier {place}: a table with from, in and out is wanted, and nothing else")
    start = value["from"]
    if isinstance(start, bool) or not isinstance(start, int) or not 0 < start <= _MOST:
        raise ValueError(f"tier {place}: from is a number of kilocharacters above 0, not {quoted(start)}")
    try:
        return Tier(start, amount(value["in"]), amount(value["out"]))
    except ValueError as problem:
        raise ValueError(f"tier {place}: {problem}") from None
