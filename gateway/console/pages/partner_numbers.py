"""The control numbers that a partner used, what is missing in them, and the files that were expected of it."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response

from gateway.app import App
from gateway.console.pages.partner import path_of
from gateway.console.people import Role
from gateway.console.routing import act, view
from gateway.console.saying import SAY_WHY, reason
from gateway.console.visit import Visit
from gateway.errors import NotFound
from gateway.flow import arrivals, gaps
from gateway.flow.acts import Act
from gateway.flow.start_numbers import standing_numbers
from gateway.ledger.missing import arrivals_of, gaps_of, series_of

_SHOWN = 200  # findings, and files


def numbers(visit: Visit) -> Response:
    """Series, findings about them, expected files."""
    app, key = visit.app, visit.part("key")
    one = app.partners.get(key)
    everything = visit.asked("all") == "1"
    with app.ledger.reading() as connection:
        series = series_of(connection, key)
        found = gaps_of(connection, key, everything=everything)
        files = arrivals_of(connection, key, _SHOWN)
    return visit.page(
        "partner_numbers.html",
        tab="numbers",
        partner=one,
        series=series,
        gaps=found[-_SHOWN:][::-1],
        left_out=max(0, len(found) - _SHOWN),
        everything=everything,
        files=files,
        ours=standing_numbers(app.ledger, app.directory(), key),
        now=app.now(),
    )


def close(visit: Visit) -> Response:
    """Somebody says why numbers are missing, or went back."""
    return _done(
        visit, "finding about numbers", lambda app, number, why: gaps.close(
            app.context(), number, actor=app.actor, reason=why
        )
    )  # fmt: skip


def settle(visit: Visit) -> Response:
    """Somebody says that a file need not come any more."""
    return _done(
        visit, "expected file", lambda app, number, why: arrivals.settle(
            app.context(), number, actor=app.actor, reason=why
        )
    )  # fmt: skip


def _done(visit: Visit, what: str, work: Callable[[App, int, str], Act]) -> Response:
    page = path_of(visit.part("key"), "/numbers")
    written = visit.part("number")
    why = reason(visit.form)
    if not (written.isascii() and written.isdigit() and len(written) < 19):
        raise NotFound(what=what, key=written)
    if not why:
        return visit.to(page, SAY_WHY)
    with visit.site.acting(visit.user.name) as app:
        app.partners.get(visit.part("key"))
        done = work(app, int(written), why)
    return visit.to(page, f"{done.reference}: {done.sentence}")


PAGES = (
    view("/partners/{key}/numbers", numbers),
    act("/partners/{key}/gaps/{number}", close, Role.OPERATOR),
    act("/partners/{key}/expected/{number}", settle, Role.OPERATOR),
)
