"""``gateway mailbox authorize``: a person allows the gateway to use an account with OAuth2."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from gateway.cli.output import json_option
from gateway.cli.typed import first_line

if TYPE_CHECKING:
    from gateway.app import App
    from gateway.mail.oauth import DeviceCode, Permission, TokenClient
    from gateway.settings import OAuthSettings


@click.command("authorize")
@click.argument("name")
@click.option(
    "--browser", is_flag=True, help="Log in by a browser that reaches this machine, where no code is offered."
)
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, help="Where the browser comes back to (any free one)."
)
@click.option("--refresh-token", is_flag=True, help="Take a refresh token that was got elsewhere: asked for, or stdin.")
@json_option
@click.pass_context
def authorize(ctx: click.Context, name: str, browser: bool, port: int, refresh_token: bool, as_json: bool) -> None:
    """Gets the permission to use an account with OAuth2, and keeps it encrypted.

    NAME is that of an [oauth.NAME], of a mailbox, or smtp. Shows an address and a code, which a person opens and
    types in a browser on any machine, and waits for them. With --browser, and for Google always, it shows an
    address for a browser that comes back to a port of this machine (from afar: ssh -L PORT:127.0.0.1:PORT). Where
    the gateway logs in as an application of its own, it only asks for a token, to see that this works.
    """
    from gateway.access import token_client
    from gateway.app import open_app

    with open_app(ctx.obj["home"]) as app:
        table = _table(app, name)
        source = app.access_tokens[table.name]
        if table.grant != "refresh-token":
            if refresh_token:
                raise click.UsageError(f"[oauth.{table.name}] has grant = {table.grant}, which needs no refresh token.")
            source.renew("")
        else:
            client = token_client(table, app.secrets, lambda: app.now() / 1000)
            if refresh_token:
                given = client.refreshed(_pasted())
            elif browser or not table.device_url:
                given = _by_browser(client, port, as_json=as_json)
            else:
                given = _by_device(client, as_json=as_json)
            # Told first: what is kept and not told would be worse than the other way round.
            app.record("authorized", name=table.name, how="a refresh token" if refresh_token else "in a browser")
            source.keep(given)
    if as_json:
        click.echo(json.dumps({"event": "authorized", "name": table.name, "grant": table.grant}))
    else:
        click.echo(f"[oauth.{table.name}] gives access tokens.")


def _table(app: App, name: str) -> OAuthSettings:
    """The [oauth.NAME] that is meant, by its own name or by that of an account that uses it."""
    from gateway.errors import NotFound

    users = {each.name: each.oauth for each in app.settings.mailboxes if each.oauth}
    if app.settings.smtp is not None and app.settings.smtp.oauth:
        users.setdefault("smtp", app.settings.smtp.oauth)
    tables = {each.name: each for each in app.settings.oauth}
    found = tables.get(name) or tables.get(users.get(name, ""))
    if found is None:
        raise NotFound(what="OAuth2 table, or mailbox with one,", key=name)
    return found


def _by_device(client: TokenClient, *, as_json: bool) -> Permission:
    from gateway.mail.oauth import DeviceFlow

    flow = DeviceFlow(client)
    code = flow.begin()
    _show(code, as_json=as_json)
    return flow.wait(code)


def _by_browser(client: TokenClient, port: int, *, as_json: bool) -> Permission:
    from gateway.errors import ConfigurationFault
    from gateway.mail.oauth import BrowserFlow

    try:
        flow = BrowserFlow(client, port)
    except OSError as problem:
        raise ConfigurationFault(reason=f"the port {port} cannot be used: {problem.strerror}.") from None
    with flow:
        address = flow.address()
        if as_json:
            click.echo(json.dumps({"event": "browser", "address": address, "port": flow.port}))
        else:
            click.echo(f"Open this in a browser that reaches port {flow.port} of this machine as localhost:\n{address}")
            click.echo(
                "Log in there as the account whose mail the gateway handles. Waiting, 15 minutes at most …", err=True
            )
        return flow.wait()


def _show(code: DeviceCode, *, as_json: bool) -> None:
    if as_json:
        shown = {
            "event": "code",
            "address": code.address,
            "code": code.user_code,
            "complete_address": code.complete_address or None,
            "expires_in": int(code.expires_in),
        }
        click.echo(json.dumps(shown))
        return
    click.echo(f"Open {_plain(code.address)} in a browser and type the code {_plain(code.user_code)}")
    click.echo("Log in there as the account whose mail the gateway handles.")
    click.echo(f"Waiting for it, {int(code.expires_in // 60)} minutes at most …", err=True)


def _plain(text: str) -> str:
    """What a provider sends goes to a terminal only as printable characters."""
    return "".join(each if each.isprintable() else "?" for each in text)[:500]


def _pasted() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Refresh token", hide_input=True, err=True)).strip()
    return first_line("refresh token").strip()
