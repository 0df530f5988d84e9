"""Mailboxes of every kind for the conformance suite: how to fill one, and what is left in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.mail.host import MailHost
from gateway.mail.imap import ImapMailbox, ImapSession
from gateway.mail.maildir import MaildirMailbox
from gateway.mail.memory import MemoryMailbox
from gateway.mail.model import Credentials, Mailbox
from gateway.mail.pop3 import Pop3Mailbox

US = "edi@example.test"
KINDS = (
    "memory",
    "maildir",
    "embedded",
    "embedded-one-by-one",
    "dovecot-pop3",
    "dovecot-stls",
    "dovecot-pop3s",
    "dovecot-imap",
    "dovecot-imap-starttls",
    "dovecot-imaps",
    "dovecot-imap-done",
    "dovecot-imap-copy",
    "dovecot-imap-bare",
)
REMOTE = ("embedded", "embedded-one-by-one", "dovecot-pop3", "dovecot-imap", "dovecot-imap-done", "dovecot-imap-copy")
_MISSING = {"dovecot-imap-copy": {"MOVE"}, "dovecot-imap-bare": {"MOVE", "UIDPLUS"}}


@dataclass
class Box:
    """A mailbox under test. ``again`` makes another one for the same account, with settings changed."""

    mailbox: Mailbox
    put: Callable[[bytes], object]
    left: Callable[[], int]
    again: Callable[..., Mailbox]
    port: int = 0  # without TLS; 0 where it is not remote
    last_word: bytes = b""  # the command that makes the deletion real
    keeps_bare_lf: bool = True


@contextmanager
def open_box(kind: str, directory: Path, dovecot: Callable[[], Any]) -> Iterator[Box]:
    """A new, empty mailbox of one kind."""
    if kind == "memory":
        memory = MemoryMailbox()
        yield Box(memory, memory.deliver, lambda: len(memory.messages), lambda **_: memory)
    elif kind == "maildir":
        yield _maildir(directory)
    elif kind.startswith("embedded"):
        with MailHost({US: "secret"}, pipelining=kind == "embedded") as host:
            yield _embedded(host)
    elif "imap" in kind:
        yield _imap(dovecot(), kind)
    else:
        yield _pop3(dovecot(), kind)


def _maildir(directory: Path) -> Box:
    for folder in ("new", "cur", "tmp"):
        (directory / folder).mkdir()
    count = iter(range(1_000))

    def put(raw: bytes) -> None:
        number = next(count)
        folder, flags = ("cur", ":2,S") if number % 2 else ("new", "")
        (directory / folder / f"17{number:08d}.M1.host{flags}").write_bytes(raw)

    def again(**changes: Any) -> Mailbox:
        return MaildirMailbox("box", directory, **changes)

    def left() -> int:
        return sum(len(list((directory / each).iterdir())) for each in ("new", "cur"))

    return Box(again(), put, left, again)


def _embedded(host: MailHost) -> Box:
    def again(**changes: Any) -> Mailbox:
        settings = {
            "name": "box", "host": host.host, "port": host.pop3_port, "security": "none", "plaintext_password": True,
            "credentials": Credentials(US, lambda: "secret"), "timeout": 20.0,
        }  # fmt: skip
        return Pop3Mailbox(**settings | changes)

    return Box(
        again(), lambda raw: host.deliver(US, raw), lambda: len(host.waiting(US)), again, host.pop3_port, b"QUIT\r\n"
    )


def _pop3(dovecot: Any, kind: str) -> Box:
    account = dovecot.account()
    security, port = {
        "dovecot-pop3": ("none", dovecot.pop3_port),
        "dovecot-stls": ("starttls", dovecot.pop3_port),
        "dovecot-pop3s": ("tls", dovecot.pop3s_port),
    }[kind]

    def again(**changes: Any) -> Mailbox:
        return Pop3Mailbox(**_at(dovecot, account, security, port) | changes)

    return Box(
        again(), account.put, lambda: len(account.waiting()), again, dovecot.pop3_port, b"QUIT\r\n", keeps_bare_lf=False
    )


def _imap(dovecot: Any, kind: str) -> Box:
    account = dovecot.account()
    security, port = {
        "dovecot-imap-starttls": ("starttls", dovecot.imap_port),
        "dovecot-imaps": ("tls", dovecot.imaps_port),
    }.get(kind, ("none", dovecot.imap_port))
    done = "" if kind in {"dovecot-imap", "dovecot-imap-bare"} else "Archive/Erledigt für heute"

    def again(**changes: Any) -> Mailbox:
        return Poorer(_MISSING.get(kind, set()), **_at(dovecot, account, security, port, done_folder=done) | changes)

    last_word = b"MOVE" if done and kind != "dovecot-imap-copy" else b"UID EXPUNGE"
    return Box(
        again(), account.put, lambda: len(account.waiting()), again, dovecot.imap_port, last_word, keeps_bare_lf=False
    )


def _at(dovecot: Any, account: Any, security: str, port: int, **more: Any) -> dict[str, Any]:
    return more | {
        "name": "box", "host": dovecot.host, "port": port, "security": security, "ca_file": str(dovecot.ca_file),
        "credentials": Credentials(account.name, lambda: account.password), "plaintext_password": security == "none",
        "timeout": 20.0, "commit_timeout": 20.0,
    }  # fmt: skip


class Poorer(ImapMailbox):
    """An IMAP mailbox whose server seems to lack some capabilities."""

    def __init__(self, missing: set[str], **settings: Any) -> None:
        super().__init__(**settings)
        self._missing = missing

    @contextmanager
    def session(self) -> Iterator[ImapSession]:
        with super().session() as session:
            session.connection.capabilities -= self._missing
            yield session
