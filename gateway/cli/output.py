"""How every listing is printed: a table for people, JSON Lines or one JSON document for machines."""

from __future__ import annotations

import json
import sys
from codecs import getincrementaldecoder
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
            click.echo(_as_json(row))
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
    click.echo(_as_json(document, indent=2))


def moment(milliseconds: int | None) -> str:
    """A ledger time as local ISO 8601 text with its offset, or an empty text."""
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone().isoformat(timespec="seconds")


def print_line(line: str, *, err: bool = False) -> None:
    """Prints one line that may hold what a partner, or a stranger, wrote: it stays one, and no terminal obeys it."""
    click.echo(printable(line), err=err)


def print_text(text: str) -> None:
    """Prints text that may hold what a partner wrote, without a line end of its own.

    Into a file or pipe it goes as it is. On a terminal its lines stay, and a blank stands for whatever it would obey.
    """
    # click would take the sequences of a terminal out of what goes into a pipe.
    click.echo(_obeyed_by_none(text) if sys.stdout.isatty() else text, nl=False, color=True)


def print_bytes(pieces: Iterable[bytes]) -> None:
    """Prints what came, or goes, byte by byte into a file or pipe; on a terminal as ``print_text`` does."""
    if not sys.stdout.isatty():
        for piece in pieces:
            click.echo(piece, nl=False)
        return
    decoder = getincrementaldecoder("utf-8")("replace")
    for piece in pieces:
        print_text(decoder.decode(piece))
    print_text(decoder.decode(b"", final=True))


def _obeyed_by_none(text: str) -> str:
    """Lines and tabs stay; CR LF ends one line, and a CR alone would write over what is there."""
    return "".join(each if each.isprintable() or each in "\n\t" else " " for each in text.replace("\r\n", "\n"))


def _as_json(value: object, **options: Any) -> str:
    """JSON; on a terminal with whatever it would obey spelt out, which is the same JSON."""
    text = json.dumps(value, ensure_ascii=False, default=str, **options)
    if text.isprintable() or not sys.stdout.isatty():
        return text
    return "".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)


def _cell(value: object) -> str:
    """One line, whatever a partner wrote into it: a row must not become two, nor a terminal obey."""
    if value is None:
        return ""
    return printable(", ".join(str(each) for each in value) if isinstance(value, list | tuple) else str(value))


def printable(text: str) -> str:
    """The text with a blank for each character that a terminal would obey, or end the line at."""
    return text if text.isprintable() else "".join(each if each.isprintable() else " " for each in text)
