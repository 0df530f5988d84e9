"""Unpack: from the raw bytes of a mail to its letter and the payloads that carry X12. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct, field
from msgspec.structs import replace

from gateway import x12
from gateway.errors import ContentDamaged, ContentMissing, LoopDetected, MessageFault, MessageMalformed
from gateway.flow.case import Case, InterchangeCase, PayloadCase
from gateway.flow.intact import find_isa
from gateway.flow.mend import WORDS, essence, mend, squeezed, without_tags
from gateway.flow.strange import DECORATION, LOOK, is_disguised, is_missed, is_told, not_x12
from gateway.mail.archives import contents
from gateway.mail.letters import open_headers, open_letter
from gateway.mail.model import Letter, Part
from gateway.settings.model import Limits
from gateway.x12.model import ExaminePolicy, InterchangeReport
from gateway.x12.sniff import what_instead

_OUR_MESSAGE_ID = re.compile(r"<[0-9a-f]{40}@[^<>@]+>")  # gateway.mail.compose.message_id
_SPOILED = 10  # parts of one mail that are compared with its sound ones
_OTHER_FORMS = "its alternative forms carry different EDI"
_TEXT = 1_000_000  # bytes of text that are compared with a file


def unpack(case: Case, limits: Limits, sender: str = "", open_layers: Callable[[Case], None] | None = None) -> None:
    """Opens the letter and finds its payloads, any content type that carries an ISA.

    A mail without X12 is a fault, unless it is a bounce, a receipt or an auto-reply, which carry none. ``sender`` is
    the address in our own mails: one of those may have come back to us. ``open_layers`` takes S/MIME layers off the
    letter, see ``gateway.flow.unwrap``.
    """
    try:
        case.letter = open_letter(case.message.raw, limits)
        if open_layers is not None:
            open_layers(case)
        if case.letter.kind == "letter":
            case.letter = _checked_for_loops(case.letter, sender)
            find_payloads(case, limits)
    except MessageFault as fault:
        case.fault = fault
        if case.letter is None:
            case.letter = open_headers(case.message.raw, limits)  # so that people see whose mail it is


def _checked_for_loops(letter: Letter, sender: str) -> Letter:
    ours = sender and letter.from_address.lower() == sender.lower() and _OUR_MESSAGE_ID.fullmatch(letter.message_id)
    if ours and not letter.loop:
        return replace(letter, loop=f"it is our own mail {letter.message_id}, which came back")
    return letter


class _Search(Struct):
    """What was found so far in a mail, and what is wrong with it."""

    case: Case
    limits: Limits
    alternatives: dict[str, bytes] = field(default_factory=dict)  # place of the multipart → essence of its interchange
    essences: dict[str, bytes] = field(default_factory=dict)  # of the payloads, by path, once they are asked for
    damaged: list[tuple[MessageFault, Part]] = field(default_factory=list)
    strange: list[Part] = field(default_factory=list)  # without X12

    def essence(self, payload: PayloadCase) -> bytes:
        """The essence of a payload, computed once: a big one takes its time."""
        if payload.path not in self.essences:
            self.essences[payload.path] = essence(payload.data, find_isa(payload.data))
        return self.essences[payload.path]


def find_payloads(case: Case, limits: Limits) -> None:
    """Fills ``payloads`` from the parts of the letter: opened, mended, each interchange once.

    A part that was meant as EDI and holds no X12 is a payload with a fault, beside the good ones.

    Raises:
        LoopDetected: the mail runs in circles.
        ContentDamaged, ArchiveRefused, ArchiveLocked: a part may hold an interchange and cannot be read for certain.
        MessageMalformed: its alternative forms carry different EDI.
        NotX12, ContentMissing: there is no interchange.
    """
    assert case.letter is not None
    if case.letter.loop:
        raise LoopDetected(reason=case.letter.loop)
    search = _Search(case, limits)
    # What came as a file is certain to be as it was written, so it goes before a copy of it in the text.
    for part in sorted(case.letter.parts, key=_certainty):
        _open(search, part)
    for fault, part in search.damaged:
        if len(search.damaged) > _SPOILED or not _stands_elsewhere(part, case.payloads):
            if part.within == "multipart/alternative" and _around(part) in search.alternatives:
                raise MessageMalformed(reason=_OTHER_FORMS)
            raise fault  # it may have been an interchange: nobody may call the mail done
    if not case.payloads:
        raise next((not_x12(_name(part), part.data) for part in search.strange if is_told(part)), ContentMissing())
    case.payloads += [_missed(part) for part in search.strange if is_missed(part)]
    case.payloads.sort(key=lambda payload: _order(payload.path))


def _certainty(part: Part) -> int:
    if part.content_type == "text/html":
        return 2
    return 1 if part.content_type in WORDS and not part.file_name else 0


def _order(path: str) -> list[int]:
    return [int(each) for each in re.findall(r"\d+", path)]


def _open(search: _Search, part: Part) -> None:
    """One part of the mail: itself, or what is in it where it is an archive."""
    try:
        for each in (part,) if part.damage else contents(part, search.limits):
            _look(search, each)
    except MessageMalformed:
        raise
    except MessageFault as fault:
        search.damaged.append((fault, part))


def _look(search: _Search, part: Part) -> None:
    try:
        mended = mend(part)
    except ContentDamaged as fault:
        if not part.damage or _may_be_edi(part):
            search.damaged.append((fault, part))
        return
    if mended.at < 0:
        search.strange.append(part)
        return
    words = (*_whence(part), *mended.repairs)
    payload = PayloadCase(part.path, part.file_name, part.content_type, mended.data, words)
    _keep(search, part, payload)


def _missed(part: Part) -> PayloadCase:
    fault = not_x12(_name(part), part.data)
    return PayloadCase(part.path, part.file_name, part.content_type, part.data, _whence(part), fault=fault)


def _name(part: Part | PayloadCase) -> str:
    return part.file_name or part.path


def _whence(part: Part) -> tuple[str, ...]:
    """Where a part was taken from, in words, unless it came by itself."""
    mail = (f"it stands in a mail of {part.forwarded} that the sender forwarded",) if part.forwarded else ()
    return (*mail, f"taken {part.origin}") if part.origin else mail


def _keep(search: _Search, part: Part, payload: PayloadCase) -> None:
    """Takes a payload, unless it is here already: as another form of the text, or as a file and in the text."""
    payloads = search.case.payloads
    if part.within == "multipart/alternative":  # RFC 2046 section 5.1.4: the same in several forms
        text = search.essence(payload)
        if search.alternatives.setdefault(_around(part), text) != text:
            raise MessageMalformed(reason=_OTHER_FORMS)
    known = None
    if payloads and _certainty(part):  # two files are two, and the second one is a duplicate
        text = search.essence(payload)
        known = next((each for each in payloads if search.essence(each) == text), None)
    if known is None:
        payloads.append(payload)
    else:
        known.repairs += (f"the same interchange stands in part {part.file_name or part.path} too, and counts once",)


def _around(part: Part) -> str:
    return part.path.rpartition(".")[0]


def _stands_elsewhere(part: Part, payloads: list[PayloadCase]) -> bool:
    """Whether a copy in the text that a mail client spoiled is the same, but for blanks, as a payload that is sound."""
    if part.content_type not in WORDS or part.file_name or len(part.data) > _TEXT:
        return False
    text = squeezed(without_tags(part.data) if part.content_type == "text/html" else part.data)
    sound = [each.data for each in payloads if len(each.data) <= _TEXT]
    return any(squeezed(each, find_isa(each)) in text for each in sound)


def _may_be_edi(part: Part) -> bool:
    """A damaged part counts unless it is plainly something else: a logo, or words that hold no ISA."""
    if is_disguised(part.encoded):
        return True
    if part.content_type.startswith(DECORATION):
        return False
    return part.content_type not in WORDS or bool(part.file_name) or b"ISA" in part.data


def examine(case: Case, policy: ExaminePolicy) -> None:
    """Reads and judges every interchange of every payload; fills ``interchanges``. Pure.

    What was meant as EDI and is no interchange stands among them, with the fault that says so: a payload without X12,
    or what is left around the interchanges of one.
    """
    for payload in case.payloads:
        if payload.fault is not None:
            reason = f"There is no X12 interchange: {what_instead(payload.data[:LOOK])}."
            report = x12.no_interchange(reason, 0, len(payload.data))
            payload.interchanges.append(InterchangeCase(payload.data, report, fault=payload.fault))
            continue
        reports = list(x12.examine(payload.data, policy))
        payload.interchanges += [InterchangeCase(payload.data[each.start : each.end], each) for each in reports]
        payload.interchanges += [_left(payload, each) for each in x12.leftovers(payload.data, reports)]
        payload.interchanges.sort(key=lambda each: each.report.start)


def _left(payload: PayloadCase, report: InterchangeReport) -> InterchangeCase:
    data = payload.data[report.start : report.end]
    fault = not_x12(f"{_name(payload)} (bytes {report.start + 1} to {report.end})", data)
    return InterchangeCase(data, report, fault=fault)
