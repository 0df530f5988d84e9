"""Logging in to an SMTP host: AUTH (RFC 4954)."""

from __future__ import annotations

import base64
import binascii

from gateway.errors import SmtpUnavailable
from gateway.mail import sasl
from gateway.mail.model import Credentials
from gateway.mail.sasl import Answer, Line
from gateway.mail.smtp_connection import Reply, SmtpConnection

_LONGEST = 12_000  # bytes of an AUTH command; RFC 4954 section 4.5.3 takes 12,288
_UNKNOWN = {500, 501, 502, 503, 504}  # not this command, or not with this mechanism


def log_in(connection: SmtpConnection, credentials: Credentials, *, plaintext_allowed: bool) -> None:
    """Logs in with the best mechanism that the host offers; see ``gateway.mail.sasl``.

    Raises:
        LoginRefused, TokenNotTaken, SmtpUnavailable: the host's word.
        InsecureConnection: what is offered would show the password to the network.
        ConnectionLostError: what the network did.
    """
    line = Line(connection.host, connection.encrypted, plaintext_allowed)
    offered = connection.extension("AUTH").upper().split()
    answer = sasl.authenticate(SmtpTalk(connection), offered, credentials, line)
    if answer.kind == sasl.LATER:
        raise SmtpUnavailable(host=line.host, reason=answer.text)


class SmtpTalk:
    """AUTH, with the initial response on the same line where it is not too long."""

    def __init__(self, connection: SmtpConnection) -> None:
        self._connection = connection

    def begin(self, mechanism: str, initial: bytes | None) -> Answer:
        """AUTH."""
        encoded = _base64(initial) or "=" if initial is not None else ""
        if encoded and len(encoded) <= _LONGEST:
            return _answer(self._connection.command(f"AUTH {mechanism} {encoded}"), beginning=True)
        answer = _answer(self._connection.command(f"AUTH {mechanism}"), beginning=True)
        if initial is None or answer.kind != sasl.CHALLENGE:
            return answer
        return self.respond(initial)

    def respond(self, data: bytes) -> Answer:
        """One line in base64."""
        return _answer(self._connection.command(_base64(data)))

    def cancel(self) -> Answer:
        """Gives up."""
        return _answer(self._connection.command("*"))


def _answer(reply: Reply, *, beginning: bool = False) -> Answer:
    text = f"{reply.code} {reply.text}".strip()
    if reply.code == 334:
        try:
            return Answer(sasl.CHALLENGE, base64.b64decode(reply.data.strip(), validate=True), text)
        except (binascii.Error, ValueError):
            return Answer(sasl.CHALLENGE, b"", text)  # plain words; the mechanism knows whether that will do
    if reply.good:
        return Answer(sasl.GOOD, text=text)
    if reply.temporary:
        return Answer(sasl.LATER, text=text)
    return Answer(sasl.UNKNOWN if beginning and reply.code in _UNKNOWN else sasl.REFUSED, text=text)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
