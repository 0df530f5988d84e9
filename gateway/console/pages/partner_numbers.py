"""The control numbers that a partner used, what is missing in them, and the files that were expected of it."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response

from gateway.app import App
from gateway.console.pages.partner import path_of
from gateway.console.people import Role
from gateway.console.routing import act, view
from gateway.console.saying import SAY_WHY, fault_in_words, reason
from gateway.console.visit import Visit
from gateway.errors import ConfigurationFault, NotAllowedNow, NotFound, UsageFault
from gateway.flow import arrivals, gaps, start_numbers
from gateway.flow.acts import Act
from gateway.ledger.missing import arrivals_of, gaps_of, series_of, told_with

_SHOWN = 200  # findings, and files
_LARGEST = 999_999_999  # control number


def numbers(visit: Visit) -> Response:
    """Series, findings about them, expected files."""
    app, key = visit.app, visit.part("key")
    one = app.partners.get(key)
    everything = visit.asked("all") == "1"
    with app.ledger.reading() as connection:
        series = series_of(connection, key)
        found = gaps_of(connection, key, everything=everything)
        files = arrivals_of(connection, key, _SHOWN)
    ours = start_numbers.standing_numbers(app.ledger, app.directory(), key)
    return visit.page(
        "partner_numbers.html",
        tab="numbers",
        partner=one,
        series=series,
        gaps=found[-_SHOWN:][::-1],
        beside=told_with(found),
        left_out=max(0, len(found) - _SHOWN),
        everything=everything,
        files=files,
        ours=ours,
        pairs=list(dict.fromkeys(f"{each.ours} {each.theirs}" for each in ours)),
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


def begin(visit: Visit) -> Response:
    """Puts our counts for the partner to the numbers that come next; never back."""
    key = visit.part("key")
    page = path_of(key, "/numbers")
    why = reason(visit.form)
    if not why:
        return visit.to(page, SAY_WHY)
    ours, _, theirs = visit.form.get("pair", "").partition(" ")
    interchange, group = (visit.form.get(level, "").strip() for level in ("interchange", "group"))
    with visit.site.acting(visit.user.name) as app:
        try:
            wanted = start_numbers.start(key, interchange, group, ours, theirs)
            done = start_numbers.start_numbers(app.context(), [wanted], actor=app.actor, reason=why)
        except (UsageFault, ConfigurationFault) as fault:
            return visit.to(page, str(fault))
        except NotAllowedNow as fault:
            return visit.to(page, fault_in_words(fault))
    changed = [f"{each.level} {each.next} (it was {each.before})" for each in done if each.done]
    if not changed:
        return visit.to(page, "They stand there already; nothing was changed.")
    return visit.to(page, f"Our next numbers to {key}: {', '.join(changed)}.")


def renew(visit: Visit) -> Response:
    """The partner told us that its numbers begin anew."""
    key = visit.part("key")
    page = path_of(key, "/numbers")
    why, first = reason(visit.form), visit.form.get("first", "").strip()
    if not why:
        return visit.to(page, SAY_WHY)
    if not (first.isascii() and first.isdigit() and 0 < int(first[:10]) <= _LARGEST and len(first) < 10):
        return visit.to(page, f"{first[:20]!r} is no control number: write 1 to {_LARGEST}.")
    with visit.site.acting(visit.user.name) as app:
        app.partners.get(key)
        groups = visit.form.get("level") == "group"
        try:
            acts = gaps.reset(app.context(), key, int(first), groups=groups, actor=app.actor, reason=why)
        except NotFound:
            return visit.to(page, "Nothing of it came yet, so that there is nothing to begin anew.")
    return visit.to(page, "; ".join(f"the {each.reference}: {each.sentence}" for each in acts))


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
    act("/partners/{key}/numbers/ours", begin, Role.ADMINISTRATOR),
    act("/partners/{key}/numbers/theirs", renew, Role.OPERATOR),
    act("/partners/{key}/expected/{number}", settle, Role.OPERATOR),
)
