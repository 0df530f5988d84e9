"""Checks of the hosts: mailboxes and SMTP, up to the login, without touching a message."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection, Iterator
from typing import Protocol, runtime_checkable

from gateway.errors import MailboxUnavailable, SmtpUnavailable
from gateway.flow.check_result import Check
from gateway.mail.imap import ImapSession
from gateway.mail.model import Listed, Mailbox, Transport
from gateway.mail.smtp_connection import Reply, SmtpConnection
from gateway.mail.verp import with_token
from gateway.mail.wire import ConnectionLostError
from gateway.settings import Limits, MailboxSettings, SmtpSettings
from gateway.words import count

_MICROSOFT = (".office365.com", ".outlook.com")


class Connection(Protocol):
    """A logged-in connection."""

    @property
    def host(self) -> str:
        """Who it is with."""
        ...

    def quit(self) -> None:
        """Ends it politely."""
        ...


@runtime_checkable
class Connectable(Protocol):
    """A transport that can connect without sending anything."""

    def connect(self) -> Connection:
        """Connects and logs in."""
        ...


def check_mailbox(
    box: MailboxSettings, mailbox: Mailbox, limits: Limits, left: Collection[str] = ()
) -> Iterator[Check]:
    """The server is found, encrypted, takes our login and lists what waits; nothing is fetched or deleted.

    Args:
        box: as the settings have it.
        mailbox: not connected yet.
        limits: on what comes in.
        left: UIDs of mails that we took and left there: whoever took them away since reads the mailbox too.

    Raises:
        Unavailable, ConfigurationFault: with what went wrong.
    """
    name = f"mailbox {box.name}"
    if box.host:
        _resolve(box.host, MailboxUnavailable(mailbox=box.name, host=box.host, reason="its name is not known"))
    with mailbox.session() as session:
        waiting = tuple(session.listing())
        remarks = tuple(_imap_remarks(box, session)) if isinstance(session, ImapSession) else ()
    size = sum(each.size for each in waiting)
    who = f"{mailbox.user} at {mailbox.host}" if mailbox.user else mailbox.host
    yield Check(name, True, f"{who}: {count(len(waiting), 'message')} waiting ({size / 1e6:.1f} MB).")
    if box.host and box.security == "none":
        yield from _in_clear(name, box.host)
    large = sum(each.size > limits.message_size for each in waiting)
    if large:
        advice = "Look at them with a mail client; raise limits.message_size if they are right."
        yield Check(
            name,
            None,
            f"{count(large, 'message')} waiting there above the limit of one message.",
            advice,
            code="mailbox.large",
        )
    if any(each.uid.startswith("sha256:") for each in waiting):
        advice = "It works, more slowly: messages are told apart by their headers. Ask the provider for UIDL."
        yield Check(
            name, None, "The server does not number its messages for good (UIDL).", advice, code="mailbox.no-uidl"
        )
    gone = len(set(left) - {each.uid for each in waiting})
    if gone:
        said = (
            f"{count(gone, 'mail')} that we left there {'is' if gone == 1 else 'are'} gone: somebody else reads it too."
        )
        advice = "Look for another gateway, a copy of this home, or a mail client; a mailbox is for one gateway alone."
        yield Check(name, None, said, advice, code="mailbox.shared")
    for code, remark, advice in remarks:
        yield Check(name, None, remark, advice, code=code)


def _imap_remarks(box: MailboxSettings, session: ImapSession) -> Iterator[tuple[str, str, str]]:
    """What collecting or watching by IMAP will stumble over, and what to do."""
    capabilities = session.connection.capabilities
    if session.read_only and not (box.keep_on_server and box.keep_for is None):
        yield (
            "mailbox.read-only",
            f"The folder {box.folder} may only be read: collected mail cannot be taken away.",
            ("Ask the provider for more rights, or set keep_on_server = true."),
        )
    if not capabilities & {"MOVE", "UIDPLUS", "IMAP4REV2"}:
        yield (
            "mailbox.no-uidplus",
            "The server can only expunge all deleted messages at once (neither MOVE nor UIDPLUS).",
            ("It works while nobody else marks messages deleted in this folder: give the gateway a folder of its own."),
        )
    if box.idle and "IDLE" not in capabilities:
        yield "mailbox.no-idle", "The server does not offer IDLE.", "`gateway serve` asks it every minute instead."


def check_smtp(smtp: SmtpSettings | None, transport: Transport | None) -> Iterator[Check]:
    """The host is found, encrypted, and takes our login; nothing is sent.

    Raises:
        Unavailable, ConfigurationFault: with what went wrong.
    """
    if smtp is None or transport is None:
        yield Check("smtp", None, "There is no host to send through.", "Add [smtp] to gateway.toml.", code="smtp.none")
        return
    _resolve(smtp.host, SmtpUnavailable(host=smtp.host, reason="its name is not known"))
    refused = _try_sender(transport, smtp.sender) if isinstance(transport, Connectable) else None
    login = f"takes our login as {smtp.user}" if smtp.user else "answers"
    yield Check("smtp", True, f"{smtp.host} {login}; we send as {smtp.sender}.")
    if refused is not None and refused.code == 530:
        said = f"{smtp.host} wants a login before it takes mail: {refused.text}"
        advice = "Set user in [smtp] and store its password with `gateway secret set smtp`."
        yield Check("smtp", False, said, advice, code="smtp.no-login")
    elif refused is not None:
        said = f"{smtp.host} takes no mail from {smtp.sender}: {refused.code} {refused.text}"
        advice = "Set sender in [smtp] to an address that this account may use, or ask the provider to allow it."
        yield Check("smtp", False, said, advice, code="smtp.sender-refused")
    yield from _sending(smtp)
    if smtp.security == "none":
        yield from _in_clear("smtp", smtp.host)


def _try_sender(transport: Connectable, sender: str) -> Reply | None:
    """Logs in and names the sender, and takes it back: nothing is sent. What the host said, where it refuses it."""
    connection = transport.connect()
    try:
        if not isinstance(connection, SmtpConnection):
            return None
        reply = connection.command(f"MAIL FROM:<{sender}>")
        if reply.good:
            connection.command("RSET")
    except ConnectionLostError as problem:
        raise SmtpUnavailable(host=connection.host, reason=problem) from problem
    finally:
        connection.quit()
    return None if reply.good or reply.temporary else reply


def _sending(smtp: SmtpSettings) -> Iterator[Check]:
    """What cannot be tried without sending: where bounces go, and limits that are known of a provider."""
    if smtp.verp:
        own = with_token(smtp.sender, "…")
        advice = f"{smtp.host} must let us send from such addresses, and mail to them must reach a mailbox of ours."
        yield Check(
            "smtp",
            None,
            f"Each mail goes out from an address of its own ({own}): try it once.",
            advice,
            code="smtp.verp",
        )
    if smtp.host.endswith(_MICROSOFT) and (smtp.connections > 3 or not 0 < smtp.rate <= 30):
        advice = "Set connections = 3 and rate = 30 in [smtp]; what goes beyond is refused for a time."
        yield Check(
            "smtp",
            None,
            "Microsoft 365 takes 3 connections of an account and 30 mails a minute.",
            advice,
            code="smtp.microsoft-limits",
        )


def listing(mailbox: Mailbox) -> tuple[Listed, ...]:
    """What waits in a mailbox. The session ends without ``commit``: nothing there changes.

    Raises:
        Unavailable, ConfigurationFault: with what went wrong.
    """
    with mailbox.session() as session:
        return tuple(session.listing())


def _in_clear(name: str, host: str) -> Iterator[Check]:
    if not is_loopback(host):
        advice = 'Set security = "tls" or "starttls" in gateway.toml.'
        yield Check(
            name,
            None,
            f"The connection to {host} is not encrypted: mails can be read and changed.",
            advice,
            code="host.in-clear",
        )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _resolve(host: str, fault: MailboxUnavailable | SmtpUnavailable) -> None:
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise fault from None
