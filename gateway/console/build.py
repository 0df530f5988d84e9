"""The web application: every page, the style and script of our own, and what a browser may do with them."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from gateway.console import api, health, sign_in, vouching
from gateway.console.answers import fault_answer, for_whom, refusal
from gateway.console.callers import Callers
from gateway.console.door import Door, Entrance, dress
from gateway.console.people import People
from gateway.console.site import Site
from gateway.errors import GatewayError, unexpected

STATIC = Path(__file__).parent / "static"


def build(site: Site, people: People, pages: Sequence[BaseRoute], entrance: Entrance | None = None) -> Starlette:
    """The application over one home.

    Args:
        site: the home.
        people: tells who comes.
        pages: the routes.
        entrance: how the console is reached; None: by any name, as in tests.
    """
    routes = [
        *sign_in.ROUTES,
        *vouching.ROUTES,
        *health.ROUTES,
        *api.ROUTES,
        *pages,
        Mount("/static", StaticFiles(directory=STATIC), name="static"),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Door, entrance=entrance or Entrance())],
        exception_handlers={HTTPException: _refused, GatewayError: _fault, OSError: _no_room, Exception: _defect},
    )
    app.state.site = site
    app.state.people = people
    app.state.callers = Callers(site)
    return app


async def _refused(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    sentence = (
        "There is no such page." if problem.status_code == 404 and problem.detail == "Not Found" else problem.detail
    )
    answer = refusal(request.url.path, problem.status_code, sentence)
    answer.headers.update(problem.headers or {})
    return answer


async def _fault(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, GatewayError)
    return fault_answer(request.url.path, for_whom(request, problem))


async def _no_room(request: Request, problem: Exception) -> Response:
    """Nothing can be written beside the ledger, as downloads are; every other failure of the system is a defect."""
    if not isinstance(problem, OSError) or problem.errno not in {errno.ENOSPC, errno.EDQUOT}:
        raise problem
    return refusal(request.url.path, 503, "The disk of the gateway is full.", "Make room on it, and try once more.")


async def _defect(request: Request, problem: Exception) -> Response:
    """What nobody foresaw: the server's log has the traceback, people have a sentence. Outside of the door."""
    answer = fault_answer(request.url.path, unexpected("This page", _Unsaid(type(problem).__name__)))
    dress(answer.headers, request.scope)
    return answer


class _Unsaid(Exception):  # noqa: N818 - it only carries a name
    """Stands for a problem whose own words may hold what is not for everybody."""
