"""The boxes of the embedded mail host: in memory, safe between threads, every mail optionally kept as a file."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct, field


class Box(Struct):
    """One account's mails by uid, oldest first; ``holder`` is the POP3 session that has it open."""

    mails: dict[str, bytes] = field(default_factory=dict)
    holder: object | None = None


class Store:
    """Accounts with their passwords and boxes. Addresses are compared without regard to case."""

    def __init__(self, accounts: Mapping[str, str], keep: Path | None = None) -> None:
        self._passwords = {address.lower(): password for address, password in accounts.items()}
        self._boxes = {address: Box() for address in self._passwords}
        self._keep = keep
        self._count = 0
        self._lock = threading.Lock()

    def knows(self, address: str) -> bool:
        """Whether mail for ``address`` is taken."""
        return address.lower() in self._boxes

    def password_matches(self, address: str, password: str) -> bool:
        """Whether this is the account's password."""
        return self._passwords.get(address.lower()) == password

    def deliver(self, address: str, raw: bytes) -> str:
        """Puts a mail into a box and returns its uid.

        Raises:
            KeyError: for an unknown address.
        """
        with self._lock:
            box = self._boxes[address.lower()]
            self._count += 1
            uid = f"{self._count:08x}"
            box.mails[uid] = raw
        if self._keep is not None:
            directory = self._keep / re.sub(r"[^A-Za-z0-9@._+-]", "_", address.lower())
            directory.mkdir(parents=True, exist_ok=True)
            (directory / f"{uid}.eml").write_bytes(raw)
        return uid

    def waiting(self, address: str) -> tuple[bytes, ...]:
        """The mails in a box, oldest first."""
        with self._lock:
            return tuple(self._boxes[address.lower()].mails.values())

    def lock(self, address: str, holder: object) -> dict[str, bytes] | None:
        """Opens a box for one session and returns what it holds; None while another session has it."""
        with self._lock:
            box = self._boxes[address.lower()]
            if box.holder is not None:
                return None
            box.holder = holder
            return dict(box.mails)

    def release(self, address: str, holder: object, deleted: Iterable[str] = ()) -> None:
        """Ends a session: removes ``deleted`` and lets others in."""
        with self._lock:
            box = self._boxes[address.lower()]
            if box.holder is holder:
                for uid in deleted:
                    box.mails.pop(uid, None)
                box.holder = None
