"""A guideline made ready for one set of separators: numbered nodes, and the moves between them.

A *move* says everything about going from where a transaction set stands to the next segment: what is counted
against which maximum, which counters start afresh, which required siblings were passed over, the pattern of
the segment, and the moves that start from there. Moves are found once (``Plan.ways``) and remembered per
(node, segment id, qualifier), so that the judge's loop is a dictionary look-up.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from operator import methodcaller
from re import Match
from typing import TypeAlias

from msgspec import Struct, field

from gateway.x12.guideline.model import Element, Guideline, Loop, Requirement, Segment
from gateway.x12.guideline.numbering import counted_ids
from gateway.x12.guideline.patterns import SegmentPattern, compile_pattern
from gateway.x12.guideline.shapes import Shapes
from gateway.x12.model import Separators

ENDLESS = 1 << 30
REMEMBERED_VALUES = 4096  # per segment use: combinations of looked-up codes known to be fine
KEY = 3  # characters of a segment that select a move: "PO1", or "N1" with the separator

Spot: TypeAlias = tuple[int, int]  # element position, component position (0: the whole element)
# target, counter, limit, first and behind last counter to reset, their values, passed over, match, pick, known, next
Move: TypeAlias = tuple[
    int,
    int,
    int,
    int,
    int,
    "array[int] | None",
    tuple[int, ...],
    Callable[[str], "Match[str] | None"],
    "Callable[[Match[str]], object] | None",
    set[object],
    dict[str, object],
]


class Choice(dict[object, Move]):
    """Moves by qualifier. ``read`` finds the qualifiers of a segment; None: they are its first element."""

    def __init__(self, read: Callable[[str], object] | None) -> None:
        super().__init__()
        self.read = read


class Node(Struct, eq=False):
    """One segment or loop of the guideline, numbered in reading order."""

    index: int
    parent: Node | None
    use: Segment | Loop
    limit: int
    end: int = 0  # number behind the last node inside
    children: list[Node] = field(default_factory=list)
    qualifiers: dict[Spot, frozenset[str]] = field(default_factory=dict)
    pattern: SegmentPattern | None = None
    known: set[object] = field(default_factory=set)
    moves: dict[str, object] = field(default_factory=dict)
    counted: bool = False  # HL or LX, whose numbers a guide wants counted

    @property
    def required(self) -> bool:
        """Whether it must be there."""
        return self.use.requirement is Requirement.MANDATORY

    @property
    def segment(self) -> Segment:
        """The segment use (of a loop: its trigger's)."""
        use = self.use
        while isinstance(use, Loop):
            use = use.children[0]
        return use

    @property
    def loop_id(self) -> str:
        """The id of the loop this stands in, empty at the top."""
        return self.parent.use.id if self.parent is not None else ""


class Plan:
    """A compiled guideline. Shared by all judges of the same guideline and separators; grows as it learns."""

    def __init__(self, guideline: Guideline, separators: Separators) -> None:
        self.guideline = guideline
        self.separators = separators
        self.nodes: list[Node] = []
        self._counted = counted_ids(guideline)
        self.root = self._number(guideline.root, None)
        self.segment_ids = frozenset(node.segment.id for node in self.nodes)
        self.spots = self._spots()
        self.shapes = Shapes(len(self.nodes), separators, basic=guideline.characters == "basic")
        self._closing: dict[int, Way | None] = {}
        self._shadows: dict[int, tuple[Node, ...]] = {}
        self.qualifiers = {
            each: frozenset().union(
                *(
                    codes
                    for node in self.nodes
                    for spot, codes in node.qualifiers.items()
                    if node.segment.id == each and not node.children
                )
            )
            for each in self.spots
        }

    def _number(self, use: Segment | Loop, parent: Node | None) -> Node:
        not_used = use.requirement is Requirement.NOT_USED
        node = Node(len(self.nodes), parent, use, 0 if not_used else use.maximum or ENDLESS)
        node.counted = isinstance(use, Segment) and use.id in self._counted
        self.nodes.append(node)
        if isinstance(use, Loop):
            node.children = [self._number(child, node) for child in use.children]
        node.end = len(self.nodes)
        return node

    def _spots(self) -> dict[str, tuple[Spot, ...]]:
        """Segment id → where its qualifiers stand, for ids that occur in several places of an implementation guide."""
        if not self.guideline.implementation:
            return {}
        by_id: dict[str, list[Node]] = {}
        for node in self.nodes:
            if isinstance(node.use, Segment):
                by_id.setdefault(node.use.id, []).append(node)
        spots: dict[str, tuple[Spot, ...]] = {}
        for segment_id, nodes in by_id.items():
            if len(nodes) < 2:
                continue
            for node in nodes:
                node.qualifiers = qualifiers(node.segment)
            _tell_apart(nodes)
            used = sorted({spot for node in nodes for spot in node.qualifiers})
            if used:
                spots[segment_id] = tuple(used)
        return spots

    # -- finding the way

    @staticmethod
    def _levels(here: Node) -> Iterator[tuple[Node, int]]:
        """The loops around a node, innermost first, each with the place reached in it."""
        if here.parent is None:
            yield here, 0
        node = here
        while node.parent is not None:
            yield node.parent, node.use.place
            node = node.parent

    def ways(self, here: Node, segment_id: str, values: tuple[str, ...] | None) -> Iterator[Way]:
        """All places ahead of ``here`` that could take this segment, the nearest first (X12.6: table order).

        ``values`` are the qualifiers at ``spots[segment_id]``; None asks by id alone.
        """
        passed: list[Node] = []
        for level, place in self._levels(here):
            for child in level.children:
                if child.use.place < place:
                    continue
                for way in self._enter(child, segment_id, values, place):
                    if level.parent is not None and child is level.children[0] and not way.loops:
                        continue  # the trigger again: the loop itself repeats, which is found one level up
                    late = tuple(each.index for each in passed if not self._alongside(each, child))
                    yield Way(way.node, way.loops, late)
                if child.required and self._reachable(child, place):
                    passed.append(child)

    @staticmethod
    def _alongside(passed: Node, child: Node) -> bool:
        """Whether two siblings share a place, so that neither is late."""
        return passed.parent is child.parent and passed.use.place == child.use.place

    @staticmethod
    def _reachable(child: Node, place: int) -> bool:
        """A loop between LS and LE is there only once LS has been passed."""
        return not (isinstance(child.use, Loop) and child.use.opened_at is not None and place < child.use.opened_at)

    def _enter(self, child: Node, segment_id: str, values: tuple[str, ...] | None, place: int) -> Iterator[Way]:
        if isinstance(child.use, Segment):
            if self.fits(child, segment_id, values):
                yield Way(child, (), ())
            return
        if not self._reachable(child, place):
            return
        first = child.children[0]
        for way in self._enter(first, segment_id, values, first.use.place):
            yield Way(way.node, (child, *way.loops), ())

    def fits(self, node: Node, segment_id: str, values: tuple[str, ...] | None) -> bool:
        """Whether a segment node takes this id with these qualifiers."""
        if node.use.id != segment_id:
            return False
        if values is None or not node.qualifiers:
            return True
        for spot, value in zip(self.spots[segment_id], values, strict=True):
            codes = node.qualifiers.get(spot)
            if codes is not None and value not in codes:
                return False
        return True

    def shadows(self, node: Node) -> tuple[Node, ...]:
        """Earlier siblings that a required node's segment may have been taken for, being the nearer place.

        An optional namesake, or a loop that has one somewhere inside: the tables leave it open which is meant.
        """
        found = self._shadows.get(node.index)
        if found is None:
            siblings = node.parent.children if node.parent is not None else []
            earlier = [each for each in siblings if each.index < node.index]
            found = self._shadows[node.index] = tuple(each for each in earlier if self._may_take(each, node))
        return found

    def _may_take(self, earlier: Node, node: Node) -> bool:
        trigger = self._trigger(node)
        inside = self.nodes[earlier.index : earlier.end]
        alike = [each for each in inside if isinstance(each.use, Segment) and _overlap(each, trigger)]
        if earlier.required:
            alike = [each for each in alike if each is not self._trigger(earlier)]
        return bool(alike)

    @staticmethod
    def _trigger(node: Node) -> Node:
        while node.children:
            node = node.children[0]
        return node

    def behind(self, here: Node, segment_id: str, values: tuple[str, ...] | None) -> Node | None:
        """A place that lies behind ``here``, in its loop or one around it, where this segment should have stood."""
        for level, place in self._levels(here):
            for child in level.children:
                target = child if isinstance(child.use, Segment) else child.children[0]
                if child.use.place < place and self.fits(target, segment_id, values):
                    return target
        return None

    def values_at(self, segment_id: str, text: str) -> tuple[str, ...] | None:
        """The qualifiers of a segment as written."""
        spots = self.spots.get(segment_id)
        if spots is None:
            return None
        fields = text.split(self.separators.element, spots[-1][0] + 1)
        return tuple(self._value(fields, spot) for spot in spots)

    def _value(self, fields: list[str], spot: Spot) -> str:
        position, component = spot
        value = fields[position] if position < len(fields) else ""
        if self.separators.repetition:
            value = value.partition(self.separators.repetition)[0]
        if component:
            parts = value.split(self.separators.component)
            value = parts[component - 1] if component <= len(parts) else ""
        return value

    def known_qualifiers(self, segment_id: str, values: tuple[str, ...]) -> bool:
        """Whether the guide has a place for such a segment with all these qualifiers, wherever it is."""
        return all(value in self.qualifiers[segment_id] for value in values)

    def remember(self, here: Node, segment_id: str, values: tuple[str, ...] | None, text: str, way: Way) -> Move:
        """The move for this way, kept for the next time if there is a bounded number of its like."""
        move, key = self.move(way), text[:KEY]
        if values is None:
            here.moves[key] = move
        elif self.known_qualifiers(segment_id, values):
            read = self._reader(segment_id)
            choice = here.moves.get(key)
            if not isinstance(choice, Choice):
                choice = here.moves[key] = Choice(read)
            choice[read(text) if read else values[0]] = move
        return move

    def _reader(self, segment_id: str) -> Callable[[str], object] | None:
        """How to find what selects among namesakes; None where that is the first element as a whole."""
        spots, mark, component = self.spots[segment_id], self.separators.element, self.separators.component
        if spots == ((1, 0),):
            return None
        if spots == ((1, 1),):
            begin = len(segment_id) + len(mark)
            return lambda text: text[begin:].partition(mark)[0].partition(component)[0]
        if len(spots) == 1 and not spots[0][1]:
            position = spots[0][0]
            return lambda text: (text + mark * position).split(mark, position + 1)[position]
        return partial(self.values_at, segment_id)

    def closing(self, here: Node) -> Way | None:
        """The way from here to the end of the set."""
        if here.index not in self._closing:
            self._closing[here.index] = next(self.ways(here, "SE", None), None)
        return self._closing[here.index]

    def _compile(self, node: Node) -> SegmentPattern:
        if node.segment.id in ("ST", "SE"):
            node.pattern = SegmentPattern(re.compile(""), ())
        else:
            node.pattern = compile_pattern(node.segment, self.separators, basic=self.guideline.characters == "basic")
        return node.pattern

    def move(self, way: Way) -> Move:
        """A way as the judge's loop wants it."""
        node = way.node
        pattern = node.pattern or self._compile(node)
        pick: Callable[[Match[str]], object] | None = None
        if node.counted:
            pick = _whole  # never among what is known: each one is looked at
        elif pattern.looked_up:
            pick = methodcaller("group", *(group for group, _ in pattern.looked_up))
        counter, limit, begin, end, template = node, node.limit, 0, 0, None
        if way.loops:
            counter = way.loops[0]
            limit, begin, end = counter.limit, counter.index + 1, counter.end
            template = array("l", bytes(array("l").itemsize * (end - begin)))
            for inside in (*way.loops[1:], node):
                template[inside.index - begin] = 1
        return (
            node.index,
            counter.index,
            limit,
            begin,
            end,
            template,
            way.skipped,
            pattern.regex.match,
            pick,
            node.known,
            node.moves,
        )


def _whole(matched: Match[str]) -> object:
    return matched


class Way(Struct, frozen=True):
    """From here to a segment node: the loops that begin with it (outermost first) and the required nodes passed."""

    node: Node
    loops: tuple[Node, ...]
    skipped: tuple[int, ...]


def _overlap(one: Node, other: Node) -> bool:
    """Whether some segment would fit both."""
    if one.segment.id != other.segment.id:
        return False
    spots = one.qualifiers.keys() & other.qualifiers.keys()
    return all(one.qualifiers[spot] & other.qualifiers[spot] for spot in spots)


def _tell_apart(nodes: list[Node]) -> None:
    """Siblings that share a qualifier are told apart by the second element, where it has codes and is required."""
    for node in nodes:
        if any(each is not node and each.parent is node.parent and _overlap(each, node) for each in nodes):
            elements = node.segment.elements
            if len(elements) > 1 and not elements[1].parts:
                node.qualifiers |= _codes_at((2, 0), elements[1])


def qualifiers(segment: Segment) -> dict[Spot, frozenset[str]]:
    """Where a guide's segment says which of its namesakes it is: a required element with a code list.

    The first element, or the first component of a composite there; HL by its level code (HL03), ENT by ENT02.
    """
    position = {"HL": 3, "ENT": 2}.get(segment.id, 1)
    if len(segment.elements) < position:
        return {}
    element = segment.elements[position - 1]
    if element.parts:
        return _codes_at((position, 1), element.parts[0])
    return _codes_at((position, 0), element)


def _codes_at(spot: Spot, element: Element) -> dict[Spot, frozenset[str]]:
    if element.requirement is not Requirement.MANDATORY or not element.codes:
        return {}
    return {spot: element.codes}


@lru_cache(maxsize=64)
def plan_for(guideline: Guideline, separators: Separators) -> Plan:
    """The plan of a guideline for these separators; kept, because it learns its moves and patterns by use."""
    return Plan(guideline, separators)
