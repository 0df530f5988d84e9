"""A guideline as data: the loops, segments, elements and conditions that a transaction set is judged by.

Both sources (the standard's tables and the HIPAA maps) are read into these values; nothing here knows which.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

UNLIMITED = 0


class Requirement(StrEnum):
    """Whether a segment or element must, may or must not be there.

    ``M`` is the standard's mandatory and a guide's required, ``O`` optional or situational, ``X`` optional
    subject to a relational condition, ``N`` not used in this guide.
    """

    MANDATORY = "M"
    OPTIONAL = "O"
    CONDITIONAL = "X"
    NOT_USED = "N"


class Condition(Struct, frozen=True):
    """A relational condition (X12.6): ``kind`` is P, R, E, C or L, ``positions`` count from 1.

    ``implementation``: not the standard's but of those who trade, for which list 621 has codes of its own.
    """

    kind: str
    positions: tuple[int, ...]
    implementation: bool = False

    def __str__(self) -> str:
        return self.kind + "".join(f"{position:02d}" for position in self.positions)

    def broken(self, present: list[bool]) -> bool:
        """Whether this presence of elements (``present[0]`` is position 1) breaks the condition."""
        there = [position <= len(present) and present[position - 1] for position in self.positions]
        match self.kind:
            case "P":
                return any(there) and not all(there)
            case "R":
                return not any(there)
            case "E":
                return sum(there) > 1
            case "C":
                return there[0] and not all(there)
            case _:
                return there[0] and not any(there[1:])


class Element(Struct, frozen=True):
    """One element (or component) position of a segment (or composite).

    ``codes`` is None when any value of the type will do. ``codes_bind`` is False for lists that were taken
    from another version: a value outside them is worth a warning only. ``maximum_repeat`` is 0 for
    unlimited and None where no source says. ``parts`` are the components of a composite.
    """

    number: str  # X12 data element number; "" where unknown
    name: str
    type: str  # AN ID R N0…N9 DT TM B, or "" for a composite
    shortest: int
    longest: int
    requirement: Requirement
    codes: frozenset[str] | None = None
    codes_bind: bool = True
    maximum_repeat: int | None = 1
    parts: tuple[Element, ...] = ()
    conditions: tuple[Condition, ...] = ()
    pattern: str = ""  # a regular expression the guide asks for


class Segment(Struct, frozen=True):
    """One use of a segment at one place. ``place`` orders siblings; equal places may come in any order."""

    id: str
    name: str
    requirement: Requirement
    maximum: int
    place: int
    elements: tuple[Element, ...]
    conditions: tuple[Condition, ...] = ()


class Loop(Struct, frozen=True):
    """A loop; it begins with its first child. ``after`` is the place of the LS segment that must open it."""

    id: str
    name: str
    requirement: Requirement
    maximum: int
    place: int
    children: tuple[Segment | Loop, ...]
    opened_at: int | None = None


class Guideline(Struct, frozen=True, eq=False):
    """How one transaction set is judged.

    ``base`` is the version (six characters) whose dictionary tells known segments from unknown ones.
    ``trusted``: findings are errors; otherwise they advise. ``implementation``: a guide narrower than the
    standard, so that a 999 speaks of it with its I codes. ``serves``: what GS08 or ST03 must begin with for a
    guideline that an agreement names; empty for any. ``characters``: the set that values may use, basic, extended
    or any; empty: extended, and what is beyond only warns where the standard judges.
    """

    name: str
    set_id: str
    version: str
    base: str
    trusted: bool
    implementation: bool
    root: Loop
    dictionary: frozenset[str] = frozenset()
    serves: tuple[str, ...] = ()
    characters: str = ""


def conditions_of(text: str) -> tuple[Condition, ...]:
    """``"P0304 R0203"`` as conditions; what is not of that form is left out."""
    found: list[Condition] = []
    for word in text.split():
        digits = word[1:]
        if word[0] in "PRECL" and digits.isdigit() and len(digits) % 2 == 0 and len(digits) >= 4:
            found.append(Condition(word[0], tuple(int(digits[i : i + 2]) for i in range(0, len(digits), 2))))
    return tuple(found)
