"""What a partner refused and is sent again is awaited anew: its next word counts, and its silence is told."""

from __future__ import annotations

import json

import pytest
from builders.stage import ACME, HOUR, OURS, WHEN, Stage, acknowledgment, ta1

from gateway.demo import documents
from gateway.errors import OutcomeUnknown
from gateway.flow import operate
from gateway.flow.submit import submit
from gateway.x12.model import Status

WITH_TA1 = ACME.replace('sets = ["810", "855"]', 'sets = ["810", "855"]\nenvelope.request_ta1 = true')
REFUSALS = [acknowledgment(1, 1, "R"), ta1(1, 1, "R", "022")]
BY = {"actor": "anna", "reason": "their map is mended"}


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def hears(stage, *mails):
    for each in mails:
        stage.mail(each)
    return stage.run()


def refused(stage, *answers, sets=1):
    """A document that was sent and refused; the batches of the night are over."""
    data = documents.bare(*(documents.invoice(f"INV-{each + 1}", "PO-1", WHEN) for each in range(sets)))
    exchange = submit(stage.context(), "acme", data).exchanges[0]
    stage.run()
    hears(stage, *(answers or REFUSALS[:1]))
    assert stage.states("out") == ["refused by the partner"]
    stage.now += HOUR
    return exchange


def resent(stage, *answers, **options):
    exchange = refused(stage, *answers, **options)
    operate.resend(stage.context(), exchange, **BY)
    stage.run()
    return exchange


def awaited(stage):
    return [(row["exchange"], row["kind"], row["due_at"]) for row in stage.rows("expectation")]


def row_of(stage, exchange=1):
    return next(row for row in stage.rows("exchange") if row["id"] == exchange)


@pytest.mark.parametrize("answer", REFUSALS, ids=["997", "TA1"])
def test_it_is_awaited_as_agreed_and_its_silence_is_told(stage, answer):
    exchange = resent(stage, answer)
    assert stage.states("out") == ["sent"]
    assert awaited(stage) == [(exchange, "functional", stage.now + 24 * HOUR)]
    assert (row_of(stage)["verdict"], row_of(stage)["acknowledged_at"]) == ("", None)
    assert stage.rows("transaction_set")[0]["acknowledged"] == ""
    stage.now += 25 * HOUR
    (need,) = stage.run().attention
    assert (need.exchange, need.state) == (exchange, "overdue")


def test_the_history_tells_that_it_is_awaited_anew(stage):
    resent(stage)
    kinds = stage.kinds()
    assert kinds.index("resent") < kinds.index("awaited-anew") < len(kinds) - kinds[::-1].index("sent")
    (event,) = [row for row in stage.rows("event") if row["kind"] == "awaited-anew"]
    assert json.loads(str(event["body"]))["verdict"] == "rejected"


@pytest.mark.parametrize("answer", REFUSALS, ids=["997", "TA1"])
def test_its_acceptance_is_the_new_outcome_and_contradicts_nothing(stage, answer):
    resent(stage, answer)
    summary = hears(stage, acknowledgment(3, 1))
    assert (stage.states("out"), summary.attention) == (["acknowledged"], ())
    assert row_of(stage)["verdict"] == "accepted"
    assert row_of(stage)["acknowledged_at"] == stage.now
    assert {row["relation"] for row in stage.rows("acknowledgment")} == {"matched"}
    assert awaited(stage) == []


@pytest.mark.parametrize("first", REFUSALS, ids=["997", "TA1"])
@pytest.mark.parametrize("second", [acknowledgment(3, 1, "R"), ta1(3, 1, "R", "022")], ids=["997", "TA1"])
def test_a_second_refusal_is_an_answer_of_its_own(stage, first, second):
    resent(stage, first)
    (need,) = hears(stage, second).attention
    assert (need.exchange, need.state) == (1, "refused by the partner")
    assert awaited(stage) == []
    assert {row["relation"] for row in stage.rows("acknowledgment")} == {"matched"}


def test_the_same_word_on_it_again_is_a_repetition_and_another_one_a_contradiction(stage):
    resent(stage)
    hears(stage, acknowledgment(3, 1), acknowledgment(4, 1))
    assert [row["relation"] for row in stage.rows("acknowledgment") if not row["transaction_set"]] == [
        *("matched", "matched", "duplicate"),
    ]
    (need,) = hears(stage, acknowledgment(5, 1, "R")).attention
    assert (need.state, need.code) == ("refused by the partner", "acknowledgment.contradicting")


def test_one_group_of_several_says_nothing_of_the_others_as_before(stage):
    data = documents.bare(documents.invoice("INV-1", "PO-1", WHEN)) + documents.bare(
        ["ST*855*0001", "BAK*00*AD*PO-1*20261102", "PO1*1*10*EA*5**VP*X", "CTT*1"]
    )
    submit(stage.context(), "acme", data)
    stage.run()
    groups = [row["functional_id"] for row in stage.rows("functional_group")]
    assert sorted(groups) == ["IN", "PR"]
    numbers = {row["functional_id"]: int(str(row["control_number"])) for row in stage.rows("functional_group")}
    pr = documents.interchange(
        *("ZZ:ACMERETAIL", OURS, 2, WHEN),
        [("FA", "004010", [["ST*997*0001", f"AK1*PR*{numbers['PR']}", "AK9*R*1*1*0"]])],
    )
    hears(stage, acknowledgment(1, numbers["IN"], "R"), pr)
    assert stage.states("out") == ["refused by the partner"]
    operate.resend(stage.context(), 1, **BY)
    stage.run()
    hears(stage, acknowledgment(3, numbers["IN"]))
    assert stage.states("out") == ["sent"]  # of the other group nothing is known yet
    assert [kind for _, kind, _ in awaited(stage)] == ["functional"]


# ---------------------------------------------------------------- what is awaited


def test_a_ta1_is_awaited_where_the_interchange_asks_for_one(tmp_path):
    """What its bytes ask for, not what the agreement says by now."""
    stage = Stage(tmp_path, [WITH_TA1])
    exchange = refused(stage, ta1(1, 1, "R", "022"))
    stage.profiles = [ACME]
    operate.resend(stage.context(), exchange, **BY)
    stage.run()
    assert [kind for _, kind, _ in awaited(stage)] == ["TA1", "functional"]
    hears(stage, ta1(3, 1))
    assert [kind for _, kind, _ in awaited(stage)] == ["functional"]
    hears(stage, acknowledgment(4, 1))
    assert stage.states("out") == ["acknowledged"]


def test_no_ta1_is_awaited_where_it_asks_for_none(stage):
    exchange = refused(stage)
    stage.profiles = [WITH_TA1]
    operate.resend(stage.context(), exchange, **BY)
    stage.run()
    assert [kind for _, kind, _ in awaited(stage)] == ["functional"]


def test_nothing_is_awaited_where_nothing_is_agreed_and_what_comes_counts_all_the_same(stage):
    exchange = refused(stage)
    stage.profiles = [ACME.replace('name = "invoices"', 'name = "invoices"\nacknowledgment.functional = "none"')]
    operate.resend(stage.context(), exchange, **BY)
    stage.run()
    assert (stage.states("out"), awaited(stage)) == (["complete"], [])
    hears(stage, acknowledgment(3, 1))
    assert stage.states("out") == ["acknowledged"]


def test_an_agreement_that_has_another_name_by_now_does_not_end_the_wait(stage):
    exchange = refused(stage)
    stage.profiles = [ACME.replace('name = "invoices"', 'name = "bills"')]
    operate.resend(stage.context(), exchange, **BY)
    stage.run()
    assert [kind for _, kind, _ in awaited(stage)] == ["functional"]


# ---------------------------------------------------------------- before it went again


@pytest.mark.parametrize(
    "late", [acknowledgment(2, 1, "R"), ta1(2, 1, "R", "022"), ta1(2, 1)], ids=["997 R", "TA1 R", "TA1 A"]
)
@pytest.mark.parametrize("answer", REFUSALS, ids=["997", "TA1"])
def test_what_speaks_of_the_first_time_does_not_take_it_off_the_wire(stage, answer, late):
    exchange = refused(stage, answer)
    operate.resend(stage.context(), exchange, **BY)
    hears(stage, late)
    assert len(stage.transport.sent) == 2
    assert stage.states("out") == ["sent"]
    assert [kind for _, kind, _ in awaited(stage)] == ["functional"]
    hears(stage, acknowledgment(3, 1))
    assert stage.states("out") == ["acknowledged"]


def test_who_takes_it_after_all_before_it_went_again_is_not_given_it_twice(stage):
    exchange = refused(stage)
    operate.resend(stage.context(), exchange, **BY)
    (need,) = hears(stage, acknowledgment(2, 1)).attention
    assert len(stage.transport.sent) == 1
    assert (need.exchange, need.state) == (exchange, "acknowledged, contradicted")
    assert stage.rows("outgoing") == []


def test_an_answer_that_is_faster_than_the_host_counts(stage):
    from gateway.flow.collect import collect
    from gateway.flow.inbound import process

    exchange = refused(stage)
    operate.resend(stage.context(), exchange, **BY)

    def faster(mail):
        stage.mail(acknowledgment(3, 1, "R"))
        context = stage.context()
        collect(context)
        process(context)

    stage.transport.after_taking = faster
    stage.run()
    assert stage.states("out") == ["refused by the partner"]
    assert [row["relation"] for row in stage.rows("acknowledgment") if not row["transaction_set"]] == ["matched"] * 2
    assert awaited(stage) == []


def test_a_doubt_on_it_that_is_resolved_as_sent_is_awaited(stage):
    exchange = refused(stage)
    operate.resend(stage.context(), exchange, **BY)

    def lost(mail):
        raise OutcomeUnknown(host="memory")

    stage.transport.after_taking = lost
    stage.run()
    stage.transport.after_taking = None
    assert stage.states("out") == ["in doubt"]
    operate.resolve(stage.context(), exchange, sent=True, **BY)
    assert stage.states("out") == ["sent"]
    assert [due for _, _, due in awaited(stage)] == [stage.now + 24 * HOUR]


# ---------------------------------------------------------------- its number


def test_a_partner_that_refuses_its_number_as_used_refused_it_again(stage):
    """It kept the number and took nothing: what counts as a repetition elsewhere is no acceptance here."""
    resent(stage)
    (need,) = hears(stage, ta1(3, 1, "R", "025")).attention
    assert (need.exchange, need.state) == (1, "refused by the partner")
    assert awaited(stage) == []


def test_that_is_a_repetition_where_it_went_once_more_since(stage):
    exchange = resent(stage)
    operate.resend(stage.context(), exchange, **BY)
    stage.run()
    hears(stage, ta1(3, 1, "R", "025"))
    assert stage.states("out") == ["sent"]
    hears(stage, acknowledgment(4, 1))
    assert stage.states("out") == ["acknowledged"]


def test_what_was_taken_and_is_sent_again_stays_taken(stage):
    submit(stage.context(), "acme", documents.bare(documents.invoice("INV-1", "PO-1", WHEN)))
    stage.run()
    hears(stage, acknowledgment(1, 1))
    operate.resend(stage.context(), 1, **BY)
    stage.run()
    assert (stage.states("out"), awaited(stage)) == (["acknowledged"], [])


def test_under_new_numbers_it_is_awaited_as_a_new_one(stage):
    exchange = refused(stage)
    new = operate.resend_anew(stage.context(), exchange, **BY).exchange
    stage.run()
    assert awaited(stage) == [(new, "functional", stage.now + 24 * HOUR)]
    stage.now += 25 * HOUR
    (need,) = stage.run().attention
    assert (need.exchange, need.state) == (new, "overdue")
    assert hears(stage, acknowledgment(3, 2)).attention == ()
    assert stage.states("out") == ["superseded", "acknowledged"]


# ---------------------------------------------------------------- by hand


def test_a_refusal_on_the_telephone_is_forgotten_once_it_goes_again(stage):
    submit(stage.context(), "acme", documents.bare(documents.invoice("INV-1", "PO-1", WHEN)))
    stage.run()
    operate.acknowledge_by_hand(stage.context(), 1, Status.REJECTED, **BY)
    operate.resend(stage.context(), 1, **BY)
    stage.run()
    assert [kind for _, kind, _ in awaited(stage)] == ["functional"]
    assert hears(stage, acknowledgment(1, 1)).attention == ()
    assert stage.states("out") == ["acknowledged"]
