"""Moments and spans as people write them, in the local or a named time zone, to and from ledger time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

Span = tuple[datetime, datetime]  # start (included), end (excluded); equal for a single moment

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d{1,6})([smhdw])")
_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})")
_WEEK = re.compile(r"(\d{4})-?w(\d{2})(?:-?(\d))?")  # ISO 8601; with the number of a day it is that day
_DAY = timedelta(days=1)
_MINUTE = 60_000  # ms

EXAMPLES = "2026-11-22, 2026-11, 2026-W47, 2026-11-22T02:00, today, yesterday, 7d, 12h"


def parse_span(written: str, now: datetime, zone: tzinfo | None = None) -> Span:
    """The span of time that ``written`` names; ``now`` is aware, ``zone`` None means the local zone.

    ``2026-11-22``, ``20261122``, ``2026-11``, ``2026``, ``2026-W47``, ``2026-W47-7``, ``today`` and ``yesterday`` are
    spans; ``7d``, ``12h``, ``now`` and ISO 8601 timestamps are moments. A time of day that
    the clock shows twice, or leaves out, on the day when it is set is both moments and what lies between.

    Raises:
        ValueError: it names no time.
    """
    word = written.strip().lower()
    ago = _AGO.fullmatch(word)
    try:
        if word == "now":
            return now, now
        if ago:
            moment = now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            return moment, moment
        if word in {"today", "yesterday"}:
            day = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
            day -= _DAY if word == "yesterday" else timedelta()
            return _aware(day, zone), _aware(day + _DAY, zone)
        span = _without_time(word)
        if span is not None:
            return _aware(span[0], zone), _aware(span[1], zone)
        named = datetime.fromisoformat(written.strip())
        moments = sorted((_aware(named.replace(fold=fold), zone) for fold in (0, 1)), key=datetime.timestamp)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"it is no time; write for example {EXAMPLES}") from None
    return moments[0], moments[1]


def milliseconds(moment: datetime) -> int:
    """Ledger time: milliseconds since 1970 UTC."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def iso(at: int | None, zone: tzinfo | None = None) -> str | None:
    """Ledger time as ISO 8601 with milliseconds and offset; None stays None."""
    return None if at is None else at_zone(at, zone).isoformat(timespec="milliseconds")


def spoken(at: int, zone: tzinfo | None = None) -> str:
    """Ledger time for people: ``22 Nov 2026 02:00:13`` in the local or the named zone."""
    moment = at_zone(at, zone)
    month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[moment.month - 1]
    return f"{moment.day:2d} {month} {moment:%Y %H:%M:%S}"


def at_zone(at: int, zone: tzinfo | None) -> datetime:
    """Ledger time as an aware datetime in the local or the named zone."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)).astimezone(zone)


def duration(milliseconds_long: int) -> str:
    """A length of time in its two largest units: ``2 d 3 h``, ``14 min``, ``5 s``."""
    left = abs(milliseconds_long) // 1000
    parts = []
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, seconds)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def roughly(milliseconds_long: int) -> str:
    """A length of time like ``duration``, without the seconds of what is longer than a minute."""
    length = abs(milliseconds_long)
    return duration(length if length < _MINUTE else length - length % _MINUTE)


def _without_time(word: str) -> Span | None:
    """The days, without a zone, that a date stands for; None where it is none."""
    date = _DATE.fullmatch(word) or _COMPACT.fullmatch(word)
    if date:
        return _calendar(*(int(part) if part else None for part in date.groups()))
    week = _WEEK.fullmatch(word)
    if week is None:
        return None
    start = datetime.fromisocalendar(int(week[1]), int(week[2]), int(week[3] or 1))
    return start, start + (_DAY if week[3] else 7 * _DAY)


def _calendar(year: int | None, month: int | None, day: int | None) -> tuple[datetime, datetime]:
    start = datetime(year or 0, month or 1, day or 1)  # noqa: DTZ001 - the zone is given afterwards
    if day:
        return start, start + _DAY
    if month:
        return start, (start.replace(day=28) + timedelta(days=4)).replace(day=1)
    return start, start.replace(year=start.year + 1)


def _aware(moment: datetime, zone: tzinfo | None) -> datetime:
    if moment.tzinfo is not None:
        return moment
    # astimezone() of a naive time asks the system for the local offset of that very day.
    return moment.replace(tzinfo=zone) if zone is not None else moment.astimezone()
