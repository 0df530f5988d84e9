"""``gateway exchange``: one exchange, and what a person does about it."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import click

from gateway.cli.acting import act_options, each_act
from gateway.cli.exchange_replay import command as replay
from gateway.cli.integers import NUMBER
from gateway.cli.ledger_show import show as ledger_show

_NUMBERS = click.argument("numbers", nargs=-1, required=True, type=NUMBER)


@click.group("exchange")
def command() -> None:
    """One exchange: show it, prove it, and what a person does about it.

    Every act is kept in the ledger with who and why. Doing one again is safe: it says that it was done before.
    """


command.add_command(ledger_show, "show")
command.add_command(replay)


@command.command("resend")
@_NUMBERS
@click.option("--new-number", is_flag=True, help="Under new control numbers and a new Message-ID; see above.")
@click.option("--yes", is_flag=True, help="With --new-number: do not ask.")
@act_options
@click.pass_context
def resend(
    ctx: click.Context,
    numbers: tuple[int, ...],
    new_number: bool,
    yes: bool,
    reason: str,
    by: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Queue what we sent once more: the same bytes with the same control numbers and Message-ID.

    A partner that has it already recognises its number; what a partner refused is awaited anew. With --new-number the
    documents get a new envelope with new numbers, and the old exchange is superseded: only for documents that the
    partner does not have and whose number it will not take any more, for nothing tells it that they are the same.
    """
    from gateway.errors import UsageFault
    from gateway.flow import operate

    if new_number and not yes and not dry_run:
        if not sys.stdin.isatty():
            raise UsageFault(reason="--new-number can give a partner its documents twice: say --yes if that is known")
        click.confirm(
            "The partner cannot know that these are the same documents. Send them anew?", abort=True, err=True
        )
    verb = operate.resend_anew if new_number else operate.resend
    return each_act(
        ctx.obj["home"],
        numbers,
        lambda app, each: verb(app.context(), each, actor=app.actor, reason=reason, dry_run=dry_run),
        by=by,
        dry_run=dry_run,
        as_json=as_json,
        what="exchange ",
    )


@command.command("proof")
@click.argument("number", type=NUMBER)
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
@click.argument("number", type=NUMBER)
@click.argument("outcome", required=False, type=click.Choice(["sent", "resend"]))
@click.option("--sent", is_flag=True, help="The partner has it: do not send it again.")
@click.option("--resend", is_flag=True, help="The partner does not have it: send it again.")
@act_options
@click.pass_context
def resolve(
    ctx: click.Context,
    number: int,
    outcome: str | None,
    sent: bool,
    resend: bool,
    reason: str,
    by: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """End the doubt about an exchange after asking the partner: it was sent, or it is to be sent again."""
    from gateway.errors import UsageFault
    from gateway.flow import operate

    sent, resend = sent or outcome == "sent", resend or outcome == "resend"
    if sent == resend:
        raise UsageFault(reason="say sent (the partner has it) or resend (it does not)")
    return each_act(
        ctx.obj["home"],
        [number],
        lambda app, each: operate.resolve(
            app.context(), each, sent=sent, actor=app.actor, reason=reason, dry_run=dry_run
        ),
        by=by,
        dry_run=dry_run,
        as_json=as_json,
        what="exchange ",
    )


@command.command("cancel")
@_NUMBERS
@act_options
@click.pass_context
def cancel(
    ctx: click.Context, numbers: tuple[int, ...], reason: str, by: str | None, dry_run: bool, as_json: bool
) -> int:
    """Take exchanges off the wire before they were sent, or give up what failed. Their numbers stay used.

    What went before and waits to go again does not go again, and stands as it stood.
    """
    from gateway.flow import operate

    return each_act(
        ctx.obj["home"],
        numbers,
        lambda app, each: operate.cancel(app.context(), each, actor=app.actor, reason=reason, dry_run=dry_run),
        by=by,
        dry_run=dry_run,
        as_json=as_json,
        what="exchange ",
    )


@command.command("settle")
@_NUMBERS
@act_options
@click.pass_context
def settle(
    ctx: click.Context, numbers: tuple[int, ...], reason: str, by: str | None, dry_run: bool, as_json: bool
) -> int:
    """Say that exchanges need no attention any more (you called the partner, it arrived otherwise, …)."""
    from gateway.flow import operate

    return each_act(
        ctx.obj["home"],
        numbers,
        lambda app, each: operate.settle(app.context(), each, actor=app.actor, reason=reason, dry_run=dry_run),
        by=by,
        dry_run=dry_run,
        as_json=as_json,
        what="exchange ",
    )


@command.command("accept")
@_NUMBERS
@act_options
@click.pass_context
def accept(
    ctx: click.Context, numbers: tuple[int, ...], reason: str, by: str | None, dry_run: bool, as_json: bool
) -> int:
    """Take what was refused for its used number (TA1 025), or held because its document came before: knowingly.

    Its documents are delivered under its number, and the partner gets the acknowledgment that its agreement asks for.
    A held one whose number was used meanwhile becomes a conflict, and is taken when it is accepted again.
    """
    from gateway.flow import operate

    return each_act(
        ctx.obj["home"],
        numbers,
        lambda app, each: operate.accept(app.context(), each, actor=app.actor, reason=reason, dry_run=dry_run),
        by=by,
        dry_run=dry_run,
        as_json=as_json,
        what="exchange ",
    )


@command.command("redeliver")
@_NUMBERS
@act_options
@click.pass_context
def redeliver(
    ctx: click.Context, numbers: tuple[int, ...], reason: str, by: str | None, dry_run: bool, as_json: bool
) -> int:
    """Hand the documents of a received exchange to the business again, under the same names and keys.

    For a business that lost them; one that keeps to the keys recognises what it has.
    """
    from gateway.flow import operate

    return each_act(
        ctx.obj["home"],
        numbers,
        lambda app, each: operate.redeliver(app.context(), each, actor=app.actor, reason=reason, dry_run=dry_run),
        by=by,
        dry_run=dry_run,
        as_json=as_json,
        what="exchange ",
    )
