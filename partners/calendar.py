"""When a partner works: days, hours, holidays, in a named time zone. Pure; moments are ms since 1970 UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from msgspec import Struct

DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LONGEST_BREAK = 366  # days without a working day after which a calendar is called empty
_ONE_DAY = timedelta(days=1)


class NeverWorksError(ValueError):
    """A calendar has no working day within a year."""


class Holiday(Struct, frozen=True):
    """One day off: of a certain year, or of every year where ``year`` is 0."""

    month: int
    day: int
    year: int = 0


class Calendar(Struct, frozen=True):
    """Working days and hours. ``closes`` may be 24:00, written as midnight: the end of the day.

    A default calendar works from Monday to Friday around the clock, in UTC.
    """

    time_zone: str = "UTC"
    days: tuple[str, ...] = DAY_NAMES[:5]
    opens: time = time(0)
    closes: time = time(0)  # midnight: the end of the day
    holidays: tuple[Holiday, ...] = ()

    def works_on(self, day: date) -> bool:
        """Whether that day, in the calendar's own zone, is a working day."""
        if DAY_NAMES[day.weekday()] not in self.days:
            return False
        return not any(
            each.month == day.month and each.day == day.day and each.year in (0, day.year) for each in self.holidays
        )

    def day_of(self, moment: int) -> date:
        """The calendar's day at a moment."""
        return self._local(moment).date()

    def at(self, day: date, clock: time) -> int:
        """A time of a day as a moment. One that the change to summer time skips is taken an hour later."""
        return _moment(datetime.combine(day, clock, _zone(self.time_zone)))

    def end_of(self, day: date) -> int:
        """When work ends on that day."""
        return self.at(day + _ONE_DAY, time(0)) if self.closes == time(0) else self.at(day, self.closes)

    def next_working_day(self, after: date) -> date:
        """The first working day after that day.

        Raises:
            NeverWorksError: there is none within a year.
        """
        for number in range(1, _LONGEST_BREAK + 1):
            if self.works_on(after + number * _ONE_DAY):
                return after + number * _ONE_DAY
        raise NeverWorksError(f"no working day within a year of {after}")

    def later(self, moment: int, span: timedelta) -> int:
        """The moment ``span`` of working time later.

        Whole days of the span are working days: the same time of day so many working days on. What is left of it
        passes in working hours only.

        Raises:
            NeverWorksError: there is no working day within a year.
        """
        if span.days:
            local = self._local(moment)
            day = local.date()
            for _ in range(span.days):
                day = self.next_working_day(day)
            moment = self.at(day, local.time())  # a day between that has no such time of day moves nothing
        return self._hours_later(moment, span.seconds * 1000 + span.microseconds // 1000)

    def _hours_later(self, moment: int, rest: int) -> int:
        day = self.day_of(moment)
        while True:
            if self.works_on(day):
                begin, end = max(moment, self.at(day, self.opens)), self.end_of(day)
                if begin + rest <= end:
                    return begin + rest if rest else moment
                rest -= max(0, end - begin)
            day = self.next_working_day(day)

    def _local(self, moment: int) -> datetime:
        return datetime.fromtimestamp(moment / 1000, _zone(self.time_zone))


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _moment(local: datetime) -> int:
    return int(local.astimezone(UTC).timestamp() * 1000)
