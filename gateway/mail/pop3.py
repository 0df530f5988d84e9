"""POP3 (RFC 1939, 2449, 2595, 1734/5034): collecting mail, pipelined where the server allows it."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from gateway.errors import InsecureConnection, MailboxUnavailable
from gateway.mail import pop3_login
from gateway.mail.model import Credentials, Fetched, Listed
from gateway.mail.sasl import Line, keeps_secret
from gateway.mail.wire import ConnectionLostError, Endpoint, Wire, readable

# In flight: commands by count, so that they always fit the socket buffers and neither side can block the other;
# answers by the bytes that LIST announced, so that one command among big messages does not wait behind many of them.
_WINDOW = 256
_WINDOW_BYTES = 6_000_000
_HEAD = 1_000_000  # bytes of a header block that is looked at
_UID = 255  # characters of a uid that a database will index; RFC 1939 says 70, which some exceed
_LISTING = 64_000_000  # bytes of a LIST or UIDL answer


class Pop3Mailbox:
    """One POP3 account. ``security`` is tls (port 995), starttls or none.

    ``credentials`` ask for the password or token at each login, so that it lives in memory only while it is needed.
    Messages larger than ``max_size`` bytes are listed but never fetched. Big ones pass through a nameless file in
    the directory ``spool`` (the system's temporary one by default).
    """

    def __init__(
        self,
        *,
        name: str,
        host: str,
        port: int,
        security: str,
        credentials: Credentials,
        ca_file: str = "",
        tls_minimum: str = "1.2",
        plaintext_password: bool = False,
        timeout: float = 60.0,
        max_size: int = 100_000_000,
        commit_timeout: float = 600.0,
        spool: Path | None = None,
    ) -> None:
        self._name = name
        self._credentials = credentials
        self._plaintext_password = plaintext_password
        self._max_size = max_size
        self._commit_timeout = commit_timeout
        self._spool = spool
        self._endpoint = Endpoint(host, port, security, ca_file, timeout, tls_minimum, f"mailbox.{name}")

    @property
    def name(self) -> str:
        """The mailbox's name in gateway.toml."""
        return self._name

    @property
    def host(self) -> str:
        """The server."""
        return self._endpoint.host

    @property
    def user(self) -> str:
        """The account."""
        return self._credentials.user

    @contextmanager
    def session(self) -> Iterator[Pop3Session]:
        """Connects, encrypts, logs in. Leaving without ``commit`` drops the connection: nothing is deleted.

        Raises:
            MailboxUnavailable, MailboxBusy, LoginRefused, InsecureConnection
        """
        self._endpoint.check_password_is_safe(
            plaintext_password=self._plaintext_password or keeps_secret(self._credentials.mechanism)
        )
        session = Pop3Session(self._endpoint, self._name, self._max_size, self._commit_timeout, self._spool)
        try:
            session.open()
            session.log_in(self._credentials, plaintext_allowed=self._plaintext_password)
            yield session
        finally:
            # No QUIT: Gmail hides what was read once it sees a QUIT, and a dropped session deletes nothing anywhere.
            session.close()


class Pop3Session:
    """One logged-in connection; made by ``Pop3Mailbox.session``.

    ``left_out`` tells which messages the server did not give, and why.
    """

    def __init__(
        self, endpoint: Endpoint, name: str, max_size: int, commit_timeout: float, spool: Path | None = None
    ) -> None:
        self._endpoint = endpoint
        self._name = name
        self._max_size = max_size
        self._commit_timeout = commit_timeout
        self._spool = spool
        self._wire: Wire | None = None
        self._capabilities: dict[str, str] = {}
        self._greeting = b""
        self._marked: dict[int, Listed] = {}
        self._in_flight: deque[Listed] = deque()
        self._flying = 0  # bytes of what is in flight, as LIST announced them
        self.left_out: list[tuple[Listed, str]] = []

    # ------------------------------------------------------------ the port

    def listing(self) -> Sequence[Listed]:
        """All messages waiting, in the server's order, with size (LIST) and uid (UIDL).

        A message without a UIDL gets ``sha256:`` and the hash of header block and size: stable as long as the server
        does not rewrite headers between sessions. Where the server knows no TOP either the uid is empty: only its
        bytes tell what it is.
        """
        try:
            self._settle()
            sizes = self._numbered("LIST")
            uids = self._numbered("UIDL", optional=True)
        except ConnectionLostError as problem:
            raise self._unavailable(problem) from problem
        listed = [Listed(number, _uid(uids.get(number, "")), _size(size)) for number, size in sizes.items()]
        made_up = {each.number: _made_up_uid(each, head) for each, head in self.heads([e for e in listed if not e.uid])}
        return [replace(each, uid=made_up[each.number]) if each.number in made_up else each for each in listed]

    def heads(self, wanted: Sequence[Listed]) -> Iterator[tuple[Listed, bytes]]:
        """The header blocks (TOP with no lines of the body), many commands in flight where that is offered."""
        try:
            self._settle()
            window = self._window
            for first in range(0, len(wanted), window):
                yield from self._tops(wanted[first : first + window])
        except ConnectionLostError as problem:
            raise self._unavailable(problem) from problem

    def fetch(self, wanted: Sequence[Listed]) -> Iterator[Fetched]:
        """Downloads ``wanted`` in order, a window of RETRs in flight where PIPELINING is offered (RFC 2449).

        A message that the server refuses, or that is past ``max_size``, is left out (see ``left_out``).
        """
        waiting = deque(wanted)
        try:
            self._settle()
            while waiting or self._in_flight:
                self._request(waiting)
                if self._in_flight:
                    fetched = self._receive()
                    if fetched is not None:
                        yield fetched
        except ConnectionLostError as problem:
            raise self._unavailable(problem) from problem

    def delete(self, done: Iterable[Listed]) -> None:
        """Marks messages; DELE is sent at ``commit``, so that an abandoned session has not even asked."""
        for listed in done:
            self._marked[listed.number] = listed

    def commit(self) -> None:
        """DELE for what is marked, then QUIT; with its own long timeout, since servers expunge only now."""
        try:
            self._settle()
            self._delete_marked()
            wire = self._connected
            wire.timeout(self._commit_timeout)
            wire.write(b"QUIT\r\n")
            reply = wire.line()
        except ConnectionLostError as problem:
            raise self._unavailable(f"the end of the session was not confirmed: {problem}") from problem
        finally:
            self.close()
        if not reply.startswith(b"+OK"):
            raise self._unavailable(f"QUIT was answered {readable(reply)}; some messages may still be there")

    # ------------------------------------------------------------ opening

    def open(self) -> None:
        """Connects, reads the greeting and the capabilities, starts TLS where it is asked for."""
        try:
            self._wire = Wire(self._endpoint)
            self._greeting = self._wire.line()
            if not self._greeting.startswith(b"+OK"):
                raise pop3_login.refusal(self._name, self._endpoint.host, readable(self._greeting))
            self._ask_capabilities()
            if self._endpoint.security == "starttls":
                self._start_tls(self._wire)
        except ConnectionLostError as problem:
            raise self._unavailable(problem) from problem

    def log_in(self, credentials: Credentials, *, plaintext_allowed: bool) -> None:
        """Logs in by what the server offers and ``credentials`` hold; see ``gateway.mail.pop3_login``."""
        offer = pop3_login.Pop3Offer(
            mailbox=self._name,
            greeting=self._greeting,
            capabilities=self._capabilities,
            line=Line(self._endpoint.host, self._wire is not None and self._wire.encrypted, plaintext_allowed),
        )
        try:
            pop3_login.log_in(self._command, offer, credentials)
            if "PIPELINING" not in self._capabilities:
                self._ask_capabilities()  # some servers offer it only now
        except ConnectionLostError as problem:
            raise self._unavailable(problem) from problem

    def close(self) -> None:
        """Drops the connection without a word."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def _start_tls(self, wire: Wire) -> None:
        reply = self._command("STLS")
        if not reply.startswith(b"+OK"):
            raise InsecureConnection(
                host=self._endpoint.host, reason=f"STLS was refused ({readable(reply)}); a stripped connection?"
            )
        wire.start_tls()
        self._ask_capabilities()  # what was said before TLS may have been forged

    def _ask_capabilities(self) -> None:
        self._capabilities = {}
        if self._command("CAPA").startswith(b"+OK"):
            for line in self._lines():
                word, _, rest = line.partition(" ")
                self._capabilities[word.upper()] = rest

    # ------------------------------------------------------------ fetching

    @property
    def _window(self) -> int:
        return _WINDOW if "PIPELINING" in self._capabilities else 1

    def _request(self, waiting: deque[Listed]) -> None:
        """Fills the window again once half of it is free: many commands in one packet."""
        window = self._window
        if self._in_flight and (len(self._in_flight) > window // 2 or self._flying > _WINDOW_BYTES // 2):
            return
        commands = bytearray()
        while waiting and len(self._in_flight) < window and (self._flying < _WINDOW_BYTES or not self._in_flight):
            listed = waiting.popleft()
            if listed.size > self._max_size:
                self.left_out.append((listed, f"{listed.size} bytes are past the limit of {self._max_size}"))
                continue
            commands += b"RETR %d\r\n" % listed.number
            self._in_flight.append(listed)
            self._flying += listed.size
        if commands:
            self._connected.write(bytes(commands))

    def _receive(self) -> Fetched | None:
        """The answer to the oldest RETR in flight; None where the server has no message to give."""
        wire = self._connected
        reply = wire.line()
        if reply.startswith(b"-ERR"):
            self.left_out.append((self._landed(), readable(reply)))
            return None
        if not reply.startswith(b"+OK"):
            raise ConnectionLostError(f"not an answer to RETR: {readable(reply)}")
        try:
            body = wire.message(self._max_size, self._spool)
        except OSError as problem:
            self.close()  # in the middle of an answer nothing else can be asked
            raise self._unavailable(f"no room for a big message: {problem.strerror or problem}") from problem
        listed = self._landed()
        if body is None:
            self.left_out.append((listed, f"larger than listed and past the limit of {self._max_size} bytes"))
            return None
        return Fetched(listed, body)

    def _landed(self) -> Listed:
        listed = self._in_flight.popleft()
        self._flying -= listed.size
        return listed

    def _tops(self, batch: Sequence[Listed]) -> list[tuple[Listed, bytes]]:
        """One batch of TOPs, all answers read before any is given, so that what follows is in step."""
        self._connected.write(b"".join(b"TOP %d 0\r\n" % each.number for each in batch))
        found = []
        for listed in batch:
            reply = self._connected.line()
            if reply.startswith(b"+OK"):
                head = self._connected.body(_HEAD)
                if head is not None:
                    found.append((listed, head))
            elif not reply.startswith(b"-ERR"):
                raise ConnectionLostError(f"not an answer to TOP: {readable(reply)}")
        return found

    def _settle(self) -> None:
        """Reads away what an abandoned ``fetch`` still has in flight, so that answers stay in step."""
        while self._in_flight:
            self._receive()

    def _delete_marked(self) -> None:
        # A refused DELE leaves its message there: the next run sees it again and knows it by its uid.
        numbers = list(self._marked)
        window = self._window
        for first in range(0, len(numbers), window):
            batch = numbers[first : first + window]
            self._connected.write(b"".join(b"DELE %d\r\n" % number for number in batch))
            for _ in batch:
                reply = self._connected.line()
                if not reply.startswith((b"+OK", b"-ERR")):
                    raise ConnectionLostError(f"not an answer to DELE: {readable(reply)}")
        self._marked.clear()

    # ------------------------------------------------------------ speaking

    @property
    def _connected(self) -> Wire:
        if self._wire is None:
            raise ConnectionLostError("the session has ended")
        return self._wire

    def _command(self, text: str) -> bytes:
        self._connected.write(text.encode() + b"\r\n")
        return self._connected.line()

    def _lines(self) -> list[str]:
        content = self._connected.body(_LISTING)
        if content is None:
            raise ConnectionLostError(f"an answer of more than {_LISTING} bytes")
        return content.decode("ascii", "backslashreplace").split("\r\n")[:-1]

    def _numbered(self, command: str, *, optional: bool = False) -> dict[int, str]:
        """The answer to LIST or UIDL as {number: text}; empty where the server refuses an optional command."""
        reply = self._command(command)
        found: dict[int, str] = {}
        if not reply.startswith(b"+OK"):
            if not optional:
                raise ConnectionLostError(f"{command} was refused: {readable(reply)}")
            return found
        for line in self._lines():
            number, _, rest = line.strip().partition(" ")
            if not number.isdecimal() or len(number) > 10:
                raise ConnectionLostError(f"{command} lists {readable(line.encode())!r}")
            found[int(number)] = rest.strip()
        return found

    def _unavailable(self, reason: object) -> MailboxUnavailable:
        return MailboxUnavailable(mailbox=self._name, host=self._endpoint.host, reason=reason)


def _size(text: str) -> int:
    """The size that LIST gives; what is no number counts as 0, since RETR is bounded by itself."""
    first = text.split(" ", 1)[0]
    return int(first) if first.isdecimal() and len(first) <= 15 else 0


def _uid(text: str) -> str:
    """A UIDL as we keep it: one that no database would index is named by its hash."""
    return text if len(text) <= _UID else "long:" + hashlib.sha256(text.encode()).hexdigest()


def _made_up_uid(listed: Listed, head: bytes) -> str:
    return "sha256:" + hashlib.sha256(f"{listed.size}\n".encode() + head).hexdigest()
