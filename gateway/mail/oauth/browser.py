"""The browser flow: a person allows the gateway to use an account, in a browser that reaches this machine.

Authorization code with PKCE (RFC 6749 section 4.1, RFC 7636), answered to a loopback address (RFC 8252 section 7.3).
For providers whose device flow does not give access to mail, as Google's.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Self
from urllib.parse import parse_qs, urlsplit

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from gateway.errors import TokenRefused
from gateway.mail.oauth.client import Permission, TokenClient
from gateway.mail.wire import readable

_LONGEST = 900.0  # seconds that we wait for a person
_PAGE = b"The gateway has its answer. You can close this page.\n"


class BrowserFlow:
    """One permission being asked for; a context manager that listens on a loopback ``port`` (0: any free one).

    Raises (all): ``TokenRefused`` when the person or provider says no or nobody comes, ``TokenUnavailable``,
    ``OSError`` where the port is taken.
    """

    def __init__(self, client: TokenClient, port: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._state = secrets.token_urlsafe(24)
        self._verifier = secrets.token_urlsafe(48)
        self._server = _Listener(("127.0.0.1", port), _Handler)
        # "localhost" and not 127.0.0.1: the one that both large providers take with any port.
        self._redirect = f"http://localhost:{self._server.server_port}/"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    @property
    def port(self) -> int:
        """Where the browser must reach this machine."""
        return self._server.server_port

    def address(self) -> str:
        """What the person opens."""
        client = self._client.client
        if not client.authorize_url:
            raise TokenRefused(host=client.host, name=client.name, reason="no authorize_url is set")
        return str(
            prepare_grant_uri(
                client.authorize_url,
                client.client_id,
                "code",
                redirect_uri=self._redirect,
                scope=client.scope,
                state=self._state,
                code_challenge=create_s256_code_challenge(self._verifier),
                code_challenge_method="S256",
            )
        )

    def wait(self) -> Permission:
        """Waits until the browser brings the provider's answer."""
        client, end = self._client.client, self._clock() + _LONGEST
        while (left := end - self._clock()) > 0:
            self._server.timeout = min(left, 1.0)
            self._server.handle_request()
            told, self._server.told = self._server.told, {}
            # Whatever else comes to this port is not the answer to what we asked.
            if not hmac.compare_digest(told.get("state", "").encode(), self._state.encode()):
                continue
            if "code" in told:
                return self._exchanged(told["code"])
            said = readable(f"{told.get('error', '')}: {told.get('error_description', '')}".encode()).strip(" :")
            raise TokenRefused(host=client.host, name=client.name, reason=said or "an answer that is none")
        raise TokenRefused(host=client.host, name=client.name, reason="nobody came in time")

    def _exchanged(self, code: str) -> Permission:
        client = self._client.client
        fields = {"code": code, "redirect_uri": self._redirect, "code_verifier": self._verifier}
        found = self._client.exchanged(fields)
        if not found.refresh:
            reason = "it gave no refresh token; the scope or authorize_url must ask for offline access"
            raise TokenRefused(host=client.host, name=client.name, reason=reason)
        return found


class _Listener(HTTPServer):
    """Takes one request at a time and remembers what it told."""

    told: dict[str, str] = {}  # noqa: RUF012 - replaced, never changed


class _Handler(BaseHTTPRequestHandler):
    timeout = 5  # a connection that says nothing must not hold us

    def do_GET(self) -> None:
        """The browser, sent here by the provider."""
        assert isinstance(self.server, _Listener)
        query = parse_qs(urlsplit(self.path).query)
        self.server.told = {key: values[0] for key, values in query.items()}
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(_PAGE)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, *_: object) -> None:
        """Nothing: the path holds the code."""
