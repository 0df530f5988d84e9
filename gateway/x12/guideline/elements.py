"""The detailed look at the elements of one segment: what exactly is wrong, with its codes.

This is the truth about elements; the patterns are only its short cut for segments without fault.
X12 codes are those of element 723 (AK403) and, where a 999 speaks of an implementation guide, 621 (IK403).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from gateway.words import count
from gateway.x12.guideline import standard, values
from gateway.x12.guideline.model import Condition, Element, Requirement, Segment
from gateway.x12.model import Level, Separators

FIRST_WITH_MANY_CODES = "005010"  # 723 knows 12 (repetitions) and 13 (components) only from here on


class Complaint(Struct, frozen=True):
    """One thing wrong with an element. ``sentence`` follows the element's name: ``'TEN' is not a number``."""

    level: Level
    code: str
    x12: str
    sentence: str
    element: int
    component: int = 0
    repetition: int = 0
    number: str = ""
    name: str = ""
    value: str = ""
    x12_999: str = ""


class ElementJudge(Struct, frozen=True):
    """The detailed check under one guideline's rules.

    ``implementation``: an implementation guide judges, so 621 codes apply and only ASCII is allowed.
    ``characters``: what was agreed, as ``Guideline.characters``.
    """

    separators: Separators
    version: str
    implementation: bool
    characters: str = ""

    def examine(self, segment: Segment, text: str) -> Iterator[Complaint]:
        """Everything wrong with the elements of a segment as written."""
        fields = split_fields(segment, text, self.separators)
        written = [not _void(field, self.separators) for field in fields]
        yield from self._surplus(segment.elements, fields, written)
        for index, element in enumerate(segment.elements):
            value = fields[index] if index < len(fields) and written[index] else ""
            before = fields[index - 1] if 0 < index <= len(fields) else ""
            yield from self._element(element, value, index + 1, self._format(segment.elements, index, before))
        for condition in segment.conditions:
            if condition.broken(written):
                yield self._broken(condition, segment.elements, written, 0)

    @staticmethod
    def _format(elements: tuple[Element, ...], index: int, before: str) -> str:
        """The 1250 qualifier beside a 1251 element, if that is what stands here.

        Where it was left out and only one code is allowed, that one is meant.
        """
        if not (index and elements[index].number == "1251" and elements[index - 1].number == "1250"):
            return ""
        codes = elements[index - 1].codes or ()
        return before or (next(iter(codes)) if len(codes) == 1 else "")

    def _surplus(self, elements: tuple[Element, ...], fields: list[str], written: list[bool]) -> Iterator[Complaint]:
        extra = [index for index in range(len(elements), len(fields)) if written[index]]
        if extra:
            sentence = f"the segment has only {count(len(elements), 'element')} here"
            yield Complaint(Level.ERROR, "element.too-many", "3", sentence, extra[0] + 1, value=fields[extra[0]])

    def _element(self, element: Element, value: str, position: int, date_format: str) -> Iterator[Complaint]:
        if not value:
            if element.requirement is Requirement.MANDATORY:
                yield self._complain(element, "element.missing", "1", "is required and missing", position)
            return
        if element.requirement is Requirement.NOT_USED:
            yield self._complain(
                element, "element.not-used", "10", f"{_quoted(value)} must not be sent", position, value, x12_999="I10"
            )
            return
        repeats = [value]
        if self.separators.repetition and element.type != "B":
            repeats = value.split(self.separators.repetition)
        if len(repeats) > 1:
            yield from self._repeats(element, repeats, position, value)
        for repetition, each in enumerate(repeats, 1):
            at = repetition if len(repeats) > 1 else 0
            if element.parts:
                yield from self._composite(element, each, position, at)
            else:
                yield from self._value(element, each, position, 0, at, date_format)

    def _repeats(self, element: Element, repeats: list[str], position: int, value: str) -> Iterator[Complaint]:
        if element.maximum_repeat == 0:
            return
        allowed = element.maximum_repeat or 1
        if len(repeats) > allowed:
            level = Level.WARNING if element.maximum_repeat is None else Level.ERROR
            times = "must not be repeated" if allowed == 1 else f"is repeated more than {allowed} times"
            code = "12" if self.version >= FIRST_WITH_MANY_CODES else "3"
            yield self._complain(element, "element.repetition", code, times, position, value, level=level)

    def _composite(self, element: Element, value: str, position: int, repetition: int) -> Iterator[Complaint]:
        parts = value.split(self.separators.component)
        if len(parts) > len(element.parts) and any(parts[len(element.parts) :]):
            code = "13" if self.version >= FIRST_WITH_MANY_CODES else "3"
            sentence = f"has more than {count(len(element.parts), 'component')}"
            yield self._complain(element, "element.component-too-many", code, sentence, position, value, 0, repetition)
        for index, part in enumerate(element.parts):
            text = parts[index] if index < len(parts) else ""
            before = parts[index - 1] if 0 < index <= len(parts) else ""
            at = (position, index + 1, repetition)
            if not text:
                if part.requirement is Requirement.MANDATORY:
                    yield self._complain(part, "element.missing", "1", "is required and missing", *at[:1], "", *at[1:])
            elif part.requirement is Requirement.NOT_USED:
                sentence = f"{_quoted(text)} must not be sent"
                yield self._complain(part, "element.not-used", "10", sentence, position, text, *at[1:], x12_999="I10")
            else:
                yield from self._value(part, text, *at, self._format(element.parts, index, before))
        present = [bool(part) for part in parts]
        for condition in element.conditions:
            if condition.broken(present):
                yield self._broken(condition, element.parts, present, position)

    def _value(  # noqa: PLR0911  # one for each fault
        self, element: Element, value: str, position: int, component: int, repetition: int, date_format: str
    ) -> Iterator[Complaint]:
        """One simple value: characters, type and length, code list, pattern, date format; the first that fails."""
        where = (position, value, component, repetition)
        if element.type == "B":
            return
        if values.control_characters(value):
            yield self._complain(element, "element.characters", "6", "contains control characters", *where)
            return
        if self.characters == "basic" and values.beyond_basic(value):
            sentence = f"{_quoted(value)} contains characters outside the basic character set"
            yield self._complain(element, "element.characters", "6", sentence, *where)
            return
        if self.characters != "any" and values.beyond_ascii(value):
            level = Level.ERROR if self.implementation or self.characters else Level.WARNING
            sentence = f"{_quoted(value)} contains characters outside the X12 character set"
            yield self._complain(element, "element.characters", "6", sentence, *where, level=level)
        if self.separators.component in value:
            code = "13" if self.version >= FIRST_WITH_MANY_CODES else "6"
            sentence = f"{_quoted(value)} contains the component separator, but this element has no components"
            yield self._complain(element, "element.component-too-many", code, sentence, *where)
            return
        wrong = values.fault(element.type, value, element.shortest, element.longest)
        if wrong:
            yield self._complain(element, f"element.{wrong}", _FAULTS[wrong], _sentence(wrong, element, value), *where)
            return
        if element.codes is not None and value not in element.codes:
            level = Level.ERROR if element.codes_bind else Level.WARNING
            sentence = f"{_quoted(value)} is not among the codes allowed{_some(element.codes)}"
            in_999 = self._in_999(element.number, value)
            yield self._complain(element, "element.code-unknown", "7", sentence, *where, level=level, x12_999=in_999)
            return
        if element.pattern and not re.search(element.pattern, value):
            sentence = f"{_quoted(value)} is not of the form that the guide asks for"
            yield self._complain(element, "element.pattern", "7", sentence, *where, x12_999="I12")
            return
        badly = values.format_fault(date_format, value) if date_format else ""
        if badly:
            sentence = f"{_quoted(value)} is not in the format {date_format}"
            yield self._complain(element, f"element.{badly}", _FAULTS[badly], sentence, *where)

    def wrong_qualifier(self, segment: Segment, text: str, spot: tuple[int, int], codes: frozenset[str]) -> Complaint:
        """An element that should tell which segment this is, and has none of the codes that would."""
        position, component = spot
        fields = split_fields(segment, text, self.separators)
        element, value = segment.elements[position - 1], fields[position - 1] if position <= len(fields) else ""
        if component:
            element = element.parts[component - 1]
            value = (value.split(self.separators.component) + [""] * component)[component - 1]
        if not value:
            return self._complain(element, "element.missing", "1", "is required and missing", position, "", component)
        sentence = f"{_quoted(value)} is not among the codes allowed{_some(codes)}"
        return self._complain(
            element,
            "element.code-unknown",
            "7",
            sentence,
            position,
            value,
            component,
            x12_999=self._in_999(element.number, value),
        )

    def _in_999(self, number: str, value: str) -> str:
        """621 has I6 for codes that the standard knows and the guide does not use; 7 for those nobody knows."""
        base = self.version[:6]
        if not self.implementation or base not in standard.catalog()["versions"]:
            return ""
        codes, _ = standard.dictionary(base).code_set(number)
        return "I6" if codes is not None and value in codes else ""

    @staticmethod
    def _complain(
        element: Element,
        code: str,
        x12: str,
        sentence: str,
        position: int,
        value: str = "",
        component: int = 0,
        repetition: int = 0,
        *,
        level: Level = Level.ERROR,
        x12_999: str = "",
    ) -> Complaint:
        return Complaint(
            level, code, x12, sentence, position, component, repetition, element.number, element.name, value, x12_999
        )

    @staticmethod
    def _broken(condition: Condition, elements: tuple[Element, ...], present: list[bool], composite: int) -> Complaint:
        """A relational condition that does not hold, at the first element to blame."""
        there = [p for p in condition.positions if p <= len(present) and present[p - 1]]
        absent = [p for p in condition.positions if p not in there]
        if condition.kind == "E":
            code, x12, own, blamed = "element.condition-excluded", "10", "I13", there[1]
            sentence = f"must not be sent together with {_positions(there[:1])}"
        else:
            code, x12, own, blamed = "element.condition-missing", "2", "I9", absent[0]
            sentence = f"is missing: {_rule(condition)}"
        element = elements[blamed - 1] if blamed <= len(elements) else None
        number, name = (element.number, element.name) if element else ("", "")
        at = (composite, blamed) if composite else (blamed, 0)
        in_999 = own if condition.implementation else ""
        return Complaint(Level.ERROR, code, x12, sentence, *at, number=number, name=name, x12_999=in_999)


_FAULTS = {"type": "6", "date": "8", "time": "9", "too-short": "4", "too-long": "5"}


def split_fields(segment: Segment, text: str, separators: Separators) -> list[str]:
    """The elements of a segment as written, without its id. Binary data at the end may contain separators."""
    binary = bool(segment.elements) and segment.elements[-1].type == "B"
    return text.split(separators.element, len(segment.elements) if binary else -1)[1:]


def _void(field: str, separators: Separators) -> bool:
    """Whether there is nothing in an element but component and repetition separators."""
    if not field:
        return True
    marks = separators.component + separators.repetition
    return field[0] in marks and not field.strip(marks)


def _quoted(value: str) -> str:
    shown = value if len(value) <= 40 else value[:39] + "…"
    return "'" + "".join(each if each.isprintable() else "?" for each in shown) + "'"


def _some(codes: frozenset[str]) -> str:
    return f" ({', '.join(sorted(codes))})" if len(codes) <= 12 else ""


def _sentence(wrong: str, element: Element, value: str) -> str:
    shown = _quoted(value)
    match wrong:
        case "type":
            return f"{shown} is not a {'whole ' if element.type != 'R' else ''}number"
        case "date":
            return f"{shown} is not a calendar date"
        case "time":
            return f"{shown} is not a time of day"
        case "too-short":
            return f"{shown} is too short, at least {element.shortest} characters are needed"
        case _:
            return f"{shown} is too long, at most {element.longest} characters are allowed"


def _positions(positions: list[int] | tuple[int, ...]) -> str:
    return ", ".join(f"{position:02d}" for position in positions)


def _rule(condition: Condition) -> str:
    """A condition in words."""
    first, rest = condition.positions[0], condition.positions[1:]
    match condition.kind:
        case "P":
            return f"elements {_positions(condition.positions)} go together"
        case "R":
            return f"at least one of elements {_positions(condition.positions)} is needed"
        case "C":
            return f"element {first:02d} also needs {_positions(rest)}"
        case _:
            return f"element {first:02d} also needs at least one of {_positions(rest)}"
