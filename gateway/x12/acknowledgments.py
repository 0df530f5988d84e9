"""Answers to what was examined: TA1 segments, 997 and 999 transaction sets.

A 997 follows the version of the group that it answers (AK103 and AK203 from 005010 on). A 999 follows the
005010X231A1 guide for the groups that this guide knows, else the standard. Copied values keep only
characters that are no separator anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from msgspec.structs import replace

from gateway.x12.codes import CODE_OF_STATUS
from gateway.x12.drafts import GENERATED, DraftSet, draft_set
from gateway.x12.model import Finding, GroupReport, InterchangeReport, Level, Separators, SetReport, Status

GUIDE_999 = "005010X231A1"
LONGEST_COPY = 99  # AK404, IK404
LONGEST_CONTEXT = 35  # CTX01-2
MOST_CODES = 5  # AK905 to AK909, AK502 to AK506
MOST_SEGMENTS = 5000  # AK3 or IK3 loops of one set; a set with more faults is past reading
MOST_ELEMENTS = 99  # AK4 or IK4 of one AK3 or IK3

_FIRST_WITH_IMPLEMENTATION = "005010"
_GROUPS_OF_GUIDE_999 = frozenset(("BE", "HB", "HC", "HI", "HN", "HP", "HR", "HS", "RA"))  # AK101 in that guide
_UNSAFE = re.compile(r"[^A-Za-z0-9 .,\-/()&%=?_\"]")
# What newer code lists have and those before 005010 have not, by scope.
_OLDER = {
    ("group", "19"): "6",
    ("set", "18"): "6",
    ("set", "19"): "6",
    ("set", "23"): "7",
    ("element", "11"): "10",
    ("element", "12"): "3",
    ("element", "13"): "3",
}


def interchange_acknowledgment(report: InterchangeReport, *, note: tuple[str, str] | None = None) -> tuple[str, ...]:
    """The elements TA101 to TA105 that answer an interchange.

    ``note`` is (TA104, TA105) where others know better than the report, for example ("R", "025") for a
    duplicate. Without a header the control number is 000000000 and date and time are those of no day.
    """
    code, reason = note or report.ta1
    header = report.header
    if header is None:
        return ("000000000", "000101", "0000", code, reason)
    return (
        _digits(header.control_number, 9).zfill(9),
        _digits(header.date, 6).zfill(6),
        _digits(header.time, 4).zfill(4),
        code,
        reason,
    )


def wants_acknowledgment(group: GroupReport) -> bool:
    """Whether a 997 or 999 may answer this group: acknowledgments themselves are never acknowledged."""
    answers = all(each.id in ("997", "999") for each in group.sets) if group.sets else False
    return group.functional_id != "FA" and not answers


def acknowledgment_version(group: GroupReport, kind: str) -> str:
    """GS08 of the group that carries the acknowledgment."""
    if kind == "999" and group.functional_id in _GROUPS_OF_GUIDE_999:
        return GUIDE_999
    version = group.version[:6] if re.match(r"00[1-9]\d{3}", group.version) else "004010"
    return max(version, _FIRST_WITH_IMPLEMENTATION) if kind == "999" else version


def acknowledgment_separators(report: InterchangeReport) -> Separators:
    """The separators to answer an interchange with: its own, or the usual ones where those cannot separate.

    From 00402 on there is always a repetition separator, also where the received ISA11 was none.
    """
    m = report.separators
    taken = (m.element, m.component, m.segment)
    repetition = m.repetition or next(each for each in "^!%&" if each not in taken)
    used = (*taken, repetition)
    if len(set(used)) == len(used) and all(len(each) == 1 and not each.isalnum() and each != " " for each in used):
        suffix = "" if m.element in m.suffix or m.component in m.suffix else m.suffix
        return replace(m, repetition=repetition, suffix=suffix)
    return Separators("*", ":", "~", "^", m.suffix)


def functional_acknowledgment(group: GroupReport, kind: str, detail: str) -> DraftSet:
    """The 997 or 999 that answers one functional group.

    Args:
        group: what examining the group found.
        kind: ``997`` or ``999``.
        detail: which sets it names: all (``set``), those not accepted cleanly (``rejected``), none (``group``).
    """
    form = (_Form999 if kind == "999" else _Form997)(acknowledgment_version(group, kind))
    return draft_set(kind, _segments(group, form, detail), form.implementation)


def _segments(group: GroupReport, form: _Form997, detail: str) -> Iterator[list[str]]:
    yield form.group_header(group)
    if detail != "group":
        for each in group.sets:
            if detail == "set" or each.status is not Status.ACCEPTED:
                yield from form.set_response(each)
    yield _group_trailer(group, form)


def _group_trailer(group: GroupReport, form: _Form997) -> list[str]:
    codes = _distinct(form.code(each) for each in group.findings if each.scope == "group" and _tells(each))
    received = len(group.sets)
    declared = received if group.sets_declared is None else min(group.sets_declared, 999999)
    accepted = 0 if group.status is Status.REJECTED else group.sets_accepted
    verdict = CODE_OF_STATUS[group.status]
    return ["AK9", verdict, str(declared), str(received), str(accepted), *(codes if verdict != "A" else [])]


class _Form997:
    """How a 997 of a version is written; a 999 differs in few places."""

    segment_tag, element_tag, set_tag = "AK3", "AK4", "AK5"

    def __init__(self, version: str) -> None:
        self.implementation = version if version == GUIDE_999 else ""
        self.modern = version >= _FIRST_WITH_IMPLEMENTATION
        self.longest_loop = 6 if "003070" <= version < "004050" else 4  # data element 447

    def code(self, finding: Finding) -> str:
        """The code of the list that this form uses."""
        return finding.x12 if self.modern else _OLDER.get((finding.scope, finding.x12), finding.x12)

    def group_header(self, group: GroupReport) -> list[str]:
        """AK1."""
        head = ["AK1", _fixed(group.functional_id, 2, "ZZ"), _digits(group.control_number, 9) or "0"]
        return [*head, _clean(group.version, 12)] if self.modern else head

    def set_response(self, report: SetReport) -> Iterator[list[str]]:
        """AK2 to AK5."""
        head = ["AK2", _fixed(report.id, 3, "000"), _clean(report.control_number, 9) or "0000"]
        yield [*head, _clean(report.implementation, 35)] if self.modern else head
        told = _told(report)
        inner = sorted(
            (each for each in told if each.scope in ("segment", "element") and self.code(each)),
            key=lambda each: each.position,
        )
        yield from self._segments(inner)
        codes = _distinct([self._summary(inner), *(self.code(each) for each in told if each.scope == "set")])
        yield [self.set_tag, CODE_OF_STATUS[report.status], *(codes if told else [])]

    def _summary(self, inner: Sequence[Finding]) -> str:
        return "5" if inner else ""

    def _segments(self, findings: Sequence[Finding]) -> Iterator[list[str]]:
        """One AK3 for each fault of a segment, and one for all faults of its elements, with their AK4."""
        count = 0
        for _, of_segment in groupby(findings, key=lambda each: (each.position, each.segment)):
            faults = list(of_segment)
            elements = [each for each in faults if each.scope == "element"]
            for each in faults:
                if each.scope == "segment":
                    yield self._segment(each, self.code(each))
                    yield from self._context(each)
                    count += 1
            if elements:
                yield self._segment(elements[0], "8")
                yield from self._context(elements[0])
                yield from (self._element(each) for each in elements[:MOST_ELEMENTS])
                count += 1
            if count >= MOST_SEGMENTS:
                return

    def _segment(self, finding: Finding, code: str) -> list[str]:
        loop = _clean(finding.loop, self.longest_loop)  # its beginning, where the whole has no room
        tag = _clean(finding.segment, 3).replace(" ", "").upper()
        return [self.segment_tag, tag if len(tag) > 1 else "ZZZ", str(max(1, finding.position)), loop, code]

    def _context(self, _: Finding) -> Iterator[list[str]]:
        """A 997 says no more of the place."""
        return iter(())

    def _element(self, finding: Finding) -> list[str]:
        place = [str(max(1, finding.element))]
        if finding.component:
            place.append(str(finding.component))
        if finding.repetition and self.modern:
            place += [""] * (2 - len(place)) + [str(finding.repetition)]
        known = finding.data_element if finding.data_element.isdigit() and len(finding.data_element) <= 4 else ""
        value = _clean(finding.value, LONGEST_COPY)
        return [self.element_tag, GENERATED.component.join(place), known, self.code(finding), value]


class _Form999(_Form997):
    segment_tag, element_tag, set_tag = "IK3", "IK4", "IK5"

    def code(self, finding: Finding) -> str:
        return finding.code_999

    def _context(self, finding: Finding) -> Iterator[list[str]]:
        """CTX: the business unit, such as the claim, in which the segment stands."""
        name, _, number = finding.unit.partition(":")
        copied = _clean(number, LONGEST_CONTEXT)
        if copied:
            yield ["CTX", GENERATED.component.join((name, copied))]

    def _summary(self, inner: Sequence[Finding]) -> str:
        return "I5" if inner and all(each.code_999.startswith("I") for each in inner) else super()._summary(inner)


def _told(report: SetReport) -> list[Finding]:
    """The findings that explain the verdict: none for an accepted set, the errors of a rejected one if it has any."""
    if report.status is Status.ACCEPTED:
        return []
    coded = [each for each in report.findings if _tells(each)]
    errors = [each for each in coded if each.level is Level.ERROR]
    return errors if errors and report.status is Status.REJECTED else coded


def _tells(finding: Finding) -> bool:
    return finding.level is not Level.INFO and bool(finding.x12 or finding.x12_999)


def _distinct(codes: Iterator[str] | Sequence[str]) -> list[str]:
    return [code for code in dict.fromkeys(codes) if code][:MOST_CODES]


def _clean(text: str, most: int) -> str:
    return _UNSAFE.sub(" ", text[:most]).strip()


def _digits(text: str, most: int) -> str:
    return re.sub(r"[^0-9]", "", text)[:most]


def _fixed(text: str, width: int, otherwise: str) -> str:
    cleaned = _clean(text, width)
    return cleaned if len(cleaned) == width else otherwise
