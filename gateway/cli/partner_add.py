"""``gateway partner add``: a new partner from a few answers."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.output import json_option, print_document
from gateway.errors import NotAllowedNow, ProfileInvalid, UsageFault

if TYPE_CHECKING:
    from gateway.app import App

_NEEDED = ("--key", "--identity", "--address", "--types")


@click.command(name="add")
@click.option("--key", default="", help="Names the partner in the ledger and in commands, for ever: acme.")
@click.option("--name", default="", help="The company's name, for people (default: the key).")
@click.option("--identity", "identities", multiple=True, metavar="QUALIFIER:ID", help="Its EDI identity; repeatable.")
@click.option("--address", "addresses", multiple=True, help="Where its mail comes from and ours goes; repeatable.")
@click.option("--types", default="", metavar="SET:in|out,…", help="What is exchanged, seen from us: 850:in,810:out.")
@click.option("--version", default="", metavar="GS08", help="The version of the sets, such as 004010 (default: any).")
@click.option("--contact", default="", help="Whom to call; shown to operators.")
@click.option("--no-input", is_flag=True, help="Ask nothing, even on a terminal.")
@click.option("--dry-run", is_flag=True, help="Print the profile, and change nothing.")
@click.option("--by", metavar="NAME", help="Who does this (default: your login name).")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    key: str,
    name: str,
    identities: Sequence[str],
    addresses: Sequence[str],
    types: str,
    version: str,
    contact: str,
    no_input: bool,
    dry_run: bool,
    by: str | None,
    as_json: bool,
) -> None:
    """Add a partner by a few answers, as a draft.

    On a terminal it asks for what no option says. The profile is written into the home's directory of partners, to
    be edited and applied again.

    \b
    Examples: gateway partner add
              gateway partner add --key acme --name "ACME Retail" --identity ZZ:ACMERETAIL \\
                  --address edi@acme.example --types 850:in,855:out,810:out --version 004010 --no-input
    """  # noqa: D301 - click wants a real \b
    from gateway.app import open_app

    asks = sys.stdin.isatty() and sys.stdout.isatty() and not no_input and not as_json
    given = dict(zip(_NEEDED, (key, identities, addresses, types), strict=True))
    missing = [option for option, value in given.items() if not value]
    if missing and not asks:
        raise UsageFault(reason=f"Without a terminal everything is said by options; missing: {', '.join(missing)}.")
    with open_app(ctx.obj["home"], actor=by) as app:
        text = _text(key, name, identities, addresses, types, version, contact, asks=asks)
        found = _added(app, text, dry_run=dry_run)
    if as_json:
        print_document(found | {"profile": text, "dry_run": dry_run})
    elif dry_run:
        click.echo(text, nl=False)
        click.echo("Nothing was changed (--dry-run).", err=True)
    else:
        click.echo(f"{found['key']} is a draft now; its profile is {found['file']}.")
        click.echo(f"Next: `gateway partner checklist {found['key']}`.", err=True)


def _text(
    key: str,
    name: str,
    identities: Sequence[str],
    addresses: Sequence[str],
    types: str,
    version: str,
    contact: str,
    *,
    asks: bool,
) -> str:
    from partners import profile_values as values
    from partners.learning_draft import Answers, draft_text, read_types

    if asks:
        name = name or str(_ask("Company name", values.read_line))
        key = key or str(_ask("Key (names it in the ledger, for ever)", values.read_key, _key(name)))
        addresses = addresses or _several("Mail addresses it sends from", values.read_address)
        identities = identities or _several("EDI identities (QUALIFIER:ID)", values.read_identity)
        types = types or str(_ask("Sets and directions (850:in,810:out)", lambda text: read_types(text) and text))
        version = version or str(_ask("Version (GS08; empty: any)", _version, ""))
        contact = contact or str(click.prompt("Whom to call", default="", show_default=False))
    try:
        chosen = read_types(types)
    except ValueError as problem:
        raise UsageFault(reason=f"--types: {problem}") from None
    answers = Answers(key, name, tuple(addresses), tuple(identities), chosen, version, contact)
    try:
        return draft_text(answers)
    except ProfileInvalid as fault:
        said = f"{fault.details['key']}: {fault.details['reason']}"
        raise UsageFault(reason=said) from None


def _added(app: App, text: str, *, dry_run: bool) -> dict[str, Any]:
    """Applies the profile as a draft, and writes it beside the others."""
    from gateway.flow.configuration import apply_profiles
    from partners.directory import overlaps
    from partners.profile import read_profile

    partner = read_profile(text, "the answers")
    path = app.settings.partners_directory / f"{partner.key}.toml"
    if partner.key in app.directory():
        raise NotAllowedNow(
            what="the partner", key=partner.key, state="there already", reason="edit its profile and apply it"
        )
    if path.exists():
        raise NotAllowedNow(what="the file", key=path, state="there already", reason="apply it, or move it away")
    for overlap in overlaps([partner], app.directory().our_identities):
        raise overlap
    apply_profiles(app.ledger, app.partners, [(partner, text, path.name)], actor=app.actor, dry_run=dry_run)
    if not dry_run:
        _write(path, text)
    return {"key": partner.key, "file": str(path), "status": "draft"}


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as problem:
        said = f"The partner was added, but {path} cannot be written: {problem.strerror}"
        raise UsageFault(reason=f"{said}; `gateway partner export` writes it elsewhere.") from problem


def _ask(question: str, read: Callable[[str], object], default: str | None = None) -> object:
    """Asks until the answer is one."""

    def checked(text: str) -> str:
        try:
            return str(read(text.strip()))
        except ValueError as problem:
            raise click.BadParameter(str(problem)) from None

    return click.prompt(question, default=default, value_proc=checked)


def _several(question: str, read: Callable[[object], object]) -> tuple[str, ...]:
    """Several answers on one line."""

    def checked(text: str) -> tuple[str, ...]:
        words = [each for each in re.split(r"[,;]\s*", text.strip()) if each]
        try:
            return tuple(str(read(each)) for each in words)
        except ValueError as problem:
            raise click.BadParameter(str(problem)) from None

    found: tuple[str, ...] = ()
    while not found:
        found = click.prompt(f"{question}, with commas between", value_proc=checked)
    return found


def _key(name: str) -> str | None:
    word = re.sub(r"[^a-z0-9]+", "-", name.lower().split(",")[0]).strip("-")[:40]
    return word or None


def _version(text: str) -> object:
    from partners.profile_values import read_version

    return read_version(text) if text else ""
