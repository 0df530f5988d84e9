"""``gateway ack``: the acknowledgments that partners owe us."""

from __future__ import annotations

import click

from gateway.cli.output import json_option, moment, print_rows

_COLUMNS = ("partner", "exchange", "types", "control_number", "awaiting", "handed_over", "due", "how_long")
_partner = click.option("--partner", default="", help="Only those of this partner (its key).")


@click.group("ack")
def command() -> None:
    """The acknowledgments that partners owe us: list, overdue."""


@command.command("list")
@_partner
@json_option
@click.pass_context
def list_(ctx: click.Context, partner: str, as_json: bool) -> int:
    """Everything that is awaited: of whom, for which exchange, until when; the longest due first."""
    return _print(ctx, partner, as_json=as_json, only_overdue=False, empty="No acknowledgment is awaited.")


@command.command("overdue")
@_partner
@json_option
@click.pass_context
def overdue(ctx: click.Context, partner: str, as_json: bool) -> int:
    """What did not come in time, the longest overdue first. Ask the partner, or see gateway exchange resend."""
    return _print(ctx, partner, as_json=as_json, only_overdue=True, empty="No acknowledgment is overdue.")


def _print(ctx: click.Context, partner: str, *, as_json: bool, only_overdue: bool, empty: str) -> int:
    from gateway.app import open_app
    from gateway.ledger.awaited import awaited
    from gateway.ledger.events import awaited_name

    with open_app(ctx.obj["home"]) as app:
        found = awaited(app.engine, partner=partner, only_overdue=only_overdue)
    if as_json:
        print_rows((each.as_dict() for each in found), (), as_json=True)
        return 0
    rows = [
        {
            "partner": each.partner,
            "exchange": each.exchange,
            "types": each.types,
            "control_number": each.control_number,
            "awaiting": awaited_name(each.kind),
            "handed_over": moment(each.handed_over_at),
            "due": moment(each.due_at),
            "how_long": each.how_long,
        }
        for each in found
    ]
    print_rows(rows, _COLUMNS, as_json=False, empty=empty)
    return 0
