"""Taking the ledger out: JSON Lines for machines, CSV for spreadsheets, streamed whatever the number of rows."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace
from sqlalchemy import Engine

from gateway.errors import QueryInvalid
from gateway.ledger.query import Query
from gateway.ledger.rows import ExchangeRow, MessageRow
from gateway.ledger.search import search, search_messages

Row = ExchangeRow | MessageRow
_Row = TypeVar("_Row", ExchangeRow, MessageRow)

PAGE = 1_000  # rows of one transaction: readers must not keep one open long
COLUMNS = (
    "record", "id", "at", "updated_at", "direction", "kind", "state", "verdict", "partner", "agreement", "file_name",
    "from_address", "host", "message_id", "subject", "to_addresses", "cc_addresses", "user", "mailbox", "sender",
    "receiver", "interchange_date", "interchange_time", "interchange_version", "control_number", "usage", "types",
    "versions", "keys", "size", "segments", "findings", "ta1", "fault_code", "fault", "message", "duplicate_of",
    "answers", "idempotency_key", "handed_over_at", "settled_at", "smtp_reply", "in_reply_to", "dated", "sha256",
    "proof", "proof_detail", "security", "mic", "layers", "due_at", "acknowledged_at", "repeats",
)  # fmt: skip
# What makes a spreadsheet take a cell for a formula (OWASP, CSV injection), also as East Asian keyboards write it.
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r")
# Where semicolons stand between cells, a spreadsheet cuts at those of a text, and at its line ends, quoted or not.
_INNER = re.compile(r'(?<=[;\t\r\n])([ "]*)(?=[=+\-@＝＋－＠])')


def every(engine: Engine, query: Query, now: int | None = None) -> Iterator[Row]:
    """All exchanges, then all mails without one, that meet the query; ``limit`` holds for each of the two.

    Rows come page by page, each page a transaction of its own: an export takes as long as it takes and blocks nobody.

    The order is that of time: any other would look at everything for each page.

    Raises:
        QueryInvalid: another order is asked for.
        DatabaseUnavailable: with the reason.
    """
    if query.order[0] != "at":
        raise QueryInvalid(where=f"sort={query.sort}", reason="an export is in order of time: newest or oldest")
    yield from _pages(lambda page: search(engine, page, now), query)
    yield from _pages(lambda page: search_messages(engine, page, now), query)


def json_lines(rows: Iterator[Row]) -> Iterator[str]:
    """One JSON document a line, with the line end."""
    for row in rows:
        yield json.dumps(row.as_dict(), ensure_ascii=False) + "\n"


def csv_lines(rows: Iterator[Row]) -> Iterator[str]:
    """CSV (RFC 4180) with a header line; no cell can be taken for a formula."""
    yield csv_line(COLUMNS)
    for row in rows:
        told = _flat(row)
        yield csv_line([told.get(name, "") for name in COLUMNS])


def csv_line(cells: Sequence[object]) -> str:
    """One line of CSV with its CR LF, each cell safe."""
    written = io.StringIO()
    csv.writer(written).writerow([safe_cell(cell) for cell in cells])
    return written.getvalue()


def safe_cell(value: object) -> str:
    """The value as text that no spreadsheet takes for a formula: an apostrophe stands before what begins like one.

    So it does within a text where a spreadsheet may cut it: after a semicolon, a tab or a line end.

    Numbers of our own stay as they are; only texts can have been written by a stranger.
    """
    if value is None:
        return ""
    text = str(value)
    if not isinstance(value, str):
        return text
    # A space or line end before the sign does not stop every spreadsheet.
    return ("'" if text.lstrip(" \n").startswith(_FORMULA) else "") + _INNER.sub(r"\1'", text)


def _flat(row: Row) -> Mapping[str, Any]:
    told = row.as_dict()
    for name in ("to_addresses", "cc_addresses"):
        told[name] = ", ".join(told[name])
    told["proof_detail"] = "; ".join(f"{name}={value}" for name, value in row.proof_detail)
    if isinstance(row, MessageRow):
        layers = ", ".join(f"{each.get('kind', '')} {each.get('algorithm', '')}".strip() for each in row.layers)
        return told | {"file_name": ", ".join(row.file_names), "layers": layers}
    return told | {
        "types": " ".join(row.types),
        "versions": " ".join(row.versions),
        "keys": "; ".join(f"{name}={value}" for name, value in row.keys),
    }


def _pages(find: Callable[[Query], list[_Row]], query: Query) -> Iterator[_Row]:
    left = query.limit
    before = query.before
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        page = find(replace(query, limit=size, before=before))
        yield from page
        if len(page) < size:
            return
        before = page[-1].cursor
        left = None if left is None else left - size
