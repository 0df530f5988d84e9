"""Files that are expected by an hour: they come, come late, or do not come, whatever the calendar and the clock do."""

from datetime import UTC, datetime

import pytest
from builders.stage import ACME, HOUR, Stage, orders

from gateway.errors import NotAllowedNow, NotFound
from gateway.flow import arrivals
from gateway.ledger.missing import arrivals_of

CHICAGO = """
[calendar]
time_zone = "America/Chicago"
holidays = ["2026-11-11"]
"""


def profile(*rules: str, calendar: str = CHICAGO, status: str = "live") -> str:
    head, first, rest = ACME.partition("\n[[agreement]]")
    text = f"{head}{calendar}{first}{rest}" + "".join(f"\n[[expected]]\n{rule}\n" for rule in rules)
    return text.replace('"live"', f'"{status}"')


BY_TWO = 'sets = ["850"]\nby = "02:00"'


def at(stage: Stage, text: str, *numbers: int):
    """A batch at a moment of Chicago (in November: UTC-6), which collects these orders."""
    stage.now = int(datetime.fromisoformat(f"2026-{text}-06:00").timestamp() * 1000)
    for number in numbers:
        stage.mail(orders(number))
    return stage.run()


def states(stage: Stage) -> list[str]:
    with stage.ledger.reading() as connection:
        return [each.state for each in reversed(arrivals_of(connection, "acme", 100))]


def test_a_file_that_comes_in_time_is_told_to_nobody(tmp_path):
    stage = Stage(tmp_path, [profile(BY_TWO)])
    at(stage, "11-02T22:00", 1)
    assert states(stage) == ["came"]
    assert not at(stage, "11-03T03:00").attention
    assert states(stage) == ["came", "expected"]


def test_a_missing_file_is_raised_once_with_the_next_command(tmp_path):
    stage = Stage(tmp_path, [profile(BY_TWO)])
    at(stage, "11-02T22:00")
    (attention,) = at(stage, "11-03T03:00").attention
    assert (attention.state, attention.partner) == ("missed", "acme")
    assert attention.what == "from acme: 850 by 02:00 on working days"
    assert attention.next_command == "gateway partner expected show acme"
    at(stage, "11-03T04:00")
    assert stage.kinds().count("expected-missed") == 1


def test_what_was_taken_as_a_test_is_no_file_of_a_partner_that_went_live_since(tmp_path):
    testing = f'on_production = "accept"\n{profile(BY_TWO, status="testing")}'
    stage = Stage(tmp_path, [testing.replace("\n[[expected]]\n" + BY_TWO, "")])
    at(stage, "11-02T20:00", 1)
    stage.profiles = [profile(BY_TWO)]
    at(stage, "11-02T22:00")
    (attention,) = at(stage, "11-03T03:00").attention
    assert attention.state == "missed"


def test_a_late_file_closes_what_was_missed_and_counts_as_late(tmp_path):
    stage = Stage(tmp_path, [profile(BY_TWO)])
    at(stage, "11-02T22:00")
    at(stage, "11-03T03:00")
    assert not at(stage, "11-03T09:00", 1).attention
    assert states(stage) == ["came late", "expected"]
    assert stage.kinds().count("expected-late") == 1
    at(stage, "11-03T23:00", 2)
    assert states(stage) == ["came late", "came"]


def test_a_file_of_the_next_day_does_not_stand_for_the_missing_one(tmp_path):
    stage = Stage(tmp_path, [profile(BY_TWO)])
    at(stage, "11-02T22:00")
    at(stage, "11-03T03:00")
    at(stage, "11-03T20:00", 1, 2)
    assert states(stage) == ["missed", "came"]


def test_who_collects_once_a_night_misses_what_did_not_come(tmp_path):
    stage = Stage(tmp_path, [profile(BY_TWO)])
    at(stage, "11-01T22:00", 1, 2)
    at(stage, "11-02T22:00")
    at(stage, "11-03T22:00", 3, 4, 5)
    at(stage, "11-04T22:00", 6)
    assert states(stage) == ["came", "missed", "came", "came"]


def test_what_came_needs_nobody_to_put_it_to_rest(tmp_path):
    stage = Stage(tmp_path, [profile(BY_TWO)])
    at(stage, "11-02T22:00", 1)
    with pytest.raises(NotAllowedNow):
        arrivals.settle(stage.context(), 1, actor="anna", reason="?")


def test_nothing_is_expected_on_holidays_and_at_the_week_end(tmp_path):
    stage = Stage(tmp_path, [profile(BY_TWO)])
    for day in range(2, 17):
        at(stage, f"11-{day:02}T22:00", day)
    rows = stage.rows("arrival")
    days = [f"{datetime.fromtimestamp(row['due_at'] / 1000 - 6 * 3600, UTC):%a %d}" for row in rows]
    assert not any(each.startswith(("Sat", "Sun")) or each.endswith("11") for each in days)


@pytest.mark.parametrize(
    ("rule", "number", "expected"),
    [
        (BY_TWO + '\nagreement = "orders"', 1, ["came"]),
        ('sets = ["*"]\nby = "02:00"', 1, ["came"]),
        (BY_TWO + '\nopens = "23:00"', 1, ["expected"]),
        (BY_TWO + '\nopens = "21:00"', 1, ["came"]),
    ],
)
def test_what_counts_is_in_the_rule(tmp_path, rule, number, expected):
    stage = Stage(tmp_path, [profile(rule)])
    at(stage, "11-02T22:00", number)
    assert states(stage) == expected


def test_what_was_not_accepted_is_not_the_file(tmp_path):
    stage = Stage(tmp_path, [profile(BY_TWO)])
    stage.mailbox.deliver(
        b"From: edi@acme.example\r\nSubject: x\r\n\r\n" + orders(1).replace(b"BEG*00*SA", b"BEG*XX*QQ")
    )
    at(stage, "11-02T22:00")
    at(stage, "11-03T03:00")
    assert states(stage) == ["missed", "expected"]


def test_after_a_pause_what_is_collected_stands_for_what_was_due(tmp_path):
    stage = Stage(tmp_path, [profile(BY_TWO)])
    at(stage, "11-02T22:00", 1)
    at(stage, "11-06T08:00", 2, 3)  # nothing ran for three days; two of three files are there
    assert states(stage) == ["came", "came", "came", "missed", "expected"]


def test_after_a_long_pause_there_is_no_flood(tmp_path):
    stage = Stage(tmp_path, [profile(BY_TWO)])
    at(stage, "09-24T22:00")
    attention = at(stage, "11-02T22:00").attention
    assert len(attention) == arrivals.MOST + 1
    assert len(at(stage, "11-02T23:00").attention) == arrivals.MOST + 1


def test_a_day_off_that_is_entered_late_moves_the_next_file(tmp_path):
    stage = Stage(tmp_path, [profile(BY_TWO)])
    at(stage, "11-02T22:00")
    stage.profiles[0] = profile(BY_TWO, calendar=CHICAGO.replace('["', '["2026-11-03", "'))
    at(stage, "11-02T23:00")
    assert not at(stage, "11-03T03:00").attention
    assert len(stage.rows("arrival")) == 1


def test_a_rule_that_is_gone_expects_nothing(tmp_path):
    stage = Stage(tmp_path, [profile(BY_TWO)])
    at(stage, "11-02T22:00")
    stage.profiles[0] = profile(BY_TWO, status="suspended")
    assert not at(stage, "11-03T03:00").attention
    assert states(stage) == ["settled"]


def test_a_person_puts_a_missing_file_to_rest(tmp_path):
    stage = Stage(tmp_path, [profile(BY_TWO)])
    at(stage, "11-02T22:00")
    (attention,) = at(stage, "11-03T03:00").attention
    number = int(attention.reference[1:])
    arrivals.settle(stage.context(), number, actor="anna", reason="no orders today")
    assert not at(stage, "11-03T04:00").attention
    assert not arrivals.settle(stage.context(), number, actor="anna", reason="again").done
    with pytest.raises(NotFound):
        arrivals.settle(stage.context(), 99, actor="anna", reason="?")


def test_the_hour_is_the_partners_on_both_sides_of_a_change_of_clocks(tmp_path):
    stage = Stage(tmp_path, [profile('sets = ["850"]\nby = "06:00"\ndays = ["sat", "sun"]')])
    at(stage, "10-30T22:00")
    at(stage, "10-31T22:00")
    at(stage, "11-01T22:00")
    first, second, *_ = [row["due_at"] for row in stage.rows("arrival")]
    assert second - first == 25 * HOUR  # 1 November 2026 has 25 hours in Chicago


def test_a_calendar_without_working_days_expects_nothing(tmp_path):
    days = ", ".join(f'"{month:02}-{day:02}"' for month in range(1, 13) for day in range(1, 30))
    calendar = f'\n[calendar]\ndays = ["mon"]\nholidays = [{days}, "01-30", "01-31"]\n'
    stage = Stage(tmp_path, [profile(BY_TWO, calendar=calendar)])
    at(stage, "11-02T22:00")
    assert len(stage.rows("arrival")) <= 1
