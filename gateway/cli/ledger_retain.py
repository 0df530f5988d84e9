"""``gateway ledger retain``: what is over its time, and putting it away."""

from __future__ import annotations

import signal
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.output import json_option, print_document, print_rows
from gateway.words import count

if TYPE_CHECKING:
    from gateway.flow.retain import Plan
    from gateway.ledger.retention_purge import Gone

_COLUMNS = ("what", "partner", "types", "policy", "exchanges", "mails", "contents", "bytes")


@click.command("retain")
@click.option("--apply", "is_applied", is_flag=True, help="Put it away. Without this option it is only shown.")
@click.option(
    "--move-to",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="First write what leaves the ledger into archives here, whole months at a time ([retention] move_to).",
)
@click.option("--dry-run", is_flag=True, help="Only show what would go; the same as without --apply.")
@click.option("--by", metavar="NAME", help="Who does this (default: your login name).")
@json_option
@click.pass_context
def retain(
    ctx: click.Context, is_applied: bool, move_to: Path | None, dry_run: bool, by: str | None, as_json: bool
) -> int:
    """Show what is over its time by the policies of gateway.toml and the profiles; with --apply, put it away.

    Raw bytes go first (payload), exchanges and mails with all that was recorded of them later (ledger). What is held,
    still waits, or belongs to something that is younger stays, and is counted. SIGTERM ends it between two
    transactions; the next run goes on.

    \b
    gateway ledger retain
    gateway ledger retain --apply
    gateway ledger retain --apply --move-to /srv/edi/archives
    """  # noqa: D301 - click wants the character itself: \b keeps the lines below it as they are
    from gateway.app import open_app
    from gateway.cli.reporting import ConsoleReporter
    from gateway.flow import retain as flow
    from gateway.jobs.schedule import Pacer

    home = ctx.obj["home"]
    if dry_run or not is_applied:
        with open_app(home) as app:
            target = move_to or app.settings.retention.move_to
            _print_plan(flow.plan(app.context(), whole_months=target is not None), as_json=as_json)
        return 0
    with (
        closing(Pacer()) as pacer,
        pacer.signals(signal.SIGTERM),
        open_app(home, lock=True, actor=by) as app,
        ConsoleReporter(quiet=as_json) as reporter,
    ):
        app.stopping = lambda: pacer.stopped
        target = move_to.absolute() if move_to is not None else app.settings.retention.move_to
        gone = flow.apply(app.context(reporter), move_to=target)
        stopped = pacer.stopped
    _print_gone(gone, stopped=stopped, as_json=as_json)
    return 75 if stopped else 0


def _print_plan(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        print_document(plan.as_dict())
        return
    rows = [
        {**line.as_dict(), "mails": line.messages, "bytes": line.size, "partner": line.partner or "(nobody)"}
        for line in plan.lines
    ]
    print_rows(rows, _COLUMNS, as_json=False, empty="Nothing is over its time.")
    for why, number in plan.staying.items():
        click.echo(f"{number} over their time stay: {why}", err=True)
    if rows:
        click.echo("Nothing was changed. To put it away: gateway ledger retain --apply", err=True)


def _print_gone(gone: Gone, *, stopped: bool, as_json: bool) -> None:
    if as_json:
        print_document({**gone.as_dict(), "complete": not stopped})
        return
    click.echo(
        f"Put away: {count(gone.exchanges, 'exchange')}, {count(gone.messages, 'mail')} "
        f"with {count(gone.events, 'event')}, {count(gone.contents, 'content')} of {count(gone.size, 'byte')}."
    )
    if stopped:
        click.echo("Stopped before all was done; the next run goes on.", err=True)
