"""What a single value may look like: the X12 data types (X12.6 section 3) and the formats of element 1250.

Each function answers in words of ours: an empty string when the value is fine, else the finding code's last
part (``type``, ``date``, ``time``, ``too-short``, ``too-long``). Leading and trailing blanks are tolerated.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable

_REAL = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:E-?\d+)?", re.ASCII)
_INTEGER = re.compile(r"-?\d+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
BASIC = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 !\"&'()*+,-./:;?=")  # X12.6, the basic character set
_BEYOND_ASCII = re.compile(r"[\x80-\uffff]")


def control_characters(value: str) -> bool:
    """Whether a character stands in it that neither the basic nor the extended set has."""
    return _CONTROL.search(value) is not None


def beyond_ascii(value: str) -> bool:
    """Whether a character stands in it that only a language of the extended set could have."""
    return _BEYOND_ASCII.search(value) is not None


def beyond_basic(value: str) -> bool:
    """Whether a character stands in it that the basic set does not have, such as a small letter."""
    return not BASIC.issuperset(value)


def is_date(text: str) -> bool:
    """A real calendar day, CCYYMMDD or YYMMDD (a two-digit year may be any century's leap year)."""
    if not (text.isascii() and text.isdigit()) or len(text) not in (6, 8):
        return False
    year, month, day = int(text[:-4]), int(text[-4:-2]), int(text[-2:])
    if len(text) == 6:
        year += 2000
    if year < 1 or not 1 <= month <= 12:
        return False
    return 1 <= day <= calendar.monthrange(year, month)[1]


def is_time(text: str) -> bool:
    """HHMM, HHMMSS, HHMMSSD or HHMMSSDD."""
    if not (text.isascii() and text.isdigit()) or not 4 <= len(text) <= 8 or len(text) == 5:
        return False
    return int(text[:2]) < 24 and int(text[2:4]) < 60 and int(text[4:6] or "0") < 60


def significant(kind: str, value: str) -> int:
    """The length that X12 counts: without sign, and for R without decimal point and exponent sign."""
    if kind == "R":
        return sum(character.isdigit() for character in value)
    if kind[:1] == "N":
        return len(value) - value.count("-")
    return len(value)


def fault(kind: str, value: str, shortest: int, longest: int) -> str:  # noqa: PLR0911  # one for each fault
    """What is wrong with a value of this type and length, or an empty string."""
    if kind == "R" and not _REAL.fullmatch(value):
        return "type"
    if kind[:1] == "N" and not _INTEGER.fullmatch(value):
        return "type"
    if kind in ("DT", "TM") and not (value.isascii() and value.isdigit()):
        return "date" if kind == "DT" else "time"
    length = significant(kind, value)
    if length < shortest:
        return "too-short"
    if length > longest:
        return "too-long"
    if kind == "DT" and not is_date(value):
        return "date"
    if kind == "TM" and not is_time(value):
        return "time"
    return ""


def _digits(length: int) -> Callable[[str], bool]:
    return lambda text: len(text) == length and text.isascii() and text.isdigit()


def _sized_date(length: int) -> Callable[[str], bool]:
    return lambda text: len(text) == length and is_date(text)


def _moment(text: str) -> bool:
    return len(text) == 12 and is_date(text[:8]) and is_time(text[8:])


def _second(text: str) -> bool:
    return len(text) == 14 and is_date(text[:8]) and is_time(text[8:])


def _month(text: str) -> bool:
    return len(text) in (4, 6) and is_date(text + "01")


def _day_of_month(text: str) -> bool:
    return len(text) == 4 and is_date("2000" + text)


def _american(text: str) -> bool:
    """MMDDCCYY."""
    return len(text) == 8 and is_date(text[4:] + text[:4])


def _month_first(text: str) -> bool:
    """MMCCYY."""
    return len(text) == 6 and _month(text[2:] + text[:2])


def _between(low: int, high: int) -> Callable[[str], bool]:
    two_digits = _digits(2)
    return lambda text: two_digits(text) and low <= int(text) <= high


def _range(single: Callable[[str], bool]) -> Callable[[str], bool]:
    def both(text: str) -> bool:
        first, dash, last = text.partition("-")
        return bool(dash) and single(first) and single(last)

    return both


# Element 1250 → a check of element 1251. A qualifier that is not here is not checked further.
FORMATS: dict[str, Callable[[str], bool]] = {
    "CC": _digits(2),
    "CM": lambda text: len(text) == 6 and _month(text),
    "CY": _digits(4),
    "D6": _sized_date(6),
    "D8": _sized_date(8),
    "DB": _american,
    "DD": _between(1, 31),
    "DT": _moment,
    "DTS": _range(_second),
    "MCY": _month_first,
    "MD": _day_of_month,
    "MM": _between(1, 12),
    "RD": _range(_american),
    "RD2": _range(_digits(2)),
    "RD4": _range(_digits(4)),
    "RD5": _range(lambda text: len(text) == 6 and _month(text)),
    "RD6": _range(_sized_date(6)),
    "RD8": _range(_sized_date(8)),
    "RDT": _range(_moment),
    "RMD": _range(_day_of_month),
    "RMY": _range(lambda text: len(text) == 4 and _month(text)),
    "RTM": _range(lambda text: len(text) == 4 and is_time(text)),
    "RTS": _second,
    "TM": lambda text: len(text) == 4 and is_time(text),
    "TS": lambda text: len(text) == 6 and is_time(text),
    "TT": lambda text: len(text) == 6 and is_date(text[4:] + text[:4]),
    "YM": lambda text: len(text) == 4 and _month(text),
    "YY": _digits(2),
}
TIME_FORMATS = frozenset({"TM", "TS", "RTM"})


def format_fault(qualifier: str, value: str) -> str:
    """``date`` or ``time`` when a 1251 value is not in the format that its 1250 qualifier names."""
    check = FORMATS.get(qualifier)
    if check is None or check(value):
        return ""
    return "time" if qualifier in TIME_FORMATS else "date"
