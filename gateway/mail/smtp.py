"""SMTP as a transport: sessions side by side, many mails on one connection, renewed where the host closed it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from gateway.errors import (
    ConfigurationFault,
    GatewayError,
    Refused,
    SmtpCrowded,
    SmtpInterrupted,
    SmtpUnavailable,
    TemporarilyRefused,
    Unavailable,
)
from gateway.mail.model import Credentials, Handover, OutgoingMail
from gateway.mail.queue_id import queue_id
from gateway.mail.sasl import keeps_secret
from gateway.mail.smtp_connection import SmtpConnection
from gateway.mail.smtp_login import log_in
from gateway.mail.wire import ConnectionLostError, Endpoint, Wire, has_line_end

_UNSAFE_PATH = re.compile(r"[\x00-\x20\x7f<>]")


class SmtpTransport:
    """An SMTP host we send through. ``security`` is tls (port 465), starttls (587) or none.

    ``dot_timeout`` is how long the host may think over the final dot (RFC 5321 section 4.5.3.2.6: ten minutes);
    a connection is renewed after ``mails_per_connection`` mails, since many hosts cap it; 0 is any number.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        security: str,
        credentials: Credentials | None = None,
        ca_file: str = "",
        tls_minimum: str = "1.2",
        plaintext_password: bool = False,
        helo: str = "",
        timeout: float = 60.0,
        dot_timeout: float = 600.0,
        mails_per_connection: int = 500,
    ) -> None:
        if has_line_end(helo):
            raise ValueError("helo contains a line end")
        self._endpoint = Endpoint(host, port, security, ca_file, timeout, tls_minimum, "smtp")
        self._credentials = credentials
        self._plaintext_password = plaintext_password
        self._helo = helo
        self._dot_timeout = dot_timeout
        self._mails_per_connection = mails_per_connection

    @property
    def host(self) -> str:
        """The SMTP host."""
        return self._endpoint.host

    @property
    def user(self) -> str:
        """The account we log in with, or an empty text."""
        return self._credentials.user if self._credentials else ""

    @contextmanager
    def session(self) -> Iterator[SmtpSession]:
        """A session that connects with its first mail."""
        with self.sessions(1) as (session,):
            yield session

    @contextmanager
    def sessions(self, count: int) -> Iterator[Sequence[SmtpSession]]:
        """Sessions for one thread each, which connect with their first mail and share one ``Door``."""
        door = Door(self.connect)
        sessions = [SmtpSession(door, self.host, self._dot_timeout, self._mails_per_connection) for _ in range(count)]
        try:
            yield sessions
        finally:
            for each in sessions:
                each.close()

    def connect(self) -> SmtpConnection:
        """A greeted, encrypted, logged-in connection.

        Raises:
            SmtpUnavailable, LoginRefused, InsecureConnection: nothing was sent.
        """
        if self._credentials:
            self._endpoint.check_password_is_safe(
                plaintext_password=self._plaintext_password or keeps_secret(self._credentials.mechanism)
            )
        connection: SmtpConnection | None = None
        try:
            connection = SmtpConnection(Wire(self._endpoint), self.host)
            connection.greet(self._helo, starttls=self._endpoint.security == "starttls")
            if self._credentials:
                log_in(connection, self._credentials, plaintext_allowed=self._plaintext_password)
        except ConnectionLostError as problem:
            if connection is not None:
                connection.drop()
            raise SmtpUnavailable(host=self.host, reason=problem) from problem
        except GatewayError:
            if connection is not None:
                connection.drop()
            raise
        return connection


class Door:
    """Where the sessions of one run come in. A host that lets nobody in is asked once, however many sessions wait.

    Args:
        connect: makes a connection that is ready for mail, or raises why not.
    """

    def __init__(self, connect: Callable[[], SmtpConnection]) -> None:
        self._connect = connect
        self._first = threading.Lock()
        self._inside = 0  # connections that are open now
        self._known = False  # whether the host ever let us in
        self._shut: GatewayError | None = None

    def enter(self) -> SmtpConnection:
        """A connection. Until the first one stands, others wait for what becomes of it.

        Raises:
            SmtpCrowded: the host serves others of these sessions, and has no place for one more.
            SmtpUnavailable, LoginRefused, InsecureConnection, ConfigurationFault: the host serves none of them.
        """
        with self._first:
            if not self._known or self._shut is not None:
                return self._try()
        return self._try()

    def leave(self) -> None:
        """One connection less."""
        with self._first:
            self._inside -= 1

    def _try(self) -> SmtpConnection:
        if self._shut is not None:
            raise self._shut
        try:
            connection = self._connect()
        except (Unavailable, ConfigurationFault) as fault:
            if self._inside:
                raise SmtpCrowded(host=fault.details.get("host", ""), reason=fault) from fault
            self._shut = fault
            raise
        self._known = True
        self._inside += 1
        return connection


class SmtpSession:
    """Hands mails over on one connection, renewing it where the host closed it between mails."""

    def __init__(self, door: Door, host: str, dot_timeout: float, mails_per_connection: int) -> None:
        self._door = door
        self._host = host
        self._dot_timeout = dot_timeout
        self._mails_per_connection = mails_per_connection
        self._connection: SmtpConnection | None = None
        self._sent = 0

    def send(self, mail: OutgoingMail) -> Handover:
        """Hands one mail over.

        Raises:
            SmtpUnavailable, SmtpCrowded, LoginRefused, InsecureConnection: nothing was sent.
            TemporarilyRefused: a 4xx reply, or some recipients for now and the others for good; nothing was taken.
            Refused: a 5xx reply, or all recipients refused for good; nothing was taken.
            OutcomeUnknown: the connection was lost between the final dot and its reply.
        """
        self._check_addresses(mail)
        content = stuffed(mail.raw)
        connection, reused = self._ready()
        try:
            refused = self._envelope(connection, mail, content)
        except (SmtpUnavailable, TemporarilyRefused):
            # On a connection that has served before, this is the host's way to say it was idle for too long.
            if connection.open or not reused:
                raise
            connection, _ = self._ready()
            refused = self._envelope(connection, mail, content)
        return self._hand_over(connection, content, refused)

    def close(self) -> None:
        """Says QUIT and goes, without waiting for long."""
        if self._connection is not None:
            self._connection.quit()
            self._let_go()

    def _ready(self) -> tuple[SmtpConnection, bool]:
        """A connection, and whether it has served before."""
        if self._connection is not None and 0 < self._mails_per_connection <= self._sent:
            self.close()
        if self._connection is not None and (not self._connection.open or self._connection.stale()):
            self._drop()
        if self._connection is not None:
            return self._connection, True
        self._connection = self._door.enter()
        self._sent = 0
        return self._connection, False

    def _envelope(self, connection: SmtpConnection, mail: OutgoingMail, content: bytes) -> tuple[tuple[str, str], ...]:
        try:
            return connection.envelope(mail, content)
        except ConnectionLostError as problem:
            connection.drop()
            raise SmtpInterrupted(host=self._host, reason=problem) from problem
        finally:
            if not connection.open:
                self._drop()

    def _hand_over(self, connection: SmtpConnection, content: bytes, refused: tuple[tuple[str, str], ...]) -> Handover:
        try:
            reply = connection.content(content, self._dot_timeout)
        finally:
            if not connection.open:
                self._drop()
        self._sent += 1
        said = f"{reply.code} {reply.text}"
        return Handover(host=self._host, reply=said, refused=refused, queue_id=queue_id(said))

    def _check_addresses(self, mail: OutgoingMail) -> None:
        for address in (mail.envelope_sender, mail.envelope_id, *mail.recipients):
            if _UNSAFE_PATH.search(address):
                raise Refused(host=self._host, recipient=ascii(address), reply="the address breaks the SMTP grammar")
        if not mail.recipients:
            raise Refused(host=self._host, recipient="nobody", reply="the mail has no recipient")

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.drop()
            self._let_go()

    def _let_go(self) -> None:
        self._connection = None
        self._door.leave()


def stuffed(raw: bytes) -> bytes:
    """The mail as DATA wants it: every line end CR LF, leading dots doubled, CR LF at the end, no final dot.

    Bare CR or LF never reaches the wire: hosts disagree on what they mean (SMTP smuggling).
    """
    breaks = raw.count(b"\r\n")
    if raw.count(b"\n") != breaks or raw.count(b"\r") != breaks:
        raw = re.sub(rb"\r\n|\r|\n", b"\r\n", raw)
    if not raw.endswith(b"\r\n"):
        raw += b"\r\n"
    raw = raw.replace(b"\r\n.", b"\r\n..")
    return b"." + raw if raw.startswith(b".") else raw
