"""How a profile writes times: days, hours, holidays, time zones, and files that are expected by an hour."""

from __future__ import annotations

import re
from datetime import date, time
from zoneinfo import ZoneInfo

from partners.calendar import DAY_NAMES, Holiday
from partners.profile_values import list_of, one_of, read_text, show, some

WORKING = "working"

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_HOLIDAY = re.compile(r"(?:([0-9]{4})-)?([0-9]{2})-([0-9]{2})")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*")
_LEAP = 2000  # a year with 29 February


def read_time_zone(value: object) -> str:
    """A name of the IANA time zone database."""
    name = read_text(value)
    try:
        if _ZONE.fullmatch(name):
            ZoneInfo(name)
            return name
    except (ValueError, OSError, LookupError):
        pass
    raise ValueError(f"{show(name)} is not a time zone; write its IANA name, for example America/Chicago or UTC")


def read_clock(value: object) -> time:
    """``02:00``: hours and minutes of a day."""
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'{show(value)} is not a time of day; write hours and minutes in quotes, for example "02:00"')
    return time(int(match.group(1)), int(match.group(2)))


def read_closing(value: object) -> time:
    """A time of day, or ``24:00``: the end of the day, as midnight."""
    return time(0) if value == "24:00" else read_clock(value)


def read_holiday(value: object) -> Holiday:
    """``12-25``, of every year, or ``2026-12-24``, of that year."""
    match = _HOLIDAY.fullmatch(value) if isinstance(value, str) else None
    try:
        if match is not None:
            year, month, day = int(match.group(1) or 0), int(match.group(2)), int(match.group(3))
            date(year or _LEAP, month, day)
            return Holiday(month, day, year)
    except ValueError:
        pass
    raise ValueError(f'{show(value)} is not a holiday; write "12-25" for every year or "2026-12-24" for that one')


read_days = some(list_of(one_of(*DAY_NAMES)))


def read_expected_days(value: object) -> tuple[str, ...]:
    """``working``: the calendar's days, given as none; or a list of days of the week."""
    return () if value == WORKING else read_days(value)


def clock_text(clock: time) -> str:
    """A time of day as a profile writes it."""
    return f"{clock:%H:%M}"


def holiday_text(holiday: Holiday) -> str:
    """A holiday as a profile writes it."""
    year = f"{holiday.year:04}-" if holiday.year else ""
    return f"{year}{holiday.month:02}-{holiday.day:02}"
