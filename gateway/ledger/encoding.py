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
_NEVER = b"\0"  # no JSON ends like that


@dataclass(frozen=True, slots=True)
class Encoding:
    """Some columns of a table as text: their values as a JSON list, without the defaults at the end."""

    columns: tuple[str, ...]  # in the order of the table
    blank: tuple[Any, ...]  # their defaults
    tails: tuple[bytes, ...]  # how a row that is encoded whole ends where all from a column on have theirs
    usual: list[int]  # which of these the last rows had, for the next one most likely has one of them too
    start: bytes  # of what is hashed
    length: int  # bytes that are kept of a digest

    def cut(self, data: Sequence[bytes]) -> list[bytes]:
        """Rows in UTF-8, from what SQLite made of all columns; each without the bracket at its end."""
        tails = self.tails
        usual, other = self.usual
        tail, longer = tails[usual], tails[usual - 1] if usual else _NEVER
        end = -len(tail)
        found = []
        for each in data:
            if not each.endswith(tail) or each.endswith(longer):
                usual, other = other, usual
                tail, longer = tails[usual], tails[usual - 1] if usual else _NEVER
                if not each.endswith(tail) or each.endswith(longer):
                    usual = self._tail_of(each)
                    tail, longer = tails[usual], tails[usual - 1] if usual else _NEVER
                end = -len(tail)
            found.append(each[:end])
        self.usual[:] = usual, other
        return found

    def _tail_of(self, data: bytes) -> int:
        """Where the defaults at the end of a row begin."""
        low, high = 0, len(self.tails) - 1  # the last tail is the bracket alone
        while low < high:
            middle = (low + high) // 2
            if data.endswith(self.tails[middle]):
                high = middle
            else:
                low = middle + 1
        return low

    def each_digest(self, data: Sequence[bytes]) -> list[Digest]:
        """The digests of single rows as SQLite encoded them."""
        sha256, start, length = _sha256, self.start, self.length
        return [sha256(start + each + b"]").digest()[:length] for each in self.cut(data)]

    def digest_together(self, rows: Sequence[bytes]) -> Digest:
        """The digest of all rows of an owner, at least one, as ``cut`` gives them."""
        data = rows[0] if len(rows) == 1 else b"\n".join(sorted([each + b"]" for each in rows]))[:-1]
        return _sha256(self.start + data + b"]").digest()[: self.length]
