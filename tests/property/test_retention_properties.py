"""What holds for any bytes, any numbers and any policies."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ledger.archive import TAG, _opened_piece, encrypted_piece
from gateway.ledger.at_rest import encrypted_text
from gateway.ledger.payload_keys import PayloadKey
from gateway.ledger.retention_checks import _merged
from gateway.ledger.retention_policy import Policies, Rule, Spans
from gateway.ledger.retention_purge import ranges

secrets = st.binary(min_size=32, max_size=32)
spans = st.integers(1, 10**12)
rules = st.builds(Rule, st.none() | spans, st.none() | spans)
names = st.sampled_from(["", "acme", "globex"])
types = st.sampled_from(["", "850", "837", "997"])


@given(secrets, st.binary(max_size=2_000), st.integers(0, 2**40), st.text("0123456789abcdef", min_size=64, max_size=64))
def test_a_piece_opens_with_its_own_key_at_its_own_place_only(secret, data, ordinal, name):
    encrypted = encrypted_piece(secret, name, ordinal, data)
    assert len(encrypted) == len(data) + TAG
    assert _opened_piece(secret, name, ordinal, encrypted) == data
    other = bytes([secret[0] ^ 1]) + secret[1:]
    for wrong in (
        _opened_piece(other, name, ordinal, encrypted),
        _opened_piece(secret, name, ordinal + 1, encrypted),
        _opened_piece(secret, f"{int(name[0], 16) ^ 1:x}{name[1:]}", ordinal, encrypted),
        _opened_piece(secret, name, ordinal, encrypted[:-1] + bytes([encrypted[-1] ^ 1])),
    ):
        assert wrong == b""


@given(secrets, secrets, st.integers(1, 2**40))
def test_a_wrapped_key_is_the_same_key_again(kek, secret, number):
    key = PayloadKey(number, kek)
    assert key.unwrap("ab", key.wrap("ab", secret)) == secret
    assert key.wrap("ab", secret) != key.wrap("ab", secret)
    assert kek.hex() not in repr(key)


@given(secrets, st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_an_encrypted_text_holds_nothing_of_the_text(secret, text):
    encrypted = encrypted_text(text, PayloadKey(3, secret))
    assert encrypted.startswith("encrypted:3:")
    assert len(text) < 8 or text not in encrypted


@given(st.sets(st.integers(0, 300)))
def test_ranges_say_exactly_the_numbers(numbers):
    found = list(ranges(sorted(numbers)))
    assert {number for first, last in found for number in range(first, last + 1)} == numbers
    assert all(a[1] + 1 < b[0] for a, b in pairwise(found))


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 20)).map(lambda pair: (pair[0], sum(pair)))))
def test_merged_spans_cover_the_same_and_nothing_twice(given_spans):
    found = _merged(given_spans)
    covered = {number for first, last in given_spans for number in range(first, last + 1)}
    assert {number for first, last in found for number in range(first, last + 1)} == covered
    assert sum(last - first + 1 for first, last in found) == len(covered)


policies = st.builds(
    Policies,
    st.builds(Spans, spans, spans),
    st.dictionaries(types, rules, max_size=3),
    st.dictionaries(names, rules, max_size=3),
    st.dictionaries(st.tuples(names, st.sampled_from(["in", "out"]), types | st.just("*")),
                    st.lists(rules, min_size=1, max_size=2).map(tuple), max_size=4),
    st.integers(0, 10**10),
    st.booleans(),
)  # fmt: skip


@given(policies, names, st.sampled_from(["in", "out"]), st.lists(types, max_size=3))
def test_nothing_goes_before_the_shortest_time_nor_its_history_before_its_bytes(rules, partner, direction, kinds):
    found = rules.of_exchange(partner, direction, kinds)
    shortest = rules.shortest()
    assert found.ledger >= max(found.payload, rules.window, shortest.ledger)
    assert found.payload >= shortest.payload
    assert found.payload in rules.payload_spans()
    for kind in kinds:
        alone = rules.of_exchange(partner, direction, [kind])
        assert found.longest(alone) == found


@settings(max_examples=200)
@given(st.integers(0, 4_102_444_800_000), st.integers(0, 10**11))
def test_a_whole_month_is_over_when_its_last_day_is(at, span):
    monthly = Policies(Spans(span, span), whole_months=True)
    over = monthly.over_at(at, span)
    assert over > at + span
    ends = datetime.fromtimestamp((over - span) / 1000, UTC)
    began = datetime.fromtimestamp(at / 1000, UTC)
    assert (ends.day, ends.hour, ends.minute, ends.second) == (1, 0, 0, 0)
    assert (ends.year * 12 + ends.month) - (began.year * 12 + began.month) == 1
