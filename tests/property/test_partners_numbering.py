"""Control numbers: what holds for all of them, across the wrap too."""

from hypothesis import given
from hypothesis import strategies as st

from partners.numbering import LAST, check_start, distance, format_number, gap, next_number

numbers = st.integers(1, LAST) | st.integers(1, 20) | st.integers(LAST - 20, LAST)


@given(numbers)
def test_the_next_number_is_one_ahead_and_never_zero(number):
    assert distance(number, next_number(number)) == 1
    assert 1 <= next_number(number) <= LAST


@given(numbers)
def test_a_written_number_has_nine_digits_and_is_read_back(number):
    assert len(format_number(number)) == 9
    assert check_start(format_number(number)) == check_start(format_number(number, width=1)) == number


@given(numbers, st.integers(0, 60))
def test_a_gap_holds_exactly_the_numbers_that_counting_up_passes(number, steps):
    passed = []
    seen = number
    for _ in range(steps):
        seen = next_number(seen)
        passed.append(seen)
    assert list(gap(number, seen)) == passed[:-1]
    assert gap(number, seen, window=max(steps - 1, 0)) == ()


@given(numbers, numbers)
def test_ahead_one_way_is_behind_the_other_way(first, second):
    assert distance(first, second) == -distance(second, first)
