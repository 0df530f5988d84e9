"""A partner on its way to live: the checklist, tests that are sent and what became of them, why nothing flows."""

from __future__ import annotations

from starlette.responses import HTMLResponse, PlainTextResponse, Response

from gateway.console.pages.partner import path_of
from gateway.console.people import Role
from gateway.console.routing import act, view
from gateway.console.saying import SAY_WHY, fault_in_words, reason
from gateway.console.visit import Visit
from gateway.errors import GatewayError, NotFound
from gateway.flow.onboarding import leave_numbers, partner_checklist
from gateway.flow.partner_check import check_partner
from gateway.flow.partner_dns import resolver
from gateway.flow.partner_spec import specification
from gateway.flow.partner_spec_text import as_text
from gateway.flow.partner_trial import Verdict, last_test, send_test, verdict
from gateway.ledger.reports.html import as_html, policy
from gateway.ledger.reports.pdf import as_pdf
from partners.model import Direction, Partner


def checklist(visit: Visit) -> Response:
    """What is done and what is missing before the partner goes live, and the last test."""
    app, key = visit.app, visit.part("key")
    one = app.partners.get(key)
    context = app.context()
    number = _number(visit.asked("test"))
    try:
        found: Verdict | None = verdict(context, number or last_test(context, key))
    except NotFound:
        found = None
    return visit.page(
        "partner_checklist.html",
        tab="checklist",
        partner=one,
        checklist=partner_checklist(context, key),
        types=_sent(one),
        verdict=found if found is not None and found.partner == key else None,
        now=app.now(),
    )


def send(visit: Visit) -> Response:
    """Submits a sample of an agreed set as a test; the next batch sends it."""
    key = visit.part("key")
    page = path_of(key, "/checklist")
    with visit.site.acting(visit.user.name) as app:
        try:
            number = send_test(app.context(), key, visit.form.get("type", ""), actor=app.actor)
        except GatewayError as fault:
            return visit.to(page, fault_in_words(fault))
    return visit.to(page, "The test is submitted: the next batch sends it, and this page tells what becomes of it.",
                    test=str(number))  # fmt: skip


def numbers(visit: Visit) -> Response:
    """Somebody says that our control numbers stay as they are, knowingly."""
    key = visit.part("key")
    page = path_of(key, "/checklist")
    why = reason(visit.form)
    if not why:
        return visit.to(page, SAY_WHY)
    with visit.site.acting(visit.user.name, alone=False) as app:
        done = leave_numbers(app.context(), key, actor=app.actor, reason=why)
    return visit.to(page, f"{done.reference}: {done.sentence}")


def check(visit: Visit) -> Response:
    """Why nothing flows; the DNS is asked only where somebody wants that."""
    app, key = visit.app, visit.part("key")
    with_dns = visit.asked("dns") == "1"
    found = check_partner(app.context(), key, resolver() if with_dns else None)
    return visit.page("partner_check.html", tab="check", partner=app.partners.get(key), check=found, with_dns=with_dns)


def sheet(visit: Visit) -> Response:
    """The specification to send to the partner: HTML, PDF or text."""
    key, form = visit.part("key"), visit.part("form")
    context = visit.app.context()
    page = specification(context, context.directory.get(key))
    named = {"Content-Disposition": f'{"inline" if form == "html" else "attachment"}; filename="{key}-spec.{form}"'}
    if form == "pdf":
        return Response(as_pdf(page), media_type="application/pdf", headers=named)
    if form == "txt":
        return PlainTextResponse(as_text(page), headers=named)
    if form != "html":
        raise NotFound(what="form of a specification", key=form)
    return HTMLResponse(as_html(page), headers=named | {"Content-Security-Policy": policy()})


def _sent(partner: Partner) -> list[str]:
    """The sets that we send it, by which a sample can be made."""
    named = [each for one in partner.agreements if one.direction is Direction.OUT for each in one.sets]
    return [each for each in dict.fromkeys(named) if each != "*"]


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


PAGES = (
    view("/partners/{key}/checklist", checklist),
    act("/partners/{key}/test", send, Role.OPERATOR),
    act("/partners/{key}/numbers/left", numbers, Role.ADMINISTRATOR),
    view("/partners/{key}/check", check),
    view("/partners/{key}/spec.{form}", sheet),
)
