"""The checklist: each item from the profile and from facts, and what comes next."""

import pytest
from builders.certificates import WHEN, make
from msgspec.structs import replace

from partners.certificates import describe
from partners.model import Certificate, CertificateState, Evidence, Status
from partners.onboarding import DONE, MISSING, NOT_NEEDED, Fact, Facts, checklist
from partners.profile import read_profile

NOW = int(WHEN.timestamp() * 1000) + 86_400_000
TEXT = """
key = "acme"
status = "testing"
addresses = ["edi@acme.example"]
identities = ["ZZ:ACMERETAIL"]
[[agreement]]
direction = "in"
sets = ["850"]
[[agreement]]
direction = "out"
sets = ["810"]
"""
ACME = read_profile(TEXT)
FACT = Fact(NOW, 7, "It came.")
ALL = Facts(NOW, FACT, FACT, FACT, FACT, FACT, FACT, FACT)


def states(partner, facts):
    return {each.name: each.state for each in checklist(partner, facts).items}


def certified(state):
    found = describe(make("acme", address="edi@acme.example").der)
    kept = Certificate(found.fingerprint, found.der, state, found.not_before, found.not_after)
    return replace(ACME, evidence=Evidence.SIGNED, certificates=(kept,))


def test_with_nothing_but_a_profile_everything_that_must_be_tried_is_missing():
    found = checklist(ACME, Facts(NOW))
    assert [each.name for each in found.missing] == [
        *("numbers", "identity", "test-received", "delivery", "answered", "test-sent", "acknowledged"),
    ]
    assert all(each.next_command.startswith("gateway ") for each in found.missing)
    assert found.summary.startswith("3 of 10 done; missing: control numbers, identity proven")


def test_with_all_facts_nothing_is_missing_and_each_item_says_by_what():
    found = checklist(ACME, ALL)
    assert found.missing == ()
    assert found.as_dict()["ready"] is True
    assert {each.exchange for each in found.items if each.since} == {7}


def test_a_draft_must_be_in_testing_before_anything_is_tried():
    found = checklist(replace(ACME, status=Status.DRAFT), Facts(NOW))
    assert {each.next_command for each in found.missing if each.name != "numbers"} == {
        "gateway partner activate acme --testing"
    }


def test_what_failed_is_told_with_its_exchange():
    failed = {"test-received": Fact(NOW, 12, "Test 000000001 (850) was rejected.")}
    (item,) = [each for each in checklist(ACME, Facts(NOW, refused=failed)).items if each.name == "test-received"]
    assert (item.state, item.sentence, item.next_command) == (
        *(MISSING, "Test 000000001 (850) was rejected."),
        "gateway exchange show 12",
    )


def test_a_direction_that_was_not_agreed_on_needs_no_test():
    only_in = replace(ACME, agreements=ACME.agreements[:1])
    assert states(only_in, Facts(NOW))["test-sent"] == NOT_NEEDED
    only_out = replace(ACME, agreements=ACME.agreements[1:])
    assert states(only_out, Facts(NOW))["delivery"] == NOT_NEEDED


@pytest.mark.parametrize(
    ("old", "new", "item"),
    [
        ('sets = ["810"]', 'sets = ["810"]\n[agreement.acknowledgment]\nfunctional = "none"', "acknowledged"),
        ('sets = ["810"]', 'sets = ["810"]\n[agreement.acknowledgment]\nwithin = "none"', "acknowledged"),
        (
            'sets = ["850"]',
            'sets = ["850"]\n[agreement.acknowledgment]\nfunctional = "none"\nta1 = "never"',
            "answered",
        ),
    ],
)
def test_an_acknowledgment_that_was_not_agreed_on_is_not_needed(old, new, item):
    assert states(read_profile(TEXT.replace(old, new)), Facts(NOW))[item] == NOT_NEEDED


def test_an_address_that_keeps_the_place_of_one_is_missing():
    unknown = replace(ACME, addresses=("acme@address-unknown.invalid",))
    assert states(unknown, ALL)["addresses"] == MISSING


def test_the_certificate_counts_where_the_agreement_asks_for_it():
    assert states(ACME, ALL)["certificate"] == NOT_NEEDED
    assert states(replace(ACME, evidence=Evidence.SIGNED), ALL)["certificate"] == MISSING
    assert states(certified(CertificateState.TRUSTED), ALL)["certificate"] == DONE
    found = checklist(certified(CertificateState.PENDING), ALL)
    (item,) = found.missing
    assert item.next_command == "gateway partner certificate trust acme"
    assert (
        states(certified(CertificateState.TRUSTED), replace(ALL, now=NOW + 20 * 365 * 86_400_000))["certificate"]
        == MISSING
    )


def test_sets_that_nothing_judges_are_named():
    found = checklist(ACME, replace(ALL, unguided=("999 in 001000",)))
    assert [each.name for each in found.missing] == ["guideline"]
