"""What partners owe us: due by their calendar, overdue once, urgent once, late when it comes after all."""

from datetime import UTC, datetime

import pytest
from builders.stage import ACME, HOUR, Stage, acknowledgment, invoice, ta1

from gateway.errors import OutcomeUnknown
from gateway.flow import operate
from gateway.flow.submit import submit

OFFICE = """
[calendar]
time_zone = "America/Chicago"
opens = "08:00"
closes = "18:00"
holidays = ["2026-11-03"]
"""
DAY = 24 * HOUR


def profile(*, office: str = OFFICE, **acknowledgment: str) -> str:
    lines = "\n".join(f'{key} = "{value}"' for key, value in acknowledgment.items())
    head, first, rest = ACME.partition("\n[[agreement]]")
    return f"{head}{office}\n[acknowledgment]\n{lines}\n{first}{rest}"


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def at(stage: Stage, text: str) -> None:
    stage.now = ms(text)


def due(stage: Stage) -> str:
    (row,) = stage.rows("expectation")
    assert stage.rows("exchange")[0]["due_at"] == row["due_at"]
    return datetime.fromtimestamp(row["due_at"] / 1000, UTC).isoformat(timespec="minutes")


# 22:00 UTC on Monday the 2nd is 16:00 in Chicago; Tuesday is a holiday.
@pytest.mark.parametrize(
    ("counted", "within", "expected"),
    [
        ("always", "4h", "2026-11-03T02:00+00:00"),
        ("working", "1h", "2026-11-02T23:00+00:00"),
        ("working", "4h", "2026-11-04T16:00+00:00"),
        ("working", "1d", "2026-11-04T22:00+00:00"),
        ("working", "4d4h", "2026-11-10T16:00+00:00"),
    ],
)
def test_the_time_for_an_acknowledgment_passes_as_was_agreed(tmp_path, counted, within, expected):
    stage = Stage(tmp_path, [profile(counted=counted, within=within)])
    submit(stage.context(), "acme", invoice())
    stage.run()
    assert due(stage) == expected


def test_the_time_passes_as_agreed_also_when_the_agreement_has_another_name_by_now(tmp_path):
    """A name that is made of the sets is another one when a set is added."""
    named = profile(counted="working", within="4h")
    before = named.replace('name = "invoices"\n', "").replace('["810", "855"]', '["810"]')
    stage = Stage(tmp_path, [before])
    submit(stage.context(), "acme", invoice())
    stage.profiles[0] = before.replace('["810"]', '["810", "855"]')
    stage.run()
    assert due(stage) == "2026-11-04T16:00+00:00"


def test_the_time_begins_anew_when_a_person_says_that_it_was_sent(tmp_path):
    stage = Stage(tmp_path, [profile(counted="working", within="4h")])

    def lose_the_reply(_mail):
        raise OutcomeUnknown(host="memory")

    stage.transport.after_taking = lose_the_reply
    submit(stage.context(), "acme", invoice())
    stage.run()
    (sent,) = stage.rows("exchange")
    assert sent["due_at"] is None
    at(stage, "2026-11-04T14:00-06:00")
    operate.resolve(stage.context(), int(str(sent["id"])), sent=True, actor="anna", reason="they have it")
    assert due(stage) == "2026-11-05T00:00+00:00"


def test_a_calendar_without_working_days_holds_nothing_up(tmp_path):
    holidays = ", ".join(f'"{month:02}-{day:02}"' for month in range(1, 13) for day in range(1, 30))
    office = f'\n[calendar]\ndays = ["mon"]\nholidays = [{holidays}, "01-30", "01-31"]\n'
    stage = Stage(tmp_path, [profile(office=office, counted="working", within="400d")])
    submit(stage.context(), "acme", invoice())
    stage.run()
    assert due(stage)


def test_what_is_overdue_is_raised_once_and_urgent_once(tmp_path):
    stage = Stage(tmp_path, [profile(office="", within="24h")])
    submit(stage.context(), "acme", invoice())
    told = []
    for _ in range(6):
        stage.run()
        told.append([each for each in stage.kinds() if each in {"overdue", "escalated"}])
        stage.now += 13 * HOUR
    assert told[1:] == [[], ["overdue"], ["overdue"], ["overdue", "escalated"], ["overdue", "escalated"]]


def test_escalation_has_a_time_of_its_own(tmp_path):
    stage = Stage(tmp_path, [profile(office="", within="24h", escalate_after="2h")])
    submit(stage.context(), "acme", invoice())
    for hours in (0, 25, 1):
        stage.now += hours * HOUR
        stage.run()
    assert "escalated" not in stage.kinds()
    stage.now += 2 * HOUR
    stage.run()
    assert stage.kinds().count("escalated") == 1


def test_what_is_urgent_is_told_first(tmp_path):
    stage = Stage(tmp_path, [profile(office="", within="24h", escalate_after="2h")])
    submit(stage.context(), "acme", invoice("INV-1"))
    stage.run()
    stage.now += 25 * HOUR
    submit(stage.context(), "acme", invoice("INV-2"))
    stage.run()
    stage.now += 3 * HOUR
    stage.mail(b"no X12 at all", sender="nobody@stranger.example")
    first, *others = stage.run().attention
    assert (first.reference, first.urgent) == ("1", True)
    assert not any(each.urgent for each in others)


def test_a_late_acknowledgment_closes_what_was_overdue_and_counts_as_late(tmp_path):
    stage = Stage(tmp_path, [profile(office="", within="24h")])
    submit(stage.context(), "acme", invoice())
    stage.run()
    stage.now += 30 * HOUR
    stage.run()
    stage.now += HOUR
    stage.mail(acknowledgment(100, 1))
    assert stage.run().attention == ()
    (row,) = [row for row in stage.rows("exchange") if row["direction"] == "out"]
    assert (row["state"], row["acknowledged_at"] - row["due_at"]) == ("acknowledged", 7 * HOUR)
    assert stage.kinds().count("late") == 1
    assert stage.rows("expectation") == []


def test_an_acknowledgment_in_time_is_not_late(tmp_path):
    stage = Stage(tmp_path, [profile(office="", within="24h")])
    submit(stage.context(), "acme", invoice())
    stage.run()
    stage.now += 23 * HOUR
    stage.mail(acknowledgment(100, 1))
    stage.run()
    (row,) = [row for row in stage.rows("exchange") if row["direction"] == "out"]
    assert row["acknowledged_at"] < row["due_at"]
    assert "late" not in stage.kinds()


def test_a_late_ta1_leaves_the_exchange_waiting_for_the_rest(tmp_path):
    text = profile(office="", within="24h") + "\n[agreement.envelope]\nrequest_ta1 = true\n"
    stage = Stage(tmp_path, [text])
    submit(stage.context(), "acme", invoice())
    stage.run()
    stage.now += 25 * HOUR
    stage.run()
    assert stage.states("out") == ["overdue"]
    assert stage.kinds().count("overdue") == 2
    stage.mail(acknowledgment(100, 1))
    stage.run()
    assert stage.states("out") == ["acknowledged"]
    stage.mail(ta1(101, 1))
    stage.run()
    assert stage.kinds().count("late") == 2
    assert stage.rows("expectation") == []
