"""What differs from copy to copy of a ledger: hashes, UIDs, Message-IDs, counted numbers, and texts that hold one."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import zlib
from dataclasses import dataclass, replace
from typing import Any

from _ledger_world import rare_words


class Fresh:
    """Functions for SQL: each value of a copy follows from that of the original; copy 0 has its texts."""

    def __init__(self, copies: int) -> None:
        self.copies = copies
        self._rare = frozenset(rare_words())

    def add_to(self, connection: sqlite3.Connection) -> None:
        """Makes them known to SQL."""
        for name, count in (
            *(("fresh_hash", 2), ("fresh_hashes", 2), ("fresh_uid", 2), ("fresh_text", 2)),
            *(("counted", 2), ("named", 2)),
        ):
            connection.create_function(name, count, getattr(self, name), deterministic=True)

    @staticmethod
    def fresh_hash(value: str, k: int) -> str:
        """A digest in hex."""
        return hashlib.sha256(b"%d %b" % (k, value.encode())).hexdigest() if k and value else value

    def fresh_hashes(self, value: str | None, k: int) -> str | None:
        """A text with digests in it."""
        if value is None or not k:
            return value
        return _HASH.sub(lambda found: self.fresh_hash(found[0], k), value)

    def fresh_uid(self, value: str, k: int) -> str:
        """A UID as Dovecot counts them: eight digits in hex, and something that stays."""
        if _UID.match(value):
            return f"{self.counted(int(value[:8], 16), k):08x}{value[8:]}"
        return f"{value}.{k}" if k else value

    def counted(self, value: Any, k: int) -> Any:
        """A number of a series, as many digits at least; what is no number stays."""
        if isinstance(value, int):
            return (value - 1) * self.copies + k + 1 if value > 0 else value
        if not value or not value.isdigit() or not value.isascii():
            return value
        return f"{self.counted(int(value), k):0{len(value)}}" if value[0] == "0" else str(self.counted(int(value), k))

    def named(self, value: str, k: int) -> str:
        """A kind and its number, as acknowledgments name groups."""
        kind, blank, number = value.rpartition(" ")
        return f"{kind}{blank}{self.counted(number, k)}"

    def fresh_text(self, value: str, k: int, control_number: str = "") -> str:
        """A text in which a business number stands, or the interchange's own."""
        return self.parts(value, control_number).of(k, self.copies)

    def parts(self, value: str, control_number: str) -> Parts:
        """What of a text differs; a rare word stands in one of the copies alone."""
        found = self._number(value, control_number)
        first, _, last = found.after.rpartition(" ")
        if last in self._rare:
            found = replace(found, kept=zlib.crc32(value.encode()) % self.copies, without=first)
        return found

    @staticmethod
    def _number(value: str, control_number: str) -> Parts:
        for word in value.translate(_APART).split():
            if len(word) < 7 or word[-1] not in _HEX_DIGITS:
                continue
            before, _, after = value.partition(word)
            if word == control_number:
                return Parts(before, f"%0{len(word)}d", int(word), 0, after)
            if (number := _NUMBER.fullmatch(word)) is None:
                continue
            if number["count"] is not None:  # goes on being counted
                return Parts(before + number["year"], "%06d", int(number["count"]), 0, after)
            if number["invoice"] is not None:
                return Parts(before + "90", "%06d", int(number["invoice"]), 0, after)
            keep = len(number["prefix"] or "") + 2
            return _random(before + word[:keep], word[keep:], after)
        return Parts("", after=value)

    @staticmethod
    def parts_of_id(value: str) -> Parts:
        """What of a Message-ID differs: twelve digits of what is random in it; moments and names stay."""
        found = _RANDOM.search(value.partition("@")[0])
        if found is None:
            return Parts(value[:1], "%d", 1, 0, value[1:]) if value else Parts("")
        end = min(found.end(), found.start() + 12)
        return _random(value[: found.start()], value[found.start() : end], value[end:])


@dataclass(frozen=True, slots=True)
class Parts:
    """A text in which a number differs from copy to copy: by counting on, or with a ``modulus`` as if by chance."""

    before: str
    format: str = ""  # of the number; empty: there is none
    number: int = 0
    modulus: int = 0
    after: str = ""
    kept: int = -1  # the one copy that ends in ``after``, the others in ``without``; -1: all
    without: str = ""

    @property
    def step(self) -> int:
        """What is added to the number for each copy."""
        return int(self.modulus * 0.6180339887) | 1

    def of(self, k: int, copies: int) -> str:
        """The text of a copy, as ``TEXT`` makes it."""
        number = (self.number + k * self.step) % self.modulus if self.modulus else (self.number - 1) * copies + k + 1
        end = self.after if self.kept in {-1, k} else self.without
        return self.before + (self.format % number if self.format else "") + end


TEXT = """{p}.before || CASE {p}.format WHEN '' THEN '' ELSE printf({p}.format, CASE {p}.modulus WHEN 0
THEN ({p}.number - 1) * {{copies}} + c.k + 1 ELSE ({p}.number + c.k * {p}.step) % {p}.modulus END) END
|| CASE WHEN {p}.kept IN (-1, c.k) THEN {p}.after ELSE {p}."without" END"""


def _random(before: str, digits: str, after: str) -> Parts:
    """Digits, in hex or not, that seem to be there by chance."""
    base, kind = (10, "d") if digits.isdigit() else (16, "x" if digits.islower() else "X")
    return Parts(before, f"%0{len(digits)}{kind}", int(digits, base), base ** len(digits), after)


_HASH = re.compile(r"[0-9a-f]{64}")
_UID = re.compile(r"[0-9a-f]{8}")
_RANDOM = re.compile(
    r"(?<![0-9A-Za-z])(?!(?:20\d{12}|1\d{12})(?![0-9A-Fa-f]))(?:[0-9A-F]{6,}|[0-9a-f]{6,})(?![0-9A-Za-z])"
)
_NUMBER = re.compile(
    r"(?P<year>PO-\d{4}-)(?P<count>\d{6})|90(?P<invoice>\d{6})|(?P<prefix>INV)?\d{7,15}|[0-9A-F]{12}", re.ASCII
)
_APART = str.maketrans("_.", "  ")
_HEX_DIGITS = frozenset("0123456789ABCDEF")
