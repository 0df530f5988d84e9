"""``gateway ledger report``: volumes, quality, acknowledgments, charges; the statement is a module of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.ledger_statement import statement
from gateway.cli.looking import archive_option, looking
from gateway.cli.output import json_option, print_document, print_rows, print_text
from gateway.cli.query_words import with_saved

if TYPE_CHECKING:
    from gateway.app import App
    from gateway.ledger.reports.scope import Scope

_OPTIONS = (
    ("partner", "The partner's key."),
    ("direction", "in or out."),
    ("type", "A transaction set, as 850."),
    ("since", "From this time on: 2026-11-22, 2026-11, 7d."),
    ("until", "Up to this time (a day, month or year is included)."),
    ("on", "On this day, in this month or year; the month that is now where no time is given."),
    ("zone", "The time zone of days, months and hours, as America/Chicago (default: the local one)."),
)
Row = Mapping[str, object]


@click.group("report")
def report() -> None:
    """What the ledger tells in sums: volumes, quality, acknowledgments, charges, and partners' monthly statements."""


report.add_command(statement)


def _scoped(function: Callable[..., Any]) -> Callable[..., Any]:
    """The words of a scope as arguments, and an option for each."""
    for name, text in reversed(_OPTIONS):
        function = click.option(f"--{name}", f"with_{name}", metavar="VALUE", help=text)(function)
    csv = click.option("--csv", "as_csv", is_flag=True, help="Print CSV that no spreadsheet takes for formulas.")
    decorated: Callable[..., Any] = click.argument("words", nargs=-1)(csv(archive_option(json_option(function))))
    return decorated


def _scope(app: App, words: Sequence[str], given: Mapping[str, Any], now: int) -> Scope:
    from gateway.ledger.reports.scope import parse_scope

    said = [f"{name}={value}" for name, _ in _OPTIONS if (value := given.get(f"with_{name}"))]
    return parse_scope(with_saved(app, [*words, *said]), datetime.fromtimestamp(now / 1000, UTC))


def _by(written: str) -> list[str]:
    return [each.strip() for each in written.split(",") if each.strip()]


@report.command("volumes")
@_scoped
@click.option("--by", default="partner,direction", show_default=True, metavar="LIST", help="How lines are made.")
@click.pass_context
def volumes(ctx: click.Context, /, words: tuple[str, ...], by: str, as_csv: bool, as_json: bool, **given: Any) -> int:
    """How many interchanges, transaction sets and kilocharacters there were.

    WORDS are criteria as in `gateway ledger search`: partner direction kind type usage since until on zone.
    LIST is some of month, day, hour, partner, direction, kind, usage, type, with commas.

    An interchange with several types is counted under all of them together ("850 860"), its sets under their own.

    \b
    gateway ledger report volumes on=2026-10
    gateway ledger report volumes on=2026-10 --by day,partner --zone America/Chicago --csv
    gateway ledger report volumes partner=acme since=2026-01 --by month,type
    gateway ledger report volumes on=yesterday --by hour
    """  # noqa: D301 - click wants the character itself: \b keeps the lines below it as they are
    from gateway.ledger.reports.volumes import volumes as find

    with looking(ctx) as app, app.ledger.reading() as connection:
        found = find(connection, _scope(app, words, given, app.now()), _by(by))
    if as_json:
        print_document(found.as_dict())
        return 0
    columns = (*found.by, "interchanges", "sets", "kilocharacters")
    if as_csv:
        _print_csv((each.as_dict() for each in found.rows), (*found.by, "interchanges", "sets", "bytes"))
        return 0
    rows: list[Row] = [each.as_dict() | {"kilocharacters": f"{each.kilocharacters:.1f}"} for each in found.rows]
    if len(rows) > 1 and found.by:
        whole = found.total
        rows.append(whole.as_dict() | {found.by[0]: "total", "kilocharacters": f"{whole.kilocharacters:.1f}"})
    _print_table(rows, columns)
    return 0


@report.command("quality")
@_scoped
@click.option("--by", default="partner,direction", show_default=True, metavar="LIST", help="How lines are made.")
@click.option("--errors", "only_errors", is_flag=True, help="Only the errors, without the verdicts.")
@click.option("--most", type=click.IntRange(1, 1000), default=10, show_default=True, help="Errors of each partner.")
@click.pass_context
def quality(
    ctx: click.Context,
    /,
    words: tuple[str, ...],
    by: str,
    only_errors: bool,
    most: int,
    as_csv: bool,
    as_json: bool,
    **given: Any,
) -> int:
    """What share of documents was accepted and rejected, and the commonest errors.

    Of what came in the verdict is ours, of what went out it is the partner's. LIST is some of partner, direction,
    type. CSV holds the verdicts, or with --errors the errors. A sentence is told without the value that it quotes.

    \b
    gateway ledger report quality on=2026-10
    gateway ledger report quality partner=acme direction=in since=90d --errors
    """  # noqa: D301 - as above
    from gateway.ledger.reports.mistakes import mistakes
    from gateway.ledger.reports.quality import quality as find

    with looking(ctx) as app, app.ledger.reading() as connection:
        scope = _scope(app, words, given, app.now())
        verdicts = [] if only_errors else [each.as_dict() for each in find(connection, scope, _by(by))]
        errors = [each.as_dict() for each in mistakes(connection, scope, most)]
    if as_json:
        print_document(scope.as_dict() | ({} if only_errors else {"verdicts": verdicts}) | {"errors": errors})
        return 0
    columns = ("partner", "direction", "count", "exchanges", "example", "code", "x12", "segment", "element", "sentence")
    lines = [_verdict_line(each) for each in verdicts]
    if as_csv:
        _print_csv(errors if only_errors else lines, columns if only_errors else (*_by(by), *_VERDICT_COLUMNS))
        return 0
    if not only_errors:
        _print_table(lines, (*_by(by), *_VERDICT_COLUMNS))
    if errors:
        click.echo("The commonest errors:", err=True)
    _print_table(errors, columns, empty="No errors were found." if only_errors or verdicts else "")
    return 0


_VERDICT_COLUMNS = (
    *("judged", "accepted", "with_errors", "partially", "rejected", "acceptance", "rejection"),
    *("duplicate", "held", "open", "sets_judged", "sets_rejected", "sets_acceptance"),
)


def _verdict_line(told: Mapping[str, Any]) -> Row:
    """Interchanges and sets of one line beside each other."""
    line = {name: value for name, value in told.items() if name not in {"interchanges", "sets"}}
    whole, sets = told["interchanges"], told["sets"]
    names = ("accepted", "accepted_with_errors", "partially_accepted", "rejected")
    line |= {"judged": sum(whole[name] for name in names), "sets_judged": sum(sets[name] for name in names)}
    line |= {"accepted": whole["accepted"], "with_errors": whole["accepted_with_errors"]}
    line |= {"partially": whole["partially_accepted"], "rejected": whole["rejected"], "sets_rejected": sets["rejected"]}
    line |= {name: whole[name] for name in ("duplicate", "held", "open")}
    line |= {"acceptance": _share(whole["acceptance"]), "rejection": _share(whole["rejection"])}
    return line | {"sets_acceptance": _share(sets["acceptance"])}


@report.command("acknowledgments")
@_scoped
@click.option("--by", default="partner,direction,type", show_default=True, metavar="LIST", help="How lines are made.")
@click.pass_context
def acknowledgments(
    ctx: click.Context, /, words: tuple[str, ...], by: str, as_csv: bool, as_json: bool, **given: Any
) -> int:
    """How long acknowledgments took, and whether they came in time.

    Direction out: what we sent, until the partner had acknowledged all of it; in time is what was agreed. Direction
    in: what came, until our acknowledgment was handed to the SMTP host. p50, p90 and p95 are percentiles. Overdue are
    awaited still, of never nothing is awaited any more. LIST is some of partner, direction, type.

    \b
    gateway ledger report acknowledgments on=2026-10
    gateway ledger report acknowledgments direction=out since=90d --by partner
    """  # noqa: D301 - as above
    from gateway.ledger.moments import duration
    from gateway.ledger.reports.answers import answers

    with looking(ctx) as app, app.ledger.reading() as connection:
        scope = _scope(app, words, given, app.now())
        found = [each.as_dict() for each in answers(connection, scope, app.now(), _by(by))]
    if as_json:
        print_document(scope.as_dict() | {"acknowledgments": found})
        return 0
    times = ("p50", "p90", "p95", "longest")
    columns = (*dict.fromkeys([*_by(by), "direction"]), "exchanges", "answered", *times, "on_time", "late", "overdue")
    columns = (*columns, "never", "waiting", "on_time_share")
    if as_csv:
        _print_csv(found, columns)
        return 0
    spoken = [
        each
        | {name: "" if each[name] is None else duration(each[name]) for name in times}
        | {"on_time_share": _share(each["on_time_share"])}
        for each in found
    ]
    _print_table(spoken, columns)
    return 0


@report.command("charges")
@_scoped
@click.pass_context
def charges(ctx: click.Context, /, words: tuple[str, ...], as_csv: bool, as_json: bool, **given: Any) -> int:
    """What a value-added network would have charged for the same traffic, by your own rates.

    The rates stand in [tariff] in gateway.toml (docs/reports.md); without them only kilocharacters are told. WORDS
    are partner on since until zone; the window is one of whole months.

    \b
    gateway ledger report charges on=2026-10
    gateway ledger report charges since=2026-01 until=2026-10 --csv
    """  # noqa: D301 - as above
    from gateway.ledger.reports.charges import charges as find

    with looking(ctx) as app, app.ledger.reading() as connection:
        scope = _scope(app, words, given, app.now())
        found = find(connection, scope, app.settings.tariff)
        if scope.partner is not None and not any(month.partners for month in found.months):
            app.partners.get(scope.partner)  # who has no traffic is a partner nevertheless, or there is none
    if not found.currency:
        click.echo(_NO_TARIFF, err=True)
    if as_json:
        print_document(found.as_dict())
        return 0
    rows: list[dict[str, object]] = []
    for month in found.months:
        rows += [each.as_dict() for each in month.partners]
        if month.monthly_fee:
            rows.append({"month": month.month, "partner": "(monthly fee)", "total": str(month.monthly_fee)})
        if month.total is not None and not as_csv:
            rows.append({"month": month.month, "partner": "(all)", "total": f"{month.total} {found.currency}"})
    columns = ("month", "partner", "interchanges_in", "kilocharacters_in", "interchanges_out", "kilocharacters_out")
    amounts = ("traffic", "mailbox_fee", "total") if found.currency else ()
    if as_csv:
        _print_csv((each | {"currency": found.currency} for each in rows), (*columns, *amounts, "currency"))
        return 0
    _print_table(rows, (*columns, *amounts))
    return 0


_NO_TARIFF = """\
There is no tariff, so that amounts are left out. Write what your network asks into gateway.toml, for example:
  [tariff]
  currency = "USD"
  per_kilocharacter_in = "0.12"
  per_kilocharacter_out = "0.12\""""


@report.command("recount")
@click.option("--dry-run", is_flag=True, help="Only compare; ends with 1 where they differ.")
@json_option
@click.pass_context
def recount(ctx: click.Context, dry_run: bool, as_json: bool) -> int:
    """Compare the daily counts, which reports are made from, with the exchanges, and write them anew where they differ.

    They are summed as exchanges are recorded, so that they agree at every moment; this is the proof. Ten million
    exchanges take minutes, a month at a time.
    """
    from gateway.app import open_app
    from gateway.cli.reporting import counting
    from gateway.ledger import daily
    from gateway.ledger.database import writing

    with open_app(ctx.obj["home"]) as app:
        with app.ledger.reading() as connection:
            found = daily.check(connection)
        months = sorted({each.month.year * 12 + each.month.month - 1 for each in found})
        if not dry_run:
            with counting("months", len(months)) as advance:
                for month in months:
                    with writing(app.engine) as connection:
                        daily.rebuild(connection, month)
                    advance(1)
            if months:
                app.record("recounted", months=len(months), differences=len(found))
    if as_json:
        print_document({"differences": [str(each) for each in found], "rewritten": 0 if dry_run else len(months)})
        return 1 if found and dry_run else 0
    for each in found:
        click.echo(str(each))
    if not found:
        click.echo("The daily counts agree with the exchanges.", err=True)
    elif not dry_run:
        click.echo(f"Months whose counts were written anew: {len(months)}.", err=True)
    return 1 if found and dry_run else 0


# ---------------------------------------------------------------- printing


def _print_table(rows: Sequence[Row], columns: Sequence[str], empty: str = "There is nothing in that time.") -> None:
    from gateway.ledger.events import one_line

    shown = [
        {name: one_line(value) if isinstance(value, str) else value for name, value in each.items()} for each in rows
    ]
    for each in shown:
        if each.get("partner") == "":
            each["partner"] = "(strangers)"
    print_rows(shown, columns, as_json=False, empty=empty)


def _print_csv(rows: Iterable[Row], columns: Sequence[str]) -> None:
    from gateway.ledger.export import csv_line

    print_text(csv_line(columns))
    for row in rows:
        print_text(csv_line([row.get(name, "") for name in columns]))


def _share(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.1f} %"
