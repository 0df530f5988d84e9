"""The [retention] table: spans in years, policies by transaction set, and what is too short."""

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.errors import SettingsInvalid
from gateway.settings import Kept, parse_settings
from gateway.settings.retention import YEAR, parse_kept, say_kept

HEAD = """
[gateway]
name = "Us"
domain = "us.example"
identities = ["ZZ:US"]
"""


def read(text, head=HEAD):
    return parse_settings((head + text).encode(), home=Path("/srv/edi")).retention


@pytest.mark.parametrize("written", ["10y", "2y", "730d", "24h", "36h"])
def test_a_time_is_said_as_it_is_written(written):
    assert say_kept(parse_kept(written)) == written


def test_years_and_days_may_stand_together():
    assert parse_kept("1y180d") == parse_kept(say_kept(parse_kept("1y180d"))) == YEAR + timedelta(days=180)


@pytest.mark.parametrize("written", ["", "y", "1.5y", "-1y", "23h", "101y", "1y1y", "1d1y", "10 years", "99999999d"])
def test_anything_else_is_no_time_to_keep_something(written):
    assert parse_kept(written) is None


def test_ten_years_is_the_default_of_everything_and_nothing_goes_by_itself():
    found = read("")
    assert (found.ledger, found.payload, found.nightly, found.move_to) == (10 * YEAR, 10 * YEAR, False, None)


def test_what_differs_for_a_transaction_set_is_read():
    types = '[retention.types]\n837 = { payload = "1y" }\nTA1 = { ledger = "3y", payload = "400d" }\n'
    found = read(f'[retention]\nledger = "7y"\npayload = "2y"\nmove_to = "old"\n{types}')
    assert found.move_to == Path("/srv/edi/old")
    assert dict(found.types) == {
        "837": Kept(payload=YEAR),
        "TA1": Kept(3 * YEAR, timedelta(days=400)),
    }


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('ledger = "364d"', 7, "duplicate_window"),
        ('types = { 850 = { ledger = "2d" } }', 7, "duplicate_window"),
        ('payload = "12h"', 7, "from 1d to 100y"),
        ("payload = 7", 7, "a time such as"),
        ("types = { 850 = {} }", 7, "850 is a table with ledger, payload or both"),
        ('types = { 850 = { bytes = "2y" } }', 7, "850 is a table with ledger, payload or both"),
        ('types = { orders = { payload = "2y" } }', 7, "is no transaction set"),
        ('leger = "2y"', 7, "did you mean ledger"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text, line, reason):
    with pytest.raises(SettingsInvalid, match=reason) as caught:
        read(f"[retention]\n{text}\n")
    assert caught.value.details["line"] == line
