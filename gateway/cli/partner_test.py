"""``gateway partner test``: a test document for a partner, followed until there is a verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.integers import NATURAL
from gateway.cli.output import json_option, moment, print_document
from gateway.errors import UsageFault

if TYPE_CHECKING:
    from gateway.flow.partner_trial import Verdict

_MARKS = {"ok": "✓", "waiting": "…", "failed": "✗"}
_PAUSE = 5.0  # seconds between two batches
BAD, LATER = 65, 75


@click.command(name="test")
@click.argument("key")
@click.option("--type", "set_id", default="", metavar="SET", help="Which set (default: the first agreed for out).")
@click.option(
    "--file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Send this document instead of a made-up one.",
)
@click.option(
    "--wait", metavar="DURATION", default="", help="Run batches until there is a verdict, at most so long: 10m."
)
@click.option("--result", is_flag=True, help="Send nothing: what became of the last test.")
@click.option("--exchange", type=NATURAL, metavar="ID", help="With --result: of this test.")
@click.option("--dry-run", is_flag=True, help="Check the document, and send nothing.")
@click.option("--by", metavar="NAME", help="Who does this (default: your login name).")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    key: str,
    set_id: str,
    file: Path | None,
    wait: str,
    result: bool,
    exchange: int | None,
    dry_run: bool,
    by: str | None,
    as_json: bool,
) -> int:
    """Send a test to a partner, and say what becomes of it.

    It is a conforming sample of an agreed set, marked as a test (ISA15 T). Contents are made up by the guideline of
    the agreement. Without --wait the test is only submitted: the next batch sends it, and --result tells the
    verdict: handed over, returned, receipt, TA1, 997 or 999, with what the partner found. Exit code 0: accepted;
    65: rejected, returned or late; 75: not decided yet.

    \b
    Examples: gateway partner test acme --type 810 --wait 10m
              gateway partner test acme
              gateway partner test acme --result
    """  # noqa: D301 - click wants a real \b
    from gateway.app import open_app
    from gateway.flow.partner_trial import last_test, send_test, verdict

    if exchange is not None and not result:
        raise UsageFault(reason="--exchange goes with --result.")
    seconds = _seconds(wait)
    with open_app(ctx.obj["home"], lock=not result, actor=by) as app:
        context = app.context()
        if result:
            number: int | None = exchange or last_test(context, key)
        else:
            data = file.read_bytes() if file is not None else None
            name = file.name if file is not None else "sample"
            number = send_test(context, key, set_id, data=data, name=name, actor=app.actor, dry_run=dry_run)
        if number is None:
            click.echo("The document can be sent; nothing was (--dry-run).", err=True)
            return 0
        found = verdict(context, number)
    if found.partner != key:
        raise UsageFault(reason=f"Exchange {number} is a test of {found.partner}, not of {key}.")
    if seconds and not found.final:
        found = _followed(ctx.obj["home"], number, seconds)
    if as_json:
        print_document(found.as_dict())
    else:
        _say(found)
    return _code(found)


def _seconds(text: str) -> float:
    from partners.profile_values import read_duration

    if not text:
        return 0.0
    try:
        return read_duration(text).total_seconds()
    except ValueError as problem:
        raise UsageFault(reason=f"--wait: {problem}") from None


def _followed(home: Path, exchange: int, seconds: float, sleep: Callable[[float], None] = time.sleep) -> Verdict:
    """Runs batches until the test is decided or the time is over; where another runs them, only looks."""
    from gateway.app import open_app
    from gateway.errors import TryAgainLater
    from gateway.flow.log import logging_to, settings_of
    from gateway.flow.night import night
    from gateway.flow.partner_trial import verdict

    until = time.monotonic() + seconds
    while True:
        with suppress(TryAgainLater), logging_to(settings_of(home), home=home) as log, open_app(home, lock=True) as app:
            app.ledger.listener = log.heard
            log.batch_ended(night(app.context, log))
        with open_app(home) as app:
            found = verdict(app.context(), exchange)
        if found.final or time.monotonic() >= until:
            return found
        sleep(min(_PAUSE, max(0.0, until - time.monotonic())))


def _say(found: Verdict) -> None:
    click.echo(f"Test {found.control_number} ({' '.join(found.types)}) to {found.partner}, exchange {found.exchange}")
    for step in found.steps:
        at = f"{moment(step.at)}  " if step.at is not None else ""
        click.echo(f"  {_MARKS[step.state]} {step.name}: {at}{step.sentence}")
    for each in found.findings:
        click.echo(f"      {each}")
    click.echo(f"{found.result}: {found.sentence}")
    click.echo(f"Next: {found.next_command}", err=True)


def _code(found: Verdict) -> int:
    if not found.final:
        return LATER
    return 0 if found.result in {"accepted", "accepted with errors", "done"} else BAD
