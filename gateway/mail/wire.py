"""A line-based connection: TLS, exact bytes, bounded reads. POP3, IMAP and SMTP share it.

The standard library's readers are not used on purpose: poplib ends on body lines past 2,048 bytes (one-line X12
has them) and takes a bare LF for a line end, so that bytes are not kept.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import time
import warnings
from pathlib import Path

from msgspec import Struct

from gateway.errors import AuthoritiesUnusable, InsecureConnection
from gateway.mail.spool import SPOOL_OVER, Spool, Spooled

LINE = 16_384  # a reply line past this is no reply (RFC 1939 and RFC 5321 both say 512)
_CHUNK = 262_144
_PACE = 200  # bytes a second at which a message must come at least, once it has taken long
_END = b"\r\n.\r\n"  # of a multi-line answer
_CONTROL = re.compile(r"[^\x20-\x7e]+")


class ConnectionLostError(Exception):
    """The other side went away, fell silent, or stopped speaking the protocol. Adapters turn it into their fault."""


class Endpoint(Struct, frozen=True):
    """Where to connect and how: ``security`` is tls (from the first byte), starttls or none.

    ``tls_minimum`` is the oldest TLS version that is spoken: 1.0, 1.1, 1.2 or 1.3. ``table`` of the settings says so.
    """

    host: str
    port: int
    security: str
    ca_file: str
    timeout: float
    tls_minimum: str = "1.2"
    table: str = ""

    def check_password_is_safe(self, *, plaintext_password: bool) -> None:
        """Refuses a password on a connection that will never be encrypted, before anything is sent.

        Raises:
            InsecureConnection: unless the setting ``plaintext_password`` allows it in plain words.
        """
        if self.security == "none" and not plaintext_password:
            raise InsecureConnection(
                host=self.host, reason="a password would travel in clear text (security = none, no plaintext_password)"
            )


_TLS_VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}


def tls_context(ca_file: str, minimum: str = "1.2", *, table: str = "") -> ssl.SSLContext:
    """TLS ``minimum`` or newer; certificate and host name verified against ``ca_file`` or the system's authorities.

    Raises:
        AuthoritiesUnusable: no authority can be read from ``ca_file``, which stands in ``table`` of the settings.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError as problem:  # ssl.SSLError is one too
        if not ca_file:
            raise
        setting = f"{table}.ca_file" if table else "ca_file"
        reason = "it holds none in PEM" if isinstance(problem, ssl.SSLError) else problem.strerror or str(problem)
        raise AuthoritiesUnusable(setting=setting, file=ca_file, reason=reason) from problem
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 1.0 and 1.1: the settings say so, and doctor warns
        context.minimum_version = _TLS_VERSIONS[minimum]
    if minimum in {"1.0", "1.1"}:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # OpenSSL 3 speaks them on no higher level
    return context


class Wire:
    """One connection with its own read buffer.

    Raises (all methods): ``ConnectionLostError`` for what the network did, ``InsecureConnection`` for TLS, and
    ``AuthoritiesUnusable`` for what TLS is to be verified by.
    """

    __slots__ = ("_buffer", "_endpoint", "_socket", "_start", "encrypted")

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._buffer = bytearray()
        self._start = 0  # where the unread bytes begin in the buffer
        self.encrypted = False
        try:
            self._socket = socket.create_connection((endpoint.host, endpoint.port), endpoint.timeout)
            # Without this, small TLS records wait for the other side's delayed ACK: 13 times slower over SMTP.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (OSError, UnicodeError) as problem:
            raise ConnectionLostError(str(problem)) from problem
        if endpoint.security == "tls":
            self.start_tls()

    def start_tls(self) -> None:
        """Encrypts the connection; unread bytes from before are an attack (response injection) and end it."""
        host = self._endpoint.host
        if self._start < len(self._buffer):
            self.close()
            raise InsecureConnection(host=host, reason="the host sent more than its answer before TLS began")
        try:
            self._socket = self._tls().wrap_socket(self._socket, server_hostname=host)
        except AuthoritiesUnusable:
            self.close()
            raise
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError, TimeoutError) as problem:
            self.close()
            raise ConnectionLostError(f"TLS did not start: {problem}") from problem
        except (ssl.SSLError, ValueError) as problem:
            self.close()
            raise InsecureConnection(host=host, reason=f"TLS failed: {problem}") from problem
        except OSError as problem:
            self.close()
            raise ConnectionLostError(f"TLS did not start: {problem}") from problem
        self.encrypted = True

    def _tls(self) -> ssl.SSLContext:
        return tls_context(self._endpoint.ca_file, self._endpoint.tls_minimum, table=self._endpoint.table)

    @property
    def local_address(self) -> str:
        """Our own address on this connection, for the greeting."""
        try:
            return str(self._socket.getsockname()[0])
        except OSError:
            return "127.0.0.1"

    def timeout(self, seconds: float) -> None:
        """How long the next reads and writes may stay silent."""
        self._socket.settimeout(seconds)

    def restore_timeout(self) -> None:
        """Back to the connection's ordinary timeout."""
        self._socket.settimeout(self._endpoint.timeout)

    def write(self, data: bytes) -> None:
        """Sends all of ``data``."""
        try:
            self._socket.sendall(data)
        except OSError as problem:
            raise ConnectionLostError(f"lost while sending: {problem}") from problem

    def line(self, limit: int = LINE) -> bytes:
        """The next line without its line end (CR LF, or a bare LF from a host that knows no better)."""
        searched = self._start
        deadline: float | None = None
        while (end := self._buffer.find(b"\n", searched)) < 0:
            if len(self._buffer) - self._start > limit:
                raise ConnectionLostError(f"a reply line of more than {limit} bytes")
            searched = len(self._buffer)
            # A host that drips one byte now and then must not hold us for ever.
            now = time.monotonic()
            deadline = deadline or now + 2 * (self._socket.gettimeout() or 60.0)
            if now > deadline:
                raise ConnectionLostError("the reply does not end")
            searched -= self._receive()
        found = bytes(self._buffer[self._start : end])
        self._start = end + 1
        return found.removesuffix(b"\r")

    def body(self, limit: int) -> bytes | None:
        """A multi-line answer up to the line with the lone dot, dot-stuffing undone (RFC 1939 section 3).

        Every byte is kept; lines may be of any length. None where it is larger than ``limit``: then it was read
        to its end and thrown away, so that the next answer is in step.
        """
        content = self._whole_body(limit + limit // 4 + LINE)
        if content is None:
            self._throw_away(limit)
            return None
        return content if len(content) <= limit else None

    def message(self, limit: int, directory: Path | None = None) -> bytes | Spooled | None:
        """Like ``body``, for what may be too big for memory: that goes to a nameless file in ``directory``.

        Raises:
            OSError: there is no room for the file.
        """
        if limit < SPOOL_OVER:
            return self.body(limit)
        content = self._whole_body(SPOOL_OVER)
        if content is not None:
            return content
        spool = Spool(directory)
        context = b"\r\n"
        end = -1
        began = time.monotonic()
        while end < 0:
            end = self._buffer.find(_END, self._start)
            # What may be the beginning of the end stays behind.
            last = end + 2 if end >= 0 else len(self._buffer) - len(_END) + 1
            while self._start < last:
                stop = min(last, self._start + _CHUNK)
                piece = bytes(memoryview(self._buffer)[self._start : stop])
                spool.write((context + piece).replace(b"\r\n.", b"\r\n")[2:])
                context = (context + piece[-2:])[-2:]
                self._start = stop
            if spool.size > limit:
                self._start -= 2 if end >= 0 else 0
                self._throw_away(limit)
                return None
            if end < 0:
                self._check_pace(began, spool.size)
                self._receive()
        self._start += 3
        return spool.done()

    def _whole_body(self, most: int) -> bytes | None:
        """The answer, if it ends within ``most`` bytes; else nothing of it is read away."""
        if self._starts_with(b".\r\n"):
            self._start += 3
            return b""
        sought = _END[:3]  # most mails have no line that begins with a dot: the first one found is the end
        searched = self._start
        began = 0.0
        while (end := self._buffer.find(sought, searched)) < 0 or not self._buffer.startswith(_END, end):
            if end >= 0 and len(self._buffer) >= end + len(_END):
                sought = _END
                continue
            if len(self._buffer) - self._start > most:
                return None
            began = began or time.monotonic()
            self._check_pace(began, len(self._buffer) - self._start)
            searched = max(self._start, len(self._buffer) - len(_END) + 1)
            searched -= self._receive()
        content = bytes(memoryview(self._buffer)[self._start : end + 2]).removeprefix(b".")
        self._start = end + len(_END)
        return content.replace(b"\r\n.", b"\r\n") if sought is _END else content

    def _throw_away(self, limit: int) -> None:
        """Reads the rest of an answer to its end."""
        began = time.monotonic()
        count = 0
        while (end := self._buffer.find(_END, self._start)) < 0:
            count += len(self._buffer) - self._start
            if count > 8 * limit + 1_000_000_000:
                raise ConnectionLostError("an answer without end")
            self._start = max(self._start, len(self._buffer) - len(_END) + 1)
            self._check_pace(began, count)
            self._receive()
        self._start = end + len(_END)

    def exactly(self, count: int) -> bytes:
        """The next ``count`` bytes, whatever they are (an IMAP literal, RFC 3501 section 4.3)."""
        began = time.monotonic()
        while len(self._buffer) - self._start < count:
            self._check_pace(began, len(self._buffer) - self._start)
            self._receive()
        content = bytes(memoryview(self._buffer)[self._start : self._start + count])
        self._start += count
        return content

    def spooled(self, count: int, directory: Path | None) -> Spooled:
        """The next ``count`` bytes, in a nameless file in ``directory``.

        Raises:
            OSError: there is no room for the file.
        """
        began = time.monotonic()
        spool = Spool(directory)
        while (rest := count - spool.size) > 0:
            if self._start == len(self._buffer):
                self._check_pace(began, spool.size)
                self._receive()
            piece = bytes(memoryview(self._buffer)[self._start : self._start + rest])
            spool.write(piece)
            self._start += len(piece)
        return spool.done()

    def skip(self, count: int) -> None:
        """Reads the next ``count`` bytes and throws them away; the memory stays small."""
        began = time.monotonic()
        rest = count
        while rest > len(self._buffer) - self._start:
            rest -= len(self._buffer) - self._start
            self._start = len(self._buffer)
            self._check_pace(began, count - rest)
            self._receive()
        self._start += rest

    def wait(self, seconds: float, interrupt: int) -> bool:
        """Waits for something to read, at most ``seconds``; False when nothing came.

        Args:
            seconds: how long.
            interrupt: a file descriptor that ends the wait as soon as it can be read.
        """
        if self._start < len(self._buffer) or (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
            return True
        watched: list[socket.socket | int] = [self._socket, interrupt]
        try:
            ready, _, _ = select.select(watched, [], [], seconds)
        except (OSError, ValueError) as problem:
            raise ConnectionLostError(f"lost while waiting: {problem}") from problem
        return self._socket in ready

    def has_unread(self) -> bool:
        """Whether bytes wait that nobody asked for, or the other side has closed. Never blocks."""
        if self._start < len(self._buffer):
            return True
        before = self._socket.gettimeout()
        try:
            self._socket.setblocking(False)
            self._receive_now()
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        finally:
            with contextlib.suppress(OSError):
                self._socket.settimeout(before)
        return True

    def close(self) -> None:
        """Ends the connection without a word."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _check_pace(self, began: float, count: int) -> None:
        """A host that drips a byte now and then would hold us for ever, silent for no longer than the timeout."""
        elapsed = time.monotonic() - began
        if elapsed > 10 * self._endpoint.timeout and count < _PACE * elapsed:
            raise ConnectionLostError(f"only {count} bytes in {elapsed:.0f} seconds")

    def _starts_with(self, wanted: bytes) -> bool:
        while len(self._buffer) - self._start < len(wanted):
            if not wanted.startswith(self._buffer[self._start :]):
                return False
            self._receive()
        return self._buffer.startswith(wanted, self._start)

    def _receive(self) -> int:
        """Appends what comes next and returns by how many bytes the buffer's front moved away."""
        moved = 0
        if self._start and (self._start == len(self._buffer) or self._start > 4 * _CHUNK):
            moved = self._start
            del self._buffer[: self._start]
            self._start = 0
        try:
            self._receive_now()
        except TimeoutError as problem:
            raise ConnectionLostError("no answer in time") from problem
        except OSError as problem:
            raise ConnectionLostError(f"lost while reading: {problem}") from problem
        return moved

    def _receive_now(self) -> None:
        data = self._socket.recv(_CHUNK)
        if not data:
            raise ConnectionResetError("the host closed the connection")
        self._buffer += data


def readable(reply: bytes, *, secret: str = "") -> str:
    """A host's reply for people and logs: printable ASCII, bounded, and without the secret should it echo one."""
    text = _CONTROL.sub(" ", reply[:2_000].decode("ascii", "replace").replace("�", "?")).strip()
    if secret:
        text = text.replace(secret, "***")
    return text


def has_line_end(text: str) -> bool:
    """Whether ``text`` would break out of the command it is put into."""
    return "\r" in text or "\n" in text or "\0" in text
