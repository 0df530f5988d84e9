"""``gateway ledger search``: find exchanges and mails."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from gateway.cli.integers import NATURAL
from gateway.cli.looking import archive_option, looking
from gateway.cli.output import json_option, moment, print_document, print_rows, print_text
from gateway.cli.query_words import SETTINGS, criteria, query_of, said

if TYPE_CHECKING:
    from gateway.app import App
    from gateway.ledger.query import Query
    from gateway.ledger.rows import ExchangeRow, MessageRow

_EXCHANGES = ("id", "at", "direction", "types", "partner", "state", "verdict", "control_number", "subject", "keys")
_MAILS = ("reference", "at", "kind", "state", "from", "subject", "fault")


@click.command("search", context_settings=SETTINGS)
@criteria()
@click.option("--sort", metavar="FIELD", help="newest, oldest, size, -size (biggest first), partner, state, …")
@click.option("--limit", type=NATURAL, help="At most this many rows (default: 50).")
@click.option("--mails", is_flag=True, help="Only mails that led to no exchange: quarantined, bounces, receipts.")
@click.option(
    "--count", "only_count", is_flag=True, help="Say only how many there are; of millions that takes a while."
)
@click.option("--up-to", type=NATURAL, metavar="N", help="With --count: stop at N and say N+.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV that no spreadsheet takes for formulas.")
@archive_option
@json_option
@click.pass_context
def search(
    ctx: click.Context,
    /,
    words: tuple[str, ...],
    sort: str | None,
    limit: int | None,
    mails: bool,
    only_count: bool,
    up_to: int | None,
    as_csv: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Find exchanges, and mails that led to none, newest first.

    WORDS are criteria as field=value or field:value, flags, and free text that is looked for in subjects, file names
    and business keys; all must be met. A * stands for anything, a comma for "or", a minus before a word for its
    opposite. @NAME stands for the words of a saved query.

    \b
    gateway ledger search partner=acme type=850,860 since=7d
    gateway ledger search 4500012345
    gateway ledger search overdue -partner=acme
    gateway ledger search 'po=*00123*' state=rejected on=2026-11 zone=Europe/Berlin
    gateway ledger search 'from=*@acme.example' attention
    gateway ledger search size=1M.. sort=-size limit=10
    gateway ledger search @open-orders since=today

    \b
    Fields: partner direction kind state verdict type version usage control (isa13) group (gs06) st02
    sender receiver key message-id from to host user mailbox file subject fault agreement text
    size segments findings since until on zone sort limit before
    Flags: overdue unacknowledged duplicate attention settled late (each also =yes or =no)
    """  # noqa: D301 - click wants the character itself: \b keeps the lines below it as they are
    from gateway.ledger import search as find

    asked = [*said(ctx, words, options), *([f"sort={sort}"] if sort else []), *([f"limit={limit}"] if limit else [])]
    with looking(ctx) as app:
        query = query_of(app, asked)
        if only_count:
            _print_counts(_counted(app, query, up_to, mails=mails), as_json=as_json)
            return 0
        exchanges = [] if mails else find.search(app.engine, query)
        only_exchanges = query.before is not None and not mails
        messages = [] if only_exchanges else find.search_messages(app.engine, query)
    found: list[ExchangeRow | MessageRow] = [*exchanges, *messages]
    if as_csv:
        from gateway.ledger.export import csv_lines

        for line in csv_lines(iter(found)):
            print_text(line)
    elif as_json:
        print_rows((row.as_dict() for row in found), (), as_json=True)
    else:
        _print_found(exchanges, messages)
    _tell_of_more(query, exchanges, messages)
    return 0


def _tell_of_more(query: Query, exchanges: list[ExchangeRow], messages: list[MessageRow]) -> None:
    from gateway.ledger.search import MAIL_SORTS, cursor_of
    from gateway.ledger.written import cursor_word

    if len(exchanges) == query.limit:
        click.echo(f"There may be more: add before={cursor_word(cursor_of(exchanges[-1], query))}", err=True)
    if len(messages) == query.limit:
        sorted_so = query.order[0] in MAIL_SORTS
        cursor = cursor_word(cursor_of(messages[-1], query if sorted_so else replace(query, sort=None)))
        how = "add" if sorted_so else f"they are in order of time: write, without sort={query.sort},"
        click.echo(f"There may be more mails: {how} --mails before={cursor}", err=True)


def _counted(app: App, query: Query, most: int | None, *, mails: bool) -> dict[str, tuple[int, bool]]:
    """How many there are of each, and whether there are more."""
    from gateway.ledger.search import count, count_messages

    found = {
        "exchanges": 0 if mails else count(app.engine, query, most=most),
        "mails": count_messages(app.engine, query, most=most),
    }
    return {
        what: (number, False) if most is None else (min(number, most), number > most) for what, number in found.items()
    }


def _print_counts(counted: dict[str, tuple[int, bool]], *, as_json: bool) -> None:
    if as_json:
        more = [what for what, (_, is_more) in counted.items() if is_more]
        print_document({what: number for what, (number, _) in counted.items()} | ({"more": more} if more else {}))
        return
    for what, (number, is_more) in counted.items():
        one = number == 1 and not is_more
        click.echo(f"{number}{'+' if is_more else ''} {what.removesuffix('s') if one else what}")


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
