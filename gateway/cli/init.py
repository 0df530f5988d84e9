"""``gateway init``: a new home, or an old one brought to the newest revision."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.output import json_option, print_document

if TYPE_CHECKING:
    from gateway.app import App


@click.command()
@click.option(
    "--home", type=click.Path(path_type=Path, file_okay=False), help="The directory (default: the global --home)."
)
@click.option("--name", default="", help="Our company, as partners read it.")
@click.option("--domain", default="", help="The right side of the Message-IDs that we make (default: this machine's).")
@click.option("--identity", "identities", multiple=True, metavar="QUALIFIER:ID", help="Our EDI identity; repeatable.")
@click.option("--upgrade", is_flag=True, help="Bring the database of an existing home to the newest revision.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    home: Path | None,
    name: str,
    domain: str,
    identities: tuple[str, ...],
    upgrade: bool,
    as_json: bool,
) -> None:
    """Makes a gateway home: settings, key, ledger, directories.

    An existing home is left alone; with --upgrade its database is migrated, and nothing else is touched.
    """
    place = (home or ctx.obj["home"]).resolve()
    if upgrade:
        if name or domain or identities:
            raise click.UsageError("--upgrade changes the database only; edit gateway.toml for the rest.")
        _upgrade(place, as_json=as_json)
        return
    _make(place, name, domain, identities, as_json=as_json)


def _make(place: Path, name: str, domain: str, identities: tuple[str, ...], *, as_json: bool) -> None:
    from gateway.app import KEY_FILE, App, login_name
    from gateway.errors import HomeExists, SettingsInvalid
    from gateway.ledger.database import newest, upgrade
    from gateway.ledger.secrets import make_key
    from gateway.settings import FILE_NAME, parse_settings, template_settings
    from gateway.settings.template import PLACEHOLDER_DOMAIN, PLACEHOLDER_IDENTITY, PLACEHOLDER_NAME

    if os.path.lexists(place / FILE_NAME):
        raise HomeExists(path=place)
    asks = sys.stdin.isatty() and sys.stdout.isatty() and not as_json
    name = name or _asked("Company name", PLACEHOLDER_NAME, asks=asks)
    domain = domain or _asked("Domain", _own_domain() or PLACEHOLDER_DOMAIN, asks=asks)
    identities = identities or (_asked("EDI identity (QUALIFIER:ID)", PLACEHOLDER_IDENTITY, asks=asks),)
    text = template_settings(name, domain, *identities).encode(errors="surrogateescape")
    try:
        settings = parse_settings(text, home=place)  # refuses what cannot be, before anything is made
    except SettingsInvalid as fault:  # the file that it names is not there, and will not be
        key = str(fault.details["key"]).partition(".")[2]
        option = {"name": "--name", "domain": "--domain", "identities": "--identity"}.get(key, key)
        raise click.BadParameter(f"{fault.details['reason']}. Nothing was made.", param_hint=option) from None

    _directories(place, settings.inbox, settings.outbox, settings.partners_directory)
    if not (place / KEY_FILE).exists():
        make_key(place / KEY_FILE)
    app = App(settings, login_name())
    try:
        _private(Path(app.engine.url.database or ""))
        upgrade(app.engine)
    finally:
        app.close()
    # Last, so that a home without gateway.toml is one that was never finished, and can be made again.
    _write(place / FILE_NAME, text)

    ours = {PLACEHOLDER_NAME, PLACEHOLDER_DOMAIN, PLACEHOLDER_IDENTITY}
    placeholders = [each for each in (name, domain, *identities) if each in ours]
    if as_json:
        print_document({"home": str(place), "revision": newest(), "placeholders": placeholders})
    else:
        _say_next_steps(place, KEY_FILE, placeholders)


def _upgrade(place: Path, *, as_json: bool) -> None:
    from gateway.app import open_app
    from gateway.flow.configuration import note
    from gateway.jobs.queue import install
    from gateway.ledger.database import guarded, newest, revision, upgrade

    with open_app(place, lock=True, verify=False) as app:
        before = revision(app.engine)
        _refuse_workers(app, before)
        upgrade(app.engine)
        with guarded(app.engine):
            queue = install(app.engine)
        note(app.ledger, app.settings)
    if as_json:
        print_document({"home": str(place), "revision": newest(), "before": before, "queue": queue})
    elif before == newest() and queue:
        click.echo(
            f"The database is at revision {newest()} already; the queue of the workers was missing, and was made."
        )
    elif before == newest():
        click.echo(f"The database is at revision {newest()} already; nothing was changed.")
    else:
        click.echo(f"The database went from revision {before or 'nothing'} to {newest()}.")


def _refuse_workers(app: App, before: str | None) -> None:
    """Nothing is changed under workers: they would go on with tables that they do not know."""
    from gateway.errors import HomeInUse
    from gateway.jobs.queue import is_at_work, is_current
    from gateway.ledger.database import guarded, newest, reading

    with guarded(app.engine):
        if before == newest() and is_current(app.engine):
            return
    with reading(app.engine) as connection:
        if is_at_work(connection, app.settings.worker.lease.total_seconds()):
            raise HomeInUse(path=app.home, holder="a worker, here or on another machine (`gateway worker`)")


def _asked(question: str, default: str, *, asks: bool) -> str:
    """The answer of a person, or the default where there is no terminal."""
    return str(click.prompt(question, default=default)) if asks else default


def _own_domain() -> str:
    """This machine's full name, where it has one that can be a domain in the world."""
    from gateway.settings.values import domain

    try:
        found = domain(socket.getfqdn())
    except (OSError, ValueError):
        return ""
    local = found.endswith((".local", ".localdomain", ".internal", ".arpa")) or found == "localhost"
    return found if "." in found and not local else ""


def _directories(home: Path, *inside: Path) -> None:
    from gateway.errors import ConfigurationFault

    try:
        home.mkdir(mode=0o750, parents=True, exist_ok=True)
        for each in inside:
            each.mkdir(mode=0o750, exist_ok=True)
    except OSError as problem:
        raise ConfigurationFault(reason=f"{problem.filename or home} cannot be made: {problem.strerror}.") from problem


def _private(ledger: Path) -> None:
    """An empty ledger that only its owner may read, before SQLite makes one that everybody may."""
    from gateway.errors import ConfigurationFault

    try:
        os.close(os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as problem:
        raise ConfigurationFault(reason=f"{ledger} cannot be made: {problem.strerror}.") from problem


def _write(path: Path, text: bytes) -> None:
    """Writes a new file, whole and durable, or not at all."""
    from gateway.errors import ConfigurationFault

    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        temporary.rename(path)
    except OSError as problem:
        temporary.unlink(missing_ok=True)
        raise ConfigurationFault(reason=f"{path} cannot be written: {problem.strerror}.") from problem


def _say_next_steps(place: Path, key: str, placeholders: list[str]) -> None:
    at = "" if place == Path.cwd() else f" --home {place}"
    click.echo(f"Made a gateway home at {place}: gateway.toml, {key}, ledger.db, inbox, outbox, partners.")
    if placeholders:
        click.echo(f"! gateway.toml holds placeholders ({', '.join(placeholders)}): put your own there.")
    click.echo("Next:")
    click.echo(f"  1. edit {place / 'gateway.toml'}: a [mailbox.NAME] and [smtp]")
    click.echo(f"  2. gateway{at} secret set mailbox.NAME; gateway{at} secret set smtp")
    click.echo(f"  3. gateway{at} partner apply FILE")
    click.echo(f"  4. gateway{at} doctor")
    click.echo(f"  5. gateway{at} night")
    click.echo(f"Keep a copy of {key} apart from backups of the ledger: without it stored passwords are lost.")
