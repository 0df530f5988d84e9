"""``gateway ledger``: search, show and export the record of every exchange."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.ledger_archive import archive
from gateway.cli.ledger_backup import backup
from gateway.cli.ledger_backup_restore import restore
from gateway.cli.ledger_changes import changes
from gateway.cli.ledger_follow import follow
from gateway.cli.ledger_hold import hold
from gateway.cli.ledger_keys import encrypt, forget_key
from gateway.cli.ledger_report import report
from gateway.cli.ledger_restore import accept_restore
from gateway.cli.ledger_retain import retain
from gateway.cli.ledger_seal import proof, seal, verify
from gateway.cli.ledger_show import show
from gateway.cli.looking import archive_option, looking
from gateway.cli.output import json_option, moment, print_document, print_rows

if TYPE_CHECKING:
    from gateway.ledger.query import Query
    from gateway.ledger.rows import ExchangeRow, MessageRow

_EXCHANGES = ("id", "at", "direction", "types", "partner", "state", "verdict", "control_number", "subject", "keys")
_MAILS = ("reference", "at", "kind", "state", "from", "subject", "fault")
_VALUES = (
    ("partner", "The partner's key."),
    ("direction", "in or out."),
    ("kind", "document or acknowledgment; of mails letter, bounce, receipt, auto-reply."),
    ("state", "delivered, overdue, in-doubt, …"),
    ("verdict", "accepted, accepted-with-errors, partially-accepted, rejected."),
    ("type", "A transaction set, as 850."),
    ("version", "The start of a GS08, as 004010 or 005010X222A1."),
    ("control", "An ISA13, with or without leading zeros."),
    ("message-id", "A Message-ID, with or without angle brackets."),
    ("from", "The sender's address; *@acme.example for all of a domain."),
    ("to", "An address in To or Cc."),
    ("subject", "Words of the subject."),
    ("file", "The file name."),
    ("key", "A business key: VALUE, VALUE* or NAME=VALUE."),
    ("since", "From this time on: 2026-11-22, today, 7d, 2026-11-22T02:00."),
    ("until", "Up to this time (a day is included)."),
    ("on", "On this day, in this month or year."),
)
_FLAGS = (
    ("overdue", "What was not acknowledged in time."),
    ("unacknowledged", "What waits for an acknowledgment."),
    ("duplicate", "Duplicates of earlier exchanges, or the same business document again."),
    ("attention", "What a person has to look at."),
)


def _criteria(*taken: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The words of a query as arguments, and an option for each main criterion whose name is not ``taken``."""

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        for name, text in reversed(_FLAGS):
            function = click.option(f"--{name}", is_flag=True, help=text)(function)
        for name, text in reversed(_VALUES):
            if name not in taken:
                option = click.option(f"--{name}", _parameter(name), metavar="VALUE", help=text)
                function = option(function)
        return click.argument("words", nargs=-1)(function)

    return decorated


def _parameter(name: str) -> str:
    return f"with_{name.replace('-', '_')}"


def _query(words: tuple[str, ...], criteria: dict[str, Any], **defaults: Any) -> Query:
    """The query that words and options say together."""
    from dataclasses import replace

    from gateway.ledger.words import parse_query

    said = list(words)
    said += [f"{name}={value}" for name, _ in _VALUES if (value := criteria.get(_parameter(name)))]
    said += [name for name, _ in _FLAGS if criteria[name]]
    limited = any(word.lower().startswith(("limit=", "limit:")) for word in words)
    query = parse_query(said)
    return query if limited else replace(query, **defaults)


@click.group("ledger")
def command() -> None:
    """The record of every exchange: search, show, export; accept-restore after an older one was put back."""


command.add_command(backup)
command.add_command(restore)
command.add_command(accept_restore)
command.add_command(seal)
command.add_command(verify)
command.add_command(proof)
command.add_command(show)
command.add_command(follow)
for _each in (retain, hold, archive, forget_key, encrypt):
    command.add_command(_each)
command.add_command(changes)
command.add_command(report)


@command.command("search")
@_criteria()
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most this many rows.")
@click.option("--mails", is_flag=True, help="Only mails that led to no exchange: quarantined, bounces, receipts.")
@click.option("--count", "only_count", is_flag=True, help="Say only how many there are.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV that no spreadsheet takes for formulas.")
@archive_option
@json_option
@click.pass_context
def search(
    ctx: click.Context,
    /,
    words: tuple[str, ...],
    limit: int,
    mails: bool,
    only_count: bool,
    as_csv: bool,
    as_json: bool,
    **criteria: Any,
) -> int:
    """Find exchanges, and mails that led to none, newest first.

    WORDS are criteria as field=value or field:value, flags, and free text that is looked for in subjects, file names
    and business keys; all must be met. A * stands for anything.

    \b
    gateway ledger search partner=acme type=850 since=7d
    gateway ledger search 4500012345
    gateway ledger search overdue
    gateway ledger search key=po=45000* state=rejected on=2026-11 zone=Europe/Berlin
    gateway ledger search 'from=*@acme.example' attention

    \b
    Fields: partner direction kind state verdict type version usage control (isa13) group (gs06) st02
    sender receiver key message-id from to host user mailbox file subject fault text since until on zone
    limit before · Flags: overdue unacknowledged duplicate attention (each also =yes or =no)
    """  # noqa: D301 - click wants the character itself: \b keeps the lines below it as they are
    from gateway.ledger import search as find

    query = _query(words, criteria, limit=limit)
    only_exchanges = query.before is not None and not mails
    with looking(ctx) as app:
        if only_count:
            counted = {"exchanges": 0 if mails else find.count(app.engine, query)}
            counted["mails"] = find.count_messages(app.engine, query)
            _print_counts(counted, as_json=as_json)
            return 0
        exchanges = [] if mails else find.search(app.engine, query)
        messages = [] if only_exchanges else find.search_messages(app.engine, query)
    found: list[ExchangeRow | MessageRow] = [*exchanges, *messages]
    if as_csv:
        from gateway.ledger.export import csv_lines

        for line in csv_lines(iter(found)):
            click.echo(line, nl=False)
    elif as_json:
        print_rows((row.as_dict() for row in found), (), as_json=True)
    else:
        _print_found(exchanges, messages)
    if len(exchanges) == query.limit:
        click.echo(f"There may be more: add before={_cursor(exchanges[-1])}", err=True)
    if len(messages) == query.limit:
        click.echo(f"There may be more mails: add --mails before={_cursor(messages[-1])}", err=True)
    return 0


@command.command("export")
@_criteria("to")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), required=True, help="JSON Lines or CSV.")
@click.option("--to", "target", type=click.Path(path_type=Path, dir_okay=False), help="The file (default: stdout).")
@archive_option
@click.pass_context
def export(ctx: click.Context, /, words: tuple[str, ...], form: str, target: Path | None, **criteria: Any) -> int:
    """Write everything that meets the query, however much it is: exchanges, then mails that led to none.

    WORDS and options are those of search, but an address in To or Cc is the word to=ADDRESS. A file is complete or
    not there at all.
    """
    from gateway.ledger.export import csv_lines, every, json_lines

    query = _query(words, criteria, limit=None)
    with looking(ctx) as app:
        rows = every(app.engine, query)
        lines = json_lines(rows) if form == "jsonl" else csv_lines(rows)
        if target is None:
            for line in lines:
                click.echo(line, nl=False)
            return 0
        count = _write(target, lines)
    written = count - (form == "csv")
    click.echo(f"{written} rows written to {target}", err=True)
    return 0


def _write(target: Path, lines: Iterable[str]) -> int:
    """Writes beside the target and renames, so that nobody ever reads half an export; returns the lines."""
    from gateway.errors import UsageFault

    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        count = 0
        with unfinished.open("w", encoding="utf-8", newline="") as out:
            for line in lines:
                out.write(line)
                count += 1
        unfinished.replace(target)
    except OSError as problem:
        raise UsageFault(reason=f"{target} cannot be written: {problem.strerror}") from problem
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return count


def _print_counts(counted: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        print_document(counted)
        return
    for what, number in counted.items():
        click.echo(f"{number} {what}")


def _print_found(exchanges: list[ExchangeRow], messages: list[MessageRow]) -> None:
    from gateway.ledger.events import one_line

    rows: list[dict[str, object]] = [
        {
            "id": row.id,
            "at": moment(row.at),
            "direction": row.direction,
            "types": " ".join(row.types),
            "partner": row.partner,
            "state": row.state,
            "verdict": row.verdict.replace("_", " "),
            "control_number": row.control_number,
            "subject": one_line(row.subject),
            "keys": " ".join(one_line(value) for _, value in row.keys[:5]) + (" …" if len(row.keys) > 5 else ""),
        }
        for row in exchanges
    ]
    mails: list[dict[str, object]] = [
        {
            "reference": f"m{row.id}",
            "at": moment(row.at),
            "kind": row.kind,
            "state": row.state,
            "from": one_line(row.from_address),
            "subject": one_line(row.subject),
            "fault": one_line(row.fault),
        }
        for row in messages
    ]
    print_rows(rows, _EXCHANGES, as_json=False, empty="" if mails else "Nothing meets the query.")
    if mails:
        click.echo("Mails that no exchange speaks for:", err=True)
        sys.stderr.flush()
        print_rows(mails, _MAILS, as_json=False)


def _cursor(row: ExchangeRow | MessageRow) -> str:
    return "-".join(str(part) for part in row.cursor)
