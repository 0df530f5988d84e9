"""Logging in to an SMTP host (RFC 4954)."""

from __future__ import annotations

import base64

from gateway.errors import LoginRefused, SmtpUnavailable
from gateway.mail.model import Credentials
from gateway.mail.smtp_connection import SmtpConnection


def log_in(connection: SmtpConnection, credentials: Credentials, *, plaintext_allowed: bool) -> None:  # noqa: ARG001
    """AUTH PLAIN, else LOGIN.

    Raises:
        LoginRefused, SmtpUnavailable: the host's word.
        ConnectionLostError: what the network did.
    """
    offered = connection.extension("AUTH").upper().split()
    user, password = credentials.user, credentials.password() if credentials.password else ""
    if "PLAIN" in offered:
        connection.secret = _base64(f"\0{user}\0{password}")
        reply = connection.command(f"AUTH PLAIN {connection.secret}")
    elif "LOGIN" in offered:
        connection.secret = _base64(password)
        reply = connection.command("AUTH LOGIN")
        for answer in (_base64(user), connection.secret):
            if reply.code == 334:
                reply = connection.command(answer)
    else:
        raise LoginRefused(host=connection.host, user=user, reason="neither AUTH PLAIN nor AUTH LOGIN is offered")
    said = f"{reply.code} {reply.text}".strip()
    if reply.temporary:
        raise SmtpUnavailable(host=connection.host, reason=said)
    if not reply.good:
        raise LoginRefused(host=connection.host, user=user, reason=said.replace(password or "\0", "***"))
    connection.secret = ""


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
