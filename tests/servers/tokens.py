"""An OAuth2 provider on loopback: token, device and introspection endpoint, told by the test what to do."""

from __future__ import annotations

import base64
import itertools
import json
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

CLIENT, SECRET = "edi-client", "client-s3cret-Xyz0123456789"
_COUNT = itertools.count(1)


@dataclass
class Provider:
    """A running provider. ``lives`` is how long tokens are good (seconds); ``answers`` replace the next ones.

    ``user`` is whose tokens it gives; ``asked`` holds every form that came to the token endpoint.
    """

    url: str = ""
    user: str = "edi@example.test"
    lives: float = 3600.0
    said_lives: float | None = None  # what it says of that, where it lies
    rotates: bool = False
    refresh: str = "refresh-0-" + "r" * 30
    device_code: str = ""
    decision: str = "authorization_pending"
    asked: list = field(default_factory=list)
    headers: list = field(default_factory=list)
    answers: deque = field(default_factory=deque)  # (status, fields or bytes, headers)
    tokens: dict = field(default_factory=dict)  # token → (user, until)
    uses: int | None = None  # how often a token is found good before it ends
    revoked: set = field(default_factory=set)
    introspected: list = field(default_factory=list)

    @property
    def token_url(self):
        return f"{self.url}/token"

    @property
    def device_url(self):
        return f"{self.url}/device"

    def grants(self):
        """Which grants were asked for, in order."""
        return [each.get("grant_type", "").rsplit(":", 1)[-1] for each in self.asked]

    def give(self):
        """A new access token, as the answer of the token endpoint."""
        token = f"access-{next(_COUNT)}-" + "a" * 40
        self.tokens[token] = (self.user, time.time() + self.lives)
        said = self.lives if self.said_lives is None else self.said_lives
        fields = {"access_token": token, "token_type": "Bearer", "expires_in": said}
        if self.rotates:
            self.refresh = f"refresh-{next(_COUNT)}-" + "r" * 30
            fields["refresh_token"] = self.refresh
        return 200, fields

    def token(self, form):
        """The answer to a form."""
        grant = form.get("grant_type", "")
        if grant == "refresh_token" and form.get("refresh_token") != self.refresh:
            return 400, {"error": "invalid_grant", "error_description": "AADSTS700082: The refresh token has expired."}
        if grant == "authorization_code":
            return self._code(form)
        if grant.endswith(":device_code"):
            return self._device(form)
        return self.give()

    def _code(self, form):
        """Gives a refresh token for the code ``right`` and remembers nothing: the test looks at the rest."""
        if form.get("code") != "right":
            return 400, {"error": "invalid_grant"}
        status, fields = self.give()
        return status, {"refresh_token": self.refresh, **fields}

    def _device(self, form):
        if form.get("device_code") != self.device_code:
            return 400, {"error": "invalid_grant"}
        if self.decision:
            return 400, {"error": self.decision}
        status, fields = self.give()
        return status, {"refresh_token": self.refresh, **fields}

    def begin_device(self):
        self.device_code = f"device-{next(_COUNT)}"
        return 200, {
            "device_code": self.device_code, "user_code": "WDJB-MJHT", "verification_uri": f"{self.url}/activate",
            "expires_in": 60, "interval": 1,
        }  # fmt: skip

    def introspect(self, token):
        """What Dovecot is told of a token."""
        self.introspected.append(token)
        user, until = self.tokens.get(token, ("", 0.0))
        worn = self.uses is not None and self.introspected.count(token) > self.uses
        active = bool(user) and until > time.time() and token not in self.revoked and not worn
        return {"active": active, "username": user}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        provider = self.server.provider
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        form = {key: values[0] for key, values in parse_qs(body).items()}
        path = urlsplit(self.path).path
        if path == "/introspect":
            self._say(200, provider.introspect(form.get("token", "")))
            return
        provider.asked.append(form)
        provider.headers.append(dict(self.headers))
        if provider.answers:
            self._say(*provider.answers.popleft())
        elif path == "/device":
            self._say(*provider.begin_device())
        elif path != "/token":
            self._say(404, {})
        elif self._known(form):
            self._say(*provider.token(form))
        else:
            self._say(401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret."})

    def _known(self, form):
        basic = self.headers.get("Authorization", "")
        if basic:
            return basic == "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if "assertion" in form or "client_assertion" in form:
            return True  # the test looks at it
        return form.get("client_id") == CLIENT and form.get("client_secret", SECRET) == SECRET

    def _say(self, status, content, headers=()):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Quiet."""


@contextmanager
def running(tls=None):
    """A provider while the block runs; ``tls`` is a ``certificates.ServerTls``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    scheme = "http"
    if tls is not None:
        scheme, server.socket = "https", tls.context().wrap_socket(server.socket, server_side=True)
    server.provider = Provider(url=f"{scheme}://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.fixture
def provider():
    """A provider for one test."""
    with running() as provider:
        yield provider
