"""Answers that are no page of anybody: a fault for people, and the same for programs (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from gateway.console.faults import status_of
from gateway.console.rendering import rendered
from gateway.errors import ConfigurationFault, ConsoleOutOfOrder, GatewayError, Unavailable

API = "/api/"


class ProblemResponse(JSONResponse):
    """A problem as programs read it."""

    media_type = "application/problem+json"


def refusal(path: str, status: int, sentence: str, advice: str = "", code: str = "") -> Response:
    """What is wrong, as a page, or for programs where the path is theirs."""
    if path.startswith(API):
        return problem(status, sentence, advice, code)
    return HTMLResponse(rendered("fault.html", sentence=sentence, advice=advice, code=code, status=status), status)


def know(request: Request) -> None:
    """Notes that somebody is known who asks: what goes wrong is told to them in full."""
    request.state.known = True


def for_whom(request: Request, fault: GatewayError) -> GatewayError:
    """The fault as who asks may hear it: a stranger is not told of our hosts and files. The log has it in any case."""
    if getattr(request.state, "known", False) or not isinstance(fault, Unavailable | ConfigurationFault):
        return fault
    logging.getLogger("uvicorn.error").error("%s %s (%s)", fault, fault.next_step, fault.code)
    return ConsoleOutOfOrder()


def fault_answer(path: str, fault: GatewayError) -> Response:
    """A fault with its own sentence, advice and code."""
    if path.startswith(API):
        return fault_problem(fault)
    return refusal(path, status_of(fault), str(fault), fault.next_step, fault.code)


def fault_problem(fault: GatewayError, headers: Mapping[str, str] | None = None) -> Response:
    """A fault for programs."""
    details = {name: str(value) for name, value in fault.details.items()}
    body = _problem(status_of(fault), str(fault), fault.next_step, fault.code)
    body |= {"permanent": fault.permanent, "side": fault.side.value, "details": details}
    return ProblemResponse(body, status_of(fault), dict(headers or {}))


def problem(status: int, sentence: str, advice: str = "", code: str = "") -> Response:
    """What is wrong, for programs."""
    return ProblemResponse(_problem(status, sentence, advice, code), status)


def _problem(status: int, sentence: str, advice: str, code: str) -> dict[str, Any]:
    """``type`` is a name, not a place to fetch: the codes are in the reference of faults."""
    kind = f"urn:edi-gateway:fault:{code}" if code else "about:blank"
    return {"type": kind, "title": sentence, "status": status, "code": code, "detail": sentence, "advice": advice}
