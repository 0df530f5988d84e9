"""Logging in to a POP3 server (RFC 1939, 1734/5034), and what its refusals mean."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.errors import GatewayError, LoginRefused, MailboxBusy, MailboxUnavailable
from gateway.mail.model import Credentials
from gateway.mail.wire import has_line_end, readable

_LOCKED = re.compile(r"\[IN-USE\]|mail ?(?:drop|box)\b.{0,40}\block|\block.{0,40}\bmail ?(?:drop|box)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Pop3Offer:
    """Who speaks and what was said so far: the mailbox, the greeting, CAPA's words, and how safe the line is."""

    mailbox: str
    host: str
    greeting: bytes
    capabilities: Mapping[str, str]
    protected: bool  # TLS is on
    plaintext_allowed: bool  # the setting plaintext_password


def log_in(command: Callable[[str], bytes], offer: Pop3Offer, credentials: Credentials) -> None:
    """USER and PASS, or AUTH PLAIN where USER is not offered. ``command`` sends one line and gives the reply line.

    Raises:
        LoginRefused, MailboxBusy, MailboxUnavailable: the server's word.
        ConnectionLostError: what the network did.
    """
    user, password = credentials.user, credentials.password() if credentials.password else ""
    if has_line_end(user) or has_line_end(password):
        raise LoginRefused(host=offer.host, user=ascii(user), reason="a line end in user or password")
    secret = password
    sasl = offer.capabilities.get("SASL", "").upper().split()
    if offer.capabilities and "USER" not in offer.capabilities and "PLAIN" in sasl:
        secret = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        reply = command("AUTH PLAIN")
        if reply.startswith(b"+ ") or reply == b"+":
            reply = command(secret)
    else:
        reply = command(f"USER {user}")
        if reply.startswith(b"+OK"):
            reply = command(f"PASS {password}")
    if not reply.startswith(b"+OK"):
        raise _login_fault(offer, user, readable(reply, secret=secret))


def refusal(mailbox: str, host: str, text: str) -> GatewayError:
    """What a server means that does not let us in, for reasons that are not the login."""
    if _LOCKED.search(text):
        return MailboxBusy(mailbox=mailbox, host=host, reason=text)
    return MailboxUnavailable(mailbox=mailbox, host=host, reason=text)


def _login_fault(offer: Pop3Offer, user: str, text: str) -> GatewayError:
    if _LOCKED.search(text) or "[SYS/TEMP]" in text or "[LOGIN-DELAY]" in text:
        return refusal(offer.mailbox, offer.host, text)
    return LoginRefused(host=offer.host, user=user, reason=text)
