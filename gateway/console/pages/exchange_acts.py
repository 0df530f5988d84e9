"""Acts on an exchange or a mail: what it does, why, what would become of it, and then doing it."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from gateway.console.pages.exchange import number_of
from gateway.console.pages.verbs import VERBS, Verb
from gateway.console.people import Role
from gateway.console.routing import act, view
from gateway.console.saying import SAY_WHY, reason
from gateway.console.visit import Visit
from gateway.errors import GatewayError, NotFound, UsageFault
from gateway.flow import possible


def ask_exchange(visit: Visit) -> Response:
    """The form for an act on an exchange."""
    return _ask(visit, str(number_of(visit)))


def do_exchange(visit: Visit) -> Response:
    """Tries it, or does it."""
    return _do(visit, str(number_of(visit)))


def ask_mail(visit: Visit) -> Response:
    """The form for an act on a mail."""
    return _ask(visit, f"m{number_of(visit, 'message')}")


def do_mail(visit: Visit) -> Response:
    """Tries it, or does it."""
    return _do(visit, f"m{number_of(visit, 'message')}")


def reason_of(visit: Visit) -> str:
    """Why somebody acts, as it is kept in the ledger.

    Raises:
        UsageFault: it is not said.
    """
    why = reason(visit.form)
    if not why:
        raise UsageFault(reason=SAY_WHY)
    return why


def is_trying(visit: Visit, verb: Verb) -> bool:
    """Whether it is only tried: what cannot be taken back is done only after somebody has seen what would happen."""
    return visit.form.get("step") != "do" or (verb.careful != "" and visit.form.get("seen") != "yes")


def _ask(visit: Visit, reference: str) -> Response:
    return _form(visit, _verb(visit, reference), reference, 200)


def _do(visit: Visit, reference: str) -> Response:
    verb = _verb(visit, reference)
    choice = visit.form.get("choice", "")
    trying = is_trying(visit, verb)
    try:
        why = reason_of(visit)
        verb.doing(choice)
        with visit.site.acting(visit.user.name) as app:
            done = verb.do(app.context(), reference, choice, actor=visit.user.name, reason=why, dry_run=trying)
    except GatewayError as fault:
        status = 400 if type(fault) is UsageFault else 409 if fault.permanent else 503
        return _form(visit, verb, reference, status, fault=fault)
    if trying:
        return _form(visit, verb, reference, 200, tried=done)
    goes_on = done.exchange if done.exchange is not None else reference
    return visit.to(_page(str(goes_on)), f"{_name(reference)}: {done.sentence}.")


def _verb(visit: Visit, reference: str) -> Verb:
    """The act that the path names.

    Raises:
        NotFound: there is no such act on that.
    """
    verb = VERBS.get(visit.part("verb"))
    if verb is None or (verb.numbers and reference.startswith("m")):
        raise NotFound(what="act", key=visit.part("verb"))
    return verb


def _form(visit: Visit, verb: Verb, reference: str, status: int, **said: Any) -> Response:
    with visit.app.ledger.reading() as connection:
        if reference.startswith("m"):
            judged = possible.with_mail(connection, int(reference[1:]))
        else:
            judged = possible.with_exchange(connection, int(reference))
    why_not = next(each.why_not for each in judged if each.verb == verb.name)
    return visit.page(
        "exchange_act.html",
        status,
        verb=verb,
        name=_name(reference),
        page=_page(reference),
        why_not=why_not,
        form=visit.form,
        **{"tried": None, "fault": None} | said,
    )


def _name(reference: str) -> str:
    return f"mail {reference}" if reference.startswith("m") else f"exchange {reference}"


def _page(reference: str) -> str:
    return f"/mails/{reference[1:]}" if reference.startswith("m") else f"/exchanges/{reference}"


PAGES = (
    view("/exchanges/{number:int}/acts/{verb}", ask_exchange, Role.OPERATOR),
    act("/exchanges/{number:int}/acts/{verb}", do_exchange),
    view("/mails/{number:int}/acts/{verb}", ask_mail, Role.OPERATOR),
    act("/mails/{number:int}/acts/{verb}", do_mail),
)
