"""``gateway ledger archive``: archives that were moved out."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.acting import act_options
from gateway.cli.output import json_option, moment, print_document, print_rows
from gateway.cli.query_words import with_saved
from gateway.words import count

_COLUMNS = ("archive", "file", "from", "to", "exchanges", "mails", "events", "bytes", "state")
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group("archive")
def archive() -> None:
    """Archives that were moved out: list, verify, restore; with --archive, search and show look into one."""


@archive.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> int:
    """Show every archive that was written, the oldest first, with its SHA-256."""
    from gateway.app import open_app
    from gateway.ledger.moments import iso
    from gateway.ledger.moved import archives
    from gateway.values import asdict

    with open_app(ctx.obj["home"]) as app:
        found = archives(app.ledger)
    if as_json:
        times = ("at", "first_at", "last_at", "moved_at")
        rows = [asdict(each) for each in found]
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
            "state": _state(each.file, each.size, moved=each.moved_at is not None),
        }
        for each in found
    ]
    print_rows(told, _COLUMNS, as_json=False, empty="No archive was written.")
    return 0


def _state(file: str, size: int, *, moved: bool) -> str:
    if not Path(file).is_file():
        return "not at its place"
    if Path(file).stat().st_size != size:
        return "not what was written"
    return "moved out" if moved else "being moved out"


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
    from gateway.ledger.moved_verify import verify as problems_of

    with open_app(ctx.obj["home"]) as app:
        problems = list(problems_of(app.engine, file, public_key(app.context())))
    if as_json:
        print_document({"file": str(file), "problems": problems})
    for problem in [] if as_json else problems:
        click.echo(problem)
    if not problems and not as_json:
        click.echo(f"{file} is what was written.")
    return 65 if problems else 0


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
