"""One mail: what it is, what it holds, what became of it; for those that led to no exchange, all there is."""

from __future__ import annotations

from starlette.responses import Response

from gateway.console.pages import exchange_facts as facts
from gateway.console.pages.exchange import LIMIT, number_of
from gateway.console.pages.verbs import offered
from gateway.console.routing import view
from gateway.console.saying import fault_in_words
from gateway.console.visit import Visit
from gateway.errors import GatewayError
from gateway.flow import possible
from gateway.flow.preview import preview
from gateway.ledger.outline import message_tree
from gateway.ledger.states import MESSAGE_MEANING, MessageState
from gateway.ledger.story import message_story
from gateway.values import asdict


def show(visit: Visit) -> Response:
    """The mail."""
    number = number_of(visit, "message")
    told = message_story(visit.app.engine, number, LIMIT)
    row = told.message
    with visit.app.ledger.reading() as connection:
        acts = offered(possible.with_mail(connection, number)) if row.direction == "in" else []
    try:
        mail, fault = preview(visit.app.ledger, number, visit.app.settings.limits), ""
    except GatewayError as problem:
        if not problem.permanent:
            raise
        mail, fault = None, fault_in_words(problem)
    return visit.page(
        "mail.html",
        200,
        row=row,
        number=number,
        story=told,
        meaning=MESSAGE_MEANING[MessageState(row.state)],
        acts=acts,
        mail=mail,
        mail_fault=fault,
        tree=message_tree(visit.app.engine, number, LIMIT),
        timeline=facts.timeline(told.events, asdict(row)),
        tracked=facts.tracked(row),
        about=facts.about_mail(row),
    )


PAGES = (view("/mails/{number:int}", show),)
