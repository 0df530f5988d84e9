"""What the text index knows an exchange or a mail by: its texts, the numbers in them, and marks.

The index finds three characters anywhere in a text (a trigram). That alone is too little for numbers: each three digits
stand in one row of fifty. So every five digits in a row are indexed too, those of business keys apart from others such
as control numbers; and each fact that is often asked beside a text (partner, type, month …) as a mark. The index may
give too much, never too little: what it gives is compared with the row itself.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import Any

from msgspec import Struct

from gateway.ledger.folding import folded

Row = Mapping[str, Any]

PIECE = 5  # digits
VERSION = 6  # characters of a GS08 that say the version and the release
_DIGITS = re.compile(r"[0-9]{5,}", re.ASCII)
OF_KEYS: int = 10**PIECE  # what is added to five digits of a business key; below it a mark is five digits of others
_FIRST_MARK = 2 * OF_KEYS
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000  # ms
_LATEST = 253_402_300_799_999  # the last moment of the year 9999


class Indexed(Struct, frozen=True):
    """One exchange, or with a negative ``id`` one mail that no exchange speaks for."""

    id: int
    texts: tuple[str, ...]
    marks: tuple[int, ...]  # that of its month first
    numbers: tuple[str, ...]  # runs of five digits and more, each once: those of business keys
    others: tuple[str, ...]  # and those that stand elsewhere alone


def of_exchange(row: Row, keys: Iterable[str]) -> Indexed:
    """An exchange from its row and the values of its business keys."""
    marks = _marks(month_of(row["at"]), *_facts(row))
    return _indexed(row["id"], marks, [row["subject"], row["file_name"]], list(keys))


_facts = itemgetter("partner", "from_address", "user", "host", "sender_id", "receiver_id", "types", "versions", "usage")


@lru_cache(maxsize=16_384)
def _marks(month: int, partner: str, sender: str, user: str, host: str, *edi: str) -> tuple[int, ...]:
    """The marks of an exchange. What a partner sends in a month is mostly alike."""
    sender_id, receiver_id, types, versions, usage = edi
    marks = [
        mark("month", month),
        mark("partner", partner),
        mark("from", folded(sender)),
        mark("domain", domain_of(sender)),
        mark("user", folded(user)),
        mark("host", folded(host)),
        mark("sender", sender_id),
        mark("receiver", receiver_id),
        *(mark("type", each) for each in types.split()),
        *(mark("version", each[:VERSION]) for each in versions.split()),
    ]
    if usage != "P":
        marks.append(mark("usage", usage))
    return tuple(marks)


def of_mail(row: Row, files: Iterable[str]) -> Indexed:
    """A mail from its row and the names of its files."""
    marks = (
        mark("mails of month", month_of(row["at"])),
        mark("mail", ""),
        mark("partner", row["partner"]),
        mark("from", folded(row["from_address"])),
        mark("domain", domain_of(row["from_address"])),
        mark("user", folded(row["user"])),
        mark("host", folded(row["host"])),
    )
    return _indexed(-row["id"], marks, [row["subject"], *files], [])


def _indexed(number: int, marks: tuple[int, ...], texts: list[str], keys: list[str]) -> Indexed:
    known = tuple(dict.fromkeys(filter(None, [*texts, *keys])))
    numbers = dict.fromkeys(_DIGITS.findall("\n".join(keys)))
    others = dict.fromkeys(each for each in _DIGITS.findall("\n".join(texts)) if each not in numbers)
    return Indexed(number, known, marks, tuple(numbers), tuple(others))


@lru_cache(maxsize=65_536)
def mark(kind: str, value: str | int) -> int:
    """A fact as a number from 200,000 to 2³¹; two facts may have the same one."""
    return _FIRST_MARK + zlib.crc32(f"{kind}\0{value}".encode()) % (2**31 - _FIRST_MARK)


def domain_of(address: str) -> str:
    """What stands behind the last @ of an address, folded; all of it where there is none."""
    return folded(address).rpartition("@")[2]


def runs_of(text: str) -> list[str]:
    """The runs of five digits and more in a text."""
    return _DIGITS.findall(text)


def pieces_of(run: str) -> Iterator[str]:
    """Every five characters of a run of digits."""
    return (run[at : at + PIECE] for at in range(len(run) - PIECE + 1))


def month_of(at: int) -> int:
    """The month (UTC) of a moment, counted from year 0; what no calendar has is in the first or last one."""
    return _month_of_day(min(max(at, 0), _LATEST) // _DAY)


@lru_cache(maxsize=4_096)
def _month_of_day(day: int) -> int:
    moment = _EPOCH + timedelta(days=day)
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
_KEY_CODE = {f"{number:03}": chr(0xEC00 + number) for number in range(1_000)}


def as_columns(indexed: Indexed) -> tuple[Any, ...]:
    """The row of the full-text table: each text in a column of its own, for trigrams reach over blanks and line ends.

    A run of digits is written with a character for every three of them, so that a trigram is five digits; a mark is
    one trigram. Both are characters that nobody uses (private use area of Unicode).
    """
    runs = [coded(run, of_key=True) for run in indexed.numbers] + [coded(run) for run in indexed.others]
    texts = [*indexed.texts, *runs, *_as_characters(indexed.marks)]
    if len(texts) > COLUMNS:
        texts[COLUMNS - 1 :] = ["\n".join(texts[COLUMNS - 1 :])]
    return (indexed.id, *texts, *(None,) * (COLUMNS - len(texts)))


def coded(run: str, *, of_key: bool = False) -> str:
    """A run of digits, each three of them as one character."""
    code = _KEY_CODE if of_key else _CODE
    return "".join([code[run[at : at + 3]] for at in range(len(run) - 2)])


@lru_cache(maxsize=16_384)
def _as_characters(marks: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(map(as_characters, marks))


@lru_cache(maxsize=65_536)
def as_characters(number: int) -> str:
    """A mark as three characters."""
    return "".join(chr(_BASE + (number >> shift) % 2_048) for shift in (22, 11, 0))


# ---------------------------------------------------------------- on PostgreSQL


def as_text_and_marks(indexed: Indexed) -> tuple[str, list[int]]:
    """The two columns of the table: all texts, folded, and marks and digits together as numbers."""
    pieces = [OF_KEYS + int(piece) for run in indexed.numbers for piece in pieces_of(run)]
    pieces += [int(piece) for run in indexed.others for piece in pieces_of(run)]
    return folded("\n".join(indexed.texts)), [*dict.fromkeys(pieces), *indexed.marks]


def sequence(rows: Sequence[Indexed]) -> list[Indexed]:
    """In the order in which an index likes them."""
    return sorted(rows, key=lambda row: row.id)
