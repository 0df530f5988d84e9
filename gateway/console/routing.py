"""From a function to a route: who may come, whose form it is, and what a fault looks like as a page.

A view answers GET and changes nothing. An act answers POST, with a form that carries its session's secret.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.console.answers import know
from gateway.console.door import NO_TEXT
from gateway.console.people import People, Role
from gateway.console.places import SIGN_IN, SIGN_OUT, came_from, local, sign_in_to
from gateway.console.rendering import rendered
from gateway.console.site import Site
from gateway.console.turns import in_turn
from gateway.console.visit import LARGEST_FILE, SAID, Upload, Visit
from gateway.console.watching import watched

Page = Callable[[Visit], Response]
CSRF = "csrf"  # the field of every form


def view(path: str, page: Page, role: Role = Role.VIEWER) -> Route:
    """A page to look at."""

    async def endpoint(request: Request) -> Response:
        visit = await run_in_threadpool(_visit, request, role)
        if visit is None:
            return _to_sign_in(request)
        people: People = request.app.state.people
        response = watched(await run_in_threadpool(page, visit), partial(people.may_still, visit.session, role))
        if SAID in request.cookies and response.status_code < 300:
            response.delete_cookie(SAID, path="/", httponly=True, samesite="strict")
        return response

    return Route(path, endpoint, methods=["GET"], name=f"{page.__module__}.{page.__name__}")


def act(path: str, page: Page, role: Role = Role.OPERATOR) -> Route:
    """Something that somebody does; its page answers with ``Visit.to``."""

    async def endpoint(request: Request) -> Response:
        visit = await run_in_threadpool(_visit, request, role)
        if visit is None:
            return _to_sign_in(request)
        async with request.form() as posted:
            form: dict[str, Any] = {}
            files: dict[str, Upload] = {}
            for name, value in posted.multi_items():
                if isinstance(value, str):
                    form.setdefault(text_of(name), text_of(value))
                elif value.filename:
                    files.setdefault(name, Upload(value.filename, await value.read(LARGEST_FILE + 1)))
            if not hmac.compare_digest(form.pop(CSRF, "").encode(), visit.session.csrf.encode()):
                raise HTTPException(403, "This form is not of your session. Load the page again, and try once more.")
            return await in_turn(request, page, Visit(request, visit.site, visit.session, form, files))

    return Route(path, endpoint, methods=["POST"], name=f"{page.__module__}.{page.__name__}")


def text_of(value: str) -> str:
    """What somebody wrote into a form.

    Raises:
        HTTPException: it is no text that every database takes.
    """
    if "\0" in value:
        raise HTTPException(400, NO_TEXT)
    return value


def _visit(request: Request, role: Role) -> Visit | None:
    site: Site = request.app.state.site
    people: People = request.app.state.people
    session = people.session(request)
    if session is None:
        return None
    know(request)
    if session.user.role < role:
        raise HTTPException(403, f"This needs the role {role.word}; you are {session.user.role.word}.")
    return Visit(request, site, session)


def _to_sign_in(request: Request) -> Response:
    if request.method not in {"GET", "HEAD"}:
        # Leaving needs nobody; whoever sent anything else must not take it for done.
        leaving = request.url.path == SIGN_OUT
        return RedirectResponse(SIGN_IN if leaving else sign_in_to(came_from(request), undone=True), 303)
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.headers.get("sec-fetch-site") == "cross-site":
        # A link in a mail or on another site: the browser keeps the cookie to itself, until the page asks for itself.
        return HTMLResponse(rendered("again.html", wanted=local(wanted)))
    return RedirectResponse(sign_in_to(wanted), 303)
