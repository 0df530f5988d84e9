"""``gateway ledger seal``, ``verify`` and ``proof``: that nobody changed what was recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.integers import NATURAL
from gateway.cli.output import json_option, print_document

if TYPE_CHECKING:
    from gateway.flow.verify import Verdict
    from gateway.ledger.seals import SealKey

_file = click.Path(path_type=Path, dir_okay=False)


@click.command("seal")
@click.option("--file", "target", type=_file, help="Append the seal to this file (default: the setting seal.file).")
@click.option("--mail", is_flag=True, help="Mail it to the addresses of the setting seal.to at once.")
@click.option("--key", "only_key", is_flag=True, help="Make no seal; print the key that seals are checked with.")
@json_option
@click.pass_context
def seal(ctx: click.Context, target: Path | None, mail: bool, only_key: bool, as_json: bool) -> int:
    """Sign how far the ledger has come: whatever is changed later in what came before does not fit the seal any more.

    A seal counts where it lies: whoever can write to the database and to the file with the seals can make both anew.
    Give the key to the auditor once, and let seals go where you cannot change them: another machine, the auditor's
    mailbox (setting seal.to), paper. Batches seal by themselves, once a day unless the setting seal.every says
    otherwise.

    \b
    gateway ledger seal
    gateway ledger seal --file /mnt/auditor/seals.txt
    gateway ledger seal --key
    """  # noqa: D301 - click wants the character itself: \b keeps the lines below it as they are
    from gateway.app import open_app
    from gateway.flow import seal as sealing

    with open_app(ctx.obj["home"]) as app:
        context = app.context()
        if only_key:
            key = sealing.public_key(context)
            print_document({"key": str(key)}) if as_json else click.echo(str(key))
            return 0
        made = sealing.seal(context, target.absolute() if target else None)
        mailed = sealing.mail_newest(context) if mail else False
    if as_json:
        print_document(made.as_dict() | {"mailed": mailed})
        return 0
    click.echo(made.note)
    click.echo(f"appended to {made.file}", err=True)
    if mail:
        click.echo("mailed" if mailed else "not mailed: it was already, or the setting seal.to names nobody", err=True)
    return 0


@click.command("verify")
@click.option("--full", is_flag=True, help="Everything, not only what came after the newest seal.")
@click.option("--seals", "files", type=_file, multiple=True, help="Seals that were kept outside (may be repeated).")
@click.option("--key", help="The key of the seals as you were given it, or a file with it (default: this home's).")
@click.option("--no-contents", is_flag=True, help="With --full: do not hash all kept bytes again.")
@json_option
@click.pass_context
def verify(
    ctx: click.Context, full: bool, files: tuple[Path, ...], key: str | None, no_contents: bool, as_json: bool
) -> int:
    """Look whether the ledger is what was recorded, and name what is not.

    Every event must be in the tree, every row as the latest event says that it was left, every kept byte of the hash
    that is its name, profiles, users, API tokens and certificates as the events of their changes tell, and the tree the
    one that was sealed. Without --full only what came after the newest seal is read, and the tree up to there. Exit
    code 65: something is not as recorded, or seals were made and the key to check them is not here.

    \b
    gateway ledger verify
    gateway ledger verify --full
    gateway ledger verify --full --seals /mnt/auditor/seals.txt --key /mnt/auditor/key.txt
    """  # noqa: D301 - click wants the character itself: \b keeps the lines below it as they are
    from gateway.app import open_app
    from gateway.flow.seal import seals_file
    from gateway.flow.verify import Verdict
    from gateway.flow.verify import verify as looked

    verdict = Verdict()
    with open_app(ctx.obj["home"]) as app:
        own = seals_file(app.settings)
        places = files or ((own,) if own.exists() else ())
        with _progress() as progress:
            found = looked(
                app.engine,
                verdict,
                _key(key) if key else app.seal_key_to_verify(),
                [note for place in places for note in _notes(place)],
                full=full,
                contents=not no_contents,
                progress=progress,
            )
            for each in found:
                if not as_json:
                    click.echo(each.sentence)
    if as_json:
        print_document(verdict.as_dict())
    else:
        _say(verdict)
    return 65 if verdict.differences else 0


@click.command("proof")
@click.argument("number", type=NATURAL, metavar="EXCHANGE")
@click.option("--to", "target", type=_file, required=True, help="The file to write; it must not exist.")
@json_option
@click.pass_context
def proof(ctx: click.Context, number: int, target: Path, as_json: bool) -> int:
    """Write what proves to somebody else that an exchange was recorded as it is, before the seal that covers it.

    The file holds the exchange's rows and events and the hashes that lead from them to the root of a seal; of other
    exchanges only hashes. docs/verify_evidence.py checks it with Python alone. (`gateway exchange proof` is another
    thing: what proves that the partner got a mail.)

    \b
    gateway ledger proof 34 --to exchange-34.json
    gateway ledger show 34 --raw > exchange-34.edi
    python3 verify_evidence.py exchange-34.json --seals seals.txt --raw exchange-34.edi
    """  # noqa: D301 - click wants the character itself: \b keeps the lines below it as they are
    import json

    from gateway.app import open_app
    from gateway.errors import UsageFault
    from gateway.flow.evidence import evidence
    from gateway.flow.seal import public_key

    with open_app(ctx.obj["home"]) as app, app.ledger.reading() as connection:
        made = evidence(connection, number, public_key(app.context()))
    try:
        with target.open("x", encoding="utf-8") as file:
            json.dump(made, file, ensure_ascii=False, indent=1)
            file.write("\n")
    except OSError as problem:
        raise UsageFault(reason=f"{target} cannot be written: {problem.strerror}") from problem
    told = {"exchange": number, "file": str(target), "events": len(made["events"]), "rows": len(made["rows"])}
    if as_json:
        print_document(told)
    else:
        click.echo(f"{told['events']} events and {told['rows']} rows of exchange {number} written to {target}")
    return 0


def _key(given: str) -> SealKey:
    """The key that was given, or that stands in the file of that name.

    Raises:
        UsageFault: the file cannot be read.
        SealInvalid: it is no key.
    """
    from gateway.ledger.seals import SealKey

    place = Path(given)
    return SealKey.parse(_text(place) if "+" not in given or place.is_file() else given)


def _notes(place: Path) -> Iterator[str]:
    from gateway.ledger.seals import notes

    return notes(_text(place))


def _text(place: Path) -> str:
    from gateway.errors import UsageFault

    try:
        return place.read_text(encoding="utf-8", errors="replace")
    except OSError as problem:
        raise UsageFault(reason=f"{place} cannot be read: {problem.strerror}") from problem


def _say(verdict: Verdict) -> None:
    from gateway.flow.verify_seals import KEY

    extent = verdict.extent
    if extent is None:
        return
    looked = f"{_many(extent.events, 'event')} and {_many(extent.rows, 'row')}"
    if verdict.since is not None:
        looked += f" since the seal of {verdict.since.time}"
    elif verdict.contents:
        looked += f", {_many(verdict.contents, 'kept content')}"
    for note in verdict.notes:
        click.echo(note, err=True)
    found = len(verdict.differences)
    click.echo(f"{looked} were looked at: {'all as recorded' if not found else _many(found, 'difference')}.", err=True)
    if verdict.sealed is not None:
        rest = extent.size - verdict.sealed.size
        click.echo(
            f"{_many(verdict.seals, 'seal')}; the newest that fits is of {verdict.sealed.time}"
            f" over {_many(verdict.sealed.size, 'event')} ({rest} came later).",
            err=True,
        )
    elif any(each.reference == KEY for each in verdict.differences):
        click.echo("No seal was checked: nothing proves when this was recorded.", err=True)
    else:
        click.echo("No seal fits: nothing proves when this was recorded. `gateway ledger seal` makes one.", err=True)


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal for each part that is read; nothing elsewhere."""
    import sys

    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import Progress, TaskID

    with Progress(console=Console(file=sys.stderr), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what.replace("_", " "), total=total)
            bars.update(tasks[what], completed=done)

        yield told
