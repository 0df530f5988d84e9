"""``--archive FILE``: a command that looks into the ledger looks into an archive that was moved out instead."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
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


def looking(ctx: click.Context) -> AbstractContextManager[App]:
    """The home, opened to look into its ledger, or into the archive that ``--archive`` names.

    Raises:
        MovedArchiveUnreadable, and what ``open_app`` raises
    """
    from gateway.app import open_app

    archive = ctx.obj.get("archive")
    return open_app(ctx.obj["home"]) if archive is None else open_app(ctx.obj["home"], archive=archive)
