"""IMAP (RFC 3501, 9051, 4315, 6851): collecting mail from a folder in batches, and moving it away after commit."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from gateway.errors import MailboxUnavailable
from gateway.mail.imap_connection import Answer, ImapConnection
from gateway.mail.imap_fetch import ImapFetch
from gateway.mail.imap_login import log_in
from gateway.mail.imap_remove import ImapRemove
from gateway.mail.imap_syntax import Value, folder_name, number, pairs
from gateway.mail.model import Credentials, Fetched, Listed
from gateway.mail.sasl import Line, keeps_secret
from gateway.mail.wire import ConnectionLostError, Endpoint

_UID = re.compile(r"(\d{1,10})\.(\d{1,10})")
_MOST_UID = 2**32 - 1


class Folders(Struct, frozen=True):
    """The folders of one account. ``done`` and ``failed`` may be empty.

    ``done`` is where collected mail goes at commit instead of being deleted; ``failed`` is where mail goes that
    cannot be collected (too large, or refused by the server) instead of staying. ``/`` stands for the server's
    separator.
    """

    source: str = "INBOX"
    done: str = ""
    failed: str = ""


class ImapMailbox:
    """One IMAP folder of one account. ``security`` is tls (port 993), starttls or none.

    ``credentials`` ask for the password or token at each login, so that it lives in memory only while it is needed.
    Messages larger than ``max_size`` bytes are listed but never fetched. For the folders see ``Folders``.
    """

    def __init__(
        self,
        *,
        name: str,
        host: str,
        port: int,
        security: str,
        credentials: Credentials,
        folder: str = "INBOX",
        done_folder: str = "",
        failed_folder: str = "",
        ca_file: str = "",
        tls_minimum: str = "1.2",
        plaintext_password: bool = False,
        timeout: float = 60.0,
        max_size: int = 100_000_000,
        commit_timeout: float = 600.0,
        spool: Path | None = None,
    ) -> None:
        self._name = name
        self._spool = spool
        self._credentials = credentials
        self._folders = Folders(folder, done_folder, failed_folder)
        self._plaintext_password = plaintext_password
        self._max_size = max_size
        self._commit_timeout = commit_timeout
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
    def session(self) -> Iterator[ImapSession]:
        """Connects, encrypts, logs in, selects the folder. Leaving without ``commit`` changes nothing there.

        Raises:
            MailboxUnavailable, MailboxBusy, LoginRefused, InsecureConnection
        """
        self._endpoint.check_password_is_safe(
            plaintext_password=self._plaintext_password or keeps_secret(self._credentials.mechanism)
        )
        session = ImapSession(
            self._endpoint, self._name, self._folders, self._max_size, self._commit_timeout, self._spool
        )
        try:
            session.open(self._credentials, plaintext_allowed=self._plaintext_password)
            yield session
        finally:
            session.close()


class ImapSession:
    """One logged-in connection with its folder selected; made by ``ImapMailbox.session``.

    The uid of a message is ``UIDVALIDITY.UID``: when the server starts its numbering anew, every message is new,
    and its bytes tell that it was seen before.
    """

    def __init__(
        self, endpoint: Endpoint, name: str, folders: Folders, max_size: int, commit_timeout: float, spool: Path | None
    ) -> None:
        self._endpoint = endpoint
        self._name = name
        self._folders = folders
        self._max_size = max_size
        self._commit_timeout = commit_timeout
        self._spool = spool
        self._connection: ImapConnection | None = None
        self._downloads: ImapFetch | None = None
        self._marked: set[int] = set()
        self._giants: set[int] = set()
        self.left_out: list[tuple[Listed, str]] = []
        self.uidvalidity = 0
        self.uidnext = 0  # as SELECT said; 0 where it did not
        self.read_only = False

    # ------------------------------------------------------------ the port

    def listing(self) -> Sequence[Listed]:
        """All messages but those marked deleted, by rising UID, with size (RFC822.SIZE)."""
        try:
            self._fetching.settle()
            if not self.connection.exists:
                self.connection.demand("NOOP")  # perhaps something came since the folder was opened
            sizes = self._sizes() if self.connection.exists else {}
        except ConnectionLostError as problem:
            raise self._unavailable(problem) from problem
        self._giants = {uid for uid, size in sizes.items() if size > self._max_size}
        return [
            Listed(place, f"{self.uidvalidity}.{uid}", size)
            for place, (uid, size) in enumerate(sorted(sizes.items()), 1)
        ]

    def fetch(self, wanted: Sequence[Listed]) -> Iterator[Fetched]:
        """Downloads ``wanted`` in order, in batches of UID FETCH with the next one always on its way.

        A message that the server refuses, or that is past ``max_size``, is left out (see ``left_out``).
        """
        uids = [(self._uid(listed), listed) for listed in wanted]
        for uid, listed in uids:
            if uid is None:
                self.left_out.append((listed, "the server does not number its messages like that any more"))
            elif listed.size > self._max_size:
                self.left_out.append((listed, f"{listed.size} bytes are past the limit of {self._max_size}"))
        try:
            self._fetching.settle()
            yield from self._fetching.messages(
                [(uid, listed) for uid, listed in uids if uid is not None and listed.size <= self._max_size]
            )
        except ConnectionLostError as problem:
            raise self._unavailable(problem) from problem
        except OSError as problem:
            self.close()  # in the middle of an answer nothing else can be asked
            raise self._unavailable(f"no room for a big message: {problem.strerror or problem}") from problem

    def delete(self, done: Iterable[Listed]) -> None:
        """Marks messages; nothing is said to the server before ``commit``."""
        self._marked.update(uid for listed in done if (uid := self._uid(listed)) is not None)

    def commit(self) -> None:
        """Moves what is marked to the done folder, or deletes it for good, and logs out.

        What could not be collected goes to the failed folder where there is one.
        """
        try:
            self._fetching.settle()
            connection = self.connection
            connection.wire.timeout(self._commit_timeout)
            self._take_away(ImapRemove(connection))
            _log_out(connection)
        except ConnectionLostError as problem:
            raise self._unavailable(f"taking collected mail away was not confirmed: {problem}") from problem
        finally:
            self.close()

    def _take_away(self, remove: ImapRemove) -> None:
        if self._folders.done:
            remove.move(self._marked, self._folders.done)
        else:
            remove.expunge(self._marked)
        if self._folders.failed:
            remove.move((self._giants | self._fetching.refused) - self._marked, self._folders.failed)

    # ------------------------------------------------------------ opening

    def open(self, credentials: Credentials, *, plaintext_allowed: bool) -> None:
        """Connects, starts TLS where it is asked for, logs in and selects the folder."""
        try:
            self._connection = ImapConnection(
                self._endpoint, limit=self._max_size, patience=self._commit_timeout, spool=self._spool
            )
            greeting = self._connection.greet()
            if greeting.word != "PREAUTH":
                line = Line(self._endpoint.host, self._connection.wire.encrypted, plaintext_allowed)
                log_in(self._connection, self._name, credentials, line)
            self._connection.ask_capabilities()  # many servers say all of it only now
            self._select()
            self._downloads = ImapFetch(self._connection, self._max_size, self.left_out)
        except ConnectionLostError as problem:
            raise self._unavailable(problem) from problem

    def close(self) -> None:
        """Drops the connection without a word: nothing is expunged by that."""
        if self._connection is not None:
            self._connection.wire.close()
            self._connection = None

    def _select(self) -> None:
        last, before = self.connection.ask(f"SELECT {folder_name(self._folders.source)}")
        if last.word != "OK":
            raise ConnectionLostError(
                f"the folder {self._folders.source} cannot be opened: {self.connection.said(last)}"
            )
        self.read_only = last.code == "READ-ONLY"
        self.uidvalidity = _coded(before, "UIDVALIDITY")
        self.uidnext = _coded(before, "UIDNEXT")

    # ------------------------------------------------------------ inside

    @property
    def name(self) -> str:
        """The mailbox's name in gateway.toml."""
        return self._name

    @property
    def host(self) -> str:
        """The server."""
        return self._endpoint.host

    @property
    def connection(self) -> ImapConnection:
        """The connection.

        Raises:
            ConnectionLostError: after the end of the session.
        """
        if self._connection is None:
            raise ConnectionLostError("the session has ended")
        return self._connection

    @property
    def _fetching(self) -> ImapFetch:
        if self._connection is None or self._downloads is None:
            raise ConnectionLostError("the session has ended")
        return self._downloads

    def _sizes(self) -> dict[int, int]:
        """The size of every message by its UID; what is marked deleted is somebody's decision and left alone."""
        sizes: dict[int, int] = {}
        marked: set[int] = set()
        for answer in self.connection.answers(tag := self.connection.send("UID FETCH 1:* (UID RFC822.SIZE FLAGS)")):
            if answer.tag == tag and answer.word != "OK":
                raise ConnectionLostError(f"listing was answered {self.connection.said(answer)}")
            if answer.word == "FETCH":
                items = pairs(answer.pieces)
                uid = number(items.get(b"UID"), most=_MOST_UID)
                if uid is None:
                    continue  # news of flags that nobody asked for
                sizes[uid] = number(items.get(b"RFC822.SIZE")) or sizes.get(uid, 0)
                if _is_deleted(items.get(b"FLAGS")):
                    marked.add(uid)
        return {uid: size for uid, size in sizes.items() if uid not in marked}

    def _uid(self, listed: Listed) -> int | None:
        """The UID, if it is one of this session's numbering."""
        found = _UID.fullmatch(listed.uid)
        return int(found[2]) if found and int(found[1]) == self.uidvalidity else None

    def _unavailable(self, reason: object) -> MailboxUnavailable:
        return MailboxUnavailable(mailbox=self._name, host=self._endpoint.host, reason=reason)


def _coded(answers: Iterable[Answer], name: str) -> int:
    """The number in a response code such as ``[UIDVALIDITY 7]``; 0 where it is missing."""
    for answer in answers:
        word, _, value = answer.code.partition(" ")
        if word == name:
            return number(value.encode(), most=_MOST_UID) or 0
    return 0


def _is_deleted(flags: Value) -> bool:
    return isinstance(flags, list) and any(isinstance(each, bytes) and each.lower() == b"\\deleted" for each in flags)


def _log_out(connection: ImapConnection) -> None:
    """Everything is confirmed: whether the goodbye arrives does not matter."""
    with contextlib.suppress(ConnectionLostError):
        connection.ending = True
        connection.wire.timeout(5.0)
        connection.ask("LOGOUT")
