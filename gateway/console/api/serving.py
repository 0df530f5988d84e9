"""From a declared operation to a route: the token, the parameters, the body, and every fault as a problem."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.console.answers import fault_problem, for_whom, know
from gateway.console.api.declared import HEADER, JSON, PATH, QUERY, Body, Call, Operation, Parameter
from gateway.console.callers import Callers
from gateway.console.turns import in_turn
from gateway.console.watching import watched
from gateway.errors import ApiTokenRefused, GatewayError, RequestInvalid, TooManyRequests, TryAgainLater, Unavailable
from gateway.ledger.api_tokens import ApiToken

ROOT = "/api/v1"
_RETRY = "5"  # seconds


def route(operation: Operation) -> Route:
    """The route of an operation."""

    async def endpoint(request: Request) -> Response:
        callers: Callers = request.app.state.callers
        try:
            # Before anything of the body is read: who may not, sends for nothing.
            token = await run_in_threadpool(callers.caller, request, operation.scope)
            know(request)
            body = await _body(request, operation.body) if operation.body else b""
            if operation.method == "GET":
                answer = await run_in_threadpool(_called, operation, request, token, body)
                return watched(answer, partial(callers.may_still, request, operation.scope))
            return await in_turn(request, _called, operation, request, token, body)
        except GatewayError as problem:
            fault = for_whom(request, problem)
            return fault_problem(fault, _headers(fault))

    return Route(f"{ROOT}{operation.path}", endpoint, methods=[operation.method], name=f"api.{operation.name}")


async def _body(request: Request, wanted: Body) -> bytes:
    """What was sent, no more of it than there is room for."""
    found = bytearray()
    async for piece in request.stream():
        found += piece
        if wanted.most is not None and len(found) > wanted.most:
            raise RequestInvalid(where="the body", reason=f"it has more than {wanted.most:,} bytes")
    return bytes(found)


def _called(operation: Operation, request: Request, token: ApiToken, body: bytes) -> Response:
    values = {each.name: each.read(_written(request, each)) for each in operation.parameters}
    _refuse_unknown(request, operation)
    document = _document(operation, request, body)
    return operation.function(Call(request, request.app.state.site, token, values, body, document))


def _written(request: Request, parameter: Parameter) -> str | None:
    if parameter.where == PATH:
        return str(request.path_params[parameter.name])
    if parameter.where == HEADER:
        return request.headers.get(parameter.name)
    found = request.query_params.getlist(parameter.name)
    if len(found) > 1:
        raise RequestInvalid(where=parameter.name, reason="it stands there twice")
    return found[0] if found else None


def _refuse_unknown(request: Request, operation: Operation) -> None:
    """A misspelt ``dry_run`` must not act."""
    known = {each.name for each in operation.parameters if each.where == QUERY}
    for name in request.query_params:
        if name not in known:
            allowed = ", ".join(sorted(known)) or "none"
            raise RequestInvalid(where=name[:100], reason=f"there is no such parameter; there are {allowed}")


def _document(operation: Operation, request: Request, body: bytes) -> Mapping[str, Any]:
    """The JSON document of a request, checked against its schema: objects of texts and flags."""
    if operation.body is None or JSON not in operation.body.content:
        return {}
    if not body and not operation.body.content[JSON].get("required"):
        return {}
    kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if kind != JSON:
        raise RequestInvalid(where="Content-Type", reason=f"{JSON} is wanted")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise RequestInvalid(where="the body", reason="it is no JSON") from None
    return _checked(found, operation.body.content[JSON])


def _checked(found: Any, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise RequestInvalid(where="the body", reason="a JSON object is wanted")
    known: Mapping[str, Mapping[str, Any]] = schema["properties"]
    for name in found.keys() - known.keys():
        raise RequestInvalid(where=name[:100], reason=f"there is no such field; there are {', '.join(known)}")
    for name in schema.get("required", ()):
        if name not in found:
            raise RequestInvalid(where=name, reason="it is missing")
    return {name: _value(name, value, known[name]) for name, value in found.items()}


def _value(name: str, value: Any, schema: Mapping[str, Any]) -> Any:
    if schema["type"] == "boolean":
        if not isinstance(value, bool):
            raise RequestInvalid(where=name, reason="true or false is wanted")
        return value
    if not isinstance(value, str):
        raise RequestInvalid(where=name, reason="a text is wanted")
    if len(value.strip()) < schema.get("minLength", 0):
        raise RequestInvalid(where=name, reason="it must not be empty")
    return Parameter(name, "body", schema, "").read(value)


def _headers(fault: GatewayError) -> dict[str, str]:
    if isinstance(fault, ApiTokenRefused):
        return {"WWW-Authenticate": 'Bearer realm="edi-gateway"'}
    if isinstance(fault, TooManyRequests):
        return {"Retry-After": str(fault.details["seconds"])}
    return {"Retry-After": _RETRY} if isinstance(fault, TryAgainLater | Unavailable) else {}
