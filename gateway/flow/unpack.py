"""Unpack: from the raw bytes of a mail to its letter and the payloads that carry X12. Pure."""

from __future__ import annotations

from gateway import x12
from gateway.errors import ContentDamaged, ContentMissing, MessageFault, MessageMalformed, NotX12
from gateway.flow.case import Case, InterchangeCase, PayloadCase
from gateway.mail.letters import open_letter
from gateway.mail.model import Part
from gateway.settings.model import Limits
from gateway.x12.model import ExaminePolicy

# What people write into a mail beside the file: absent from the list of things that look like EDI gone wrong.
_WORDS = ("text/plain", "text/html")
_DECORATION = ("image/", "text/html")  # a damaged logo is nobody's order


def unpack(case: Case, limits: Limits) -> None:
    """Opens the letter and finds its payloads, any content type that carries an ISA.

    A mail without X12 is a fault, unless it is a bounce, a receipt or an auto-reply, which carry none.
    """
    try:
        case.letter = open_letter(case.message.raw, limits)
        if case.letter.kind == "letter":
            _find_payloads(case)
    except MessageFault as fault:
        case.fault = fault


def _find_payloads(case: Case) -> None:
    assert case.letter is not None
    damaged: MessageFault | None = None
    strange: MessageFault | None = None
    alternatives: dict[str, bytes] = {}
    for part in case.letter.parts:
        if part.damage:
            if _may_be_edi(part):
                damaged = damaged or ContentDamaged(part=part.file_name or part.path, reason=part.damage)
        elif x12.sniff(part.data) < 0:
            strange = strange or _not_x12(part)
        elif not _said_before(part, alternatives):
            case.payloads.append(PayloadCase(part.path, part.file_name, part.content_type, part.data))
    if damaged is not None:
        # It may have been an interchange: nobody may call the mail done.
        raise damaged
    if not case.payloads:
        raise strange or ContentMissing()


def _may_be_edi(part: Part) -> bool:
    """A damaged part counts unless it is plainly something else: a logo, or words that hold no ISA."""
    if part.content_type.startswith(_DECORATION):
        return False
    return part.content_type not in _WORDS or bool(part.file_name) or x12.sniff(part.data) >= 0


def _said_before(part: Part, alternatives: dict[str, bytes]) -> bool:
    """Whether another form of the same text (multipart/alternative, RFC 2046 section 5.1.4) carried these bytes.

    Raises:
        MessageMalformed: the forms carry different EDI; nobody can say which is meant.
    """
    if part.within != "multipart/alternative":
        return False
    around = part.path.rpartition(".")[0]
    text = b"".join(part.data.split())
    if around not in alternatives:
        alternatives[around] = text
        return False
    if alternatives[around] != text:
        raise MessageMalformed(reason="its alternative forms carry different EDI")
    return True


def _not_x12(part: Part) -> MessageFault | None:
    """What is wrong with a part that looks like a file and is not X12; None for words and decoration."""
    found = x12.looks_like(part.data)
    name = part.file_name or part.path
    if found:
        return NotX12(name=name, reason=f"it looks like {found}")
    if part.content_type.startswith("application/edi"):
        return NotX12(name=name, reason="it carries no ISA segment, though its type says EDI")
    if part.file_name and part.content_type not in _WORDS and not part.content_type.startswith(_DECORATION):
        return NotX12(name=name, reason="it carries no ISA segment")
    return None


def examine(case: Case, policy: ExaminePolicy) -> None:
    """Reads and judges every interchange of every payload; fills ``interchanges``. Pure."""
    for payload in case.payloads:
        for report in x12.examine(payload.data, policy):
            payload.interchanges.append(InterchangeCase(payload.data[report.start : report.end], report))
