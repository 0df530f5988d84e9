"""Logging in by SASL (RFC 4422), for POP3, IMAP and SMTP alike. No socket in here.

A protocol gives ``authenticate`` a ``Talk`` (three small methods that say its AUTH or AUTHENTICATE), the mechanisms
that the host offers, and our ``Credentials``; it gets the host's last ``Answer``: *good*, or *later* where the host
cannot serve us now (the protocol has its own fault for that). A refusal is raised. Every ``Answer.text`` that comes
out is without secrets.

Which mechanism is taken, among those offered:

- with a token OAUTHBEARER (RFC 7628), else XOAUTH2; never a password;
- with a password over TLS PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5. PLAIN goes first on purpose: behind a
  verified certificate it is safe, and it works whatever way the host stores passwords. A host that offers SCRAM but
  lacks its keys for an account answers as to a wrong password, and trying again would lock accounts;
- with a password without TLS SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5, and only where ``plaintext_allowed`` PLAIN, LOGIN.

``Credentials.mechanism`` takes this choice away: that one and no other, offered or not. The next mechanism is tried
only where the host does not know the one before, never after it refused the password. A refused token is renewed
once (``Credentials.renew``).
"""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from gateway.errors import GatewayError, InsecureConnection, LoginRefused, TokenNotTaken
from gateway.mail.model import Credentials
from gateway.mail.sasl_mechanisms import CramMd5, Login, Mechanism, OAuthBearer, Plain, SaslError, XOAuth2
from gateway.mail.sasl_scram import Scram
from gateway.mail.wire import ConnectionLostError

CHALLENGE, GOOD, REFUSED, UNKNOWN, LATER = "challenge", "good", "refused", "unknown", "later"

BEARER = ("OAUTHBEARER", "XOAUTH2")
SECRET_KEEPING = ("SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5")  # the password itself does not travel
REVEALING = ("PLAIN", "LOGIN")

_FORBIDDEN = re.compile(r"[\r\n\0\x01]")
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # RFC 6750 section 2.1
_LONG_WORD = re.compile(r"[A-Za-z0-9+/=._~-]{12,}")
_ROUNDS = 6  # challenges in one exchange; SCRAM has two


class Answer(Struct, frozen=True):
    """What the host said. ``data`` is a challenge, decoded; ``text`` is the reply for people.

    ``kind`` is challenge, good, refused (the credentials), unknown (the mechanism), or later.
    """

    kind: str
    data: bytes = b""
    text: str = ""


_NO_LOGIN = (
    "Many hosts offer a login only with TLS, or on another port: correct security and port in gateway.toml. Where a "
    "host that we send through wants no login, take user out of [smtp]."
)
_OTHER_WAY = (
    "A new password would not help. Take auth out of gateway.toml where it stands there; a provider that offers only "
    "XOAUTH2 or OAUTHBEARER wants OAuth2: docs/oauth.md."
)


class Talk(Protocol):
    """How a protocol carries SASL. Each method sends one line (or two) and gives the host's answer.

    Raises (all): ``ConnectionLostError``.
    """

    def begin(self, mechanism: str, initial: bytes | None) -> Answer:
        """AUTH or AUTHENTICATE. Where the protocol has no room for ``initial``, it answers an empty challenge."""
        ...

    def respond(self, data: bytes) -> Answer:
        """The answer to a challenge."""
        ...

    def cancel(self) -> Answer:
        """Gives the exchange up: a lone ``*``."""
        ...


class Line(Struct, frozen=True):
    """The connection that we log in on. ``protected``: TLS is on; ``plaintext_allowed``: plaintext_password is set."""

    host: str
    protected: bool
    plaintext_allowed: bool = False


def authenticate(talk: Talk, offered: Sequence[str], credentials: Credentials, line: Line) -> Answer:
    """Logs in with the best mechanism and returns the host's last answer, *good* or *later*.

    Raises:
        LoginRefused: the host refused, broke the mechanism's rules, or offers nothing that fits.
        TokenNotTaken: the host refused a token twice, the second one new.
        InsecureConnection: a password or token would travel in clear text; or the host is an impostor.
        ConnectionLostError: what the network did; its text is without secrets.
        GatewayError: whatever ``credentials`` raise.
    """
    check_name(credentials, line)
    left = [each.upper() for each in offered]
    fresh = ""  # the token in place of a refused one
    while True:
        name = choose_name(left, credentials, line)
        secret = fresh or _secret(credentials, name, line)
        answer = _run(talk, name, credentials.user, secret, line)
        if answer.kind in {GOOD, LATER}:
            return answer
        if answer.kind == UNKNOWN and not credentials.mechanism:
            left = [each for each in left if each != name]
            if _fitting(left, credentials, line):
                continue
        if name in BEARER and answer.kind == REFUSED and credentials.renew is not None and not fresh:
            fresh = credentials.renew(secret)
            continue
        reason = answer.text or "no reason was given"
        if name in BEARER:
            raise TokenNotTaken(host=line.host, user=credentials.user, reason=reason)
        raise password_refused(credentials, line, reason)


def choose(
    offered: Sequence[str], credentials: Credentials, *, protected: bool, plaintext_allowed: bool, host: str = ""
) -> Mechanism:
    """The best mechanism, ready to run; asks ``credentials`` for the password or token.

    Raises:
        LoginRefused: nothing that is offered fits. InsecureConnection: what fits is not safe on this connection.
    """
    line = Line(host, protected, plaintext_allowed)
    check_name(credentials, line)
    name = choose_name([each.upper() for each in offered], credentials, line)
    return _mechanism(name, credentials.user, _secret(credentials, name, line))


def choose_name(offered: Sequence[str], credentials: Credentials, line: Line) -> str:
    """The name of the best mechanism; ``offered`` in upper case.

    Raises:
        LoginRefused, InsecureConnection: as ``choose``.
    """
    fitting = _fitting(offered, credentials, line)
    if fitting:
        return fitting[0]
    what = "token" if credentials.token is not None else "password"
    if not _may_reveal(line) and _fitting(offered, credentials, replace(line, protected=True)):
        raise InsecureConnection(host=line.host, reason=f"the {what} would travel in clear text")
    listed = " ".join(offered)[:200] or "no mechanism"
    reason = f"it offers {ascii(listed)[1:-1]}, nothing for a login with a {what}"
    advice = _OTHER_WAY if offered else _NO_LOGIN
    raise LoginRefused(host=line.host, user=credentials.user, reason=reason, advice=advice)


def password_refused(credentials: Credentials, line: Line, reason: str) -> LoginRefused:
    """The host does not take the password, or it cannot be sent: the advice names the place where it is kept."""
    advice = credentials.advice() if credentials.advice is not None else ""
    return LoginRefused(host=line.host, user=credentials.user, reason=reason, advice=advice)


def check_name(credentials: Credentials, line: Line) -> None:
    """Refuses a user name that would break out of its command.

    Raises:
        LoginRefused
    """
    if _FORBIDDEN.search(credentials.user):
        raise LoginRefused(host=line.host, user=ascii(credentials.user), reason="a control character in the user name")


def keeps_secret(mechanism: str) -> bool:
    """Whether the password stays here, so that the login may go without TLS: SCRAM, CRAM-MD5, and APOP of POP3."""
    return mechanism in {*SECRET_KEEPING, "APOP"}


def password_of(credentials: Credentials, line: Line) -> str:
    """The password, asked for now; one that would break out of its command is refused.

    Raises:
        LoginRefused
    """
    password = credentials.password() if credentials.password is not None else ""
    if _FORBIDDEN.search(password):
        raise password_refused(credentials, line, "a control character (a line end, perhaps) in the password")
    return password


def without_secrets(text: str, secrets: Iterable[str | bytes]) -> str:
    """``text`` with every secret, and every long piece of one (a host may echo it cut short), replaced by ``***``."""
    known = [each.decode("latin-1") if isinstance(each, bytes) else each for each in secrets]
    known = [each for each in known if each]
    known += [base64.b64encode(each.encode()).decode() for each in known]
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _LONG_WORD.sub(lambda word: "***" if any(word[0] in secret for secret in known) else word[0], text)


# ---------------------------------------------------------------- inside


def _fitting(offered: Sequence[str], credentials: Credentials, line: Line) -> list[str]:
    """What could be used, best first."""
    if credentials.mechanism:
        wanted = credentials.mechanism.upper()
        allowed = SECRET_KEEPING + (REVEALING + BEARER if _may_reveal(line) else ())
        return [wanted] if wanted in allowed else []
    if credentials.token is not None:
        order: tuple[str, ...] = BEARER if _may_reveal(line) else ()
    elif line.protected:
        order = REVEALING + SECRET_KEEPING
    else:
        order = SECRET_KEEPING + (REVEALING if line.plaintext_allowed else ())
    return [each for each in order if each in offered]


def _may_reveal(line: Line) -> bool:
    return line.protected or line.plaintext_allowed


def _secret(credentials: Credentials, name: str, line: Line) -> str:
    if name not in BEARER:
        return password_of(credentials, line)
    token = credentials.token() if credentials.token is not None else ""
    if _TOKEN.fullmatch(token) is None:
        reason = "there is no access token, or it has characters that none may have (RFC 6750)"
        raise LoginRefused(host=line.host, user=credentials.user, reason=reason)
    return token


def _mechanism(name: str, user: str, secret: str) -> Mechanism:
    match name:
        case "PLAIN":
            return Plain(user, secret)
        case "LOGIN":
            return Login(user, secret)
        case "CRAM-MD5":
            return CramMd5(user, secret)
        case "XOAUTH2":
            return XOAuth2(user, secret)
        case "OAUTHBEARER":
            return OAuthBearer(user, secret)
        case _:
            return Scram(name, user, secret)


def _run(talk: Talk, name: str, user: str, secret: str, line: Line) -> Answer:
    """One exchange. The answer's text has the host's explanation, and no secret."""
    sent: list[str | bytes] = [secret]
    try:
        mechanism = _mechanism(name, user, secret)
        initial = mechanism.initial()
        sent.append(initial or b"")
        answer = talk.begin(name, initial)
        for _ in range(_ROUNDS):
            if answer.kind != CHALLENGE:
                break
            response = mechanism.respond(answer.data)
            sent.append(response)
            answer = talk.respond(response)
        _check_end(mechanism, answer)
    except SaslError as problem:
        raise _broken(talk, problem, user, line, sent) from None
    except ConnectionLostError as problem:
        raise ConnectionLostError(without_secrets(str(problem), sent)) from None
    said = f"{answer.text} ({mechanism.explanation})" if mechanism.explanation else answer.text
    return Answer(answer.kind, text=without_secrets(said, sent))


def _check_end(mechanism: Mechanism, answer: Answer) -> None:
    if answer.kind == CHALLENGE:
        raise SaslError(f"the host goes on asking, against the rules of {mechanism.name}")
    if answer.kind == GOOD and not mechanism.complete:
        raise SaslError(f"the host says yes too early for {mechanism.name}", impostor=True)


def _broken(talk: Talk, problem: SaslError, user: str, line: Line, sent: Iterable[str | bytes]) -> GatewayError:
    """The host broke the rules: the exchange is given up, whatever it says to that."""
    if not problem.impostor:
        with contextlib.suppress(ConnectionLostError):  # the fault says more than the loss
            talk.cancel()
    reason = without_secrets(str(problem), sent)
    if problem.impostor:
        return InsecureConnection(host=line.host, reason=reason)
    return LoginRefused(host=line.host, user=user, reason=reason)
