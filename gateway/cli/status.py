"""``gateway status``: what needs a person now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from gateway.cli.alert import told
from gateway.cli.output import json_option, moment, print_document

if TYPE_CHECKING:
    from gateway.ledger.alerts import Alert

_WEEK = 7 * 86_400_000  # ms


@click.command("status")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> int:
    """What needs a person now, with reasons and next commands: the urgent, then the newest first; then what waits."""
    from gateway.app import open_app
    from gateway.flow import logins
    from gateway.flow.expiry import attention_for
    from gateway.flow.needs import MACHINE, MET, topic_of
    from gateway.flow.outbox import refused_documents
    from gateway.ledger import alerts
    from gateway.ledger.attention import attention
    from gateway.ledger.work import counts, last_batch, repeated_documents

    with open_app(ctx.obj["home"]) as app, app.ledger.reading() as connection:
        found = attention(connection)
        found += logins.attention_for_tokens(app.access_tokens)
        found += logins.attention_for(app.settings.oauth, app.now())
        found += attention_for(app.partners.current(), app.keys.list(), app.now())
        numbers = counts(connection) | repeated_documents(connection, app.now() - _WEEK)
        refused = [str(each) for each in refused_documents(app.settings.outbox)]
        batch = last_batch(connection)
        known = {each.topic: each for each in alerts.standing(connection)}
        rules = {each.name: each.target for each in app.settings.alerts}
    raised = [known.get(topic_of(each)) for each in found]
    spoken_for = {topic_of(each) for each in found}
    others = [each for each in known.values() if each.kind in MET | MACHINE and each.topic not in spoken_for]
    others = [each for each in others if each.kind != "document refused"]  # they are listed by themselves
    if as_json:
        print_document(
            {
                "attention": [
                    each.as_dict() | {"alert": None if one is None else one.as_dict()}
                    for each, one in zip(found, raised, strict=True)
                ],
                "alerts": [each.as_dict() for each in others],
                "refused_documents": refused,
                "counts": numbers,
                "last_batch": batch,
            }
        )
        return 0
    if batch is None:
        click.echo("No batch has run yet: gateway night runs one.")
    else:
        ended = moment(batch["ended_at"]) if batch["ended_at"] else "it did not end: it was interrupted or still runs"
        click.echo(f"Last batch: {batch['id']}, began {moment(batch['started_at'])}, ended {ended}")
    click.echo(f"{len(found)} need a person." if found else "Nothing needs a person.")
    for each, one in zip(found, raised, strict=True):
        click.echo(f"  {each.reference:>6}  {moment(each.at)}  {'URGENT, ' * each.urgent}{each.state}: {each.what}")
        click.echo(f"          {each.reason}")
        click.echo(f"          → {each.next_command}")
        _say_told(one, rules)
    if others:
        click.echo("Met by the last batch:")
    for one in others:
        click.echo(f"          {one.kind}: {one.subject}")
        click.echo(f"          → {one.next_command}")
        _say_told(one, rules)
    if refused:
        click.echo(f"{len(refused)} documents in the outbox could not be sent; beside each lies the reason:")
        for each_file in refused:
            click.echo(f"          {each_file}")
    click.echo("Waiting and done:")
    for name, number in numbers.items():
        if number:
            click.echo(f"  {number:>6}  {name}")
    return 0


def _say_told(one: Alert | None, rules: Mapping[str, str]) -> None:
    words = told(one, rules)
    if words:
        click.echo(f"            {words}")
