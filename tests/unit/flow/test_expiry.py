"""Certificates and keys are spoken of before they end, unless another one lasts longer."""

from datetime import timedelta

import pytest
from builders.certificates import WHEN, make

from gateway.flow.expiry import attention_for, endings
from gateway.ledger.keys import ACTIVE, RETIRED, OwnKey
from partners.certificates import describe
from partners.model import Certificate, CertificateState, Partner, Status

NOW = int(WHEN.timestamp() * 1000)


def certificate(days, state=CertificateState.TRUSTED, **options):
    found = describe(make(start=WHEN - timedelta(days=9), days=days + 9, **options).der)
    return Certificate(found.fingerprint, found.der, state, found.not_before, found.not_after)


def partner(*certificates, status=Status.LIVE):
    return Partner("acme", "ACME", status, ("edi@acme.example",), (), (), certificates=certificates)


def key(name, days, state=ACTIVE, **options):
    each = certificate(days, **options)
    return OwnKey(name, each.fingerprint, each.der, state, each.not_before, each.not_after, NOW, "ann")


def told(partners, keys=()):
    return [(each.name, each.use, each.state) for each in endings(partners, keys, NOW)]


@pytest.mark.parametrize(
    ("days", "state"),
    [(61, None), (60, "ends within 60 days"), (30, "ends within 30 days"), (7, "ends within 7 days"), (-2, "ended")],
)
def test_the_nearer_the_end_the_louder(days, state):
    said = [] if state is None else [("acme", "sign or encrypt", state)]
    assert told([partner(certificate(days))]) == said
    assert [each.state for each in attention_for([], [key("ours", days)], NOW)] == ([] if state is None else [state])


def test_what_lasts_longer_for_the_same_use_quiets_the_warning_for_that_use():
    short = certificate(20)
    assert told([partner(short, certificate(300))]) == []
    signs = certificate(300, kind="ec")
    assert told([partner(short, signs)]) == [("acme", "encrypt", "ends within 30 days")]


def test_only_trusted_certificates_of_partners_we_trade_with_are_spoken_of():
    others = [certificate(5, CertificateState.PENDING), certificate(5, CertificateState.RETIRED)]
    assert told([partner(*others), partner(certificate(5), status=Status.SUSPENDED)]) == []


def test_of_our_keys_the_last_active_one_counts():
    assert told([], [key("new", 5), key("old", 300, RETIRED)]) == [("new", "sign or encrypt", "ends within 7 days")]
    assert told([], [key("new", 300), key("old", 5)]) == []
    assert told([], [key("curve", 300, kind="ec"), key("old", 5)]) == [("old", "encrypt", "ends within 7 days")]


def test_what_needs_a_person_says_when_whose_and_what_to_do():
    (ours,) = attention_for([], [key("ours", 5)], NOW)
    assert (ours.reference, ours.next_command, ours.side) == ("ours", "gateway key generate", "ours")
    assert ours.reason == "Our key ours ends on 2026-11-06, in 5 days, and no other can sign or encrypt."
    (theirs,) = attention_for([partner(certificate(-3))], [], NOW)
    assert (theirs.partner, theirs.side) == ("acme", "partner")
    assert "ended on 2026-10-29" in theirs.reason
