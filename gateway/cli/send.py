"""``gateway send``: documents of the business, from files, for a partner."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.output import json_option, print_line
from gateway.errors import GatewayError, UsageFault

if TYPE_CHECKING:
    from gateway.flow.submit import Submission

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True)


@click.command("send")
@click.argument("partner")
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option(
    "--key",
    default="",
    help="Idempotency key: the same key again sends nothing twice, for this partner and usage (default: the content).",
)
@click.option(
    "--again", is_flag=True, help="Send although the same content, or its invoice or order number, was sent before."
)
@click.option("--dry-run", is_flag=True, help="Check everything, number and queue nothing.")
@click.option("--now", "at_once", is_flag=True, help="Hand the mails over now instead of with the next batch.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    partner: str,
    files: tuple[Path, ...],
    key: str,
    again: bool,
    dry_run: bool,
    at_once: bool,
    as_json: bool,
) -> int:
    """Submit documents for PARTNER: transaction sets (ST…SE), groups or whole interchanges; "-" is stdin.

    Each is tried against its guideline, put into the envelope of the agreement and queued; the next batch
    mails it. A file that cannot be sent uses no control number; the others are still submitted.

    Example: gateway send acme invoice-4711.edi
    """
    from gateway.app import open_app
    from gateway.flow.configuration import note
    from gateway.flow.dispatch import dispatch
    from gateway.flow.reporter import Tally
    from gateway.flow.submit import submit

    if key and len(files) > 1:
        raise UsageFault(reason="--key names one document, but several files were given")
    code = 0
    with open_app(ctx.obj["home"], lock=True) as app:
        tally = Tally()
        context = app.context(tally)
        if not dry_run:
            note(app.ledger, app.settings)
        for file in files:
            data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
            try:
                done = submit(
                    context, partner, data, name=file.name, key=key, again=again, actor=app.actor, dry_run=dry_run
                )
            except GatewayError as fault:
                code = max(code, fault.exit_code)
                _say_refused(fault, file.name, as_json=as_json)
                continue
            facts = {
                "file": file.name,
                "exchanges": done.exchanges,
                "control_numbers": done.control_numbers,
                "states": done.states,
                "repeated": done.repeated,
                "dry_run": dry_run,
            }
            click.echo(json.dumps(facts) if as_json else _sentence(file.name, done, dry_run=dry_run))
        if at_once and not dry_run:
            dispatch(context)
            for where, trouble in tally.troubles:
                print_line(f"! {where}: {trouble} [{trouble.code}]", err=True)
                code = max(code, trouble.exit_code)
    return code


def _say_refused(fault: GatewayError, name: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"file": name, "error": fault.as_dict()}))
    else:
        for line in (f"{name}: {fault}", f"  what to do: {fault.next_step}", f"  code: {fault.code}"):
            print_line(line, err=True)


def _sentence(name: str, done: Submission, *, dry_run: bool) -> str:
    if dry_run and not done.repeated:
        return f"{name}: can be sent (dry run: nothing was numbered)"
    if done.repeated:
        rows = zip(done.exchanges, done.control_numbers, done.states, strict=True)
        told = ", ".join(f"exchange {exchange} ({number}, {state})" for exchange, number, state in rows)
        return f"{name}: was submitted before as {told}; nothing new was queued"
    exchanges = ", ".join(map(str, done.exchanges))
    return f"{name}: queued as exchange {exchanges}, interchange {', '.join(done.control_numbers)}"
