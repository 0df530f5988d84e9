"""``gateway ack``: the acknowledgments that partners owe us, and what they said."""

from __future__ import annotations

import click

from gateway.cli.acting import act_options, each_act
from gateway.cli.integers import NUMBER
from gateway.cli.output import json_option, moment, print_rows

RELATIONS = ("matched", "duplicate", "contradicting", "orphan", "forged")  # gateway.ledger.statements, without its cost
_SAID = ("at", "partner", "relation", "kind", "status", "names", "exchange", "carrier")
_ANSWERED = ("partner", "exchange", "types", "control_number", "handed_over_at", "due_at", "acknowledged_at", "how")
_WEEK = 7 * 86_400_000  # ms

_COLUMNS = ("partner", "exchange", "types", "control_number", "awaiting", "handed_over", "due", "how_long")
_partner = click.option("--partner", default="", help="Only those of this partner (its key).")


@click.group("ack")
def command() -> None:
    """The acknowledgments that partners owe us, and what they said: list, overdue, settle."""


@command.command("list")
@_partner
@click.option("--answered", is_flag=True, help="What came instead: on time or late, the newest exchange first.")
@click.option("--received", is_flag=True, help="What partners said instead: their TA1, 997 and 999, newest first.")
@click.option(
    "--relation",
    multiple=True,
    type=click.Choice(RELATIONS),
    help="Of what they said only this: duplicate, contradicting (of an earlier one), orphan (of nothing that we sent), "
    "forged (of another partner's). May be given several times.",
)
@click.option("--limit", type=click.IntRange(1, 100_000), default=200, show_default=True, help="At most so many came.")
@json_option
@click.pass_context
def list_(
    ctx: click.Context,
    partner: str,
    answered: bool,
    received: bool,
    relation: tuple[str, ...],
    limit: int,
    as_json: bool,
) -> int:
    """Everything that is awaited: of whom, for which exchange, until when; the longest due first."""
    if answered:
        return _print_answered(ctx, partner, limit, as_json=as_json)
    if received or relation:
        return _print_received(ctx, partner, relation or RELATIONS, limit, as_json=as_json)
    code = _print(ctx, partner, as_json=as_json, only_overdue=False, empty="No acknowledgment is awaited.")
    if not as_json:
        _hint_at_odd(ctx)
    return code


def _print_answered(ctx: click.Context, partner: str, limit: int, *, as_json: bool) -> int:
    from gateway.app import open_app
    from gateway.ledger.answered import answered

    with open_app(ctx.obj["home"]) as app:
        found = answered(app.engine, partner=partner, limit=limit)
    times = ("handed_over_at", "due_at", "acknowledged_at")
    rows = [
        each.as_dict() | ({} if as_json else {name: moment(getattr(each, name)) for name in times}) for each in found
    ]
    print_rows(rows, _ANSWERED, as_json=as_json, empty="Nothing was acknowledged yet.")
    if found and not as_json:
        late = sum(1 for each in found if each.late_by)
        click.echo(f"{len(found)} answered: {len(found) - late} on time, {late} late.", err=True)
    return 0


def _print_received(ctx: click.Context, partner: str, relations: tuple[str, ...], limit: int, *, as_json: bool) -> int:
    from gateway.app import open_app
    from gateway.ledger.statements import statements

    with open_app(ctx.obj["home"]) as app:
        found = statements(app.engine, partner=partner, relations=relations, limit=limit)
    rows = [each.as_dict() | ({} if as_json else {"at": moment(each.at)}) for each in found]
    print_rows(rows, _SAID, as_json=as_json, empty="No such acknowledgment was received.")
    return 0


def _hint_at_odd(ctx: click.Context) -> None:
    from gateway.app import open_app
    from gateway.ledger.statements import odd_since

    with open_app(ctx.obj["home"]) as app:
        odd = odd_since(app.engine, app.now() - _WEEK)
    if odd:
        words = ", ".join(f"{number} {relation}" for relation, number in sorted(odd.items()))
        click.echo(f"Of what partners said in the last 7 days: {words} (gateway ack list --relation …).", err=True)


@command.command("settle")
@click.argument("numbers", nargs=-1, required=True, type=NUMBER)
@click.option("--accepted", is_flag=True, help="The partner says that it accepted the documents.")
@click.option("--rejected", is_flag=True, help="The partner says that it rejected them.")
@act_options
@click.pass_context
def settle(
    ctx: click.Context,
    numbers: tuple[int, ...],
    accepted: bool,
    rejected: bool,
    reason: str,
    by: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Take a person's word for the acknowledgment of exchanges: nothing is awaited for them any more.

    What the partner's own acknowledgment says later is kept beside it; the opposite is shown to a person.

    Example: gateway ack settle 34 --accepted --why "Ms Berg on the telephone"
    """
    from gateway.errors import UsageFault
    from gateway.flow import operate
    from gateway.x12.model import Status

    if accepted == rejected:
        raise UsageFault(reason="say --accepted or --rejected, one of the two")
    verdict = Status.ACCEPTED if accepted else Status.REJECTED
    return each_act(
        ctx.obj["home"],
        numbers,
        lambda app, each: operate.acknowledge_by_hand(
            app.context(), each, verdict, actor=app.actor, reason=reason, dry_run=dry_run
        ),
        by=by,
        dry_run=dry_run,
        as_json=as_json,
        what="exchange ",
    )


@command.command("overdue")
@_partner
@json_option
@click.pass_context
def overdue(ctx: click.Context, partner: str, as_json: bool) -> int:
    """What did not come in time, the longest overdue first. Ask the partner, or see gateway exchange resend."""
    return _print(ctx, partner, as_json=as_json, only_overdue=True, empty="No acknowledgment is overdue.")


def _print(ctx: click.Context, partner: str, *, as_json: bool, only_overdue: bool, empty: str) -> int:
    from gateway.app import open_app
    from gateway.flow.awaiting import agreed_name
    from gateway.ledger.awaited import awaited

    with open_app(ctx.obj["home"]) as app:
        found = awaited(app.engine, partner=partner, only_overdue=only_overdue)
        directory = app.directory()
        names = [agreed_name(directory, each) for each in found]
    if as_json:
        rows = (each.as_dict() | {"awaiting": name} for each, name in zip(found, names, strict=True))
        print_rows(rows, (), as_json=True)
        return 0
    table = [
        {
            "partner": each.partner,
            "exchange": each.exchange,
            "types": each.types,
            "control_number": each.control_number,
            "awaiting": name,
            "handed_over": moment(each.handed_over_at),
            "due": moment(each.due_at),
            "how_long": each.how_long,
        }
        for each, name in zip(found, names, strict=True)
    ]
    print_rows(table, _COLUMNS, as_json=False, empty=empty)
    return 0
