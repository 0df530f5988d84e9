"""The facts of a checklist, as the ledger shows them from the first test to the first document in earnest."""

import pytest
from builders.stage import ACME, HOUR, WHEN, Stage, acknowledgment, invoice, orders

from gateway.demo import documents
from gateway.errors import PartnerNotReady, UnknownPartner, UsageFault
from gateway.flow.onboarding import leave_numbers, partner_checklist, refuse_unready
from gateway.flow.submit import submit
from partners.model import Status
from partners.onboarding import DONE, MISSING

TESTING = ACME.replace('"live"', '"testing"')


def tried(data):
    return data.replace(b"*0*P*:", b"*0*T*:")


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path, [TESTING])


def items(stage):
    return {each.name: each for each in partner_checklist(stage.context(), "acme").items}


def missing(stage):
    return [each.name for each in partner_checklist(stage.context(), "acme").missing]


def test_from_the_first_test_to_a_partner_that_is_ready(stage):
    every = ["numbers", "identity", "test-received", "delivery", "answered", "test-sent", "acknowledged"]
    assert missing(stage) == every
    stage.mail(tried(orders(1)))
    stage.run()
    assert missing(stage) == ["numbers", "test-sent", "acknowledged"]
    submit(stage.context(), "acme", invoice())
    stage.now += HOUR
    stage.run()
    assert missing(stage) == ["numbers", "acknowledged"]
    stage.mail(tried(acknowledgment(2, 2)))
    stage.run()
    assert missing(stage) == ["numbers"]
    found = items(stage)
    assert "Test 000000002 (810) was accepted by them" in found["acknowledged"].sentence
    assert found["test-received"].exchange == 1
    assert "its address alone proved who sent it" in found["identity"].sentence
    with pytest.raises(PartnerNotReady, match="missing: control numbers"):
        refuse_unready(stage.context(), "acme", Status.LIVE)
    assert refuse_unready(stage.context(), "acme", Status.TESTING).missing
    leave_numbers(stage.context(), "acme", actor="anna", reason="a new partner")
    assert items(stage)["numbers"].sentence == "anna left them as they are: a new partner."
    assert refuse_unready(stage.context(), "acme", Status.LIVE).missing == ()


def test_leaving_the_numbers_needs_a_reason_and_is_done_once(stage):
    with pytest.raises(UsageFault):
        leave_numbers(stage.context(), "acme", actor="anna", reason="")
    assert leave_numbers(stage.context(), "acme", actor="anna", reason="new", dry_run=True).done
    assert items(stage)["numbers"].state == MISSING
    assert leave_numbers(stage.context(), "acme", actor="anna", reason="new").done
    assert not leave_numbers(stage.context(), "acme", actor="anna", reason="new").done
    with pytest.raises(UnknownPartner):
        leave_numbers(stage.context(), "nobody", actor="anna", reason="new")


def test_a_test_that_was_rejected_is_told_and_is_no_test_received(stage):
    stage.mail(tried(orders(1, documents.order("PO-1", WHEN, quantity="many"))))
    stage.run()
    item = items(stage)["test-received"]
    assert (item.state, item.exchange) == (MISSING, 1)
    assert "was rejected" in item.sentence
    assert items(stage)["identity"].state == DONE


def test_a_test_of_ours_that_the_partner_rejects_is_not_accepted(stage):
    submit(stage.context(), "acme", invoice())
    stage.run()
    stage.mail(tried(acknowledgment(1, 1, "R")))
    stage.run()
    assert items(stage)["test-sent"].state == DONE
    item = items(stage)["acknowledged"]
    assert (item.state, item.sentence) == (MISSING, "Test 000000001 (810) was rejected by the partner.")


def test_quarantined_mail_proves_nothing(tmp_path):
    stage = Stage(tmp_path, [TESTING.replace('name = "ACME Retail"', 'evidence = "signed"')])
    stage.mail(tried(orders(1)))
    stage.run()
    found = items(stage)
    assert found["identity"].state == MISSING
    assert "is in quarantine" in found["test-received"].sentence
    assert found["certificate"].next_command == "gateway partner certificate add acme FILE"


def test_documents_in_earnest_count_where_no_test_was_made(tmp_path):
    stage = Stage(tmp_path, [ACME])
    stage.mail(orders(1))
    submit(stage.context(), "acme", invoice())
    stage.run()
    stage.mail(acknowledgment(2, 1))
    stage.run()
    assert missing(stage) == []
    assert "They took ours" in items(stage)["numbers"].sentence
    assert "Production 000000001 (850)" in items(stage)["test-received"].sentence


def test_sets_that_nothing_judges_are_missing_a_guideline(tmp_path):
    stage = Stage(tmp_path, [TESTING.replace('["810", "855"]', '["810", "Z99"]')])
    assert "Z99 in 004010" in items(stage)["guideline"].sentence
