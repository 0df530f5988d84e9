"""[tariff]: amounts are exact, and what makes no sense is refused with line and key."""

from decimal import Decimal
from pathlib import Path

import pytest

from gateway.errors import SettingsInvalid
from gateway.settings import parse_settings
from gateway.settings.model import Tier

TIER = "{ from = 9, in = 1, out = 1 }"
HEAD = '[gateway]\nname = "X"\ndomain = "x.example"\nidentities = ["ZZ:X"]\n'


def read(table):
    return parse_settings(f"{HEAD}{table}".encode(), home=Path("/srv/edi")).tariff


def test_without_the_table_there_is_no_tariff():
    assert read("") is None


def test_amounts_are_what_is_written_as_text_or_number():
    found = read(
        '[tariff]\ncurrency = "USD"\nper_kilocharacter_in = "0.10"\nper_kilocharacter_out = 0.1\nmonthly_fee = 25\n'
    )
    assert (found.per_kilocharacter_in, found.per_kilocharacter_out) == (Decimal("0.10"), Decimal("0.1"))
    assert found.monthly_fee == 25


def test_tiers_are_read_in_order():
    tiers = '[{ from = 1000, in = "0.1", out = "0.2" }, { from = 5000, in = 0.05, out = 0 }]'
    found = read(f'[tariff]\ncurrency = "EUR"\ntiers = {tiers}\n').tiers
    assert found == (Tier(1000, Decimal("0.1"), Decimal("0.2")), Tier(5000, Decimal("0.05"), Decimal(0)))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "the key is missing"),
        ('currency = "usd"', "a currency such as"),
        ('currency = "USD"\nmonthly_fee = "-1"', "an amount such as"),
        ('currency = "USD"\nmonthly_fee = "1,50"', "an amount such as"),
        ('currency = "USD"\nmonthly_fee = "0.1234567"', "at most six places"),
        ('currency = "USD"\nmonthly_fee = nan', "an amount such as"),
        ('currency = "USD"\nmonthly_fee = true', "true or false"),
        ('currency = "USD"\nrounding = "up"', "interchange or document or none"),
        ('currency = "USD"\nkilocharacter = 999', "1000 to 1024"),
        ('currency = "USD"\ntiers = [{ from = 10, in = "1" }]', "tier 1: a table with from, in and out"),
        ('currency = "USD"\ntiers = [{ from = 10, in = "1", out = "x" }]', "tier 1: an amount"),
        (f'currency = "USD"\ntiers = [{TIER}, {TIER}]', "must begin above 9"),
        ('currency = "USD"\ntiers = [{ from = 0, in = 1, out = 1 }]', "tier 1: from is a number"),
        ('currency = "USD"\ntiers = "none"', "a list of"),
        ('currency = "USD"\nprice = 1', "unknown key"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(line, reason):
    with pytest.raises(SettingsInvalid, match="tariff") as caught:
        read(f"[tariff]\n{line}\n")
    assert reason in str(caught.value)
