"""A look at a mail host without logging in: does it answer, what does it speak there, is its certificate good?

For words about a misconfiguration: what moves mail connects by itself (``wire``) and trusts nothing that is seen here.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID
from msgspec import Struct
from msgspec.structs import replace

from gateway.mail.wire import LINE, readable, tls_context

PATIENCE = 5.0  # seconds in which a host greets that speaks first; one that says nothing may wait for TLS
_GREETINGS = (
    (b"+OK", "pop3"),
    (b"-ERR", "pop3"),
    (b"* ", "imap"),
    (b"220", "smtp"),
    (b"421", "smtp"),
    (b"554", "smtp"),
)
# What OpenSSL finds wrong with a certificate (x509_vfy.h).
_VERDICTS = {
    9: "not-yet-valid",
    10: "expired",
    18: "self-signed",
    19: "unknown-authority",  # a chain that ends in a root that is not trusted
    20: "unknown-authority",
    21: "unknown-authority",
    62: "wrong-host",
    64: "wrong-host",
}
_TOO_OLD = {"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE", "VERSION_TOO_LOW"}


class Target(Struct, frozen=True):
    """Where to look. ``protocol`` is pop3, imap or smtp; ``security`` tls, starttls or none; ``timeout`` seconds."""

    host: str
    port: int
    protocol: str
    security: str
    ca_file: str = ""
    tls_minimum: str = "1.2"
    timeout: float = 10.0


class Shown(Struct, frozen=True):
    """The certificate that a host shows: for whom, by whom, and from when until when it is valid."""

    names: tuple[str, ...]
    issuer: str
    not_before: datetime
    not_after: datetime


class Seen(Struct, frozen=True):
    """What was seen.

    ``problem`` is empty where nothing is wrong, else one of unknown-host, refused, silent, unreachable, tls-port,
    plain-port, other-protocol, no-starttls, expired, not-yet-valid, self-signed, unknown-authority, wrong-host,
    too-old-tls, tls; ``said`` is what the system, OpenSSL or the host said of it.
    """

    problem: str = ""
    said: str = ""
    speaks: str = ""  # what greeted in the clear: pop3, imap, smtp, or empty
    certificate: Shown | None = None


class _RefusedTlsError(Exception):
    """The host does not begin TLS."""


def look(target: Target) -> Seen:
    """Connects, and looks at what is there. Never raises; no name and no password is sent."""
    try:
        socket.getaddrinfo(target.host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as problem:
        return Seen("unknown-host", str(problem))
    try:
        return _look_for_tls(target) if target.security == "tls" else _look_in_clear(target)
    except ConnectionRefusedError as problem:
        return Seen("refused", problem.strerror or str(problem))
    except TimeoutError as problem:
        return Seen("silent", str(problem))
    except OSError as problem:
        return Seen("unreachable", problem.strerror or str(problem))


def _look_for_tls(target: Target) -> Seen:
    """TLS from the first byte is expected."""
    seen = _handshake(target, starttls=False)
    if seen.problem != "tls":
        return seen
    speaks = _greeting(target)
    if not speaks:
        return seen
    return replace(seen, problem="plain-port" if speaks == target.protocol else "other-protocol", speaks=speaks)


def _look_in_clear(target: Target) -> Seen:
    """The host is expected to speak first."""
    speaks = _greeting(target)
    if not speaks:
        tls = _handshake(target, starttls=False)
        return Seen("tls-port") if tls.certificate is not None else Seen()
    if speaks != target.protocol:
        return Seen("other-protocol", speaks=speaks)
    return (
        replace(_handshake(target, starttls=True), speaks=speaks)
        if target.security == "starttls"
        else Seen("", "", speaks)
    )


def _greeting(target: Target) -> str:
    """Which protocol greets in the clear; empty where nothing that we know does."""
    with socket.create_connection((target.host, target.port), target.timeout) as connection:
        connection.settimeout(min(PATIENCE, target.timeout))
        try:
            said = connection.recv(512)
        except OSError:  # silent, or closed at once
            return ""
    return next((protocol for begin, protocol in _GREETINGS if said.startswith(begin)), "")


def _handshake(target: Target, *, starttls: bool) -> Seen:
    """TLS with the certificate verified; where that fails, once more to see which certificate it was."""
    try:
        return Seen(certificate=_shown(_certificate(target, _verifying(target), starttls=starttls)))
    except _RefusedTlsError as problem:
        return Seen("no-starttls", str(problem))
    except ssl.SSLCertVerificationError as problem:
        verdict, said = _VERDICTS.get(problem.verify_code, "tls"), problem.verify_message
    except ssl.SSLError as problem:
        verdict = "too-old-tls" if problem.reason in _TOO_OLD else "tls"
        said = problem.reason or str(problem)
    except (ConnectionResetError, EOFError) as problem:
        verdict, said = "tls", str(problem) or "the host closed the connection"
    shown = None
    if verdict != "tls":
        with contextlib.suppress(OSError, ValueError, EOFError, _RefusedTlsError):
            shown = _shown(_certificate(target, _trusting(), starttls=starttls))
    return Seen(verdict, said, certificate=shown)


def _verifying(target: Target) -> ssl.SSLContext:
    return tls_context(target.ca_file, target.tls_minimum)


def _trusting() -> ssl.SSLContext:
    """To see a certificate that is not good; nothing is said over such a connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _certificate(target: Target, context: ssl.SSLContext, *, starttls: bool) -> bytes:
    with socket.create_connection((target.host, target.port), target.timeout) as connection:
        if starttls:
            _Talk(connection).start_tls(target.protocol)
        with context.wrap_socket(connection, server_hostname=target.host) as wrapped:
            return wrapped.getpeercert(binary_form=True) or b""


class _Talk:
    """The few lines before TLS, byte by byte: what comes after them belongs to TLS."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def start_tls(self, protocol: str) -> None:
        """Asks for TLS.

        Raises:
            _RefusedTlsError: the host says no.
        """
        self._answer(protocol)
        if protocol == "smtp":
            self._say("EHLO doctor.invalid")
            self._answer(protocol)
        self._say({"pop3": "STLS", "imap": "a STARTTLS", "smtp": "STARTTLS"}[protocol])
        last = self._answer(protocol, tag=b"a ")
        if not last.startswith({"pop3": b"+OK", "imap": b"a OK", "smtp": b"220"}[protocol]):
            raise _RefusedTlsError(readable(last))

    def _say(self, line: str) -> None:
        self._connection.sendall(f"{line}\r\n".encode())

    def _answer(self, protocol: str, tag: bytes = b"* ") -> bytes:
        """The last line of an answer."""
        for _ in range(100):
            line = self._line()
            if protocol == "pop3" or (protocol == "smtp" and line[3:4] != b"-"):
                return line
            if protocol == "imap" and line.startswith(tag):
                return line
        raise EOFError("an answer without end")

    def _line(self) -> bytes:
        line = bytearray()
        while not line.endswith(b"\n"):
            byte = self._connection.recv(1)
            if not byte or len(line) > LINE:
                raise EOFError("the host closed the connection")
            line += byte
        return bytes(line)


def _shown(der: bytes) -> Shown:
    found = x509.load_der_x509_certificate(der)
    return Shown(_names(found), _common_name(found.issuer), found.not_valid_before_utc, found.not_valid_after_utc)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        listed = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except (x509.ExtensionNotFound, ValueError):
        return tuple(filter(None, [_common_name(certificate.subject)]))
    assert isinstance(listed, x509.SubjectAlternativeName)
    return tuple(str(each.value) for each in listed if isinstance(each, x509.DNSName | x509.IPAddress))


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()
