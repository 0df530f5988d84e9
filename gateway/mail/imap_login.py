"""Logging in to an IMAP server (RFC 3501 section 6.2, RFC 4959), and what its refusals mean."""

from __future__ import annotations

import base64
import binascii

from gateway.errors import InsecureConnection, LoginRefused, MailboxBusy, MailboxUnavailable
from gateway.mail import sasl
from gateway.mail.imap_connection import Answer, ImapConnection
from gateway.mail.imap_syntax import quoted
from gateway.mail.model import Credentials
from gateway.mail.wire import ConnectionLostError, readable

_BUSY = frozenset({"INUSE", "LIMIT"})  # RFC 5530
_AWAY = frozenset({"UNAVAILABLE", "SERVERBUG"})


def log_in(connection: ImapConnection, mailbox: str, credentials: Credentials, line: sasl.Line) -> None:
    """AUTHENTICATE with the best of what is offered; LOGIN where nothing that fits is.

    Raises:
        LoginRefused, TokenNotTaken, InsecureConnection, MailboxBusy, MailboxUnavailable
        ConnectionLostError: what the network did.
    """
    offered = [each.removeprefix("AUTH=") for each in connection.capabilities if each.startswith("AUTH=")]
    talk = _Talk(connection)
    if _login_only(offered, connection, credentials, line):
        answer = _login(talk, credentials, line)
    else:
        answer = sasl.authenticate(talk, sorted(offered), credentials, line)
    if answer.kind == sasl.LATER:
        fault = MailboxBusy if talk.last_code in _BUSY else MailboxUnavailable
        raise fault(mailbox=mailbox, host=line.host, reason=answer.text)
    if answer.kind != sasl.GOOD:
        raise sasl.password_refused(credentials, line, answer.text)


def _login_only(offered: list[str], connection: ImapConnection, credentials: Credentials, line: sasl.Line) -> bool:
    """Whether only LOGIN is left, and may be used: it sends the password itself."""
    disabled = "LOGINDISABLED" in connection.capabilities or not (line.protected or line.plaintext_allowed)
    if disabled or credentials.token is not None:
        return False
    if credentials.mechanism:
        return credentials.mechanism == "LOGIN" and "LOGIN" not in offered
    try:
        sasl.choose_name(offered, credentials, line)
    except (LoginRefused, InsecureConnection):
        return True
    return False


def _login(talk: _Talk, credentials: Credentials, line: sasl.Line) -> sasl.Answer:
    sasl.check_name(credentials, line)
    password = sasl.password_of(credentials, line)
    try:
        command = f"LOGIN {quoted(credentials.user)} {quoted(password)}"
    except ValueError:
        reason = "the host takes a user and password in printable ASCII only (LOGIN)"
        raise LoginRefused(host=line.host, user=ascii(credentials.user), reason=reason) from None
    try:
        answer = talk.finish(command)
    except ConnectionLostError as problem:
        raise ConnectionLostError(sasl.without_secrets(str(problem), [password])) from None
    return sasl.Answer(answer.kind, text=sasl.without_secrets(answer.text, [password]))


class _Talk:
    """SASL as AUTHENTICATE carries it: base64, and the first response in the command where SASL-IR is offered."""

    def __init__(self, connection: ImapConnection) -> None:
        self._connection = connection
        self._tag = ""
        self.last_code = ""

    def begin(self, mechanism: str, initial: bytes | None) -> sasl.Answer:
        """AUTHENTICATE; a host without SASL-IR asks for the first response with an empty challenge."""
        if initial is not None and "SASL-IR" in self._connection.capabilities:
            self._tag = self._connection.send(f"AUTHENTICATE {mechanism} {_encoded(initial) or '='}")
            return self._answered(sasl.UNKNOWN)
        self._tag = self._connection.send(f"AUTHENTICATE {mechanism}")
        answer = self._answered(sasl.UNKNOWN)
        return self.respond(initial) if initial is not None and answer.kind == sasl.CHALLENGE else answer

    def respond(self, data: bytes) -> sasl.Answer:
        """The answer to a challenge."""
        return self._continue(_encoded(data))

    def cancel(self) -> sasl.Answer:
        """Gives the exchange up."""
        return self._continue("*")

    def finish(self, command: str) -> sasl.Answer:
        """A command that has no exchange: LOGIN."""
        self._tag = self._connection.send(command)
        return self._answered(sasl.REFUSED)

    def _continue(self, line: str) -> sasl.Answer:
        self._connection.wire.write(line.encode("ascii") + b"\r\n")
        return self._answered(sasl.REFUSED)

    def _answered(self, when_bad: str) -> sasl.Answer:
        answer = self._connection.proceed(self._tag)
        if answer.tag == "+":
            return sasl.Answer(sasl.CHALLENGE, _decoded(answer.text), readable(answer.text))
        self.last_code = answer.code
        return sasl.Answer(_kind(answer, when_bad), text=self._connection.said(answer))


def _kind(answer: Answer, when_bad: str) -> str:
    if answer.word == "OK":
        return sasl.GOOD
    if answer.code in _BUSY | _AWAY:
        return sasl.LATER
    return when_bad if answer.word == "BAD" else sasl.REFUSED


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ConnectionLostError("a challenge that is not base64") from None
