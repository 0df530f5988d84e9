"""Identities that were most likely meant to be the same, and those that are not."""

import pytest

from partners.model import Identity
from partners.onboarding_likeness import difference, nearest

ACME = Identity("01", "0123456789")


@pytest.mark.parametrize(
    ("found", "known", "said"),
    [
        ("ZZ:ACMERETAIL", "01:ACMERETAIL", "only the qualifier differs: ZZ instead of 01"),
        ("ZZ:acmeretail", "ZZ:ACMERETAIL", "only capitals differ"),
        ("12:555-123-4567", "12:5551234567", "only blanks or marks differ"),
        ("12:555-123-4567", "01:5551234567", "only blanks or marks differ, and the qualifier is 12"),
        ("01:123456789", "01:0123456789", "only zeros at the beginning differ"),
        ("01:123456789", "01:123456789T", "its end 'T' is missing"),
        ("01:123456789P", "01:123456789", "'P' was added to it"),
        ("ZZ:ACMERTEAIL", "ZZ:ACMERETAIL", "one character differs from ACMERETAIL"),
        ("ZZ:ACMEXETAIL", "ZZ:ACMERETAIL", "one character differs from ACMERETAIL"),
        ("ZZ:ACMETAIL", "ZZ:ACMERETAIL", ""),
        ("ZZ:GLOBEX", "ZZ:ACMERETAIL", ""),
        ("ZZ:ACMERETAIL", "ZZ:ACMERETAIL", ""),
        ("ZZ:A", "ZZ:B", ""),
    ],
)
def test_a_difference_is_said_in_words(found, known, said):
    assert difference(Identity.parse(found), Identity.parse(known)) == said


def test_the_one_that_was_meant_is_found_among_several():
    known = [Identity("ZZ", "GLOBEX"), ACME]
    assert nearest(Identity("01", "123456789"), known) == (ACME, "only zeros at the beginning differ")
    assert nearest(Identity("01", "999"), known) is None
