"""A POP3 server over asyncio: RFC 1939 with CAPA, PIPELINING, UIDL, TOP, STLS and AUTH PLAIN."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import ssl
from collections.abc import Callable

from gateway.mail.host.faults import Fault, Hook, no_fault
from gateway.mail.host.store import Store

_COMMAND = 2_000  # bytes of the longest command
_BURST = 262_144  # answers are flushed when they reach this size


class Pop3Server:
    """Serves a store. ``tls`` adds STLS; ``hook`` may spoil any command; without ``pipelining`` none is offered."""

    def __init__(
        self, store: Store, *, tls: ssl.SSLContext | None = None, hook: Hook = no_fault, pipelining: bool = True
    ) -> None:
        self.store = store
        self.tls = tls
        self.hook = hook
        self.pipelining = pipelining

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from the greeting to its end."""
        session = _Session(self, reader, writer)
        try:
            await session.run()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client went away
        finally:
            session.release()
            with contextlib.suppress(OSError):
                writer.close()


class _Session:
    """The state of one connection; answers are gathered and sent in bursts, as pipelining clients like it."""

    def __init__(self, server: Pop3Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._store = server.store
        self._reader = reader
        self._writer = writer
        self._unread = bytearray()
        self._answers = bytearray()
        self._name = ""
        self._address = ""  # set once logged in
        self._mails: list[tuple[str, bytes]] = []
        self._deleted: set[int] = set()
        self._over = False
        self._verbs: dict[str, Callable[[str], None]] = {
            "CAPA": self._capa,
            "USER": self._user,
            "PASS": self._pass,
            "NOOP": lambda _: self._ok(),
            "QUIT": self._quit,
        }
        self._transaction_verbs: dict[str, Callable[[str], None]] = {
            "STAT": self._stat,
            "LIST": lambda argument: self._list(argument, lambda mail: str(len(mail[1]))),
            "UIDL": lambda argument: self._list(argument, lambda mail: mail[0]),
            "RETR": self._retr,
            "TOP": self._top,
            "DELE": self._dele,
            "RSET": self._rset,
        }

    async def run(self) -> None:
        self._ok("mail host ready")
        while not self._over:
            line = await self._line()
            if line is None:
                return
            verb, _, argument = line.partition(" ")
            verb = verb.upper()
            fault = self._server.hook(verb, argument)
            start = len(self._answers)
            if fault is not None and fault.delay:
                await asyncio.sleep(fault.delay)
            if fault is not None and fault.reply:
                self._answers += f"{fault.reply}\r\n".encode()
            else:
                await self._carry_out(verb, argument)
            if fault is not None and fault.cut_after is not None:
                del self._answers[start + fault.cut_after :]
                self._over = True
            if len(self._answers) > _BURST:
                await self._flush()
        await self._flush()

    def release(self, *, deleting: bool = False) -> None:
        if self._address:
            gone = [self._mails[number - 1][0] for number in self._deleted] if deleting else []
            self._store.release(self._address, self, gone)
            self._address = ""

    async def _line(self) -> str | None:
        """The next command; answers are sent only when no further command waits."""
        while (end := self._unread.find(b"\n")) < 0:
            await self._flush()
            data = await self._reader.read(65_536)
            if not data or len(self._unread) > _COMMAND:
                return None
            self._unread += data
        line = bytes(self._unread[:end]).rstrip(b"\r")
        del self._unread[: end + 1]
        return line.decode("utf-8", "replace")

    async def _flush(self) -> None:
        if self._answers:
            self._writer.write(bytes(self._answers))
            self._answers.clear()
            await self._writer.drain()

    async def _carry_out(self, verb: str, argument: str) -> None:
        if verb == "STLS" and self._server.tls is not None and not self._encrypted:
            await self._start_tls(self._server.tls)
        elif verb == "AUTH" and not self._address:
            await self._auth(argument)
        elif verb in self._verbs:
            self._verbs[verb](argument)
        elif verb in self._transaction_verbs and self._address:
            self._transaction_verbs[verb](argument)
        else:
            self._error("not now, or never heard of it")

    # ------------------------------------------------------------ before login

    @property
    def _encrypted(self) -> bool:
        return self._writer.get_extra_info("ssl_object") is not None

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        self._ok("begin TLS")
        await self._flush()
        self._unread.clear()  # what came in clear after STLS is not to be trusted
        await self._writer.start_tls(context)

    def _capa(self, _: str) -> None:
        offered = ["TOP", "UIDL", "USER", "SASL PLAIN", "RESP-CODES", "AUTH-RESP-CODE"]
        if self._server.pipelining:
            offered.append("PIPELINING")
        if self._server.tls is not None and not self._encrypted:
            offered.append("STLS")
        self._ok()
        self._answers += "".join(f"{each}\r\n" for each in offered).encode() + b".\r\n"

    def _user(self, argument: str) -> None:
        self._name = argument
        self._ok()

    def _pass(self, argument: str) -> None:
        self._log_in(self._name, argument)

    async def _auth(self, argument: str) -> None:
        mechanism, _, response = argument.partition(" ")
        if mechanism.upper() != "PLAIN":
            self._error("unknown mechanism")
            return
        if not response:
            self._answers += b"+ \r\n"
            response = await self._line() or ""
        try:
            _, name, password = base64.b64decode(response, validate=True).decode().split("\0")
        except (binascii.Error, ValueError):
            self._error("not base64")
            return
        self._log_in(name, password)

    def _log_in(self, name: str, password: str) -> None:
        if not self._store.password_matches(name, password):
            self._error("[AUTH] user or password is wrong")
            return
        mails = self._store.lock(name, self)
        if mails is None:
            self._error("[IN-USE] another session has this mailbox open")
            return
        self._address = name
        self._mails = list(mails.items())
        self._ok("logged in")

    # ------------------------------------------------------------ transaction

    def _find(self, argument: str) -> int | None:
        """The message number that a command names, or None after an error answer."""
        first = argument.split(" ", maxsplit=1)[0]
        number = int(first) if first.isdecimal() and len(first) < 10 else 0
        if 1 <= number <= len(self._mails) and number not in self._deleted:
            return number
        self._error("no such message")
        return None

    def _stat(self, _: str) -> None:
        left = [raw for number, (_, raw) in enumerate(self._mails, 1) if number not in self._deleted]
        self._ok(f"{len(left)} {sum(map(len, left))}")

    def _list(self, argument: str, show: Callable[[tuple[str, bytes]], str]) -> None:
        if argument:
            number = self._find(argument)
            if number is not None:
                self._ok(f"{number} {show(self._mails[number - 1])}")
            return
        self._ok()
        for number, mail in enumerate(self._mails, 1):
            if number not in self._deleted:
                self._answers += f"{number} {show(mail)}\r\n".encode()
        self._answers += b".\r\n"

    def _retr(self, argument: str) -> None:
        number = self._find(argument)
        if number is not None:
            self._message(self._mails[number - 1][1])

    def _top(self, argument: str) -> None:
        count = argument.partition(" ")[2]
        if not (count.isdecimal() and len(count) < 10):
            self._error("how many lines?")
            return
        number = self._find(argument)
        if number is not None:
            head, blank, body = self._mails[number - 1][1].partition(b"\r\n\r\n")
            lines = body.split(b"\r\n")[: int(count)]
            self._message(head + blank + b"".join(line + b"\r\n" for line in lines))

    def _message(self, raw: bytes) -> None:
        self._ok()
        if raw.startswith(b"."):
            raw = b"." + raw
        self._answers += raw.replace(b"\r\n.", b"\r\n..")
        self._answers += b".\r\n" if raw.endswith(b"\r\n") else b"\r\n.\r\n"

    def _dele(self, argument: str) -> None:
        number = self._find(argument)
        if number is not None:
            self._deleted.add(number)
            self._ok()

    def _rset(self, _: str) -> None:
        self._deleted.clear()
        self._ok()

    def _quit(self, _: str) -> None:
        self.release(deleting=True)
        self._over = True
        self._ok("bye")

    # ------------------------------------------------------------ answers

    def _ok(self, text: str = "") -> None:
        self._answers += f"+OK {text}".rstrip().encode() + b"\r\n"

    def _error(self, text: str) -> None:
        self._answers += f"-ERR {text}\r\n".encode()


__all__ = ["Fault", "Pop3Server"]
