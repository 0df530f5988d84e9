"""Today: what needs a person, the last and the next night, the traffic, the health of mailboxes and partners."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection
from starlette.responses import Response

from gateway.console import needs
from gateway.console.pictures import traffic
from gateway.console.routing import view
from gateway.console.running import running
from gateway.console.visit import Visit
from gateway.errors import GatewayError
from gateway.flow.expiry import endings
from gateway.flow.standing import Standing, standing
from gateway.ledger import alerts, batches
from gateway.ledger.mailbox_health import mailboxes
from gateway.ledger.partner_health import health
from partners.model import Partner

_SHOWN = 25  # things that need a person on the first page; the others are a link away
_MOST = 500  # that are looked for
_TROUBLED = 12  # partners with trouble that are shown


def today(visit: Visit) -> Response:
    """The first page."""
    app = visit.app
    now = app.now()
    partners = app.partners.current()
    with app.ledger.reading() as connection:
        found = _standing(visit, partners, connection, now)
        last = batches.last_of(connection)
        standing_alerts = alerts.standing(connection)
        picture = traffic(connection, now)
        names = [each.name for each in app.settings.mailboxes]
        boxes = mailboxes(connection, names, last, standing_alerts, now)
        listed = needs.needs(found)
        per_partner = Counter(each.partner for each in listed if each.partner)
        ending = {each.name: each for each in endings(partners, app.keys.list(), now) if not each.ours}
        troubled = _troubled([each.key for each in partners], per_partner, ending)
        healths = health(connection, troubled, now)
    kind = visit.asked("kind")
    chosen = [each for each in listed if kind in {"", each.kind}]
    shown = chosen if visit.asked("all") else chosen[:_SHOWN]
    return visit.page(
        "today.html",
        needs=shown,
        more=len(chosen) - len(shown),
        total=len(listed),
        bounded=len(listed) >= _MOST,
        urgent=sum(each.urgent for each in listed),
        kinds=needs.kinds(listed),
        kind=kind,
        last=last,
        running=running(visit.site.home, app.settings.interval, last, now),
        now=now,
        traffic=picture,
        mailboxes=boxes,
        partners={each.key: each for each in partners},
        troubled=troubled,
        healths=healths,
        per_partner=per_partner,
        endings=ending,
        alerts=Counter(each.state for each in standing_alerts),
    )


def _standing(visit: Visit, partners: Sequence[Partner], connection: Connection, now: int) -> Standing:
    app = visit.app
    try:
        tokens = app.access_tokens
    except GatewayError:  # what it lacks is told by the doctor and by batches; the page is for all the rest, too
        tokens = {}
    return standing(connection, app.settings, partners, app.keys.list(), tokens, now, _MOST)


def _troubled(keys: Iterable[str], per_partner: Counter[str], ending: Mapping[str, object]) -> list[str]:
    known = [key for key in keys if key in per_partner or key in ending]
    return sorted(known, key=lambda key: -per_partner[key])[:_TROUBLED]


PAGES = (view("/", today),)
