"""A message too big for memory: written to a nameless file as it comes, hashed on the way.

The file has no name from its first byte on, so that nothing is left over whatever ends the process. It is no
archive: the ledger keeps the bytes, and until then the message is still on its server.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

SPOOL_OVER = 4_000_000  # bytes up to which a message is held in memory
_PIECE = 1_000_000


class Spooled:
    """The bytes of one message in a file, which goes when this object does."""

    __slots__ = ("__weakref__", "_handle", "sha256", "size")

    def __init__(self, handle: int, size: int, sha256: str) -> None:
        self._handle = handle
        self.size = size
        self.sha256 = sha256
        weakref.finalize(self, os.close, handle)

    def pieces(self) -> Iterator[bytes]:
        """The bytes from the beginning, a megabyte at a time."""
        at = 0
        while piece := os.pread(self._handle, _PIECE, at):
            at += len(piece)
            yield piece

    def read(self) -> bytes:
        """All bytes, in memory."""
        return b"".join(self.pieces())


class Spool:
    """A message being written. ``directory`` should not be in memory; None is the system's temporary directory.

    Raises:
        OSError: there is no room.
    """

    def __init__(self, directory: Path | None = None) -> None:
        with tempfile.TemporaryFile(dir=directory) as file:
            self._handle = os.dup(file.fileno())
        self._close = weakref.finalize(self, os.close, self._handle)
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        """Appends."""
        self._hash.update(data)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._handle, rest) :]
        self.size += len(data)

    def done(self) -> Spooled:
        """The message, complete."""
        self._close.detach()
        return Spooled(self._handle, self.size, self._hash.hexdigest())
