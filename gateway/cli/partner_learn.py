"""``gateway partner learn``: a profile proposed from what a partner sends, or from a directory of old interchanges."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.output import json_option, print_document, print_rows, print_text
from gateway.errors import NotAllowedNow, UsageFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.flow.learn_partner import Learned
    from partners.model import Identity

START_FILE = "start.csv"
_COLUMNS = ("partner", "identities", "addresses", "came", "went", "last_in", "last_out", "checks", "known_as")
_NEW = click.Path(path_type=Path)


@click.command(name="learn")
@click.argument("sources", nargs=-1, required=True, metavar="FILE|DIRECTORY|NUMBER...")
@click.option("--output", type=_NEW, metavar="FILE", help="Write the profile there instead of to stdout.")
@click.option("--output-dir", type=_NEW, metavar="DIR", help="One profile for each partner, and start.csv.")
@click.option("--key", default="", help="What to call the partner (default: made from its domain or identity).")
@click.option("--address", default="", metavar="ADDRESS", help="Where its mail comes from, where no mail tells.")
@click.option(
    "--ours", multiple=True, metavar="QUALIFIER:ID", help="An identity that we have or had, beside gateway.toml's."
)
@click.option("--apply", "apply_", is_flag=True, help="Apply what is proposed as drafts; certificates as pending.")
@click.option("--force", is_flag=True, help="Replace files that say something else.")
@click.option("--dry-run", is_flag=True, help="With --apply: check and tell, but change nothing.")
@click.option("--by", metavar="NAME", help="Who does this (default: your login name).")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    sources: Sequence[str],
    output: Path | None,
    output_dir: Path | None,
    key: str,
    address: str,
    ours: Sequence[str],
    apply_: bool,
    force: bool,
    dry_run: bool,
    by: str | None,
    as_json: bool,
) -> None:
    """Propose profiles from what partners send.

    From interchanges, raw mails (.eml), directories of them, or what came and is in the ledger, by the number that
    `gateway quarantine list` shows (a mail m17, an exchange 34). Each line of a proposal says from what it was
    inferred; CHECK marks what to look at. Nothing is exchanged with a draft. Of a directory of old interchanges the
    last control numbers of both sides are told too, and --output-dir writes ours as start.csv.

    \b
    Examples: gateway partner learn orders.edi --address edi@acme.example --output partners/acme.toml
              gateway partner learn m17 --apply
              gateway partner learn /srv/van-archive --output-dir learned
              gateway partner start --file learned/start.csv --last-used --why "moved from the VAN"
    """  # noqa: D301 - click wants a real \b
    from gateway.app import open_app
    from gateway.flow import learn_partner as learning

    if output is not None and output_dir is not None:
        raise UsageFault(reason="Choose one of --output and --output-dir.")
    mine = [_identity(each) for each in ours]
    with open_app(ctx.obj["home"], actor=by) as app:
        context = app.context()
        with _progress(sources) as progress:
            learned = learning.learn_from(context, sources, key=key, address=address, ours=mine, progress=progress)
        _check_output(learned, output_dir, as_json=as_json, apply_=apply_)
        if output_dir is not None:
            _write_all(learned, output_dir, force=force)
        elif output is not None:
            _write({output: learned.proposals[0].text}, force=force)
        drafts = (
            learning.apply_draft(context, app.partners, app.certificates, learned, actor=app.actor, dry_run=dry_run)
            if apply_
            else []
        )
    _say(learned, drafts, output, output_dir, as_json=as_json, dry_run=dry_run)


def _identity(text: str) -> Identity:
    from partners.model import Identity

    try:
        return Identity.parse(text)
    except ValueError as problem:
        raise UsageFault(reason=f"--ours: {problem}") from None


@contextmanager
def _progress(sources: Sequence[str]) -> Iterator[Callable[[int], object]]:
    """A bar on a terminal, where there is more than a file to read; called with the number of files done."""
    from gateway.flow.learn_sources import files_in

    places = [Path(each) for each in sources if Path(each).is_dir()]
    if not places or not sys.stderr.isatty():
        yield lambda _: None
        return
    count = sum(1 for _ in files_in(places))
    with click.progressbar(length=count, label="Reading", file=sys.stderr) as bar:
        yield bar.update


def _check_output(learned: Learned, output_dir: Path | None, *, as_json: bool, apply_: bool) -> None:
    """Several profiles do not fit on stdout."""
    if len(learned.proposals) > 1 and output_dir is None and not (as_json or apply_):
        names = ", ".join(each.key for each in learned.proposals[:10])
        more = " …" if len(learned.proposals) > 10 else ""
        count = len(learned.proposals)
        raise UsageFault(reason=f"These are {count} partners ({names}{more}): name a directory with --output-dir.")


def _write_all(learned: Learned, directory: Path, *, force: bool) -> None:
    from gateway.flow.learn_partner import start_csv

    files = {directory / f"{each.key}.toml": each.text for each in learned.proposals}
    numbers = start_csv(learned.proposals)
    if numbers.count("\n") > 1:
        files[directory / START_FILE] = numbers
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise UsageFault(reason=f"{directory} cannot be made: {problem.strerror}") from problem
    _write(files, force=force)


def _write(files: Mapping[Path, str], *, force: bool) -> None:
    for path, text in files.items():
        if not force and path.exists() and path.read_bytes() != text.encode():
            raise NotAllowedNow(what="the file", key=path, state="there already", reason="--force replaces it")
    for path, text in files.items():
        try:
            path.write_bytes(text.encode())
        except OSError as problem:
            raise UsageFault(reason=f"{path} cannot be written: {problem.strerror}") from problem


def _say(
    learned: Learned,
    drafts: Sequence[str],
    output: Path | None,
    output_dir: Path | None,
    *,
    as_json: bool,
    dry_run: bool,
) -> None:
    if as_json:
        print_document(learned.as_dict() | {"applied": [] if dry_run else list(drafts), "dry_run": dry_run})
        return
    if output_dir is not None or len(learned.proposals) > 1:
        print_rows([_row(learned, at) for at in range(len(learned.proposals))], _COLUMNS, as_json=False)
    elif output is None:
        print_text(learned.proposals[0].text)
    for name, reason in (*learned.skipped[:20], *(("", each) for each in learned.odd[:20])):
        click.echo(f"left out: {name}{': ' if name else ''}{reason}", err=True)
    left = len(learned.skipped) + len(learned.odd)
    if left > 40:
        click.echo(f"… {left} were left out in all; --json names each.", err=True)
    for each in learned.proposals[:20]:
        for check in each.checks:
            click.echo(f"to check in {each.key}: {check}", err=True)
    click.echo(_next(learned, drafts, output, output_dir, dry_run=dry_run), err=True)


def _row(learned: Learned, at: int) -> dict[str, object]:
    each = learned.proposals[at]
    last = {
        way: ", ".join(f"{one.interchange}/{one.group}" for one in each.numbers if one.direction == way)
        for way in ("in", "out")
    }
    return {
        "partner": each.key,
        "identities": [str(one) for one in each.identities],
        "addresses": list(each.addresses),
        "came": each.came,
        "went": each.went,
        "last_in": last["in"],
        "last_out": last["out"],
        "checks": len(each.checks),
        "known_as": each.known_as,
    }


def _next(
    learned: Learned, drafts: Sequence[str], output: Path | None, output_dir: Path | None, *, dry_run: bool
) -> str:
    first = learned.proposals[0].key
    if drafts and dry_run:
        return "Nothing was changed (--dry-run)."
    if drafts:
        there = [each.known_as or each.key for each in learned.proposals if each.key not in drafts]
        left = f" Left as they are: {', '.join(there)}." if there else ""
        return f"Applied as draft: {', '.join(drafts)}.{left} Next: `gateway partner checklist {drafts[0]}`."
    place = output_dir or output or f"{first}.toml"
    return f"Look at what is marked CHECK, then: gateway partner apply {place}"
