"""SQLite makes of a row, and of its core, the very text that we make, whatever stands in the columns."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import groupby
from operator import itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.audited import AUDITED

TYPES = ("", "TEXT COLLATE RTRIM", "TEXT COLLATE NOCASE", "INTEGER", "REAL")
OWN = object()  # stands for the default of the column
VALUES = st.sampled_from([OWN, OWN, OWN, None, 0, 1, "", " ", "0", "[]", "{}", "in", "out", "IN", 'é"\\\n\x01', "a\0b"])


@st.composite
def tables(draw, audited):
    """Types of columns and some rows, most of them with defaults at the end."""
    types = [draw(st.sampled_from(TYPES)) for _ in audited.columns]
    rows = []
    for number in range(1, draw(st.integers(1, 5)) + 1):
        drawn = draw(st.lists(VALUES, min_size=len(types), max_size=len(types)))
        end = draw(st.integers(0, len(types)))
        row = [
            blank if value is OWN or place >= end else value
            for place, (value, blank) in enumerate(zip(drawn, audited.blank, strict=True))
        ]
        row[audited.columns.index(audited.owner)] = number if audited.one_by_one else draw(st.integers(1, 3))
        rows.append(row)
    types[audited.columns.index(audited.owner)] = "INTEGER"
    return types, rows


@pytest.mark.parametrize("name", AUDITED)
@given(data=st.data(), together=st.integers(1, 3))
def test_sqlite_encodes_a_row_as_we_do(name, data, together):
    audited = AUDITED[name]
    types, rows = data.draw(tables(audited))
    columns = ", ".join(f'"{each}"' for each in audited.columns)
    with closing(sqlite3.connect(":memory:")) as connection:
        named = ", ".join(f'"{each}" {kind}' for each, kind in zip(audited.columns, types, strict=True))
        connection.execute(f'CREATE TABLE "{name}" ({named})')
        connection.executemany(f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(types))})', rows)
        answer = connection.execute(f"{audited.asking.sql} > 0 {audited.asking.order}").fetchall()
        kept = connection.execute(f'SELECT "{audited.owner}", {columns} FROM "{name}" ORDER BY 1').fetchall()
    found = {}
    chunks = [answer[at : at + together] for at in range(0, len(answer), together)]
    for owners, wholes, cores in audited.asking.digests(chunks):
        found |= zip(owners, zip(wholes, cores or [b""] * len(owners), strict=True), strict=True)
    wanted = {}
    for owner, mine in groupby(kept, itemgetter(0)):
        wanted[owner] = audited.both([row[1:] for row in mine])
    if any(isinstance(value, float) for row in kept for value in row):  # whose text SQLite makes otherwise
        assert found.keys() == wanted.keys()
    else:
        assert found == wanted
