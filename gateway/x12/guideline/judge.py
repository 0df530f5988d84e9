"""The judge of one transaction set: fed with segments, it says what is wrong with them.

The loop in ``_run`` is the innermost of the engine. For a segment that is in order it looks up the move from
where the set stands, counts, and matches one pattern. Everything else happens beside it, once something is
new (a move that was never made), special (SE, another header) or wrong.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, takewhile
from operator import length_hint, methodcaller
from re import Match
from typing import Any, Final

from gateway.x12.guideline.elements import ElementJudge
from gateway.x12.guideline.model import Guideline, Requirement
from gateway.x12.guideline.numbering import Numbering
from gateway.x12.guideline.plan import KEY, REMEMBERED_VALUES, Choice, Move, Node, Plan, Way
from gateway.x12.guideline.shapes import Quick
from gateway.x12.guideline.steps import BLANKS, ENVELOPE, Step, step_to
from gateway.x12.guideline.wording import Notes
from gateway.x12.model import Finding

REPORTED: Final = -1  # a counter's value once the absence of a required segment has been reported
_FEW, _MANY = 8, 128  # segments that are tried at once: at first, and at most
_BLANK: Final = tuple(BLANKS)
_stripped = methodcaller("lstrip", BLANKS)
STOP, OVER, DONE = "stop", "over", "done"  # what else than a move a segment may lead to


class SetJudge:
    """Judges the segments of one transaction set, ST to SE.

    ST and SE themselves are only placed; what their elements say (list 718) is for the caller, who knows the
    envelope. Empty segments are reported once and not counted. At most 1,000 findings are kept.

    Attributes:
        name: the guideline, for people.
        known: whether there is a guideline; without one segments are only counted.
        trusted: whether findings are errors; else they are warnings.
        ended: whether SE was consumed.
        count: segments consumed, ST and SE included.
        trailer: the elements of SE, ``SE`` itself first.
        trace: set it to an empty list before feeding to have a ``Step`` recorded for each segment.
    """

    known = True

    def __init__(self, plan: Plan, *, enforce: bool = False, variants: Mapping[str, Plan] | None = None) -> None:
        self._enforce = enforce
        self._variants = dict(variants or {})  # BHT02 → the plan it asks for
        self.ended = False
        self.count = 0
        self.trailer: list[str] = []
        self.trace: list[Step] | None = None
        self._follow(plan)
        self._leading = False  # segments begin with line ends or blanks
        self._astray = False  # the last segment could not be placed

    def _follow(self, plan: Plan) -> None:
        """Judge by this plan, from the beginning."""
        guideline = plan.guideline
        self.name = guideline.name
        self.trusted = guideline.trusted or self._enforce
        self._plan = plan
        self._notes = Notes(guideline, plan.separators, trusted=self.trusted)
        self._elements = ElementJudge(
            plan.separators, guideline.version, guideline.implementation, guideline.characters
        )
        self._counts = array("l", bytes(array("l").itemsize * len(plan.nodes)))
        self._at = plan.root
        self._numbering = Numbering(plan.separators.component + plan.separators.repetition)

    def _choose_variant(self, pieces: Sequence[str], start: int) -> None:
        """Where BHT02 tells which of two guides is meant (278), follow that one as soon as the BHT is seen."""
        mark = self._plan.separators.element
        for piece in pieces[start : start + 2 - self.count]:
            fields = piece.strip(BLANKS).split(mark)
            if fields[0] == "BHT" and len(fields) > 2 and fields[2] in self._variants:
                header = self.count
                self._follow(self._variants[fields[2]])
                if header:
                    self._at = self._plan.nodes[1]
                    self._counts[1] = 1
                self._variants.clear()

    @property
    def guideline(self) -> Guideline:
        """What it judges by."""
        return self._plan.guideline

    @property
    def findings(self) -> list[Finding]:
        """What is wrong so far, in the order of the segments."""
        return self._notes.findings

    def feed(self, pieces: Sequence[str], start: int, offset: int) -> int:
        """Consume segments.

        Args:
            pieces: segments as they stand between terminators, from ``start`` on.
            start: index of the first one to consume.
            offset: byte offset of ``pieces[start]``; a terminator follows each piece.

        Returns:
            The index of the first piece that was not consumed: behind SE (``ended``), at the header or trailer
            of something else, or the number of pieces.
        """
        if self.ended:
            return start
        if self._variants and self.count < 2:
            self._choose_variant(pieces, start)
        self._notes.begin(pieces, start, offset)
        if not self._leading and start < len(pieces):
            self._leading = pieces[start].startswith(_BLANK)
        if self.trace is None:
            return self._run(pieces, start, len(pieces))
        return self._run_traced(pieces, start, self.trace)

    def _run_traced(self, pieces: Sequence[str], start: int, trace: list[Step]) -> int:
        for index in range(start, len(pieces)):
            before = self.count
            self._astray = False
            behind = self._run(pieces, index, index + 1)
            if behind == index:
                return index
            if self.count > before:
                trace.append(step_to(self.count, None if self._astray else self._at))
            if self.ended:
                return behind
        return len(pieces)

    def _run(self, pieces: Sequence[str], start: int, stop: int) -> int:  # noqa: C901, PLR0912, PLR0915  # a call for each segment would double its time
        """The loop over segments in order; what is new, special or wrong is handled beside it."""
        counts, leading, nodes = self._counts, self._leading, self._plan.nodes
        quick = self._plan.shapes.quick
        mark = self._plan.separators.element
        moves, target = self._at.moves, self._at.index
        base = self.count - start + 1  # the position of a segment is base + its index
        indices = iter(range(start, stop))
        found: Any
        for index in indices:
            text = pieces[index]
            if leading:
                text = text.lstrip(BLANKS)
            found = moves.get(text[:KEY])
            if found.__class__ is Choice:  # several segments of this id: a qualifier tells which
                choice = found
                if choice.read is None:
                    begin = text.find(mark) + 1
                    end = text.find(mark, begin)
                    found = choice.get(text[begin:end] if end > 0 else text[begin:])
                else:
                    found = choice.get(choice.read(text))
            if found is None:
                self.count, self._at = base + index - 1, nodes[target]
                found = self._resolve(text, index)
                if found.__class__ is str:
                    if found is not DONE:
                        return index if found is STOP else index + 1
                    base, target, moves, leading = self.count - index, self._at.index, self._at.moves, self._leading
                    continue
                if self._leading is not leading:
                    leading, text = True, text.lstrip(BLANKS)
            before = target
            target, counter, limit, first, last, template, skipped, match, pick, known, onward = found
            shape = quick[target]
            fine = shape is not None and shape(text) is not None
            if not fine:
                matched = match(text)
                if matched is None and self._is_another(nodes[target], text):
                    self.count, self._at = base + index - 1, nodes[before]
                    self._resolve(text, index)
                    base, target = self.count - index, before
                    continue
                fine = matched is not None and (pick is None or pick(matched) in known)
                if fine:
                    self._plan.shapes.missed(target, nodes[target].segment, text)
            for each in skipped:
                if counts[each] == 0:
                    self._miss(nodes[each], index, base + index)
            times = counts[counter] + 1
            if times > limit:
                self.count, self._at = base + index - 1, nodes[before]
                found = self._crowded(found, text, index)
                target, counter, limit, first, last, template, skipped, match, pick, known, onward = found
                matched = match(text)
                fine = matched is not None and (pick is None or pick(matched) in known)
                times = counts[counter] + 1
            counts[counter] = times
            if template is not None:
                counts[first:last] = template
            if not fine:
                self._look_closely(nodes[target], text, index, base + index, matched)
            moves = onward
            if target != before:
                continue
            room = min(stop - index - 1, limit - times)
            if room > 0 and (alike := self._alike(found, pieces, index + 1, room)):
                counts[counter] = times + alike
                next(islice(indices, alike - 1, alike))
        self.count, self._at = base + stop - 1, nodes[target]
        return stop

    # -- beside the loop

    def _is_another(self, node: Node, text: str) -> bool:
        """Whether a segment only begins like the one of this place, as PO1X does: no guideline has such an id."""
        return len(node.segment.id) == KEY and text[KEY : KEY + 1] not in {"", self._plan.separators.element}

    def _alike(self, move: Move, pieces: Sequence[str], start: int, most: int) -> int:
        """How many segments from ``start`` on, at most so many, make this move again and are in order.

        A move that leads to where the set stands (the lines of an order, say) changes nothing but a counter, so that
        the pattern alone decides, unless a qualifier tells segments of this id apart, or something required is passed.
        """
        _, _, _, _, _, _, skipped, match, pick, known, onward = move
        if onward.get(pieces[start].lstrip(BLANKS)[:KEY]) is not move:
            return 0
        if not all(self._counts[each] for each in skipped):
            return 0
        node, shapes = move[0], self._plan.shapes
        found, size = 0, _FEW
        while found < most:
            chunk = pieces[start + found : start + min(found + size, most)]
            size = min(size * 4, _MANY)
            shape = shapes.quick[node]
            if shape is not None:
                taken = self._shaped(node, shape, chunk)
                found += taken
                if taken == len(chunk):
                    continue
                chunk = chunk[taken : taken + _FEW]
            if self._leading:
                chunk = list(map(_stripped, chunk))
            matched: Iterator[Any] = takewhile(bool, map(match, chunk))
            if pick is not None:
                matched = takewhile(known.__contains__, map(pick, matched))
            fine = len(list(matched))
            found += fine
            if fine < len(chunk):
                break
            shapes.missed(node, self._plan.nodes[node].segment, chunk[-1], fine)
        return found

    def _shaped(self, node: int, shape: Quick, chunk: Sequence[str]) -> int:
        """How many of these segments, from the first on, are of the present shape of a node."""
        run = self._plan.shapes.run(node) if len(chunk) > _FEW else None
        if run is not None:
            end = self._plan.separators.segment
            text = end.join((*chunk, ""))
            matched = run(text)
            if matched is not None and text.count(end) == len(chunk):  # else a segment holds what should end it
                behind = matched.end()
                return len(chunk) if behind == len(text) else text.count(end, 0, behind)
        tried = iter(chunk)
        # The last one that was tried did not fit.
        return len(chunk) if all(map(shape, tried)) else len(chunk) - length_hint(tried) - 1

    def _resolve(self, text: str, index: int) -> object:
        """A move that is not known yet, or what else to do with this segment."""
        if text[:1] in BLANKS:  # also if there is no text
            self._leading = True
            text = text.lstrip(BLANKS)
            if not text:
                self._notes.empty_segment(index, self.count + 1)
                return DONE
        plan = self._plan
        segment_id = text.partition(plan.separators.element)[0]
        if segment_id in ENVELOPE and (segment_id != "ST" or self.count):
            return STOP
        if segment_id == "SE":
            return self._close(text, index)
        values = plan.values_at(segment_id, text)
        way = next(plan.ways(self._at, segment_id, values), None) if segment_id in plan.segment_ids else None
        if way is not None:
            return plan.remember(self._at, segment_id, values, text, way)
        self.count += 1
        self._astray = True
        self._stray(segment_id, values, text, index)
        return DONE

    def _close(self, text: str, index: int) -> str:
        """The end of the set: what is required and did not come is missing."""
        way = self._plan.closing(self._at)
        self.count += 1
        if way is not None:
            for each in way.skipped:
                if self._counts[each] == 0:
                    self._miss(self._plan.nodes[each], index, self.count)
            self._at = way.node
        self.trailer = text.split(self._plan.separators.element)
        self.ended = True
        return OVER

    def _miss(self, node: Node, index: int, position: int) -> None:
        self._counts[node.index] = REPORTED
        if any(self._counts[each.index] > 0 for each in self._plan.shadows(node)):
            return  # it may be there, taken for its namesake further up
        self._notes.missing(node, index, position)

    def _crowded(self, move: Move, text: str, index: int) -> Move:
        """The nearest place is full: the next one that is not, else the nearest all the same, with a finding."""
        plan, counts = self._plan, self._counts
        segment_id = plan.nodes[move[0]].segment.id
        for way in plan.ways(self._at, segment_id, plan.values_at(segment_id, text)):
            other = plan.move(way)
            if counts[other[1]] < other[2]:
                for each in other[6]:
                    if counts[each] == 0:
                        self._miss(plan.nodes[each], index, self.count + 1)
                return other
        node = plan.nodes[move[0]]
        if Requirement.NOT_USED in (node.use.requirement, plan.nodes[move[1]].use.requirement):
            self._notes.not_used(node, index, self.count + 1)
        else:
            self._notes.crowded(node, plan.nodes[move[1]], index, self.count + 1)
        return move

    def _stray(self, segment_id: str, values: tuple[str, ...] | None, text: str, index: int) -> None:
        """A segment that no move leads to: why, and whether it moves the set on all the same."""
        plan, notes = self._plan, self._notes
        if segment_id not in plan.segment_ids:
            notes.unknown(segment_id, index, self.count)
            return
        if values is not None and self._unqualified(segment_id, text, index):
            return
        late = plan.behind(self._at, segment_id, values)
        if late is None:
            notes.unexpected(segment_id, self._at.loop_id, index, self.count)
            return
        if self._counts[late.index] == REPORTED:
            notes.withdraw_missing(late)
            self._counts[late.index] = 1
        notes.late(late, index, self.count)
        self._complain_of(late, text, index, self.count)

    def _unqualified(self, segment_id: str, text: str, index: int) -> bool:
        """A segment that is expected here, but with a qualifier that none of its places takes.

        It is taken for the first that is required and still missing, else for the first at all; unless it is
        a required one it is not counted, so that the true one may still come.
        """
        plan = self._plan
        ways = list(plan.ways(self._at, segment_id, None))
        if not ways:
            return False
        spot = plan.spots[segment_id][0]
        allowed = [node for way in ways for node in (way.node,) if spot in node.qualifiers]
        if not allowed or plan.known_qualifiers(segment_id, plan.values_at(segment_id, text) or ()):
            return False  # a qualifier of another place: the segment as a whole is what is wrong
        wanted = (way for way in ways if way.node.required and self._counts[way.node.index] <= 0 and not way.loops)
        way = next(wanted, ways[0])
        codes = frozenset().union(*(node.qualifiers[spot] for node in allowed))
        self._notes.element(
            self._elements.wrong_qualifier(way.node.segment, text, spot, codes),
            segment_id,
            way.node.loop_id,
            index,
            self.count,
        )
        self._go(way, counted=bool(way.loops) or way.node.required)
        if way.node.counted:
            self._count(way.node, text, index, self.count)
        return True

    def _go(self, way: Way, *, counted: bool) -> None:
        """Move on without any look at the segment itself."""
        move = self._plan.move(way)
        if counted:
            self._counts[move[1]] += 1
            if move[5] is not None:
                self._counts[move[3] : move[4]] = move[5]
        self._at = way.node

    def _look_closely(self, node: Node, text: str, index: int, position: int, matched: Match[str] | None) -> None:
        """The detailed check of one segment; a combination of looked-up codes that is fine is remembered."""
        if self._notes.full or node.use.requirement is Requirement.NOT_USED:
            return
        if node.counted:
            self._count(node, text, index, position)
            if matched is not None and node.pattern is not None and not node.pattern.looked_up:
                return
        if self._complain_of(node, text, index, position) or matched is None or node.pattern is None:
            return
        if node.counted:
            return
        if len(node.known) >= REMEMBERED_VALUES:
            node.known.clear()
        node.known.add(matched.group(*(group for group, _ in node.pattern.looked_up)))

    def _count(self, node: Node, text: str, index: int, position: int) -> None:
        """The numbers of an HL or LX that a guide wants counted."""
        fields = [*text.split(self._plan.separators.element, 3), "", ""]
        if node.segment.id == "HL":
            wrong = self._numbering.level(fields[1], fields[2])
        else:
            assert node.parent is not None
            wrong = self._numbering.line(fields[1], first=self._counts[node.parent.index] == 1)
        for each in wrong:
            self._notes.number(node, each, index, position)

    def _complain_of(self, node: Node, text: str, index: int, position: int) -> bool:
        complaints = list(self._elements.examine(node.segment, text))
        for complaint in complaints:
            self._notes.element(complaint, node.segment.id, node.loop_id, index, position)
        if not complaints and not text[len(node.segment.id) :].strip(self._plan.separators.element):
            self._notes.bare(node, index, position)
        return bool(complaints)
