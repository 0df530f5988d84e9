"""Taking collected mail out of an IMAP folder: UID MOVE (RFC 6851), or copy, mark and UID EXPUNGE (RFC 4315)."""

from __future__ import annotations

from collections.abc import Collection

from gateway.mail.imap_connection import Answer, ImapConnection
from gateway.mail.imap_syntax import folder_name, number, sets, values
from gateway.mail.wire import ConnectionLostError


class ImapRemove:
    """Moves and expunges by UID in the folder that is selected. Mail that is not ours is never touched.

    Raises (all methods): ``ConnectionLostError`` when the server did not confirm; some, all or none may be done.
    """

    def __init__(self, connection: ImapConnection) -> None:
        self._connection = connection

    def move(self, uids: Collection[int], folder: str) -> None:
        """Moves messages to another folder, which is made where it is missing.

        What another client has taken away meanwhile is no fault.
        """
        if not uids:
            return
        name = folder_name(self._separated(folder))
        has_move = "MOVE" in self._connection.capabilities
        for each in sets(uids):
            self._transfer(f"UID {'MOVE' if has_move else 'COPY'} {each} {name}", name)
        if not has_move:
            self.expunge(uids)

    def expunge(self, uids: Collection[int]) -> None:
        """Deletes messages for good.

        Without UIDPLUS the server can only expunge all that is marked: then nothing is expunged while others' mail
        is marked too, and the fault says so. Ours stays marked and is not listed again.
        """
        if not uids:
            return
        for each in sets(uids):
            self._connection.demand(f"UID STORE {each} +FLAGS.SILENT (\\Deleted)")
        if "UIDPLUS" in self._connection.capabilities or "IMAP4REV2" in self._connection.capabilities:
            for each in sets(uids):
                self._connection.demand(f"UID EXPUNGE {each}")
        else:
            self._expunge_all_marked(set(uids))

    def _expunge_all_marked(self, ours: set[int]) -> None:
        others = self._marked() - ours
        if others:
            raise ConnectionLostError(
                f"{len(ours)} collected messages are marked deleted but not expunged: {len(others)} others are marked"
                " too, and this server (without UIDPLUS) could only expunge them all; expunge them with a mail client"
            )
        self._connection.demand("EXPUNGE")

    def _marked(self) -> set[int]:
        found: set[int] = set()
        for answer in self._connection.demand("UID SEARCH DELETED"):
            if answer.word == "SEARCH":
                found.update(uid for each in answer.text.split() if (uid := number(each)) is not None)
        return found

    def _transfer(self, command: str, name: str) -> None:
        last, _ = self._connection.ask(command)
        if last.code == "EXPUNGEISSUED":  # RFC 5530: another client took some; after NOOP the server passes them over
            self._connection.demand("NOOP")
            last, _ = self._connection.ask(command)
        if last.word == "NO" and self._make(name, last):
            last, _ = self._connection.ask(command)
        if last.word != "OK":
            raise ConnectionLostError(f"moving to the folder {name} was answered {self._connection.said(last)}")

    def _make(self, name: str, refusal: Answer) -> bool:
        """Makes the folder if that may be why the server refused; False where it was there already."""
        if refusal.code and refusal.code not in {"TRYCREATE", "NONEXISTENT"}:
            return False
        made, _ = self._connection.ask(f"CREATE {name}")
        if made.word != "OK":
            return False
        self._connection.ask(f"SUBSCRIBE {name}")  # so that mail clients show it
        return True

    def _separated(self, folder: str) -> str:
        """``/`` in a folder's name stands for the server's own separator (RFC 3501 section 6.3.8)."""
        if "/" not in folder:
            return folder
        for answer in self._connection.demand('LIST "" ""'):
            found = values(answer.pieces) if answer.word == "LIST" else []
            separator = found[1] if len(found) == 3 else None
            if isinstance(separator, bytes) and len(separator) == 1 and separator.isascii():
                return folder.replace("/", separator.decode("ascii"))
        return folder
