"""How every listing is printed: a table for people, JSON Lines or one JSON document for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

_WIDEST = 100_000  # characters of a line that goes into a pipe

json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


def print_rows(rows: Iterable[Mapping[str, object]], columns: Sequence[str], *, as_json: bool, empty: str = "") -> int:
    """Prints ``rows`` and returns how many there were.

    As JSON Lines every key is printed; as a table only ``columns`` (a column's title is its key).
    ``empty`` is said on stderr when there is nothing.
    """
    if as_json:
        count = 0
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False, default=str))
            count += 1
        return count
    listed = list(rows)
    if not listed:
        if empty:
            click.echo(empty, err=True)
        return 0
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in listed:
        table.add_row(*(Text(_cell(row.get(column))) for column in columns))
    # A pipe has no width: a row stays one line for grep and awk, however long it is.
    width = None if sys.stdout.isatty() else _WIDEST
    Console(file=sys.stdout, width=width, highlight=False, soft_wrap=False).print(table, crop=False)
    return len(listed)


def print_document(document: Mapping[str, object]) -> None:
    """Prints one JSON document."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2, default=str))


def moment(milliseconds: int | None) -> str:
    """A ledger time as local ISO 8601 text with its offset, or an empty text."""
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone().isoformat(timespec="seconds")


def print_line(line: str, *, err: bool = False) -> None:
    """Prints one line that may hold what a partner, or a stranger, wrote: it stays one, and no terminal obeys it."""
    click.echo(printable(line), err=err)


def _cell(value: object) -> str:
    """One line, whatever a partner wrote into it: a row must not become two, nor a terminal obey."""
    if value is None:
        return ""
    return printable(", ".join(str(each) for each in value) if isinstance(value, list | tuple) else str(value))


def printable(text: str) -> str:
    """The text with a blank for each character that a terminal would obey, or end the line at."""
    return text if text.isprintable() else "".join(each if each.isprintable() else " " for each in text)
