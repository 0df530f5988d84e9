"""A functional group and a transaction set while they are read: their headers, trailers and verdicts."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from sys import intern
from typing import TYPE_CHECKING

from msgspec.structs import replace

from gateway.words import count
from gateway.x12.envelope import CLIP, as_count, envelope_finding, extra_element, same_number
from gateway.x12.facts import groups, known_groups
from gateway.x12.model import ExaminePolicy, Finding, GroupReport, Level, Separators, SetReport, Status
from gateway.x12.packed import SetReports
from gateway.x12.received import AcknowledgmentReader
from gateway.x12.units import unit_finder
from gateway.x12.verdict import Findings, group_status

if TYPE_CHECKING:
    from gateway.x12.interchange import SetJudge

_SET_ID = re.compile(r"[0-9A-Z]{3}")
_SET_NUMBER = re.compile(r"[0-9A-Za-z][ -~]{2,7}[0-9A-Za-z]")
_IMPLEMENTATION = re.compile(r"00\d{4}X\d+[A-Z0-9]*")
_WIDEST = 9  # digits of a control number
_PAGE = 1 << 16  # control numbers on one page


class OpenSet:
    """One transaction set from its ST on."""

    __slots__ = (
        "_start",
        "acknowledgment",
        "findings",
        "fresh",
        "id",
        "implementation",
        "judge",
        "number",
        "trailer_at",
        "units",
    )

    def __init__(
        self, fields: list[str], version: str, start: int, judge: SetJudge, marks: Separators, room: int
    ) -> None:
        self.id, self.implementation = intern(fields[0]), intern(fields[2])  # a million sets share these
        self.number = fields[1]
        self._start = start
        self.judge = judge
        self.findings = Findings(room)
        self.trailer_at = -1  # byte offset of SE, once it was read
        self.fresh = True  # the judge has not had the ST yet
        self.acknowledgment = AcknowledgmentReader(self.id, marks) if self.id in ("997", "999") else None
        self.units = unit_finder(self.id, version, marks.element)

    def say(self, code: str, message: str, x12: str, *, level: Level = Level.ERROR, segment: str = "ST") -> None:
        """Notes something about the set as a whole."""
        header = segment == "ST"
        offset = self._start if header or self.trailer_at < 0 else self.trailer_at
        finding = envelope_finding("set", f"set.{code}", message, x12, level=level, segment=segment, offset=offset)
        self.findings.add(replace(finding, position=1 if header else self.judge.count))

    def check_width(self, elements: Sequence[str], most: int) -> None:
        """Notes an element of ST or SE beyond the last one of the standard: it harms nobody."""
        number = extra_element(elements, most)
        if number:
            tag = elements[0].strip()
            finding = envelope_finding(
                "element",
                "element.too-many",
                f"{tag}{number:02} stands there, and {tag} has {most} elements.",
                "3",
                level=Level.WARNING,
                segment=tag,
                element=number,
                offset=self._start if tag == "ST" else self.trailer_at,
                value=elements[number].strip(),
            )
            self.findings.add(replace(finding, position=1 if tag == "ST" else self.judge.count))

    def take(self, pieces: Sequence[str], offset: int) -> None:
        """Takes over what the judge has found on these segments, so that a huge set with many faults stays small.

        A judge warns where its tables are not sure: that is told to people, and never turns an A into an E.
        """
        found = self.judge.findings
        if self.units is not None:
            self.findings.extend(self.units.name(found, pieces, offset), reportable=False)
        elif found:
            self.findings.extend(found, reportable=False)
        found.clear()

    def report(self, end: int, policy: ExaminePolicy) -> SetReport:
        """The verdict, after SE or where the set breaks off."""
        judge = self.judge
        self.take((), self._start)
        self._check_trailer(end)
        findings = self.findings
        return SetReport(
            self.id,
            self.number,
            self.implementation,
            findings.status(policy.reject_from),
            judge.name,
            findings.all("set") if findings.kept else (),
            self._start,
            end,
            judge.count,
        )

    def _check_trailer(self, end: int) -> None:
        judge = self.judge
        if not judge.ended:
            self.trailer_at = end
            self.say("trailer-missing", "The transaction set ends without an SE segment.", "2", segment="SE")
            return
        self.check_width(judge.trailer, 2)
        trailer = [each.strip()[:CLIP] for each in (*judge.trailer[1:3], "", "")]
        if as_count(trailer[0]) != judge.count:
            message = f"SE01 says {trailer[0] or 'nothing'}, the set has {count(judge.count, 'segment')}."
            self.say("count", message, "4", segment="SE")
        if trailer[1] != self.number:
            message = f"SE02 is {trailer[1]!r}, the set has the control number {self.number!r}."
            self.say("number-mismatch", message, "3", segment="SE")


class OpenGroup:
    """One functional group from its GS on. ``fields`` are the elements of the GS, ``fields[0]`` is GS itself."""

    def __init__(self, fields: list[str], start: int, policy: ExaminePolicy, room: int) -> None:
        self.fields = [intern(each) for each in fields]  # a hundred thousand groups share most of these
        self.version = fields[8]
        self._start = start
        self._policy = policy
        self.findings = Findings(room)
        self._sets = SetReports()
        self._tally: Counter[Status] = Counter()
        self._numbers = Numbers()
        self._declared: int | None = None
        self._version_noted = False

    def add(self, report: SetReport) -> None:
        """Takes the verdict on one of its sets."""
        self._sets.add(report)
        self._tally[report.status] += 1

    def check_header(self, current: OpenSet) -> None:
        """Judges an ST segment as a member of this group."""
        number, kind = current.number, current.id
        if not _SET_NUMBER.fullmatch(number):
            current.say("number", f"ST02 is {number!r}, it must be 4 to 9 characters.", "7")
        elif self._numbers.seen(number):
            current.say("number-twice", f"The set control number {number} occurs twice in the group.", "23")
        if not _SET_ID.fullmatch(kind):
            current.say("id", f"ST01 is {kind!r}, which is no transaction set identifier.", "6")
            return
        home = groups().get(kind)
        if not current.judge.known:
            self._unknown(current, known_elsewhere=home is not None)
        if home is not None and home != self.fields[1] and self.fields[1] in known_groups():
            message = f"A {kind} belongs into a group {home}, this group is {self.fields[1]}."
            current.say("wrong-group", message, "18")
        given = current.implementation
        if given != self.version and _IMPLEMENTATION.fullmatch(given) and _IMPLEMENTATION.fullmatch(self.version):
            current.say("implementation", f"ST03 is {given}, the group has the version {self.version}.", "19")

    def _unknown(self, current: OpenSet, *, known_elsewhere: bool) -> None:
        if not known_elsewhere:
            current.say("unknown", f"The transaction set {current.id} is not known.", "1")
        elif not self._version_noted:
            self._version_noted = True
            message = (
                f"There is no guideline for {current.id} in version {self.version}: only the envelope was checked."
            )
            self.say("version-unknown", message, "", level=Level.WARNING)

    def check_trailer(self, elements: list[str], here: int) -> None:
        """Judges the GE segment, given as its elements."""
        self.check_width(elements, 2, here)
        count, number = (each.strip()[:CLIP] for each in (*elements, "", "")[1:3])
        self._declared = as_count(count)
        if self._declared != len(self._sets):
            message = f"GE01 says {count or 'nothing'}, the group has {len(self._sets)} transaction sets."
            self.say("count", message, "5", segment="GE", offset=here)
        elif not self._sets:
            self.say("empty", "The group has no transaction set.", "5", segment="GE", offset=here, level=Level.WARNING)
        if number != self.fields[6] and not same_number(number, self.fields[6]):
            message = f"GE02 is {number!r}, the GS has the control number {self.fields[6]!r}."
            self.say("number-mismatch", message, "4", segment="GE", offset=here)

    def check_width(self, elements: Sequence[str], most: int, here: int) -> None:
        """Notes an element of GS or GE beyond the last one of the standard: no code of a 997 tells it."""
        number = extra_element(elements, most)
        if number:
            tag = elements[0]
            message = f"{tag}{number:02} stands there, and {tag} has {most} elements."
            self.say("element-extra", message, "", segment=tag, offset=here, level=Level.WARNING)

    def miss_trailer(self, offset: int) -> None:
        """Notes that the group ends without GE."""
        self.say("trailer-missing", "The group ends without a GE segment.", "3", segment="GE", offset=offset)

    def say(
        self, code: str, message: str, x12: str, *, level: Level = Level.ERROR, segment: str = "GS", offset: int = -1
    ) -> None:
        """Notes something about the group as a whole."""
        place = self._start if offset < 0 else offset
        self.findings.add(
            envelope_finding("group", f"group.{code}", message, x12, level=level, segment=segment, offset=place)
        )

    def report(self, end: int) -> GroupReport:
        """The verdict. If the group itself is rejected, so is every set in it."""
        f = self.fields
        own = self.findings.status(self._policy.reject_from)
        sets = self._sets.rejected_with(_REJECTED_WITH_GROUP) if own is Status.REJECTED else self._sets
        return GroupReport(
            functional_id=f[1],
            sender=f[2],
            receiver=f[3],
            date=f[4],
            time=f[5],
            control_number=f[6],
            agency=f[7],
            version=f[8],
            status=group_status(own, self._tally),
            sets=sets.settled(),
            findings=self.findings.all("group"),
            start=self._start,
            end=end,
            sets_declared=self._declared,
        )


class Numbers:
    """Control numbers seen so far. Consecutive ones, the rule, cost no memory.

    Other digits of the same width cost two bytes each: the high part of the number chooses a page, which holds
    the low parts in order.
    """

    __slots__ = ("_first", "_last", "_others", "_pages", "_width")

    def __init__(self) -> None:
        self._first = 0
        self._last = -1
        self._width = 0
        self._pages: dict[int, array[int]] = {}
        self._others: set[str] = set()

    def seen(self, number: str) -> bool:
        """Whether ``number`` was given before; it is remembered."""
        width = len(number)
        if width <= _WIDEST and number.isascii() and number.isdigit():
            value = int(number)
            if self._last < 0:
                self._first = self._last = value
                self._width = width
                return False
            if width == self._width:
                return self._first <= value <= self._last or self._marked(value)
        if number in self._others:
            return True
        self._others.add(number)
        return False

    def _marked(self, value: int) -> bool:
        """Whether a number outside the consecutive ones was seen; it is remembered."""
        number, low = divmod(value, _PAGE)
        page = self._pages.get(number)
        place = 0 if page is None else bisect_left(page, low)
        if page is not None and page[place : place + 1] == array("H", (low,)):
            return True
        if value == self._last + 1:
            self._last = value
        elif page is None:
            self._pages[number] = array("H", (low,))
        else:
            page.insert(place, low)
        return False


_REJECTED_WITH_GROUP = Finding(Level.INFO, "set.group-rejected", "Rejected because the whole group is rejected.", "set")
