"""``gateway partner activate``, ``suspend`` and ``end``: where a partnership stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from gateway.cli.acting import why_option
from gateway.cli.output import json_option, print_document
from gateway.cli.partner_start import numbers_of
from gateway.errors import UsageFault
from partners.model import Status

if TYPE_CHECKING:
    from gateway.app import App
    from partners.onboarding import Checklist
    from partners.store import Applied

_by = click.option("--by", metavar="NAME", help="Who does this (default: your login name).")
_why = why_option(required=False)
_dry_run = click.option("--dry-run", is_flag=True, help="Check and tell, but change nothing.")


@click.command(name="activate")
@click.argument("key")
@click.option("--testing", is_flag=True, help="For test traffic first: status testing instead of live.")
@click.option("--anyway", is_flag=True, help="Although something of the checklist is missing. Needs --why.")
@_why
@_dry_run
@_by
@json_option
@click.pass_context
def activate(
    ctx: click.Context,
    key: str,
    testing: bool,
    anyway: bool,
    reason: str,
    dry_run: bool,
    by: str | None,
    as_json: bool,
) -> None:
    """Start, or start again, to exchange documents with a partner.

    A partner goes live when its checklist is done; --anyway with --why goes on with items missing, which is recorded.
    Who was live before and was suspended only goes on.

    \b
    Examples: gateway partner activate acme --testing
              gateway partner activate acme
              gateway partner activate acme --anyway --why "tested by telephone with Jo"
    """  # noqa: D301 - click wants a real \b
    from gateway.app import open_app
    from gateway.flow.configuration import set_status

    if anyway and not reason:
        raise UsageFault(reason="--anyway needs a reason (--why): it is kept in the ledger.")
    wanted = Status.TESTING if testing else Status.LIVE
    with open_app(ctx.obj["home"], actor=by) as app:
        before = app.partners.get(key).status
        found = _checked(app, key, wanted, anyway=anyway or before is wanted)
        missing = [each.title for each in found.missing] if wanted is Status.LIVE else []
        applied = set_status(
            app.ledger, app.partners, key, wanted, actor=app.actor, dry_run=dry_run, reason=reason, missing=missing
        )
        begins = any(each["next"] == 1 for each in numbers_of(app, key))
        waiting = _kept_back(app, key, wanted)
    _say(key, wanted, before, applied, dry_run=dry_run, as_json=as_json, missing=missing)
    if as_json or applied.change == "unchanged":
        return
    say_waiting(key, wanted, waiting)
    if missing:
        click.echo(f"Missing: {', '.join(missing)}; `gateway partner checklist {key}` tells more.", err=True)
    if begins:
        hint = f"Our control numbers to it begin at 1; if it knows earlier ones: `gateway partner start {key} …`."
        click.echo(hint, err=True)


def _checked(app: App, key: str, wanted: Status, *, anyway: bool) -> Checklist:
    """The checklist, where it, or who was live before, or a person allows to go on."""
    from gateway.flow.onboarding import refuse_unready

    was_live = any(each.status is Status.LIVE for each in app.partners.revisions(key))
    return refuse_unready(app.context(), key, wanted, was_live=was_live or anyway)


@click.command(name="suspend")
@click.argument("key")
@_why
@_dry_run
@_by
@json_option
@click.pass_context
def suspend(ctx: click.Context, key: str, reason: str, dry_run: bool, by: str | None, as_json: bool) -> None:
    """Stop for now: what the partner sends is quarantined, and nothing is sent to it.

    \b
    Example: gateway partner suspend acme --why "their mail system was broken into"
    """  # noqa: D301 - click wants a real \b
    _set(ctx, key, Status.SUSPENDED, reason, dry_run=dry_run, by=by, as_json=as_json)


@click.command(name="end")
@click.argument("key")
@why_option()
@_dry_run
@_by
@json_option
@click.pass_context
def end(ctx: click.Context, key: str, reason: str, dry_run: bool, by: str | None, as_json: bool) -> None:
    """End a partnership for good: its addresses and identities are free for another; its history is kept.

    \b
    Example: gateway partner end acme --why "contract ended"
    """  # noqa: D301 - click wants a real \b
    _set(ctx, key, Status.ENDED, reason, dry_run=dry_run, by=by, as_json=as_json)


def _set(
    ctx: click.Context, key: str, status: Status, reason: str, *, dry_run: bool, by: str | None, as_json: bool
) -> None:
    from gateway.app import open_app
    from gateway.flow.configuration import set_status

    with open_app(ctx.obj["home"], actor=by) as app:
        before = app.partners.get(key).status
        applied = set_status(app.ledger, app.partners, key, status, actor=app.actor, dry_run=dry_run, reason=reason)
        waiting = _kept_back(app, key, status)
    _say(key, status, before, applied, dry_run=dry_run, as_json=as_json)
    if not as_json:
        say_waiting(key, status, waiting)


def _kept_back(app: App, key: str, status: Status) -> int:
    """How many mails wait for a partner and do not go while it has that status."""
    from gateway.flow.stops import waiting_while

    with app.ledger.reading() as connection:
        return waiting_while(connection, app.partners.get(key), status)


def say_waiting(key: str, status: Status, waiting: int) -> None:
    """Tells on standard error what a status keeps back, if anything."""
    if waiting:
        click.echo(
            f"{waiting} mail{' waits' if waiting == 1 else 's wait'} for it and will not go while it is {status}: "
            f"`gateway ledger search partner={key} state=ready`; `gateway exchange cancel` takes them off the wire.",
            err=True,
        )


def _say(
    key: str,
    status: Status,
    before: Status,
    applied: Applied,
    *,
    dry_run: bool,
    as_json: bool,
    missing: Sequence[str] = (),
) -> None:
    if as_json:
        found = {"key": key, "status": status, "before": before, "revision": applied.revision}
        print_document(found | {"missing": list(missing)})
    elif applied.change == "unchanged":
        click.echo(f"{key} is {status} already; nothing was changed.")
    else:
        would = "would be" if dry_run else "is now"
        click.echo(f"{key} {would} {status} (it was {before}); revision {applied.revision}.")
