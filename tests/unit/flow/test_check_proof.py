"""doctor: who is asked for proof that this home cannot see, and who is trusted by an address alone."""

import pytest

from gateway.errors import DnsUnavailable
from gateway.flow.check_proof import check_dns, check_proof
from gateway.mail.txt_records import no_dns
from gateway.settings.model import ProofSettings
from partners.model import Evidence, Identity, Partner, Status

NAMED = ProofSettings(authserv_ids=("mx.us.example",))


def partner(evidence, key="acme", status=Status.LIVE):
    return Partner(key, key, status, (f"edi@{key}.example",), (Identity.of("ZZ", key),), (), evidence=evidence)


@pytest.mark.parametrize(
    ("evidence", "settings", "outcomes"),
    [
        (Evidence.ADDRESS, NAMED, [None]),
        (Evidence.MX, NAMED, []),
        (Evidence.MX, ProofSettings(), [False]),
        (Evidence.MX, ProofSettings(unnamed=True), [None]),
        (Evidence.DKIM, ProofSettings(), []),
        (Evidence.DKIM, ProofSettings(dkim="never"), [False]),
        (Evidence.SIGNED, ProofSettings(dkim="never"), []),
    ],
)
def test_what_is_asked_for_must_be_possible(evidence, settings, outcomes):
    assert [each.ok for each in check_proof([partner(evidence)], settings)] == outcomes


@pytest.mark.parametrize("status", [Status.DRAFT, Status.SUSPENDED, Status.ENDED])
def test_partners_who_do_not_trade_are_not_looked_at(status):
    assert not list(check_proof([partner(Evidence.ADDRESS, status=status)], ProofSettings()))
    assert not list(check_dns([partner(Evidence.DKIM, status=status)], no_dns))


def test_many_partners_are_named_in_short():
    many = [partner(Evidence.ADDRESS, f"p{number}") for number in range(9)]
    (found,) = check_proof(many, ProofSettings())
    assert found.sentence.endswith("p0, p1, p2, p3, p4 and 4 more.")


def test_the_dns_is_asked_only_for_partners_that_dkim_is_to_prove():
    asked = []
    found = list(check_dns([partner(Evidence.MX, "one"), partner(Evidence.DKIM, "two")], asked.append))
    assert asked == ["_domainkey.two.example"]
    assert [each.ok for each in found] == [True]


def test_a_dns_that_does_not_answer_is_told():
    with pytest.raises(DnsUnavailable):
        list(check_dns([partner(Evidence.DKIM)], no_dns))
