"""What most probably mends what is in quarantine."""

from __future__ import annotations

import pytest
from builders.stage import ACME, GLOBEX

from gateway.errors import all_faults
from gateway.flow import remedy as remedies
from gateway.flow.remedy import Held, remedy
from partners.directory import Directory
from partners.model import Identity
from partners.profile import read_profile


@pytest.fixture(scope="module")
def directory():
    partners = [read_profile(text, "profile") for text in (ACME, GLOBEX)]
    return Directory(partners, [Identity.of("ZZ", "EXAMPLECO")])


def _held(code, partner="", address="who@stranger.example", sender="", **details):
    return Held(code, details, partner, address, sender)


def test_an_unknown_address_that_names_a_partner_is_shown_as_a_claim(directory):
    """By the identity in the interchange, or by others of its domain; with a warning in both."""
    found = remedy(_held("sender.unknown", sender="ZZ:ACMERETAIL", address="x@evil.example"), directory)
    assert (found.part, found.partner, found.value) == (remedies.ADDRESS, "acme", "x@evil.example")
    assert "claims to speak for ACME Retail" in found.sentence
    assert "it may be forged" in found.sentence
    found = remedy(_held("sender.unknown", address="new@GLOBEX.example"), directory)
    assert (found.part, found.partner) == (remedies.ADDRESS, "globex")


def test_an_address_that_nobody_is_near_may_be_a_new_partner(directory):
    """Then there is a profile to make, of nobody who is there."""
    found = remedy(_held("sender.unknown", address="a@b.example"), directory)
    assert (found.part, found.partner, found.value) == (remedies.NEW, "", "a@b.example")
    assert remedy(_held("sender.unknown", address=""), directory).part == remedies.NEW


@pytest.mark.parametrize(
    ("held", "part", "value"),
    [
        (_held("identity.unknown", partner="acme", identity="01:123"), remedies.IDENTITY, "01:123"),
        (_held("agreement.unexpected-type", "acme", set="860", version="004010"), remedies.AGREEMENT, "860 004010"),
        (_held("partner.not-active", address="edi@acme.example"), remedies.STATUS, ""),
        (_held("signature.signer-unknown", address="edi@acme.example"), remedies.CERTIFICATE, ""),
        (_held("sender.unproven", address="edi@acme.example"), remedies.EVIDENCE, ""),
        (_held("document.repeated", partner="acme"), remedies.ACCEPT, ""),
        (_held("interchange.duplicate-number", partner="acme"), remedies.ACCEPT, ""),
    ],
)
def test_each_cause_has_its_place_in_the_profile(directory, held, part, value):
    """Of the partner that the fault or the mail names."""
    found = remedy(held, directory)
    assert (found.part, found.partner, found.value) == (part, "acme", value)


def test_what_a_deleted_partner_left_has_no_remedy(directory):
    """Nobody can change a profile that is not there."""
    for code in ("identity.unknown", "agreement.unexpected-type", "partner.not-active", "sender.unproven"):
        assert remedy(_held(code, partner="gone"), directory) is None, code


def test_every_code_with_a_remedy_is_a_fault_that_there_is(directory):
    """A remedy for a renamed fault would never be shown."""
    assert set(remedies._BY_CODE) <= {each.code for each in all_faults()}
    assert remedy(_held("content.damaged"), directory) is None
