"""``gateway ledger report statement``: a partner's month as HTML, PDF or JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click
from msgspec.structs import replace

from gateway.cli.looking import archive_option, looking
from gateway.cli.output import json_option, print_document
from gateway.words import count as numbered

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.app import App
    from gateway.ledger.reports.scope import Scope
    from gateway.ledger.reports.statement import Statement

_path = click.Path(path_type=Path)


@click.command("statement")
@click.argument("partner", required=False)
@click.option("--all", "everybody", is_flag=True, help="One of each partner with traffic then, in a directory.")
@click.option("--month", metavar="YYYY-MM", help="The month (default: the last that is over).")
@click.option("--to", "target", type=_path, help="The file, ending in .html or .pdf; with --all the directory.")
@click.option("--format", "form", type=click.Choice(["html", "pdf"]), default="html", help="Of the files of --all.")
@click.option("--zone", help="The time zone of the month, as America/Chicago (default: the local one).")
@click.option("--most", type=click.IntRange(0, 100_000), default=200, show_default=True, help="Exchanges to list.")
@click.option("--without-charges", is_flag=True, help="Leave out what a VAN would have charged.")
@click.option("--paper", type=click.Choice(["letter", "a4"]), default="letter", show_default=True, help="Of a PDF.")
@click.option(
    "--font",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A TrueType font for a PDF, where names need letters that Helvetica lacks.",
)
@archive_option
@json_option
@click.pass_context
def statement(
    ctx: click.Context,
    partner: str | None,
    everybody: bool,
    month: str | None,
    target: Path | None,
    form: str,
    zone: str | None,
    most: int,
    without_charges: bool,
    paper: str,
    font: Path | None,
    as_json: bool,
) -> int:
    """A partner's monthly statement: traffic, acceptance, times, errors, open items, documents, charges.

    HTML is one file without scripts that can be mailed, read and printed; PDF says the same and needs the package
    reportlab (pip install 'edi-gateway[pdf]'). Charges are in it where gateway.toml has a [tariff].

    \b
    gateway ledger report statement acme --month 2026-10 --to acme-2026-10.html
    gateway ledger report statement --all --month 2026-10 --to statements --format pdf
    gateway ledger report statement acme --json
    """  # noqa: D301 - click wants the character itself: \b keeps the lines below it as they are
    _check(partner, target, everybody=everybody, as_json=as_json)
    with looking(ctx) as app, app.ledger.reading() as connection:
        scope = _month(month, zone, app.now())
        tell = _teller(app, connection, scope, most=most, without_charges=without_charges)
        if everybody:
            assert target is not None, "checked"
            return _write_all(connection, scope, tell, _renderer(form, paper, font), target, form)
        told = tell(str(partner))
    if as_json:
        print_document(told.as_dict())
        return 0
    assert target is not None, "checked"
    _write(target, _renderer(target.suffix.lower().removeprefix("."), paper, font)(told))
    click.echo(f"written to {target}", err=True)
    return 0


def _check(partner: str | None, target: Path | None, *, everybody: bool, as_json: bool) -> None:
    """What options and arguments must go together."""
    from gateway.errors import UsageFault

    if (partner is None) != everybody:
        raise UsageFault(reason="name one partner, or ask for --all")
    if everybody and (target is None or as_json):
        raise UsageFault(reason="--all writes files: name a directory with --to, and leave --json out")
    if not everybody and not as_json and (target is None or target.suffix.lower() not in {".html", ".pdf"}):
        raise UsageFault(reason="name a file that ends in .html or .pdf with --to, or ask for --json")


def _month(month: str | None, zone: str | None, now: int) -> Scope:
    """The month that is meant, as the scope of all partners."""
    from gateway.errors import UsageFault
    from gateway.ledger.moments import at_zone
    from gateway.ledger.reports.scope import month_of, parse_scope

    words = [f"zone={zone}"] if zone else []
    moment = datetime.fromtimestamp(now / 1000, UTC)
    if month is None:
        current = parse_scope(words, moment)
        before = month_of(at_zone(current.since - 1, current.zone), current.zone)
        return replace(current, since=before[0], until=before[1])
    found = parse_scope([*words, f"on={month}"], moment)
    if month_of(at_zone(found.since, found.zone), found.zone) != (found.since, found.until):
        raise UsageFault(reason=f"{month} is no month; write for example 2026-10")
    return found


def _teller(
    app: App, connection: Connection, scope: Scope, *, most: int, without_charges: bool
) -> Callable[[str], Statement]:
    """What makes the statement of a partner; what is charged is counted once for all of them."""
    from gateway.errors import UnknownPartner
    from gateway.ledger.reports import statement as statements

    names = {each.key: each.name for each in app.partners.current()}
    tariff = None if without_charges else app.settings.tariff
    charged = statements.charges_for_statements(connection, scope, tariff)
    now = app.now()

    def tell(key: str) -> Statement:
        theirs = replace(scope, partner=key)
        options: dict[str, Any] = {"our_name": app.settings.name, "charged": charged, "most": most}
        told = statements.statement(connection, theirs, now, name=names.get(key, ""), **options)
        if key not in names and not told.by_type.rows:
            raise UnknownPartner(partner=key)
        return told

    return tell


def _renderer(form: str, paper: str, font: Path | None) -> Callable[[Statement], bytes]:
    from gateway.ledger.reports.layout import page

    if form == "pdf":
        from gateway.ledger.reports.pdf import as_pdf

        return lambda told: as_pdf(page(told), paper, font)
    from gateway.ledger.reports.html import as_html

    return lambda told: as_html(page(told)).encode()


def _write_all(
    connection: Connection,
    scope: Scope,
    tell: Callable[[str], Statement],
    render: Callable[[Statement], bytes],
    directory: Path,
    form: str,
) -> int:
    from gateway.errors import UsageFault
    from gateway.ledger.reports.statement import partners_with_traffic

    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise UsageFault(reason=f"{directory} cannot be made: {problem.strerror}") from problem
    count = 0
    for key in partners_with_traffic(connection, scope):
        told = tell(key)
        # A key is ours, but an old ledger may hold any: it is a name of a file, never a path.
        _write(directory / f"{quote(key, safe='')}-{told.month}.{form}", render(told))
        count += 1
    click.echo(f"{numbered(count, 'statement')} written to {directory}", err=True)
    return 0


def _write(target: Path, data: bytes) -> None:
    from gateway.cli.whole_file import written_whole

    written_whole(target, lambda unfinished: unfinished.write_bytes(data))
