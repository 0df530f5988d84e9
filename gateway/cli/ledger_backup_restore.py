"""``gateway ledger restore``: a backup takes the place of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from gateway.cli.acting import act_options
from gateway.cli.output import print_document
from gateway.values import asdict

if TYPE_CHECKING:
    from gateway.flow.context import Context
    from gateway.flow.restore import Wish
    from gateway.flow.restore_home import Written
    from gateway.flow.restore_report import Restored
    from gateway.ledger.backup_files import Watcher
    from gateway.settings import Settings


@click.command("restore")
@click.argument("source", metavar="BACKUP", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--replace", is_flag=True, help="Also in the place of a ledger (or file) that may be newer; it is kept.")
@click.option(
    "--ahead",
    type=click.IntRange(1, 100_000_000),
    help="How many control numbers to skip in each series, where nobody knows how far they came (default: 1,000, and"
    " one for every second since anything was known).",
)
@click.option("--with-home", is_flag=True, help="Put back gateway.toml, profiles and what else of the home is in it.")
@click.option(
    "--full", is_flag=True, help="Look at everything in the backup first, not at a sample, and verify every row."
)
@act_options
@click.pass_context
def restore(
    ctx: click.Context,
    source: Path,
    replace: bool,
    ahead: int | None,
    with_home: bool,
    full: bool,
    reason: str,
    by: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Put a backup in the place of the ledger. Stop the gateway first; the ledger that is there is kept aside.

    Everything is made ready beside the present ledger, and then the two change over at once or not at all. Control
    numbers go on where they stood, if that can be known; else they jump past all that may have been used. What waited
    for the wire may have gone since: acknowledgments go again, documents wait for a person. What was recorded after the
    backup is lost; the command says from when until when, and what to ask partners.

    \b
    Example: gateway ledger restore /mnt/backup/edi/ledger-20261122T021500Z --why "the disk died"
    """  # noqa: D301 - click wants a real \b
    from gateway.app import login_name
    from gateway.cli.reporting import ConsoleReporter
    from gateway.flow.restore import Wish
    from gateway.jobs.lock import HomeLock
    from gateway.ledger import backup_manifest

    home: Path = ctx.obj["home"]
    source = source.resolve()
    backup_manifest.read(source)
    written = None
    if with_home and dry_run and not home.is_dir():
        return _say(_home_files(home, source, replace=replace, dry_run=True), None, dry_run=True, as_json=as_json)
    if with_home:
        home.mkdir(mode=0o750, parents=True, exist_ok=True)
    with HomeLock(home), ConsoleReporter(quiet=as_json) as reporter:
        if with_home:
            written = _home_files(home, source, replace=replace, dry_run=dry_run)
        settings = _settings(home, source, written)
        wish = Wish(source, by or login_name(), reason, replace, ahead, full, dry_run)
        done = _restore(settings, wish, reporter)
    return _say(written, done, dry_run=dry_run, as_json=as_json)


def _home_files(home: Path, source: Path, *, replace: bool, dry_run: bool) -> Written:
    from gateway.app import milliseconds
    from gateway.errors import BackupUnfit
    from gateway.flow.restore_home import restore_home
    from gateway.ledger import backup_manifest

    manifest = backup_manifest.read(source)
    if not manifest.home_files:
        raise BackupUnfit(path=source, reason="it holds nothing of the home beside the ledger")
    return restore_home(home, source, manifest, milliseconds(), replace=replace, dry_run=dry_run)


def _settings(home: Path, source: Path, written: Written | None) -> Settings:
    """Those of the home; in a dry run, those that it would have."""
    from gateway.settings import FILE_NAME, parse_settings, read_settings

    if written is not None and FILE_NAME in written.files and not (home / FILE_NAME).exists():
        return parse_settings((source / "home" / FILE_NAME).read_bytes(), home=home)
    return read_settings(home)


def _restore(settings: Settings, wish: Wish, watcher: Watcher) -> Restored:
    from gateway.app import App
    from gateway.flow.restore import restore as put_back
    from gateway.jobs.queue import install
    from gateway.ledger.database import open_engine

    app = App(settings, wish.actor)
    url = app.engine.url.render_as_string(hide_password=False)
    app.close()
    done = put_back(settings, url, wish, _opener(settings, wish.actor), watcher)
    if not wish.dry_run:
        engine = open_engine(url)
        install(engine)  # the workers' queue, where there is none
        engine.dispose()
    return done


def _opener(settings: Settings, actor: str) -> Callable[[str], AbstractContextManager[Context]]:
    """Opens the same home upon another database."""
    from gateway.app import App

    @contextmanager
    def opened(url: str) -> Iterator[Context]:
        app = App(replace(settings, database_url=url), actor)
        try:
            yield app.context()
        finally:
            app.close()

    return opened


def _say(written: Written | None, done: Restored | None, *, dry_run: bool, as_json: bool) -> int:
    if as_json:
        found = {} if done is None else done.as_dict()
        print_document({**found, "home": None if written is None else asdict(written), "dry_run": dry_run})
        return 0
    for word, names in (("written", written.files), ("kept", written.kept)) if written else ():
        for each in names:
            click.echo(f"{word}: {each}")
    for line in done.lines() if done else ():
        click.echo(line)
    if dry_run:
        click.echo("Nothing was changed (--dry-run).", err=True)
    return 0
