"""The gateway for programs: JSON over HTTP, tokens with scopes, described by OpenAPI.

An operation is declared once (``declared``); its route, the check of what comes and its description are made of that.
"""

from __future__ import annotations

import json
from functools import cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from gateway.console.answers import problem
from gateway.console.api import acts, documents, exchanges, partners, reports
from gateway.console.api.declared import JSON, Operation
from gateway.console.api.openapi import description
from gateway.console.api.serving import ROOT, route

__all__ = ["OPERATIONS", "ROUTES"]

OPERATIONS: tuple[Operation, ...] = (
    *documents.OPERATIONS,
    *exchanges.OPERATIONS,
    *acts.OPERATIONS,
    *partners.OPERATIONS,
    *reports.OPERATIONS,
)


async def _description(request: Request) -> Response:
    """What the API can do is no secret."""
    del request
    return Response(_described(), media_type=JSON)


@cache
def _described() -> str:
    return json.dumps(description(OPERATIONS), ensure_ascii=False)


async def _nothing(request: Request) -> Response:
    """What no operation answers: another method of a place that is there (RFC 9110 section 15.5.6), or no place."""
    places = [each for each in _PLACES if each.matches(request.scope)[0] is not Match.NONE]
    if places:
        allowed = ", ".join(sorted({method for each in places for method in each.methods or ()}))
        sentence = f"{request.method} is not possible at {request.url.path}; possible are {allowed}."
        answer = problem(405, sentence, "The description is at /api/v1/openapi.json.")
        answer.headers["Allow"] = allowed
        return answer
    return problem(404, f"There is nothing at {request.url.path}.", "The description is at /api/v1/openapi.json.")


_PLACES: tuple[Route, ...] = (
    Route(f"{ROOT}/openapi.json", _description, methods=["GET"]),
    *(route(each) for each in OPERATIONS),
)
ROUTES: tuple[BaseRoute, ...] = (
    *_PLACES,
    Route("/api/{rest:path}", _nothing, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
)
