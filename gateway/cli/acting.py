"""What every command of an operator shares: why and who, a dry run, JSON, and how the outcome is said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gateway.cli.output import json_option, print_line
from gateway.errors import GatewayError
from gateway.flow.why import in_words

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.app import App
    from gateway.flow.acts import Act

_Command = TypeVar("_Command", bound=Callable[..., Any] | click.Command)


def _in_words(ctx: click.Context, option: click.Parameter, value: str | None) -> str:
    words = in_words(value or "")
    if option.required and not words:
        raise click.BadParameter("a reason in words is wanted: it is kept in the ledger.", ctx, option)
    return words


def why_option(*, required: bool = True) -> Callable[[_Command], _Command]:
    """--why (or --reason), as ``reason``: without blanks around it, and where it is required not blank."""
    told = "Why; kept in the ledger with your name."
    return click.option("--why", "--reason", "reason", required=required, callback=_in_words, help=told)


_by = click.option("--by", metavar="NAME", help="Who does this (default: your login name).")
_dry_run = click.option("--dry-run", is_flag=True, help="Check and tell what would become of it; change nothing.")


def act_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--why (or --reason), --by, --dry-run and --json, as ``reason``, ``by``, ``dry_run`` and ``as_json``."""
    return reduce(lambda decorated, option: option(decorated), (json_option, _dry_run, _by, why_option()), function)


def each_act(
    home: Path,
    references: Iterable[object],
    act: Callable[[App, Any], Act],
    *,
    by: str | None,
    dry_run: bool,
    as_json: bool,
    what: str = "",
) -> int:
    """Opens the home and acts on one after the other, saying what became of each; what fails does not stop the others.

    Returns the gravest exit code.
    """
    from gateway.app import open_app

    code = 0
    with open_app(home, lock=True, actor=by) as app:
        for reference in references:
            try:
                say(act(app, reference), dry_run=dry_run, as_json=as_json, what=what)
            except GatewayError as fault:
                if not fault.permanent:
                    raise
                code = max(code, fault.exit_code)
                say_fault(reference, fault, as_json=as_json, what=what)
    return code


def say(act: Act, *, dry_run: bool, as_json: bool, what: str = "") -> None:
    """One line: what became of it."""
    if as_json:
        click.echo(json.dumps(act.as_dict() | {"dry_run": dry_run}, ensure_ascii=False))
        return
    would = " (dry run: nothing was changed)" if dry_run and act.done else ""
    print_line(f"{what}{act.reference}: {act.sentence}{would}")


def say_fault(reference: object, fault: GatewayError, *, as_json: bool, what: str = "") -> None:
    """One line in JSON on stdout, or three for people on stderr."""
    if as_json:
        click.echo(json.dumps({"reference": str(reference), "error": fault.as_dict()}, ensure_ascii=False))
        return
    for line in (f"{what}{reference}: {fault}", f"  what to do: {fault.next_step}", f"  code: {fault.code}"):
        print_line(line, err=True)
