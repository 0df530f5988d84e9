"""Everything that meets a search, as a file: CSV for spreadsheets, JSON Lines for programs, Parquet for analysis."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from msgspec.structs import replace
from starlette.responses import Response

from gateway.console.pages.downloads import PIECE, download, encoded
from gateway.console.pages.exchange_query import read
from gateway.console.people import Role
from gateway.console.routing import view
from gateway.console.visit import Visit
from gateway.errors import NotFound
from gateway.ledger.export import Row, csv_lines, every, json_lines
from gateway.ledger.parquet import write_parquet

_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
}


def export(visit: Visit) -> Response:
    """The file: exchanges, then mails that led to none, in order of time."""
    form = visit.part("form")
    if form not in _TYPES:
        raise NotFound(what="form of download", key=form)
    asked = read(visit)
    if asked.fault is not None:
        raise asked.fault
    assert asked.query is not None, "it was understood"
    in_time = asked.query if asked.query.order[0] == "at" else replace(asked.query, sort=None)
    rows = every(visit.app.engine, in_time if asked.limited else replace(in_time, limit=None), visit.app.now())
    return download(_pieces(rows, form, visit.app.home), f"exchanges.{form}", _TYPES[form])


def _pieces(rows: Iterator[Row], form: str, home: Path) -> Iterator[bytes]:
    if form == "parquet":
        yield from _parquet(rows, home)
    else:
        yield from encoded(csv_lines(rows) if form == "csv" else json_lines(rows))


def _parquet(rows: Iterator[Row], home: Path) -> Iterator[bytes]:
    """Written beside the ledger, where there is room; the file has lost its name before its first byte goes out."""
    with tempfile.TemporaryDirectory(dir=home, prefix=".export-") as directory:
        target = Path(directory) / "exchanges.parquet"
        write_parquet(rows, target)
        file = target.open("rb")
    with file:
        yield from _read(file)


def _read(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


PAGES = (view("/exchanges/download.{form}", export, Role.AUDITOR),)
