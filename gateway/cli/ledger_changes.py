"""``gateway ledger changes``: who changed what about the gateway itself, and when."""

from __future__ import annotations

import click

from gateway.cli.integers import NATURAL
from gateway.cli.output import json_option, moment, print_rows

_COLUMNS = ("event", "at", "by", "partner", "what")


@click.command("changes")
@click.option("--partner", metavar="KEY", help="Only what was changed about this partner.")
@click.option("--limit", type=NATURAL, default=50, show_default=True, help="At most this many.")
@click.option("--before", type=NATURAL, metavar="EVENT", help="Only what happened before this event.")
@json_option
@click.pass_context
def changes(ctx: click.Context, partner: str | None, limit: int, before: int | None, as_json: bool) -> int:
    """List changes of the configuration, newest first: settings, profiles, certificates, keys, secrets, start numbers.

    gateway.toml is compared whenever a batch or a worker begins, or a document is sent; what is different is told with
    the old and the new value. With --json every event has all that is known of it.

    \b
    gateway ledger changes
    gateway ledger changes --partner acme
    """  # noqa: D301 - click wants the character itself: \b keeps the lines below it as they are
    from gateway.app import open_app
    from gateway.ledger.changes import changes as changes_of
    from gateway.ledger.events import one_line, sentence

    with open_app(ctx.obj["home"]) as app:
        found = changes_of(app.engine, partner=partner, limit=limit, before=before)
    rows = (
        each.as_dict()
        if as_json
        else {
            "event": each.seq,
            "at": moment(each.at),
            "by": one_line(each.actor),
            "partner": each.partner,
            "what": one_line(sentence(each)),
        }
        for each in found
    )
    print_rows(rows, _COLUMNS, as_json=as_json, empty="Nothing was changed yet.")
    if len(found) == limit:
        click.echo(f"There may be more: add --before {found[-1].seq}", err=True)
    return 0
