"""Logging in to a POP3 server, and what its refusals mean (RFC 1939, 2449, 3206, 5034).

Over TLS with a password USER and PASS, as every server has them, else SASL; without TLS SASL or APOP that keep the
password here, and USER and PASS only where the setting ``plaintext_password`` allows it. With a token SASL.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping

from msgspec import Struct

from gateway.errors import GatewayError, InsecureConnection, LoginRefused, MailboxBusy, MailboxUnavailable
from gateway.mail import sasl
from gateway.mail.model import Credentials
from gateway.mail.sasl import Answer, Line
from gateway.mail.wire import ConnectionLostError, readable

USER, APOP = "USER", "APOP"  # what Credentials.mechanism may name beside SASL

_LOCKED = re.compile(r"\[IN-USE\]|mail ?(?:drop|box)\b.{0,40}\block|\block.{0,40}\bmail ?(?:drop|box)", re.IGNORECASE)
_LATER = re.compile(r"\[(?:SYS/TEMP|LOGIN-DELAY)\]", re.IGNORECASE)
# Servers word it as they like, and only some send RFC 3206's [AUTH] with what is about the password.
_UNKNOWN = re.compile(
    r"(?:mechanism|auth\w*(?: type| method)?|command)\b.{0,40}\b(?:not supported|unsupported|unknown|unrecogni[sz]ed|"
    r"not recogni[sz]ed|not implemented|invalid|unavailable)|"
    r"(?:unsupported|unknown|unrecogni[sz]ed|unimplemented|invalid|bad)\b.{0,20}\b(?:mechanism|auth\w* type|"
    r"auth\w* method|command)",
    re.IGNORECASE,
)
_TIMESTAMP = re.compile(rb"<[\x21-\x3b\x3d\x3f-\x7e]{3,200}>")


class Pop3Offer(Struct, frozen=True):
    """Who speaks and what was said so far: the mailbox, the greeting, CAPA's words, and the line we log in on."""

    mailbox: str
    greeting: bytes
    capabilities: Mapping[str, str]
    line: Line

    @property
    def mechanisms(self) -> list[str]:
        """The SASL mechanisms."""
        return self.capabilities.get("SASL", "").upper().split()

    @property
    def timestamp(self) -> bytes:
        """What APOP digests (RFC 1939 section 7), or nothing."""
        found = _TIMESTAMP.search(self.greeting)
        return found[0] if found else b""

    @property
    def takes_user(self) -> bool:
        """Whether USER and PASS are there; where CAPA tells of no way for passwords, they are what is left."""
        known = {*sasl.REVEALING, *sasl.SECRET_KEEPING}
        return "USER" in self.capabilities or not known.intersection(self.mechanisms)


def log_in(command: Callable[[str], bytes], offer: Pop3Offer, credentials: Credentials) -> None:
    """Logs in; ``command`` sends one line and gives the reply line.

    Raises:
        LoginRefused, TokenNotTaken, MailboxBusy, MailboxUnavailable: the server's word.
        InsecureConnection: what is offered would show the password to the network.
        ConnectionLostError: what the network did.
    """
    sasl.check_name(credentials, offer.line)
    way = _way(offer, credentials)
    if way == USER:
        _log_in_by_user(command, offer, credentials)
    elif way == APOP:
        _log_in_by_apop(command, offer, credentials)
    else:
        answer = sasl.authenticate(Pop3Talk(command), offer.mechanisms, credentials, offer.line)
        if answer.kind == sasl.LATER:
            raise refusal(offer.mailbox, offer.line.host, answer.text)


def refusal(mailbox: str, host: str, text: str) -> GatewayError:
    """What a server means that does not let us in, for reasons that are not the login."""
    if _LOCKED.search(text):
        return MailboxBusy(mailbox=mailbox, host=host, reason=text)
    return MailboxUnavailable(mailbox=mailbox, host=host, reason=text)


class Pop3Talk:
    """AUTH (RFC 5034). The initial response always goes on a line of its own.

    It may not make the command longer than 255 bytes (section 4), which tokens do, and Microsoft takes XOAUTH2 in no
    other form.
    """

    def __init__(self, command: Callable[[str], bytes]) -> None:
        self._command = command

    def begin(self, mechanism: str, initial: bytes | None) -> Answer:
        """AUTH."""
        answer = _answer(self._command(f"AUTH {mechanism}"), beginning=True)
        if initial is None or answer.kind != sasl.CHALLENGE:
            return answer
        return self.respond(initial)

    def respond(self, data: bytes) -> Answer:
        """One line in base64."""
        return _answer(self._command(base64.b64encode(data).decode()))

    def cancel(self) -> Answer:
        """Gives up."""
        return _answer(self._command("*"))


def _way(offer: Pop3Offer, credentials: Credentials) -> str:
    """USER, APOP, or an empty text for SASL."""
    line = offer.line
    if credentials.mechanism:
        return credentials.mechanism if credentials.mechanism in {USER, APOP} else ""
    if credentials.token is not None:
        return ""
    if line.protected:
        return USER if offer.takes_user else ""
    if any(each in sasl.SECRET_KEEPING for each in offer.mechanisms):
        return ""
    if offer.timestamp:
        return APOP
    return USER if line.plaintext_allowed and offer.takes_user else ""


def _log_in_by_user(command: Callable[[str], bytes], offer: Pop3Offer, credentials: Credentials) -> None:
    line = offer.line
    if not line.protected and not line.plaintext_allowed:
        raise InsecureConnection(host=line.host, reason="the password would travel in clear text")
    password = sasl.password_of(credentials, line)
    reply = command(f"USER {credentials.user}")
    if reply.startswith(b"+OK"):
        reply = _guarded(command, f"PASS {password}", password)
    _check_taken(offer, credentials, reply, password)


def _log_in_by_apop(command: Callable[[str], bytes], offer: Pop3Offer, credentials: Credentials) -> None:
    """The MD5 digest of timestamp and password: better than a password in clear text, and not much more."""
    line = offer.line
    if not offer.timestamp:
        raise LoginRefused(host=line.host, user=credentials.user, reason="its greeting has no timestamp for APOP")
    password = sasl.password_of(credentials, line)
    digest = hashlib.md5(offer.timestamp + password.encode(), usedforsecurity=False).hexdigest()
    reply = _guarded(command, f"APOP {credentials.user} {digest}", digest)
    _check_taken(offer, credentials, reply, password)


def _guarded(command: Callable[[str], bytes], text: str, secret: str) -> bytes:
    """The reply; what the network has to say is without the secret."""
    try:
        return command(text)
    except ConnectionLostError as problem:
        raise ConnectionLostError(sasl.without_secrets(str(problem), [secret])) from None


def _check_taken(offer: Pop3Offer, credentials: Credentials, reply: bytes, secret: str) -> None:
    if reply.startswith(b"+OK"):
        return
    text = sasl.without_secrets(readable(reply, secret=secret), [secret])
    if _LOCKED.search(text) or _LATER.search(text):
        raise refusal(offer.mailbox, offer.line.host, text)
    raise sasl.password_refused(credentials, offer.line, text)


def _answer(reply: bytes, *, beginning: bool = False) -> Answer:
    """What a reply line means for SASL. Only the answer to AUTH itself can say that the mechanism is not known."""
    text = readable(reply)
    if reply == b"+" or reply.startswith(b"+ "):
        try:
            return Answer(sasl.CHALLENGE, base64.b64decode(reply[2:].strip(), validate=True), text)
        except (binascii.Error, ValueError):
            return Answer(sasl.CHALLENGE, b"", text)  # plain words; the mechanism knows whether that will do
    if reply.startswith(b"+OK"):
        return Answer(sasl.GOOD, text=text)
    if _LOCKED.search(text) or _LATER.search(text):
        return Answer(sasl.LATER, text=text)
    unknown = beginning and "[AUTH]" not in text.upper() and bool(_UNKNOWN.search(text))
    return Answer(sasl.UNKNOWN if unknown else sasl.REFUSED, text=text)
