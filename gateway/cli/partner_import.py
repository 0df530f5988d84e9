"""``gateway partner import``: many partners at once, from a table or from Bots."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.output import json_option, print_document, print_rows
from gateway.cli.whole_file import written_whole
from gateway.errors import NotAllowedNow, UsageFault
from gateway.words import count

if TYPE_CHECKING:
    from gateway.flow.partner_import import Import

_COLUMNS = ("place", "key", "change", "problems")
WRONG = 65


@click.command(name="import")
@click.argument("export", metavar="FILE", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--from", "origin", type=click.Choice(["csv", "bots"]), default="csv", show_default=True, help="What FILE is."
)
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the profiles there, too.",
)
@click.option("--force", is_flag=True, help="Replace files that say something else.")
@click.option("--dry-run", is_flag=True, help="Check and tell, but change nothing.")
@click.option("--by", metavar="NAME", help="Who does this (default: your login name).")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    export: Path,
    origin: str,
    output_dir: Path | None,
    force: bool,
    dry_run: bool,
    by: str | None,
    as_json: bool,
) -> int:
    """Import partners as drafts: from a CSV table, or from Bots. Bad rows are told, and do not stop the others.

    The columns of the table are told in docs/onboard-a-partner.md. From Bots a plugin (zip), its index file, a CSV of
    partners or the directory usersys is read, never run; passwords are not taken over. What has to be looked at is
    marked CHECK in the profiles. --output-dir also gets channels.toml (accounts for gateway.toml) and start.csv (last
    control numbers) from Bots. Exit code 65: something in the file is wrong.

    \b
    Examples: gateway partner import partners.csv --dry-run
              gateway partner import partners.csv
              gateway partner import --from bots my_plugin.zip --output-dir from-bots
    """  # noqa: D301 - click wants a real \b
    from gateway.app import open_app
    from gateway.flow.partner_import import import_bots, import_table

    with open_app(ctx.obj["home"], actor=by) as app:
        context = app.context()
        if origin == "bots":
            found = import_bots(context, app.partners, export, actor=app.actor, dry_run=dry_run)
        else:
            text = _text(export)
            found = import_table(
                context, app.partners, text, export.name, actor=app.actor, dry_run=dry_run, progress=_bar
            )
    if output_dir is not None and not dry_run:
        _write(found, output_dir, force=force)
    _say(found, output_dir, dry_run=dry_run, as_json=as_json)
    return WRONG if found.wrong else 0


def _bar(rows: Sequence[Any]) -> Iterator[Any]:
    """The rows, with a bar on a terminal."""
    if not sys.stderr.isatty():
        yield from rows
        return
    with click.progressbar(rows, label="Reading", file=sys.stderr) as bar:
        yield from bar


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageFault(reason=f"{file.name} is not UTF-8 text; for Bots say --from bots.") from None
    except OSError as problem:
        raise UsageFault(reason=f"{file.name} cannot be read: {problem.strerror}") from problem


def _write(found: Import, directory: Path, *, force: bool) -> None:
    files = {directory / f"{key}.toml": text for key, text in found.profiles.items()}
    files |= {directory / "channels.toml": found.channels} if found.channels else {}
    files |= {directory / "start.csv": found.starts} if found.starts else {}
    for path, text in files.items():
        if not force and path.exists() and path.read_bytes() != text.encode():
            raise NotAllowedNow(what="the file", key=path, state="there already", reason="--force replaces it")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise UsageFault(reason=f"{directory} cannot be written to: {problem.strerror}") from problem
    for path, text in files.items():
        written_whole(path, partial(Path.write_bytes, data=text.encode()))


def _say(found: Import, output_dir: Path | None, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        rows = [each.as_dict() for each in found.rows]
        print_document({"rows": rows, "channels": found.channels, "starts": found.starts, "dry_run": dry_run})
        return
    print_rows([each.as_dict() for each in found.rows], _COLUMNS, as_json=False)
    for each in found.rows:
        for check in each.checks:
            click.echo(f"to check in {each.key}: {check}", err=True)
    added = sum(each.change == "added" for each in found.rows)
    would = "would be added" if dry_run else "added as drafts"
    click.echo(f"{added} {would}, {len(found.wrong)} wrong, {count(len(found.rows), 'row')}.", err=True)
    if output_dir is None and (found.channels or found.starts):
        click.echo("Accounts and control numbers were found, too: --output-dir writes them.", err=True)
    if dry_run:
        click.echo("Nothing was changed (--dry-run).", err=True)
