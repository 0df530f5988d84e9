"""Deadlines pass while a partner works, in its own time zone."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partners.calendar import DAY_NAMES, Calendar, Holiday, NeverWorksError

OFFICE = Calendar("America/New_York", DAY_NAMES[:5], time(9), time(17), (Holiday(12, 25), Holiday(11, 26, 2026)))
HOUR = timedelta(hours=1)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("start", "span", "end"),
    [
        ("2026-11-23T10:00-05:00", 2 * HOUR, "2026-11-23T12:00-05:00"),
        ("2026-11-23T16:00-05:00", 2 * HOUR, "2026-11-24T10:00-05:00"),  # over night
        ("2026-11-20T16:00-05:00", 2 * HOUR, "2026-11-23T10:00-05:00"),  # over the week-end
        ("2026-11-25T16:00-05:00", 2 * HOUR, "2026-11-27T10:00-05:00"),  # over a holiday of that year
        ("2026-11-22T03:00-05:00", HOUR, "2026-11-23T10:00-05:00"),  # from a Sunday
        ("2026-11-23T03:00-05:00", HOUR, "2026-11-23T10:00-05:00"),  # before the office opens
        ("2026-11-23T09:00-05:00", 8 * HOUR, "2026-11-23T17:00-05:00"),  # to the last minute
        ("2026-11-23T10:00-05:00", timedelta(days=1), "2026-11-24T10:00-05:00"),
        ("2026-11-20T10:00-05:00", timedelta(days=2), "2026-11-24T10:00-05:00"),
        ("2026-12-24T10:00-05:00", timedelta(days=1, hours=7), "2026-12-28T17:00-05:00"),  # every year's holiday
        ("2026-10-30T16:30-04:00", HOUR, "2026-11-02T09:30-05:00"),  # the end of summer time lies between
    ],
)
def test_a_deadline_passes_in_working_time_only(start, span, end):
    assert OFFICE.later(ms(start), span) == ms(end)


def test_without_hours_a_working_day_is_a_whole_day():
    weekdays = Calendar()
    assert weekdays.later(ms("2026-11-20T23:00+00:00"), 2 * HOUR) == ms("2026-11-23T01:00+00:00")
    assert weekdays.end_of(date(2026, 11, 20)) == ms("2026-11-21T00:00+00:00")


def test_a_calendar_without_working_days_is_called_so():
    with pytest.raises(NeverWorksError):
        Calendar(days=()).later(ms("2026-11-20T10:00+00:00"), HOUR)


def test_a_time_of_day_that_summer_time_skips_is_the_moment_after():
    assert OFFICE.at(date(2026, 3, 8), time(2, 30)) == ms("2026-03-08T03:30-04:00")


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-03-07T02:30-05:00", "2026-03-09T02:30-04:00"),  # 02:30 does not exist on the day between
        ("2026-10-31T01:30-04:00", "2026-11-02T01:30-05:00"),  # 01:30 comes twice on it
    ],
)
def test_whole_days_keep_the_time_of_day_across_a_change_of_the_clocks(start, end):
    always = Calendar("America/New_York", DAY_NAMES)
    assert always.later(ms(start), timedelta(days=2)) == ms(end)


moments = st.integers(ms("2020-01-01T00:00+00:00"), ms("2035-01-01T00:00+00:00"))
hours = st.timedeltas(timedelta(0), timedelta(hours=23))
days = st.integers(0, 20).map(timedelta)


@given(moments, st.one_of(st.tuples(hours, hours), st.tuples(days, days)))
def test_a_longer_span_never_ends_earlier_and_time_never_runs_back(moment, both):
    short, long = sorted(both)
    assert moment <= OFFICE.later(moment, short) <= OFFICE.later(moment, long)


@given(moments, st.timedeltas(timedelta(minutes=1), timedelta(hours=23)))
def test_a_deadline_of_hours_lies_in_working_hours(moment, span):
    end = datetime.fromtimestamp(OFFICE.later(moment, span) / 1000, UTC)
    day = OFFICE.day_of(int(end.timestamp() * 1000))
    assert OFFICE.works_on(day)
    assert OFFICE.at(day, time(9)) < end.timestamp() * 1000 <= OFFICE.end_of(day)
