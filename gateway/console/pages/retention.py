"""What is kept and what would go: legal holds, and the plan of putting away, worked out in the background."""

from __future__ import annotations

import shlex

from starlette.responses import Response

from gateway.app import App
from gateway.console.people import Role
from gateway.console.routing import act, view
from gateway.console.saying import SAY_WHY, fault_in_words, reason
from gateway.console.tasks import Progress, tasks
from gateway.console.visit import Visit
from gateway.errors import GatewayError, NotFound
from gateway.flow import hold as flow
from gateway.flow.retain import Plan, plan
from gateway.ledger.holds import holds
from gateway.ledger.moments import at_zone
from gateway.ledger.saved import expanded
from gateway.ledger.words import parse_query

_PLAN = "what would be put away"
_LONGEST = 500  # characters of a reason, and of a query


def retention(visit: Visit) -> Response:
    """The holds, the policies, and what would go."""
    app = visit.app
    with app.ledger.reading() as connection:
        found = holds(connection, released=visit.asked("all") == "1")
    task = tasks(visit.site).get(_PLAN)
    return visit.page(
        "retention.html",
        holds=found[::-1],
        everything=visit.asked("all") == "1",
        settings=app.settings.retention,
        task=task,
        plan=task.result if task is not None else None,
        words=visit.asked("words"),
        now=app.now(),
    )


def work_out(visit: Visit) -> Response:
    """Begins to work out what would go; changes nothing."""
    begun = tasks(visit.site).start(_PLAN, visit.user.name, _planned)
    return visit.to("/ledger/retention", "It began: this page tells when it is done." if begun else "One goes on.")


def add(visit: Visit) -> Response:
    """Holds what meets a query, or exchanges and mails by their numbers."""
    written = visit.form.get("words", "").strip()[:_LONGEST]
    why = reason(visit.form)
    if not why:
        return visit.to("/ledger/retention", SAY_WHY, words=written)
    try:
        words = tuple(shlex.split(written))
    except ValueError as problem:
        return visit.to("/ledger/retention", f"The words cannot be read: {problem}.", words=written)
    numbers, asked = flow.numbers_among(words)
    try:
        with visit.app.ledger.reading() as connection:
            asked = expanded(connection, asked)
        query = parse_query(asked, at_zone(visit.app.now(), None)) if asked else None
        with visit.site.acting(visit.user.name, alone=False) as app:
            done = flow.add(app.context(), tuple(asked), query, numbers, actor=app.actor, reason=why)
    except GatewayError as fault:
        return visit.to("/ledger/retention", fault_in_words(fault), words=written)
    return visit.to("/ledger/retention", done.sentence)


def release(visit: Visit) -> Response:
    """Ends a legal hold."""
    number, why = visit.part("number"), reason(visit.form)
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise NotFound(what="hold", key=number)
    if not why:
        return visit.to("/ledger/retention", SAY_WHY)
    with visit.site.acting(visit.user.name, alone=False) as app:
        done = flow.release(app.context(), int(number), actor=app.actor, reason=why)
    return visit.to("/ledger/retention", done.sentence)


def _planned(app: App, progress: Progress) -> Plan:
    progress("what is over its time", 0, 0)
    return plan(app.context(), whole_months=app.settings.retention.move_to is not None)


PAGES = (
    view("/ledger/retention", retention),
    act("/ledger/retention/plan", work_out, Role.AUDITOR),
    act("/ledger/holds", add, Role.ADMINISTRATOR),
    act("/ledger/holds/{number}/release", release, Role.ADMINISTRATOR),
)
