"""Which acknowledgment is awaited, in the words of what was agreed."""

from __future__ import annotations

import pytest
from builders.stage import ACME, OURS

from gateway.flow.awaiting import agreed_name
from gateway.ledger.awaited import Awaited
from partners.directory import Directory
from partners.model import Identity
from partners.profile import read_profile

INVOICES = 'name = "invoices"'


def directory(more=""):
    head, mark, rest = ACME.partition(INVOICES)
    agreement, opening, others = rest.partition("\n[[agreement]]")
    text = head + mark + agreement + more + opening + others
    return Directory([read_profile(text)], [Identity.parse(OURS)])


def awaited(kind="functional", versions="004010", agreement="invoices", partner="acme"):
    return Awaited(
        partner, 1, kind, "810", "000000001", "sent", None, None, None, agreement=agreement, versions=versions
    )


@pytest.mark.parametrize(
    ("more", "versions", "wanted"),
    [
        ("", "004010", "997"),
        ("", "005010X222A1", "999"),
        ("", "004010 005010X222A1", "997 or 999"),
        ('\n[agreement.acknowledgment]\nfunctional = "999"\n', "004010", "999"),
        ('\n[agreement.acknowledgment]\nfunctional = "997"\n', "005010X222A1", "997"),
        ('\n[agreement.acknowledgment]\nfunctional = "none"\n', "004010", "997 or 999"),
        ("", "", "997 or 999"),
    ],
)
def test_the_acknowledgment_that_was_agreed_is_named(more, versions, wanted):
    assert agreed_name(directory(more), awaited(versions=versions)) == wanted


def test_other_kinds_and_partners_that_are_gone_are_named_as_ever():
    assert agreed_name(directory(), awaited("TA1")) == "TA1"
    assert agreed_name(directory(), awaited(partner="gone")) == "997 or 999"
