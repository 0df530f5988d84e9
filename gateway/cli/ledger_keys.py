"""``gateway ledger forget-key`` and ``encrypt``: what lies encrypted, and how it is erased."""

from __future__ import annotations

import re
import signal
from contextlib import closing
from typing import TYPE_CHECKING

import click

from gateway.cli.acting import act_options
from gateway.cli.output import json_option, print_document, print_rows

if TYPE_CHECKING:
    from gateway.flow.erase import Erasable

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


def _month(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    matched = _MONTH.fullmatch(value)
    if matched is None:
        raise click.BadParameter("a month such as 2024-07 is wanted")
    return int(matched[1]), int(matched[2])


@click.command("forget-key")
@click.argument("partner")
@click.option("--before", callback=_month, metavar="MONTH", help="Only the keys of months before this, as 2024-07.")
@act_options
@click.pass_context
def forget_key(
    ctx: click.Context,
    partner: str,
    before: tuple[int, int] | None,
    reason: str,
    by: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Erase what lies encrypted of a partner, by forgetting its keys. Nobody can undo this.

    The raw bytes of its mails and interchanges, and what findings and acknowledgments quote, can never be read again,
    also in archives that were moved out; what was recorded of them stays. A month of which anything is held or at work
    is left alone. Backups that were made before still hold the keys.

    \b
    gateway ledger forget-key clinic --before 2024-07 --why "retention of health data" --dry-run
    """  # noqa: D301 - click wants the character itself: \b keeps the lines below it as they are
    from gateway.app import open_app
    from gateway.flow import erase

    with open_app(ctx.obj["home"], lock=True, actor=by) as app:
        context = app.context()
        found = erase.erasable(context, partner, before)
        going = [each.month for each in found if not each.kept_by]
        erased = 0 if dry_run else erase.erase(context, partner, going, actor=app.actor, reason=reason)
    _print_months(found, erased, dry_run=dry_run, as_json=as_json)
    return 0


def _print_months(found: list[Erasable], erased: int, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_document({"months": [each.as_dict() for each in found], "erased": erased, "dry_run": dry_run})
        return
    rows = [{"month": each.month.period, "contents": each.month.contents, "kept by": each.kept_by} for each in found]
    print_rows(rows, ("month", "contents", "kept by"), as_json=False, empty="There is no key to forget.")
    if dry_run:
        click.echo("Dry run: nothing was changed.", err=True)
    else:
        click.echo(f"Erased: {erased} contents.")


@click.command("encrypt")
@click.argument("partner")
@click.option("--by", metavar="NAME", help="Who does this (default: your login name).")
@click.option("--dry-run", is_flag=True, help="Count what lies in clear; change nothing.")
@json_option
@click.pass_context
def encrypt(ctx: click.Context, partner: str, by: str | None, dry_run: bool, as_json: bool) -> int:
    """Encrypt what was kept of a partner in clear, before its profile said [storage] encrypt = true.

    SIGTERM ends it between two transactions; the next run goes on.
    """
    from gateway.app import open_app
    from gateway.cli.reporting import ConsoleReporter
    from gateway.flow import erase
    from gateway.jobs.schedule import Pacer

    with (
        closing(Pacer()) as pacer,
        pacer.signals(signal.SIGTERM),
        open_app(ctx.obj["home"], lock=not dry_run, actor=by) as app,
        ConsoleReporter(quiet=as_json) as reporter,
    ):
        app.stopping = lambda: pacer.stopped
        context = app.context(reporter)
        count = erase.in_clear(context, partner) if dry_run else erase.encrypt(context, partner)
        stopped = pacer.stopped
    if as_json:
        print_document({"partner": partner, "contents": count, "dry_run": dry_run, "complete": not stopped})
    else:
        click.echo(f"{count} contents of {partner} {'lie in clear' if dry_run else 'were encrypted'}.")
    return 75 if stopped else 0
