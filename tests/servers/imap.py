"""A small IMAP server in a thread, for tests: it keeps the rules until a test makes it misbehave."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable

USUAL = ("IMAP4rev1", "UIDPLUS", "MOVE", "IDLE", "AUTH=PLAIN", "SASL-IR")

Hook = Callable[["Talk", str, str], bool]


class Talk:
    """One connection, seen from the server."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = connection.makefile("rb")
        self._lock = threading.Lock()

    def say(self, *lines: str | bytes) -> None:
        """Sends lines; bytes go as they are."""
        with self._lock:
            self.connection.sendall(
                b"".join(each if isinstance(each, bytes) else f"{each}\r\n".encode() for each in lines)
            )

    def hear(self) -> str:
        """The next line; "" when the client has gone."""
        return self._file.readline().decode().rstrip("\r\n")

    def drop(self) -> None:
        """Ends the connection."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


class ImapServer:
    """An account ``edi`` with the password ``s3cret``.

    ``hook(talk, tag, command)`` is asked before each command: True where it has answered by itself. ``heard`` holds
    every line that clients sent. ``messages`` are by UID; ``deleted`` are marked; ``folders`` got copies.
    """

    def __init__(self, *messages: bytes, capabilities: tuple[str, ...] = USUAL, hook: Hook | None = None) -> None:
        self.messages = dict(enumerate(messages, 1))
        self.deleted: set[int] = set()
        self.folders: dict[str, list[bytes]] = {}
        self.capabilities = capabilities
        self.uidvalidity = 7
        self.hook = hook or (lambda *_: False)
        self.chatter: tuple[str, ...] = ()  # said before the answer to every command
        self.heard: list[str] = []
        self.idling = threading.Event()
        self._talks: list[Talk] = []
        self._next = len(messages) + 1
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def deliver(self, raw: bytes) -> int:
        """A new message; every client hears of it."""
        uid, self._next = self._next, self._next + 1
        self.messages[uid] = raw
        for talk in self._talks:
            with contextlib.suppress(OSError):
                talk.say(f"* {len(self.messages)} EXISTS")
        return uid

    def drop(self) -> None:
        """All connections are lost."""
        self.idling.clear()
        for talk in self._talks:
            talk.drop()
        self._talks.clear()

    def close(self) -> None:
        """Ends the server."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._talks.append(Talk(connection))
            self._threads.append(threading.Thread(target=self._serve, args=(self._talks[-1],), daemon=True))
            self._threads[-1].start()

    def _serve(self, talk: Talk) -> None:
        with contextlib.suppress(OSError, ValueError), talk.connection:
            talk.say("* OK ready")
            while line := talk.hear():
                self.heard.append(line)
                tag, _, command = line.partition(" ")
                if not self.hook(talk, tag, command):
                    self._answer(talk, tag, command)

    def _answer(self, talk: Talk, tag: str, command: str) -> None:
        words = command.split(" ")
        name = "_".join(words[: 2 if words[0] == "UID" else 1]).lower()
        answer = getattr(self, f"_do_{name}", None)
        if answer is None:
            talk.say(f"{tag} BAD what?")
            return
        talk.say(*self.chatter)
        talk.say(f"{tag} {answer(talk, command, tag) or 'OK done'}")

    # ------------------------------------------------------------ commands

    def _do_capability(self, talk: Talk, *_: str) -> None:
        talk.say(f"* CAPABILITY {' '.join(self.capabilities)}")

    def _do_login(self, _talk: Talk, command: str, *_: str) -> str:
        return "OK in" if command == 'LOGIN "edi" "s3cret"' else "NO [AUTHENTICATIONFAILED] no"

    def _do_authenticate(self, _talk: Talk, command: str, *_: str) -> str:
        return "OK in" if command == "AUTHENTICATE PLAIN AGVkaQBzM2NyZXQ=" else "NO [AUTHENTICATIONFAILED] no"

    def _do_select(self, talk: Talk, *_: str) -> str:
        talk.say(
            f"* {len(self.messages)} EXISTS",
            f"* OK [UIDVALIDITY {self.uidvalidity}] valid",
            f"* OK [UIDNEXT {self._next}] next",
        )
        return "OK [READ-WRITE] selected"

    def _do_noop(self, *_: object) -> None:
        """Nothing."""

    def _do_logout(self, talk: Talk, *_: str) -> None:
        talk.say("* BYE see you")

    def _do_list(self, talk: Talk, *_: str) -> None:
        talk.say('* LIST (\\Noselect) "." ""')

    def _do_create(self, _talk: Talk, command: str, *_: str) -> None:
        self.folders[_last(command)] = []

    def _do_subscribe(self, *_: object) -> None:
        """Nothing."""

    def _do_idle(self, talk: Talk, _command: str, *_: str) -> str:
        talk.say("+ idling")
        self.idling.set()
        line = talk.hear()
        self.heard.append(line)
        return "OK done" if line == "DONE" else "BAD not DONE"

    def _do_uid_fetch(self, talk: Talk, command: str, *_: str) -> None:
        for place, uid in self._chosen(command):
            raw = self.messages[uid]
            if "BODY.PEEK[]" in command:
                talk.say(f"* {place} FETCH (UID {uid} BODY[] {{{len(raw)}}}\r\n".encode() + raw + b")\r\n")
            else:
                flags = "\\Seen \\Deleted" if uid in self.deleted else "\\Recent"
                talk.say(f"* {place} FETCH (FLAGS ({flags}) UID {uid} RFC822.SIZE {len(raw)})")

    def _do_uid_store(self, _talk: Talk, command: str, *_: str) -> None:
        self.deleted.update(uid for _, uid in self._chosen(command))

    def _do_uid_search(self, talk: Talk, *_: str) -> None:
        talk.say(" ".join(["* SEARCH", *map(str, sorted(self.deleted))]))

    def _do_uid_copy(self, _talk: Talk, command: str, *_: str) -> str:
        if _last(command) not in self.folders:
            return "NO [TRYCREATE] no such folder"
        self.folders[_last(command)] += [self.messages[uid] for _, uid in self._chosen(command)]
        return "OK copied"

    def _do_uid_move(self, talk: Talk, command: str, *_: str) -> str:
        if "MOVE" not in self.capabilities:
            return "BAD what?"
        reply = self._do_uid_copy(talk, command)
        if reply.startswith("OK"):
            self._remove(talk, {uid for _, uid in self._chosen(command)})
        return reply

    def _do_uid_expunge(self, talk: Talk, command: str, *_: str) -> str:
        if "UIDPLUS" not in self.capabilities:
            return "BAD what?"
        self._remove(talk, {uid for _, uid in self._chosen(command)} & self.deleted)
        return "OK done"

    def _do_expunge(self, talk: Talk, *_: str) -> None:
        self._remove(talk, set(self.deleted))

    def _remove(self, talk: Talk, uids: set[int]) -> None:
        for uid in sorted(uids):
            talk.say(f"* {1 + sorted(self.messages).index(uid)} EXPUNGE")
            del self.messages[uid]
            self.deleted.discard(uid)

    def _chosen(self, command: str) -> list[tuple[int, int]]:
        """(place, UID) of the messages in the command's set."""
        wanted: set[int] = set()
        for each in command.split(" ")[2].split(","):
            first, _, last = each.partition(":")
            top = max(self.messages, default=0) if last == "*" else int(last or first)
            wanted.update(range(int(first), top + 1))
        return [(place, uid) for place, uid in enumerate(sorted(self.messages), 1) if uid in wanted]


def _last(command: str) -> str:
    found = re.search(r'"([^"]*)"$', command)
    return found[1] if found else ""
