"""``gateway ledger archive``: archives that were moved out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.acting import act_options, each_act
from gateway.cli.integers import NATURAL
from gateway.cli.output import json_option, moment, print_document, print_rows
from gateway.cli.query_words import with_saved
from gateway.words import count

if TYPE_CHECKING:
    from gateway.ledger.moved_lost import Lost

_COLUMNS = ("archive", "file", "from", "to", "exchanges", "mails", "events", "bytes", "state")
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group("archive")
def archive() -> None:
    """Archives that were moved out: list, verify, restore, say that one is lost; --archive looks into one."""


@archive.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> int:
    """Show every archive that was written, the oldest first, with its SHA-256."""
    from gateway.app import open_app
    from gateway.ledger.moments import iso
    from gateway.ledger.moved import archives
    from gateway.ledger.moved_lost import lost, state_of
    from gateway.values import asdict

    with open_app(ctx.obj["home"]) as app:
        found = archives(app.ledger)
        with app.ledger.reading() as connection:
            known = lost(connection)
    if as_json:
        times = ("at", "first_at", "last_at", "moved_at")
        rows = [asdict(each) | {"lost": _told(known.get(each.id))} for each in found]
        print_rows(({**row, **{n: row[n] and iso(row[n]) for n in times}} for row in rows), (), as_json=True)
        return 0
    told: list[dict[str, object]] = [
        {
            "archive": each.id,
            "file": each.file,
            "from": moment(each.first_at)[:10],
            "to": moment(each.last_at)[:10],
            "exchanges": each.exchanges,
            "mails": each.messages,
            "events": each.events,
            "bytes": each.size,
            "state": state_of(each, known.get(each.id)),
        }
        for each in found
    ]
    print_rows(told, _COLUMNS, as_json=False, empty="No archive was written.")
    return 0


def _told(said: Lost | None) -> dict[str, object] | None:
    return said.as_dict() if said is not None else None


@archive.command("verify")
@click.argument("file", type=_FILE)
@json_option
@click.pass_context
def verify(ctx: click.Context, file: Path, as_json: bool) -> int:
    """Check an archive: its bytes, its events against the ledger's tree, and the seals.

    Exit code 65 where anything is not what was written.
    """
    from gateway.app import open_app
    from gateway.flow.seal import public_key
    from gateway.ledger.moved_lost import remembered
    from gateway.ledger.moved_verify import verify as problems_of

    with open_app(ctx.obj["home"]) as app:
        problems = list(problems_of(app.engine, file, public_key(app.context())))
        number, said = remembered(app.engine, file) or (None, None)
    if as_json:
        print_document({"file": str(file), "problems": problems, "lost": _told(said)})
        return 65 if problems else 0
    for problem in problems:
        click.echo(problem)
    if not problems:
        click.echo(f"{file} is what was written.")
    if said is not None:
        click.echo(f"Of archive {number}: {said.words}.")
        click.echo(f"Lies it at its place again, `gateway ledger archive found {number}` lets it count.")
    return 65 if problems else 0


@archive.command("lost")
@click.argument("numbers", nargs=-1, required=True, type=NATURAL)
@act_options
@click.pass_context
def lost_(
    ctx: click.Context, numbers: tuple[int, ...], reason: str, by: str | None, dry_run: bool, as_json: bool
) -> int:
    """Say that archives are lost for good: no batch asks for them any more.

    NUMBERS are those of `gateway ledger archive list`. What was recorded of an archive stays, and whoever looks for it
    is told that it is lost, who said so and why. What of it has not left the ledger goes into another archive.

    \b
    gateway ledger archive lost 3 --why "the disk broke, and no copy was made"
    """  # noqa: D301 - click wants the character itself: \b keeps the lines below it as they are
    from gateway.flow.lost_archive import say_lost

    return each_act(
        ctx.obj["home"],
        numbers,
        lambda app, number: say_lost(app.context(), number, actor=app.actor, reason=reason, dry_run=dry_run),
        by=by,
        dry_run=dry_run,
        as_json=as_json,
        what="archive ",
    )


@archive.command("found")
@click.argument("numbers", nargs=-1, required=True, type=NATURAL)
@act_options
@click.pass_context
def found_(
    ctx: click.Context, numbers: tuple[int, ...], reason: str, by: str | None, dry_run: bool, as_json: bool
) -> int:
    """Say that archives which were lost are at their place again: they count as before.

    Each must be, byte for byte, what was written.

    \b
    gateway ledger archive found 3 --why "a copy was on the old server"
    """  # noqa: D301 - click wants the character itself: \b keeps the lines below it as they are
    from gateway.flow.lost_archive import say_found

    return each_act(
        ctx.obj["home"],
        numbers,
        lambda app, number: say_found(app.context(), number, actor=app.actor, reason=reason, dry_run=dry_run),
        by=by,
        dry_run=dry_run,
        as_json=as_json,
        what="archive ",
    )


@archive.command("restore")
@click.argument("file", type=_FILE)
@click.argument("words", nargs=-1)
@act_options
@click.pass_context
def restore(
    ctx: click.Context,
    file: Path,
    words: tuple[str, ...],
    reason: str,
    by: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Bring exchanges and mails back from an archive, under their own numbers; all of it without WORDS.

    WORDS are those of `gateway ledger search`. What came back is over its time; a legal hold keeps it until somebody
    releases that (`gateway ledger hold release`).

    \b
    gateway ledger archive restore /srv/edi/archives/ledger-2019-03.db key=po=4711 --why "audit of 2019"
    """  # noqa: D301 - click wants the character itself: \b keeps the lines below it as they are
    from gateway.app import open_app
    from gateway.flow.recall import recall
    from gateway.ledger.words import parse_query

    with open_app(ctx.obj["home"], lock=True, actor=by) as app:
        query = parse_query(with_saved(app, words)) if words else None
        back = recall(app.context(), file, query, actor=app.actor, reason=reason, dry_run=dry_run)
    if as_json:
        print_document(back.as_dict() | {"dry_run": dry_run})
        return 0
    would = "would come back (dry run: nothing was changed)" if dry_run else "came back"
    click.echo(f"{count(back.exchanges, 'exchange')} and {count(back.messages, 'mail')} {would}.")
    if back.hold is not None:
        click.echo(f"Hold {back.hold} keeps them.")
    return 0
