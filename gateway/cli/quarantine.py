"""``gateway quarantine``: what could not be processed, and what a person does about it."""

from __future__ import annotations

import click

from gateway.cli.acting import act_options, each_act
from gateway.cli.output import json_option, moment, print_bytes, print_document, print_line, print_rows

_COLUMNS = ("reference", "at", "state", "partner", "what", "reason")
_MOST = 1_000_000  # of all that needs a person: what else there is must hide nothing that is in quarantine


@click.group("quarantine")
def command() -> None:
    """What could not be processed: list, show, release, discard. A reference is m12 (message) or 34 (exchange)."""


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> int:
    """Everything in quarantine, newest first."""
    from gateway.app import open_app
    from gateway.ledger.attention import attention
    from gateway.ledger.states import ExchangeState, MessageState

    kept = {MessageState.QUARANTINED.value, ExchangeState.QUARANTINED.value, ExchangeState.CONFLICT.value}
    with open_app(ctx.obj["home"]) as app, app.ledger.reading() as connection:
        rows = [
            {
                "reference": each.reference,
                "at": moment(each.at),
                "state": each.state,
                "partner": each.partner,
                "what": each.what,
                "reason": each.reason,
            }
            for each in attention(connection, _MOST)
            if each.state in kept
        ]
    print_rows(rows, _COLUMNS, as_json=as_json, empty="The quarantine is empty.")
    return 0


@command.command("show")
@click.argument("reference")
@click.option("--raw", is_flag=True, help="Write the raw bytes to stdout: the whole mail, or the interchange.")
@click.option("--unmasked", is_flag=True, help="With --raw: ISA02 and ISA04 too; the ledger records that you did.")
@json_option
@click.pass_context
def show(ctx: click.Context, reference: str, raw: bool, unmasked: bool, as_json: bool) -> int:
    """What it is, why it is here, and what to do."""
    from gateway.app import open_app
    from gateway.flow import showing
    from gateway.flow.operate import Reference
    from gateway.ledger.standing import quarantined

    with open_app(ctx.obj["home"]) as app:
        named = Reference.parse(reference)
        with app.ledger.reading() as connection:
            found = quarantined(connection, message=named.message, exchange=named.exchange)
        if raw:
            if named.message is not None:
                limits = app.settings.limits
                pieces = showing.mail_bytes(app.ledger, named.message, limits, unmasked=unmasked)
            else:
                pieces = showing.interchange_bytes(app.ledger, named.exchange or 0, unmasked=unmasked)
            print_bytes(pieces)
            return 0
    if as_json:
        print_document(found)
        return 0
    for name, value in found.items():
        if name != "fault" and value not in {None, "", "{}", "[]"}:
            shown = moment(value) if name in {"at", "updated_at"} and isinstance(value, int) else value
            print_line(f"{name.replace('_', ' '):>16}  {shown}")
    fault = found["fault"]
    if isinstance(fault, dict):
        print_line(f"{'why':>16}  {fault['message']}")
        click.echo(f"{'whose side':>16}  {fault['side']}")
        click.echo(f"{'code':>16}  {fault['code']}")
        print_line(f"{'what to do':>16}  {fault['advice']}")
    if found["state"] not in {"quarantined", "conflict"}:
        return 0
    held = found.get("fault_code") in {"interchange.duplicate-number", "document.repeated"}
    verb = f"exchange accept {reference}" if held else f"quarantine release {reference}"
    click.echo(f"{'next':>16}  gateway {verb} --why …  |  gateway quarantine discard {reference} --why …")
    return 0


@command.command("release")
@click.argument("references", nargs=-1, required=True)
@act_options
@click.pass_context
def release(
    ctx: click.Context, references: tuple[str, ...], reason: str, by: str | None, dry_run: bool, as_json: bool
) -> int:
    """Put messages back; the next batch processes them again, with the profiles as they are then.

    A document that is held because it came before is accepted at once; where its control number was used meanwhile,
    it becomes a conflict instead. Interchanges of the same mail that were decided on already are not processed twice.
    """
    from gateway.flow import operate

    return each_act(
        ctx.obj["home"],
        references,
        lambda app, each: operate.release(app.context(), each, actor=app.actor, reason=reason, dry_run=dry_run),
        by=by,
        dry_run=dry_run,
        as_json=as_json,
    )


@command.command("discard")
@click.argument("references", nargs=-1, required=True)
@act_options
@click.pass_context
def discard(
    ctx: click.Context, references: tuple[str, ...], reason: str, by: str | None, dry_run: bool, as_json: bool
) -> int:
    """Put something aside for good; its bytes are kept."""
    from gateway.flow import operate

    return each_act(
        ctx.obj["home"],
        references,
        lambda app, each: operate.discard(app.context(), each, actor=app.actor, reason=reason, dry_run=dry_run),
        by=by,
        dry_run=dry_run,
        as_json=as_json,
    )
