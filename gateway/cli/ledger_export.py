"""``gateway ledger export``: everything that meets a query, in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from gateway.cli.looking import archive_option, looking
from gateway.cli.output import print_text
from gateway.cli.query_words import SETTINGS, criteria, query_of, said
from gateway.errors import UsageFault


@click.command("export", context_settings=SETTINGS)
@criteria("to")
@click.option(
    "--format", "form", type=click.Choice(["jsonl", "csv", "parquet"]), required=True,
    help="JSON Lines for programs, CSV for spreadsheets, Parquet for analysis.",
)  # fmt: skip
@click.option(
    "--to", "target", type=click.Path(path_type=Path, dir_okay=False), help="The file (default, not Parquet: stdout)."
)
@archive_option
@click.pass_context
def export(ctx: click.Context, /, words: tuple[str, ...], form: str, target: Path | None, **options: Any) -> int:
    """Write everything that meets the query, however much it is: exchanges, then mails that led to none.

    WORDS and options are those of search, but an address in To or Cc is the word to=ADDRESS; the order is that of
    time. A file is complete or not there at all. Parquet needs pyarrow: pip install 'edi-gateway[parquet]'.

    \b
    gateway ledger export --format csv --to october.csv on=2026-10 partner=acme
    gateway ledger export --format parquet --to all.parquet
    gateway ledger export --format jsonl @open-orders | jq .control_number
    """  # noqa: D301 - click wants the character itself: \b keeps the lines below it as they are
    from gateway.cli.reporting import counting
    from gateway.cli.whole_file import written_whole
    from gateway.ledger.export import csv_lines, every, json_lines

    if form == "parquet" and target is None:
        raise UsageFault(reason="Parquet goes into a file: name it with --to")
    asked = said(ctx, words, options)
    with looking(ctx) as app:
        rows = every(app.engine, query_of(app, asked, limit=None))
        if target is None:
            for line in json_lines(rows) if form == "jsonl" else csv_lines(rows):
                print_text(line)
            return 0
        with counting("rows written") as advance:
            counted = _Counted(rows, advance)
            if form == "parquet":
                from gateway.ledger.parquet import write_parquet

                written = written_whole(target, lambda unfinished: write_parquet(counted, unfinished))
            else:
                lines = json_lines(counted) if form == "jsonl" else csv_lines(counted)
                written_whole(target, lambda unfinished: _write(lines, unfinished))
                written = counted.number
    click.echo(f"{written} rows written to {target}", err=True)
    return 0


class _Counted:
    """Rows, and how many have gone by."""

    def __init__(self, rows: Iterator[Any], advance: Callable[[int], None]) -> None:
        self._rows = rows
        self._advance = advance
        self.number = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        row = next(self._rows)
        self.number += 1
        self._advance(1)
        return row


def _write(lines: Iterable[str], target: Path) -> int:
    with target.open("w", encoding="utf-8", newline="") as out:
        out.writelines(lines)
    return 0
