"""The gateway for programs: JSON over HTTP, tokens with scopes, described by OpenAPI.

An operation is declared once (``declared``); its route, the check of what comes and its description are made of that.
"""

from __future__ import annotations

import json
from functools import cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

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
    return problem(404, f"There is nothing at {request.url.path}.", "The description is at /api/v1/openapi.json.")


ROUTES: tuple[BaseRoute, ...] = (
    Route(f"{ROOT}/openapi.json", _description, methods=["GET"]),
    *(route(each) for each in OPERATIONS),
    Route("/api/{rest:path}", _nothing, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
)
