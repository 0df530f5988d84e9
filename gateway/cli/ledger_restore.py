"""``gateway ledger accept-restore``: an older ledger was put back, and a person says that it is the newest there is."""

from __future__ import annotations

import click

from gateway.cli.acting import why_option
from gateway.cli.output import json_option, print_document


@click.command("accept-restore")
@why_option()
@click.option(
    "--ahead",
    type=click.IntRange(1, 1_000_000),
    default=1_000,
    show_default=True,
    help="How many control numbers to skip in each series.",
)
@click.option("--dry-run", is_flag=True, help="Tell which numbers would jump; change nothing.")
@json_option
@click.pass_context
def accept_restore(ctx: click.Context, reason: str, ahead: int, dry_run: bool, as_json: bool) -> int:
    """Go on with an older ledger: control numbers jump past those that partners have seen.

    A gateway whose ledger is older than what its home has seen collects and sends nothing. Put the newest copy of the
    ledger back first. What the lost part recorded is not known any more: mails that were taken meanwhile are gone from
    their servers, and what partners send again is taken for new. Ask them what they sent and got since the backup.
    Given again before anything else happened, it changes nothing.
    """
    from gateway.app import open_app
    from gateway.flow import checkpoint
    from gateway.ledger.database import check
    from gateway.values import asdict

    with open_app(ctx.obj["home"], lock=True, verify=False) as app:
        check(app.engine)
        if again := checkpoint.accepted_before(app.home, app.ledger):
            jumps: tuple[checkpoint.Jump, ...] = ()
        else:
            jumps = checkpoint.accept(
                app.home, app.ledger, actor=app.actor, reason=reason, ahead=ahead, dry_run=dry_run
            )
    if as_json:
        print_document({"done": not again, "jumps": [asdict(each) for each in jumps]})
        return 0
    if again:
        click.echo("done before: the ledger was accepted, and nothing has happened since; nothing was changed")
        return 0
    for each in jumps:
        click.echo(
            f"{each.partner}: {each.level} numbers of {each.ours} to {each.theirs}: {each.before} → {each.after}"
        )
    end = "Dry run: nothing was changed." if dry_run else "The next batch goes on with this ledger (gateway night)."
    click.echo(end)
    return 0
