"""What the engine says, as text for people and as JSON for machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from gateway.words import count
from gateway.x12 import (
    Finding,
    GroupReport,
    InterchangeReport,
    Level,
    Separators,
    SetReport,
    Status,
    examine,
)
from gateway.x12.guideline import Step, judge_for
from gateway.x12.model import ExaminePolicy, Header
from gateway.x12.reader import Reader

Style = Callable[[str, str], str]  # (text, colour) -> text
COLOURS = {
    Status.ACCEPTED: "green",
    Status.ACCEPTED_WITH_ERRORS: "yellow",
    Status.PARTIALLY_ACCEPTED: "yellow",
    Status.REJECTED: "red",
    Level.ERROR: "red",
    Level.WARNING: "yellow",
    Level.INFO: "cyan",
}
GOOD = (Status.ACCEPTED, Status.ACCEPTED_WITH_ERRORS)


def plain(text: str, _colour: str) -> str:
    """No colour at all."""
    return text


# ---------------------------------------------------------------- JSON


def file_document(name: str, reports: list[InterchangeReport]) -> dict[str, Any]:
    """One file as the JSON document of ``gateway x12 check --json``."""
    return {
        "file": name,
        "interchanges": [_interchange(each, each.header) for each in reports if each.header is not None],
        "findings": [_finding(f) for each in reports if each.header is None for f in each.findings],
    }


def _interchange(report: InterchangeReport, header: Header) -> dict[str, Any]:
    return {
        "control_number": header.control_number,
        "sender": {"qualifier": header.sender.qualifier, "id": header.sender.id},
        "receiver": {"qualifier": header.receiver.qualifier, "id": header.receiver.id},
        "version": header.version,
        "usage": header.usage,
        "status": report.status.value,
        "ta1": {"code": report.ta1[0], "note": report.ta1[1]},
        "groups": [_group(each) for each in report.groups],
        "findings": [_finding(each) for each in report.findings],
    }


def _group(report: GroupReport) -> dict[str, Any]:
    return {
        "functional_id": report.functional_id,
        "control_number": report.control_number,
        "version": report.version,
        "status": report.status.value,
        "sets": [_set(each) for each in report.sets],
        "findings": [_finding(each) for each in report.findings],
    }


def _set(report: SetReport) -> dict[str, Any]:
    return {
        "id": report.id,
        "control_number": report.control_number,
        "status": report.status.value,
        "guideline": report.guideline,
        "findings": [_finding(each) for each in report.findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "level": finding.level.value,
        "code": finding.code,
        "x12": finding.x12,
        "segment": finding.segment,
        "position": finding.position,
        "element": finding.element,
        "component": finding.component,
        "offset": finding.offset,
        "value": finding.value,
        "message": finding.message,
    }


# ---------------------------------------------------------------- text


def file_lines(name: str, reports: list[InterchangeReport], style: Style = plain) -> Iterator[str]:
    """One file as ``gateway x12 check`` prints it: verdicts, and whatever is wrong in a sentence with its place."""
    for report in reports:
        if report.header is None:
            yield f"{name}: {_verdict(report.status, style)}"
        else:
            h = report.header
            mode = {"P": "", "T": ", test", "I": ", information"}.get(h.usage, "")
            title = f"interchange {h.control_number} from {h.sender} to {h.receiver}, version {h.version}{mode}"
            yield f"{name}: {title}: {_verdict(report.status, style)} (TA1 {' '.join(report.ta1)})"
        yield from _finding_lines(report.findings, "  ", style)
        for group in report.groups:
            yield from _group_lines(group, style)
        for ack in report.interchange_acks:
            yield f"  says of our interchange {ack.control_number}: {_verdict(ack.status, style)} (note {ack.note})"
        for said in report.group_acks:
            yield f"  says of our group {said.functional_id} {said.control_number}: {_verdict(said.status, style)}"
            for each in said.sets:
                yield f"    set {each.set_id} {each.control_number}: {_verdict(each.status, style)}"
                yield from (f"      {error}" for error in each.errors)


def _group_lines(group: GroupReport, style: Style) -> Iterator[str]:
    counts = f"{group.sets_accepted} of {count(len(group.sets), 'set')} accepted"
    title = f"group {group.functional_id} {group.control_number}, version {group.version}"
    yield f"  {title}: {_verdict(group.status, style)}, {counts}"
    yield from _finding_lines(group.findings, "    ", style)
    for each in group.sets:
        if each.findings or each.status is not Status.ACCEPTED:
            yield f"    set {each.id} {each.control_number}: {_verdict(each.status, style)} by {each.guideline}"
            yield from _finding_lines(each.findings, "      ", style)


def _finding_lines(findings: tuple[Finding, ...], indent: str, style: Style) -> Iterator[str]:
    for each in findings:
        code = f"{each.code}, X12 code {each.x12}" if each.x12 else each.code
        yield f"{indent}{style(each.level.value, COLOURS[each.level])} {place_of(each)}{each.message} [{code}]"


def place_of(finding: Finding) -> str:
    """Where a finding stands, for people: ``segment 4 BEG, element 3, byte 230:``, or nothing."""
    parts = []
    if finding.position:
        parts.append(f"segment {finding.position} {finding.segment}".rstrip())
    elif finding.segment:
        parts.append(f"segment {finding.segment}")
    if finding.loop:
        parts.append(f"loop {finding.loop}")
    if finding.element:
        parts.append(f"element {finding.element}" + (f"-{finding.component}" if finding.component else ""))
    if finding.offset >= 0:
        parts.append(f"byte {finding.offset}")
    return ", ".join(parts) + ": " if parts else ""


def _verdict(status: Status, style: Style) -> str:
    return style(status.value.replace("_", " "), COLOURS[status])


# ---------------------------------------------------------------- show


def shown_lines(data: bytes, style: Style = plain, *, elements: bool = False) -> Iterator[str]:
    """Every segment of every interchange, indented by loop, with its name and the findings where they stand.

    With ``elements`` each element follows on a line of its own, with its name.
    """
    for each in _placed(data):
        yield from _shown(each.piece, each.place, each.marks, style, elements=elements)
        yield from _notes(each.findings, each.place.depth if each.place else 0, style)


def segment_documents(data: bytes) -> Iterator[dict[str, Any]]:
    """The same as JSON documents, one a segment: text, elements, name, depth, and the findings that stand there."""
    for each in _placed(data):
        text = printable(each.piece.strip("\r\n \t"))
        if not text and not each.findings:
            continue
        tag, _, rest = text.partition(each.marks.element)
        yield {
            "segment": tag,
            "text": text,
            "elements": rest.split(each.marks.element) if rest else [],
            "name": each.place.step.name if each.place and each.place.step else "",
            "depth": each.place.depth if each.place else 0,
            "findings": [_finding(found) for found in each.findings],
        }


class _Placed(Struct, frozen=True):
    """One segment as it stands in the file, where it belongs, and what is wrong up to its end."""

    piece: str
    place: _Place | None
    marks: Separators
    findings: list[Finding]


def _placed(data: bytes) -> Iterator[_Placed]:
    reports = [each for each in examine(data) if each.header is not None]
    reader = Reader(data)
    for report in reports:
        marks = report.separators
        pending = sorted(_all_findings(report), key=lambda each: each.offset)
        reader.seek()
        header = data[report.start : reader.offset].decode("latin-1").partition(marks.segment)[0]
        yield _Placed(header, None, marks, _until(pending, reader.offset))
        tracer = _Tracer(report)
        while (window := reader.window(marks)) is not None:
            offset = window.offset
            for piece in window.pieces:
                place = tracer.step(piece, offset)
                offset += len(piece) + 1
                yield _Placed(piece, place, marks, _until(pending, offset))
                if offset >= report.end:
                    break
            if offset >= report.end:
                reader.move_to(min(offset, window.end))
                break
        yield _Placed("", None, marks, pending)


def _until(pending: list[Finding], end: int) -> list[Finding]:
    """Takes what stands before ``end``."""
    found = []
    while pending and pending[0].offset < end:
        found.append(pending.pop(0))
    return found


def _shown(piece: str, step: _Place | None, marks: Separators, style: Style, *, elements: bool) -> Iterator[str]:
    text = printable(piece.strip("\r\n \t"))
    if not text:
        return
    tag, mark, rest = text.partition(marks.element)
    depth = step.depth if step else 0
    indent = "  " * depth
    name = step.step.name if step and step.step else ""
    note = style(f"   {name}", "bright_black") if name else ""
    yield f"{indent}{style(tag, 'bold')}{mark}{rest}{note}"
    if elements and step and step.step and step.step.segment is not None:
        uses = step.step.segment.elements
        for number, value in enumerate(rest.split(marks.element), 1):
            title = uses[number - 1].name if number <= len(uses) else ""
            if value:
                yield f"{indent}    {tag}{number:02} {value}" + style(f"   {title}", "bright_black")


def _notes(findings: list[Finding], depth: int, style: Style) -> Iterator[str]:
    for each in findings:
        code = f"{each.code}, X12 code {each.x12}" if each.x12 else each.code
        yield "  " * depth + style(f"^ {each.level.value}: {each.message} [{code}]", COLOURS[each.level])


def _all_findings(report: InterchangeReport) -> Iterator[Finding]:
    yield from report.findings
    for group in report.groups:
        yield from group.findings
        for each in group.sets:
            yield from each.findings


def printable(text: str) -> str:
    """Text that cannot move the cursor of a terminal: control characters become dots."""
    return "".join(sign if sign.isprintable() else "·" for sign in text)


class _Place:
    """Where a segment is shown: how deep, and what the guideline says of it."""

    __slots__ = ("depth", "step")

    def __init__(self, depth: int, step: Step | None) -> None:
        self.depth = depth
        self.step = step


class _Tracer:
    """Follows the sets of one interchange with a judge that records where each segment belongs."""

    def __init__(self, report: InterchangeReport) -> None:
        self._marks = report.separators
        self._sets = {each.start: (group, each) for group in report.groups for each in group.sets}
        self._judge: Any = None

    def step(self, piece: str, offset: int) -> _Place | None:
        """The place of the next segment, which begins at ``offset``."""
        start = offset + len(piece) - len(piece.lstrip("\r\n \t\0"))
        found = self._sets.get(start)
        if found is not None:
            group, current = found
            self._judge = judge_for(current.id, group.version, current.implementation, self._marks, ExaminePolicy())
            self._judge.trace = []
        if self._judge is None:
            return None
        before = len(self._judge.trace)
        self._judge.feed((piece,), 0, offset)
        steps = self._judge.trace[before:]
        if self._judge.ended:
            self._judge = None
            return _Place(1, None)
        return _Place(1 + steps[0].depth, steps[0]) if steps else _Place(1, None)
