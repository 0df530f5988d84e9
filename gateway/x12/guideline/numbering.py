"""HL and LX: the numbers that a guide asks to count from 1, and parents that must be there.

The standard leaves them free; every guide asks HL01 to be counted within the set and HL02 to name an HL whose
levels are still open, and the 837 asks LX01 to be counted within a claim. After a wrong number counting goes on
from it, so that one gap is one finding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gateway.x12.guideline.model import Guideline

LINES_COUNTED_IN = frozenset({"837"})


class WrongNumber(NamedTuple):
    """One number that does not fit. ``sentence`` follows the element's name."""

    code: str
    element: int
    value: str
    sentence: str


def counted_ids(guideline: Guideline) -> frozenset[str]:
    """Ids of the segments whose numbers a guideline wants counted."""
    if not guideline.implementation:
        return frozenset()
    return frozenset({"HL", "LX"} if guideline.set_id in LINES_COUNTED_IN else {"HL"})


class Numbering:
    """Follows the HL and LX segments of one transaction set. ``marks``: separators that no number contains."""

    def __init__(self, marks: str) -> None:
        self._marks = frozenset(marks)
        self._levels = 0  # the number of the last HL
        self._open: list[str] = []  # numbers of the HLs around the last one, and its own
        self._line = 0  # the number of the last LX

    def level(self, number: str, parent: str) -> Iterator[WrongNumber]:
        """One HL: HL01 and HL02 as written; what is absent or ill-formed is for the element check."""
        expected = self._levels + 1
        self._levels = _after(number, expected)
        if number and number != str(expected) and self._marks.isdisjoint(number):
            yield WrongNumber("hl.number", 1, number, f"'{number}' is not the next number, {expected}")
        if parent:
            while self._open and self._open[-1] != parent:
                self._open.pop()
            if not self._open:
                yield WrongNumber("hl.parent", 2, parent, f"'{parent}' is not the number of an HL that is still open")
        self._open.append(number or str(expected))

    def line(self, number: str, *, first: bool) -> Iterator[WrongNumber]:
        """One LX; ``first`` in its claim."""
        expected = 1 if first else self._line + 1
        self._line = _after(number, expected)
        if number.isdigit() and number != str(expected):
            yield WrongNumber("lx.number", 1, number, f"'{number}' is not the next number, {expected}")


def _after(number: str, expected: int) -> int:
    """From where to go on counting."""
    return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else expected
