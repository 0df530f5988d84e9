"""A query is written as the words that say it."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import QueryInvalid
from gateway.ledger.query import CHOICES, CRITERIA, FLAGS, SORTS, SPANS, Criterion, Query, either, without
from gateway.ledger.words import _CHOICES, FIELDS, parse_query
from gateway.ledger.written import as_line, split_line, written

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0*"), min_size=1, max_size=12).filter(
    lambda text: text.strip("<> \t\r\n").strip()
)
SPAN = st.sampled_from(["0", "10..", "..2000", "1k..2M"])
MOMENT = st.integers(-(2**40), 2**62)


def values(field: str) -> st.SearchStrategy[str]:
    if field in CHOICES:
        return st.sampled_from(sorted(set(_CHOICES[field].values())))
    return SPAN if field in SPANS else TEXT


def criteria(field: str) -> st.SearchStrategy[Criterion]:
    most = 1 if field in {"subject", "text"} else 3
    wanted = st.lists(values(field), min_size=1, max_size=most).map(tuple)
    return st.builds(Criterion, st.just(field), wanted, st.booleans())


@st.composite
def queries(draw: st.DrawFn) -> Query:
    """Any query that words can say: what is asked twice must be something that a row may have several of."""
    said = {name: draw(values(name)) for name in draw(st.sets(st.sampled_from(CRITERIA), max_size=4))}
    said |= {name: draw(st.booleans()) for name in draw(st.sets(st.sampled_from(FLAGS), max_size=2))}
    also = []
    for each in draw(st.lists(st.sampled_from(CRITERIA).flatmap(criteria), max_size=4)):
        taken = each.field in said or each.field in [other.field for other in also if not other.negated]
        if each.negated or not taken:
            also.append(each)
    sort = draw(st.sampled_from([None, *SORTS, *("-" + name for name in SORTS)]))
    kind = SORTS[(sort or "at").removeprefix("-")]
    before = draw(st.none() | st.tuples(TEXT if kind is str else MOMENT, st.integers(0, 2**59)))
    since, until = sorted(draw(st.sets(MOMENT, min_size=2, max_size=2)))
    window = draw(st.sampled_from([{}, {"since": since}, {"until": until}, {"since": since, "until": until}]))
    limit = draw(st.none() | st.integers(1, 10**9))
    return Query(**said, **window, also=tuple(also), sort=sort, before=before, limit=limit)


@given(queries(), st.sampled_from([UTC, ZoneInfo("Asia/Kathmandu")]))
def test_the_words_of_a_query_say_it_again_whenever_and_wherever_they_are_read(query, zone):
    now = datetime(2031, 2, 3, tzinfo=UTC)
    assert parse_query(written(query), now, zone) == query
    assert parse_query(split_line(as_line(written(query))), now, zone) == query


@given(st.lists(st.text(max_size=10), max_size=5))
def test_any_words_survive_a_line(words):
    words = [word for word in words if word]
    assert split_line(as_line(words)) == words


@given(st.text(max_size=60))
def test_any_line_has_words(line):
    assert "".join("".join(split_line(line)).split()).replace('"', "") == "".join(line.split()).replace('"', "")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (Query(), ""),
        (Query(partner="acme", type="850", overdue=True), "partner=acme type=850 overdue"),
        (Query(also=(either("type", "850", "855"), without("state", "in doubt"))), "type=850,855 -state=in-doubt"),
        (Query(business_key="po=45*", needs_attention=False), "key=po=45* -attention"),
        (Query(text="4711 Sunday"), "4711 Sunday"),
        (Query(text="overdue"), "text=overdue"),
        (Query(text="a=b -c"), '"text=a=b -c"'),
        (Query(subject='12" pipes'), '"subject=12"" pipes"'),
        (Query(file_name="a,b"), "file=a\\,b"),
        (
            Query(since=0, until=86_400_123, sort="size"),
            "since=1970-01-01T00:00Z until=1970-01-02T00:00:00.123Z sort=size",
        ),
        (Query(limit=None, before=(5, 7)), "limit=all before=5-7"),
        (Query(sort="file", before=("a b-c", 7)), "sort=file before=a%20b-c-7"),
    ],
)
def test_words_are_those_that_a_person_would_write(query, words):
    assert as_line(written(query)) == words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('partner=acme  subject="night orders"', ["partner=acme", "subject=night orders"]),
        ("O'Brien \"open", ["O'Brien", '"open']),
        ('"" x', ["", "x"]),
        ('say ""hello""', ["say", "hello"]),
    ],
)
def test_a_line_is_read_as_it_looks(line, words):
    assert split_line(line) == words


def test_json_gives_a_query_back():
    query = Query(partner="acme", also=(without("state", "in doubt"),))
    made = [{"field": "state", "values": ["in doubt"], "negated": True}]
    assert Query(partner="acme", also=made) == query


def test_what_is_asked_is_named():
    query = Query(partner="acme", late=True, since=1, also=(without("state", "sent"),), sort="size", limit=3)
    assert query.asked == {"partner", "late", "since", "state"}


def test_every_field_but_those_of_times_and_pages_is_part_of_a_query():
    assert set(FIELDS) - {"on", "zone"} <= {*Query.__struct_fields__}


@pytest.mark.parametrize("criterion", [("state", ()), ("colour", ("x",)), ("subject", ("a", "b")), ("size", ("x",))])
def test_what_is_no_criterion_is_refused(criterion):
    with pytest.raises(QueryInvalid):
        Criterion(*criterion)
