"""The [retention] table: how long what is kept, in years too. Profiles write the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

from gateway.settings.model import Kept
from gateway.settings.values import kind_of, parse_duration, quoted, say_duration

YEAR = timedelta(days=366)  # never shorter than a year of the calendar: nothing goes a day early
LONGEST = 100 * YEAR
EXAMPLES = '"10y", "2y", "730d"'

_YEARS = re.compile(r"(\d{1,3})y(.*)")
_TYPE = re.compile(r"[0-9A-Z]{3}")


def parse_kept(written: str) -> timedelta | None:
    """The time that ``10y``, ``730d`` or ``1y180d`` stands for, a day at least; None where it is none."""
    years = _YEARS.fullmatch(written.strip())
    rest = parse_duration(years[2] if years else written) if not years or years[2] else timedelta()
    if rest is None:
        return None
    found = rest + (int(years[1]) * YEAR if years else timedelta())
    return found if timedelta(days=1) <= found <= LONGEST else None


def say_kept(span: timedelta) -> str:
    """A time as ``parse_kept`` reads it: ``10y``, ``730d``."""
    return say_duration(span) if span % YEAR else f"{span // YEAR}y"


def kept(value: object) -> timedelta:
    """How long something is kept: ``10y`` or any time span from a day to 100 years."""
    found = parse_kept(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"a time such as {EXAMPLES} is wanted, from 1d to 100y, not {quoted(value)}")
    return found


def types(value: object) -> tuple[tuple[str, Kept], ...]:
    """``837 = { payload = "2y" }`` and so on: transaction sets (ST01, or TA1), each with what differs for it."""
    if not isinstance(value, dict):
        raise ValueError(f'a table such as 837 = {{ payload = "2y" }} is wanted, not {kind_of(value)}')  # noqa: TRY004
    return tuple((_type(name), _kept(name, each)) for name, each in value.items())


def _type(name: str) -> str:
    if _TYPE.fullmatch(name) is None:
        raise ValueError(f"{quoted(name)} is no transaction set; write for example 837, or TA1")
    return name


def _kept(name: str, value: object) -> Kept:
    if not isinstance(value, Mapping) or not value or not value.keys() <= {"ledger", "payload"}:
        raise ValueError(f'{name} is a table with ledger, payload or both, such as {{ payload = "2y" }}')
    return Kept(**{key: kept(each) for key, each in value.items()})
