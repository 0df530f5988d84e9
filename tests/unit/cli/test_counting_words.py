"""Words for numbers: one thing is one, and thousands are apart."""

import pytest

from gateway.words import count


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 mails"), (1, "1 mail"), (2, "2 mails"), (20_000, "20,000 mails"), (-1, "-1 mails")]
)
def test_a_number_and_its_thing(number, said):
    assert count(number, "mail") == said


def test_a_plural_of_its_own():
    assert (count(1, "copy", "copies"), count(2, "copy", "copies")) == ("1 copy", "2 copies")
