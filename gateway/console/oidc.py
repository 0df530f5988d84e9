"""An OpenID provider that vouches for people: authorization code with PKCE, and an id_token believed when proven.

OpenID Connect Core 1.0 sections 3.1 and 2, RFC 6749 section 4.1, RFC 7636, RFC 9207. The protocol's parts are
Authlib's; HTTP, secrets and time are given from outside.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from msgspec import Struct

from gateway.errors import ProviderRefused, ProviderUnavailable, TokenUnavailable
from gateway.mail.oauth import Client, TokenClient
from gateway.mail.oauth.http import EndpointError, Get, Post
from gateway.mail.sasl import without_secrets
from gateway.mail.wire import readable
from gateway.settings import OidcSettings
from gateway.settings.console import ROLES

# Signatures with keys that the provider alone has; never "none", and never one that the client secret could make.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
_KINDS: Mapping[str, Any] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_LEEWAY = 60  # seconds that two clocks may differ
_FRESH = 3_600.0  # seconds that a description and its keys are used
_AGAIN = 60.0  # seconds between two looks for a key that is not there
_AWAY = 5.0  # seconds in which a provider that did not answer is not asked again
_NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class Errand(Struct, frozen=True):
    """What we remember of somebody whom we sent to the provider: it must come back the same."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> Errand:
        """One that nobody can guess."""
        return cls(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))


class Vouched(Struct, frozen=True):
    """Whom the provider vouches for. ``subject`` is its own number for them, for ever."""

    subject: str
    name: str
    said: tuple[str, ...]  # what the claim for roles holds


class Provider:
    """The provider of [console.oidc].

    Args:
        settings: of the table.
        redirect: the address that people come back to.
        secret: gives the client secret.
        get: asks for JSON.
        post: sends a form.
        clock: seconds since 1970 UTC.

    Raises (all): ``ProviderRefused`` where what it says does not count, ``ProviderUnavailable`` where it cannot be
    asked, and what ``secret`` raises.
    """

    def __init__(
        self,
        settings: OidcSettings,
        redirect: str,
        secret: Callable[[], str],
        get: Get,
        post: Post,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._redirect = redirect
        self._secret = secret
        self._get = get
        self._post = post
        self._clock = clock
        self._guard = threading.Lock()
        self._metadata: tuple[float, Mapping[str, Any]] | None = None
        self._keys: tuple[float, Sequence[Mapping[str, Any]]] | None = None
        self._trouble: tuple[float, str] | None = None  # when it did not answer, and why

    def address(self, errand: Errand) -> str:
        """Where somebody is sent to."""
        return str(
            prepare_grant_uri(
                self._described()["authorization_endpoint"],
                client_id=self._settings.client_id,
                response_type="code",
                redirect_uri=self._redirect,
                scope=self._settings.scope,
                state=errand.state,
                nonce=errand.nonce,
                code_challenge=create_s256_code_challenge(errand.verifier),
                code_challenge_method="S256",
            )
        )

    def returned(self, errand: Errand, answer: Mapping[str, str]) -> Vouched:
        """Whom the provider vouches for, from what came back with them."""
        if not hmac.compare_digest(answer.get("state", "").encode(), errand.state.encode()):
            raise ProviderRefused(reason="the answer belongs to another sign-in")
        if answer.get("iss", self._settings.issuer) != self._settings.issuer:
            raise ProviderRefused(reason="another provider answered")
        if "error" in answer:
            said = readable(f"{answer['error']} {answer.get('error_description', '')}".strip().encode()[:300])
            raise ProviderRefused(reason=f"it said no ({said})")
        if not answer.get("code"):
            raise ProviderRefused(reason="it sent no code")
        given = self._exchanged(errand, answer["code"])
        token = given.get("id_token")
        if not isinstance(token, str):
            raise ProviderRefused(reason="it gave no id_token")
        return self._vouched(self._proven(token, errand, str(given.get("access_token", ""))))

    # ------------------------------------------------------------ the code

    def _exchanged(self, errand: Errand, code: str) -> Mapping[str, Any]:
        described = self._described()
        supported = described.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        client = Client(
            name="console.oidc",
            grant="refresh-token",
            client_id=self._settings.client_id,
            authentication="basic" if "client_secret_basic" in supported else "post",
            token_url=str(described["token_endpoint"]),
            secret=self._secret,
        )
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect,
            "code_verifier": errand.verifier,
        }
        try:
            told, sent = TokenClient(client, self._post, self._clock).tell(client.token_url, fields)
        except TokenUnavailable as fault:
            raise self._unavailable(str(fault.details["reason"])) from None
        if told.status >= 500 or told.status == 429:
            raise self._unavailable(f"HTTP {told.status}")
        if told.status != 200 or "error" in told.fields:
            error = f"{told.fields.get('error', f'HTTP {told.status}')}"
            said = without_secrets(readable(error.encode()[:200]), sent)
            raise ProviderRefused(reason=f"it does not take the code ({said})")
        return told.fields

    # ------------------------------------------------------------ the token

    def _proven(self, token: str, errand: Errand, access_token: str) -> Mapping[str, Any]:
        """The claims of an id_token, once its signature and each claim that must fit have been looked at."""
        header, claims = self._signed(token)
        believed = CodeIDToken(
            claims,
            header,
            options={
                "iss": {"essential": True, "value": self._settings.issuer},
                "aud": {"essential": True, "value": self._settings.client_id},
                "sub": {"essential": True},
                "exp": {"essential": True},
                "iat": {"essential": True},
                "nonce": {"essential": True},
            },
            params={"nonce": errand.nonce, "client_id": self._settings.client_id, "access_token": access_token},
        )
        try:
            believed.validate(now=int(self._clock()), leeway=_LEEWAY)
        except JoseError as problem:
            raise ProviderRefused(reason=f"its id_token does not fit: {_told(problem)}") from None
        audience = believed["aud"]
        if isinstance(audience, list) and len(audience) > 1 and believed.get("azp") != self._settings.client_id:
            raise ProviderRefused(reason="its id_token is for others too, and was not given to us")
        return claims

    def _signed(self, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        try:
            header = dict(jws.extract_compact(token.encode()).headers())
        except (JoseError, ValueError) as problem:
            raise ProviderRefused(reason="its id_token cannot be read") from problem
        if header.get("alg") not in ALGORITHMS:
            raise ProviderRefused(reason=f"its id_token is signed by {readable(str(header.get('alg')).encode()[:40])}")
        for key in self._candidates(header.get("kid")):
            try:
                found = jwt.decode(token, _KINDS[str(key["kty"])].import_key(dict(key)), algorithms=list(ALGORITHMS))
            except (JoseError, ValueError, KeyError, TypeError):
                continue
            return dict(found.header), dict(found.claims)
        raise ProviderRefused(reason="its id_token is signed by no key of the provider")

    def _candidates(self, kid: object) -> list[Mapping[str, Any]]:
        """The provider's keys of that name; all of them where the token names none."""
        for again in (False, True):
            keys = [each for each in self._signing_keys(again=again) if kid is None or each.get("kid") == kid]
            if keys:
                return keys
        return []

    def _signing_keys(self, *, again: bool) -> list[Mapping[str, Any]]:
        """Its keys for signatures. ``again``: one is not there, so it may have a new one; looked for now and then."""
        with self._guard:
            known, now = self._keys, time.monotonic()
            if known is None or now - known[0] > (_AGAIN if again else _FRESH):
                found = self._asked(str(self._described_unguarded()["jwks_uri"])).get("keys")
                listed = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
                self._keys = known = (now, listed)
        return [each for each in known[1] if each.get("kty") in _KINDS and each.get("use", "sig") == "sig"]

    # ------------------------------------------------------------ what it says of itself and of people

    def _described(self) -> Mapping[str, Any]:
        with self._guard:
            return self._described_unguarded()

    def _described_unguarded(self) -> Mapping[str, Any]:
        known, now = self._metadata, time.monotonic()
        if known is not None and now - known[0] < _FRESH:
            return known[1]
        found = self._asked(f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self._settings.issuer:
            said = readable(str(found.get("issuer")).encode()[:200])
            raise ProviderRefused(reason=f"it calls itself {said}, and gateway.toml says {self._settings.issuer}")
        if missing := [name for name in _NEEDED if not isinstance(found.get(name), str)]:
            raise ProviderRefused(reason=f"its description has no {', '.join(missing)}")
        self._metadata = (now, found)
        return found

    def _asked(self, url: str) -> Mapping[str, Any]:
        """What it says there. Those who waited for an answer that did not come need not wait for their own, too."""
        if self._trouble is not None and time.monotonic() - self._trouble[0] < _AWAY:
            raise self._unavailable(self._trouble[1])
        try:
            told = self._get(url)
        except EndpointError as problem:
            self._trouble = (time.monotonic(), str(problem))
            raise self._unavailable(str(problem)) from None
        if told.status != 200:
            raise self._unavailable(f"HTTP {told.status} at {urlsplit(url).path}")
        return told.fields

    def _unavailable(self, reason: str) -> ProviderUnavailable:
        return ProviderUnavailable(
            host=urlsplit(self._settings.issuer).hostname or self._settings.issuer, reason=reason
        )

    def _vouched(self, claims: Mapping[str, Any]) -> Vouched:
        settings = self._settings
        name = claims.get(settings.name_claim)
        if not isinstance(name, str) or not name.strip():
            raise ProviderRefused(reason=f"its id_token has no {settings.name_claim}, which is to name the user")
        # Some providers write it as a text; one that says nothing of it vouches for the address itself.
        if settings.name_claim == "email" and str(claims.get("email_verified", True)).lower() != "true":
            raise ProviderRefused(reason="it has not verified that the email address is this person's")
        found = _at(claims, settings.role_claim)
        listed = found if isinstance(found, list) else [found]
        said = tuple(each for each in listed if isinstance(each, str))
        return Vouched(str(claims["sub"]), name.strip(), said)


def role_of(settings: OidcSettings, vouched: Vouched) -> str | None:
    """The highest role that the provider's words stand for here; None where none of them does."""
    meant = [role for said, role in settings.roles if said in vouched.said]
    return max(meant, key=ROLES.index, default=None)


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its name, or by a way into tables: ``realm_access.roles``."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _told(problem: JoseError) -> str:
    said = str(getattr(problem, "description", "") or "") or problem.error
    return readable(f"{said}".encode()[:200])
