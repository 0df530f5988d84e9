"""`gateway partner start`: our control numbers go on from where another system left off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.acting import why_option
from gateway.cli.output import json_option, print_rows
from gateway.errors import UsageFault

if TYPE_CHECKING:
    from gateway.app import App

_COLUMNS = ("partner", "ours", "theirs", "level", "before", "next")
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(name="start")
@click.argument("key", required=False)
@click.option("--interchange", metavar="N", help="The first ISA13 that we use.")
@click.option("--group", metavar="N", help="The first GS06 that we use.")
@click.option(
    "--ours", default="", metavar="QUALIFIER:ID", help="Our identity, where we use several with this partner."
)
@click.option("--theirs", default="", metavar="QUALIFIER:ID", help="The partner's identity, where it has several.")
@click.option(
    "--file", type=_FILE, help="Many at once: CSV with the columns partner, interchange, group, ours, theirs."
)
@click.option("--last-used", is_flag=True, help="The numbers are the last ones that were used; ours begin after them.")
@click.option("--leave", is_flag=True, help="Knowingly leave our numbers as they are. Needs --why.")
@click.option("--force", is_flag=True, help="Also backwards, to numbers that may have been used. Needs --why.")
@why_option(required=False)
@click.option("--by", metavar="NAME", help="Who does this (default: your login name).")
@click.option("--dry-run", is_flag=True, help="Check and tell, but change nothing.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    key: str | None,
    interchange: str | None,
    group: str | None,
    ours: str,
    theirs: str,
    file: Path | None,
    last_used: bool,
    leave: bool,
    force: bool,
    reason: str,
    by: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Set the control numbers with which we begin, or go on, for a partner: all of them, or none.

    A partner that traded with us through another system, or a VAN, has seen our numbers; let ours begin after them.
    A count never goes back without --force. After 999999999 comes 1. `gateway partner show` tells where it stands.

    \b
    Examples: gateway partner start acme --interchange 4712 --group 9001
              gateway partner start --file van.csv --last-used --why "moved from the VAN"
              gateway partner start acme --leave --why "a new partner, nothing was ever sent"
    """  # noqa: D301 - click wants a real \b
    from gateway.app import open_app
    from gateway.errors import ConfigurationFault
    from gateway.flow import start_numbers as numbers

    if leave:
        _leave(ctx, key, reason, by=by, dry_run=dry_run, as_json=as_json, others=any((interchange, group, file)))
        return
    if (key is None) == (file is None):
        raise UsageFault(reason="name one partner, or a CSV file with --file")
    if file is not None:
        starts = numbers.read_csv(_text(file), last_used=last_used)
    else:
        try:
            starts = [numbers.start(key or "", interchange, group, ours, theirs, last_used=last_used)]
        except ConfigurationFault as fault:
            raise UsageFault(reason=str(fault)) from None
    with open_app(ctx.obj["home"], lock=True, actor=by) as app:
        done = numbers.start_numbers(
            app.context(), starts, actor=app.actor, reason=reason, force=force, dry_run=dry_run
        )
    print_rows((each.as_dict() | {"dry_run": dry_run} for each in done), _COLUMNS, as_json=as_json)
    if dry_run:
        click.echo("Nothing was changed (--dry-run).", err=True)
    elif not any(each.done for each in done):
        click.echo("Done before: the counts stood there already; nothing was changed.", err=True)


def _leave(
    ctx: click.Context,
    key: str | None,
    reason: str,
    *,
    by: str | None,
    dry_run: bool,
    as_json: bool,
    others: bool,
) -> None:
    from gateway.app import open_app
    from gateway.cli.acting import say
    from gateway.flow.onboarding import leave_numbers

    if key is None or others:
        raise UsageFault(reason="--leave is about one partner, and sets no number")
    with open_app(ctx.obj["home"], lock=True, actor=by) as app:
        act = leave_numbers(app.context(), key, actor=app.actor, reason=reason, dry_run=dry_run)
    say(act, dry_run=dry_run, as_json=as_json)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageFault(reason=f"{file.name} is not UTF-8 text") from None


def numbers_of(app: App, key: str) -> list[dict[str, object]]:
    """Where our counts for a partner stand, for JSON; a count that was not begun stands at 1."""
    from gateway.flow.start_numbers import standing_numbers

    return [each.as_dict() for each in standing_numbers(app.ledger, app.directory(), key)]


def number_lines(numbers: list[dict[str, object]]) -> Iterator[str]:
    """The same in words."""
    by_pair: dict[tuple[object, object], list[str]] = {}
    for each in numbers:
        by_pair.setdefault((each["ours"], each["theirs"]), []).append(f"{each['level']} {each['next']}")
    yield ""
    for (ours, theirs), counts in by_pair.items():
        yield f"Our next control numbers from {ours} to {theirs}: {', '.join(counts)}"
