"""The in-memory twins of mailbox and transport, for tests and dry runs; they keep the ports' promises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from gateway.errors import GatewayError, MailboxBusy, MailboxUnavailable, Refused, TemporarilyRefused
from gateway.mail.model import Fetched, Handover, Listed, OutgoingMail


class MemoryMailbox:
    """A mailbox in a dictionary. ``faults`` maps session, listing, fetch or commit to what that step raises.

    ``refused`` holds uids that the server cannot give; ``loses_commit_reply`` deletes first and fails then.
    """

    def __init__(self, name: str = "memory", messages: Iterable[bytes] = (), *, user: str = "edi@example.com") -> None:
        self._name = name
        self._user = user
        self._count = 0
        self._busy = False
        self.messages: dict[str, bytes] = {}
        self.faults: dict[str, GatewayError] = {}
        self.refused: set[str] = set()
        self.loses_commit_reply = False
        for raw in messages:
            self.deliver(raw)

    @property
    def name(self) -> str:
        """The mailbox's name."""
        return self._name

    @property
    def host(self) -> str:
        """Where it is: nowhere."""
        return "memory"

    @property
    def user(self) -> str:
        """The account."""
        return self._user

    def deliver(self, raw: bytes) -> str:
        """Puts a message in; returns its uid."""
        self._count += 1
        uid = f"{self._count:06d}"
        self.messages[uid] = raw
        return uid

    @contextmanager
    def session(self) -> Iterator[MemoryMailboxSession]:
        """One session at a time, as a POP3 server would have it."""
        self.fail("session")
        if self._busy:
            raise MailboxBusy(mailbox=self._name, host=self.host, reason="another session has it open")
        self._busy = True
        try:
            yield MemoryMailboxSession(self)
        finally:
            self._busy = False

    def fail(self, step: str) -> None:
        """Raises what ``faults`` holds for a step."""
        if step in self.faults:
            raise self.faults[step]


class MemoryMailboxSession:
    """One session with a ``MemoryMailbox``: sees what was there when it began."""

    def __init__(self, mailbox: MemoryMailbox) -> None:
        self._mailbox = mailbox
        self._messages = dict(mailbox.messages)
        self._marked: dict[str, None] = {}
        self._open = True
        self.left_out: list[tuple[Listed, str]] = []

    def listing(self) -> Sequence[Listed]:
        """All messages, oldest first."""
        self._check("listing")
        return [Listed(number, uid, len(raw)) for number, (uid, raw) in enumerate(self._messages.items(), 1)]

    def fetch(self, wanted: Sequence[Listed]) -> Iterator[Fetched]:
        """The messages asked for, in order."""
        for listed in wanted:
            self._check("fetch")
            if listed.uid in self._messages and listed.uid not in self._mailbox.refused:
                yield Fetched(listed, self._messages[listed.uid])
            else:
                self.left_out.append((listed, "the server does not give it"))

    def heads(self, wanted: Sequence[Listed]) -> Iterator[tuple[Listed, bytes]]:
        """The header blocks of what is there."""
        for listed in wanted:
            if listed.uid in self._messages:
                head, blank, _ = self._messages[listed.uid].partition(b"\r\n\r\n")
                yield listed, head + blank

    def delete(self, done: Iterable[Listed]) -> None:
        """Marks messages."""
        self._marked.update((listed.uid, None) for listed in done)

    def commit(self) -> None:
        """Deletes what is marked and ends the session."""
        self._check("commit")
        for uid in self._marked:
            self._mailbox.messages.pop(uid, None)
        self._open = False
        if self._mailbox.loses_commit_reply:
            raise MailboxUnavailable(
                mailbox=self._mailbox.name, host=self._mailbox.host, reason="the end of the session was not confirmed"
            )

    def _check(self, step: str) -> None:
        self._mailbox.fail(step)
        if not self._open:
            raise MailboxUnavailable(
                mailbox=self._mailbox.name, host=self._mailbox.host, reason="the session has ended"
            )


class MemoryTransport:
    """Keeps what it is given in ``sent``. ``refused`` maps a recipient to the 4xx or 5xx reply it gets.

    ``answer`` is called with each mail before it is taken and may raise what a host would make us raise;
    ``after_taking`` is called with each mail once it is in ``sent``: raising OutcomeUnknown there is the lost reply.
    """

    def __init__(self, *, user: str = "") -> None:
        self._user = user
        self.sent: list[OutgoingMail] = []
        self.refused: dict[str, str] = {}
        self.answer: Callable[[OutgoingMail], None] | None = None
        self.after_taking: Callable[[OutgoingMail], None] | None = None

    @property
    def host(self) -> str:
        """Where it goes: nowhere."""
        return "memory"

    @property
    def user(self) -> str:
        """The account."""
        return self._user

    @contextmanager
    def session(self) -> Iterator[MemoryTransportSession]:
        """A session."""
        yield MemoryTransportSession(self)

    @contextmanager
    def sessions(self, count: int) -> Iterator[Sequence[MemoryTransportSession]]:
        """Sessions side by side."""
        yield [MemoryTransportSession(self) for _ in range(count)]


class MemoryTransportSession:
    """One session with a ``MemoryTransport``."""

    def __init__(self, transport: MemoryTransport) -> None:
        self._transport = transport

    def send(self, mail: OutgoingMail) -> Handover:
        """Takes the mail for every recipient that is not refused."""
        transport = self._transport
        if transport.answer is not None:
            transport.answer(mail)
        refused = tuple((who, transport.refused[who]) for who in mail.recipients if who in transport.refused)
        if len(refused) == len(mail.recipients):
            who, reply = refused[0] if refused else ("nobody", "the mail has no recipient")
            later = next((each for each in refused if each[1].startswith("4")), None)
            if later is not None:
                raise TemporarilyRefused(host=transport.host, recipient=later[0], reply=later[1])
            raise Refused(host=transport.host, recipient=who, reply=reply)
        transport.sent.append(mail)
        if transport.after_taking is not None:
            transport.after_taking(mail)
        kept = str(len(transport.sent))
        return Handover(transport.host, f"250 2.0.0 kept as {kept}", refused, kept)
