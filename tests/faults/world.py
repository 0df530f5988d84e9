"""The world outside of the gateway: a mail host and the partners behind it, who keep the truth.

Nothing here is the product's code. What the partners put into the mailbox, what was taken out of it, and what the
SMTP host was given is written down as it happens, in the order in which it happens.
"""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

PASSWORD = "not a secret"  # of a server that listens on loopback and dies with the test


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail that the SMTP host took: its bytes, and to whom."""

    raw: bytes
    recipients: tuple[str, ...]


@dataclass
class World:
    """The mail host. ``reply`` is what partners mail back when they get a mail; ``spoil`` says what goes wrong.

    ``spoil`` is asked at each command of either protocol and may answer with one of: "cut" (hang up before it is
    carried out), "cut after" (carry it out, and hang up instead of answering), or a reply line to give instead.
    """

    reply: Callable[[bytes], list[bytes]] = lambda _: []
    spoil: Callable[[str, str], str | None] = lambda _protocol, _command: None
    box: dict[str, bytes] = field(default_factory=dict)  # UIDL → mail
    gone: list[bytes] = field(default_factory=list)  # mails that the gateway deleted
    taken: list[Taken] = field(default_factory=list)
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _sockets: list[socket.socket] = field(default_factory=list)
    _open: set[socket.socket] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.pop3_port = self._listen(_Pop3)
        self.smtp_port = self._listen(_Smtp)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        for each in self._sockets:
            each.close()

    # ------------------------------------------------------------ what partners do

    def put(self, raw: bytes) -> None:
        """A mail arrives in the mailbox."""
        with self._lock:
            self._count += 1
            self.box[f"uid{self._count:05}"] = raw

    def begin(self) -> None:
        """A new trial: nothing has happened yet."""
        self.hang_up()
        with self._lock:
            self.box, self.gone, self.taken, self._count = {}, [], [], 0
        self.spoil = lambda _protocol, _command: None

    def hang_up(self) -> None:
        """Ends all connections: what a host notices when the machine on the other side loses power."""
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    # ------------------------------------------------------------ what servers do

    def delete(self, uids: list[str]) -> None:
        with self._lock:
            self.gone += [self.box.pop(uid) for uid in uids if uid in self.box]

    def take(self, raw: bytes, recipients: list[str]) -> None:
        with self._lock:
            self.taken.append(Taken(raw, tuple(recipients)))
        for answer in self.reply(raw):
            self.put(answer)

    def _listen(self, kind: type[_Session]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        self._sockets.append(listener)
        threading.Thread(target=self._serve, args=(listener, kind), daemon=True).start()
        return int(listener.getsockname()[1])

    def _serve(self, listener: socket.socket, kind: type[_Session]) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection, kind), daemon=True).start()

    def _talk(self, connection: socket.socket, kind: type[_Session]) -> None:
        self._open.add(connection)
        try:
            with connection, connection.makefile("rb") as lines:
                kind(self, connection, lines).run()
        except OSError:
            pass  # the gateway was killed
        finally:
            self._open.discard(connection)


class _OverError(OSError):
    """The session has ended."""


class _Session:
    """One connection."""

    name = ""

    def __init__(self, world: World, connection: socket.socket, lines) -> None:
        self.world, self.connection, self.lines = world, connection, lines

    def say(self, text: bytes | str) -> None:
        self.connection.sendall(text.encode() + b"\r\n" if isinstance(text, str) else text)

    def commands(self):
        """Each command that is to be carried out; the world may have spoiled others."""
        for line in self.lines:
            text = line.decode("latin-1").rstrip("\r\n")
            spoiled = self.world.spoil(self.name, text)
            if spoiled == "cut":
                raise _OverError
            if spoiled == "cut after":
                self.connection.shutdown(socket.SHUT_WR)
            if spoiled is None or spoiled == "cut after":
                yield text
            else:
                self.say(spoiled)


class _Pop3(_Session):
    """RFC 1939 with CAPA and PIPELINING: what is marked goes at QUIT, and only then."""

    name = "pop3"

    def run(self) -> None:
        mails = list(self.world.box.items())
        marked: set[int] = set()
        self.say("+OK ready")
        for text in self.commands():
            verb, _, argument = text.partition(" ")
            match verb.upper():
                case "CAPA":
                    self.say(b"+OK\r\nTOP\r\nUIDL\r\nUSER\r\nPIPELINING\r\n.\r\n")
                case "USER" | "PASS" | "NOOP":
                    self.say("+OK")
                case "LIST" | "UIDL":
                    show = (lambda uid, _: uid) if verb.upper() == "UIDL" else (lambda _, raw: str(len(raw)))
                    lines = [f"{n} {show(*mail)}\r\n" for n, mail in enumerate(mails, 1) if n not in marked]
                    self.say(f"+OK\r\n{''.join(lines)}.\r\n".encode())
                case "RETR":
                    self.say(b"+OK\r\n" + re.sub(rb"(?m)^\.", b"..", mails[int(argument) - 1][1]) + b".\r\n")
                case "DELE":
                    marked.add(int(argument))
                    self.say("+OK")
                case "QUIT":
                    self.world.delete([mails[n - 1][0] for n in marked])
                    self.say("+OK")
                    return
                case _:
                    self.say("-ERR")


class _Smtp(_Session):
    """RFC 5321 with PIPELINING."""

    name = "smtp"

    def run(self) -> None:
        recipients: list[str] = []
        self.say("220 ready")
        for text in self.commands():
            match text[:4].upper():
                case "EHLO":
                    self.say(b"250-host.example\r\n250-8BITMIME\r\n250 PIPELINING\r\n")
                case "MAIL" | "RSET":
                    recipients = []
                    self.say("250 ok")
                case "RCPT":
                    recipients.append(text[text.index("<") + 1 : text.index(">")])
                    self.say("250 ok")
                case "DATA":
                    self.say("354 go")
                    self._data(recipients)
                case "QUIT":
                    self.say("221 bye")
                    return
                case _:
                    self.say("500 what?")

    def _data(self, recipients: list[str]) -> None:
        lines = []
        for line in self.lines:
            if line == b".\r\n":
                break
            lines.append(line[1:] if line.startswith(b".") else line)
        else:
            raise _OverError  # cut before the final dot: nothing is taken
        spoiled = self.world.spoil("smtp", ".")
        if spoiled == "cut":
            raise _OverError
        if spoiled not in {None, "cut after"}:
            self.say(spoiled)
            return
        self.world.take(b"".join(lines), recipients)
        if spoiled == "cut after":
            raise _OverError
        self.say("250 queued as " + hashlib.sha256(b"".join(lines)).hexdigest()[:10])
