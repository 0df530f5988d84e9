"""Asking a token endpoint: client credentials, a refresh token, a service account, a device code."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from authlib.common.urls import url_encode
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc7523.assertion import sign_jwt_bearer_assertion
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import RSAKey
from msgspec import Struct

from gateway.errors import TokenRefused, TokenUnavailable
from gateway.mail.oauth.http import EndpointError, Post, Said
from gateway.mail.sasl import without_secrets
from gateway.mail.wire import readable

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"  # RFC 8628 section 3.4
_ASSERTION_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"  # RFC 7523 section 2.1
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523 section 2.2
_HEADERS = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"}
_LIFE = 600  # seconds that an assertion of ours is good for
_SHORT, _LONG = 60, 30 * 86_400  # seconds that a token may live by what the endpoint says
_ASSUMED = 3_600  # seconds, where it does not say
# Errors that pass by themselves (RFC 6749 section 4.1.2.1, and what providers send beside it).
_PASSING = {"temporarily_unavailable", "server_error", "slow_down", "rate_limit_exceeded"}


class Client(Struct, frozen=True):
    """Who asks, and where. ``secret`` gives the client secret, or a private key (and certificate) in PEM.

    ``grant`` is client-credentials, refresh-token or service-account; ``authentication`` is post, basic,
    certificate or none. ``name`` is the table's in gateway.toml.
    """

    name: str
    grant: str
    client_id: str
    authentication: str
    token_url: str
    scope: str = ""
    device_url: str = ""
    authorize_url: str = ""
    subject: str = ""
    secret: Callable[[], str] | None = None

    @property
    def host(self) -> str:
        """The token endpoint's host, for people."""
        return urlsplit(self.token_url).hostname or self.token_url


class Permission(Struct, frozen=True):
    """What an endpoint gave. ``expires_at``: seconds since 1970 UTC; ``refresh`` is empty where none was given."""

    access: str
    expires_at: float
    refresh: str = ""

    def __repr__(self) -> str:
        return f"Permission(expires_at={self.expires_at!r})"


class TokenClient:
    """One application at one provider.

    Raises (all that ask): ``TokenRefused`` for the provider's no, ``TokenUnavailable`` where it cannot be asked, and
    whatever ``Client.secret`` raises.
    """

    def __init__(self, client: Client, post: Post, clock: Callable[[], float] = time.time) -> None:
        self.client = client
        self._post = post
        self._clock = clock

    def by_itself(self) -> Permission:
        """A token that needs nobody: client credentials, or the service account's assertion."""
        if self.client.grant == "service-account":
            secret = self._secret()
            claims = {"scope": self.client.scope} if self.client.scope else {}
            assertion = self._signed(secret, self.client.client_id, self.client.subject, claims, "RS256")
            return self._permission(self._ask({"grant_type": _ASSERTION_GRANT, "assertion": assertion}, prove=False))
        return self._permission(self._ask({"grant_type": "client_credentials", "scope": self.client.scope}))

    def refreshed(self, refresh_token: str) -> Permission:
        """A new token for a refresh token; it may come with a refresh token that replaces it."""
        fields = {"grant_type": "refresh_token", "refresh_token": refresh_token, "scope": self.client.scope}
        found = self._permission(self._ask(fields))
        return Permission(found.access, found.expires_at, found.refresh or refresh_token)

    def exchanged(self, fields: Mapping[str, str]) -> Permission:
        """What an authorization code gives (RFC 6749 section 4.1.3)."""
        return self._permission(self._ask({"grant_type": "authorization_code", **fields}))

    def permission(self, told: Said) -> Permission:
        """What a good answer gives, or the fault of a bad one."""
        return self._permission(self._checked(told, ()))

    def tell(self, url: str, fields: Mapping[str, str], *, prove: bool = True) -> tuple[Said, list[str]]:
        """Sends a form with the client's proof; the answer, good or bad, and the secrets that were sent."""
        sent = {key: value for key, value in fields.items() if value}
        secret = self._secret() if prove and self.client.authentication != "none" else ""
        if prove and self.client.authentication == "certificate":
            assertion = self._signed(secret, self.client.client_id, self.client.client_id, {}, "PS256")
            sent |= {"client_assertion_type": _ASSERTION_TYPE, "client_assertion": assertion}
        way = {"post": "client_secret_post", "basic": "client_secret_basic"}.get(self.client.authentication, "none")
        headers, form = dict(_HEADERS), url_encode(sent.items())
        if prove:
            _, headers, form = ClientAuth(self.client.client_id, secret, way).prepare("POST", url, headers, form)
        secrets = [secret, *(value for key, value in sent.items() if key not in {"grant_type", "scope"})]
        try:
            return self._post(url, headers, form), secrets
        except EndpointError as problem:
            reason = without_secrets(str(problem), secrets)
            raise TokenUnavailable(host=self.client.host, name=self.client.name, reason=reason) from None

    # ------------------------------------------------------------ inside

    def _ask(self, fields: Mapping[str, str], *, prove: bool = True) -> Mapping[str, Any]:
        told, secrets = self.tell(self.client.token_url, fields, prove=prove)
        return self._checked(told, secrets)

    def _checked(self, told: Said, secrets: Any) -> Mapping[str, Any]:
        if told.status == 200 and "error" not in told.fields:
            return told.fields
        error = str(told.fields.get("error", f"HTTP {told.status}"))
        description = str(told.fields.get("error_description", "")).split("Trace ID", 1)[0]
        said = without_secrets(readable(f"{error}: {description}".strip(" :").encode()), secrets)
        passing = told.status >= 500 or told.status == 429 or error in _PASSING
        fault = TokenUnavailable if passing else TokenRefused
        raise fault(host=self.client.host, name=self.client.name, reason=said)

    def _permission(self, fields: Mapping[str, Any]) -> Permission:
        access, kind, refresh = fields.get("access_token"), fields.get("token_type"), fields.get("refresh_token")
        if not isinstance(access, str) or not access or str(kind).lower() != "bearer":
            reason = "its answer holds no bearer token"
            raise TokenUnavailable(host=self.client.host, name=self.client.name, reason=reason)
        try:
            lives = float(fields.get("expires_in") or _ASSUMED)
        except (TypeError, ValueError):
            lives = _ASSUMED
        lives = min(max(lives, _SHORT), _LONG) if lives == lives else _ASSUMED  # noqa: PLR0124 - not a number
        return Permission(access, self._clock() + lives, refresh if isinstance(refresh, str) else "")

    def _secret(self) -> str:
        return self.client.secret() if self.client.secret is not None else ""

    def _signed(self, pem: str, issuer: str, subject: str, claims: dict[str, str], algorithm: str) -> str:
        """An assertion (RFC 7523 section 3), signed with the private key in ``pem``."""
        try:
            signed = sign_jwt_bearer_assertion(
                _private_key(pem),
                issuer,
                self.client.token_url,
                subject,
                int(self._clock()),
                claims=dict(claims),
                header={"alg": algorithm, "typ": "JWT", **_thumbprint(pem)},
                expires_in=_LIFE,
            )
        except (ValueError, TypeError) as problem:
            reason = f"the secret holds no usable private key in PEM ({type(problem).__name__})"
            raise TokenRefused(host=self.client.host, name=self.client.name, reason=reason) from None
        return str(signed)


def _private_key(pem: str) -> RSAKey:
    """The private key in ``pem``, alone: what stands around it (a certificate) is not the library's to guess."""
    key = serialization.load_pem_private_key(pem.encode(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("RS256 and PS256 are made with RSA keys")
    alone = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return RSAKey.import_key(alone)


def _thumbprint(pem: str) -> dict[str, str]:
    """The header by which Microsoft finds the certificate (RFC 7515 section 4.1.8), where there is one."""
    if "BEGIN CERTIFICATE" not in pem:
        return {}
    digest = x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA256())
    return {"x5t#S256": base64.urlsafe_b64encode(digest).rstrip(b"=").decode()}
