"""``/users``: who may come in, for administrators. The same functions as ``gateway user``."""

from __future__ import annotations

from starlette.responses import Response

from gateway.console.faults import status_of
from gateway.console.pages.account import MEANING
from gateway.console.people import Role
from gateway.console.routing import act, view
from gateway.console.sign_in import keeper_of
from gateway.console.visit import Visit
from gateway.errors import GatewayError, NotAllowedNow, PasswordRefused
from gateway.ledger import passwords, users
from gateway.ledger.users import KnownUser

_PATH = "/users"
_ROLES = {role.word: MEANING[role] for role in Role}


def _list(visit: Visit, fault: GatewayError | None = None) -> Response:
    keeper_of(visit.request)
    with visit.app.ledger.reading() as connection:
        known = users.every(connection)
    status = 200 if fault is None else status_of(fault)
    return visit.page("users.html", status, users=known, roles=_ROLES, shortest=passwords.SHORTEST, fault=fault)


def _one(visit: Visit, fault: GatewayError | None = None) -> Response:
    keeper = keeper_of(visit.request)
    user = _known(visit)
    return visit.page(
        "user.html",
        200 if fault is None else status_of(fault),
        user=user,
        roles=_ROLES,
        sessions=keeper.sessions_of(user.name),
        shortest=passwords.SHORTEST,
        fault=fault,
    )


def _add(visit: Visit) -> Response:
    try:
        name = users.checked_name(visit.form.get("name", ""))
        encoded = passwords.encoded(_typed(visit), name)
        with visit.site.acting(visit.user.name, alone=False) as app:
            added = app.ledger.write(
                lambda recorder: users.add(recorder, name, visit.form.get("role", ""), password=encoded)
            )
    except GatewayError as fault:
        return _list(visit, fault)
    return visit.to(_PATH, f"Added {added.name} as {added.role}.")


def _role(visit: Visit) -> Response:
    user, role = _another(visit, "role"), visit.form.get("role", "")
    with visit.site.acting(visit.user.name, alone=False) as app:
        changed = app.ledger.write(lambda recorder: users.set_role(recorder, user.name, role))
    return visit.to(_at(user), f"{user.name} is {role} {'now' if changed else 'already'}.")


def _password(visit: Visit) -> Response:
    user = _known(visit)
    try:
        encoded = passwords.encoded(_typed(visit), user.name)
        with visit.site.acting(visit.user.name, alone=False) as app:
            ended = app.ledger.write(lambda recorder: users.set_password(recorder, user.name, encoded))
    except GatewayError as fault:
        return _one(visit, fault)
    return visit.to(_at(user), f"{user.name} has another password; {ended} session{'' if ended == 1 else 's'} ended.")


def _disable(visit: Visit) -> Response:
    user = _another(visit, "state")
    with visit.site.acting(visit.user.name, alone=False) as app:
        app.ledger.write(lambda recorder: users.disable(recorder, user.name))
    return visit.to(_at(user), f"{user.name} is let in no more, and every session has ended.")


def _enable(visit: Visit) -> Response:
    user = _known(visit)
    with visit.site.acting(visit.user.name, alone=False) as app:
        app.ledger.write(lambda recorder: users.enable(recorder, user.name))
    return visit.to(_at(user), f"{user.name} is let in again.")


def _remove(visit: Visit) -> Response:
    user = _another(visit, "account")
    with visit.site.acting(visit.user.name, alone=False) as app:
        app.ledger.write(lambda recorder: users.remove(recorder, user.name))
    return visit.to(_PATH, f"Removed {user.name}. What they did stays in the ledger under that name.")


def _another(visit: Visit, what: str) -> KnownUser:
    """The user that is meant: not oneself, so that there is always an administrator left.

    Raises:
        UserUnknown, NotAllowedNow
    """
    user = _known(visit)
    if user.name == visit.user.name:
        reason = f"nobody takes away their own {what}; another administrator, or `gateway user` on the machine, can"
        raise NotAllowedNow(what="user", key=user.name, state="you yourself", reason=reason)
    return user


def _known(visit: Visit) -> KnownUser:
    with visit.app.ledger.reading() as connection:
        return users.wanted(connection, visit.part("name"))


def _typed(visit: Visit) -> str:
    """The new password, typed twice the same.

    Raises:
        PasswordRefused
    """
    if visit.form.get("new", "") != visit.form.get("again", ""):
        raise PasswordRefused(reason="it was typed in two ways")
    return visit.form.get("new", "")


def _at(user: KnownUser) -> str:
    return f"{_PATH}/{user.name}"


PAGES = (
    view(_PATH, _list, Role.ADMINISTRATOR),
    act(_PATH, _add, Role.ADMINISTRATOR),
    view(f"{_PATH}/{{name}}", _one, Role.ADMINISTRATOR),
    act(f"{_PATH}/{{name}}/role", _role, Role.ADMINISTRATOR),
    act(f"{_PATH}/{{name}}/password", _password, Role.ADMINISTRATOR),
    act(f"{_PATH}/{{name}}/disable", _disable, Role.ADMINISTRATOR),
    act(f"{_PATH}/{{name}}/enable", _enable, Role.ADMINISTRATOR),
    act(f"{_PATH}/{{name}}/remove", _remove, Role.ADMINISTRATOR),
)
