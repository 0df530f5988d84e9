"""Calendars, expected files and numbering in profiles: what is read, and what is refused with its line and key."""

from datetime import time, timedelta

import pytest

from partners.calendar import Calendar, Holiday
from partners.model import Counted, Expected, Numbering
from partners.profile import check_profile, read_profile
from partners.words import as_document, in_words

HEAD = 'key = "acme"\naddresses = ["edi@acme.example"]\nidentities = ["ZZ:ACME"]\n'
IN = '[[agreement]]\nname = "orders"\ndirection = "in"\nsets = ["850"]\n'
OUT = '[[agreement]]\nname = "invoices"\ndirection = "out"\nsets = ["810"]\n'
WHOLE = f"""{HEAD}
numbers = "increasing"
gap_grace = "2h"
[calendar]
time_zone = "America/Chicago"
days = ["mon", "sat"]
opens = "08:00"
closes = "24:00"
holidays = ["12-25", "02-29", "2026-11-26"]
[acknowledgment]
counted = "working"
escalate_after = "4h"
[security]
receipt = "signed"
receipt_counted = "working"
{IN}{OUT}
[[expected]]
sets = ["850"]
by = "02:00"
[[expected]]
sets = ["*"]
by = "12:30"
days = ["mon", "wed"]
opens = "06:00"
agreement = "orders"
"""


def test_what_a_profile_says_of_time_is_read():
    partner = read_profile(WHOLE)
    holidays = (Holiday(12, 25), Holiday(2, 29), Holiday(11, 26, 2026))
    assert partner.calendar == Calendar("America/Chicago", ("mon", "sat"), time(8), time(0), holidays)
    assert partner.expected == (
        Expected(("850",), time(2)),
        Expected(("*",), time(12, 30), ("mon", "wed"), time(6), "orders"),
    )
    assert (partner.numbers, partner.group_numbers) == (Numbering.INCREASING, Numbering.CONSECUTIVE)
    assert partner.gap_grace == timedelta(hours=2)
    invoices = partner.agreements[1]
    assert invoices.acknowledgment.counted is Counted.WORKING
    assert invoices.acknowledgment.escalate_after == timedelta(hours=4)
    assert invoices.security.receipt_counted is Counted.WORKING


def test_the_profile_is_told_in_words_and_as_a_document():
    partner = read_profile(WHOLE)
    text = "\n".join(in_words(partner))
    for said in (
        "ISA13 may leave some out",
        "mon, sat 08:00 to 24:00 (America/Chicago); not on 12-25, 02-29, 2026-11-26",
        "850 by 02:00 on working days (America/Chicago)",
        "any document by 12:30 on mon, wed, from 06:00 (America/Chicago)",
        "within 1d of working time of the hand-over",
    ):
        assert said in text
    document = as_document(partner)
    assert document["calendar"]["holidays"] == ["12-25", "02-29", "2026-11-26"]
    assert document["expected"][0]["by"] == "02:00"


@pytest.mark.parametrize(
    ("lines", "key", "reason"),
    [
        ('[calendar]\ntime_zone = "Mars/Olympus"', "calendar.time_zone", "is not a time zone"),
        ('[calendar]\ntime_zone = "../../etc/passwd"', "calendar.time_zone", "is not a time zone"),
        ('[calendar]\ntime_zone = "America"', "calendar.time_zone", "is not a time zone"),
        ("[calendar]\ndays = []", "calendar.days", "the list is empty"),
        ('[calendar]\ndays = ["monday"]', "calendar.days[0]", "use one of mon"),
        ('[calendar]\nopens = "24:00"', "calendar.opens", "is not a time of day"),
        ("[calendar]\nopens = 08:00:00", "calendar.opens", "is not a time of day"),
        ('[calendar]\nopens = "18:00"\ncloses = "06:00"', "calendar.closes", "is not after 18:00"),
        ('[calendar]\nholidays = ["02-30"]', "calendar.holidays[0]", "is not a holiday"),
        ('[calendar]\nholidays = ["2026-02-29"]', "calendar.holidays[0]", "is not a holiday"),
        ('[calendar]\nholidays = ["Christmas"]', "calendar.holidays[0]", "is not a holiday"),
        ('[calendar]\nwork = "always"', "calendar.work", "there is no such key"),
        ('[[expected]]\nsets = ["850"]', "expected[0].by", "is missing"),
        ('[[expected]]\nby = "02:00"', "expected[0].sets", "is missing"),
        ('[expected]\nby = "02:00"', "expected", "two pairs of brackets"),
        ('[[expected]]\nsets = ["860"]\nby = "02:00"', "expected[0].sets[0]", "no agreement of direction in"),
        ('[[expected]]\nsets = ["810"]\nby = "02:00"', "expected[0].sets[0]", "no agreement of direction in"),
        ('[[expected]]\nsets = ["850"]\nby = "02:00"\nagreement = "x"', "expected[0].agreement", "there is 'orders'"),
        ('[[expected]]\nsets = ["850"]\nby = "02:00"\ndays = "daily"', "expected[0].days", "is not a list"),
        ('[[expected]]\nsets = ["850"]\nby = "02:00"\n' * 2, "expected[1]", "the same as an earlier one"),
    ],
)
def test_what_cannot_be_is_refused_with_its_key(lines, key, reason):
    partner, problems = check_profile(f"{HEAD}\n{IN}{OUT}\n{lines}\n")
    assert partner is None
    assert [each.key for each in problems] == [key]
    assert reason in problems[0].reason
