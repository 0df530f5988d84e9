"""``gateway token``: what programs show to the API in the place of a sign-in."""

from __future__ import annotations

import click

from gateway.cli.acting import why_option
from gateway.cli.output import json_option, moment, print_document, print_rows

_COLUMNS = ("name", "scopes", "partner", "state", "expires", "used", "created")
_by = click.option("--by", metavar="NAME", help="Who does this (default: your login name).")


@click.group("token")
def command() -> None:
    """Tokens of the API: what a program may do, for how long, and for which partner.

    \b
    search     find exchanges, tell their story, list documents; passwords of an ISA masked
    download   raw bytes, the passwords of an ISA masked: interchanges, documents that came
    submit     hand in documents for partners, and follow them
    act        release, discard, accept, resend, redeliver, resolve, cancel, settle
    partners   read profiles
    profiles   change profiles
    report     statements and counts
    metrics    the figures for monitoring
    unmasked   see ISA02 and ISA04 as they are; the ledger keeps each time

    What is done with a token is kept in the ledger in its name.
    """  # noqa: D301 - click wants a real \b


@command.command("add")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, help="What it may do; repeatable. See above.")
@click.option("--partner", default="", metavar="KEY", help="Only this partner: of others it sees nothing.")
@click.option("--expires", metavar="SPAN", help="When it ends, such as 90d (default: never).")
@_by
@json_option
@click.pass_context
def add(
    ctx: click.Context,
    name: str,
    scopes: tuple[str, ...],
    partner: str,
    expires: str | None,
    by: str | None,
    as_json: bool,
) -> None:
    """Make a token and print it, this once: only its hash is kept.

    Example: gateway token add erp --scope submit --scope search --expires 365d
    """
    from gateway.app import open_app
    from gateway.ledger import api_tokens

    lasts = _span(expires)
    with open_app(ctx.obj["home"], actor=by) as app:
        if partner:
            app.directory().get(partner)
        made = app.ledger.write(lambda recorder: api_tokens.add(recorder, name, scopes, partner=partner, lasts=lasts))
        with app.ledger.reading() as connection:
            known = api_tokens.find(connection, made)
    if as_json:
        print_document({"token": made} | (known.as_dict(app.now()) if known else {}))
        return
    click.echo(made)
    click.echo("Keep it now: it is not shown again. Send it as `Authorization: Bearer …`.", err=True)


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List all tokens, those that count no more too; never what they are."""
    from gateway.app import open_app
    from gateway.ledger import api_tokens

    with open_app(ctx.obj["home"]) as app, app.ledger.reading() as connection:
        found, now = api_tokens.every(connection), app.now()
    if as_json:
        print_rows((each.as_dict(now) for each in found), (), as_json=True)
        return
    rows = [
        {
            "name": each.name,
            "scopes": " ".join(each.scopes),
            "partner": each.partner,
            "state": "revoked" if each.revoked_at is not None else "expired" if each.trouble(now) else "good",
            "expires": moment(each.expires_at),
            "used": moment(each.used_at),
            "created": moment(each.created_at),
        }
        for each in found
    ]
    print_rows(rows, _COLUMNS, as_json=False, empty="There are no tokens yet: `gateway token add NAME --scope SCOPE`.")


@command.command("revoke")
@click.argument("name")
@why_option(required=False)
@_by
@json_option
@click.pass_context
def revoke(ctx: click.Context, name: str, reason: str, by: str | None, as_json: bool) -> None:
    """End a token at once and for good.

    Example: gateway token revoke erp --why "the server was replaced"
    """
    from gateway.app import open_app
    from gateway.ledger import api_tokens

    with open_app(ctx.obj["home"], actor=by) as app:
        changed = app.ledger.write(lambda recorder: api_tokens.revoke(recorder, name, reason))
    if as_json:
        print_document({"name": name, "revoked": True, "changed": changed})
    else:
        click.echo(f"Revoked {name}." if changed else f"{name} was revoked before.")


def _span(written: str | None) -> int | None:
    """A time span in milliseconds."""
    from gateway.errors import UsageFault
    from gateway.settings.values import parse_duration

    if written is None:
        return None
    found = parse_duration(written)
    if found is None:
        raise UsageFault(reason=f'--expires is a time span such as "90d" or "12h", not {written[:40]!r}')
    return int(found.total_seconds() * 1000)
