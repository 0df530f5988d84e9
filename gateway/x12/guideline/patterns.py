"""One regular expression per segment: the clean path.

A pattern matches only what the detailed check (``elements``) finds nothing wrong with; it need not match
all of that. Whatever it does not match is looked at in detail, so a pattern may be narrow (leap days,
exponents, repetitions in composites are left to the detailed check), but never too wide.

Every repeat of characters is possessive, a value matches in one way only, and every optional tail starts with
a separator that values cannot contain: a failing match costs time linear in the length of the segment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct, field

from gateway.x12.guideline.model import Condition, Element, Requirement, Segment
from gateway.x12.guideline.values import BASIC
from gateway.x12.model import Separators

CODES_IN_PATTERN = 48  # longer lists are looked up by the judge, and remembered
NEVER = "(?!)"
_SIGNS = " -.+"
ALWAYS, ABSENT = -1, 0  # how a condition learns of an element: always there, never there, or a group number
_DAY = (
    r"(?:(?:0[13578]|1[02])(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)(?:0[1-9]|[12]\d|30)"
    r"|02(?:0[1-9]|1\d|2[0-8]))"
)
_LEAP = r"(?:20(?:[02468][048]|[13579][26])|19(?:0[48]|[2468][048]|[13579][26]))0229"
_CENTURY_DATE = rf"(?:(?:19|20)\d\d{_DAY}|{_LEAP})"
_SHORT_DATE = r"\d\d" + _DAY
_MINUTE = r"(?:[01]\d|2[0-3])[0-5]\d"
_FORMATS = {
    "D8": _CENTURY_DATE,
    "RD8": _CENTURY_DATE + "-" + _CENTURY_DATE,
    "D6": _SHORT_DATE,
    "DT": _CENTURY_DATE + _MINUTE,
    "TM": _MINUTE,
}


class SegmentPattern(Struct):
    """The compiled pattern of a segment, and the groups whose values are to be looked up in code lists."""

    regex: re.Pattern[str]
    looked_up: tuple[tuple[int, frozenset[str]], ...]


def compile_pattern(
    segment: Segment, separators: Separators, *, basic: bool = False, before: str = "", end: str = r"\Z"
) -> SegmentPattern:
    """The clean-path pattern of one segment use.

    Args:
        segment: the use.
        separators: of the interchange.
        basic: only characters of the basic set.
        before: a pattern of what may stand before the segment.
        end: a pattern of what stands behind it; it takes no character.

    Where a separator is a sign of numbers, dates or codes, as a damaged ISA may say, it matches nothing: a value and
    the separators in it could not be told apart.
    """
    if _may_stand_in_values(separators):
        return SegmentPattern(re.compile(NEVER), ())
    builder = _Builder(separators, basic, end)
    text = before + builder.segment(segment)
    return SegmentPattern(re.compile(text, re.DOTALL), tuple(builder.looked_up))


def _may_stand_in_values(separators: Separators) -> bool:
    marks = (separators.element, separators.component, separators.repetition)  # no segment holds its terminator
    return any(mark.isalnum() or mark in _SIGNS for mark in marks if mark)


def alternatives(codes: Iterable[str]) -> str:
    """A pattern for a set of codes: those of one length and first character share a branch."""
    branches: dict[tuple[int, str], list[str]] = {}
    for code in sorted(codes):
        branches.setdefault((len(code), code[:-1]), []).append(code[-1:])
    ordered = sorted(branches.items(), key=lambda item: -item[0][0])
    return "|".join(re.escape(head) + _one_of(tails) for (_, head), tails in ordered)


def _one_of(tails: Sequence[str]) -> str:
    if len(tails) == 1:
        return re.escape(tails[0])
    return "[" + "".join(re.escape(tail) for tail in tails) + "]"


class _Builder(Struct):
    separators: Separators
    basic: bool = False
    end: str = r"\Z"
    looked_up: list[tuple[int, frozenset[str]]] = field(default_factory=list)
    groups: int = 0
    element: str = ""
    character: str = ""

    def __post_init__(self) -> None:
        marks = self.separators
        self.element = re.escape(marks.element)
        excluded = {marks.element, marks.component, marks.segment, marks.repetition} - {""}
        if self.basic:
            excluded |= {chr(code) for code in range(0x20, 0x7F)} - BASIC
        self.character = "[" + "".join(_ranges(excluded)) + "]"

    def group(self, body: str) -> tuple[str, int]:
        """The body captured. Groups are numbered in the order of their opening bracket: take care to call in order."""
        self.groups += 1
        return f"({body})", self.groups

    def segment(self, segment: Segment) -> str:
        """Id, elements, end, conditions."""
        body, presence = self.sequence(segment.elements, segment.conditions, self.element, leading=True)
        some = "" if any(map(_required, segment.elements)) else rf"(?!(?:{self.element})*+{self.end})"
        return re.escape(segment.id) + some + body + self.end + _conditions(segment.conditions, presence)

    def sequence(
        self, elements: tuple[Element, ...], conditions: tuple[Condition, ...], mark: str, *, leading: bool
    ) -> tuple[str, list[int]]:
        """Elements (or components) in a row, trailing ones optional; and for each how to tell that it is there."""
        needed = {position for condition in conditions for position in condition.positions}
        last = max((i for i, each in enumerate(elements) if _required(each)), default=-1)
        presence: list[int] = []
        parts: list[tuple[int, str]] = []  # index of the last element in the part
        index = 0
        while index < len(elements):
            if _dated(elements, index):
                text = self.dated(elements[index], elements[index + 1], mark, needed, index, presence)
                index += 2
            else:
                text = self.single(elements[index], needed, index, presence)
                index += 1
            parts.append((index - 1, text))
        pattern, closing = "", 0
        for number, (end, text) in enumerate(parts):
            before = mark if leading or number else ""
            if end <= last or not before:
                pattern += before + text
            else:
                pattern += f"(?:{before}{text}"
                closing += 1
        return pattern + "|)" * closing, presence

    def single(self, element: Element, needed: set[int], index: int, presence: list[int]) -> str:
        """One element: its value, or nothing where it may be empty."""
        if element.requirement is Requirement.NOT_USED:
            presence.append(ABSENT)
            return ""
        required = _required(element)
        if required:
            presence.append(ALWAYS)
            return self.value(element)
        if index + 1 not in needed:
            presence.append(ABSENT)
            return f"(?:{self.value(element)}|)"
        self.groups += 1
        presence.append(self.groups)
        return f"(?:({self.value(element)})|)"

    def dated(
        self,
        qualifier: Element,
        value: Element,
        mark: str,
        needed: set[int],
        index: int,
        presence: list[int],
    ) -> str:
        """Elements 1250 and 1251 side by side: the format decides what the value may be."""
        formats = _FORMATS if qualifier.codes is None else {k: v for k, v in _FORMATS.items() if k in qualifier.codes}
        longest = value.longest
        both = "|".join(f"{name}{mark}{body}" for name, body in formats.items() if longest >= 17 or name != "RD8")
        both = f"(?:{both})" if both else NEVER
        if _required(qualifier) or _required(value):
            presence += [ALWAYS, ALWAYS]
            return both
        if {index + 1, index + 2} & needed:
            self.groups += 1
            presence += [self.groups, self.groups]
            return f"(?:({both})|{mark})"
        presence += [ABSENT, ABSENT]
        return f"(?:{both}|{mark})"

    def value(self, element: Element) -> str:
        """What a present element looks like."""
        if element.parts:
            return self.composite(element)
        if element.pattern or element.number == "1251":
            return NEVER
        if element.codes is not None:
            return self.code(element)
        body = _simple(element, self.character)
        if element.maximum_repeat not in (1, None) and self.separators.repetition:
            again = "*+" if element.maximum_repeat == 0 else f"{{0,{(element.maximum_repeat or 1) - 1}}}+"
            return f"(?:{body}(?:{re.escape(self.separators.repetition)}{body}){again})"
        return body

    def code(self, element: Element) -> str:
        """A code from a list, in the pattern or looked up."""
        usable = _usable(element)
        if len(usable) <= CODES_IN_PATTERN:
            return f"(?:{alternatives(usable)})" if usable else NEVER
        body, group = self.group(f"{self.character}{{{max(element.shortest, 1)},{element.longest}}}+")
        self.looked_up.append((group, frozenset(usable)))
        return body

    def composite(self, element: Element) -> str:
        """The components of one composite; at least one character."""
        mark = re.escape(self.separators.component)
        body, presence = self.sequence(element.parts, element.conditions, mark, leading=False)
        return f"(?:(?!{mark}*+(?:{self.element}|{self.end})){body}{_conditions(element.conditions, presence)})"


def is_looked_up(element: Element) -> bool:
    """Whether the codes of an element are too many for a pattern, so that the judge looks them up."""
    return not element.parts and not element.pattern and len(_usable(element)) > CODES_IN_PATTERN


def _usable(element: Element) -> list[str]:
    """The codes of an element that are of a length that it takes."""
    return [code for code in element.codes or () if element.shortest <= len(code) <= element.longest]


def _ranges(excluded: set[str]) -> Iterator[str]:
    """The printable characters of ASCII but these, as ranges of a character class."""
    start = 0x20
    for code in [*sorted(ord(each) for each in excluded if " " <= each <= "~"), 0x7F]:
        if start < code:
            yield re.escape(chr(start)) + "-" + re.escape(chr(code - 1))
        start = code + 1


def _required(element: Element) -> bool:
    return element.requirement is Requirement.MANDATORY


def _dated(elements: Sequence[Element], index: int) -> bool:
    """Whether a 1250 stands here with its 1251 beside it, both used, and both required or both not."""
    if index + 1 >= len(elements):
        return False
    qualifier, value = elements[index], elements[index + 1]
    unused = Requirement.NOT_USED in (qualifier.requirement, value.requirement)
    return qualifier.number == "1250" and value.number == "1251" and not unused and not value.pattern


def _simple(element: Element, character: str) -> str:
    low, high = max(element.shortest, 1), element.longest
    match element.type[:1]:
        case "D":
            shapes = {6: _SHORT_DATE, 8: _CENTURY_DATE}
            return "(?:" + "|".join(shapes[n] for n in (8, 6) if low <= n <= high) + ")" if low <= 8 else NEVER
        case "T":
            return _time(low, high)
        case "N":
            return rf"-?\d{{{low},{high}}}+"
        case "R":
            return _real(low, high)
        case "B":
            return r".{1,}"
        case _:
            return f"{character}{{{low},{high}}}+"


def _time(low: int, high: int) -> str:
    if low > 4 or high < 4:
        return NEVER
    tail = {4: "", 5: "", 6: r"(?:[0-5]\d)?", 7: r"(?:[0-5]\d\d?)?"}.get(high, r"(?:[0-5]\d\d{0,2})?")
    return _MINUTE + tail


def _real(low: int, high: int) -> str:
    """A number of low to high digits. At most six decimals here; more are for the detailed check."""
    decimals = min(6, (high - low) // 2)
    if not decimals:
        return rf"-?\d{{{low},{high}}}+"
    # The branches exclude each other: two ways to match one value would multiply over the elements of a segment.
    point = rf"\.\d{{{low},{decimals}}}+" if low <= decimals else NEVER
    return rf"-?(?:\d{{{low},{high}}}+(?!\.)|\d{{{low},{high - decimals}}}+\.\d{{1,{decimals}}}+|{point})"


def _conditions(conditions: tuple[Condition, ...], presence: list[int]) -> str:
    return "".join(
        _condition(each, [_presence(presence, position) for position in each.positions]) for each in conditions
    )


def _presence(presence: list[int], position: int) -> int:
    return presence[position - 1] if position <= len(presence) else ABSENT


def _condition(condition: Condition, there: list[int]) -> str:  # noqa: PLR0911  # one for each kind
    """A zero-width pattern that holds when the condition does."""
    match condition.kind:
        case "P":
            if ALWAYS in there:
                return _all(there)
            if ABSENT in there:
                return _none(there)
            return f"(?({there[0]}){_all(there[1:])}|{_none(there[1:])})"
        case "R":
            return _any(there)
        case "E":
            return _at_most_one(there)
        case "C":
            return _when(there[0], _all(there[1:]))
        case _:
            return _when(there[0], _any(there[1:]))


def _when(first: int, then: str) -> str:
    if first == ALWAYS:
        return then
    if first == ABSENT:
        return ""
    return f"(?({first}){then}|)"


def _all(there: Sequence[int]) -> str:
    if ABSENT in there:
        return NEVER
    return "".join(f"(?({each})|{NEVER})" for each in there if each != ALWAYS)


def _none(there: Sequence[int]) -> str:
    if ALWAYS in there:
        return NEVER
    return "".join(f"(?({each}){NEVER}|)" for each in there if each != ABSENT)


def _any(there: Sequence[int]) -> str:
    if ALWAYS in there:
        return ""
    open_ = [each for each in there if each != ABSENT]
    text = NEVER
    for each in reversed(open_):
        text = f"(?({each})|{text})"
    return text


def _at_most_one(there: Sequence[int]) -> str:
    possible = [each for each in there if each != ABSENT]
    text = ""
    for index, each in enumerate(possible):
        rest = _none(possible[index + 1 :])
        text += _when(each, rest) if rest else ""
    return text
