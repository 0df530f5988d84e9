"""Shapes: patterns of segments as a partner really writes them.

Of the twenty-five elements that a line of an order may have, a partner writes the same seven in every line, under the
same qualifiers. A pattern of just these, learned from a segment that was in order, is quicker than that of the whole
segment by a half and more: nothing in it is optional, what depends on which elements are there is settled, and codes
of long lists stand in it as they were written. It matches less than the whole pattern, and nothing else.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator
from re import Match
from typing import Final

from msgspec.structs import replace

from gateway.x12.guideline.model import Element, Requirement, Segment
from gateway.x12.guideline.patterns import compile_pattern, is_looked_up
from gateway.x12.model import Separators

OFTEN: Final = 24  # segments of one use that no shape took, after which the shape of such a one is worth its making
MOST: Final = 128  # shapes of one plan: whatever partners write, no more are made

_BLANKS: Final = r"[\r\n\t \x00]*+"  # line ends before a segment, so that nobody has to cut them off

_IN_VALUES: Final = "\r\n\t \x00-.+"  # signs in numbers, and before a segment

Quick = Callable[[str], "Match[str] | None"]
Key = tuple[str | bool, ...]  # for each element: whether it is there; a code of a long list as it is


class Shapes:
    """The shapes of one plan, by the numbers of its nodes; grows as it learns.

    Attributes:
        quick: for each node what matches its present shape, or None.
    """

    def __init__(self, size: int, separators: Separators, *, basic: bool) -> None:
        self.quick: list[Quick | None] = [None] * size
        self._missed = array("l", bytes(array("l").itemsize * size))
        self._made: dict[tuple[int, Key], Quick] = {}
        self._kept: dict[int, tuple[Segment, Key]] = {}  # what the present shape of a node was made of
        self._runs: dict[int, Quick | None] = {}
        self._separators = separators
        self._basic = basic

    def missed(self, node: int, segment: Segment, text: str, times: int = 1) -> None:
        """Segments were in order, and no shape took them.

        Args:
            node: the number of their use.
            segment: its definition.
            text: the last of them: the whole pattern matches it, and its codes are known to be fine.
            times: how many.
        """
        self._missed[node] += times
        if self._missed[node] < OFTEN:
            return
        self._missed[node] = 0
        key = self._key(segment, text)
        if key is None:
            return
        made = self._made.get((node, key))
        if made is None:
            if len(self._made) >= MOST:
                return
            made = self._made[node, key] = self._compiled(segment, key)
        self.quick[node] = made
        self._kept[node] = (segment, key)
        self._runs.pop(node, None)

    def run(self, node: int) -> Quick | None:
        """What matches, from the beginning of a text, all segments in a row that are of a node's present shape.

        In the text each segment is followed by its terminator, which stands nowhere else in it. None where there is no
        such pattern.
        """
        if node not in self._runs:
            self._runs[node] = self._run(*self._kept[node]) if node in self._kept else None
        return self._runs[node]

    def _run(self, segment: Segment, key: Key) -> Quick | None:
        """None where a value of one segment might be taken to reach into the next."""
        end = self._separators.segment
        shaped = replace(segment, elements=tuple(_elements(segment, key)))
        if end.isalnum() or end in _IN_VALUES or any(map(_takes_anything, shaped.elements)):
            return None
        ahead = f"(?={re.escape(end)})"
        single: re.Pattern[str] = compile_pattern(
            shaped, self._separators, basic=self._basic, before=_BLANKS, end=ahead
        ).regex
        if single.groups or end in single.pattern.replace(ahead, ""):  # a group remembers what another segment held
            return None
        return re.compile(f"(?:{single.pattern}{re.escape(end)})*", re.DOTALL).match

    def _key(self, segment: Segment, text: str) -> Key | None:
        """The shape of a segment; None where a code of a long list stands in a composite."""
        values = text.split(self._separators.element)[1:]
        key: list[str | bool] = []
        for element, value in zip(segment.elements, values, strict=False):
            if any(map(is_looked_up, element.parts)) and value:
                return None
            key.append(value if is_looked_up(element) and value else bool(value))
        return tuple(key)

    def _compiled(self, segment: Segment, key: Key) -> Quick:
        elements = tuple(_elements(segment, key))
        shaped = replace(segment, elements=elements)
        pattern = compile_pattern(shaped, self._separators, basic=self._basic, before=_BLANKS)
        assert not pattern.looked_up, "every code of a long list is one of its own here"
        regex: re.Pattern[str] = pattern.regex
        return regex.match


def _takes_anything(element: Element) -> bool:
    return element.type.startswith("B") or any(map(_takes_anything, element.parts))


def _elements(segment: Segment, key: Key) -> Iterator[Element]:
    """The elements of a segment, each of them either there or not."""
    for element, there in zip(segment.elements, key, strict=False):
        codes = frozenset({there}) if isinstance(there, str) else element.codes
        yield replace(element, codes=codes, requirement=Requirement.MANDATORY if there else Requirement.NOT_USED)
