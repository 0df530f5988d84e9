"""``/account``: one's own role, sessions and password."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from gateway.console.faults import status_of
from gateway.console.people import Role
from gateway.console.routing import act, view
from gateway.console.sign_in import give_cookie, keeper_of
from gateway.console.visit import Visit
from gateway.errors import GatewayError, PasswordRefused, SignInRefused
from gateway.ledger import users
from gateway.ledger.passwords import SHORTEST

MEANING = {
    Role.VIEWER: "reads what is masked, and downloads nothing raw",
    Role.AUDITOR: "reads everything, raw bytes and exports too, and changes nothing",
    Role.OPERATOR: "reads everything and acts: releases, resends, settles, submits, sends tests",
    Role.ADMINISTRATOR: "does everything: also changes profiles, users, tokens and seals",
}


def _show(visit: Visit, fault: GatewayError | None = None) -> Response:
    keeper = keeper_of(visit.request)
    with visit.app.ledger.reading() as connection:
        user = users.wanted(connection, visit.user.name)
    return visit.page(
        "account.html",
        200 if fault is None else status_of(fault),
        user=user,
        meaning=MEANING[visit.user.role],
        sessions=keeper.sessions_of(visit.user.name),
        shortest=SHORTEST,
        fault=fault,
    )


def _password(visit: Visit) -> Response:
    current, new, again = (visit.form.get(each, "") for each in ("current", "new", "again"))
    try:
        if new != again:
            raise PasswordRefused(reason="it was typed in two ways")
        number = keeper_of(visit.request).change_password(visit.request, visit.session, current, new)
    except SignInRefused:
        return _show(visit, PasswordRefused(reason="the present password is not right"))
    except GatewayError as fault:
        return _show(visit, fault)
    response = visit.to("/account", "You have another password. All your other sessions have ended.")
    give_cookie(visit.request, response, number)
    return response


def _end_others(visit: Visit) -> Response:
    ended = keeper_of(visit.request).end_others(visit.session)
    return visit.to("/account", f"{ended} other session{'' if ended == 1 else 's'} ended.")


def _well_known(visit: Visit) -> Response:
    """Where password managers look for the page that changes a password."""
    del visit
    return RedirectResponse("/account#password", 303)


PAGES = (
    view("/account", _show),
    act("/account/password", _password, Role.VIEWER),
    act("/account/sessions", _end_others, Role.VIEWER),
    view("/.well-known/change-password", _well_known),
)
