"""`gateway partner`: trading partners from TOML profiles, applied, listed, shown in words, exported."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from gateway.cli.integers import NATURAL
from gateway.cli.output import json_option, moment, print_document, print_rows, print_text
from gateway.cli.partner_add import command as add
from gateway.cli.partner_certificate import command as certificate
from gateway.cli.partner_check import command as check
from gateway.cli.partner_checklist import checklist_lines
from gateway.cli.partner_checklist import command as checklist
from gateway.cli.partner_import import command as import_
from gateway.cli.partner_learn import command as learn
from gateway.cli.partner_missing import expected as expected_files
from gateway.cli.partner_missing import numbers as received_numbers
from gateway.cli.partner_spec import command as spec
from gateway.cli.partner_start import command as start
from gateway.cli.partner_start import number_lines, numbers_of
from gateway.cli.partner_status import activate, end, say_waiting, suspend
from gateway.cli.partner_test import command as test
from gateway.errors import NotAllowedNow, ProfileInvalid, UsageFault
from partners.model import Agreement, Partner, Status
from partners.store import Profile, Revision

by_option = click.option("--by", metavar="NAME", help="Who does this (default: your login name).")
dry_run_option = click.option("--dry-run", is_flag=True, help="Check and tell, but change nothing.")


@click.group(name="partner")
def command() -> None:
    """Trading partners: who they are, and what we settled with them.

    A partner is described by a TOML file, its profile; docs/reference/profile.md lists every key. Every revision
    of a profile is kept, with when and by whom.
    """


for _each in (add, learn, import_, checklist, check, test, spec, activate, suspend, end):
    command.add_command(_each)
command.add_command(certificate)
command.add_command(start)
command.add_command(received_numbers)
command.add_command(expected_files)


@command.command(name="apply")
@click.argument("paths", nargs=-1, metavar="[FILE|DIRECTORY]...", type=click.Path(exists=True, path_type=Path))
@dry_run_option
@by_option
@json_option
@click.pass_context
def apply(ctx: click.Context, paths: Sequence[Path], dry_run: bool, by: str | None, as_json: bool) -> None:
    """Add partners or change them as their profiles say: all of the files, or none.

    Of a directory, every *.toml is taken; without a name, the home's own directory of partners. A profile that says
    nothing new changes nothing. A profile without a status leaves the status as it is; a new partner is a draft.

    \b
    Examples: gateway partner apply partners/acme.toml --dry-run
              gateway partner apply
    """  # noqa: D301 - click wants a real \b
    from gateway.app import open_app
    from gateway.flow.configuration import apply_profiles
    from gateway.flow.guideline_files import ready
    from gateway.flow.stops import waiting_while
    from partners.profile import says_status

    with open_app(ctx.obj["home"], actor=by) as app:
        files = _files(paths or [app.settings.partners_directory])
        profiles = ready(app.settings, read_files(files))
        before = {each.key: each.status for each in app.partners.current()}
        applied = apply_profiles(app.ledger, app.partners, profiles, actor=app.actor, dry_run=dry_run)
        rows = []
        for one, (partner, text, _) in zip(applied, profiles, strict=True):
            status = partner.status if says_status(text) else before.get(one.key, partner.status)
            rows.append({"key": one.key, "change": one.change, "revision": one.revision, "status": status.value})
        with app.ledger.reading() as connection:
            # A profile may set a partner back.
            kept = [
                (each.key, each.status, waiting_while(connection, each, each.status))
                for each in app.partners.current()
                if before.get(each.key, each.status) is not each.status
            ]
    print_rows(rows, ["key", "change", "revision", "status"], as_json=as_json)
    if not as_json:
        for each in kept:
            say_waiting(*each)
    drafts = [row["key"] for row in rows if row["status"] == Status.DRAFT.value]
    if dry_run:
        click.echo("Nothing was changed (--dry-run).", err=True)
    elif drafts:
        hint = f"`gateway partner checklist {drafts[0]}` tells what is missing, `gateway partner activate` starts it."
        click.echo(f"Nothing is exchanged with a draft: {hint}", err=True)


@command.command(name="list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List all partners: status, addresses, identities and what is exchanged.

    \b
    Example: gateway partner list --json
    """  # noqa: D301 - click wants a real \b
    from gateway.app import open_app

    with open_app(ctx.obj["home"]) as app:
        heads = {each.key: each for each in app.partners.heads()}
        rows = [_row(each, heads[each.key]) for each in app.partners.current() if each.key in heads]
    columns = ["key", "name", "status", "addresses", "identities", "in", "out", "revision"]
    print_rows(
        rows, columns, as_json=as_json, empty="There are no partners yet: `gateway partner apply FILE` adds one."
    )


@command.command(name="show")
@click.argument("key")
@click.option("--revision", type=NATURAL, metavar="N", help="As it was in this revision.")
@json_option
@click.pass_context
def show(ctx: click.Context, key: str, revision: int | None, as_json: bool) -> None:
    """Tell in words who a partner is and what we settled.

    What is missing on its checklist is told, too.

    \b
    Examples: gateway partner show acme
              gateway partner show acme --revision 3
    """  # noqa: D301 - click wants a real \b
    from gateway.app import open_app
    from gateway.flow.onboarding import partner_checklist
    from partners.profile import read_profile
    from partners.words import as_document, in_words

    with open_app(ctx.obj["home"]) as app:
        text = app.partners.text(key, revision)
        kept = {each.revision: each for each in app.partners.revisions(key)}
        certificates = app.partners.get(key).certificates
        numbers = numbers_of(app, key)
        listed = partner_checklist(app.context(), key)
    about = kept[revision or max(kept)]
    partner = replace(read_profile(text, f"revision {about.revision} of {key}"), certificates=certificates)
    if as_json:
        more = {"revision": _about(about), "control_numbers": numbers, "checklist": listed.as_dict()}
        print_document(as_document(partner) | more)
        return
    origin = f" from {about.file}" if about.file else ""
    head = f"Revision {about.revision} of {max(kept)}, {moment(about.at)}, by {about.by}{origin}"
    for line in (*in_words(partner, head), *number_lines(numbers), "", *checklist_lines(listed, short=True)):
        click.echo(line)


@command.command(name="export")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--to", "directory", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Write there.")
@click.option("--force", is_flag=True, help="Replace files that say something else.")
@click.pass_context
def export(ctx: click.Context, keys: Sequence[str], directory: Path | None, force: bool) -> None:
    """Write profiles as they were applied, comments included: one to stdout, or KEY.toml files to a directory.

    Without KEY, all partners are exported.

    \b
    Examples: gateway partner export acme
              gateway partner export --to profiles
    """  # noqa: D301 - click wants a real \b
    from gateway.app import open_app

    with open_app(ctx.obj["home"]) as app:
        texts = {key: app.partners.text(key) for key in keys or [each.key for each in app.partners.heads()]}
    if directory is None:
        if len(texts) > 1:
            raise UsageFault(reason="These are several profiles: name a directory with --to, or one partner.")
        print_text("".join(texts.values()))
        return
    directory.mkdir(parents=True, exist_ok=True)
    files = {directory / f"{key}.toml": text for key, text in texts.items()}
    for path, text in files.items():
        if not force and path.exists() and path.read_bytes() != text.encode():
            raise NotAllowedNow(what="the file", key=path, state="there already", reason="--force replaces it")
    for path, text in files.items():
        path.write_bytes(text.encode())
    click.echo(f"{len(files)} profile{'' if len(files) == 1 else 's'} written to {directory}", err=True)


@command.command(name="revisions")
@click.argument("key")
@json_option
@click.pass_context
def revisions(ctx: click.Context, key: str, as_json: bool) -> None:
    """List every revision of a partner's profile, newest first.

    \b
    Example: gateway partner revisions acme
    """  # noqa: D301 - click wants a real \b
    from gateway.app import open_app

    with open_app(ctx.obj["home"]) as app:
        rows = [_about(each) for each in reversed(app.partners.revisions(key))]
    print_rows(rows, ["revision", "at", "by", "file", "status"], as_json=as_json)


def read_files(files: Iterable[Path]) -> list[Profile]:
    """Reads profile files: (partner, text, file name) each.

    Raises:
        ProfileInvalid: the first thing wrong in any of them, followed by all that is wrong in all of them.
    """
    from partners.profile import read_profile

    found: list[Profile] = []
    faults: list[ProfileInvalid] = []
    for path in files:
        try:
            text = _read(path)
            found.append((read_profile(text, _label(path)), text, _label(path)))
        except ProfileInvalid as fault:
            faults.append(fault)
    if faults:
        first, *others = faults
        reason = "\n".join([str(first.details["reason"]), *(str(each) for each in others)])
        raise ProfileInvalid(**{**first.details, "reason": reason})
    return found


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
        return data.decode("utf-8")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise ProfileInvalid(file=_label(path), line=line, key="(file)", reason="this is not UTF-8 text") from None
    except OSError as problem:
        reason = f"cannot be read: {problem.strerror}"
        raise ProfileInvalid(file=_label(path), line=1, key="(file)", reason=reason) from None


def _label(path: Path) -> str:
    """The file's name as text that can be stored, whatever bytes it has."""
    return os.fsencode(path.name).decode("utf-8", "replace")


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.toml")) if not path.is_file() else [path]
        if not inside:
            raise UsageFault(reason=f"There is no profile (*.toml) in {path}.")
        found += inside
    return found


def _row(partner: Partner, head: Revision) -> dict[str, Any]:
    return {
        "key": partner.key,
        "name": partner.name,
        "status": partner.status.value,
        "addresses": list(partner.addresses),
        "identities": [str(each) for each in partner.identities],
        "in": _sets(each for each in partner.agreements if each.direction == "in"),
        "out": _sets(each for each in partner.agreements if each.direction == "out"),
        "revision": head.revision,
        "at": moment(head.at),
        "by": head.by,
    }


def _sets(agreements: Iterable[Agreement]) -> list[str]:
    return list(dict.fromkeys(each for agreement in agreements for each in agreement.sets))


def _about(revision: Revision) -> dict[str, Any]:
    return {
        "revision": revision.revision,
        "at": moment(revision.at),
        "by": revision.by,
        "file": revision.file,
        "status": revision.status.value,
        "sha256": revision.sha256,
    }
