"""``gateway doctor``: looks at everything that must be right, and says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.output import json_option, print_document
from gateway.words import count

if TYPE_CHECKING:
    from gateway.flow.check_result import Check

_MARKS = {True: "✓", None: "!", False: "✗"}
_COLOURS = {True: "green", None: "yellow", False: "red"}


@click.command()
@click.option("--offline", is_flag=True, help="Leave mailboxes and the SMTP host alone.")
@click.option("--ledger", "whole", is_flag=True, help="Read the whole ledger too: every page, all kept bytes (slow).")
@json_option
@click.pass_context
def command(ctx: click.Context, offline: bool, whole: bool, as_json: bool) -> int:
    """Checks settings, database, secrets, partners, mailboxes and SMTP, and says what to do.

    Nothing is changed, sent or fetched. What it finds has a code: docs/reference/doctor.md lists them all.

    \b
    Exit codes: 0 all is well, or only warnings · 78 something must be corrected · 69 something is not available

    Example: gateway --home /srv/edi doctor --json
    """  # noqa: D301 - click wants a real \b
    from gateway.cli.reporting import say_tracebacks
    from gateway.flow.checks import exit_code

    made: list[Check] = []
    for check in _checks(ctx.obj["home"], online=not offline, whole=whole):
        made.append(check)
        if not as_json:
            _say(check)
        say_tracebacks([check.behind])
    code = exit_code(made)
    if as_json:
        print_document({"home": str(ctx.obj["home"]), "ok": code == 0, "checks": [each.as_dict() for each in made]})
    else:
        _sum_up(made)
    return code


def _checks(home: Path, *, online: bool, whole: bool) -> Iterator[Check]:
    from gateway.app import KEY_FILE, open_app
    from gateway.errors import GatewayError
    from gateway.flow.check_result import failed
    from gateway.flow.checks import examine

    try:
        with open_app(home, verify=False) as app:
            yield from examine(app, home / KEY_FILE, online=online, whole=whole)
    except GatewayError as fault:
        yield failed("settings", fault)


def _say(check: Check) -> None:
    mark = click.style(_MARKS[check.ok], fg=_COLOURS[check.ok])
    code = f" [{check.code}]" if check.code else ""
    click.echo(f"{mark} {check.name}: {check.sentence}{code}")
    if check.advice:
        click.echo(f"    → {check.advice}")


def _sum_up(made: list[Check]) -> None:
    wrong = sum(each.ok is False for each in made)
    warned = sum(each.ok is None for each in made)
    click.echo(f"{count(len(made), 'check')}: {wrong} failed, {warned} to look at.")
