"""What an identity may be made of."""

import pytest

from gateway.settings.identities import QUALIFIERS, against
from gateway.x12 import envelope


def test_who_declares_an_identity_and_who_judges_one_have_the_same_list():
    """Else a qualifier that was taken in gateway.toml would be refused in every document of ours."""
    assert QUALIFIERS == envelope._QUALIFIERS


@pytest.mark.parametrize("id_", ["EXAMPLE", "ex-ample", "A B", "A:B", "A.B/C", "1234567890"])
def test_what_an_isa_can_carry_is_taken(id_):
    assert against("ZZ", id_) == ""


@pytest.mark.parametrize("id_", ["A*B", "A~B", "A\x01B", "Ä", "A\x7f"])
def test_what_would_end_an_element_or_is_not_ascii_is_refused(id_):
    assert "cannot carry" in against("ZZ", id_)
