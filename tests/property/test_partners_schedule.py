"""The next hour at which a file is expected: later, on a day of the rule, and none left out between."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from partners.calendar import DAY_NAMES, Calendar, Holiday
from partners.model import Expected
from partners.schedule import next_slot, rule

ZONES = ["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana"]
clocks = st.builds(time, st.integers(0, 23), st.integers(0, 59))
days = st.lists(st.sampled_from(DAY_NAMES), min_size=1, max_size=7, unique=True).map(tuple)
calendars = st.builds(
    Calendar,
    st.sampled_from(ZONES),
    days,
    holidays=st.lists(st.builds(Holiday, st.integers(1, 12), st.integers(1, 28)), max_size=5).map(tuple),
)
rules = st.builds(Expected, st.just(("850",)), clocks, st.just(()) | days, st.none() | clocks)
moments = st.integers(0, 4_000_000_000_000)


@settings(max_examples=300, deadline=None)
@given(rules, calendars, moments)
def test_the_next_slot_is_the_first_that_is_due_later(expected, calendar, after):
    slot = next_slot(expected, calendar, after)
    local = datetime.fromtimestamp(slot.due_at / 1000, ZoneInfo(calendar.time_zone))
    assert slot.opens_at < slot.due_at > after
    assert slot.due_at - slot.opens_at <= 26 * 3_600_000  # a day, or one on which clocks go back
    assert DAY_NAMES[local.weekday()] in (expected.days or calendar.days)
    assert not any((each.month, each.day) == (local.month, local.day) for each in calendar.holidays)
    # What is left out between is no day of the rule.
    day = datetime.fromtimestamp(after / 1000, UTC).date() + timedelta(days=2)
    while day < local.date():
        named = DAY_NAMES[day.weekday()] in (expected.days or calendar.days)
        assert not named or any((each.month, each.day) == (day.month, day.day) for each in calendar.holidays)
        day += timedelta(days=1)


@settings(max_examples=100, deadline=None)
@given(rules, calendars, moments)
def test_one_slot_after_the_other_never_stands_still(expected, calendar, after):
    found = [next_slot(expected, calendar, after)]
    for _ in range(5):
        found.append(next_slot(expected, calendar, found[-1].due_at))
    dues = [each.due_at for each in found]
    assert dues == sorted(set(dues))


@given(rules)
def test_a_rule_has_a_name_that_tells_all_of_it(expected):
    assert rule(expected).startswith(f"850 by {expected.by:%H:%M} on ")
    assert (expected.opens is None) is (", from " not in rule(expected))
