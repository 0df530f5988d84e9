"""Waiting for new mail on an IMAP server: IDLE (RFC 2177), or asking now and then where it is not offered."""

from __future__ import annotations

import select
import time
from collections.abc import Callable

from gateway.errors import MailboxUnavailable
from gateway.mail.imap import ImapSession
from gateway.mail.imap_connection import ImapConnection
from gateway.mail.wire import ConnectionLostError

RENEW = 540.0  # seconds of one IDLE: RFC 2177 wants less than 29 minutes, and routers forget silent connections in 10
ASK = 60.0  # seconds between two questions where there is no IDLE


class ImapWatch:
    """Calls when new mail is there. It outlives its connections: what came between two of them is noticed too.

    Args:
        called: what to call; from the thread that runs ``run``.
        renew: seconds after which a silent server is asked whether it is still there.
        ask: seconds between two questions to a server without IDLE.
    """

    def __init__(self, called: Callable[[], None], *, renew: float = RENEW, ask: float = ASK) -> None:
        self._called = called
        self._renew = renew
        self._ask = ask
        self._last: tuple[int, int] | None = None  # UIDVALIDITY and UIDNEXT when we last connected

    def run(self, session: ImapSession, interrupt: int) -> None:
        """Watches until ``interrupt``, a file descriptor, can be read.

        Raises:
            MailboxUnavailable: when the connection is lost, or the server stops speaking the protocol.
        """
        try:
            connection = session.connection
            self._compare(session)
            connection.arrived = False
            while not _is_readable(interrupt):
                if "IDLE" in connection.capabilities:
                    self._idle(connection, interrupt)
                elif not connection.wire.wait(self._ask, interrupt) and not _is_readable(interrupt):
                    connection.demand("NOOP")
                    self._call_if_arrived(connection)
        except ConnectionLostError as problem:
            raise MailboxUnavailable(mailbox=session.name, host=session.host, reason=problem) from problem

    def _compare(self, session: ImapSession) -> None:
        """Whether something came while nobody looked."""
        before, self._last = self._last, (session.uidvalidity, session.uidnext)
        unsure = before is None or not session.uidnext
        if session.connection.exists > 0 if unsure else before != self._last:
            self._called()

    def _idle(self, connection: ImapConnection, interrupt: int) -> None:
        """One IDLE: until it has lasted long enough, we are interrupted, or the server ends it."""
        tag = connection.send("IDLE")
        reply = connection.proceed(tag)
        if reply.tag == tag:
            raise ConnectionLostError(f"IDLE was answered {connection.said(reply)}")
        self._call_if_arrived(connection)
        until = time.monotonic() + self._renew
        while not _is_readable(interrupt) and (rest := until - time.monotonic()) > 0:
            if connection.wire.wait(rest, interrupt):
                if connection.answer().tag == tag:
                    return  # the server ended it by itself
                self._call_if_arrived(connection)
        connection.wire.write(b"DONE\r\n")
        for _ in connection.answers(tag):
            self._call_if_arrived(connection)

    def _call_if_arrived(self, connection: ImapConnection) -> None:
        if connection.arrived:
            connection.arrived = False
            self._called()


def _is_readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])
