"""Order: where the agreement keeps it, a later document waits for an earlier one, and nobody else does."""

from __future__ import annotations

import pytest
from builders.stage import ACME, GLOBEX, HOUR, Stage, invoice, orders

from gateway.errors import OutcomeUnknown, Refused, TemporarilyRefused
from gateway.flow import operate
from gateway.flow.submit import submit

ORDERED = ACME.replace('name = "invoices"', 'name = "invoices"\nordered = true')


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path, [ORDERED, GLOBEX])


def send(stage, *numbers, partner="acme"):
    return [submit(stage.context(), partner, invoice(each)).exchanges[0] for each in numbers]


def failing_first(fault):
    """A host that does not take the first mail that it is offered."""
    left = [fault]

    def answer(mail):
        if left:
            raise left.pop()

    return answer


def sent_numbers(stage):
    return [(edi[0][8].strip(), edi[0][13]) for edi in stage.sent_edi]


def test_a_later_document_waits_while_an_earlier_one_is_deferred_and_goes_after_it(stage):
    send(stage, "INV-1", "INV-2", "INV-3")
    stage.transport.answer = failing_first(TemporarilyRefused(host="memory", reply="451 later"))
    stage.run()
    assert stage.sent == []
    stage.now += 60_000 // 2
    send(stage, "INV-4")
    stage.run()  # the first one's pause is not over
    assert stage.sent == []
    stage.now += HOUR
    stage.run()
    assert [number for _, number in sent_numbers(stage)] == [f"{n:09}" for n in (1, 2, 3, 4)]


def test_without_the_agreements_word_a_later_document_does_not_wait(tmp_path):
    stage = Stage(tmp_path)
    send(stage, "INV-1", "INV-2")
    stage.transport.answer = failing_first(TemporarilyRefused(host="memory", reply="451 later"))
    stage.run()
    assert [number for _, number in sent_numbers(stage)] == ["000000002"]


def test_other_partners_and_acknowledgments_do_not_wait(stage):
    send(stage, "INV-1", "INV-2")
    send(stage, "INV-9", partner="globex")
    stage.mail(orders(1))
    stage.transport.answer = failing_first(TemporarilyRefused(host="memory", reply="451 later"))
    stage.run()
    assert [(who, number) for who, number in sent_numbers(stage)] == [
        ("0700000000001", "000000001"),
        ("ACMERETAIL", "000000003"),
    ]
    assert stage.states("out") == ["ready", "ready", "sent", "complete"]


def test_a_document_in_doubt_holds_the_later_ones_until_a_person_or_the_partner_resolves_it(stage):
    first, _ = send(stage, "INV-1", "INV-2")
    stage.transport.after_taking = failing_first(OutcomeUnknown(host="memory"))
    stage.run()
    stage.run()
    assert stage.states("out") == ["in doubt", "ready"]
    operate.resolve(stage.context(), first, sent=True, actor="anna", reason="they have it")
    stage.run()
    assert stage.states("out") == ["sent", "sent"]


def test_what_was_given_up_holds_nobody_up(stage):
    send(stage, "INV-1", "INV-2")
    stage.transport.answer = failing_first(Refused(host="memory", recipient="x", reply="550 no"))
    stage.run()
    assert stage.states("out") == ["failed", "sent"]


def test_many_that_wait_leave_room_for_others(stage):
    send(stage, *(f"INV-{n}" for n in range(60)))  # more than are looked at together
    send(stage, "INV-99", partner="globex")
    stage.transport.answer = failing_first(TemporarilyRefused(host="memory", reply="451 later"))
    stage.run()
    assert len(stage.sent) == 1
    assert stage.states("out")[-1] == "sent"


def test_what_waits_under_an_agreement_that_has_another_name_by_now_is_not_overtaken(stage):
    """A name that is made of the sets changes when a set is added."""
    send(stage, "INV-1")
    stage.transport.answer = failing_first(TemporarilyRefused(host="memory", reply="451 later"))
    stage.run()
    stage.profiles[0] = ORDERED.replace('name = "invoices"', 'name = "invoices and more"')
    send(stage, "INV-2")
    stage.run()  # the first one's pause is not over
    assert stage.sent == []
    stage.now += HOUR
    stage.run()
    assert [number for _, number in sent_numbers(stage)] == ["000000001", "000000002"]
