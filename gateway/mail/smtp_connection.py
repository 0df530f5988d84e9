"""One conversation with an SMTP host (RFC 5321, 1870, 2920, 3207, 3461, 4954, 6152, 6531)."""

from __future__ import annotations

import re

from msgspec import Struct

from gateway.errors import (
    GatewayError,
    InsecureConnection,
    OutcomeUnknown,
    Refused,
    SmtpInterrupted,
    SmtpUnavailable,
    TemporarilyRefused,
)
from gateway.mail.model import OutgoingMail
from gateway.mail.wire import ConnectionLostError, Wire, has_line_end, readable

_REPLY = re.compile(rb"([2-5][0-9]{2})([ -]|$)(.*)", re.DOTALL)
_REPLY_LINES = 200
_SLICE = 262_144  # bytes written under one timeout: a large mail on a slow line is no silence
_NO_XTEXT = re.compile(r"[^!-*,-<>-~]")  # what RFC 3461 section 4 wants written as +HH


class Reply(Struct, frozen=True):
    """One SMTP reply: its code, and its text for people."""

    code: int
    text: str
    data: bytes = b""  # the text of its last line as it came: a challenge

    @property
    def good(self) -> bool:
        """Whether the host did what it was asked for (2xx)."""
        return 200 <= self.code < 300

    @property
    def temporary(self) -> bool:
        """Whether the same attempt may succeed later (4xx)."""
        return 400 <= self.code < 500


class SmtpConnection:
    """One conversation with an SMTP host; ``open`` is False once it cannot serve another mail."""

    def __init__(self, wire: Wire, host: str) -> None:
        self._wire = wire
        self.host = host
        self._extensions: dict[str, str] = {}
        self.open = True

    # ------------------------------------------------------------ opening

    def greet(self, helo: str, *, starttls: bool) -> None:
        """Reads the greeting, says EHLO (or HELO), and encrypts where that is asked for."""
        greeting = self._reply()
        if greeting.code != 220:
            raise SmtpUnavailable(host=self.host, reason=_said(greeting))
        name = helo or _address_literal(self._wire.local_address)
        self._hello(name)
        if not starttls:
            return
        if "STARTTLS" not in self._extensions:
            raise InsecureConnection(host=self.host, reason="STARTTLS is not offered; a stripped connection?")
        reply = self.command("STARTTLS")
        if reply.code != 220:
            raise InsecureConnection(host=self.host, reason=f"STARTTLS was refused: {_said(reply)}")
        self._wire.start_tls()
        self._hello(name)  # what was said before TLS may have been forged

    @property
    def encrypted(self) -> bool:
        """Whether TLS is on."""
        return self._wire.encrypted

    def extension(self, word: str) -> str:
        """What the host said after ``word`` in EHLO; empty where it does not offer it."""
        return self._extensions.get(word, "")

    def command(self, text: str) -> Reply:
        """Sends one command, or one answer to a challenge, and reads the reply."""
        return self._lines(text)[0]

    def _hello(self, name: str) -> None:
        reply, lines = self._lines(f"EHLO {name}")
        self._extensions = {}
        if not reply.good:
            reply = self.command(f"HELO {name}")
            if not reply.good:
                raise SmtpUnavailable(host=self.host, reason=_said(reply))
            return
        for line in lines[1:]:
            word, _, rest = line.replace("=", " ", 1).partition(" ")  # AUTH=PLAIN: what old hosts say
            known = self._extensions.get(word.upper())
            self._extensions[word.upper()] = f"{known} {rest}" if known else rest

    # ------------------------------------------------------------ one mail

    def envelope(self, mail: OutgoingMail, content: bytes) -> tuple[tuple[str, str], ...]:
        """MAIL, RCPT and DATA, in one write where PIPELINING is offered. Returns who was refused.

        Raises:
            ConnectionLostError: nothing was taken.
            TemporarilyRefused, Refused: nothing was taken; the connection stays usable unless ``open`` says no.
        """
        self._check_possible(mail, content)
        commands = [self._mail_from(mail, content), *(self._recipient(mail, each) for each in mail.recipients), "DATA"]
        replies = self._exchange(commands, len(mail.recipients))
        sender, data = replies[0], replies[-1]
        recipients = replies[1 : 1 + len(mail.recipients)]
        refused = [(who, reply) for who, reply in zip(mail.recipients, recipients, strict=False) if not reply.good]
        if sender.good and len(refused) < len(mail.recipients) and data.code == 354:
            return tuple((who, _said(reply)) for who, reply in refused)
        self._back_out(data, to_nobody=not any(each.good for each in recipients))
        if not sender.good:
            raise self._refusal(mail.recipients[0], sender)
        if len(refused) == len(mail.recipients):
            who, reply = next((each for each in refused if each[1].temporary), refused[0])
            raise self._refusal(who, reply)
        raise self._refusal(mail.recipients[0], data)

    def content(self, content: bytes, dot_timeout: float) -> Reply:
        """The mail itself, the final dot, and the host's word.

        Raises:
            SmtpInterrupted: lost before the final dot; nothing was taken.
            TemporarilyRefused, Refused: the host's word.
            OutcomeUnknown: lost after the final dot, or an answer that is none.
        """
        last = max(0, (len(content) - 1) // _SLICE * _SLICE)
        try:
            for start in range(0, last, _SLICE):
                self._wire.write(content[start : start + _SLICE])
            # In one write with the end of the mail: a write that fails has not handed over its last byte, so that the
            # host cannot have seen the whole dot; and a host woken once is faster than one woken twice.
            self._wire.write(content[last:] + b".\r\n")
        except ConnectionLostError as problem:
            raise self._cut_short(problem) from problem
        try:
            self._wire.timeout(dot_timeout)
            reply = self._reply()
        except ConnectionLostError as problem:
            self._close()
            raise OutcomeUnknown(host=self.host, reason=problem) from problem
        self._wire.restore_timeout()
        if 200 <= reply.code < 400 and not reply.good:
            self._close()
            raise OutcomeUnknown(host=self.host, reason=f"an answer that is none: {_said(reply)}")
        if not reply.good:
            raise self._refusal("all recipients", reply)
        return reply

    def stale(self) -> bool:
        """Whether the host spoke up or went away between mails."""
        return self._wire.has_unread()

    def quit(self) -> None:
        """QUIT, best effort: every mail has its answer already."""
        if self.open:
            try:
                self._wire.timeout(5)
                self._wire.write(b"QUIT\r\n")
                self._wire.line()
            except ConnectionLostError:
                pass  # nothing hangs on it
        self._close()

    def drop(self) -> None:
        """Ends the connection without a word."""
        self._close()

    def _check_possible(self, mail: OutgoingMail, content: bytes) -> None:
        """Refuses what the host has said it will not take, before anything is sent."""
        limit = self._extensions.get("SIZE", "")
        problem = ""
        if limit.isdecimal() and 0 < int(limit) < len(content):
            problem = f"552 5.3.4 the mail has {len(content)} bytes, the host takes {limit} at most (nothing was sent)"
        elif not mail.raw.isascii() and "8BITMIME" not in self._extensions:
            problem = "554 5.6.3 the mail has 8-bit content and the host offers no 8BITMIME (nothing was sent)"
        elif not _ascii_envelope(mail) and "SMTPUTF8" not in self._extensions:
            problem = "553 5.6.7 an address is not ASCII and the host offers no SMTPUTF8 (nothing was sent)"
        if problem:
            raise Refused(host=self.host, recipient=", ".join(mail.recipients), reply=problem)

    def _mail_from(self, mail: OutgoingMail, content: bytes) -> str:
        command = f"MAIL FROM:<{mail.envelope_sender}>"
        if "SIZE" in self._extensions:
            command += f" SIZE={len(content)}"
        if "8BITMIME" in self._extensions:
            command += " BODY=8BITMIME" if not mail.raw.isascii() else " BODY=7BIT"
        if not _ascii_envelope(mail):
            command += " SMTPUTF8"
        if mail.envelope_id and "DSN" in self._extensions:
            command += f" RET=HDRS ENVID={_xtext(mail.envelope_id)}"
        return command

    def _recipient(self, mail: OutgoingMail, address: str) -> str:
        command = f"RCPT TO:<{address}>"
        if mail.envelope_id and "DSN" in self._extensions:
            command += " NOTIFY=FAILURE,DELAY"
            if address.isascii():
                command += f" ORCPT=rfc822;{_xtext(address)}"
        return command

    def _exchange(self, commands: list[str], recipients: int) -> list[Reply]:
        """The replies to all commands; where not pipelined, up to the first that makes the others pointless."""
        if "PIPELINING" in self._extensions:
            self._wire.write("".join(f"{each}\r\n" for each in commands).encode())
            return self._until_closing(len(commands))
        replies: list[Reply] = []
        for place, command in enumerate(commands):
            hopeless = place == 1 + recipients and not any(each.good for each in replies[1:])
            if hopeless or (replies and (replies[-1].code == 421 or not replies[0].good)):
                break
            replies.append(self.command(command))
        self.open = self.open and replies[-1].code != 421
        return replies

    def _until_closing(self, count: int) -> list[Reply]:
        replies: list[Reply] = []
        for _ in range(count):
            replies.append(self._reply())
            if replies[-1].code == 421:  # closing: nothing follows
                self._close()
                break
        return replies

    def _back_out(self, data: Reply, *, to_nobody: bool) -> None:
        """Leaves a transaction that will not be completed, so that the next mail starts clean."""
        if not self.open:
            return
        if data.code == 354 and not to_nobody:
            self._close()  # it refused the sender and goes on nevertheless: a lone dot would be a mail of nothing
            return
        try:
            if data.code == 354:
                # Pipelined DATA was taken although no recipient was: RFC 2920 section 3.1 wants a lone dot.
                self._wire.write(b".\r\n")
                self._reply()
            if not self.command("RSET").good:
                self._close()
        except ConnectionLostError:
            self._close()

    def _cut_short(self, problem: ConnectionLostError) -> GatewayError:
        """The host hung up while we sent: it may have said why."""
        try:
            reply = self._reply()
        except ConnectionLostError:
            reply = Reply(0, "")
        self._close()
        if reply.code >= 400:
            return self._refusal("all recipients", reply)
        return SmtpInterrupted(host=self.host, reason=f"{problem} (before the final dot)")

    def _refusal(self, recipient: str, reply: Reply) -> GatewayError:
        if reply.code == 421:
            self._close()
        if reply.temporary:
            return TemporarilyRefused(host=self.host, recipient=recipient, reply=_said(reply))
        if 500 <= reply.code < 600:
            return Refused(host=self.host, recipient=recipient, reply=_said(reply))
        self._close()  # a reply that makes no sense here: out of step, never to be trusted again
        return SmtpInterrupted(host=self.host, reason=f"an answer that makes no sense here: {_said(reply)}")

    # ------------------------------------------------------------ speaking

    def _lines(self, command: str) -> tuple[Reply, list[str]]:
        if has_line_end(command):
            raise ConnectionLostError("a line end in a command")
        self._wire.write(f"{command}\r\n".encode())
        return self._read_reply()

    def _reply(self) -> Reply:
        return self._read_reply()[0]

    def _read_reply(self) -> tuple[Reply, list[str]]:
        lines: list[str] = []
        code = b""
        while len(lines) < _REPLY_LINES:
            line = self._wire.line()
            found = _REPLY.fullmatch(line)
            if found is None or (code and found[1] != code):
                self.open = False
                raise ConnectionLostError(f"not an SMTP reply: {readable(line)}")
            code = found[1]
            lines.append(readable(found[3]))
            if found[2] != b"-":
                return Reply(int(code), " ".join(each for each in lines if each), found[3]), lines
        self.open = False
        raise ConnectionLostError("a reply without end")

    def _close(self) -> None:
        self.open = False
        self._wire.close()


def _said(reply: Reply) -> str:
    return f"{reply.code} {reply.text}".strip()


def _address_literal(address: str) -> str:
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _xtext(text: str) -> str:
    return _NO_XTEXT.sub(lambda found: f"+{ord(found[0]):02X}", text)


def _ascii_envelope(mail: OutgoingMail) -> bool:
    return mail.envelope_sender.isascii() and all(each.isascii() for each in mail.recipients)
