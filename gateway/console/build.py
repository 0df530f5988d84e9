"""The web application: every page, the style and script of our own, and what a browser may do with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from gateway.console.people import People
from gateway.console.rendering import rendered
from gateway.console.site import Site
from gateway.errors import GatewayError, Unavailable

STATIC = Path(__file__).parent / "static"


def build(site: Site, people: People, pages: Sequence[BaseRoute]) -> Starlette:
    """The application over one home."""
    routes = [*pages, Mount("/static", StaticFiles(directory=STATIC), name="static")]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refused, GatewayError: _fault})
    app.state.site = site
    app.state.people = people
    return app


async def _refused(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    sentence = (
        "There is no such page." if problem.status_code == 404 and problem.detail == "Not Found" else problem.detail
    )
    return _plain(request, problem.status_code, sentence)


async def _fault(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, GatewayError)
    status = 503 if isinstance(problem, Unavailable) else 409
    return _plain(request, status, str(problem), problem.next_step, problem.code)


def _plain(request: Request, status: int, sentence: str, advice: str = "", code: str = "") -> Response:
    del request
    return HTMLResponse(rendered("fault.html", sentence=sentence, advice=advice, code=code, status=status), status)
