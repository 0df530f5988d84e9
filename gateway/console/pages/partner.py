"""One partner: who it is, what was settled, how it goes; and where its partnership stands."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from msgspec.structs import replace
from starlette.responses import Response

from gateway.app import App
from gateway.console.people import Role
from gateway.console.pictures import traffic
from gateway.console.routing import act, view
from gateway.console.saying import SAY_WHY, fault_in_words, reason
from gateway.console.visit import Visit
from gateway.errors import GatewayError, NotFound
from gateway.flow.configuration import set_status
from gateway.flow.expiry import endings
from gateway.flow.onboarding import refuse_unready
from gateway.flow.start_numbers import standing_numbers
from gateway.flow.stops import waiting_while
from gateway.ledger import alerts
from gateway.ledger.changes import changes
from gateway.ledger.partner_health import health
from gateway.ledger.search import search
from gateway.ledger.words import parse_query
from gateway.words import count
from partners.model import Partner, Status
from partners.profile import read_profile
from partners.store import UNCHANGED, Revision
from partners.words import described

_LAST = 12  # exchanges that are shown

# Where a partnership can go from where it stands, and what that means.
WAYS = {
    Status.DRAFT: (Status.TESTING, Status.LIVE, Status.ENDED),
    Status.TESTING: (Status.LIVE, Status.SUSPENDED, Status.ENDED),
    Status.LIVE: (Status.SUSPENDED, Status.TESTING, Status.ENDED),
    Status.SUSPENDED: (Status.LIVE, Status.TESTING, Status.ENDED),
    Status.ENDED: (Status.TESTING, Status.LIVE),
}
MEANING = {
    Status.DRAFT: "nothing is exchanged yet",
    Status.TESTING: "test documents are exchanged",
    Status.LIVE: "documents are exchanged",
    Status.SUSPENDED: "what it sends is quarantined, nothing is sent to it",
    Status.ENDED: "nothing is exchanged any more; it is kept for the record",
}


def path_of(key: str, rest: str = "") -> str:
    """The address of a partner's page."""
    return f"/partners/{quote(key, safe='')}{rest}"


def partner(visit: Visit) -> Response:
    """The first page of a partner."""
    app, key = visit.app, visit.part("key")
    now = app.now()
    one = app.partners.get(key)
    revisions = app.partners.revisions(key)
    asked = visit.asked("revision")
    shown, about = (one, revisions[-1]) if not asked else _as_it_was(visit, one, asked)
    with app.ledger.reading() as connection:
        how = health(connection, [key], now)[key]
        picture = traffic(connection, now, 30, key)
        standing = alerts.of_partner(connection, key)
    query = replace(parse_query([f"partner={key}"], datetime.fromtimestamp(now / 1000, UTC)), limit=_LAST)
    return visit.page(
        "partner.html",
        tab="",
        partner=one,
        parts=list(described(shown)),
        about=about,
        newest=revisions[-1].revision,
        ways=WAYS[one.status],
        meaning=MEANING,
        health=how,
        ending=endings([one], (), now),
        numbers=standing_numbers(app.ledger, app.directory(), key),
        alerts=standing,
        exchanges=search(app.engine, query, now),
        traffic=picture,
        history=changes(app.engine, partner=key, limit=8),
        now=now,
    )


def status(visit: Visit) -> Response:
    """Gives the partner another status, and keeps why."""
    key = visit.part("key")
    page = path_of(key)
    why = reason(visit.form)
    wanted = visit.form.get("status", "")
    if wanted not in {each.value for each in Status}:
        return visit.to(page, f"There is no status {wanted!r}.")
    if not why:
        return visit.to(page, SAY_WHY)
    chosen = Status(wanted)
    with visit.site.acting(visit.user.name, alone=False) as app:
        before = app.partners.get(key).status
        if chosen not in WAYS[before]:
            return visit.to(page, f"{key} is {before}; it cannot become {wanted} from there.")
        try:
            missing = _missing(app, key, chosen, anyway=visit.form.get("anyway") == "yes")
            done = set_status(app.ledger, app.partners, key, chosen, actor=app.actor, reason=why, missing=missing)
            with app.ledger.reading() as connection:
                waiting = waiting_while(connection, app.partners.get(key), chosen)
        except GatewayError as fault:
            return visit.to(page, fault_in_words(fault))
    if done.change == UNCHANGED:
        return visit.to(page, f"{key} is {wanted} already; nothing was changed.")
    kept = f" {count(waiting, 'mail')} for it will not go while it is {wanted}." if waiting else ""
    return visit.to(page, f"{key} is now {wanted} (it was {before}); revision {done.revision}.{kept}")


def _missing(app: App, key: str, wanted: Status, *, anyway: bool) -> list[str]:
    """What of the checklist is missing for a partner that goes live, where it, or a person, allows to go on.

    Raises:
        PartnerNotReady: naming what is missing.
    """
    if wanted not in {Status.LIVE, Status.TESTING}:
        return []
    was_live = any(each.status is Status.LIVE for each in app.partners.revisions(key))
    found = refuse_unready(app.context(), key, wanted, was_live=was_live or anyway)
    return [each.title for each in found.missing] if wanted is Status.LIVE else []


def _as_it_was(visit: Visit, one: Partner, asked: str) -> tuple[Partner, Revision]:
    """The partner as an earlier revision says, and what is known of that revision."""
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 0
    about = next((each for each in visit.app.partners.revisions(one.key) if each.revision == number), None)
    if about is None:
        raise NotFound(what=f"revision of {one.key} numbered", key=asked)
    text = visit.app.partners.text(one.key, number)
    return replace(read_profile(text, f"revision {number} of {one.key}"), certificates=one.certificates), about


PAGES = (
    view("/partners/{key}", partner),
    act("/partners/{key}/status", status, Role.ADMINISTRATOR),
)
