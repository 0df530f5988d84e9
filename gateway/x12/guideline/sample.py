"""Conforming samples: a transaction set of any guideline, made up from its tables.

For a new partner's first test, and for the engine's own tests: what is made here must be accepted.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from gateway.x12.guideline.model import Condition, Element, Guideline, Loop, Requirement, Segment
from gateway.x12.model import Separators

LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
_FORMATTED = {"D8": "20240229", "D6": "240229", "RD8": "20240201-20240229", "TM": "1430", "DT": "202402291430"}


class SampleMaker:
    """Makes samples of one guideline. ``fullness`` is how likely an optional segment, loop or element is there."""

    def __init__(self, guideline: Guideline, separators: Separators, seed: int = 0, fullness: float = 0.0) -> None:
        self._guideline = guideline
        self._marks = separators
        self._random = random.Random(seed)  # noqa: S311  # samples, not secrets
        self._fullness = fullness
        self._inside: dict[int, frozenset[str]] = {}  # by the identity of a loop
        self._levels = 0  # HL segments so far
        self._line = 1  # which repeat of its loop the latest LX begins
        self._above: list[str] = []  # numbers of the HL levels that are open

    def segments(self, control_number: str = "0001") -> list[str]:
        """ST to SE, without terminators."""
        self._levels = 0
        top = self._guideline.root.children
        plain = [child for place, child in enumerate(top) if self._is_plain(child, top[:place])]
        body = [text for child in plain for text in self._node(child, 0)]
        mark = self._marks.element
        header = [self._guideline.set_id, control_number]
        if self._guideline.implementation and self._guideline.base >= "005010":
            header += [self._guideline.version] if self._has_third(self._guideline) else []
        body[0] = mark.join(["ST", *header])
        body[-1] = mark.join(["SE", str(len(body)), control_number])
        return body

    @staticmethod
    def _has_third(guideline: Guideline) -> bool:
        first = guideline.root.children[0]
        elements = first.elements if isinstance(first, Segment) else ()
        return len(elements) > 2 and elements[2].requirement is Requirement.MANDATORY

    def _is_plain(self, use: Segment | Loop, before: tuple[Segment | Loop, ...]) -> bool:
        """Whether a reader knows which use is meant: an optional one might be taken for a namesake further up.

        The guides tell namesakes apart by their qualifiers, the standard's tables only by the place.
        """
        if self._guideline.implementation or use.requirement is Requirement.MANDATORY:
            return True
        first = use
        while isinstance(first, Loop):
            first = first.children[0]
        return not any(first.id in self._ids(each) for each in before)

    def _ids(self, use: Segment | Loop) -> frozenset[str]:
        """Ids of the segments in a use."""
        if isinstance(use, Segment):
            return frozenset({use.id})
        found = self._inside.get(id(use))
        if found is None:
            found = self._inside[id(use)] = frozenset().union(*map(self._ids, use.children))
        return found

    def _wanted(self, requirement: Requirement) -> bool:
        if requirement is Requirement.NOT_USED:
            return False
        return requirement is Requirement.MANDATORY or self._random.random() < self._fullness

    def _node(self, use: Segment | Loop, depth: int) -> Iterator[str]:
        bounds = isinstance(use, Segment) and use.id in ("LS", "LE")
        bounded = isinstance(use, Loop) and use.opened_at is not None
        if not self._wanted(use.requirement) or ((bounds or bounded) and use.requirement is not Requirement.MANDATORY):
            return
        again = self._fullness > 0 and use.maximum != 1 and depth < 3 and self._random.random() < self._fullness
        for number in range(1, 3 if again else 2):
            if isinstance(use, Segment):
                yield self.segment(use)
                continue
            self._line = number
            open_levels = len(self._above)
            for place, child in enumerate(use.children):
                if not place or self._is_plain(child, use.children[:place]):
                    yield from self._child(child, use, depth)
            del self._above[open_levels:]

    def _child(self, child: Segment | Loop, parent: Loop, depth: int) -> Iterator[str]:
        if child is not parent.children[0] or isinstance(child, Loop):
            yield from self._node(child, depth + 1)
        elif child.id == "HL":
            yield self._level(child)
        elif child.id == "LX":
            first, *others = self.segment(child).split(self._marks.element)[1:]
            first = str(self._line).rjust(child.elements[0].shortest, "0") if first else first
            yield self._marks.element.join([child.id, first, *others])
        else:
            yield self.segment(child)  # a loop begins with its trigger, once

    def _level(self, use: Segment) -> str:
        """An HL segment: numbered in order, naming the one above."""
        fields = self.segment(use).split(self._marks.element)
        self._levels += 1
        fields[1] = str(self._levels)
        if use.elements[1].requirement is not Requirement.NOT_USED:
            fields[2] = self._above[-1] if self._above else ""
        self._above.append(fields[1])
        return self._marks.element.join(fields)

    def segment(self, use: Segment) -> str:
        """One conforming segment."""
        values = self._values(use.elements, use.conditions)
        return self._marks.element.join([use.id, *values]).rstrip(self._marks.element)

    def _values(self, elements: tuple[Element, ...], conditions: tuple[Condition, ...]) -> list[str]:
        present = [self._wanted(each.requirement) for each in elements]
        if not _settle(present, elements, conditions):
            present = [each.requirement is Requirement.MANDATORY for each in elements]
            _settle(present, elements, conditions)
        if elements and not any(present):
            first = next((i for i, each in enumerate(elements) if each.requirement is not Requirement.NOT_USED), 0)
            present[first] = True
            _settle(present, elements, conditions)
        values = [self._value(each) if there else "" for each, there in zip(elements, present, strict=True)]
        self._date_formats(elements, values)
        return values

    @staticmethod
    def _date_formats(elements: tuple[Element, ...], values: list[str]) -> None:
        """A 1251 value fits the 1250 qualifier beside it."""
        for index in range(1, len(elements)):
            if elements[index].number == "1251" and elements[index - 1].number == "1250" and values[index]:
                usable = [each for each in _FORMATTED if each in (elements[index - 1].codes or _FORMATTED)]
                if usable and elements[index - 1].requirement is not Requirement.NOT_USED:
                    values[index - 1], values[index] = usable[0], _FORMATTED[usable[0]]

    def _value(self, element: Element) -> str:
        if element.parts:
            parts = self._values(element.parts, element.conditions)
            if not any(parts):
                parts[0] = self._value(element.parts[0])
            return self._marks.component.join(parts).rstrip(self._marks.component)
        if element.codes:
            fitting = [each for each in element.codes if element.shortest <= len(each) <= element.longest]
            return self._random.choice(sorted(fitting or element.codes))
        if element.pattern:
            return "123456789"
        return self._of_type(element)

    def _of_type(self, element: Element) -> str:
        low, high = max(element.shortest, 1), element.longest
        length = self._random.randint(low, min(high, max(low, 8)))
        match element.type[:1]:
            case "D":
                return "20240229" if high >= 8 else "240229"
            case "T":
                return "143059"[: 6 if low > 4 else 4]
            case "N" | "R":
                return "".join(self._random.choice("123456789") for _ in range(length))
            case _:
                return "".join(self._random.choice(LETTERS) for _ in range(length))


def _settle(present: list[bool], elements: tuple[Element, ...], conditions: tuple[Condition, ...]) -> bool:
    """Add and remove elements until the relational conditions hold; they may pull at each other, so not for ever."""
    for _ in range(20):
        broken = [each for each in conditions if each.broken(present)]
        if not broken:
            return True
        for each in broken:
            _mend(each, present, elements)
    return False


def _mend(condition: Condition, present: list[bool], elements: tuple[Element, ...]) -> None:
    positions = [position - 1 for position in condition.positions if position <= len(elements)]
    usable = [i for i in positions if elements[i].requirement is not Requirement.NOT_USED]
    droppable = [i for i in positions if elements[i].requirement is not Requirement.MANDATORY]
    if condition.kind == "E":
        there = [i for i in positions if present[i]]
        keep = next((i for i in there if i not in droppable), there[0])
        for i in there:
            present[i] = i == keep or i not in droppable
    elif condition.kind == "R":
        for i in usable[:1]:
            present[i] = True
    elif condition.kind == "L":
        for i in usable[1:2]:
            present[i] = True
    elif len(usable) == len(condition.positions):
        for i in usable:
            present[i] = True
    else:
        for i in droppable:
            present[i] = False
