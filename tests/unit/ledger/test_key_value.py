"""Business keys of any length."""

from __future__ import annotations

from gateway.ledger.key_value import WHOLE, key_value


def test_a_key_as_long_as_any_number_is_kept_as_it_is():
    assert key_value("4500012345") == "4500012345"
    assert key_value("x" * WHOLE) == "x" * WHOLE


def test_longer_keys_stay_apart_from_each_other_and_fit_into_an_index():
    """PostgreSQL takes no index entry over 2,704 bytes."""
    one, other = key_value("é" * 9_999 + "1"), key_value("é" * 9_999 + "2")
    assert one != other
    assert one.startswith("é" * 400)
    assert len(one.encode()) < 1_000


def test_a_key_that_is_no_proper_text_has_a_value_too():
    assert key_value("\udc80" * 600) == key_value("\udc80" * 600)
