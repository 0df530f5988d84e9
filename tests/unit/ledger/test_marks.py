"""What the text index knows an exchange by, and what it is asked."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from builders import ledger_rows as make
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger import marks
from gateway.ledger.clauses import _expression, clauses_of_exchanges
from gateway.ledger.query import Query, either
from gateway.ledger.search_tables import FULL_TEXT


def at(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)


@given(st.integers(-(2**63), 2**63 - 2))
def test_every_moment_is_within_its_month(moment):
    start, end = marks.span_of(marks.month_of(moment))
    assert start <= moment < end


def test_months_follow_each_other_without_a_gap():
    first, last = marks.month_of(-5), marks.month_of(2**60)
    spans = [marks.span_of(month) for month in range(first, last + 1)]
    assert spans[0][0] == -(2**63)
    assert spans[-1][1] == 2**63 - 1
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert marks.span_of(marks.month_of(at(2026, 2, 28))) == (at(2026, 2, 1), at(2026, 3, 1))


def test_numbers_of_keys_stand_apart_and_each_number_once():
    row = make.EXCHANGE | {"id": 7, "subject": "Order 4500012345, ISA 000000017", "file_name": "4500012345.edi"}
    indexed = marks.of_exchange(row, ["4500012345", "AB-1234"])
    assert (indexed.numbers, indexed.others) == (("4500012345",), ("000000017",))
    text, numbers = marks.as_text_and_marks(indexed)
    assert text == "order 4500012345, isa 000000017\n4500012345.edi\n4500012345\nab-1234"
    assert {145000, 112345, 17} <= set(numbers)
    assert 12345 not in numbers
    assert all(each >= 200_000 for each in indexed.marks)


def test_what_does_not_fit_into_the_columns_shares_the_last_one():
    indexed = marks.of_exchange(make.EXCHANGE | {"id": 7}, [f"K-{number}" for number in range(100)])
    row = marks.as_columns(indexed)
    assert len(row) == marks.COLUMNS + 1
    assert row[0] == 7
    assert row[-1].count("\n") > 80


@pytest.fixture(scope="module")
def full_text():
    connection = sqlite3.connect(":memory:")
    connection.execute(FULL_TEXT)
    yield connection
    connection.close()


@given(number=st.from_regex(r"[0-9]{5,14}", fullmatch=True), start=st.integers(0, 9), length=st.integers(5, 14))
def test_every_five_digits_of_a_number_lead_to_it(full_text, number, start, length):
    piece = number[start : start + length]
    indexed = marks.of_exchange(make.EXCHANGE | {"id": 1, "subject": "", "file_name": ""}, [f"PO{number}"])
    columns = ", ".join(f"c{each}" for each in range(marks.COLUMNS))
    insert = f"INSERT INTO search_text (rowid, {columns}) VALUES (?{', ?' * marks.COLUMNS})"
    full_text.execute(insert, marks.as_columns(indexed))
    for query in (Query(text=f"*{piece}*"), Query(business_key=f"*{piece}*")) if len(piece) > 4 else ():
        expression = _expression(clauses_of_exchanges(query))
        found = full_text.execute("SELECT rowid FROM search_text WHERE search_text MATCH ?", (expression,)).fetchall()
        assert found == [(1,)]
    full_text.rollback()


def test_what_is_asked_is_all_quoted():
    asked = Query(text='say "hi', also=(either("file_name", "NEAR(a*", "b OR c"),))
    outside = _expression(clauses_of_exchanges(asked)).replace('""', "").split('"')[::2]
    assert set("".join(outside)) <= set(" ANDOR()")
