"""``gateway ledger backup``: a copy of the ledger, made while the gateway works, and checked."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.output import json_option, print_document

if TYPE_CHECKING:
    from gateway.app import App
    from gateway.flow.backup import Wanted
    from gateway.ledger.backup import Checked

_PATH = click.Path(path_type=Path)
KEY_WARNING = (
    "The key file is in this backup: with key and database together everything in it can be read, passwords and private"
    " keys too. Keep it as you keep those."
)


@click.command("backup")
@click.argument("target", required=False, type=_PATH)
@click.option("--check", "only_check", is_flag=True, help="Look whether the backup TARGET is what was written.")
@click.option(
    "--full",
    is_flag=True,
    help="Look at everything: each index, reference and kept byte; restore a dump; with --check verify every row.",
)
@click.option("--with-home", is_flag=True, help="Put gateway.toml, profiles and guidelines in too.")
@click.option("--with-key", is_flag=True, help="Put the key file in too: who has that backup can read all secrets.")
@click.option("--overwrite", is_flag=True, help="An earlier backup of that name may go, once the new one is whole.")
@click.option("--by", metavar="NAME", help="Who does this (default: your login name).")
@click.option("--quiet", is_flag=True, help="Say nothing but trouble.")
@click.option("--dry-run", is_flag=True, help="Tell where it would go and whether there is room; write nothing.")
@json_option
@click.pass_context
def backup(
    ctx: click.Context,
    target: Path | None,
    only_check: bool,
    full: bool,
    with_home: bool,
    with_key: bool,
    overwrite: bool,
    by: str | None,
    quiet: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Make a backup of the ledger while the gateway works, and check it; or check one (--check).

    TARGET is the new backup, or a directory in which it gets a dated name; without it the directory of [backup] in
    gateway.toml is taken. A backup is a directory: the database, and a manifest with the SHA-256 of every file, the
    newest event and our next control numbers. It has its name only once it is whole, checked and on the disk.

    \b
    Examples: gateway ledger backup /mnt/backup/edi --with-home
              gateway ledger backup --check --full /mnt/backup/edi/ledger-20261122T021500Z
    """  # noqa: D301 - click wants a real \b
    from gateway.app import KEY_FILE, open_app
    from gateway.errors import UsageFault
    from gateway.flow.backup import Wanted, place_for
    from gateway.ledger.database import existing

    if only_check:
        if target is None:
            raise UsageFault(reason="name the backup that is to be checked")
        return _check(ctx.obj["home"], target.resolve(), full=full, quiet=quiet, as_json=as_json)
    with open_app(ctx.obj["home"], verify=False, actor=by) as app:  # also before an upgrade of its tables
        existing(app.engine)
        place = place_for(app.settings, target.resolve() if target else None, app.now())
        wanted = Wanted(with_home, app.home / KEY_FILE if with_key else None, full, overwrite)
        if dry_run:
            return _tell(app, place, wanted, as_json=as_json)
        return _make(app, place, wanted, quiet=quiet, as_json=as_json)


def _make(app: App, place: Path, wanted: Wanted, *, quiet: bool, as_json: bool) -> int:
    from gateway.cli.reporting import ConsoleReporter
    from gateway.flow.backup import home_files, make

    with ConsoleReporter(quiet=quiet or as_json) as reporter:
        made = make(app.ledger, app.settings, place, wanted, reporter)
    for each in home_files(app.settings).left_out if wanted.with_home else ():
        click.echo(f"! left out: {each}", err=True)
    if made.manifest.holds_key:
        click.echo(f"! {KEY_WARNING}", err=True)
    if as_json:
        print_document({"backup": str(place), **made.as_dict()})
    elif not quiet:
        click.echo(f"Backup {place}: {_what(made)}, checked ({made.manifest.verified}).")
        if made.unproven:
            click.echo(made.unproven)
    return 0


def _tell(app: App, place: Path, wanted: Wanted, *, as_json: bool) -> int:
    from gateway.errors import BackupExists, BackupFailed
    from gateway.flow.backup import home_files
    from gateway.ledger.backup import room_for

    if place.exists() and not wanted.overwrite:
        raise BackupExists(path=place)
    directory = next(each for each in place.parents if each.is_dir())
    needed, free = room_for(app.engine), shutil.disk_usage(directory).free
    if needed > free:
        raise BackupFailed(path=place, reason=f"there is no room: {_size(needed)} are needed, {_size(free)} are free")
    names = [name for name, _ in home_files(app.settings).files] if wanted.with_home else []
    if as_json:
        print_document({"backup": str(place), "bytes": needed, "free": free, "home": names, "dry_run": True})
        return 0
    click.echo(f"A backup would go to {place}: up to {_size(needed)}, and {_size(free)} are free.")
    for each in names:
        click.echo(f"  home/{each}")
    click.echo("Nothing was written (--dry-run).", err=True)
    return 0


def _check(home: Path, place: Path, *, full: bool, quiet: bool, as_json: bool) -> int:
    from gateway.cli.reporting import ConsoleReporter
    from gateway.errors import BackupDamaged
    from gateway.ledger import backup_manifest
    from gateway.ledger.backup import check

    of_postgres = backup_manifest.read(place).kind == backup_manifest.POSTGRESQL
    with _server(home, wanted=full and of_postgres) as app, ConsoleReporter(quiet=quiet or as_json) as reporter:
        found = check(place, reporter, full=full, engine=app.engine if app else None)
    if as_json:
        print_document({"backup": str(place), **found.as_dict()})
        return BackupDamaged.exit_code if found.problems else 0
    if found.problems:
        raise BackupDamaged(path=place, reason="; ".join(found.problems))
    if not quiet:
        click.echo(f"{place} is what was written: {_what(found)}.")
        if found.unproven:
            click.echo(found.unproven)
    return 0


@contextmanager
def _server(home: Path, *, wanted: bool) -> Iterator[App | None]:
    """The home whose server may be used for a trial; none where there is none: a backup can be checked anywhere."""
    from gateway.app import open_app
    from gateway.errors import HomeMissing

    if not wanted:
        yield None
        return
    with ExitStack() as stack:
        app = None
        with suppress(HomeMissing):
            app = stack.enter_context(open_app(home, verify=False))
        yield app


def _what(checked: Checked) -> str:
    from gateway.cli.output import moment

    manifest = checked.manifest
    event = f"event {manifest.reached.newest.seq}" if manifest.reached.newest.seq else "no event"
    return f"{_size(manifest.size)}, the ledger as of {moment(manifest.at)} ({event})"


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
