"""Queries as people write them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import QueryInvalid
from gateway.ledger.key_value import key_value
from gateway.ledger.moments import duration, iso, milliseconds, spoken
from gateway.ledger.query import NOBODY, Query, either, identity_parts, number_forms, without
from gateway.ledger.words import ALIASES, FIELDS, parse_query
from gateway.ledger.written import written

BERLIN = ZoneInfo("Europe/Berlin")
DAY = 86_400_000  # ms
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=BERLIN)


def at(*parts, zone=BERLIN):
    return milliseconds(datetime(*parts, tzinfo=zone))


def parsed(*words):
    return parse_query(words, NOW, BERLIN)


def test_words_flags_and_free_text_together():
    assert parsed("partner=acme", "type:850", "overdue", "needs-attention=no", "4711", "Sunday") == Query(
        partner="acme", type="850", overdue=True, needs_attention=False, text="4711 Sunday"
    )


@pytest.mark.parametrize(
    ("word", "criterion"),
    [
        ("isa13=17", {"control_number": "17"}),
        ("GS06=17", {"group_control_number": "17"}),
        ("st02=0001", {"set_control_number": "0001"}),
        ("key=po=4500*", {"business_key": "po=4500*"}),
        ("message-id=<a=b:c@x.example>", {"message_id": "a=b:c@x.example"}),
        ("sender=ZZ:OURCO", {"sender": "ZZ:OURCO"}),
        ("from=*@acme.example", {"from_address": "*@acme.example"}),
        ("direction=Inbound", {"direction": "in"}),
        ("state=in-doubt", {"state": "in doubt"}),
        ("state=in doubt", {"state": "in doubt"}),
        ("state=refused-by-the-partner", {"state": "refused by the partner"}),
        ("verdict=partially-accepted", {"verdict": "partially_accepted"}),
        ("usage=test", {"usage": "T"}),
        ("limit=5", {"limit": 5}),
        ("before=1795312800000-17", {"before": (1_795_312_800_000, 17)}),
        ("duplicate=NO", {"duplicate": False}),
        ("-overdue", {"overdue": False}),
        ("-duplicate=no", {"duplicate": True}),
        ("settled", {"settled": True}),
        ("limit=all", {"limit": None}),
        ("sort=size", {"sort": "size"}),
        ("sort=-Size", {"sort": "-size"}),
        ("sort=newest", {}),
        ("sort=oldest", {"sort": "at"}),
        ("size=10k..2M", {"size": "10000..2000000"}),
        ("size>10k", {"size": "10001.."}),
        ("size<=2MB", {"size": "..2000000"}),
        ("findings=0", {"findings": "0"}),
        ("type=850,855", {"also": (either("type", "850", "855"),)}),
        ("state=in-doubt,Overdue", {"also": (either("state", "in doubt", "overdue"),)}),
        ("-state=delivered", {"also": (without("state", "delivered"),)}),
        ("state!=delivered", {"also": (without("state", "delivered"),)}),
        ("-state!=delivered", {"state": "delivered"}),
        ("-po=4711,4712", {"also": (without("business_key", "po=4711", "po=4712"),)}),
        ("po=4711,45*", {"also": (either("business_key", "po=4711", "po=45*"),)}),
        ("-4711", {"also": (without("text", "4711"),)}),
        ("-text=a=b", {"also": (without("text", "a=b"),)}),
        (r"file=a\,b.edi", {"file_name": "a,b.edi"}),
        (r"file=a\b.edi", {"file_name": r"a\b.edi"}),
        (r"file=a\\,b.edi", {"also": (either("file_name", "a\\", "b.edi"),)}),
        ("subject=Orders, urgent", {"subject": "Orders, urgent"}),
        ("->x", {"also": (without("text", ">x"),)}),
        ("a<b>c", {"text": "a<b>c"}),
        ("-", {"text": "-"}),
        ("<CAF=abc@mail.example>", {"text": "<CAF=abc@mail.example>"}),
        ("=x", {"text": "=x"}),
        ("@acme.example", {"text": "@acme.example"}),
        ("text=@late", {"text": "@late"}),
        ("partner=ACME", {"partner": "acme"}),
        ("mailbox=Orders,Other", {"also": (either("mailbox", "orders", "other"),)}),
        ("fault=Sending.*", {"fault": "sending.*"}),
        ("partner=-", {"partner": NOBODY}),
        ("partner=(Strangers)", {"partner": NOBODY}),
        ("-partner=-", {"also": (without("partner", NOBODY),)}),
    ],
)
def test_each_word(word, criterion):
    assert parsed(word) == Query(**criterion)


def test_not_turns_the_next_word_round_and_words_that_a_row_may_have_several_of_may_be_said_twice():
    assert parsed("NOT", "overdue", "type=850", "type=997", "NOT", "-partner=acme") == Query(
        overdue=False, type="850", partner="acme", also=(either("type", "997"),)
    )


def test_pages_of_any_order_begin_after_a_row():
    assert parsed("sort=partner", "before=acme%20co-17").before == ("acme co", 17)
    assert parsed("sort=-size", "before=2048-17").before == (2048, 17)
    assert parsed("before=-5-17").before == (-5, 17)


@pytest.mark.parametrize(
    ("words", "since", "until"),
    [
        (["on=2026-11-22"], at(2026, 11, 22), at(2026, 11, 23)),
        (["on=2026-11"], at(2026, 11, 1), at(2026, 12, 1)),
        (["on=2026"], at(2026, 1, 1), at(2027, 1, 1)),
        (["on=today"], at(2026, 11, 22), at(2026, 11, 23)),
        (["on=yesterday"], at(2026, 11, 21), at(2026, 11, 22)),
        (["since=2026-11-20", "until=2026-11-21"], at(2026, 11, 20), at(2026, 11, 22)),
        (["since=7d"], at(2026, 11, 15, 12), None),
        (["since=36h", "until=now"], at(2026, 11, 21), at(2026, 11, 22, 12)),
        (["since=2026-11-22T02:00:00Z"], at(2026, 11, 22, 2, zone=UTC), None),
        (["since=2026-11-22T02:00"], at(2026, 11, 22, 2), None),
        (["until=2026-11-22 02:00"], None, at(2026, 11, 22, 2)),
        (["until=20261121"], None, at(2026, 11, 22)),
        (["on=20261121"], at(2026, 11, 21), at(2026, 11, 22)),
        (["on=2026-W47"], at(2026, 11, 16), at(2026, 11, 23)),
        (["until=2026w47"], None, at(2026, 11, 23)),
        (["on=2026-W53"], at(2026, 12, 28), at(2027, 1, 4)),
        (["on=2026-W47-7"], at(2026, 11, 22), at(2026, 11, 23)),
        (["since=2026W477"], at(2026, 11, 22), None),
        (["until=20261122T02"], None, at(2026, 11, 22, 2)),
        (["on=2026-10-25"], at(2026, 10, 25), at(2026, 10, 26)),  # a day of 25 hours in Berlin
        (["on=2026-11-22", "zone=America/New_York"], at(2026, 11, 22, 6), at(2026, 11, 23, 6)),
    ],
)
def test_times(words, since, until):
    assert parsed(*words) == Query(since=since, until=until)


def test_a_day_of_changing_clocks_has_25_hours():
    query = parsed("on=2026-10-25")
    assert query.until - query.since == 25 * 3_600_000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["partnr=acme"], "at partnr=acme: there is no field partnr; did you mean partner?"),
        (["colour:red"], "The fields are partner, direction"),
        (["state=overdu"], "at state=overdu: overdu is not possible here; did you mean overdue?"),
        (["partner="], "at partner=: a value is missing"),
        (["partner=a", "partner:b"], "partner is asked twice"),
        (["since=soon"], "at since=soon: it is no time; write for example"),
        (["since=2026-02-30"], "it is no time"),
        (["until=9999"], "it is no time"),
        (["since=999999w"], "it is no time"),
        (["since=2026-13"], "it is no time"),
        (["since=2026-W54"], "it is no time"),
        (["since=20261322"], "it is no time"),
        (["until=9999-W52"], "it is no time"),
        (["on=7d"], "a day, week, month or year is wanted"),
        (["since=today", "until=yesterday"], "ends before it begins"),
        (["zone=Mars/Olympus"], "no such time zone"),
        (["zone=../../etc/passwd"], "no such time zone"),
        (["limit=0"], "a number from 1 on"),
        (["limit=many"], "a number from 1 on"),
        (["before=x"], "not the cursor"),
        (["overdue=perhaps"], "yes or no"),
        (["partner=a,,b"], "a value is missing beside a comma"),
        (["po=,,"], "at po=,,: a value is missing beside a comma"),
        (["-po=4711,"], "a value is missing beside a comma"),
        (["@late"], "at @late: no saved query can be asked here; text=@late looks for such words"),
        (["-@late"], "at -@late: no saved query can be asked here; text=@late"),
        (["NOT", "@late"], "no saved query can be asked here"),
        (["po=" + "x" * 1000 + "*"], "1004 characters; 1000 are allowed"),
        (["po=" + "x" * 1000 + "\udcff"], "never stored"),
        (["partner=a", "partner=b"], "for either write partner=…,…"),
        (["on=2026-11-22", "since=7d"], "since is said twice"),
        (["-since=7d"], "since has no opposite"),
        (["NOT"], "a word is missing after it"),
        (["sort=colour"], "it sorts by at, updated, size, partner"),
        (["sort=partner", "sort=size"], "sort is asked twice"),
        (["sort=size", "before=acme-1"], "not the cursor of a page in this order"),
        (["size=huge"], "a number or a span is wanted here: 1234, 10k.., ..2M, 10k..2M"),
        (["size=2M..10k"], "the span ends before it begins"),
        (["size=.."], "a number or a span is wanted here"),
        (["size<0"], "nothing is below 0"),
        (["partner>acme"], "only size, segments, findings can be compared; write partner=…"),
        (["type=" + ",".join(map(str, range(51)))], "it takes 1 to 50 values"),
        (["-x"] * 31, "more than 30 criteria"),
        (["-nonsense=1"], "at -nonsense=1: there is no field nonsense"),
        (["subject=*a*b*c*d*"], "more than 4 stars"),
        (["subject=" + "x" * 1001], "1001 characters; 1000 are allowed"),
        (["subject=a\0b"], "never stored"),
        (["subject=\udcff"], "never stored"),
        (["x"] * 21, "more than 20 words"),
    ],
)
def test_a_word_that_cannot_be_understood_is_named_with_what_could_stand_there(words, said):
    with pytest.raises(QueryInvalid) as caught:
        parsed(*words)
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


@given(st.dates(date(1980, 1, 1), date(9998, 1, 1)))
def test_a_day_and_a_week_are_meant_whole_however_they_are_written(day):
    year, week, number = day.isocalendar()
    start = at(day.year, day.month, day.day, zone=UTC)
    whole = Query(since=start, until=start + DAY)
    for value in (f"{day}", f"{day:%Y%m%d}", f"{year}-W{week:02}-{number}", f"{year}w{week:02}{number}"):
        assert parse_query([f"on={value}"], NOW, UTC) == whole
        assert parse_query([f"since={value}", f"until={value}"], NOW, UTC) == whole
    monday = start - (number - 1) * DAY
    assert parse_query([f"on={year}-W{week:02}"], NOW, UTC) == Query(since=monday, until=monday + 7 * DAY)


@given(st.text("0123456789-W", min_size=4, max_size=10))
def test_no_date_is_taken_for_a_moment(value):
    with suppress(QueryInvalid):
        assert parse_query([f"until={value}"], NOW, UTC) != parse_query([f"since={value}"], NOW, UTC)


def test_a_business_key_of_any_length_is_asked_as_the_ledger_keeps_it():
    long = "x" * 1_210
    assert parsed(f"po={long}") == Query(business_key=f"po={key_value(long)}")
    assert parsed(f"key={long}") == Query(business_key=key_value(long))
    assert parsed(long, "4711") == Query(text=f"{key_value(long)} 4711")
    assert parse_query(written(parsed(f"po={long}")), NOW) == parsed(f"po={long}")


@given(st.lists(st.text(max_size=30), max_size=4))
def test_any_words_give_a_query_or_a_fault(words):
    with suppress(QueryInvalid):
        parse_query(words, NOW)


@given(st.sampled_from(sorted({*FIELDS, *ALIASES})), st.sampled_from("=:"), st.text(max_size=30))
def test_any_value_of_any_field_gives_a_query_or_a_fault(field, sign, value):
    with suppress(QueryInvalid):
        parse_query([field + sign + value], NOW)


def test_a_control_number_is_looked_for_with_any_number_of_leading_zeros():
    assert set(number_forms("0017")) == {"17", "017", "0017", *("17".zfill(width) for width in range(5, 10))}
    assert number_forms("0") == ("0", *("0" * width for width in range(2, 10)))
    assert number_forms("AB12") == ("AB12",)
    assert number_forms("1234567890") == ("1234567890",)


def test_an_identity_may_be_written_with_and_without_its_qualifier():
    assert identity_parts("1:123456789") == ("01", "123456789")
    assert identity_parts(" OURCO ") == (None, "OURCO")


def test_times_for_people():
    assert spoken(1_795_312_813_000, BERLIN) == "22 Nov 2026 03:00:13"
    assert iso(1_795_312_813_042, BERLIN) == "2026-11-22T03:00:13.042+01:00"
    assert iso(None) is None
    assert [duration(ms) for ms in (0, 5_000, 840_000, 90_061_000)] == ["0 s", "5 s", "14 min", "1 d 1 h"]


@pytest.mark.parametrize("written", ["2026-10-25T02:30", "2026-03-29T02:30"])
def test_a_time_that_the_clock_shows_twice_or_leaves_out_leaves_nothing_out(written):
    """Berlin sets its clock by an hour at those: from the first of both moments, and up to the last."""
    first = parse_query([f"since={written}"], NOW, BERLIN).since
    last = parse_query([f"until={written}"], NOW, BERLIN).until
    assert last - first == 3_600_000
    assert parse_query([f"since={written}:00Z"], NOW, BERLIN).since == parse_query([f"until={written}Z"], NOW).until
    with pytest.raises(QueryInvalid, match="for moments"):
        parse_query([f"on={written}"], NOW, BERLIN)
