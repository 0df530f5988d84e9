"""``gateway demo``: the whole thing on one machine, with nothing installed and no network."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.output import json_option, print_document

if TYPE_CHECKING:
    from gateway.demo.play import Outcome


@click.command("demo")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Play in this directory and leave it, to look around with the normal commands.",
)
@json_option
def command(keep: Path | None, as_json: bool) -> int:
    """Two nights of traffic between a gateway, four trading partners and a stranger, over real SMTP and POP3.

    Everything happens on this machine's loopback: a mail host is started, a home is made, partners send good
    and bad mail, documents go out, acknowledgments come back or do not. Exit code 0 when all that the demo
    promises was seen.
    """
    from gateway.cli.reporting import ConsoleReporter
    from gateway.demo.play import play
    from gateway.errors import HomeExists

    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise HomeExists(path=keep)
    directory = keep or Path(tempfile.mkdtemp(prefix="gateway-demo-"))
    try:
        with ConsoleReporter(quiet=True) as reporter:
            outcome = play(directory.resolve(), _Hush(reporter), _silent if as_json else click.echo)
        if as_json:
            print_document(_document(outcome, kept=keep is not None))
        else:
            _print(outcome, kept=keep is not None)
    finally:
        if keep is None:
            shutil.rmtree(directory, ignore_errors=True)
    return 0 if all(check.kept for check in outcome.checks) else 1


class _Hush:
    """The demo's troubles are part of the play: they come in the summary, not in between."""

    def __init__(self, reporter: object) -> None:
        self._reporter = reporter

    def step(self, name: str, total: int = 0) -> None:
        """Nothing."""

    def advance(self, amount: int = 1) -> None:
        """Nothing."""

    def happened(self, what: str, count: int = 1) -> None:
        """Nothing."""

    def trouble(self, fault: object, where: str) -> None:
        """Nothing."""


def _silent(sentence: str) -> None:
    """For machines nothing is told in between."""


def _document(outcome: Outcome, *, kept: bool) -> dict[str, object]:
    return {
        "ok": all(check.kept for check in outcome.checks),
        "checks": [{"promise": check.promise, "kept": check.kept} for check in outcome.checks],
        "counts": outcome.counts,
        "nights": [outcome.first.as_dict(), outcome.second.as_dict()],
        "home": str(outcome.home) if kept else None,
        "mails": str(outcome.mails) if kept else None,
    }


def _print(outcome: Outcome, *, kept: bool) -> None:
    click.echo("\nWhat happened")
    for name, number in outcome.counts.items():
        click.echo(f"  {number:>4}  {name}")
    click.echo("\nWhat needs a person")
    for each in outcome.second.attention:
        click.echo(f"  {each.reference:>4}  {each.state}: {each.what}")
        click.echo(f"        {each.reason}")
        click.echo(f"        → {each.next_command}")
    click.echo("\nWhat the demo promised")
    for check in outcome.checks:
        click.echo(f"  {'✓' if check.kept else '✗'} {check.promise}")
    click.echo("\nWhere it lies")
    if not kept:
        click.echo("  nowhere any more: run  gateway demo --keep DIR  to look around afterwards")
        return
    click.echo(f"  the business's files  {outcome.home / 'inbox'}")
    click.echo(f"  the ledger            {outcome.home / 'ledger.db'}")
    click.echo(f"  every mail as .eml    {outcome.mails}")
    click.echo("\nLook around")
    for words in ("status", "ledger search", "ledger search po=PO-1001", "ledger show 1", "quarantine list"):
        click.echo(f"  gateway --home {outcome.home} {words}")
