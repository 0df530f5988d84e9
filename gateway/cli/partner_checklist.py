"""``gateway partner checklist``: what must be before a partner goes live, and where each thing stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from gateway.cli.output import json_option, moment, print_document

if TYPE_CHECKING:
    from partners.onboarding import Checklist, Item

_MARKS = {"done": "✓", "missing": "✗", "not needed": "–"}
NOT_READY = 65


@click.command(name="checklist")
@click.argument("key")
@json_option
@click.pass_context
def command(ctx: click.Context, key: str, as_json: bool) -> int:
    """Tell what a partner needs to go live.

    Each item is done, missing or not needed, with by what, and what to do next. Nothing is ticked off by hand: the
    profile and the ledger show it. Exit code 65 while something is missing.

    \b
    Examples: gateway partner checklist acme
              gateway partner checklist acme --json
    """  # noqa: D301 - click wants a real \b
    from gateway.app import open_app
    from gateway.flow.onboarding import partner_checklist

    with open_app(ctx.obj["home"]) as app:
        found = partner_checklist(app.context(), key)
    if as_json:
        print_document(found.as_dict())
    else:
        for line in checklist_lines(found):
            click.echo(line)
    return NOT_READY if found.missing else 0


def checklist_lines(found: Checklist, *, short: bool = False) -> Iterator[str]:
    """The checklist for people; ``short``: of what is done only how much."""
    yield f"Checklist of {found.partner} ({found.status.value}): {found.summary}"
    said = ""
    for each in found.items:
        if short and each.state != "missing":
            continue
        yield _item(each)
        if each.next_command not in {"", said}:
            yield f"      next: {each.next_command}"
        said = each.next_command or said


def _item(item: Item) -> str:
    by = [moment(item.since)[:10]] if item.since is not None else []
    by += [f"exchange {item.exchange}"] if item.exchange is not None else []
    return f"  {_MARKS[item.state]} {item.title}: {item.sentence}{_by(by)}"


def _by(words: list[str]) -> str:
    return f" ({', '.join(words)})" if words else ""
