"""Who is behind an address or an identity."""

import pytest
from msgspec.structs import replace

from gateway.errors import ConfigurationFault, UnknownPartner
from partners.directory import Directory, overlaps
from partners.model import Identity, Partner, Status

US = Identity("ZZ", "OURCO")


def partner(key, **changes):
    found = Partner(key, key.title(), Status.LIVE, (f"EDI@{key}.example",), (Identity("ZZ", key.upper()),), ())
    return replace(found, **changes)


ACME, BOLT = partner("acme"), partner("bolt", status=Status.SUSPENDED)


@pytest.fixture
def directory():
    return Directory([ACME, BOLT], [US, Identity("01", "999")])


def test_the_whole_address_finds_its_partner_whatever_the_capitals(directory):
    assert directory.by_address("edi@ACME.example") is ACME
    assert directory.by_address("di@acme.example") is None
    assert directory.by_address("acme.example") is None


def test_a_partner_of_any_status_is_found(directory):
    assert directory.by_address("edi@bolt.example") is BOLT


def test_an_identity_is_qualifier_and_id_together(directory):
    assert directory.by_identity(Identity.of("zz", "ACME ")) is ACME
    assert directory.by_identity(Identity("01", "ACME")) is None


def test_our_identities_are_known_and_the_first_is_the_default(directory):
    assert directory.is_ours(US)
    assert directory.is_ours(Identity("01", "999"))
    assert not directory.is_ours(Identity("ZZ", "ACME"))
    assert directory.our_default == US
    with pytest.raises(ConfigurationFault, match=r"gateway\.toml names no EDI identity"):
        _ = Directory([], []).our_default


def test_it_is_a_collection_of_partners(directory):
    assert list(directory) == [ACME, BOLT]
    assert len(directory) == 2
    assert "acme" in directory
    assert directory.get("acme") is ACME
    with pytest.raises(UnknownPartner, match="nobody"):
        directory.get("nobody")


def test_an_ended_partner_gives_way():
    heir = partner("heir", addresses=ACME.addresses, identities=ACME.identities)
    ended = replace(ACME, status=Status.ENDED)
    assert Directory([ended, heir], []).by_address("edi@acme.example") is heir
    assert Directory([ended, heir], []).by_identity(ACME.identities[0]) is heir
    assert Directory([ended], []).by_address("edi@acme.example") is ended
    assert overlaps([ended, heir]) == []


def test_whatever_two_partners_claim_is_told():
    thief = partner("thief", addresses=("edi@ACME.example",), identities=ACME.identities)
    assert [str(each) for each in overlaps([ACME, BOLT, thief])] == [
        "The address edi@acme.example is claimed by both acme and thief.",
        "The identity ZZ:ACME is claimed by both acme and thief.",
    ]
    assert overlaps([ACME, BOLT]) == []


def test_a_partner_that_claims_to_be_us_is_told():
    (found,) = overlaps([partner("thief", identities=(US,))], [US])
    assert "ZZ:OURCO is claimed by both our own settings and thief" in str(found)
