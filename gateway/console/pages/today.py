"""Today: what needs a person, the last and the next night, the traffic, the health of mailboxes and partners."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection
from starlette.responses import Response

from gateway.console import needs
from gateway.console.needs import Need
from gateway.console.pictures import traffic
from gateway.console.routing import view
from gateway.console.running import running
from gateway.console.visit import Visit
from gateway.errors import GatewayError
from gateway.flow.expiry import endings
from gateway.flow.needs import MET
from gateway.flow.standing import Standing, standing
from gateway.ledger import alerts, batches
from gateway.ledger.attention import how_many
from gateway.ledger.mailbox_health import mailboxes
from gateway.ledger.partner_health import health
from partners.model import Partner

_SHOWN = 25  # things that need a person on the first page; the others are a link away
_MOST = 100  # of each kind of place that are looked for
_COUNTED = 1_000  # that are counted
_TROUBLED = 12  # partners with trouble that are shown


def today(visit: Visit) -> Response:
    """The first page."""
    app = visit.app
    now = app.now()
    partners = app.partners.current()
    with app.ledger.reading() as connection:
        found = _standing(visit, partners, connection, now)
        last = batches.last_of(connection)
        counted = alerts.counted(connection)
        total = how_many(connection, _COUNTED)
        picture = traffic(connection, now)
        names = [each.name for each in app.settings.mailboxes]
        boxes = mailboxes(connection, names, last, alerts.of_kinds(connection, MET), now)
        listed = needs.needs(found)
        per_partner = Counter(alerts.per_partner(connection))
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
        total=min(_COUNTED, max(total, len(listed))),
        left_out=total > len(listed),
        bounded=total > _COUNTED,
        urgent=sum(each.urgent for each in listed),
        kinds=_kinds(listed, counted, whole=total <= len(listed)),
        kind=kind,
        last=last,
        running=running(app, last, now),
        now=now,
        traffic=picture,
        mailboxes=boxes,
        partners={each.key: each for each in partners},
        troubled=troubled,
        healths=healths,
        per_partner=per_partner,
        endings=ending,
        alerts=sum(count for (state, _), count in counted.items() if state != alerts.MUTED),
    )


def _standing(visit: Visit, partners: Sequence[Partner], connection: Connection, now: int) -> Standing:
    app = visit.app
    try:
        tokens = app.access_tokens
    except GatewayError:  # what it lacks is told by the doctor and by batches; the page is for all the rest, too
        tokens = {}
    return standing(connection, app.settings, partners, app.keys.list(), tokens, now, _MOST)


def _kinds(listed: Sequence[Need], counted: Mapping[tuple[str, str], int], *, whole: bool) -> list[tuple[str, int]]:
    """How many there are of each kind: as listed, or, where not all are, as batches raised alerts of them."""
    found = dict(needs.kinds(listed))
    if not whole:
        for (_, kind), count in counted.items():
            found[kind] = max(found.get(kind, 0), count)
    return needs.in_order(found)


def _troubled(keys: Iterable[str], per_partner: Counter[str], ending: Mapping[str, object]) -> list[str]:
    known = [key for key in keys if key in per_partner or key in ending]
    return sorted(known, key=lambda key: -per_partner[key])[:_TROUBLED]


PAGES = (view("/", today),)
