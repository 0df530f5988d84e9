"""One IMAP connection (RFC 3501, 9051): tags, literals, untagged answers at any moment, all of it bounded."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from msgspec import Struct

from gateway.errors import InsecureConnection
from gateway.mail.imap_syntax import Oversized, Piece
from gateway.mail.spool import SPOOL_OVER
from gateway.mail.wire import ConnectionLostError, Endpoint, Wire, has_line_end, readable

_LINE = 1_000_000  # bytes of one line of an answer
_ANSWERS = 64_000_000  # bytes of all answers to one command, message texts apart
_EACH = 64  # … with so many for each answer on top: a small one costs time too
_PIECES = 1_000  # literals in one answer
_PACE = 200  # bytes a second at which a command must be answered at least, once it has taken long
_STATUS = frozenset({"OK", "NO", "BAD", "BYE", "PREAUTH"})
_HEAD = re.compile(rb"(\*|[A-Za-z]\d{1,9}) (?:(\d{1,10}) )?([A-Za-z][A-Za-z0-9-]*)(?: (.*))?", re.DOTALL)
_LITERAL = re.compile(rb"\{(\d{1,18})\+?\}$")
_CODE = re.compile(rb"\[([^\]]*)\]")


class Answer(Struct, frozen=True):
    """One answer. ``tag`` is ``*``, ``+`` or the command's; ``pieces`` are text and literals in turn."""

    tag: str
    word: str  # OK, NO, FETCH, EXISTS …; "" for a continuation
    number: int  # the message number, or how many; 0 where there is none
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> bytes:
        """What follows the word, up to the first literal."""
        first = self.pieces[0]
        return first if isinstance(first, bytes) else b""

    @property
    def code(self) -> str:
        """The response code of a status answer, such as ``TRYCREATE`` or ``UIDVALIDITY 7``; "" without one."""
        found = _CODE.match(self.text) if self.word in _STATUS else None
        return readable(found[1]).upper() if found else ""

    @property
    def size(self) -> int:
        """How many bytes of it came over the wire."""
        return sum(len(each) if isinstance(each, bytes) else each.size for each in self.pieces)


class ImapConnection:
    """Speaks IMAP over a ``Wire``. ``capabilities`` is what the server said last; ``exists`` counts its messages.

    Raises (all methods): ``ConnectionLostError`` for what the network did and for what is no IMAP,
    ``InsecureConnection`` for TLS.
    """

    def __init__(self, endpoint: Endpoint, *, limit: int, patience: float, spool: Path | None = None) -> None:
        self._endpoint = endpoint
        self._limit = limit  # bytes of one literal
        self._spool = spool  # where literals go that are too big for memory
        self._patience = max(patience, 10 * endpoint.timeout)
        self._count = 0
        self.capabilities: frozenset[str] = frozenset()
        self.exists = 0
        self.arrived = False  # whether ``exists`` grew; whoever looks sets it back
        self.ending = False  # after LOGOUT a BYE is what we wait for
        self.alert = ""
        self.wire = Wire(endpoint)

    def greet(self) -> Answer:
        """Reads the greeting and starts TLS where it is wanted; a host that refuses ends it.

        Raises:
            InsecureConnection: without TLS where it is wanted, and when the host calls us logged in before it.
        """
        greeting = self.answer()
        if greeting.tag != "*" or greeting.word not in {"OK", "PREAUTH"}:
            raise ConnectionLostError(f"not a greeting: {self.said(greeting)}")
        if self._endpoint.security == "starttls":
            self._start_tls(greeting)
        if not self.capabilities:
            self.ask_capabilities()
        return greeting

    def _start_tls(self, greeting: Answer) -> None:
        host = self._endpoint.host
        if greeting.word == "PREAUTH":  # RFC 9051 section 7.1.4: STARTTLS is not possible any more
            raise InsecureConnection(host=host, reason="the host calls us logged in before TLS; a stripped connection?")
        reply = self.ask("STARTTLS")[0]
        if reply.word != "OK":
            raise InsecureConnection(
                host=host, reason=f"STARTTLS was refused ({self.said(reply)}); a stripped connection?"
            )
        self.wire.start_tls()
        # What was said before TLS may have been forged.
        self.capabilities, self.exists, self.alert = frozenset(), 0, ""

    def ask_capabilities(self) -> None:
        """Asks what the server can do: anew after TLS and after the login."""
        self.capabilities = frozenset()
        self.ask("CAPABILITY")

    # ------------------------------------------------------------ commands

    def send(self, command: str) -> str:
        """Sends a command and returns its tag. Whatever would break out of it ends the connection instead."""
        if has_line_end(command) or not command.isascii():
            raise ConnectionLostError("a command with a line end or beyond ASCII is never sent")
        self._count += 1
        tag = f"G{self._count}"
        self.wire.write(f"{tag} {command}\r\n".encode("ascii"))
        return tag

    def ask(self, command: str) -> tuple[Answer, list[Answer]]:
        """Sends a command and waits for its end: the tagged answer, and the untagged ones before it."""
        *before, last = self.answers(self.send(command))
        return last, before

    def demand(self, command: str) -> list[Answer]:
        """The untagged answers to a command that must succeed.

        Raises:
            ConnectionLostError: with the server's words, when it did not.
        """
        last, before = self.ask(command)
        if last.word != "OK":
            raise ConnectionLostError(f"{command.partition(' ')[0]} was answered {self.said(last)}")
        return before

    def answers(self, tag: str, most: int = 0, others: Collection[str] = ()) -> Iterator[Answer]:
        """The answers up to the tagged one, which comes last; at most ``most`` bytes of them (64 MB by default).

        Commands with the tags ``others`` run too, and may be answered first.
        """
        began, size, count = time.monotonic(), 0, 0
        while True:
            answer = self.answer()
            size, count = size + answer.size + 10, count + 1
            elapsed = time.monotonic() - began
            if size + _EACH * count > (most or _ANSWERS) or (elapsed > self._patience and size < _PACE * elapsed):
                raise ConnectionLostError(f"an answer without end: {size} bytes in {elapsed:.0f} seconds")
            if answer.tag not in {"*", tag} and answer.tag not in others:
                raise ConnectionLostError(f"an answer to what was not asked: {self.said(answer)}")
            yield answer
            if answer.tag == tag:
                return

    def proceed(self, tag: str) -> Answer:
        """Waits until the server asks for more (``+``), or ends the command: that answer."""
        for _ in range(1_000):
            answer = self.answer()
            if answer.tag in {"+", tag}:
                return answer
            if answer.tag != "*":
                break
        raise ConnectionLostError("no continuation came")

    def said(self, answer: Answer) -> str:
        """A status answer for people and logs, with what the server wants a person to know (ALERT)."""
        text = readable(f"{answer.word} ".encode() + answer.text)
        return f"{text} ({self.alert})" if self.alert and self.alert not in text else text

    # ------------------------------------------------------------ answers

    def answer(self) -> Answer:
        """The next answer, whatever it is about."""
        line = self.wire.line(_LINE)
        if line.startswith(b"+"):
            return Answer("+", "", 0, (line[1:].strip(),))
        head = _HEAD.fullmatch(line)
        if head is None:
            raise ConnectionLostError(f"not an answer of IMAP: {readable(line)!r}")
        tag, count, name, rest = head.groups()
        word = name.decode().upper()
        found = Answer(tag.decode(), word, int(count or 0), self._pieces(rest or b"", word))
        self._note(found)
        return found

    def _pieces(self, text: bytes, word: str) -> tuple[Piece, ...]:
        pieces: list[Piece] = [text]
        kept = 0
        while word not in _STATUS and (literal := _LITERAL.search(text)):
            size = int(literal[1])
            pieces.append(self._literal(size))
            kept += min(size, self._limit)
            text = self.wire.line(_LINE)
            pieces.append(text)
            if len(pieces) > _PIECES or kept > self._limit + _LINE:
                raise ConnectionLostError("an answer with too many literals")
        return tuple(pieces)

    def _literal(self, size: int) -> Piece:
        if size <= min(self._limit, SPOOL_OVER):
            return self.wire.exactly(size)
        if size <= self._limit:
            return self.wire.spooled(size, self._spool)
        if size > 8 * self._limit + 1_000_000_000:
            raise ConnectionLostError(f"a literal of {size} bytes")
        self.wire.skip(size)
        return Oversized(size)

    def _note(self, answer: Answer) -> None:
        """What may come at any moment and changes what we know of the server."""
        if answer.word == "BYE" and not self.ending:
            raise ConnectionLostError(f"the host ended it: {self.said(answer)}")
        if answer.word == "EXISTS":
            self.arrived = self.arrived or answer.number > self.exists
            self.exists = answer.number
        elif answer.word == "EXPUNGE":
            self.exists = max(self.exists - 1, 0)
        elif answer.word == "CAPABILITY":
            self._learn(answer.text)
        elif answer.code.startswith("CAPABILITY "):
            self._learn(answer.code.encode().partition(b" ")[2])
        elif answer.code == "ALERT":
            self.alert = readable(answer.text)

    def _learn(self, text: bytes) -> None:
        self.capabilities = frozenset(text.decode("ascii", "replace").upper().split())
