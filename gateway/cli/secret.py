"""``gateway secret``: passwords, encrypted at rest."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

import click

from gateway.cli.output import json_option, moment, print_document, print_rows
from gateway.cli.typed import first_line

if TYPE_CHECKING:
    from gateway.settings import Settings


@click.group()
def command() -> None:
    """Passwords, encrypted at rest.

    A secret is looked for in the environment (GATEWAY_SECRET_SMTP), in the credentials directory
    (systemd's LoadCredential), and then here.
    """


@command.command("set")
@click.argument("name")
@click.option("--file", type=click.File(encoding="utf-8"), help="Take all of this file: a private key in PEM.")
@json_option
@click.pass_context
def set_(ctx: click.Context, name: str, file: TextIO | None, as_json: bool) -> None:
    """Stores a secret: asks for it on a terminal, else reads the first line of standard input.

    \b
    NAME is mailbox.NAME for a mailbox, smtp for the SMTP host, or what a profile or gateway.toml names.
    """  # noqa: D301 - click wants a real \b
    from gateway.app import open_app
    from gateway.flow.configuration import set_secret
    from gateway.ledger.secrets import LEDGER, check_name

    check_name(name)
    if name == "database":
        raise click.UsageError(
            "The database cannot hold its own password: give it as GATEWAY_SECRET_DATABASE "
            "or in the credentials directory."
        )
    with open_app(ctx.obj["home"]) as app:
        value = _content(file) if file else _value(name)
        set_secret(app.ledger, app.secrets, name, value, actor=app.actor)
        where = app.secrets.where(name)
        unused = _unused(name, app.settings)
    if unused:
        click.echo(f"Note: {unused}", err=True)
    if where != LEDGER:
        click.echo(f"Note: the {where} holds {name} too, and goes first.", err=True)
    if as_json:
        print_document({"name": name, "where": where})
    else:
        click.echo(f"Stored {name}.")


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Lists the names of secrets and where each is found; never their values."""
    from gateway.app import open_app

    with open_app(ctx.obj["home"]) as app:
        rows = [
            {"name": each.name, "where": each.where, "updated": moment(each.updated_at)} for each in app.secrets.list()
        ]
    print_rows(rows, ("name", "where", "updated"), as_json=as_json, empty="There are no secrets yet.")


@command.command()
@click.argument("name")
@json_option
@click.pass_context
def remove(ctx: click.Context, name: str, as_json: bool) -> None:
    """Removes a stored secret."""
    from gateway.app import open_app
    from gateway.flow.configuration import remove_secret

    with open_app(ctx.obj["home"]) as app:
        remove_secret(app.ledger, app.secrets, name, actor=app.actor)
    if as_json:
        print_document({"name": name, "removed": True})
    else:
        click.echo(f"Removed {name}.")


def _unused(name: str, settings: Settings) -> str:
    """That no mailbox has the password that was stored for one: its name may be misspelt."""
    boxes = [box for box in settings.mailboxes if box.protocol != "maildir" and not box.oauth]
    wanted = [box.secret or f"mailbox.{box.name}" for box in boxes]
    if not name.startswith("mailbox.") or name in wanted:
        return ""
    others = f"those there want {', '.join(wanted)}" if wanted else "there is none that wants a password yet"
    return f"no mailbox in gateway.toml wants the secret {name}; {others}."


def _content(file: TextIO) -> str:
    try:
        return file.read(100_000)
    except UnicodeDecodeError:
        raise click.UsageError("The file is not text: a key in PEM is wanted.") from None


def _value(name: str) -> str:
    """The secret, from a person without echo, or from the first line of standard input."""
    if sys.stdin.isatty():
        return str(click.prompt(f"Value of {name}", hide_input=True, err=True))
    return first_line("value")
