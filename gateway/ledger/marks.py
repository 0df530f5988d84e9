"""What the text index knows an exchange or a mail by: its texts, the numbers in them, and marks.

The index finds three characters anywhere in a text (a trigram). That alone is too little for numbers: each three digits
stand in one row of fifty. So every five digits in a row are indexed too, and each fact that is often asked beside a
text (partner, type, month …) as a mark. The index may give too much, never too little: what it gives is compared with
the row itself.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from gateway.ledger.folding import folded

Row = Mapping[str, Any]

PIECE = 5  # digits
VERSION = 6  # characters of a GS08 that say the version and the release
_DIGITS = re.compile(r"[0-9]{5,}", re.ASCII)
_NUMBERS: int = 10**PIECE  # below this a mark is five digits
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 253_402_300_799_999  # the last moment of the year 9999


@dataclass(frozen=True, slots=True)
class Indexed:
    """One exchange, or with a negative ``id`` one mail that no exchange speaks for."""

    id: int
    texts: tuple[str, ...]
    marks: tuple[int, ...]  # that of its month first
    numbers: tuple[str, ...] = field(default=())  # runs of five digits and more, each once


def of_exchange(row: Row, keys: Iterable[str]) -> Indexed:
    """An exchange from its row and the values of its business keys."""
    marks = [
        mark("month", month_of(row["at"])),
        mark("partner", row["partner"]),
        mark("from", folded(row["from_address"])),
        mark("domain", domain_of(row["from_address"])),
        mark("user", folded(row["user"])),
        mark("host", folded(row["host"])),
        mark("sender", row["sender_id"]),
        mark("receiver", row["receiver_id"]),
        *(mark("type", each) for each in row["types"].split()),
        *(mark("version", each[:VERSION]) for each in row["versions"].split()),
    ]
    if row["usage"] != "P":
        marks.append(mark("usage", row["usage"]))
    return _indexed(row["id"], [row["subject"], row["file_name"], *keys], marks)


def of_mail(row: Row, files: Iterable[str]) -> Indexed:
    """A mail from its row and the names of its files."""
    marks = [
        mark("mails of month", month_of(row["at"])),
        mark("mail", ""),
        mark("partner", row["partner"]),
        mark("from", folded(row["from_address"])),
        mark("domain", domain_of(row["from_address"])),
        mark("user", folded(row["user"])),
        mark("host", folded(row["host"])),
    ]
    return _indexed(-row["id"], [row["subject"], *files], marks)


def _indexed(number: int, texts: Iterable[str], marks: list[int]) -> Indexed:
    known = tuple(dict.fromkeys(filter(None, texts)))
    return Indexed(number, known, tuple(marks), tuple(dict.fromkeys(_DIGITS.findall("\n".join(known)))))


@lru_cache(maxsize=65_536)
def mark(kind: str, value: str | int) -> int:
    """A fact as a number from 100,000 to 2³¹; two facts may have the same one."""
    return _NUMBERS + zlib.crc32(f"{kind}\0{value}".encode()) % (2**31 - _NUMBERS)


def domain_of(address: str) -> str:
    """What stands behind the last @ of an address, folded; all of it where there is none."""
    return folded(address).rpartition("@")[2]


def digits_of(text: str) -> tuple[str, ...]:
    """Every five digits in a row of the text."""
    return tuple(dict.fromkeys(piece for run in _DIGITS.findall(text) for piece in pieces_of(run)))


def pieces_of(run: str) -> Iterator[str]:
    """Every five characters of a run of digits."""
    return (run[at : at + PIECE] for at in range(len(run) - PIECE + 1))


def month_of(at: int) -> int:
    """The month (UTC) of a moment, counted from year 0; what no calendar has is in the first or last one."""
    moment = _EPOCH + timedelta(milliseconds=min(max(at, 0), _LATEST))
    return moment.year * 12 + moment.month - 1


def span_of(month: int) -> tuple[int, int]:
    """The first moment of a month, and that of the next one."""
    return _start(month), _start(month + 1)


def _start(month: int) -> int:
    if month <= month_of(0):
        return -(2**63)
    if month > month_of(_LATEST):
        return 2**63 - 1
    year, index = divmod(month, 12)
    return int((datetime(year, index + 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1))


# ---------------------------------------------------------------- on SQLite

COLUMNS = 24
_CODE = {f"{number:03}": chr(0xE000 + number) for number in range(1_000)}
_BASE = 0xE400  # of marks: three characters of eleven bits each


def as_columns(indexed: Indexed) -> tuple[Any, ...]:
    """The row of the full-text table: each text in a column of its own, for trigrams reach over blanks and line ends.

    A run of digits is written with a character for every three of them, so that a trigram is five digits; a mark is
    one trigram. Both are characters that nobody uses (private use area of Unicode).
    """
    texts = [*indexed.texts, *map(coded, indexed.numbers), *map(as_characters, indexed.marks)]
    if len(texts) > COLUMNS:
        texts[COLUMNS - 1 :] = ["\n".join(texts[COLUMNS - 1 :])]
    return (indexed.id, *texts, *(None,) * (COLUMNS - len(texts)))


def coded(run: str) -> str:
    """A run of digits, each three of them as one character."""
    return "".join([_CODE[run[at : at + 3]] for at in range(len(run) - 2)])


@lru_cache(maxsize=65_536)
def as_characters(number: int) -> str:
    """A mark as three characters."""
    return "".join(chr(_BASE + (number >> shift) % 2_048) for shift in (22, 11, 0))


# ---------------------------------------------------------------- on PostgreSQL


def as_text_and_marks(indexed: Indexed) -> tuple[str, list[int]]:
    """The two columns of the table: all texts, folded, and marks and digits together as numbers."""
    pieces = (int(piece) for run in indexed.numbers for piece in pieces_of(run))
    return folded("\n".join(indexed.texts)), [*dict.fromkeys(pieces), *indexed.marks]


def sequence(rows: Sequence[Indexed]) -> list[Indexed]:
    """In the order in which an index likes them."""
    return sorted(rows, key=lambda row: row.id)
