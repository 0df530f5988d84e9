"""POP3 and SMTP hosts that keep the rules until a trial makes them break one, and that know what they did.

Nothing here is the product's code. What was deleted and what was taken is written down where it happens; the checker
(``faults.protocol.truth``) believes these books and nobody else.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

PASSWORD = "not a secret"  # of servers that listen on loopback and die with the test


class GoneError(OSError):
    """The host ends this connection."""


class Talk:
    """One connection, seen from the host."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.lines = connection.makefile("rb")

    def say(self, *lines: str | bytes) -> None:
        """Sends lines in one write; bytes go as they are."""
        self.connection.sendall(b"".join(each if isinstance(each, bytes) else f"{each}\r\n".encode() for each in lines))

    def hang_up(self) -> None:
        """Ends the connection in order: the client sees its end."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        raise GoneError

    def reset(self) -> None:
        """Ends the connection as a crash does."""
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise GoneError

    def hang(self) -> None:
        """Says nothing any more, until the client has had enough."""
        with contextlib.suppress(OSError):
            while self.connection.recv(65_536):
                pass
        raise GoneError

    def start_tls(self, context: ssl.SSLContext) -> None:
        """From here on encrypted."""
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.lines = self.connection.makefile("rb")


class Host:
    """A listener on loopback and a thread for each connection.

    ``hook(talk, verb, argument)`` is asked before each command is carried out, with ``CONNECT`` before the greeting;
    True where it has answered by itself. ``heard`` holds what clients said, ``connections`` how often they came.
    """

    def __init__(self) -> None:
        self.hook: Callable[[Any, str, str], bool] = lambda *_: False
        self.heard: list[str] = []
        self.connections = 0
        self._open: list[socket.socket] = []
        self._listen()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.go_away()

    def behave(self) -> None:
        """No fault any more."""
        self.hook = lambda *_: False

    def go_away(self) -> None:
        """Nothing listens any more; connections end."""
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def come_back(self) -> None:
        """Listens again on the same port."""
        self._listen(self.port)

    def _listen(self, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, args=(self._listener,), daemon=True)]
        self._threads[0].start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.settimeout(30)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        talk = self.talk(connection)
        with contextlib.suppress(OSError, ValueError):
            try:
                if not self.hook(talk, "CONNECT", ""):
                    self.greet(talk)
                while line := talk.lines.readline():
                    text = line.decode("latin-1").rstrip("\r\n")
                    self.heard.append(text)
                    verb, _, argument = text.partition(" ")
                    if not self.hook(talk, verb.upper(), argument):
                        self.carry_out(talk, verb.upper(), argument)
            finally:
                talk.lines.close()
                talk.connection.close()

    # ------------------------------------------------------------ what each kind does

    def talk(self, connection: socket.socket) -> Any:
        """A new connection."""
        raise NotImplementedError

    def greet(self, talk: Any) -> None:
        """Its first word."""
        raise NotImplementedError

    def carry_out(self, talk: Any, verb: str, argument: str) -> None:
        """What the command asks for."""
        raise NotImplementedError


class Pop3Talk(Talk):
    """A session: what was there when it began, what it was shown, what it marked."""

    def __init__(self, connection: socket.socket, mails: Sequence[tuple[str, bytes]]) -> None:
        super().__init__(connection)
        self.mails = list(mails)
        self.marked: list[int] = []
        self.shown: dict[int, bytes] = {}


class Pop3Host(Host):
    """One mailbox (RFC 1939, CAPA, PIPELINING, STLS): ``box`` is what is in it, ``gone`` what clients deleted.

    ``uids`` gives what UIDL says for the true names (None: it is not spoken); ``show`` what RETR gives of a mail.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.box: dict[str, bytes] = {}
        self.gone: list[bytes] = []
        self.tls = tls
        self.capabilities = ["TOP", "UIDL", "USER", "PIPELINING", *(["STLS"] if tls else [])]
        self.uids: Callable[[list[str]], list[str] | None] = lambda names: names
        self.show: Callable[[bytes], bytes] = lambda raw: raw
        self._count = 0
        super().__init__()

    def put(self, raw: bytes) -> str:
        """A mail arrives; returns its true name."""
        self._count += 1
        name = f"uid{self._count:05}"
        self.box[name] = raw
        return name

    def delete(self, talk: Pop3Talk, places: Sequence[int]) -> None:
        """What a session marked goes, as it was shown to it."""
        for place in places:
            name, raw = talk.mails[place - 1]
            if self.box.pop(name, None) is not None:
                self.gone.append(talk.shown.get(place, raw))

    def talk(self, connection: socket.socket) -> Pop3Talk:
        return Pop3Talk(connection, list(self.box.items()))

    def greet(self, talk: Pop3Talk) -> None:
        talk.say("+OK ready")

    def carry_out(self, talk: Pop3Talk, verb: str, argument: str) -> None:  # noqa: C901 - a verb, a case
        match verb:
            case "CAPA":
                talk.say("+OK", *self.capabilities, ".")
            case "STLS" if self.tls is not None:
                talk.say("+OK begin")
                talk.start_tls(self.tls)
            case "USER" | "NOOP":
                talk.say("+OK")
            case "PASS":
                talk.say("+OK in" if argument == PASSWORD else "-ERR [AUTH] no")
            case "LIST":
                sizes = [len(self.show(raw)) for _, raw in talk.mails]
                talk.say("+OK", *(f"{n} {size}" for n, size in enumerate(sizes, 1)), ".")
            case "UIDL":
                names = self.uids([name for name, _ in talk.mails])
                lines = ["+OK", *(f"{n} {name}" for n, name in enumerate(names, 1)), "."] if names is not None else []
                talk.say(*(lines or ["-ERR unknown"]))
            case "TOP":
                raw = self.show(talk.mails[int(argument.partition(" ")[0]) - 1][1])
                talk.say(b"+OK\r\n" + raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n.\r\n")
            case "RETR":
                talk.say(self.answer(talk, int(argument)))
            case "DELE":
                talk.marked.append(int(argument))
                talk.say("+OK")
            case "QUIT":
                self.delete(talk, talk.marked)
                talk.say("+OK bye")
                talk.hang_up()
            case _:
                talk.say("-ERR what?")

    def answer(self, talk: Pop3Talk, place: int) -> bytes:
        """The whole answer to RETR."""
        raw = talk.shown[place] = self.show(talk.mails[place - 1][1])
        return b"+OK\r\n" + re.sub(rb"(?m)^\.", b"..", raw) + (b"" if raw.endswith(b"\r\n") else b"\r\n") + b".\r\n"


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail that the SMTP host took: its bytes, and to whom."""

    raw: bytes
    recipients: tuple[str, ...]


class SmtpTalk(Talk):
    """A session: the envelope so far, and the content once its dot has come."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self.sender: str | None = None
        self.recipients: list[str] = []
        self.content = b""


class SmtpHost(Host):
    """RFC 5321 with PIPELINING and AUTH PLAIN: ``taken`` is what it has taken.

    The hook is asked with ``.`` when the final dot has come. ``reply`` is what partners mail back for each mail.
    Where it is not ``strict``, it takes recipients although it has refused the sender.
    """

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.extensions = ["8BITMIME", "PIPELINING", "AUTH PLAIN"]
        self.strict = True
        self.reply: Callable[[Taken], None] = lambda _: None
        super().__init__()

    def take(self, talk: SmtpTalk) -> None:
        """From here on the mail is the host's."""
        self.taken.append(Taken(talk.content, tuple(talk.recipients)))
        self.reply(self.taken[-1])

    def talk(self, connection: socket.socket) -> SmtpTalk:
        return SmtpTalk(connection)

    def greet(self, talk: SmtpTalk) -> None:
        talk.say("220 ready")

    def carry_out(self, talk: SmtpTalk, verb: str, argument: str) -> None:
        match verb:
            case "EHLO":
                lines = ["host.example", *self.extensions]
                talk.say(*(f"250-{each}" for each in lines[:-1]), f"250 {lines[-1]}")
            case "AUTH":
                talk.say("235 in")
            case "HELO" | "NOOP":
                talk.say("250 ok")
            case "MAIL" | "RSET":
                talk.sender, talk.recipients = (argument if verb == "MAIL" else None), []
                talk.say("250 ok")
            case "RCPT" if talk.sender is None and self.strict:
                talk.say("503 from whom?")
            case "RCPT":
                talk.recipients.append(argument[argument.index("<") + 1 : argument.index(">")])
                talk.say("250 ok")
            case "DATA":
                talk.say("354 go" if talk.recipients else "503 to whom?")
                if talk.recipients:
                    self.hear_content(talk)
            case "QUIT":
                talk.say("221 bye")
                talk.hang_up()
            case _:
                talk.say("500 what?")

    def hear_content(self, talk: SmtpTalk) -> None:
        """The mail up to its dot, and the host's word on it."""
        lines: list[bytes] = []
        for line in talk.lines:
            if line == b".\r\n":
                break
            lines.append(line[1:] if line.startswith(b".") else line)
        else:
            raise GoneError  # cut before the final dot: nothing is taken
        talk.content = b"".join(lines)
        if not self.hook(talk, ".", ""):
            self.take(talk)
            talk.say("250 2.0.0 Ok: queued as ABC123")
        talk.sender, talk.recipients = None, []
