"""What a partner reads beside a rejecting acknowledgment: which interchange, set, segment and element, and why. Pure.

It says what the TA1, 997 or 999 in the same mail says, in words: of our own house (numbers of the ledger, files of
guidelines, names of agreements) it says nothing.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from gateway.x12.codes import INTERCHANGE_NOTES
from gateway.x12.model import Finding, GroupReport, Header, InterchangeReport, Level, SetReport, Status

FINDINGS = 50  # that are told one by one; of the rest the number is
WIDTH = 72  # characters of a line
_GOOD = (Status.ACCEPTED, Status.ACCEPTED_WITH_ERRORS)
_INDENT = 2


def explanation(
    report: InterchangeReport, our_name: str, *, note: tuple[str, str] | None = None, skip: Sequence[str] = ()
) -> str:
    """The text of the mail; empty where nothing was rejected.

    Args:
        report: what examining the interchange found; it has a header.
        our_name: who writes.
        note: the TA1's code and note where they are not the report's own: a control number that was used before.
        skip: functional ids of groups that are not answered, such as FA.
    """
    header = report.header
    assert header is not None
    code, reason = note or report.ta1
    groups = [each for each in report.groups if each.functional_id not in skip]
    refused = [each for each in groups if each.status not in _GOOD]
    if code != "R" and not refused:
        return ""
    lines = [*_opening(header, our_name, whole=code == "R"), ""]
    if code == "R":
        lines += _envelope(report, reason, known=note is None)
    else:
        left = FINDINGS
        for group in refused:
            told = list(_group(group, left))
            left -= sum(each.startswith(" " * 3 * _INDENT) for each in told)
            lines += told
    lines += ["", *_closing(whole=code == "R", some=any(each.sets_accepted for each in groups))]
    return "\n".join(line for each in lines for line in _wrapped(each)) + "\n"


def _opening(header: Header, our_name: str, *, whole: bool) -> Iterator[str]:
    verdict = "could not be accepted" if whole else "could not be accepted as a whole"
    yield (
        f"Your interchange {header.control_number} of {_day(header.date)} from {header.sender} to {header.receiver}"
        f" {verdict} by {our_name}. The acknowledgment in this mail says so for your system; here it is in words."
    )


def _envelope(report: InterchangeReport, reason: str, *, known: bool) -> Iterator[str]:
    said = INTERCHANGE_NOTES.get(reason, "")
    yield f"The interchange is refused (TA1, note {reason}{f': {said}' if said else ''})."
    for each in _errors(report.findings) if known else ():
        yield f"{' ' * _INDENT}- {each.message}"


def _group(group: GroupReport, left: int) -> Iterator[str]:
    count = f"{group.sets_accepted} of {len(group.sets)} transaction sets accepted"
    yield f"Functional group {group.functional_id} {group.control_number}, version {group.version}: {count}."
    for each in _errors(group.findings):
        yield f"{' ' * _INDENT}- {each.message}"
    for one in group.sets:
        if one.status not in _GOOD:
            told = list(_set(one, left))
            left -= len(told) - 1
            yield from told


def _set(one: SetReport, left: int) -> Iterator[str]:
    yield f"{' ' * _INDENT}Transaction set {one.id} {one.control_number}: rejected."
    found = _errors(one.findings) or [each for each in one.findings if each.level is Level.WARNING]
    for each in found[: max(left, 0)]:
        yield f"{' ' * 3 * _INDENT}- {_place(each)}{each.message}"
    if len(found) > max(left, 0):
        yield f"{' ' * 3 * _INDENT}- and {len(found) - max(left, 0)} more"


def _place(finding: Finding) -> str:
    """Where it stands, for somebody who counts segments in a file; most findings say so themselves."""
    if not finding.position or "segment" in finding.message.lower():
        return ""
    parts = [f"segment {finding.position}" + (f" ({finding.segment})" if finding.segment else "")]
    if finding.element:
        parts.append(f"element {finding.element}")
    if finding.component:
        parts.append(f"component {finding.component}")
    return f"{', '.join(parts)[0].upper()}{', '.join(parts)[1:]}: "


def _errors(findings: Sequence[Finding]) -> list[Finding]:
    return [each for each in findings if each.level is Level.ERROR]


def _closing(*, whole: bool, some: bool) -> Iterator[str]:
    if whole:
        yield "Nothing in it was taken. Please correct it and send it again under a new interchange control number."
        return
    taken = "What was accepted is taken, and must not be sent again. " if some else "Nothing in it was taken. "
    yield f"{taken}Please correct what was rejected and send it again under new control numbers."


def _day(written: str) -> str:
    """ISA09 as people read it."""
    return f"20{written[:2]}-{written[2:4]}-{written[4:]}" if len(written) == 6 and written.isdigit() else written


def _wrapped(line: str) -> list[str]:
    printable = "".join(each if each.isprintable() else " " for each in line)
    indent = " " * (len(printable) - len(printable.lstrip()) + _INDENT)
    return textwrap.wrap(printable, WIDTH, subsequent_indent=indent if line.startswith(" ") else "") or [""]
