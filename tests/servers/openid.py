"""An OpenID provider on loopback: description, keys, token endpoint; a test decides what it lies about."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

CLIENT, SECRET = "edi-console", "client s3cret/Xyz+0123456789"


@dataclass
class OpenId:
    """A running provider. What the next token says is its honest claims, changed by ``lies`` (None: left out)."""

    url: str = ""
    subject: str = "248289761001"
    name: str = "olga"
    groups: list | str | None = field(default_factory=lambda: ["edi operators"])
    lies: dict = field(default_factory=dict)
    metadata: dict = field(default_factory=dict)  # in place of what it honestly says of itself
    algorithm: str = "RS256"
    signs_with: object = None  # another key than it shows
    kid: str | None = "first"
    shows: list = field(default_factory=list)  # keys, public halves
    answer: tuple | None = None  # (status, fields) in place of the token endpoint's
    asked: list = field(default_factory=list)
    looked_for_keys: int = 0
    codes: dict = field(default_factory=dict)

    def __post_init__(self):
        self.key = RSAKey.generate_key(2048, {"kid": "first", "use": "sig", "alg": "RS256"})
        self.shows = [self.key]

    def described(self):
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        } | self.metadata

    def authorized(self, location):
        """Somebody says yes on its page: the parameters with which the browser is sent back, and where to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return asked["redirect_uri"], {"code": code, "state": asked["state"], "iss": self.url}

    def token(self, form, authorization):
        """The answer of the token endpoint, as strict as a real one."""
        asked = self.codes.pop(form.get("code", ""), None)
        if asked is None:
            return 400, {"error": "invalid_grant"}
        wanted = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        known = unquote(base64.b64decode(authorization.removeprefix("Basic ")).decode()) if authorization else ""
        in_form = (form.get("client_id"), form.get("client_secret")) == (CLIENT, SECRET)
        if authorization != wanted and known != f"{CLIENT}:{SECRET}" and not in_form:
            return 401, {"error": "invalid_client"}
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        if form.get("redirect_uri") != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": "access-1", "token_type": "Bearer", "id_token": self.id_token(asked)}

    def id_token(self, asked):
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": self.subject,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "preferred_username": self.name,
            "groups": self.groups,
        } | self.lies
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": self.algorithm} | ({"kid": self.kid} if self.kid else {})
        if self.algorithm == "none":
            return f"{_b64(header)}.{_b64(claims)}."
        if self.algorithm == "HS256":  # by hand: the library knows this trick
            signed = f"{_b64(header)}.{_b64(claims)}"
            mac = hmac.digest(self.signs_with, signed.encode(), "sha256")
            return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
        return jwt.encode(header, claims, self.signs_with or self.key, algorithms=[self.algorithm])


def forged_by_public_key(provider):
    """The old trick: the public key, which everybody has, used as the secret of an HMAC."""
    provider.algorithm = "HS256"
    provider.signs_with = provider.key.as_pem(private=False)


def another_key(kid="first"):
    """A key that the provider never showed."""
    return RSAKey.generate_key(2048, {"kid": kid})


def elliptic(provider, kid="second"):
    """The provider changes to a new key, of another kind."""
    provider.key = ECKey.generate_key("P-256", {"kid": kid, "use": "sig"})
    provider.shows = [provider.key]
    provider.kid, provider.algorithm = kid, "ES256"


def _b64(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        provider = self.server.provider
        path = urlsplit(self.path).path
        if path == "/.well-known/openid-configuration":
            self._say(200, provider.described())
        elif path == "/keys":
            provider.looked_for_keys += 1
            self._say(200, {"keys": [each.as_dict(private=False) for each in provider.shows]})
        else:
            self._say(404, {})

    def do_POST(self):
        provider = self.server.provider
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        form = {key: values[0] for key, values in parse_qs(body).items()}
        provider.asked.append(form)
        self._say(*(provider.answer or provider.token(form, self.headers.get("Authorization", ""))))

    def _say(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Quiet."""


@contextmanager
def running():
    """A provider while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.provider = OpenId(url=f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
