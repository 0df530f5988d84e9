"""What the embedded mail host does with mail: aiosmtpd speaks SMTP, this delivers into the store."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from gateway.mail.host.faults import Hook, no_fault
from gateway.mail.host.store import Store

_LARGEST = 200_000_000  # bytes of one mail


class Delivery:
    """The handler that aiosmtpd calls: unknown recipients are refused with 550, all else goes into the store.

    ``hook`` is asked with MAIL, RCPT or DATA and the address (DATA: the first recipient); only ``Fault.reply``
    counts, and for DATA it means that nothing was taken. ``after_delivery`` is called with each mail taken.
    """

    def __init__(
        self,
        store: Store,
        hook: Hook = no_fault,
        after_delivery: Callable[[bytes], None] | None = None,
        *,
        require_login: bool = False,
    ) -> None:
        self._store = store
        self._require_login = require_login
        self._hook = hook
        self._after_delivery = after_delivery

    async def handle_MAIL(  # noqa: N802 - aiosmtpd finds it by this name
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """MAIL FROM."""
        # Not aiosmtpd's own auth_required: it warns, rightly for the open internet, where TLS is not required too.
        if self._require_login and not session.authenticated:
            return "530 5.7.0 Authentication required"
        reply = self._spoilt("MAIL", address)
        if reply:
            return reply
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """RCPT TO."""
        reply = self._spoilt("RCPT", address)
        if reply:
            return reply
        if not self._store.knows(address):
            return "550 5.1.1 no such user here"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """The mail itself."""
        reply = self._spoilt("DATA", envelope.rcpt_tos[0])
        if reply:
            return reply
        raw = envelope.original_content or b""
        trace = f"Return-Path: <{envelope.mail_from or ''}>\r\n".encode()
        uids = [self._store.deliver(address, trace + raw) for address in envelope.rcpt_tos]
        if self._after_delivery is not None:
            self._after_delivery(raw)
        return f"250 2.0.0 delivered as {uids[0]}"

    def _spoilt(self, verb: str, argument: str) -> str:
        fault = self._hook(verb, argument)
        return fault.reply if fault is not None else ""


def smtp_protocol(
    delivery: Delivery,
    store: Store,
    loop: asyncio.AbstractEventLoop,
    *,
    tls: ssl.SSLContext | None,
) -> SMTP:
    """One SMTP conversation for asyncio's ``create_server``."""

    def authenticate(
        _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: object
    ) -> AuthResult:
        given = data if isinstance(data, LoginPassword) else LoginPassword(b"", b"")
        right = store.password_matches(
            given.login.decode("utf-8", "replace"), given.password.decode("utf-8", "replace")
        )
        return AuthResult(success=right, handled=False)

    return SMTP(
        delivery,
        data_size_limit=_LARGEST,
        enable_SMTPUTF8=True,
        hostname="mail.host.test",
        ident="mail host",
        tls_context=tls,
        authenticator=authenticate,
        auth_require_tls=tls is not None,
        loop=loop,
    )
