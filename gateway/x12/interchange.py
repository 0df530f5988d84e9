"""An interchange while it is read: which segment may stand where, what the trailers must say, who judges the sets.

``OpenInterchange`` takes windows of segments and builds the report. Everything between ST and SE is the
judge's, who is fed with whole runs of segments so that clean data costs next to nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol

from msgspec.structs import replace

from gateway.words import count
from gateway.x12.envelope import CLIP, as_count, check_gs, check_service, envelope_finding, extra_element, same_number
from gateway.x12.facts import known_groups
from gateway.x12.group import OpenGroup, OpenSet
from gateway.x12.isa import BLANKS
from gateway.x12.model import (
    ExaminePolicy,
    Finding,
    GroupAck,
    GroupReport,
    Header,
    InterchangeAck,
    InterchangeReport,
    Level,
    Separators,
    Status,
)
from gateway.x12.packed import rejected_with
from gateway.x12.reader import BINARY_LENGTH, TOO_LONG, UNTERMINATED, Window
from gateway.x12.received import read_interchange_ack
from gateway.x12.verdict import Findings, interchange_note, interchange_status

MOST_FINDINGS = 1000  # kept of the envelope, of a group, of a set
MOST_FINDINGS_OF_ALL = 50_000  # then each further set or group keeps only its first few
MOST_OF_FEW = 200_000  # and then one
MOST_GROUPS = 99_999  # IEA01 has five digits
FEW_FINDINGS = 10


class SetJudge(Protocol):
    """What judges one transaction set; see ``gateway.x12.guideline``."""

    @property
    def name(self) -> str:
        """The guideline, for people."""

    @property
    def known(self) -> bool:
        """Whether there is a guideline."""

    @property
    def ended(self) -> bool:
        """Whether SE was consumed."""

    @property
    def count(self) -> int:
        """Segments consumed, ST and SE included."""

    @property
    def trailer(self) -> list[str]:
        """The elements of SE, SE itself first; empty if there is none."""

    @property
    def findings(self) -> list[Finding]:
        """What is wrong so far."""

    def feed(self, pieces: Sequence[str], start: int, offset: int) -> int:
        """Consumes segments from ``start`` on; gives the index of the first that is not the set's."""


JudgeMaker = Callable[[str, str, str, Separators, ExaminePolicy], SetJudge]


class OpenInterchange:
    """One interchange between its ISA and the end of it, wherever that turns out to be."""

    def __init__(
        self, header: Header, separators: Separators, start: int, policy: ExaminePolicy, judge_for: JudgeMaker
    ) -> None:
        self._header = header
        self._marks = separators
        self._start = start
        self._policy = policy
        self._judge_for = judge_for
        self.findings = Findings(MOST_FINDINGS)
        self._groups: list[GroupReport] = []
        self._group_numbers: set[str] = set()
        self._interchange_acks: list[InterchangeAck] = []
        self._group_acks: list[GroupAck] = []
        self._group: OpenGroup | None = None
        self._set: OpenSet | None = None
        self._astray = False  # within a set that stands outside any group
        self._blank_seen = False
        self._unexpected_seen = False  # the segment before could not stand where it stood
        self._closed = False
        self._segments = 1
        self._kept = 0
        self._residue = ""

    # ------------------------------------------------------------ segments

    def take(self, window: Window) -> int:
        """Takes whole segments. Gives the byte offset behind the IEA once that was read, else -1."""
        pieces, offset, at = window.pieces, window.offset, 0
        if window.trouble == UNTERMINATED and not self._take_unterminated(window):
            return -1
        size = len(pieces)
        while at < size:
            if self._set is not None:
                at, offset = self._feed(self._set, pieces, at, offset)
                continue
            piece = pieces[at]
            text = piece.strip(BLANKS)
            here = offset + len(piece) - len(piece.lstrip(BLANKS)) if text != piece else offset
            elements = text.split(self._marks.element)
            if elements[0] == "ST" and self._open_set(elements, here):
                continue
            at += 1
            offset += len(piece) + 1
            self._segments += 1
            if not text:
                self._segments -= 1
                self._blank(here)
            else:
                self._envelope_segment(elements, here, min(offset, window.end))
            if self._closed:
                return min(offset, window.end)
        if window.trouble in (TOO_LONG, BINARY_LENGTH):
            self._report_trouble(window)
        return -1

    def _take_unterminated(self, window: Window) -> bool:
        """A last segment without terminator: an IEA counts, anything else is a piece of something cut short."""
        text = window.pieces[0].strip(BLANKS)
        if text.startswith("IEA" + self._marks.element):
            self._say(
                "last-terminator", "The terminator of the IEA segment is missing.", "", window.offset, Level.WARNING
            )
            return True
        self._residue = text[:99]
        return False

    def _feed(self, current: OpenSet, pieces: Sequence[str], at: int, offset: int) -> tuple[int, int]:
        """Lets the judge consume what is the set's. Gives the next piece and its offset."""
        judge = current.judge
        upto = judge.feed(pieces, at, offset)
        if current.fresh:
            current.fresh = False
            upto = max(upto, at + 1)
        eaten = pieces[at:upto]
        current.take(eaten, offset)
        offset += len("".join(eaten)) + upto - at
        if current.acknowledgment is not None:
            current.acknowledgment.feed(eaten)
        if judge.ended or upto < len(pieces):
            if judge.ended:
                current.trailer_at = offset - len(pieces[upto - 1].lstrip(BLANKS)) - 1
            self._close_set(offset)
        return upto, offset

    def _envelope_segment(self, elements: list[str], here: int, end: int) -> None:
        handler = self._HANDLERS.get(elements[0])
        if handler is not None:
            self._unexpected_seen = self._unexpected_seen and elements[0] == "SE"
            handler(self, elements, here, end)
        elif not self._astray and elements[0] != "TA3":
            self._unexpected(elements, here)

    # ------------------------------------------------------------ the envelope

    def _gs(self, elements: list[str], here: int, _: int) -> None:
        self._close_group(here)
        if len(self._groups) >= MOST_GROUPS:
            self._say("too-many-groups", f"The interchange has more than {MOST_GROUPS} groups.", "022", here)
            return
        fields = [each.strip()[:CLIP] for each in (*elements, *[""] * 9)[:9]]
        group = self._group = OpenGroup(fields, here, self._policy, self._room())
        group.findings.extend(check_gs(fields, here, known_groups()))
        group.check_width(elements, 8, here)
        if group.findings.gravest > 1:
            self._say("content", f"The GS segment of group {fields[6]} is invalid.", "024", here, Level.WARNING)
        number = fields[6].lstrip("0")
        if number in self._group_numbers:
            message = f"The group control number {fields[6]} occurs twice in the interchange."
            group.findings.add(
                envelope_finding("group", "group.number-twice", message, "19", segment="GS", offset=here)
            )
        self._group_numbers.add(number)

    def _ge(self, elements: list[str], here: int, end: int) -> None:
        if self._group is None:
            self._say("trailer-alone", "A GE segment stands outside any group.", "022", here)
            return
        self._group.check_trailer(elements, here)
        self._close_group(end, trailer=True)

    def _iea(self, elements: list[str], here: int, _: int) -> None:
        self._close_group(here)
        fields = [each.strip()[:CLIP] for each in (*elements, "", "")[:3]]
        if as_count(fields[1]) != len(self._groups):
            message = f"IEA01 says {fields[1] or 'nothing'}, the interchange has {count(len(self._groups), 'group')}."
            self._say("count", message, "021", here, segment="IEA", element=1, value=fields[1])
        number = self._header.control_number
        if fields[2] != number:
            level = Level.WARNING if same_number(fields[2], number) else Level.ERROR
            message = f"IEA02 is {fields[2]!r}, the ISA has the control number {number!r}."
            self._say("number-mismatch", message, "001", here, level, segment="IEA", element=2, value=fields[2])
        extra = extra_element(elements, 2)
        if extra:
            message = f"IEA{extra:02} stands there, and IEA has 2 elements."
            value = elements[extra].strip()
            self._say("element-extra", message, "022", here, Level.WARNING, segment="IEA", element=extra, value=value)
        self._closed = True

    def _ta1(self, elements: list[str], here: int, _: int) -> None:
        ack = read_interchange_ack(elements, here)
        if ack is None:
            self._say("ta1", "A TA1 segment names no interchange or gives no verdict.", "024", here, segment="TA1")
            return
        self._interchange_acks.append(ack)
        if self._groups or self._group:
            self._say("ta1-late", "A TA1 segment stands behind a group.", "022", here, Level.WARNING, segment="TA1")

    def _service(self, elements: list[str], here: int, _: int) -> None:
        self.findings.extend(check_service(elements, here))

    def _st_outside(self, _elements: list[str], here: int, _: int) -> None:
        self._astray = True
        self._say("set-outside-group", "An ST segment stands outside any functional group.", "024", here, segment="ST")

    def _se_outside(self, elements: list[str], here: int, _: int) -> None:
        if not self._astray:
            self._unexpected(elements, here)
        self._astray = False

    def _unexpected(self, elements: list[str], here: int) -> None:
        """Notes a segment that can stand nowhere here; of several in a row only the first."""
        if self._unexpected_seen:
            return
        self._unexpected_seen = True
        tag = elements[0][:20]
        hint = " Segment ids are upper case." if tag.islower() else ""
        if self._group is None:
            message = f"The segment {tag!r} cannot stand here.{hint}"
            self._say("segment-unexpected", message, "022", here, segment=tag[:3], value=elements[0])
            return
        message = f"The segment {tag!r} stands in the group but in no transaction set.{hint}"
        self._group.findings.add(
            envelope_finding("group", "group.segment-outside-set", message, segment=tag[:3], offset=here, value=tag)
        )

    def _blank(self, here: int) -> None:
        if not self._blank_seen:
            self._blank_seen = True
            self._say("segment-empty", "A segment without content is ignored.", "", here, Level.WARNING)

    # ------------------------------------------------------------ sets and groups

    def _open_set(self, elements: list[str], here: int) -> bool:
        group = self._group
        if group is None:
            return False
        fields = [each.strip()[:CLIP] for each in (*elements, "", "", "")[1:4]]
        judge = self._judge_for(fields[0], group.version, fields[2], self._marks, self._policy)
        self._set = OpenSet(fields, group.version, here, judge, self._marks, self._room())
        group.check_header(self._set)
        self._set.check_width(elements, 3)
        self._unexpected_seen = False
        return True

    def _room(self) -> int:
        """How many findings the next set or group may keep."""
        if self._kept < MOST_FINDINGS_OF_ALL:
            return MOST_FINDINGS
        return FEW_FINDINGS if self._kept < MOST_OF_FEW else 1

    def _close_set(self, end: int) -> None:
        if self._set is None or self._group is None:
            return
        current, self._set = self._set, None
        policy = self._policy.for_set(current.id, current.implementation, self._group.version)
        report = current.report(end, policy)
        self._kept += len(report.findings)
        self._segments += report.segments
        self._group.add(report)
        said = current.acknowledgment.finish() if current.acknowledgment is not None else None
        if said is not None:
            self._group_acks.append(said)

    def _close_group(self, end: int, *, trailer: bool = False) -> None:
        self._astray = False
        if self._group is None:
            return
        self._close_set(end)
        if not trailer:
            self._group.miss_trailer(end)
        report = self._group.report(end)
        self._kept += len(report.findings)
        self._groups.append(report)
        self._group = None

    # ------------------------------------------------------------ the end

    def report(self, end: int, *, at_end: bool) -> InterchangeReport:
        """The report, whether or not an IEA was read. ``at_end``: nothing follows in the stream."""
        if not self._closed:
            self._miss_trailer(end, at_end=at_end)
        return self._build(end)

    def unreadable(self, end: int) -> InterchangeReport:
        """The report on an interchange of which only the ISA can be read."""
        return self._build(end)

    def _miss_trailer(self, end: int, *, at_end: bool) -> None:
        nested = self._group is not None and not at_end
        if self._segments == 1 and self._residue[:2] in ("GS", "TA", "IE"):
            message = f"No segment ends with the terminator that the ISA names ({self._marks.segment!r})."
            self._say("terminator", message, "004", self._start, segment="ISA")
        self._close_group(end)
        if nested:
            self._say("nested", "The next ISA begins before this interchange has ended.", "022", end, segment="IEA")
        else:
            message = "The interchange ends without an IEA segment."
            self._say("trailer-missing", message, "023", end, segment="IEA", value=self._residue)

    def _build(self, end: int) -> InterchangeReport:
        own = self.findings.status(self._policy.reject_from)
        groups = tuple(self._groups)
        if own is Status.REJECTED:
            groups = tuple(_with_interchange(each) for each in groups)
        return InterchangeReport(
            header=self._header,
            separators=self._marks,
            status=interchange_status(own, groups),
            groups=groups,
            findings=self.findings.all("interchange"),
            ta1=interchange_note(own, self.findings.kept),
            start=self._start,
            end=end,
            interchange_acks=tuple(self._interchange_acks),
            group_acks=tuple(self._group_acks),
            segments=self._segments,
        )

    def _report_trouble(self, window: Window) -> None:
        if window.trouble == TOO_LONG:
            code, message = (
                "segment.too-long",
                f"A segment of {window.end - window.offset} bytes is too long to be read.",
            )
        else:
            code, message = "segment.binary-length", "The binary segment has not the length that it declares."
        tag = window.pieces[-1].strip(BLANKS)[:3]
        if self._set is not None:
            finding = envelope_finding("set", code, message, "5", segment=tag, offset=window.offset)
            self._set.findings.add(replace(finding, position=self._set.judge.count))
        else:
            self.findings.add(envelope_finding("interchange", code, message, "022", segment=tag, offset=window.offset))

    def _say(
        self,
        code: str,
        message: str,
        x12: str,
        offset: int,
        level: Level = Level.ERROR,
        *,
        segment: str = "",
        element: int = 0,
        value: str = "",
    ) -> None:
        self.findings.add(
            envelope_finding(
                "interchange",
                f"interchange.{code}",
                message,
                x12,
                level=level,
                segment=segment,
                element=element,
                offset=offset,
                value=value,
            )
        )

    _HANDLERS: ClassVar[Mapping[str, Callable[[OpenInterchange, list[str], int, int], None]]] = {
        "GS": _gs,
        "GE": _ge,
        "IEA": _iea,
        "ISB": _service,
        "ISE": _service,
        "TA1": _ta1,
        "ST": _st_outside,
        "SE": _se_outside,
    }


_REJECTED_WITH_INTERCHANGE = Finding(
    Level.INFO, "set.interchange-rejected", "Rejected because the whole interchange is rejected.", "set"
)


def _with_interchange(group: GroupReport) -> GroupReport:
    return replace(group, status=Status.REJECTED, sets=rejected_with(group.sets, _REJECTED_WITH_INTERCHANGE))
