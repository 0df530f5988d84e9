"""``gateway status``: what needs a person now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from gateway.cli.alert import told
from gateway.cli.output import json_option, moment, print_document, print_line

if TYPE_CHECKING:
    from gateway.ledger.alerts import Alert

_WORKING = "Workers do what is due as it comes."
_WEEK = 7 * 86_400_000  # ms


@click.command("status")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> int:
    """What needs a person now, with reasons and next commands: the urgent, then the newest first; then what waits."""
    from gateway.app import open_app
    from gateway.flow.check_running import workers_at_work
    from gateway.flow.standing import standing
    from gateway.flow.stops import stops_of
    from gateway.ledger.standing import counts, last_batch, repeated_documents
    from gateway.ledger.stops import KEPT_BACK, kept_back

    with open_app(ctx.obj["home"]) as app, app.ledger.reading() as connection:
        partners, keys = app.partners.current(), app.keys.list()
        found = standing(connection, app.settings, partners, keys, app.access_tokens, app.now())
        numbers = counts(connection, app.now() - _WEEK) | repeated_documents(connection, app.now() - _WEEK)
        numbers[KEPT_BACK] = sum(kept_back(connection, stops_of(partners)).values())
        batch = last_batch(connection)
        working = workers_at_work(connection, app.now())
        rules = {each.name: each.target for each in app.settings.alerts}
    if as_json:
        print_document(found.as_dict() | {"counts": numbers, "last_batch": batch, "workers": working})
        return 0
    click.echo(_batch(batch, working=working))
    total = (
        len(found.needs) + len(found.met) + len(found.refused) + found.left_out
    )  # as the console's first page counts
    click.echo(f"{total} {'needs' if total == 1 else 'need'} a person." if total else "Nothing needs a person.")
    for each, one in found.needs:
        print_line(f"  {each.reference:>6}  {moment(each.at)}  {'URGENT, ' * each.urgent}{each.state}: {each.what}")
        print_line(f"          {each.reason}")
        click.echo(f"          → {each.next_command}")
        _say_told(one, rules)
    if found.left_out:
        click.echo(f"  … and {found.left_out} more; urgent ones are listed first, then the newest. All of them:")
        click.echo("          → gateway ledger search attention")
        click.echo("          → gateway ledger search --mails attention")
    if found.met:
        click.echo("Met by the last batch:")
    for one in found.met:
        print_line(f"          {one.kind}: {one.subject}")
        click.echo(f"          → {one.next_command}")
        _say_told(one, rules)
    if found.refused:
        click.echo("Could not be sent from the outbox; beside each lies the reason:")
        for each_file in found.refused:
            print_line(f"          {each_file}")
    click.echo("Waiting, and done in the last 7 days:")
    for name, number in numbers.items():
        if number:
            click.echo(f"  {number:>6}  {name}")
    return 0


def _batch(batch: Mapping[str, int | None] | None, *, working: bool) -> str:
    if batch is None:
        return _WORKING if working else "No batch has run yet: gateway night runs one."
    ended = moment(batch["ended_at"]) if batch["ended_at"] else "it did not end: it was interrupted or still runs"
    said = f"Last batch: {batch['id']}, began {moment(batch['started_at'])}, ended {ended}"
    return f"{_WORKING} {said}" if working else said


def _say_told(one: Alert | None, rules: Mapping[str, str]) -> None:
    words = told(one, rules)
    if words:
        print_line(f"            {words}")
