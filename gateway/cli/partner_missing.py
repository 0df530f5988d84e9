"""`gateway partner numbers` and `gateway partner expected`: what should have come from a partner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from gateway.cli.acting import act_options, each_act, say
from gateway.cli.output import json_option, moment, print_document, print_rows
from gateway.errors import NotFound

if TYPE_CHECKING:
    from gateway.ledger.missing import Arrival, Gap, SeriesRow

_SERIES = ("level", "theirs", "ours", "came", "lowest", "highest", "epoch", "began", "reason")
_GAPS = ("finding", "at", "what", "shown_by", "told", "closed", "why")
_FILES = ("file", "rule", "agreement", "opens", "due", "state", "exchange", "arrived")


class _ShowsByDefault(click.Group):
    """A group whose first word may be a partner's key: then it is shown."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is named, or ``show``."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["show", *args]
        return super().resolve_command(ctx, args)


# ---------------------------------------------------------------- numbers


@click.group(name="numbers", cls=_ShowsByDefault)
def numbers() -> None:
    """The control numbers that a partner used: what is missing, and what a person says about it.

    The word show may be left out. What is missing is told after the time that the profile gives it
    (gap_grace), and closes by itself when it comes.
    """


@numbers.command(name="show")
@click.argument("key")
@click.option("--all", "everything", is_flag=True, help="Also findings that are closed.")
@json_option
@click.pass_context
def show_numbers(ctx: click.Context, key: str, everything: bool, as_json: bool) -> None:
    """Show a partner's series of numbers, and what is missing in them."""
    from gateway.app import open_app
    from gateway.ledger.missing import gaps_of, series_of, told_with

    with open_app(ctx.obj["home"]) as app:
        app.partners.get(key)
        with app.ledger.reading() as connection:
            series, gaps = series_of(connection, key), gaps_of(connection, key, everything=everything)
    if as_json:
        print_document({"series": [each.as_dict() for each in series], "findings": [each.as_dict() for each in gaps]})
        return
    print_rows([_series_row(each) for each in series], _SERIES, as_json=False, empty=f"Nothing came from {key} yet.")
    beside = told_with(gaps)
    print_rows(
        [_gap_row(each, beside.get(each.id)) for each in gaps], _GAPS, as_json=False, empty="Nothing is missing."
    )
    if any(each.closed_at is None for each in gaps):
        click.echo("What is explained is closed with: gateway partner numbers close FINDING --why …", err=True)


def _series_row(series: SeriesRow) -> dict[str, object]:
    return {name: getattr(series, name) for name in _SERIES} | {"began": moment(series.began)}


def _gap_row(gap: Gap, beside: int | None) -> dict[str, object]:
    silent = f"with g{beside}" if beside else "not yet: it may come in time"
    return {
        "finding": f"g{gap.id}",
        "at": moment(gap.at),
        "what": gap.what,
        "shown_by": gap.exchange,
        "told": moment(gap.raised_at) or ("" if gap.closed_at else silent),
        "closed": moment(gap.closed_at),
        "why": f"{gap.closed_by}: {gap.reason}" if gap.reason else gap.closed_by,
    }


@numbers.command(name="close")
@click.argument("findings", nargs=-1, required=True)
@act_options
@click.pass_context
def close(
    ctx: click.Context, findings: Sequence[str], reason: str, by: str | None, dry_run: bool, as_json: bool
) -> int:
    """Say why numbers are missing, or went back: they need nobody's attention any more.

    Example: gateway partner numbers close g5 --why "never sent, says Ms Berg"
    """
    from gateway.flow import gaps

    return each_act(
        ctx.obj["home"],
        findings,
        lambda app, each: gaps.close(
            app.context(), _number(each, "g", "finding about numbers"), actor=app.actor, reason=reason, dry_run=dry_run
        ),
        by=by,
        dry_run=dry_run,
        as_json=as_json,
    )


@numbers.command(name="reset")
@click.argument("key")
@click.option("--from", "first", type=click.IntRange(1, 999_999_999), required=True, help="The first number.")
@click.option("--groups", is_flag=True, help="The numbers of groups (GS06) instead of those of interchanges (ISA13).")
@act_options
@click.pass_context
def reset(
    ctx: click.Context,
    key: str,
    first: int,
    groups: bool,
    reason: str,
    by: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """The partner told us that its numbers begin anew: numbers that it used before may come again from now on.

    The same bytes again stay a duplicate.

    Example: gateway partner numbers reset acme --from 1 --why "new system, says Ms Berg"
    """
    from gateway.app import open_app
    from gateway.flow import gaps

    with open_app(ctx.obj["home"], lock=True, actor=by) as app:
        app.partners.get(key)
        context = app.context()
        for act in gaps.reset(context, key, first, groups=groups, actor=app.actor, reason=reason, dry_run=dry_run):
            say(act, dry_run=dry_run, as_json=as_json)
    return 0


def _number(reference: str, letter: str, what: str) -> int:
    digits = reference.removeprefix(letter)
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise NotFound(what=what, key=reference)
    return int(digits)


# ---------------------------------------------------------------- expected files


@click.group(name="expected", cls=_ShowsByDefault)
def expected() -> None:
    """The files that a partner is expected to send by an hour: whether they came.

    The word show may be left out. The profile's [[expected]] tables say which.
    """


@expected.command(name="show")
@click.argument("key")
@click.option("--limit", type=click.IntRange(1, 10_000), default=30, show_default=True, help="At most so many.")
@json_option
@click.pass_context
def show_expected(ctx: click.Context, key: str, limit: int, as_json: bool) -> None:
    """Show the files that were and are expected, the newest first: came, came late, missed, expected, settled."""
    from gateway.app import open_app
    from gateway.ledger.missing import arrivals_of

    with open_app(ctx.obj["home"]) as app:
        app.partners.get(key)
        with app.ledger.reading() as connection:
            found = arrivals_of(connection, key, limit)
    rows = [each.as_dict() if as_json else _file_row(each) for each in found]
    print_rows(rows, _FILES, as_json=as_json, empty=f"No file was expected of {key} yet.")


def _file_row(arrival: Arrival) -> dict[str, object]:
    return {
        "file": f"e{arrival.id}",
        "rule": arrival.rule,
        "agreement": arrival.agreement,
        "opens": moment(arrival.opens_at),
        "due": moment(arrival.due_at),
        "state": arrival.state,
        "exchange": arrival.exchange,
        "arrived": moment(arrival.arrived_at),
    }


@expected.command(name="settle")
@click.argument("files", nargs=-1, required=True)
@act_options
@click.pass_context
def settle(ctx: click.Context, files: Sequence[str], reason: str, by: str | None, dry_run: bool, as_json: bool) -> int:
    """Say that a file need not come any more; one that is not due yet need not come at all.

    Example: gateway partner expected settle e6 --why "no orders before the holidays"
    """
    from gateway.flow import arrivals

    return each_act(
        ctx.obj["home"],
        files,
        lambda app, each: arrivals.settle(
            app.context(), _number(each, "e", "expected file"), actor=app.actor, reason=reason, dry_run=dry_run
        ),
        by=by,
        dry_run=dry_run,
        as_json=as_json,
    )
