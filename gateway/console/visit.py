"""One request, as a page sees it: who asks, for what, of which home; and the ways to answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode

from msgspec import Struct, field
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.app import App
from gateway.console.people import Role, Session, User
from gateway.console.rendering import rendered
from gateway.console.site import Site

SAID = "console-said"  # the cookie with the sentence that the next page shows once
LARGEST_FILE = 1_000_000  # bytes of a file in a form
_LONGEST = 1_000  # bytes of that sentence, each of which may be three of the cookie: browsers take 4,096


class Upload(Struct, frozen=True):
    """A file of a form: what it is called there, and its bytes; of one that is too large, one more than is allowed."""

    name: str
    data: bytes

    @property
    def is_too_large(self) -> bool:
        """Whether it was cut off."""
        return len(self.data) > LARGEST_FILE


class Visit(Struct, frozen=True):
    """A page's view of a request. ``form`` and ``files`` hold what was posted, first values only."""

    request: Request
    site: Site
    session: Session
    form: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Upload] = field(default_factory=dict)

    @property
    def user(self) -> User:
        """Who asks."""
        return self.session.user

    @property
    def app(self) -> App:
        """The home, for reading."""
        return self.site.app

    def may(self, role: Role) -> bool:
        """Whether the role of who asks is at least ``role``."""
        return self.user.role >= role

    def asked(self, name: str, default: str = "") -> str:
        """A parameter of the address (``?name=…``)."""
        return self.request.query_params.get(name, default)

    def part(self, name: str) -> str:
        """A part of the path, as text (``/exchanges/{number}``)."""
        return str(self.request.path_params[name])

    def page(self, template: str, status: int = 200, /, **values: Any) -> Response:
        """A page of its template. Every template also finds ``visit``."""
        return HTMLResponse(rendered(template, visit=self, said=self._said(), **values), status)

    def to(self, path: str, said: str = "", /, **parameters: str) -> Response:
        """After an act: on to a page of ours, which shows ``said`` once."""
        target = f"{path}?{urlencode(parameters)}" if parameters else path
        response = RedirectResponse(target, 303)
        if said:
            secure = self.request.url.scheme == "https"
            quoted = urlencode({"": said.encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore")})
            response.set_cookie(SAID, quoted, max_age=60, path="/", httponly=True, samesite="strict", secure=secure)
        return response

    def _said(self) -> str:
        found = parse_qs(self.request.cookies.get(SAID, ""))
        return found.get("", [""])[0]
