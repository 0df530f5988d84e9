"""Exports are complete, safe for spreadsheets, and readable by machines."""

from __future__ import annotations

import csv
import io
import json

import pytest
from builders import ledger_rows as make
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger import export
from gateway.ledger.database import writing
from gateway.ledger.query import Query

START = make.START
HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n@x", "=cmd|' /C calc'!A0"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_that_a_spreadsheet_would_compute_gets_an_apostrophe(text):
    assert export.safe_cell(text) == "'" + text


@pytest.mark.parametrize("value", ["a=b", "", "'x", "4711", -5, 0, None, "é"])
def test_other_cells_stay_as_they_are(value):
    assert export.safe_cell(value) == ("" if value is None else str(value))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=5))
def test_no_text_becomes_a_formula_and_none_is_lost(cells):
    (read,) = csv.reader(io.StringIO(export.csv_line(cells), newline=""))
    assert [cell.removeprefix("'") if safe != cell else cell for cell, safe in zip(read, cells, strict=True)] == cells
    assert not any(cell.lstrip(" \n").startswith(("=", "+", "-", "@", "\t", "\r")) for cell in read)


@pytest.mark.integration
def test_every_row_is_exported_once_over_many_pages(ledger_engine, monkeypatch):
    monkeypatch.setattr(export, "PAGE", 3)
    with writing(ledger_engine) as connection:
        ids = [make.exchange(connection, at=START + number // 3) for number in range(11)]
        mails = [make.message(connection, state="noted", kind="bounce") for _ in range(4)]
    rows = list(export.every(ledger_engine, Query(limit=None)))
    assert [row.id for row in rows[:11]] == ids[::-1]
    assert [row.id for row in rows[11:]] == mails[::-1]
    assert len(list(export.every(ledger_engine, Query(limit=5, kind="document")))) == 5
    assert len(list(export.every(ledger_engine, Query(limit=6, kind="document")))) == 6


@pytest.mark.integration
def test_both_forms_hold_every_property(ledger_engine):
    with writing(ledger_engine) as connection:
        mail = make.message(connection)
        number = make.exchange(
            connection, subject="=HYPERLINK(1)", to_addresses=["a@x.example", "b@x.example"], message=mail
        )
        make.business_key(connection, number, "po", "4711")
        make.message(connection, state="quarantined", subject="@home", message_id="<q@x>")
    lines = list(export.json_lines(export.every(ledger_engine, Query(limit=None))))
    documents = [json.loads(line) for line in lines]
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in lines)
    assert [each["record"] for each in documents] == ["exchange", "message"]
    assert documents[0]["subject"] == "=HYPERLINK(1)"
    text = "".join(export.csv_lines(export.every(ledger_engine, Query(limit=None))))
    first, second = csv.DictReader(io.StringIO(text, newline=""))
    assert (first["subject"], first["to_addresses"], first["keys"]) == (
        "'=HYPERLINK(1)", "a@x.example, b@x.example", "po=4711"
    )  # fmt: skip
    assert (second["record"], second["subject"], second["message_id"]) == ("message", "'@home", "<q@x>")
    assert set(documents[0]) <= set(first)
    assert set(documents[1]) - {"file_names"} <= set(first)
