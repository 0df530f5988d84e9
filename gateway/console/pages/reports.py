"""Reports: a month of all partners or of one, chosen by links; statements as HTML and PDF."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import urlencode

from msgspec.structs import replace
from sqlalchemy import select
from starlette.responses import HTMLResponse, Response

from gateway.console.pages.report_tables import MOST_ROWS, REPORTS, Asked, Report
from gateway.console.routing import view
from gateway.console.visit import Visit
from gateway.errors import NotFound, UnknownPartner
from gateway.ledger.export import csv_line
from gateway.ledger.moments import at_zone
from gateway.ledger.reports import statement as statements
from gateway.ledger.reports.html import as_html, policy
from gateway.ledger.reports.layout import page as laid_out
from gateway.ledger.reports.page import Page
from gateway.ledger.reports.pdf import as_pdf
from gateway.ledger.reports.scope import Scope, parse_scope
from gateway.ledger.tables import exchange

_MONTHS = 24  # that are a link
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)
_LISTED = 200  # exchanges of a statement


def reports(visit: Visit) -> Response:
    """One report of one month."""
    app = visit.app
    name, month, partner, asked = _asked(visit)
    with app.ledger.reading() as connection:
        first = connection.execute(select(exchange.c.at).order_by(exchange.c.at).limit(1)).scalar()
        report = REPORTS[name](connection, asked)
    if visit.asked("form") == "csv":
        return _csv(report, f"{name}-{month}{f'-{partner}' if partner else ''}.csv")
    return visit.page(
        "reports.html",
        report=report,
        shown=report.rows[:MOST_ROWS],
        name=name,
        names=list(REPORTS),
        month=month,
        months=_months(first, asked.now),
        partner=partner,
        partners=sorted(each.key for each in app.partners.heads()),
        zone=asked.scope.zone_name,
        link=lambda **changed: _link({"report": name, "month": month, "partner": partner} | changed),
    )


def statement(visit: Visit) -> Response:
    """A partner's month, as the file that is mailed to it: HTML or PDF."""
    key, file = visit.part("key"), visit.part("file")
    month, _, form = file.rpartition(".")
    if form not in {"html", "pdf"} or not _MONTH.fullmatch(month):
        raise NotFound(what="statement", key=file)
    told = _statement(visit, key, month)
    how = "inline" if form == "html" else "attachment"
    named = {"Content-Disposition": f'{how}; filename="{_safe(f"{key}-{file}")}"'}
    if form == "pdf":
        return Response(as_pdf(told), media_type="application/pdf", headers=named)
    return HTMLResponse(as_html(told), headers=named | {"Content-Security-Policy": policy()})


def _statement(visit: Visit, key: str, month: str) -> Page:
    """The statement as `gateway ledger report statement` makes it.

    Raises:
        UnknownPartner: nobody has that key, and nothing was exchanged under it.
    """
    app = visit.app
    now = app.now()
    names = {each.key: each.name for each in app.partners.current()}
    scope = _scope(month, now)
    with app.ledger.reading() as connection:
        charged = statements.charges_for_statements(connection, scope, app.settings.tariff)
        told = statements.statement(
            connection,
            replace(scope, partner=key),
            now,
            name=names.get(key, ""),
            our_name=app.settings.name,
            charged=charged,
            most=_LISTED,
        )
    if key not in names and not told.by_type.rows:
        raise UnknownPartner(partner=key)
    return laid_out(told)


def _asked(visit: Visit) -> tuple[str, str, str, Asked]:
    """Which report, of which month and partner; what is not understood is the month that is now, of everybody."""
    now = visit.app.now()
    name = visit.asked("report") if visit.asked("report") in REPORTS else "volumes"
    month = visit.asked("month")
    if not _MONTH.fullmatch(month):
        month = f"{at_zone(now, None):%Y-%m}"
    partner = visit.asked("partner").strip()
    scope = _scope(month, now)
    if partner:
        scope = replace(scope, partner=partner)
    return name, month, partner, Asked(scope, now, visit.app.settings.tariff)


def _scope(month: str, now: int) -> Scope:
    """The month of the machine's zone, as the command line takes it."""
    return parse_scope([f"on={month}"], datetime.fromtimestamp(now / 1000, UTC))


def _months(first: int | None, now: int) -> list[str]:
    """The months from the first exchange to now, the newest first, no more than are shown."""
    last, begun = at_zone(now, None), at_zone(now if first is None else first, None)
    newest, oldest = last.year * 12 + last.month - 1, begun.year * 12 + begun.month - 1
    numbers = range(newest, max(oldest, newest - _MONTHS + 1) - 1, -1)
    return [f"{number // 12}-{number % 12 + 1:02}" for number in numbers]


def _link(parameters: dict[str, str]) -> str:
    return f"/reports?{urlencode({name: value for name, value in parameters.items() if value})}"


def _csv(report: Report, name: str) -> Response:
    """The whole table; numbers without what sets their thousands apart."""
    plain = (
        [cell if at in report.texts else cell.replace(",", "") for at, cell in enumerate(row)] for row in report.rows
    )
    lines = [csv_line(report.columns), *map(csv_line, plain)]
    headers = {"Content-Disposition": f'attachment; filename="{_safe(name)}"'}
    return Response("".join(lines), media_type="text/csv; charset=utf-8", headers=headers)


def _safe(name: str) -> str:
    """A name of a file that every browser takes as it is."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


PAGES = (
    view("/reports", reports),
    view("/reports/statements/{key}/{file}", statement),
)
