"""Rows as text, and the digests of that text. Nothing but Python's own library, so that a process begins at once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Digest = bytes

LENGTH = 16  # bytes of the digest of a whole row
CORE = 8  # bytes of the digest of a core
GONE = bytes(LENGTH)
UNTOLD = bytes(CORE)  # no core was told

_sha256 = hashlib.sha256


@dataclass(frozen=True, slots=True)
class Encoding:
    """Some columns of a table as text: their values as a JSON list, without the defaults at the end."""

    columns: tuple[str, ...]  # in the order of the table
    blank: tuple[Any, ...]  # their defaults
    start: bytes  # of what is hashed
    length: int  # bytes that are kept of a digest

    def each_digest(self, rows: Sequence[bytes]) -> list[Digest]:
        """The digests of single rows, encoded in UTF-8."""
        begun, length = _sha256(self.start).copy, self.length  # a copy takes less than a new one
        found = []
        for each in rows:
            hashed = begun()
            hashed.update(each)
            found.append(hashed.digest()[:length])
        return found

    def digest_together(self, rows: Sequence[bytes]) -> Digest:
        """The digest of all rows of an owner, encoded, at least one."""
        # In UTF-8 they have the order of their characters.
        data = rows[0] if len(rows) == 1 else b"\n".join(sorted(rows))
        return _sha256(self.start + data).digest()[: self.length]
