"""Exports are complete, safe for spreadsheets, and readable by machines."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from datetime import UTC, datetime

import pytest
from builders import ledger_rows as make
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import NotInstalled, QueryInvalid
from gateway.ledger import export, parquet
from gateway.ledger.database import writing
from gateway.ledger.query import Query

START = make.START
HOSTILE = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t1",
    "\r1",
    " =1",
    "=cmd|' /C calc'!A0",
    "＝1+1",
    " ＋1",
    "－1",
    "＠SUM(A1)",
]
SIGNS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_that_a_spreadsheet_would_compute_gets_an_apostrophe(text):
    assert export.safe_cell(text) == "'" + text


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("Orders;=1+1", "Orders;'=1+1"),
        ('a; "@x;b', "a; \"'@x;b"),
        ("one\r\n-1\n\n＝2", "one\r\n'-1\n\n'＝2"),
        ("\t=1", "'\t'=1"),
        ("\n@x", "'\n'@x"),
        ("po=1; so=2", "po=1; so=2"),
    ],
)
def test_a_text_is_safe_also_where_a_spreadsheet_cuts_it(text, safe):
    assert export.safe_cell(text) == safe


@pytest.mark.parametrize("value", ["a=b", "", "'x", "4711", -5, 0, None, "é"])
def test_other_cells_stay_as_they_are(value):
    assert export.safe_cell(value) == ("" if value is None else str(value))


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("=+-@＝;\t\n\r\"' "), max_size=20),
        min_size=1,
        max_size=5,
    )
)
def test_no_text_becomes_a_formula_and_none_is_lost(cells):
    (read,) = csv.reader(io.StringIO(export.csv_line(cells), newline=""))
    assert [cell.replace("'", "") for cell in read] == [cell.replace("'", "") for cell in cells]
    assert all(
        len(cell) == len(safe) for cell, safe in zip(cells, read, strict=True) if not set(cell) & {*SIGNS, *"\t\r"}
    )
    assert not any(cell.lstrip(" \n").startswith((*SIGNS, "\t", "\r")) for cell in read)
    pieces = [piece for cell in read for piece in re.split(r"[;\t\r\n]", cell)[1:]]
    assert not any(piece.lstrip(' "').startswith(SIGNS) for piece in pieces)


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


# ---------------------------------------------------------------- Parquet


@pytest.mark.integration
def test_parquet_holds_every_property_with_its_type_in_groups_of_rows(ledger_engine, monkeypatch, tmp_path):
    from pyarrow import parquet as reader

    monkeypatch.setattr(parquet, "GROUP", 2)
    with writing(ledger_engine) as connection:
        mail = make.message(connection, proof="signed", proof_detail={"fingerprint": "ab"})
        ids = [make.exchange(connection, at=START + each, types="850 855", message=mail) for each in range(4)]
        make.business_key(connection, ids[0], "po", "=4711")
        make.message(connection, state="quarantined", layers=[{"kind": "signed"}], subject="=1+1")
    target = tmp_path / "all.parquet"
    assert parquet.write_parquet(export.every(ledger_engine, Query(limit=None)), target) == 5
    assert reader.ParquetFile(target).num_row_groups == 3
    rows = reader.read_table(target).to_pylist()
    assert [row["id"] for row in rows[:4]] == ids[::-1]
    first, letter = rows[3], rows[4]
    assert first["at"] == datetime.fromtimestamp(START / 1000, UTC)
    assert (first["types"], first["size"], first["settled_at"]) == (["850", "855"], 1234, None)
    assert first["keys"] == [{"name": "po", "value": "=4711"}]
    assert first["proof_detail"] == [{"name": "fingerprint", "value": "ab"}]
    assert (letter["record"], letter["subject"], letter["keys"]) == ("message", "=1+1", None)
    assert json.loads(letter["layers"]) == [{"kind": "signed"}]


def test_parquet_columns_are_those_of_the_other_forms():
    assert set(parquet.NAMES) == {*export.COLUMNS, "file_names"}


@pytest.mark.integration
def test_nothing_found_is_a_file_without_rows(ledger_engine, tmp_path):
    from pyarrow import parquet as reader

    assert parquet.write_parquet(export.every(ledger_engine, Query(limit=None)), tmp_path / "none.parquet") == 0
    assert reader.read_table(tmp_path / "none.parquet").num_rows == 0


def test_without_pyarrow_the_fault_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(NotInstalled) as caught:
        parquet.write_parquet(iter(()), tmp_path / "x.parquet")
    assert caught.value.next_step == "Install it, for example with `pip install 'edi-gateway[parquet]'`."


@pytest.mark.integration
def test_an_export_is_in_order_of_time_oldest_first_where_that_is_asked(ledger_engine):
    with writing(ledger_engine) as connection:
        ids = [make.exchange(connection, at=START + each) for each in range(3)]
    assert [row.id for row in export.every(ledger_engine, Query(limit=None, sort="at"))] == ids
    with pytest.raises(QueryInvalid, match="in order of time"):
        list(export.every(ledger_engine, Query(sort="size")))
