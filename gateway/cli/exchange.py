"""``gateway exchange``: one exchange, and what a person does about it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import click

from gateway.cli.ledger import show as ledger_show

_reason = click.option("--reason", default="", help="Why; kept in the ledger with your name.")


@click.group("exchange")
def command() -> None:
    """One exchange: show, proof, resend, resolve, cancel, settle. Every act is kept in the ledger with who and why."""


command.add_command(ledger_show, "show")


@command.command("resend")
@click.argument("numbers", nargs=-1, required=True, type=int)
@_reason
@click.pass_context
def resend(ctx: click.Context, numbers: tuple[int, ...], reason: str) -> int:
    """Queue the same bytes with the same control numbers and Message-ID again."""
    from gateway.app import open_app
    from gateway.flow import operate

    with open_app(ctx.obj["home"], lock=True) as app:
        for number in numbers:
            operate.resend(app.context(), number, actor=app.actor, reason=reason)
            click.echo(f"exchange {number}: queued again; the next batch sends it (gateway night)")
    return 0


@command.command("proof")
@click.argument("number", type=int)
@click.option("--to", "place", required=True, type=click.Path(path_type=Path), help="A new directory, or a .zip file.")
@click.pass_context
def proof(ctx: click.Context, number: int, place: Path) -> int:
    """Write out what proves that the partner was given an exchange: our signed original and its signed receipt.

    Beside them lie the certificates, the history, and a README.txt that says what was found and how to check it.
    """
    from gateway.app import open_app
    from gateway.errors import NotAllowedNow
    from gateway.flow.dossier import dossier

    if place.exists():
        raise NotAllowedNow(what="the place", key=place, state="there already", reason="name a new one")
    with open_app(ctx.obj["home"]) as app:
        files = dossier(app.context(), number)
        app.record("proof-exported", number=number)
    _write(files, place)
    click.echo(f"exchange {number}: {len(files)} files in {place}; README.txt says what they prove", err=True)
    return 0


def _write(files: dict[str, bytes], place: Path) -> None:
    if place.suffix.lower() == ".zip":
        with zipfile.ZipFile(place, "x", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return
    place.mkdir(parents=True)
    for name, data in files.items():
        (place / name).write_bytes(data)


@command.command("resolve")
@click.argument("number", type=int)
@click.option("--sent", "outcome", flag_value="sent", help="The partner has it: do not send it again.")
@click.option("--resend", "outcome", flag_value="resend", help="The partner does not have it: send it again.")
@_reason
@click.pass_context
def resolve(ctx: click.Context, number: int, outcome: str | None, reason: str) -> int:
    """End the doubt about an exchange after asking the partner."""
    from gateway.app import open_app
    from gateway.errors import UsageFault
    from gateway.flow import operate

    if outcome is None:
        raise UsageFault(reason="say --sent (the partner has it) or --resend (it does not)")
    with open_app(ctx.obj["home"], lock=True) as app:
        operate.resolve(app.context(), number, sent=outcome == "sent", actor=app.actor, reason=reason)
        click.echo(f"exchange {number}: {'taken as sent' if outcome == 'sent' else 'queued again'}")
    return 0


@command.command("cancel")
@click.argument("number", type=int)
@_reason
@click.pass_context
def cancel(ctx: click.Context, number: int, reason: str) -> int:
    """Take an exchange off the wire before it was sent, or give up one that failed. Its number stays used."""
    from gateway.app import open_app
    from gateway.flow import operate

    with open_app(ctx.obj["home"], lock=True) as app:
        operate.cancel(app.context(), number, actor=app.actor, reason=reason)
        click.echo(f"exchange {number}: cancelled")
    return 0


@command.command("settle")
@click.argument("numbers", nargs=-1, required=True, type=int)
@_reason
@click.pass_context
def settle(ctx: click.Context, numbers: tuple[int, ...], reason: str) -> int:
    """Say that an exchange needs no attention any more (you called the partner, it arrived otherwise, …)."""
    from gateway.app import open_app
    from gateway.flow import operate

    with open_app(ctx.obj["home"], lock=True) as app:
        for number in numbers:
            operate.settle(app.context(), number, actor=app.actor, reason=reason)
            click.echo(f"exchange {number}: settled")
    return 0
