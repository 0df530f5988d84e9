"""A partner's traffic and its quality: pictures, verdicts, the commonest errors, times to acknowledgment."""

from __future__ import annotations

from starlette.responses import Response

from gateway.console.pictures import traffic
from gateway.console.routing import view
from gateway.console.visit import Visit
from gateway.ledger.daily import DAY
from gateway.ledger.reports.answers import answers
from gateway.ledger.reports.mistakes import mistakes
from gateway.ledger.reports.quality import quality
from gateway.ledger.reports.scope import Scope
from gateway.ledger.reports.volumes import volumes

SPANS = (30, 90)


def partner_traffic(visit: Visit) -> Response:
    """The last 30 or 90 days (UTC) of one partner."""
    app, key = visit.app, visit.part("key")
    one = app.partners.get(key)
    now = app.now()
    days = 90 if visit.asked("days") == "90" else 30
    scope = Scope((now // DAY - days + 1) * DAY, (now // DAY + 1) * DAY, partner=key)
    with app.ledger.reading() as connection:
        picture = traffic(connection, now, days, key)
        volume = volumes(connection, scope, ("direction", "type"))
        verdicts = quality(connection, scope, ("direction",))
        times = answers(connection, scope, now, ("direction",))
        errors = mistakes(connection, scope, 10)
    return visit.page(
        "partner_traffic.html",
        tab="traffic",
        partner=one,
        days=days,
        spans=SPANS,
        traffic=picture,
        volume=volume,
        verdicts=verdicts,
        times=times,
        errors=errors,
    )


PAGES = (view("/partners/{key}/traffic", partner_traffic),)
