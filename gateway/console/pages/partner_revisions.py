"""The revisions of a partner's profile, and what is different between two of them."""

from __future__ import annotations

from starlette.responses import PlainTextResponse, Response

from gateway.console.differences import differences
from gateway.console.routing import view
from gateway.console.visit import Visit
from gateway.ledger.changes import changes
from partners.store import Revision

_SHOWN = 200  # revisions
_KINDS = ("profile-applied", "partner-status", "profile-noticed")


def revisions(visit: Visit) -> Response:
    """All of them, and the differences between two: by default the newest and the one before."""
    app, key = visit.app, visit.part("key")
    one = app.partners.get(key)
    known = app.partners.revisions(key)
    newest = known[-1].revision
    after = _chosen(visit.asked("to"), known, newest)
    before = _chosen(visit.asked("from"), known, max(known[0].revision, after - 1))
    told = changes(app.engine, partner=key, kinds=_KINDS, limit=_SHOWN)
    reasons = {each.body.get("revision"): str(each.body.get("reason", "")) for each in told}
    return visit.page(
        "partner_revisions.html",
        tab="revisions",
        partner=one,
        revisions=known[::-1][:_SHOWN],
        reasons=reasons,
        before=before,
        after=after,
        lines=differences(app.partners.text(key, before), app.partners.text(key, after)),
    )


def text(visit: Visit) -> Response:
    """The profile as TOML, as it was in a revision."""
    key = visit.part("key")
    known = visit.app.partners.revisions(key)
    number = _chosen(visit.asked("revision"), known, known[-1].revision)
    return PlainTextResponse(
        visit.app.partners.text(key, number),
        headers={"Content-Disposition": f'attachment; filename="{key}.toml"'},
    )


def _chosen(written: str, known: list[Revision], otherwise: int) -> int:
    numbers = {each.revision for each in known}
    number = int(written) if written.isascii() and written.isdigit() and len(written) < 10 else -1
    return number if number in numbers else otherwise


PAGES = (
    view("/partners/{key}/revisions", revisions),
    view("/partners/{key}/profile.toml", text),
)
