"""``gateway user``: who may come into the console."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

import click

from gateway.cli.output import json_option, moment, print_document, print_rows
from gateway.cli.typed import first_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.ledger.recording import Recorder

T = TypeVar("T")
_ROLES = ("viewer", "auditor", "operator", "administrator")
_COLUMNS = ("name", "role", "state", "comes_in_by", "signed_in", "created")
_role = click.Choice(_ROLES)
_by = click.option("--by", metavar="NAME", help="Who does this (default: your login name).")


@click.group("user")
def command() -> None:
    """Users of the console, and what they may do.

    \b
    viewer         reads what is masked, downloads nothing raw
    auditor        reads everything, raw bytes and exports too; changes nothing
    operator       also acts: release, resend, settle, submit
    administrator  also changes profiles, users, tokens and seals

    Every change is kept in the ledger with who made it.
    """  # noqa: D301 - click wants a real \b


@command.command("add")
@click.argument("name")
@click.option("--role", type=_role, required=True, help="What the user may do.")
@_by
@json_option
@click.pass_context
def add(ctx: click.Context, name: str, role: str, by: str | None, as_json: bool) -> None:
    """Add a user: asks for the password on a terminal, else reads the first line of standard input.

    Example: gateway user add olga --role operator
    """
    from gateway.ledger import passwords, users

    name = users.checked_name(name)
    encoded = passwords.encoded(_password(name), name)
    _change(ctx, by, lambda recorder: users.add(recorder, name, role, password=encoded))
    _say({"name": name, "role": role}, f"Added {name} as {role}.", as_json=as_json)


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List all users: role, state, how they come in, and when they did last."""
    from gateway.app import open_app
    from gateway.ledger import users

    with open_app(ctx.obj["home"]) as app, app.ledger.reading() as connection:
        found = users.every(connection)
    if as_json:
        print_rows((each.as_dict() for each in found), (), as_json=True)
        return
    rows = [
        {
            "name": each.name,
            "role": each.role,
            "state": "disabled" if each.disabled_at is not None else "",
            "comes_in_by": each.way,
            "signed_in": moment(each.signed_in_at),
            "created": moment(each.created_at),
        }
        for each in found
    ]
    print_rows(rows, _COLUMNS, as_json=False, empty="There are no users yet: `gateway user add NAME --role ROLE`.")


@command.command("role")
@click.argument("name")
@click.argument("role", type=_role)
@_by
@json_option
@click.pass_context
def role_(ctx: click.Context, name: str, role: str, by: str | None, as_json: bool) -> None:
    """Give a user another role; it counts from the next page on.

    Example: gateway user role olga administrator
    """
    from gateway.ledger import users

    changed = _change(ctx, by, lambda recorder: users.set_role(recorder, _kept(name), role))
    sentence = f"{_kept(name)} is {role} now." if changed else f"{_kept(name)} is {role} already."
    _say({"name": _kept(name), "role": role, "changed": changed}, sentence, as_json=as_json)


@command.command("password")
@click.argument("name")
@_by
@json_option
@click.pass_context
def password(ctx: click.Context, name: str, by: str | None, as_json: bool) -> None:
    """Give a user another password, as `user add` asks for one. Their sessions end.

    Example: gateway user password olga
    """
    from gateway.app import open_app
    from gateway.ledger import passwords, users

    with open_app(ctx.obj["home"]) as app, app.ledger.reading() as connection:
        found = users.wanted(connection, _kept(name))  # before anything is asked
    encoded = passwords.encoded(_password(found.name), found.name)
    ended = _change(ctx, by, lambda recorder: users.set_password(recorder, found.name, encoded))
    sentence = f"{found.name} has another password; {ended} session{'' if ended == 1 else 's'} ended."
    _say({"name": found.name, "sessions_ended": ended}, sentence, as_json=as_json)


@command.command("disable")
@click.argument("name")
@_by
@json_option
@click.pass_context
def disable(ctx: click.Context, name: str, by: str | None, as_json: bool) -> None:
    """Let a user in no more, and end their sessions at once."""
    from gateway.ledger import users

    changed = _change(ctx, by, lambda recorder: users.disable(recorder, _kept(name)))
    sentence = f"{_kept(name)} is let in no more." if changed else f"{_kept(name)} was disabled before."
    _say({"name": _kept(name), "disabled": True, "changed": changed}, sentence, as_json=as_json)


@command.command("enable")
@click.argument("name")
@_by
@json_option
@click.pass_context
def enable(ctx: click.Context, name: str, by: str | None, as_json: bool) -> None:
    """Let a user in again who was disabled."""
    from gateway.ledger import users

    changed = _change(ctx, by, lambda recorder: users.enable(recorder, _kept(name)))
    sentence = f"{_kept(name)} is let in again." if changed else f"{_kept(name)} is not disabled."
    _say({"name": _kept(name), "disabled": False, "changed": changed}, sentence, as_json=as_json)


@command.command("remove")
@click.argument("name")
@_by
@json_option
@click.pass_context
def remove(ctx: click.Context, name: str, by: str | None, as_json: bool) -> None:
    """Forget a user and end their sessions. What they did stays in the ledger under their name."""
    from gateway.ledger import users

    _change(ctx, by, lambda recorder: users.remove(recorder, _kept(name)))
    _say({"name": _kept(name), "removed": True}, f"Removed {_kept(name)}.", as_json=as_json)


def _change(ctx: click.Context, by: str | None, work: Callable[[Recorder], T]) -> T:
    from gateway.app import open_app

    with open_app(ctx.obj["home"], actor=by) as app:
        return app.ledger.write(work)


def _kept(name: str) -> str:
    return name.strip().lower()


def _password(name: str) -> str:
    """A new password, twice from a person without echo, or from the first line of standard input."""
    if sys.stdin.isatty():
        return str(click.prompt(f"New password of {name}", hide_input=True, confirmation_prompt=True, err=True))
    return first_line("password")


def _say(document: dict[str, object], sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_document(document)
    else:
        click.echo(sentence)
