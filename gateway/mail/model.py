"""What passes between the mail edge and the rest: frozen values and the two ports, mailbox and transport.

Adapters (POP3, IMAP, Maildir, SMTP, and their in-memory twins) implement the ports; ``gateway.app`` wires them in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from msgspec import Struct, field

from gateway.mail.spool import Spooled

# ---------------------------------------------------------------- collecting


class Listed(Struct, frozen=True):
    """One message as a mailbox lists it, before download. ``uid`` is the server's name for it.

    UIDL (POP3, RFC 1939 section 7), UIDVALIDITY.UID (IMAP, RFC 3501 section 2.3.1.1), or a file name (Maildir).
    """

    number: int
    uid: str
    size: int


class Fetched(Struct, frozen=True):
    """One downloaded message, exactly as the server keeps it (dot-stuffing undone, CR LF kept).

    ``body`` is its bytes, or a file of them where it is too big for memory (see ``gateway.mail.spool``).
    """

    listed: Listed
    body: bytes | Spooled

    @property
    def raw(self) -> bytes:
        """All bytes, in memory: for what is known to be small."""
        return self.body if isinstance(self.body, bytes) else self.body.read()

    @property
    def size(self) -> int:
        """How many bytes came."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.size


class MailboxSession(Protocol):
    """One session with a mailbox. Nothing is gone from the server before ``commit`` returned.

    ``left_out`` tells which of the wanted messages ``fetch`` could not give, and why; they stay on the server.
    """

    left_out: list[tuple[Listed, str]]

    def listing(self) -> Sequence[Listed]:
        """All messages waiting, oldest first.

        Raises:
            MailboxUnavailable: when the connection fails.
        """
        ...

    def fetch(self, wanted: Sequence[Listed]) -> Iterator[Fetched]:
        """Downloads the messages in the order asked for (pipelined where the server allows it).

        A single message that the server cannot give (``-ERR``) is left out; the others go on.

        Raises:
            MailboxUnavailable: when the connection fails; what was yielded before is complete.
        """
        ...

    def delete(self, done: Iterable[Listed]) -> None:
        """Marks messages for deletion; only ``commit`` makes it real."""
        ...

    def commit(self) -> None:
        """Ends the session so that marked messages are deleted (POP3 QUIT).

        Raises:
            MailboxUnavailable: when the server did not confirm; some, all or none may be gone.
        """
        ...


@runtime_checkable
class HeadReader(Protocol):
    """A session that can show header blocks without the download, where uids alone are not to be relied on (POP3)."""

    def heads(self, wanted: Sequence[Listed]) -> Iterator[tuple[Listed, bytes]]:
        """The header block of each, as the server gives it now; nothing of those that it does not give.

        Raises:
            MailboxUnavailable: when the connection fails.
        """
        ...


class Mailbox(Protocol):
    """An account we collect from. ``session`` logs in; leaving the block without ``commit`` deletes nothing."""

    @property
    def name(self) -> str:
        """The mailbox's name in gateway.toml."""
        ...

    @property
    def host(self) -> str:
        """The server, or the directory of a Maildir (tracked property Host)."""
        ...

    @property
    def user(self) -> str:
        """The account (tracked property User)."""
        ...

    def session(self) -> AbstractContextManager[MailboxSession]:
        """Connects and logs in.

        Raises:
            MailboxUnavailable, MailboxBusy, LoginRefused, InsecureConnection
        """
        ...


# ---------------------------------------------------------------- sending


class OutgoingMail(Struct, frozen=True):
    """One mail ready for the wire: envelope (RFC 5321) and complete bytes with CR LF line ends.

    ``envelope_id`` is asked back in bounces where the host knows delivery status notifications (RFC 3461); "" asks
    for nothing.
    """

    envelope_sender: str
    recipients: tuple[str, ...]
    raw: bytes
    envelope_id: str = ""


class Handover(Struct, frozen=True):
    """The SMTP host's word that it took the mail: its reply to the final dot, and who was refused.

    ``queue_id`` is the name under which the host keeps the mail, where its reply tells one: what its log is searched
    for when somebody asks.
    """

    host: str
    reply: str
    refused: tuple[tuple[str, str], ...] = ()  # (recipient, reply)
    queue_id: str = ""


class TransportSession(Protocol):
    """One SMTP session, reused for many mails; it reconnects by itself when the host closed it between mails."""

    def send(self, mail: OutgoingMail) -> Handover:
        """Hands one mail over.

        Raises:
            SmtpUnavailable: nothing was sent.
            SmtpCrowded: nothing was sent; the host takes no connection beside those that others of the sessions have.
            TemporarilyRefused: a 4xx reply; nothing was taken.
            Refused: a 5xx reply, or all recipients refused for good; nothing was taken.
            OutcomeUnknown: the connection was lost between the final dot and its reply.
        """
        ...


class Transport(Protocol):
    """A way to send mail. Sessions connect lazily: an idle session costs nothing."""

    @property
    def host(self) -> str:
        """The SMTP host (tracked property Host)."""
        ...

    @property
    def user(self) -> str:
        """The account we log in with, or "" (tracked property User)."""
        ...

    def session(self) -> AbstractContextManager[TransportSession]:
        """A session; connecting waits for the first mail."""
        ...

    def sessions(self, count: int) -> AbstractContextManager[Sequence[TransportSession]]:
        """Sessions to be used side by side, each by one thread at a time.

        A host that is away is asked once: what the first connection met, the others meet without asking.
        """
        ...


# ---------------------------------------------------------------- logging in


class Credentials(Struct, frozen=True):
    """Who we are to a mail host. ``password`` and ``token`` are asked when they are needed, never kept.

    ``token`` gives a fresh OAuth2 access token (RFC 6749); where it is given no password is ever used. ``renew``
    takes a token that the host has refused and gives another. ``mechanism`` allows one way to log in and no other:
    a SASL mechanism, or USER, APOP (POP3) and LOGIN; empty for the best that is offered. ``advice`` says what to do
    where the password is refused, for only its keeper knows where it is kept.
    """

    user: str
    password: Callable[[], str] | None = None
    token: Callable[[], str] | None = None
    renew: Callable[[str], str] | None = None
    mechanism: str = ""
    advice: Callable[[], str] | None = None


# ---------------------------------------------------------------- proof of sender


class Proof(Struct, frozen=True):
    """What proves who sent a mail. ``kind`` is signed, dkim, mx, or "" for none beyond the From address.

    ``detail`` says it in words for the ledger: the signer's fingerprint, the DKIM domain and selector, the
    authserv-id whose word it is.
    """

    kind: str
    detail: tuple[tuple[str, str], ...] = ()


class Layer(Struct, frozen=True):
    """One S/MIME layer of a received mail. ``kind`` is signed, encrypted or compressed; ``algorithm`` in words.

    ``fingerprint`` is the SHA-256 of the certificate that signed it, or of ours that it was encrypted for.
    """

    kind: str
    algorithm: str = ""
    fingerprint: str = ""
    weak: bool = False


# ---------------------------------------------------------------- letters


class Part(Struct, frozen=True):
    """A leaf of the MIME tree, decoded. ``path`` is its place ("1.2"); ``damage`` says why it cannot be trusted."""

    path: str
    content_type: str  # lower case, without parameters
    file_name: str  # as a label: decoded, sanitised, never a path; "" where there is none
    charset: str
    encoding: str  # content-transfer-encoding, lower case
    data: bytes
    damage: str = ""
    disposition: str = ""  # attachment, inline or ""
    within: str = ""  # content type of the multipart right around it: alternative, signed …; "" at the top
    parameters: tuple[tuple[str, str], ...] = ()  # of its Content-Type, as written
    forwarded: str = ""  # who wrote the message within the mail that it stands in, or "unknown"; "" in the mail itself
    encoded: bytes = b""  # as it came, where it is damaged
    origin: str = ""  # the archive that it was taken out of, in words; "" where it came by itself


class Bounce(Struct, frozen=True):
    """What a delivery status notification (RFC 3464) says of one recipient."""

    original_message_id: str
    recipient: str
    action: str  # failed, delayed, delivered, relayed, expanded
    status: str  # 5.1.1
    diagnostic: str
    envelope_id: str = ""  # what we gave the mail as its envelope id (RFC 3461 section 4.4), as it came back


class Letter(Struct, frozen=True):
    """One received mail, opened. Addresses are bare addr-specs with the domain in lower case.

    ``kind`` is letter, bounce, receipt, or auto-reply (Auto-Submitted, RFC 3834; never answered).
    ``sender_problem`` says why the From header does not name exactly one sender, or "".
    """

    kind: str
    from_address: str
    sender_problem: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    subject: str
    message_id: str  # with angle brackets; "" where there is none
    in_reply_to: str
    references: tuple[str, ...]
    date: str
    parts: tuple[Part, ...]
    bounces: tuple[Bounce, ...] = ()
    auto_submitted: bool = False
    delivered_to: tuple[str, ...] = ()  # Delivered-To, X-Original-To, Envelope-To: whom the envelope named
    loop: str = ""  # why it seems to run in circles, or ""


class Attachment(Struct, frozen=True):
    """One file in a mail we write."""

    file_name: str
    content_type: str
    data: bytes


class Draft(Struct, frozen=True):
    """A mail to be written. ``message_id`` is fixed by the caller, so that every retry sends the same bytes."""

    sender: str
    to: tuple[str, ...]
    subject: str
    message_id: str
    body: str
    attachments: tuple[Attachment, ...] = ()
    sender_name: str = ""
    cc: tuple[str, ...] = ()
    reply_to: str = ""
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    date: float = 0.0  # seconds since the epoch, UTC
    headers: tuple[tuple[str, str], ...] = field(default_factory=tuple)
    auto_submitted: bool = True
    auto_replied: bool = False  # it answers a mail by itself (RFC 3834): nobody may answer it in turn
    place: str = "attachment"  # attachment: beside the body; body: the one attachment is all of the mail
    compress: str = "none"  # none, gzip, zip: how the attachments are packed
    transfer_encoding: str = "auto"  # of attachments: auto (7bit where that is safe, else base64), base64, 7bit
