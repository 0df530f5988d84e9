"""The quick JSON of rows is the plain one, byte for byte: digests are made of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger import plain_json, quick_json

USUAL = st.none() | st.booleans() | st.integers() | st.text()
ODD = (
    st.floats() | st.binary() | st.lists(st.floats(), max_size=2) | st.dictionaries(st.text(), st.floats(), max_size=2)
)


def told(encode, value, errors="strict"):
    """What it gives, or that it cannot."""
    try:
        found = encode(value)
        return found if isinstance(found, bytes) else found.encode(errors=errors)
    except (TypeError, ValueError) as problem:
        return type(problem)


HALVES = st.text(st.characters(categories=["Cs", "Ll"]), max_size=3)


@given(st.lists(USUAL | ODD | HALVES))
def test_a_row_is_the_same(values):
    assert told(quick_json.compact, values) == told(plain_json.compact, values)
    assert told(quick_json.compact, tuple(values)) == told(plain_json.compact, tuple(values))
    assert quick_json.compact_any(values) == told(plain_json.compact_any, values, "surrogatepass")


@given(st.dictionaries(st.text() | st.integers(), USUAL | ODD | st.dates()))
def test_a_body_is_the_same(body):
    usual = plain_json.encoding(sort_keys=True, default=str)
    assert told(quick_json.sorting(str), body) == told(usual, body)


def test_every_character_is_written_as_ever():
    values = ["".join(map(chr, range(0xD800))), "".join(map(chr, range(0xE000, 0x11000)))]
    assert quick_json.compact(values) == plain_json.compact(values).encode()


@pytest.mark.parametrize("value", [float("inf"), float("nan"), b"abc", 1e-7, 1e16, "\ud800", "\udfff\ud800"])
def test_what_would_be_written_otherwise_is_left_to_the_other(value):
    assert quick_json.compact_any([1, value]) == told(plain_json.compact_any, [1, value], "surrogatepass")
