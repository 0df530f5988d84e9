"""What an operation of the API is: declared once, for the route, the check of what comes, and the description."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, field
from starlette.requests import Request
from starlette.responses import Response

from gateway.app import App
from gateway.console.site import Site
from gateway.errors import NotFound, RequestInvalid
from gateway.ledger.api_tokens import ApiToken

Schema = Mapping[str, Any]
PATH, QUERY, HEADER = "path", "query", "header"
JSON, PROBLEM, BYTES, TOML = (
    "application/json",
    "application/problem+json",
    "application/octet-stream",
    "application/toml",
)


class Parameter(Struct, frozen=True):
    """A part of the path, a field of the query, or a header. ``schema`` says what it may hold."""

    name: str
    where: str
    schema: Schema
    meaning: str
    required: bool = False

    def read(self, written: str | None) -> Any:
        """The value of what was written.

        Raises:
            RequestInvalid: it is missing, or none that the schema allows.
        """
        if written is None:
            if self.required:
                raise RequestInvalid(where=self.name, reason="it is missing")
            return self.schema.get("default")
        return READERS[str(self.schema["type"])](self.name, written, self.schema)


def _whole(name: str, written: str, schema: Schema) -> int:
    least, most = schema.get("minimum", 0), schema.get("maximum", 2**63 - 1)
    if not re.fullmatch(r"\d{1,19}", written, re.ASCII) or not least <= int(written) <= most:
        raise RequestInvalid(where=name, reason=f"a whole number from {least} to {most} is wanted")
    return int(written)


def _boolean(name: str, written: str, _schema: Schema) -> bool:
    if written not in {"true", "false"}:
        raise RequestInvalid(where=name, reason="true or false is wanted")
    return written == "true"


def _text(name: str, written: str, schema: Schema) -> str:
    if len(written) > schema.get("maxLength", 4_000):
        raise RequestInvalid(where=name, reason=f"at most {schema.get('maxLength', 4_000)} characters are taken")
    if "\0" in written or any("\ud800" <= each <= "\udfff" for each in written):
        raise RequestInvalid(where=name, reason="it holds what is no text")
    allowed = schema.get("enum")
    if allowed and written not in allowed:
        raise RequestInvalid(where=name, reason=f"{' or '.join(allowed)} is wanted")
    pattern = schema.get("pattern")
    if pattern and not re.search(pattern, written):
        raise RequestInvalid(where=name, reason=str(schema.get("description", f"it does not fit {pattern}")))
    return written


READERS: Mapping[str, Callable[[str, str, Schema], Any]] = {"integer": _whole, "boolean": _boolean, "string": _text}


class Answer(Struct, frozen=True):
    """A good answer: its status, what it means, and what it holds (media type → schema)."""

    status: int
    meaning: str
    content: Mapping[str, Schema] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)  # name → meaning


class Body(Struct, frozen=True):
    """What is sent: media type → schema. JSON is read and checked; anything else stays bytes.

    ``most`` bounds it (bytes); None: only the size of a message in gateway.toml does.
    """

    meaning: str
    content: Mapping[str, Schema]
    most: int | None = 100_000


class Call(Struct, frozen=True):
    """One request, as its operation sees it: parameters are read, JSON is checked, the token is good for it."""

    request: Request
    site: Site
    token: ApiToken
    values: Mapping[str, Any]
    body: bytes = b""
    document: Mapping[str, Any] = field(default_factory=dict)

    @property
    def app(self) -> App:
        """The home, for reading."""
        return self.site.app

    @property
    def actor(self) -> str:
        """Who acts, as the ledger keeps it."""
        return f"token {self.token.name}"

    def sees(self, partner: str) -> bool:
        """Whether the token may know of what is this partner's."""
        return self.token.partner in {"", partner}

    def check_sees(self, partner: str, what: str, key: object) -> None:
        """What is another partner's is not there for the token of one.

        Raises:
            NotFound
        """
        if not self.sees(partner):
            raise NotFound(what=what, key=key)


class Operation(Struct, frozen=True):
    """One operation. ``faults`` are the statuses with which it may be refused, beside those that all have."""

    method: str
    path: str
    name: str
    summary: str
    scope: str
    function: Callable[[Call], Response]
    answers: tuple[Answer, ...]
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    faults: tuple[int, ...] = ()
    tag: str = ""
    more: str = ""  # what else is to be known


def whole(least: int, most: int, default: int | None = None) -> Schema:
    """A whole number."""
    found: dict[str, Any] = {"type": "integer", "minimum": least, "maximum": most}
    return found if default is None else found | {"default": default}


def flag() -> Schema:
    """Yes or no; no by default."""
    return {"type": "boolean", "default": False}


def words(longest: int = 200, **more: Any) -> Schema:
    """A text."""
    return {"type": "string", "maxLength": longest} | more


NUMBER = Parameter("number", PATH, whole(1, 10**18), "The exchange's number.", required=True)
DRY_RUN = Parameter("dry_run", QUERY, flag(), "Check everything and say what would become of it; change nothing.")
