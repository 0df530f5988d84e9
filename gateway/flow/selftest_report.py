"""The report on a self-test, for people: what we read, what is wrong with it, and what we would answer. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from gateway.errors import IdentityMismatch, IdentityUnknown, MessageFault, ReceiverNotUs, UnexpectedType
from gateway.flow.case import Case, InterchangeCase
from gateway.flow.context import Context
from gateway.ledger.events import one_line
from gateway.words import count
from gateway.x12.model import Finding, GroupReport, Header, InterchangeReport, SetReport
from partners.model import Partner

_MOST_INTERCHANGES = 20
_MOST_SETS = 100  # of one interchange
_MOST_FINDINGS = 50  # of one set, group or interchange
_USAGE = {"T": "test", "P": "production", "I": "information"}
_PROOF = {"signed": "a trusted S/MIME signature", "dkim": "a DKIM signature", "mx": "our mail exchanger"}


class Judged(Struct, frozen=True):
    """One interchange of the mail: the file it stood in, what was found, and the bytes that would answer it."""

    file_name: str
    interchange: InterchangeCase
    answer: bytes


def report(
    context: Context, case: Case, partner: Partner, judged: Sequence[Judged], problem: MessageFault | None
) -> tuple[str, str]:
    """The text of the report, and the answers as a listing; "" where nothing would be answered."""
    lines = [*_head(context, case, partner), *_body(context, partner, judged, problem)]
    contact = context.settings.contact
    lines += ["", f"Questions: {contact}" if contact else "Questions: answer any of our mails."]
    shown = [each for each in judged[:_MOST_INTERCHANGES] if each.answer]
    return "\n".join(map(_plain, lines)) + "\n", "\n".join(_plain(line) for each in shown for line in _listing(each))


def _plain(line: str) -> str:
    """The line as it stands, without control characters; blanks at its beginning are kept."""
    return f"{line[: len(line) - len(line.lstrip(' '))]}{one_line(line.strip())}"


def _head(context: Context, case: Case, partner: Partner) -> Iterator[str]:
    letter, proof = case.letter, case.proof
    assert letter is not None
    now = datetime.fromtimestamp(context.clock() / 1000, UTC)
    known = _PROOF.get(proof.kind if proof is not None else "", "the address alone")
    yield f"Report of {context.settings.name} on a test, {now:%Y-%m-%d %H:%M} UTC"
    yield ""
    yield f"You are {partner.name} ({partner.status.value}), known by {known}."
    yield f"Your mail: {letter.subject[:200] or '(no subject)'}, from {letter.from_address}."
    yield "It was only judged: nothing of it was taken, delivered or acknowledged, and no control number was used."


def _body(context: Context, partner: Partner, judged: Sequence[Judged], problem: MessageFault | None) -> Iterator[str]:
    if problem is not None:
        yield ""
        yield f"What we could not read: {problem}"
    if not judged and problem is None:
        yield ""
        yield "We found no X12 interchange in it."
    for number, each in enumerate(judged[:_MOST_INTERCHANGES], 1):
        yield ""
        yield from _interchange(context, partner, number, each)
    if len(judged) > _MOST_INTERCHANGES:
        yield f"… and {len(judged) - _MOST_INTERCHANGES} more interchanges, which are not told here."


def _interchange(context: Context, partner: Partner, number: int, judged: Judged) -> Iterator[str]:
    told = judged.interchange.report
    yield f"{number}. {judged.file_name}"
    if told.header is not None:
        yield from _envelope(told, told.header)
    yield f"   {_verdict(context, partner, judged)}"
    yield from _findings(told.findings, "   ")
    left = _MOST_SETS
    for group in told.groups:
        yield from _group(group, left)
        left -= len(group.sets)
    if left < 0:
        yield f"   … and {-left} more transaction sets, which are not told here."


def _envelope(told: InterchangeReport, header: Header) -> Iterator[str]:
    marks = told.separators
    usage = _USAGE.get(header.usage, header.usage)
    yield (
        f"   Interchange {header.control_number} from {header.sender} to {header.receiver}, {usage} "
        f"(ISA15 {header.usage}), version {header.version}, {count(told.segments, 'segment')}"
    )
    named = (("element", marks.element), ("component", marks.component), ("segment", marks.segment))
    words = [f"{name} {_shown(mark)}" for name, mark in (*named, ("repetition", marks.repetition)) if mark]
    yield f"   Separators: {', '.join(words)}"


def _shown(mark: str) -> str:
    return mark if mark.isprintable() and mark != " " else f"0x{ord(mark):02x}"


def _verdict(context: Context, partner: Partner, judged: Judged) -> str:
    fault = judged.interchange.fault
    if fault is not None:
        return f"WOULD NOT BE TAKEN, and not be answered: {_explained(context, partner, fault)}"
    told = judged.interchange.report
    if told.ta1[0] == "R":
        return f"WOULD BE REFUSED as a whole, with TA1 R {told.ta1[1]}."
    words = str(told.status).replace("_", " ")
    answer = "an answer is shown in the attachment" if judged.answer else "nothing would be answered"
    return f"WOULD BE {words.upper()}; {answer}."


def _explained(context: Context, partner: Partner, fault: MessageFault) -> str:
    """Why, in words for the partner: nothing of other partners, and what is right instead."""
    if isinstance(fault, IdentityUnknown | IdentityMismatch):
        known = ", ".join(str(each) for each in partner.identities)
        return f"its sender {fault.details['identity']} is none of your identities with us ({known})."
    if isinstance(fault, ReceiverNotUs):
        ours = ", ".join(str(each) for each in context.directory.our_identities)
        return f"its receiver {fault.details['identity']} is not us ({ours})."
    if isinstance(fault, UnexpectedType):
        return f"it was not agreed on that you send us {fault.details['set']} in {fault.details['version']}."
    return str(fault)


def _group(group: GroupReport, left: int) -> Iterator[str]:
    status = str(group.status).replace("_", " ")
    yield f"   Group {group.control_number} ({group.functional_id}, {group.version}): {status}"
    yield from _findings(group.findings, "      ")
    for number, each in enumerate(group.sets):
        if number >= left:
            return
        yield from _set(each)


def _set(found: SetReport) -> Iterator[str]:
    status = str(found.status).replace("_", " ")
    judged = f", judged by {found.guideline}" if found.guideline else ""
    yield f"      {found.id} {found.control_number}: {status}{judged}, {count(found.segments, 'segment')}"
    yield from _findings(found.findings, "         ")


def _findings(found: Sequence[Finding], indent: str) -> Iterator[str]:
    for each in found[:_MOST_FINDINGS]:
        code = f" (X12 code {each.x12})" if each.x12 else ""
        yield f"{indent}{each.level}{_place(each)}: {each.message}{code}"
    if len(found) > _MOST_FINDINGS:
        yield f"{indent}… and {len(found) - _MOST_FINDINGS} more."


def _place(finding: Finding) -> str:
    if not finding.segment or finding.segment in finding.message:
        return ""
    element = f"{finding.element:02}" if finding.element else ""
    component = f"-{finding.component}" if finding.component else ""
    at = f", segment {finding.position}" if finding.position else ""
    return f" in {finding.segment}{element}{component}{at}"


def _listing(judged: Judged) -> Iterator[str]:
    """The answer, segment by segment, with blanks around its marks.

    So it is read by people only: a system that took it for an interchange would take it for the acknowledgment of a
    group in earnest that has the same number.
    """
    text = judged.answer.decode("latin-1")
    mark, end = text[3], text[105]
    yield f"What would answer {judged.file_name}; it was not sent, and its numbers are none:"
    yield ""
    for segment in text.split(end):
        if segment.strip("\r\n"):
            yield "   " + f" {mark} ".join(each.strip() for each in segment.strip("\r\n").split(mark))
    yield ""
