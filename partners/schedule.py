"""When files are expected: the next hour of a rule, by the partner's calendar. Pure; moments are ms since 1970 UTC."""

from __future__ import annotations

from datetime import date, timedelta

from msgspec import Struct
from msgspec.structs import replace

from partners.calendar import Calendar
from partners.model import Expected
from partners.profile_times import clock_text

_HALF_A_DAY = timedelta(hours=12)
_ONE_DAY = timedelta(days=1)


class Slot(Struct, frozen=True):
    """One time at which a file is expected: what comes from ``opens_at`` on counts, by ``due_at``."""

    opens_at: int
    due_at: int


def rule(expected: Expected) -> str:
    """The rule in words, which name it in the ledger: ``850 by 02:00 on working days``."""
    sets = "any document" if expected.sets == ("*",) else " or ".join(expected.sets)
    days = ", ".join(expected.days) or "working days"
    opens = f", from {clock_text(expected.opens)}" if expected.opens is not None else ""
    return f"{sets} by {clock_text(expected.by)} on {days}{opens}"


def next_slot(expected: Expected, calendar: Calendar, after: int) -> Slot:
    """The first slot that is due later than the moment ``after``.

    Raises:
        NeverWorksError: there is none within a year.
    """
    days = replace(calendar, days=expected.days) if expected.days else calendar
    day = days.day_of(after) - _ONE_DAY
    while True:
        day = days.next_working_day(day)
        if calendar.at(day, expected.by) > after:
            return Slot(_opens_at(expected, calendar, day), calendar.at(day, expected.by))


def _opens_at(expected: Expected, calendar: Calendar, day: date) -> int:
    if expected.opens is None:
        return calendar.at(day, expected.by) - int(_HALF_A_DAY.total_seconds() * 1000)
    return calendar.at(day if expected.opens < expected.by else day - _ONE_DAY, expected.opens)
