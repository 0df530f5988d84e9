"""Acknowledgments in a test (ISA15 T) never settle what went in earnest; in earnest (P) they answer both."""

from __future__ import annotations

import pytest
from builders.stage import ACME, HOUR, Stage, acknowledgment, invoice, ta1
from msgspec.structs import replace

from gateway.errors import OutcomeUnknown
from gateway.flow import operate
from gateway.flow.start_numbers import start, start_numbers
from gateway.flow.submit import submit
from gateway.settings import AlertSettings

ANSWERS = [(acknowledgment, "997 for IN 1"), (ta1, "TA1 for 000000001")]
TESTING = ACME.replace('"live"', '"testing"')


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def as_test(data):
    return data.replace(b"*0*P*:", b"*0*T*:")


def sent(stage, number="INV-1", *, test=False):
    exchange = submit(stage.context(), "acme", invoice(number), test=test).exchanges[0]
    stage.run()
    return exchange


def hears(stage, *mails):
    for each in mails:
        stage.mail(each)
    return stage.run()


@pytest.mark.parametrize(("answer", "what"), ANSWERS, ids=["997", "TA1"])
@pytest.mark.parametrize("verdict", ["A", "R"])
def test_what_went_in_earnest_is_not_settled_by_a_test_and_a_person_is_called(stage, answer, what, verdict):
    exchange = sent(stage)
    given = (1, 1, verdict, "022") if answer is ta1 and verdict == "R" else (1, 1, verdict)
    (need,) = hears(stage, as_test(answer(*given))).attention
    assert stage.states("out") == ["sent"]
    assert stage.states("in") == ["unmatched"]
    assert (need.state, need.code) == ("unmatched", "acknowledgment.as-test")
    assert what in need.reason
    assert f"exchange {exchange}" in need.reason
    assert {row["relation"] for row in stage.rows("acknowledgment")} == {"orphan"}
    assert [row["exchange"] for row in stage.rows("expectation")] == [exchange]
    stage.now += 25 * HOUR
    assert {each.state for each in stage.run().attention} == {"unmatched", "overdue"}


@pytest.mark.parametrize(("answer", "what"), ANSWERS, ids=["997", "TA1"])
def test_the_one_in_earnest_that_comes_then_counts(stage, answer, what):
    sent(stage)
    hears(stage, as_test(answer(1, 1)), acknowledgment(2, 1))
    assert stage.states("out") == ["acknowledged"]


@pytest.mark.parametrize("wrapped", [as_test, bytes], ids=["T", "P"])
def test_a_test_is_answered_by_either(stage, wrapped):
    """Many translators write P into every acknowledgment."""
    sent(stage, test=True)
    assert hears(stage, wrapped(acknowledgment(1, 1))).attention == ()
    assert stage.states("out") == ["acknowledged"]


@pytest.mark.parametrize("wrapped", [as_test, bytes], ids=["T", "P"])
def test_a_test_is_answered_by_a_ta1_of_either(stage, wrapped):
    sent(stage, test=True)
    hears(stage, wrapped(ta1(1, 1, "R", "022")))
    assert stage.states("out") == ["refused by the partner"]


def test_a_test_answers_the_test_where_a_later_one_in_earnest_has_its_number(tmp_path):
    """Numbers may begin anew when a partner goes live."""
    stage = Stage(tmp_path, [TESTING])
    sent(stage)
    stage.profiles = [ACME]
    start_numbers(stage.context(), [start("acme", 1, 1)], actor="anna", reason="live", force=True)
    sent(stage, "INV-2")
    hears(stage, as_test(acknowledgment(1, 1)))
    assert stage.states("out") == ["acknowledged", "sent"]
    hears(stage, acknowledgment(2, 1))
    assert stage.states("out") == ["acknowledged", "acknowledged"]


def test_a_doubt_on_what_went_in_earnest_is_not_ended_by_a_test(stage):
    def lose(mail):
        raise OutcomeUnknown(host="memory")

    stage.transport.after_taking = lose
    sent(stage)
    stage.transport.after_taking = None
    hears(stage, as_test(acknowledgment(1, 1)))
    assert stage.states("out") == ["in doubt"]


def test_what_answers_nothing_at_all_is_told_as_before(stage):
    sent(stage)
    (need,) = hears(stage, as_test(acknowledgment(1, 7))).attention
    assert need.code == "acknowledgment.unmatched"


@pytest.mark.parametrize("profile", [ACME, TESTING], ids=["live", "testing"])
def test_it_is_told_although_tests_are_quiet(tmp_path, profile):
    """It speaks of what went in earnest."""
    stage = Stage(tmp_path, [ACME])
    stage.settings = replace(
        stage.settings, alerts=(AlertSettings(name="all", to=("ops@us.example",), kinds=("*",), partners=("*",)),)
    )
    sent(stage)
    stage.profiles = [profile]
    hears(stage, as_test(acknowledgment(1, 1)))
    told = [mail for mail in stage.sent if mail["To"] == "ops@us.example"]
    assert len(told) == 1
    hears(stage, as_test(acknowledgment(2, 9)))  # a test that answers nothing
    assert len([mail for mail in stage.sent if mail["To"] == "ops@us.example"]) == 1


def test_a_person_takes_it_as_the_answer_where_the_partner_says_so(stage):
    exchange = sent(stage)
    hears(stage, as_test(acknowledgment(1, 1)))
    from gateway.x12.model import Status

    operate.acknowledge_by_hand(stage.context(), exchange, Status.ACCEPTED, actor="anna", reason="Ms Berg says so")
    operate.settle(stage.context(), 2, actor="anna", reason="Ms Berg says so")
    assert stage.run().attention == ()
