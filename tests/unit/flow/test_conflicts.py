"""Used numbers with other content: one answer for the same bytes, none for what only acknowledges, and no end of it."""

from __future__ import annotations

import pytest
from builders.pair import Gateway, order, until_silent
from builders.stage import HOUR, WHEN, Stage, acknowledgment, invoice, orders, ta1

from gateway.demo import documents
from gateway.flow import gaps, operate
from gateway.flow.reporter import Tally
from gateway.flow.start_numbers import start, start_numbers
from gateway.flow.submit import submit
from gateway.ledger.events import event_of, sentence

BY = {"actor": "anna", "reason": "they told us"}
AGREEMENTS = """
[[agreement]]
name = "in"
direction = "in"
sets = ["*"]

[[agreement]]
name = "out"
direction = "out"
sets = ["850"]
versions = ["004010"]
"""


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def other(number: int = 1) -> bytes:
    """Another order under that number."""
    return orders(number, documents.order("PO-OTHER", WHEN))


@pytest.mark.parametrize(
    "acknowledging",
    [
        acknowledgment(1, 1),
        ta1(1, 1),
        acknowledgment(1, 1).replace(b"*000000001*0*", b"*000000001*1*"),
        ta1(1, 1).replace(b"*261102*2200*U", b"*269902*2200*U"),
    ],
    ids=["997", "TA1", "997 that asks for a TA1", "TA1 that is rejected"],
)
def test_what_only_acknowledges_under_a_used_number_is_told_to_a_person_and_not_answered(stage, acknowledging):
    submit(stage.context(), "acme", invoice())
    stage.mail(orders(1))
    stage.run()
    mails = len(stage.sent)
    stage.mail(acknowledging)
    assert [each.state for each in stage.run().attention] == ["conflict"]
    stage.mail(acknowledging, subject="again")
    assert [each.state for each in stage.run().attention] == ["conflict"]
    assert stage.states("in") == ["delivered", "conflict", "duplicate"]
    assert len(stage.sent) == mails


@pytest.mark.parametrize("replayed", [False, True])
def test_the_same_conflicting_bytes_again_get_the_same_answer(stage, replayed):
    stage.mail(orders(1))
    stage.mail(other())
    stage.run()
    answer = stage.transport.sent[-1].raw
    if replayed:
        said = operate.replay(stage.context(), "3", **BY).sentence
        assert said == "replayed: exchange 5 is duplicate of exchange 3"
    else:
        stage.mail(other(), subject="again")
    stage.run()
    assert stage.states("in") == ["delivered", "conflict", "duplicate"]
    assert stage.rows("exchange")[-1]["duplicate_of"] == 3
    assert [each.raw for each in stage.transport.sent[2:]] == [answer]


def test_the_same_conflicting_bytes_twice_in_one_batch_get_one_answer(stage):
    stage.mail(orders(1))
    stage.run()
    stage.mail(other(), other())
    stage.mail(other(), subject="again")
    stage.run()
    assert stage.states("in") == ["delivered", "conflict", "duplicate", "duplicate"]
    assert len(stage.sent) == 2


def test_what_was_discarded_as_a_conflict_is_nothing_new_when_it_comes_again(stage):
    stage.mail(orders(1))
    stage.mail(other())
    stage.run()
    operate.discard(stage.context(), "3", **BY)
    stage.mail(other(), subject="again")
    assert stage.run().attention == ()
    assert stage.states("in") == ["delivered", "discarded", "duplicate"]


def test_third_content_under_a_used_number_is_a_conflict_of_its_own(stage):
    stage.mail(orders(1))
    stage.mail(other())
    stage.mail(orders(1, documents.order("PO-THIRD", WHEN)))
    stage.run()
    assert stage.states("in") == ["delivered", "conflict", "conflict"]
    assert len(stage.sent) == 3


def test_an_answer_that_was_cancelled_stays_cancelled_and_the_duplicate_says_so(stage):
    stage.transport.refused = {"edi@acme.example": "451 not now"}
    stage.mail(orders(1))
    stage.run()
    operate.cancel(stage.context(), 2, **BY)
    stage.transport.refused = {}
    stage.mail(orders(1), subject="again")
    stage.run()
    assert (stage.states("in"), stage.states("out")) == (["delivered", "duplicate"], ["cancelled"])
    assert stage.sent == []
    said = [sentence(event_of(row)) for row in stage.rows("event") if row["exchange"] == 3]
    assert "its answer, exchange 2, was cancelled by a person and is not sent again" in said


def test_a_used_number_that_was_accepted_is_answered_again_as_accepted(stage):
    """Not with the TA1 025 that it had before."""
    stage.mail(orders(1))
    stage.mail(other())
    stage.run()
    operate.accept(stage.context(), 3, **BY)
    stage.run()
    answer = stage.transport.sent[-1].raw
    mails = len(stage.sent)
    stage.mail(other(), subject="again")
    stage.run()
    assert [each.raw for each in stage.transport.sent[mails:]] == [answer]


def test_two_gateways_whose_counters_were_both_set_back_fall_silent(tmp_path):
    one, two = Gateway(tmp_path, "alpha", "edi@alpha.example"), Gateway(tmp_path, "beta", "edi@beta.example")
    one.knows(two, AGREEMENTS)
    two.knows(one, AGREEMENTS)
    for number in range(3):
        one.submit("beta", f"{number}.edi", order(number))
        two.submit("alpha", f"{number}.edi", order(100 + number))
    until_silent(one, two)
    for ours, theirs in ((one, two), (two, one)):
        start_numbers(ours.app.context(Tally()), [start(theirs.name, 1, 1)], actor="anna", reason="moved", force=True)
    one.submit("beta", "new.edi", order(999))
    assert until_silent(one, two) == 2  # the document, and that its number was used
    assert (one.states(state="conflict"), two.states(state="conflict")) == (["conflict"], ["conflict"])


def test_a_used_number_that_is_accepted_after_a_new_beginning_came_in_the_new_count(stage):
    """The partner began anew before it told us: nothing is missing, once what was refused is accepted."""
    stage.mail(orders(1))
    stage.mail(orders(2))
    stage.run()
    stage.now += HOUR
    stage.mail(other())
    stage.run()
    stage.now += HOUR
    for groups in (False, True):
        gaps.reset(stage.context(), "acme", 1, groups=groups, **BY)
    (conflict,) = [row["id"] for row in stage.rows("exchange") if row["state"] == "conflict"]
    operate.accept(stage.context(), conflict, **BY)
    stage.mail(orders(2, documents.order("PO-NEW", WHEN)).replace(b"*261102*2200*U", b"*261104*2200*U"))
    stage.run()
    stage.now += 100 * HOUR
    assert stage.run().attention == ()
    assert stage.states("in") == ["delivered"] * 4
