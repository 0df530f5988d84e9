"""The ledger as Parquet, for analysis: typed columns, written a group of rows at a time, whatever their number."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from gateway.errors import NotInstalled
from gateway.ledger.export import COLUMNS
from gateway.ledger.rows import ExchangeRow, MessageRow

GROUP = 10_000  # rows that are held in memory
_MOMENTS = frozenset({"at", "updated_at", "handed_over_at", "settled_at", "due_at", "acknowledged_at"})
_NUMBERS = frozenset({"id", "size", "segments", "findings", "message", "duplicate_of", "answers", "repeats"})
_LISTS = frozenset({"to_addresses", "cc_addresses", "file_names", "types", "versions"})
_PAIRS = frozenset({"keys", "proof_detail"})  # lists of name and value
NAMES = (*COLUMNS, "file_names")


def write_parquet(rows: Iterator[ExchangeRow | MessageRow], target: Path) -> int:
    """Writes rows into a file and returns their number.

    Times are timestamps in UTC; addresses, types and versions lists; business keys lists of name and value.

    Raises:
        NotInstalled: pyarrow is not there.
        OSError: the file cannot be written.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - big, and only this needs it
        from pyarrow import parquet  # noqa: PLC0415
    except ModuleNotFoundError:
        raise NotInstalled(feature="Parquet", package="pyarrow", extra="parquet") from None
    schema = pa.schema([pa.field(name, _type(pa, name)) for name in NAMES])
    count = 0
    with parquet.ParquetWriter(target, schema, compression="zstd") as writer:
        while group := list(islice(rows, GROUP)):
            writer.write_table(pa.Table.from_pylist([_values(row) for row in group], schema=schema))
            count += len(group)
    return count


def _type(pa: Any, name: str) -> Any:
    if name in _MOMENTS:
        return pa.timestamp("ms", tz="UTC")
    if name in _NUMBERS:
        return pa.int64()
    if name in _LISTS:
        return pa.list_(pa.string())
    if name in _PAIRS:
        return pa.list_(pa.struct([pa.field("name", pa.string()), pa.field("value", pa.string())]))
    return pa.string()


def _values(row: ExchangeRow | MessageRow) -> Mapping[str, Any]:
    """The row's values as their columns take them; what it does not have is NULL."""
    found: dict[str, Any] = {"record": "exchange" if isinstance(row, ExchangeRow) else "message"}
    for name in NAMES[1:]:
        value = getattr(row, name, None)
        if name in _PAIRS and value is not None:
            value = [{"name": each, "value": text} for each, text in value]
        elif name == "layers" and value is not None:
            value = json.dumps([dict(each) for each in value], ensure_ascii=False)
        elif isinstance(value, tuple):
            value = list(value)
        found[name] = value
    return found
