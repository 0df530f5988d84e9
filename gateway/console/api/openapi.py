"""The description of the API (OpenAPI 3.1), made of the same declarations as its routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from gateway import __version__
from gateway.console.api.declared import HEADER, PATH, PROBLEM, Answer, Operation, Parameter
from gateway.console.api.schemas import SCHEMAS, reference
from gateway.console.api.serving import ROOT
from gateway.ledger.api_tokens import SCOPES

TAGS: Mapping[str, str] = {
    "documents": "Handing documents in, and fetching what came",
    "exchanges": "Finding and reading what went through",
    "acts": "What is done about it",
    "partners": "Profiles",
    "reports": "Sums, and what needs a person",
}
_ALWAYS = (400, 401, 403, 429)
_MEANINGS = {
    400: "The request, or a query in it, cannot be understood.",
    401: "There is no token, or one that is not good.",
    403: "The token lacks the scope.",
    404: "There is no such thing, or the token may not see it.",
    409: "It is not possible where it stands now.",
    410: "Its bytes were put away by policy, or erased.",
    412: "Somebody else changed it meanwhile.",
    422: "The document or profile cannot be taken as it is.",
    429: "The token asked too often; Retry-After says when to come again.",
    503: "Something is in the way for now; Retry-After says when to come again.",
}


def description(operations: Sequence[Operation]) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "EDI gateway",
            "version": __version__,
            "summary": "Submit, find, fetch and act: the gateway for programs.",
            "description": "Every request shows a token: `Authorization: Bearer …`. Faults are problems (RFC 9457) "
            "with the gateway's own code, sentence and advice. Times are ISO 8601.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": ROOT}],
        "tags": [{"name": name, "description": meaning} for name, meaning in TAGS.items()],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": dict(SCHEMAS),
            "responses": {f"Refused{status}": _refusal(status) for status in _MEANINGS},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of `gateway token add`. Scopes: "
                    + "; ".join(f"{name}: {meaning}" for name, meaning in SCOPES.items())
                    + ".",
                }
            },
        },
    }


def _operation(each: Operation) -> dict[str, Any]:
    more = f"{each.more}\n\n" if each.more else ""
    found: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.summary,
        "description": f"{more}Needs the scope `{each.scope}`.",
        "tags": [each.tag],
        "parameters": [_parameter(one) for one in each.parameters],
        "responses": {str(one.status): _answer(one) for one in each.answers}
        | {
            str(status): {"$ref": f"#/components/responses/Refused{status}"}
            for status in sorted({*_ALWAYS, *each.faults})
        },
        "x-scope": each.scope,
    }
    if each.body is not None:
        found["requestBody"] = {
            "description": each.body.meaning,
            "required": True,
            "content": {kind: {"schema": dict(schema)} for kind, schema in each.body.content.items()},
        }
    return found


def _parameter(each: Parameter) -> dict[str, Any]:
    return {
        "name": each.name,
        "in": each.where,
        "description": each.meaning,
        "required": each.required or each.where == PATH,
        "schema": dict(each.schema),
    } | ({"style": "simple"} if each.where == HEADER else {})


def _answer(each: Answer) -> dict[str, Any]:
    found: dict[str, Any] = {"description": each.meaning}
    if each.content:
        found["content"] = {kind: {"schema": dict(schema)} for kind, schema in each.content.items()}
    if each.headers:
        text = {"schema": {"type": "string"}}
        found["headers"] = {name: {"description": meaning} | text for name, meaning in each.headers.items()}
    return found


@cache
def _refusal(status: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": _MEANINGS[status],
        "content": {PROBLEM: {"schema": dict(reference("Problem"))}},
    }
    if status in {429, 503}:
        text = {"schema": {"type": "string"}}
        found["headers"] = {"Retry-After": {"description": "seconds to wait"} | text}
    return found
