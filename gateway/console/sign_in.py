"""Signing in and out: the only pages that somebody sees of whom nothing is known."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.console.faults import status_of
from gateway.console.keeper import Keeper, cookie_name
from gateway.console.people import Role
from gateway.console.places import SIGN_IN, SIGN_OUT, local
from gateway.console.rendering import rendered
from gateway.console.routing import act, text_of
from gateway.console.visit import Visit
from gateway.errors import DoorFault

_AT_ONCE = 4  # sign-ins that are looked at
_WAITING = 40  # and that wait for it


def let_in(request: Request, number: str, wanted: str) -> Response:
    """On to the page that was wanted, with the cookie of a new session."""
    response = RedirectResponse(local(wanted), 303)
    give_cookie(request, response, number)
    return response


def give_cookie(request: Request, response: Response, number: str) -> None:
    """Puts a session's number into the browser; it ends with the browser at the latest."""
    secure = request.url.scheme == "https"
    response.set_cookie(cookie_name(request), number, path="/", httponly=True, samesite="strict", secure=secure)


def sign_in_page(request: Request, wanted: str, fault: DoorFault | None = None, name: str = "") -> Response:
    """The page with the form, and what was wrong the last time."""
    keeper = keeper_of(request)
    oidc = keeper.settings.oidc
    status = 200 if fault is None else status_of(fault)
    page = rendered(
        "sign_in.html",
        home=keeper.site.app.settings.name,
        wanted=local(wanted),
        fault=fault,
        name=name,
        provider=oidc.label if oidc else "",
        is_new=oidc is None and not keeper.knows_anybody(),
        query=urlencode({"to": local(wanted)}),
        undone=fault is None and request.query_params.get("undone") == "1",
    )
    return HTMLResponse(page, status)


async def _show(request: Request) -> Response:
    wanted = request.query_params.get("to", "/")
    session = await run_in_threadpool(keeper_of(request).session, request)
    if session is not None:
        return RedirectResponse(local(wanted), 303)
    return await run_in_threadpool(sign_in_page, request, wanted)


async def _post(request: Request) -> Response:
    async with request.form(max_files=0, max_fields=10) as form:
        name, password, wanted = (_text(form.get(each)) for each in ("name", "password", "to"))
    room = _room(request)
    if room.waiting >= _WAITING:
        raise HTTPException(503, "Too many sign in at this moment. Try again in a few seconds.", {"Retry-After": "5"})
    async with room:
        return await run_in_threadpool(_sign_in, request, name, password, wanted)


class _Room:
    """Few sign-ins at once: hashes take long on purpose, and those who look at pages must not wait for a thread."""

    def __init__(self) -> None:
        self._inside = asyncio.Semaphore(_AT_ONCE)
        self.waiting = 0

    async def __aenter__(self) -> None:
        self.waiting += 1
        try:
            await self._inside.acquire()
        finally:
            self.waiting -= 1

    async def __aexit__(self, *_: object) -> None:
        self._inside.release()


def _room(request: Request) -> _Room:
    state = request.app.state
    if not hasattr(state, "sign_ins"):
        state.sign_ins = _Room()
    room: _Room = state.sign_ins
    return room


def _sign_in(request: Request, name: str, password: str, wanted: str) -> Response:
    try:
        number = keeper_of(request).sign_in(request, name, password)
    except DoorFault as fault:
        return sign_in_page(request, wanted, fault, name)
    return let_in(request, number, wanted)


def _sign_out(visit: Visit) -> Response:
    keeper_of(visit.request).sign_out(visit.session)
    response = RedirectResponse(SIGN_IN, 303)
    secure = visit.request.url.scheme == "https"
    response.delete_cookie(cookie_name(visit.request), path="/", httponly=True, samesite="strict", secure=secure)
    return response


def keeper_of(request: Request) -> Keeper:
    """Who keeps the users.

    Raises:
        HTTPException: nobody does.
    """
    people = request.app.state.people
    if not isinstance(people, Keeper):
        raise HTTPException(404)
    return people


def _text(value: object) -> str:
    return text_of(value) if isinstance(value, str) else ""


ROUTES: tuple[BaseRoute, ...] = (
    Route(SIGN_IN, _show, methods=["GET"], name="sign-in"),
    Route(SIGN_IN, _post, methods=["POST"], name="sign-in-post"),
    act(SIGN_OUT, _sign_out, Role.VIEWER),
)
