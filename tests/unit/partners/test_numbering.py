"""Control numbers: from 1 to 999999999 and again from 1."""

import pytest

from gateway.errors import ConfigurationFault
from partners.numbering import LAST, check_start, distance, format_number, gap, next_number


def test_numbers_count_up_and_wrap_to_one():
    assert [next_number(0), next_number(1), next_number(LAST - 1), next_number(LAST)] == [1, 2, LAST, 1]


@pytest.mark.parametrize("wrong", [-1, LAST + 1])
def test_what_is_no_number_has_no_next(wrong):
    with pytest.raises(ValueError, match="is not a control number"):
        next_number(wrong)


def test_isa13_has_nine_digits_and_gs06_no_leading_zeros():
    assert format_number(17) == "000000017"
    assert format_number(17, width=1) == "17"
    assert format_number(LAST) == "999999999"
    with pytest.raises(ValueError):
        format_number(0)


def test_missing_numbers_are_those_between():
    assert gap(5, 6) == gap(5, 5) == ()
    assert gap(5, 8) == (6, 7)
    assert gap(LAST - 1, 2) == (LAST, 1)


def test_late_numbers_and_new_beginnings_are_no_gaps():
    assert gap(8, 5) == ()
    assert gap(2, LAST) == ()
    assert gap(5, 5_000) == ()
    assert len(gap(5, 5_000, window=10_000)) == 4_994


def test_distance_is_counted_across_the_wrap():
    assert (distance(LAST, 1), distance(1, LAST), distance(7, 7)) == (1, -1, 0)


@pytest.mark.parametrize(("given", "number"), [("000000017", 17), (1, 1), (" 42 ", 42), (LAST, LAST)])
def test_a_start_value_may_be_a_number_or_its_digits(given, number):
    assert check_start(given) == number


@pytest.mark.parametrize("given", [0, -1, LAST + 1, "", "12a", "١٢", True, None, 1.0, "9" * 5000])
def test_another_start_value_is_refused_with_what_is_allowed(given):
    with pytest.raises(ConfigurationFault, match="use 1 to 999999999"):
        check_start(given)
