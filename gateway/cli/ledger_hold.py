"""``gateway ledger hold``: legal holds; what is held is never put away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gateway.cli.acting import why_option
from gateway.cli.integers import NATURAL
from gateway.cli.output import json_option, moment, print_document, print_rows
from gateway.cli.query_words import with_saved

if TYPE_CHECKING:
    from gateway.ledger.holds import Hold

_COLUMNS = ("hold", "since", "by", "subject", "reason", "released", "because")
_by = click.option("--by", metavar="NAME", help="Who does this (default: your login name).")
_reason = why_option()
_dry_run = click.option("--dry-run", is_flag=True, help="Check and tell what would become of it; change nothing.")


@click.group("hold")
def hold() -> None:
    """Legal holds: what meets one is kept, whatever its age, also what comes later."""


@hold.command("add")
@click.argument("words", nargs=-1)
@click.option("--number", "numbers", multiple=True, metavar="34|m12", help="An exchange or mail; may be repeated.")
@_reason
@_by
@_dry_run
@json_option
@click.pass_context
def add(
    ctx: click.Context,
    words: tuple[str, ...],
    numbers: tuple[str, ...],
    reason: str,
    by: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Hold what meets a query, or exchanges and mails by their numbers.

    WORDS are those of `gateway ledger search`, but 34 and m12 are numbers, not text (which is text=34). What changes by
    itself (states, overdue) cannot be held; times are fixed when the hold is made, and so are the words of a saved
    query (@NAME).

    \b
    gateway ledger hold add partner=acme since=2024-01 until=2024-06 --why "Acme v. us, 24-1177"
    gateway ledger hold add key=po=4711 --why "disputed order"
    gateway ledger hold add --number 34 --number m12 --why "audit"
    """  # noqa: D301 - click wants the character itself: \b keeps the lines below it as they are
    from gateway.app import open_app
    from gateway.flow import hold as flow
    from gateway.ledger.words import parse_query

    with open_app(ctx.obj["home"], actor=by) as app:
        named, rest = flow.numbers_among(words)
        asked = with_saved(app, rest)
        query = parse_query(asked) if asked else None
        act = flow.add(app.context(), asked, query, [*numbers, *named], actor=app.actor, reason=reason, dry_run=dry_run)
    _say(act.as_dict(), act.sentence, dry_run=dry_run, as_json=as_json)
    return 0


@hold.command("list")
@click.option("--all", "everything", is_flag=True, help="Those that were released, too.")
@json_option
@click.pass_context
def list_(ctx: click.Context, everything: bool, as_json: bool) -> int:
    """Show the legal holds, the oldest first: who holds what, since when, and why."""
    from gateway.app import open_app
    from gateway.ledger.holds import holds

    with open_app(ctx.obj["home"]) as app, app.ledger.reading() as connection:
        found = holds(connection, released=everything)
    rows = [_row(each, as_json=as_json) for each in found]
    print_rows(rows, _COLUMNS if everything else _COLUMNS[:5], as_json=as_json, empty="Nothing is held.")
    return 0


@hold.command("release")
@click.argument("number", type=NATURAL)
@_reason
@_by
@_dry_run
@json_option
@click.pass_context
def release(ctx: click.Context, number: int, reason: str, by: str | None, dry_run: bool, as_json: bool) -> int:
    """End a legal hold. What it held and is over its time goes with the next `gateway ledger retain --apply`."""
    from gateway.app import open_app
    from gateway.flow import hold as flow

    with open_app(ctx.obj["home"], actor=by) as app:
        act = flow.release(app.context(), number, actor=app.actor, reason=reason, dry_run=dry_run)
    _say(act.as_dict(), act.sentence, dry_run=dry_run, as_json=as_json)
    return 0


def _say(document: dict[str, Any], sentence: str, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_document(document | {"dry_run": dry_run})
        return
    click.echo(sentence + (" (dry run: nothing was changed)" if dry_run and document["done"] else ""))


def _row(hold: Hold, *, as_json: bool) -> dict[str, object]:
    from gateway.ledger.events import one_line
    from gateway.ledger.moments import iso

    if as_json:
        return {
            "hold": hold.id,
            "since": iso(hold.at),
            "by": hold.actor,
            "words": hold.words,
            "exchanges": hold.exchanges,
            "messages": hold.messages,
            "reason": hold.reason,
            "released": iso(hold.released_at) if hold.released_at is not None else None,
            "released_by": hold.released_by,
            "because": hold.release_reason,
        }
    subject = one_line(hold.subject)
    return {
        "hold": hold.id,
        "since": moment(hold.at),
        "by": hold.actor,
        "subject": subject if len(subject) <= 80 else f"{subject[:79]}…",
        "reason": one_line(hold.reason),
        "released": moment(hold.released_at),
        "because": one_line(hold.release_reason),
    }
