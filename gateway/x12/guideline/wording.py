"""Findings of a transaction set: sentences that an operator can forward, codes of the 997 and 999, positions.

Segment codes are those of element 720 (AK304) and, where a 999 speaks of an implementation guide, 620 (IK304).
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.x12.guideline import standard
from gateway.x12.guideline.elements import Complaint
from gateway.x12.guideline.model import Guideline, Loop
from gateway.x12.guideline.numbering import WrongNumber
from gateway.x12.guideline.plan import Node
from gateway.x12.model import Finding, Level, Separators

MAXIMUM_FINDINGS = 1000
CLIP = 99  # characters of an offending value that are kept (AK404, IK404)


class Notes:
    """Collects the findings of one set.

    ``begin`` tells where the segments at hand stand in the stream; offsets are only computed when a finding
    needs one. The list may be emptied by its reader at any time; the cap counts what was ever noted.
    """

    def __init__(self, guideline: Guideline, separators: Separators, *, trusted: bool) -> None:
        self.findings: list[Finding] = []
        self._guideline = guideline
        self._separators = separators
        self._trusted = trusted
        self._noted = 0
        self._dropped: set[Level] = set()
        self._pieces: Sequence[str] = ()
        self._known_at = (0, 0)  # index of a piece and its offset
        self._empty_reported = False

    @property
    def full(self) -> bool:
        """Whether further findings can neither be kept nor change the verdict."""
        return Level.ERROR in self._dropped or (bool(self._dropped) and not self._trusted)

    def begin(self, pieces: Sequence[str], start: int, offset: int) -> None:
        """From here on indexes speak of these pieces."""
        self._pieces = pieces
        self._known_at = (start, offset)

    def offset_of(self, index: int) -> int:
        """The byte offset of a piece, line ends before it skipped."""
        known, offset = self._known_at
        for piece in self._pieces[known:index]:
            offset += len(piece) + 1
        self._known_at = (index, offset)
        text = self._pieces[index]
        return offset + len(text) - len(text.lstrip("\r\n\t \x00"))

    def empty_segment(self, index: int, position: int) -> None:
        """An empty segment, once a set."""
        if self._empty_reported:
            return
        self._empty_reported = True
        message = f"Segment {position} is preceded by an empty segment (two terminators in a row)."
        self._add("segment.empty", message, "", "", "", position, index, Level.WARNING)

    def missing(self, node: Node, index: int, position: int) -> None:
        """A required segment or loop is not there; ``position`` is that of the segment found in its place."""
        segment = node.segment
        name = _named(segment.id, segment.name)
        own = not self._guideline.implementation or segment.id in standard.mandatory_ids(
            self._guideline.set_id, self._guideline.base
        )
        if isinstance(node.use, Loop):
            message = f"Loop {node.use.id} is missing: {name} must stand before segment {position}."
            self._add("loop.missing", message, "3", "" if own else "I7", segment.id, position, index, loop=node.use.id)
            return
        message = f"{name} is missing: it must stand before segment {position}."
        where = node.loop_id
        self._add("segment.missing", message, "3", "" if own else "I8", segment.id, position, index, loop=where)

    def withdraw_missing(self, node: Node) -> None:
        """The segment reported as missing has come after all, only late."""
        for index in range(len(self.findings) - 1, -1, -1):
            each = self.findings[index]
            if each.code == "segment.missing" and (each.segment, each.loop) == (node.segment.id, node.loop_id):
                del self.findings[index]
                self._noted -= 1
                return

    def crowded(self, node: Node, counter: Node, index: int, position: int) -> None:
        """A segment or loop beyond its maximum."""
        segment = node.segment
        name = _named(segment.id, segment.name)
        if isinstance(counter.use, Loop):
            message = f"Segment {position}, {name}: loop {counter.use.id} may occur {_times(counter.limit)} here."
            self._add("loop.too-many", message, "4", "", segment.id, position, index, loop=counter.use.id)
        else:
            message = f"Segment {position}, {name}, may occur {_times(counter.limit)} here."
            self._add("segment.too-many", message, "5", "", segment.id, position, index, loop=node.loop_id)

    def not_used(self, node: Node, index: int, position: int) -> None:
        """A segment that the guide does not use."""
        segment = node.segment
        message = f"Segment {position}, {_named(segment.id, segment.name)}, must not be sent."
        self._add("segment.not-used", message, "2", "I4", segment.id, position, index, loop=node.loop_id)

    def unknown(self, segment_id: str, index: int, position: int) -> None:
        """A segment id that neither the set nor the version knows, or one that only the version knows."""
        shown = segment_id[:CLIP]
        if segment_id in self._guideline.dictionary:
            message = f"Segment {position}, {shown}, does not belong to transaction set {self._guideline.set_id}."
            self._add("segment.not-in-set", message, "6", "", shown, position, index, value=shown)
            return
        quoted = "".join(each if each.isprintable() else "?" for each in shown[:12])
        message = f"Segment {position}: '{quoted}' is not a segment of version {self._guideline.base}."
        self._add("segment.unknown", message, "1", "", shown[:12], position, index, value=shown)

    def late(self, node: Node, index: int, position: int) -> None:
        """A segment that should have stood earlier."""
        segment = node.segment
        message = f"Segment {position}, {_named(segment.id, segment.name)}, is out of sequence: it belongs further up."
        self._add("segment.out-of-sequence", message, "7", "", segment.id, position, index, loop=node.loop_id)

    def unexpected(self, segment_id: str, loop: str, index: int, position: int) -> None:
        """A segment of the set that has no place here."""
        message = f"Segment {position}, {segment_id}, is not expected here{f' (in loop {loop})' if loop else ''}."
        self._add("segment.unexpected", message, "2", "", segment_id, position, index, loop=loop)

    def bare(self, node: Node, index: int, position: int) -> None:
        """A segment that is nothing but its id; X12.6 wants at least one element in each."""
        segment = node.segment
        message = f"Segment {position}, {_named(segment.id, segment.name)}, has no element with a value."
        self._add("segment.no-elements", message, "8", "", segment.id, position, index, loop=node.loop_id)

    def number(self, node: Node, wrong: WrongNumber, index: int, position: int) -> None:
        """An HL or LX whose number does not fit."""
        element = node.segment.elements[wrong.element - 1]
        complaint = Complaint(
            Level.ERROR,
            wrong.code,
            "7",
            wrong.sentence,
            wrong.element,
            number=element.number,
            name=element.name,
            value=wrong.value,
            x12_999="I12",
        )
        self.element(complaint, node.segment.id, node.loop_id, index, position)

    def element(self, complaint: Complaint, segment_id: str, loop: str, index: int, position: int) -> None:
        """Something wrong with an element."""
        where = f"{segment_id}{complaint.element:02d}"
        if complaint.component:
            where += f"-{complaint.component}"
        again = f", repetition {complaint.repetition}" if complaint.repetition else ""
        message = f"{_named(where, complaint.name)}, segment {position}{again}: {complaint.sentence}."
        self._add(
            complaint.code,
            message,
            complaint.x12,
            complaint.x12_999,
            segment_id,
            position,
            index,
            complaint.level,
            loop=loop,
            complaint=complaint,
            value=complaint.value[:CLIP],
        )

    def _add(
        self,
        code: str,
        message: str,
        x12: str,
        x12_999: str,
        segment: str,
        position: int,
        index: int,
        level: Level = Level.ERROR,
        *,
        loop: str = "",
        value: str = "",
        complaint: Complaint | None = None,
    ) -> None:
        if level is Level.ERROR and not self._trusted:
            level = Level.WARNING
        if self._noted >= MAXIMUM_FINDINGS:
            self._drop(level)
            return
        self._noted += 1
        self.findings.append(
            Finding(
                level=level,
                code=code,
                message=message,
                scope="element" if complaint else "segment",
                x12=x12,
                x12_999=x12_999 if self._guideline.implementation else "",
                segment=segment,
                position=position,
                loop=loop,
                element=complaint.element if complaint else 0,
                component=complaint.component if complaint else 0,
                repetition=complaint.repetition if complaint else 0,
                data_element=complaint.number if complaint else "",
                offset=self.offset_of(index),
                value=value,
            )
        )

    def _drop(self, level: Level) -> None:
        """Past the cap one more finding of each level says that there were more."""
        if level in self._dropped:
            return
        self._dropped.add(level)
        message = f"There are more findings than the {MAXIMUM_FINDINGS} that are kept for a transaction set."
        self.findings.append(Finding(level, "set.more-findings", message, "set", "5"))


def _named(what: str, name: str) -> str:
    return f"{what} ({name})" if name else what


def _times(limit: int) -> str:
    return "only once" if limit == 1 else f"at most {limit} times"
