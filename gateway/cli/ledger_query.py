"""``gateway ledger query``: queries with a name, asked as @NAME."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from gateway.cli.output import json_option, moment, print_document, print_rows
from gateway.cli.query_words import SETTINGS, said

if TYPE_CHECKING:
    from gateway.ledger.saved import SavedQuery

_COLUMNS = ("name", "words", "saved", "by")
_by = click.option("--by", metavar="NAME", help="Who does this (default: your login name).")
_dry_run = click.option("--dry-run", is_flag=True, help="Check and tell what would become of it; change nothing.")


@click.group("query")
def query() -> None:
    """Saved queries: save, list, show, delete. `gateway ledger search @NAME` asks one."""


@query.command("save", context_settings=SETTINGS)
@click.argument("name")
@click.argument("words", nargs=-1, required=True)
@click.option("--replace", is_flag=True, help="In the place of the query that has this name.")
@_by
@_dry_run
@json_option
@click.pass_context
def save(
    ctx: click.Context, name: str, words: tuple[str, ...], replace: bool, by: str | None, dry_run: bool, as_json: bool
) -> None:
    """Save the words of a query under a name, for everybody who uses this ledger.

    Times stay as they are written: since=7d is the last seven days whenever it is asked.

    \b
    gateway ledger query save open-orders type=850,860 direction=in -state=delivered since=30d
    gateway ledger search @open-orders partner=acme
    """  # noqa: D301 - click wants the character itself: \b keeps the lines below it as they are
    from gateway.app import open_app
    from gateway.flow.acts import acting
    from gateway.ledger import saved

    asked = said(ctx, words, {})
    with open_app(ctx.obj["home"], actor=by) as app, acting(app.context(), app.actor, dry_run=dry_run) as recorder:
        done = saved.save(recorder, name, asked, replace=replace)
    _tell(done, "saved", dry_run=dry_run, as_json=as_json)


@query.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Show the saved queries: their names and words, who saved them and when."""
    from gateway.app import open_app
    from gateway.ledger import saved

    with open_app(ctx.obj["home"]) as app, app.ledger.reading() as connection:
        found = saved.every(connection)
    rows = [each.as_dict() if as_json else _row(each) for each in found]
    print_rows(rows, _COLUMNS, as_json=as_json, empty="No query is saved.")


@query.command("show")
@click.argument("name")
@json_option
@click.pass_context
def show(ctx: click.Context, name: str, as_json: bool) -> None:
    """Show one saved query: its words on one line, as `gateway ledger search` takes them."""
    from gateway.app import open_app
    from gateway.ledger import saved

    with open_app(ctx.obj["home"]) as app, app.ledger.reading() as connection:
        found = saved.wanted(connection, name.removeprefix("@"))
    if as_json:
        print_document(found.as_dict())
    else:
        click.echo(shlex.join(found.words))


@query.command("delete")
@click.argument("name")
@_by
@_dry_run
@json_option
@click.pass_context
def delete(ctx: click.Context, name: str, by: str | None, dry_run: bool, as_json: bool) -> None:
    """Delete a saved query. Its words stay in the ledger's history."""
    from gateway.app import open_app
    from gateway.flow.acts import acting
    from gateway.ledger import saved

    with open_app(ctx.obj["home"], actor=by) as app, acting(app.context(), app.actor, dry_run=dry_run) as recorder:
        done = saved.remove(recorder, name.removeprefix("@"))
    _tell(done, "deleted", dry_run=dry_run, as_json=as_json)


def _tell(done: SavedQuery, what: str, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_document(done.as_dict() | {"done": what, "dry_run": dry_run})
        return
    note = " (dry run: nothing was changed)" if dry_run else ""
    click.echo(f"@{done.name} {what}: {shlex.join(done.words)}{note}")


def _row(each: SavedQuery) -> dict[str, object]:
    from gateway.ledger.events import one_line

    words = one_line(shlex.join(each.words))
    return {"name": f"@{each.name}", "words": words, "saved": moment(each.at), "by": each.actor}
