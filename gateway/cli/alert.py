"""``gateway alert``: what people were told, and whether they can be told at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from gateway.cli.acting import act_options, each_act
from gateway.cli.integers import NUMBER
from gateway.cli.output import json_option, moment, print_document, print_line, print_rows

if TYPE_CHECKING:
    from gateway.ledger.alerts import Alert

_COLUMNS = ("id", "kind", "state", "partner", "since", "times", "told", "subject")
_LIMIT = 1000  # closed alerts that --all goes back


@click.group("alert")
def command() -> None:
    """Who is told of what needs a person: list, show, mute, close, test. The rules stand in gateway.toml, [[alert]]."""


@command.command("list")
@click.option("--all", "closed", is_flag=True, help="Closed ones too.")
@click.option("--partner", default="", help="Only those of this partner (its key).")
@click.option("--kind", default="", help="Only those of this kind.")
@json_option
@click.pass_context
def list_(ctx: click.Context, closed: bool, partner: str, kind: str, as_json: bool) -> int:
    """What is open, newest first, and who was told when."""
    from gateway.app import open_app
    from gateway.ledger import alerts

    with open_app(ctx.obj["home"]) as app, app.ledger.reading() as connection:
        found = alerts.every(connection, _LIMIT) if closed else alerts.standing(connection)
        rules = {each.name: each.target for each in app.settings.alerts}
    found = [each for each in found if partner in {"", each.partner} and kind in {"", each.kind}]
    if as_json:
        print_rows((each.as_dict() for each in found), (), as_json=True)
        return 0
    rows = [
        {
            "id": each.id,
            "kind": each.kind,
            "state": each.state,
            "partner": each.partner,
            "since": moment(each.at),
            "times": each.count,
            "told": told(each, rules),
            "subject": each.subject,
        }
        for each in found
    ]
    print_rows(rows, _COLUMNS, as_json=False, empty="No alert is open." if not closed else "There was no alert yet.")
    return 0


@command.command("show")
@click.argument("number", type=NUMBER)
@json_option
@click.pass_context
def show(ctx: click.Context, number: int, as_json: bool) -> int:
    """What is wrong, where, on whose side, who was told, and what to do next."""
    from gateway.app import open_app
    from gateway.ledger import alerts

    with open_app(ctx.obj["home"]) as app, app.ledger.reading() as connection:
        found = alerts.one(connection, number)
        rules = {each.name: each.target for each in app.settings.alerts}
    if as_json:
        print_document(found.as_dict())
        return 0
    lines = {
        "alert": f"{found.id}: {found.kind}, {found.state}",
        "what": found.subject,
        "whose side": found.side or "unknown",
        "partner": found.partner,
        "since": moment(found.at),
        "last": f"{moment(found.last_at)}, {found.count} times" if found.count > 1 else "",
        "closed": moment(found.closed_at),
        "told": told(found, rules),
        "next": found.next_command,
    }
    for name, value in lines.items():
        if value:
            print_line(f"{name:>12}  {value}")
    return 0


@command.command("mute")
@click.argument("numbers", nargs=-1, required=True, type=NUMBER)
@act_options
@click.pass_context
def mute(
    ctx: click.Context, numbers: tuple[int, ...], reason: str, by: str | None, dry_run: bool, as_json: bool
) -> int:
    """Tell nobody of it any more. It is closed by itself when its cause is gone, and told anew if that comes back."""
    from gateway.flow import alerts

    return each_act(
        ctx.obj["home"],
        numbers,
        lambda app, each: alerts.mute(app.context(), each, actor=app.actor, reason=reason, dry_run=dry_run),
        by=by,
        dry_run=dry_run,
        as_json=as_json,
        what="alert ",
    )


@command.command("close")
@click.argument("numbers", nargs=-1, required=True, type=NUMBER)
@act_options
@click.pass_context
def close(
    ctx: click.Context, numbers: tuple[int, ...], reason: str, by: str | None, dry_run: bool, as_json: bool
) -> int:
    """Close it by hand. If the next batch still finds its cause, it is raised and told again: then mute it."""
    from gateway.flow import alerts

    return each_act(
        ctx.obj["home"],
        numbers,
        lambda app, each: alerts.close(app.context(), each, actor=app.actor, reason=reason, dry_run=dry_run),
        by=by,
        dry_run=dry_run,
        as_json=as_json,
        what="alert ",
    )


@command.command("test")
@click.argument("rule")
@json_option
@click.pass_context
def test(ctx: click.Context, rule: str, as_json: bool) -> int:
    """Tell through a rule, now, that this is a test; quiet hours and intervals do not matter."""
    from gateway.app import open_app
    from gateway.errors import NotFound
    from gateway.flow import telling

    with open_app(ctx.obj["home"], lock=True) as app:
        found = next((each for each in app.settings.alerts if each.name == rule), None)
        if found is None:
            raise NotFound(what="[[alert]] rule with the name", key=rule)
        answer = telling.test(app.context(), found)
    if as_json:
        print_document({"rule": rule, "target": found.target, "reply": answer.reply, "missing": answer.missing})
    else:
        click.echo(f"{rule}: told {found.target}: {answer.reply}")
        if answer.missing:
            click.echo(f"{rule}: but not {answer.missing}", err=True)
    return 65 if answer.missing else 0


def told(alert: Alert | None, rules: Mapping[str, str]) -> str:
    """Who was told of an alert, and when, in words; ``rules`` gives who stands behind the name of a rule."""
    if alert is None:
        return ""
    said = [f"told {rules.get(rule, rule)} {moment(at)}" for rule, at in alert.told.items()]
    return ", ".join(said) or ("muted" if alert.state == "muted" else "")
