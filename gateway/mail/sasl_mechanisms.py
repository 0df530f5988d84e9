"""The SASL mechanisms (RFC 4422) as values: bytes in, bytes out, no socket. SCRAM has a module of its own."""

from __future__ import annotations

import hmac
import json
from typing import Protocol

from gateway.mail.wire import readable


class SaslError(Exception):
    """The host broke the rules of a mechanism, or the credentials do not fit into it. Says so without any secret.

    ``impostor`` is True where the host failed to prove that it knows the password.
    """

    def __init__(self, reason: str, *, impostor: bool = False) -> None:
        super().__init__(reason)
        self.impostor = impostor


class Mechanism(Protocol):
    """One run of a mechanism, from its first response to the host's last challenge.

    ``complete`` is True once the host may say yes; a yes before that is no yes (RFC 5802 section 5: the server's
    signature must have been seen). ``explanation`` is what the host said of a failure within the mechanism, or "".
    """

    @property
    def name(self) -> str:
        """As registered, PLAIN or SCRAM-SHA-256."""
        ...

    @property
    def complete(self) -> bool:
        """Whether the host may say yes now."""
        ...

    @property
    def explanation(self) -> str:
        """For people; empty where the host gave none."""
        ...

    def initial(self) -> bytes | None:
        """The initial response, or None where the host speaks first."""
        ...

    def respond(self, challenge: bytes) -> bytes:
        """The answer to a challenge.

        Raises:
            SaslError: the challenge breaks the rules.
        """
        ...


class Plain:
    """PLAIN (RFC 4616): user and password in one response."""

    name = "PLAIN"
    complete = True
    explanation = ""

    def __init__(self, user: str, password: str) -> None:
        self._response = f"\0{user}\0{password}".encode()

    def initial(self) -> bytes:
        """Everything."""
        return self._response

    def respond(self, challenge: bytes) -> bytes:  # noqa: ARG002
        """There is nothing to answer."""
        raise SaslError("the host asked for more than PLAIN has")


class Login:
    """LOGIN: the host asks for the user, then for the password. Never standardised, widely spoken."""

    name = "LOGIN"
    explanation = ""

    def __init__(self, user: str, password: str) -> None:
        self._answers = [password.encode(), user.encode()]

    @property
    def complete(self) -> bool:
        """Whether both answers were given."""
        return not self._answers

    def initial(self) -> None:
        """The host speaks first."""

    def respond(self, challenge: bytes) -> bytes:  # noqa: ARG002 - hosts word it as they like
        """User, then password."""
        if not self._answers:
            raise SaslError("the host asked for more than user and password")
        return self._answers.pop()


class CramMd5:
    """CRAM-MD5 (RFC 2195): the password keys a digest of the host's challenge and stays here."""

    name = "CRAM-MD5"
    explanation = ""

    def __init__(self, user: str, password: str) -> None:
        self._user = user
        self._password = password
        self.complete = False

    def initial(self) -> None:
        """The host speaks first."""

    def respond(self, challenge: bytes) -> bytes:
        """User and digest."""
        if self.complete or not challenge:
            raise SaslError("CRAM-MD5 has one challenge, and it is not empty")
        self.complete = True
        digest = hmac.new(self._password.encode(), challenge, "md5").hexdigest()
        return f"{self._user} {digest}".encode()


class _Bearer:
    """What XOAUTH2 and OAUTHBEARER share: one response; a challenge after it is the host's word on a failure."""

    name = ""
    complete = True
    _acknowledge = b""  # what the host waits for before it says no

    def __init__(self, response: str) -> None:
        self._response = response.encode()
        self.explanation = ""

    def initial(self) -> bytes:
        """User and access token."""
        return self._response

    def respond(self, challenge: bytes) -> bytes:
        """Takes the host's word on the failure and lets it go on (RFC 7628 section 3.2.3)."""
        if self.explanation:
            raise SaslError("the host goes on asking after it has refused the token")
        self.explanation = _failure(challenge)
        return self._acknowledge


class XOAuth2(_Bearer):
    """XOAUTH2: what Google and Microsoft spoke before RFC 7628."""

    name = "XOAUTH2"

    def __init__(self, user: str, token: str) -> None:
        super().__init__(f"user={user}\x01auth=Bearer {token}\x01\x01")


class OAuthBearer(_Bearer):
    """OAUTHBEARER (RFC 7628)."""

    name = "OAUTHBEARER"
    _acknowledge = b"\x01"

    def __init__(self, user: str, token: str) -> None:
        escaped = user.replace("=", "=3D").replace(",", "=2C")
        # host and port are for schemes that sign; a bearer token goes without (section 3.1).
        super().__init__(f"n,a={escaped},\x01auth=Bearer {token}\x01\x01")


def _failure(challenge: bytes) -> str:
    """The error object of RFC 7628 section 3.2.2 in words; whatever else the host says as it is."""
    try:
        told = json.loads(challenge[:4_000])
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        return readable(challenge) or "the token was refused"
    words = [f"{key} {told[key]}" for key in ("status", "scope") if isinstance(told.get(key), str | int)]
    return readable(", ".join(words).encode()) or "the token was refused"
