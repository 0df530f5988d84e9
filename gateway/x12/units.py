"""Business units: which claim, trace, payer line or member a finding is about, for the CTX segments of a 999.

The names are those that the 999 guide (005010X231A1) lists for its Business Unit Identifier.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from gateway.x12.isa import BLANKS
from gateway.x12.model import Finding

FIRST = "005010"  # version with a 999
LONGEST = 35  # characters of a context reference (data element 9998)


class _Unit(Struct, frozen=True):
    """``name`` is that of the context; the unit's number is ``element`` of ``segment``; ``ends`` end the unit."""

    name: str
    segment: str
    element: int
    ends: tuple[str, ...]
    qualifier: str = ""  # the first element must say this


_TRACE = _Unit("TRN02", "TRN", 2, ("HL",))
_UNITS = {
    "270": _TRACE,
    "271": _TRACE,
    "276": _TRACE,
    "277": _TRACE,
    "278": _TRACE,
    "820": _Unit("ENT01", "ENT", 1, ()),
    "834": _Unit("SUBSCRIBER NUMBER REF02", "REF", 2, ("INS",), "0F"),
    "837": _Unit("CLM01", "CLM", 1, ("HL",)),
}


class UnitFinder:
    """Follows the segments of one set, and tells of each finding which unit it stands in."""

    __slots__ = ("_begins", "_current", "_ends", "_mark", "_unit")

    def __init__(self, unit: _Unit, mark: str) -> None:
        self._unit = unit
        self._mark = mark
        self._begins = unit.segment + mark
        self._ends = tuple(each + mark for each in unit.ends)
        self._current = ""  # the unit that stands open, as name:number

    def name(self, findings: Sequence[Finding], pieces: Sequence[str], offset: int) -> list[Finding]:
        """The findings on these segments, which begin at byte ``offset``, with their units; ``pieces`` is all there is.

        What is missing belongs to the unit before the segment that stands in its place.
        """
        named: list[Finding] = []
        waiting = sorted(findings, key=lambda each: each.offset)
        place = at = 0
        while place < len(waiting) and at < len(pieces):
            offset += len(pieces[at]) + 1
            before, self._current = self._current, self._after(pieces[at].lstrip(BLANKS), self._current)
            at += 1
            while place < len(waiting) and waiting[place].offset < offset:
                each = waiting[place]
                unit = before if each.code.endswith(".missing") and each.scope == "segment" else self._current
                named.append(replace(each, unit=unit) if unit and each.scope != "set" else each)
                place += 1
        self._pass(pieces, at)
        return named + waiting[place:]

    def _pass(self, pieces: Sequence[str], start: int) -> None:
        """Passes over segments without findings, from their end, as far as the last that matters."""
        for index in range(len(pieces) - 1, start - 1, -1):
            text = pieces[index].lstrip(BLANKS)
            if text.startswith(self._ends) or (text.startswith(self._begins) and self._number(text) is not None):
                self._current = self._after(text, "")
                return

    def _after(self, text: str, current: str) -> str:
        if text.startswith(self._begins):
            number = self._number(text)
            if number is not None:
                return f"{self._unit.name}:{number}" if number else ""
        return "" if text.startswith(self._ends) else current

    def _number(self, text: str) -> str | None:
        """The number of the unit that this segment begins; None if it has another qualifier and begins none."""
        unit = self._unit
        elements = text.split(self._mark, unit.element + 1)
        if unit.qualifier not in ("", elements[1]):
            return None
        return elements[unit.element].strip(BLANKS)[:LONGEST] if len(elements) > unit.element else ""


def unit_finder(set_id: str, version: str, mark: str) -> UnitFinder | None:
    """What finds the units of such a set of an implementation guide of 005010 or later, if it has any.

    Args:
        set_id: ST01.
        version: GS08.
        mark: the element separator.
    """
    unit = _UNITS.get(set_id)
    return UnitFinder(unit, mark) if unit is not None and version >= FIRST and version[6:7] == "X" else None
