"""The ISA segment: recognised, taken apart, and what it may hold (X12.5 section 4.1).

An ISA has 106 characters with the element separator at sixteen fixed positions, and it alone says how
the rest is to be cut. Three degrees are told apart: whole (all positions fit), damaged (one or two
positions do not) and of wrong length (padding lost, but the sixteen elements can still be counted).
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from msgspec import Struct

from gateway.x12.model import Header, Party, Separators

LENGTH = 106
POSITIONS = (3, 6, 17, 20, 31, 34, 50, 53, 69, 76, 81, 83, 89, 99, 101, 103)
WIDTHS = (2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1, 1)
BLANKS = " \t\r\n\0\x1a\v\f"
LONGEST = 400  # characters to look at before an ISA of wrong length is given up
TOLERATED = 2  # positions that may be damaged

# The element separator and the sixteen elements, where it stands at all its positions.
_WHOLE = re.compile("...(.)" + r"\1".join(f"(.{{{width}}})" for width in WIDTHS), re.DOTALL)
_BETWEEN = " \t\r\n"  # what some write between segments
_FIRST_WITH_REPETITION = "00402"
_AFTER = re.compile(r"[\r\n]*")
_LOOSE_WIDTHS = (2, 12, 2, 12, 3, 18, 3, 18, 8, 8, 1, 5, 12, 1, 1)  # at most, for ISA01 to ISA15 of a wrong length


def ends_segment(text: str, terminator: str) -> bool:
    """Whether a segment may begin after ``text``: a terminator stands there, or nothing, and then only blanks.

    The terminator may itself be a blank, as a line feed is.
    """
    before = text.rstrip(_BETWEEN.replace(terminator, ""))
    return not before or before[-1] == terminator


class Opening(Struct, frozen=True):
    """An ISA found in a text: where (``at``), how long with its terminator, its sixteen elements as written.

    ``damaged`` names the positions (0 is the I of ISA) that should hold the element separator and do not.
    """

    at: int
    size: int
    fields: tuple[str, ...]
    separators: Separators
    damaged: tuple[int, ...] = ()

    @property
    def wrong_widths(self) -> tuple[int, ...]:
        """The numbers (1 to 16) of the elements that have not their fixed width."""
        return tuple(n for n, (got, width) in enumerate(zip(self.fields, WIDTHS, strict=True), 1) if len(got) != width)


def opening_at(text: str, at: int) -> Opening | None:
    """The ISA at ``at`` if its separators stand at the fixed positions (one or two may be damaged), else None.

    Needs the 106 characters to be there; ``text[at : at + 3]`` is taken to be ``ISA``.
    """
    element = text[at + 3 : at + 4]
    if not element or element.isalnum() or len(text) < at + LENGTH:
        return None
    # A row of blanks or dashes has the "separator" everywhere: ISA01 and ISA12 tell it from an ISA.
    if element in text[at + 4 : at + 6] or element in text[at + 84 : at + 89]:
        return None
    damaged: tuple[int, ...] = ()
    whole = _WHOLE.match(text, at)
    if whole is not None:
        fields = whole.groups()[1:]
    else:
        damaged = tuple(p for p in POSITIONS if text[at + p] != element)
        if len(damaged) > TOLERATED:
            return None
        edges = (*POSITIONS, LENGTH - 1)
        fields = tuple(text[at + a + 1 : at + b] for a, b in pairwise(edges))
    separators = _separators(element, fields, text[at + LENGTH - 1], text[at + LENGTH : at + LENGTH + 2])
    return Opening(at, LENGTH, fields, separators, damaged)


def loose_opening_at(text: str, at: int) -> Opening | None:
    """The ISA at ``at`` if it has sixteen elements but not their fixed widths, else None."""
    element = text[at + 3 : at + 4]
    if not element or element.isalnum() or element in BLANKS:
        return None
    if element not in text[at + 4 : at + 7]:  # quick, for texts full of ISA
        return None
    parts = text[at : at + LONGEST].split(element, 16)
    if len(parts) < 17 or any(len(part) > most for part, most in zip(parts[1:16], _LOOSE_WIDTHS, strict=True)):
        return None
    if not parts[12].isdigit() or not parts[13].strip():
        return None
    tail = parts[16][:4]
    component = "" if tail[1:3] in ("GS", "TA", "IE") or not tail else tail[0]
    terminator = tail[len(component) : len(component) + 1]
    if not terminator:
        return None
    fields = (*parts[1:16], component)
    size = sum(map(len, fields)) + 16 + 4
    return Opening(at, size, fields, _separators(element, fields, terminator, text[at + size : at + size + 2]))


def header_of(opening: Opening) -> Header:
    """The values of an ISA, trimmed."""
    f = [each.strip(BLANKS) for each in opening.fields]
    return Header(
        sender=_party(f[4], f[5]),
        receiver=_party(f[6], f[7]),
        date=f[8],
        time=f[9],
        version=f[11],
        control_number=f[12],
        acknowledgment_requested=f[13] == "1",
        usage=f[14],
        authorization_qualifier=f[0],
        authorization=f[1],
        security_qualifier=f[2],
        security=f[3],
    )


def has_repetition(version: str) -> bool:
    """Whether ISA11 is a repetition separator in this interchange version (ISA12)."""
    return version >= _FIRST_WITH_REPETITION


def _separators(element: str, fields: tuple[str, ...], terminator: str, after: str) -> Separators:
    repetition = fields[10] if has_repetition(fields[11]) else ""
    if len(repetition) != 1 or repetition.isalnum() or repetition in (" ", element, terminator):
        repetition = ""
    suffix = _AFTER.match(after)
    return _marks(element, fields[15], terminator, repetition, suffix[0] if suffix else "")


# The same few come again and again, and one value of each is quicker to send from process to process than many.
_party = lru_cache(maxsize=1024)(Party)
_marks = lru_cache(maxsize=256)(Separators)
