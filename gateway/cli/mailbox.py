"""``gateway mailbox``: the accounts we collect from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gateway.cli.mailbox_authorize import authorize
from gateway.cli.output import json_option, print_rows

if TYPE_CHECKING:
    from gateway.app import App
    from gateway.mail.model import Mailbox


@click.group()
def command() -> None:
    """The accounts we collect from; gateway.toml holds them."""


command.add_command(authorize)


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Lists the mailboxes."""
    from gateway.app import open_app

    with open_app(ctx.obj["home"]) as app:
        rows = [_row(app, each) for each in app.mailboxes]
    print_rows(
        rows,
        ("name", "protocol", "host", "port", "security", "user", "secret", "found", "oauth"),
        as_json=as_json,
        empty="There is no mailbox: add a [mailbox.NAME] to gateway.toml.",
    )


@command.command()
@click.argument("name", required=False)
@json_option
@click.pass_context
def test(ctx: click.Context, name: str | None, as_json: bool) -> int:
    """Logs in and says how many messages wait; nothing is fetched or deleted.

    Tests all mailboxes, or the one named NAME.
    """
    from gateway.app import open_app
    from gateway.errors import NotFound

    with open_app(ctx.obj["home"]) as app:
        wanted = [each for each in app.mailboxes if name in {None, each.name}]
        if name is not None and not wanted:
            raise NotFound(what="mailbox", key=name, see="gateway mailbox list")
        results = [_tested(each) for each in wanted]
    print_rows(
        results,
        ("name", "result", "messages", "bytes", "message"),
        as_json=as_json,
        empty="There is no mailbox: add a [mailbox.NAME] to gateway.toml.",
    )
    return max((code for each in results if isinstance(code := each["exit_code"], int)), default=0)


def _row(app: App, mailbox: Mailbox) -> dict[str, object]:
    box = next(each for each in app.settings.mailboxes if each.name == mailbox.name)
    remote = box.protocol != "maildir"
    secret = "" if box.oauth else box.secret
    return {
        "name": box.name,
        "protocol": box.protocol,
        "host": mailbox.host,
        "port": box.real_port if remote else None,
        "security": box.security if remote else None,
        "user": mailbox.user,
        "secret": secret,
        "found": (app.secrets.where(secret) or "missing") if secret else None,
        "oauth": box.oauth or None,
    }


def _tested(mailbox: Mailbox) -> dict[str, Any]:
    from gateway.errors import GatewayError
    from gateway.flow.check_mail import listing

    try:
        waiting = listing(mailbox)
    except GatewayError as fault:
        return {
            "name": mailbox.name,
            "result": "failed",
            "code": fault.code,
            "message": fault.told,
            "exit_code": fault.exit_code,
        }
    size = sum(each.size for each in waiting)
    return {"name": mailbox.name, "result": "ok", "messages": len(waiting), "bytes": size, "exit_code": 0}
