"""Everything that meets a search, as a file: CSV for spreadsheets, JSON Lines for programs, Parquet for analysis."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO

from msgspec.structs import replace
from sqlalchemy import Engine
from starlette.responses import Response

from gateway.console.pages.downloads import PIECE, download, encoded
from gateway.console.pages.exchange_query import read
from gateway.console.pages.exchanges import SORTABLE
from gateway.console.people import Role
from gateway.console.routing import view
from gateway.console.visit import Visit
from gateway.errors import NotFound
from gateway.ledger.export import Row, csv_lines, every, json_lines
from gateway.ledger.parquet import write_parquet
from gateway.ledger.query import Query
from gateway.ledger.search import MAIL_SORTS, count, count_messages, search, search_messages

_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
}


def export(visit: Visit) -> Response:
    """The file: exchanges, then mails that led to none."""
    form = visit.part("form")
    if form not in _TYPES:
        raise NotFound(what="form of download", key=form)
    asked = read(visit)
    if asked.fault is not None:
        raise asked.fault
    assert asked.query is not None, "it was understood"
    rows = _rows(visit.app.engine, asked.query, visit.app.now(), limited=asked.limited)
    return download(_pieces(rows, form, visit.app.home), f"exchanges.{form}", _TYPES[form])


def _rows(engine: Engine, query: Query, now: int, *, limited: bool) -> Iterator[Row]:
    """Everything in order of time; where a number of them is wanted in another order, those that the page shows."""
    in_time = query if query.order[0] == "at" else replace(query, sort=None)
    if not limited:
        return every(engine, replace(in_time, limit=None), now)
    if in_time is query or any(tally(engine, query, now, SORTABLE) > SORTABLE for tally in (count, count_messages)):
        return every(engine, in_time, now)
    mails = query if query.order[0] in MAIL_SORTS else in_time
    return chain(search(engine, query, now), search_messages(engine, mails, now))


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
