"""``--archive FILE``: a command that looks into the ledger looks into an archive that was moved out instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gateway.app import App


def _keep(ctx: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.ensure_object(dict)["archive"] = value


archive_option: Callable[[Any], Any] = click.option(
    "--archive",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_keep,
    expose_value=False,
    metavar="FILE",
    help="Look into this archive instead of the ledger (`gateway ledger archive list` names them).",
)
"""For commands that open the home with ``looking``; their functions get no parameter of it."""


@contextmanager
def looking(ctx: click.Context) -> Iterator[App]:
    """The home, opened to look into its ledger, or into the archive that ``--archive`` names.

    Raises:
        MovedArchiveUnreadable, and what ``open_app`` raises
    """
    from gateway.app import open_app

    archive = ctx.obj.get("archive")
    if archive is None:
        with open_app(ctx.obj["home"]) as app:
            yield app
        return
    with open_app(ctx.obj["home"], archive=archive) as app:
        _say_what_was_lost(app, archive)
        yield app


def _say_what_was_lost(app: App, archive: Path) -> None:
    from gateway.cli.output import print_line
    from gateway.ledger.database import reading
    from gateway.ledger.moved_lost import lost_at

    with reading(app.home_engine) as connection:
        found = lost_at(connection, archive)
    if found is not None:
        number, said = found
        print_line(f"In this place was archive {number}: {said.words}.", err=True)
        print_line("What lies here now is told by `gateway ledger archive verify`.", err=True)
