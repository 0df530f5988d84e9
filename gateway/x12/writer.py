"""Writes interchanges: envelopes with the right widths, counts and numbers around bodies that are only translated.

Bodies are never parsed on the way out. Separators are exchanged in bulk (``str.translate``); a body that
already contains a separator of the target as data is refused, and only then looked at segment by segment.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from gateway.errors import DocumentFault, SeparatorInData
from gateway.x12.binary import has_binary, split_binary
from gateway.x12.drafts import DraftGroup, DraftInterchange, DraftSet
from gateway.x12.facts import groups
from gateway.x12.isa import has_repetition
from gateway.x12.model import Header, Separators

_LONG_DATES_FROM = "004010"
_NAME = "Interchange"


def functional_id_for(set_id: str) -> str:
    """GS01 of a transaction set.

    Raises:
        DocumentFault: no version of the standard knows the set.
    """
    found = groups().get(set_id)
    if found is None:
        raise DocumentFault(name=f"Transaction set {set_id}", reason="no version of X12 knows this set")
    return found


def write_interchange(draft: DraftInterchange, separators: Separators) -> bytes:
    """The bytes of an interchange, Latin-1, every segment followed by ``separators.suffix``.

    Sets are numbered 0001, 0002 … within their group. ISA11 is the repetition separator from 00402 on,
    before that ``U``.

    Raises:
        SeparatorInData: an element contains a separator.
        DocumentFault: a header field does not fit its width, or a character is not Latin-1.
    """
    marks = _fitting(separators, draft.header.version)
    end = marks.segment + marks.suffix
    parts = [_isa(draft, marks), end]
    for elements in draft.interchange_acks:
        parts += [_segment("TA1", elements, marks), end]
    for group in draft.groups:
        _write_group(group, draft, marks, end, parts)
    number = _number(draft.header.control_number)
    parts += [_segment("IEA", (str(len(draft.groups)), number), marks), end]
    text = "".join(parts)
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as problem:
        sign = text[problem.start]
        raise DocumentFault(name=_NAME, reason=f"the character {sign!r} is not Latin-1") from None


def write_set(draft: DraftSet, number: str, separators: Separators) -> str:
    """One transaction set, ST to SE, as text.

    Raises:
        SeparatorInData: an element contains a separator.
    """
    end = separators.segment + separators.suffix
    head = (draft.set_id, number, draft.implementation)
    body = _translated(draft, separators)
    tail = _segment("SE", (str(draft.segments + 2), number), separators)
    return f"{_segment('ST', head, separators)}{end}{body}{tail}{end}"


def _fitting(separators: Separators, version: str) -> Separators:
    repetition = separators.repetition if has_repetition(version) else ""
    marks = Separators(separators.element, separators.component, separators.segment, repetition, separators.suffix)
    used = [marks.element, marks.component, marks.segment, *([repetition] if repetition else [])]
    if len(set(used)) != len(used) or any(len(each) != 1 or each.isalnum() or each == " " for each in used):
        raise DocumentFault(name=_NAME, reason=f"the separators {used} must be different single signs")
    if marks.suffix.strip("\r\n") or any(each in marks.suffix for each in used[:2]):
        raise DocumentFault(name=_NAME, reason="only line ends may follow the segment terminator")
    return marks


def _write_group(group: DraftGroup, draft: DraftInterchange, marks: Separators, end: str, parts: list[str]) -> None:
    long_dates = group.version >= _LONG_DATES_FROM
    day, time = _date(draft, long=long_dates), _time(draft)
    number = str(group.control_number)
    head = (group.functional_id, group.sender, group.receiver, day, time, number, group.agency, group.version)
    parts += [_segment("GS", head, marks), end]
    parts += [write_set(each, f"{n:04}", marks) for n, each in enumerate(group.sets, 1)]
    parts += [_segment("GE", (str(len(group.sets)), number), marks), end]


def _date(draft: DraftInterchange, *, long: bool) -> str:
    if draft.moment is not None:
        return _written(draft.moment)[not long]
    return f"20{draft.header.date}" if long else draft.header.date


def _time(draft: DraftInterchange) -> str:
    return draft.header.time if draft.moment is None else _written(draft.moment)[2]


@lru_cache(maxsize=64)
def _written(moment: datetime) -> tuple[str, str, str]:
    """A moment as long date, short date and time; all interchanges of a transaction have the same one."""
    return moment.strftime("%Y%m%d"), moment.strftime("%y%m%d"), moment.strftime("%H%M")


def _number(text: str) -> str:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise DocumentFault(name=_NAME, reason=f"the control number {text!r} is not one to nine digits")
    return text.zfill(9)


def _isa(draft: DraftInterchange, marks: Separators) -> str:
    h: Header = draft.header
    fields = (
        ("ISA01", h.authorization_qualifier, 2),
        ("ISA02", h.authorization, 10),
        ("ISA03", h.security_qualifier, 2),
        ("ISA04", h.security, 10),
        ("ISA05", h.sender.qualifier, 2),
        ("ISA06", h.sender.id, 15),
        ("ISA07", h.receiver.qualifier, 2),
        ("ISA08", h.receiver.id, 15),
        ("ISA09", _date(draft, long=False), 6),
        ("ISA10", _time(draft), 4),
        ("ISA11", marks.repetition or "U", 1),
        ("ISA12", h.version, 5),
        ("ISA13", _number(h.control_number), 9),
        ("ISA14", "1" if h.acknowledgment_requested else "0", 1),
        ("ISA15", h.usage, 1),
    )
    for name, value, width in fields:
        if len(value) > width:
            raise DocumentFault(name=_NAME, reason=f"{name} {value!r} is longer than {width} characters")
    if _has_mark("".join([value for name, value, _ in fields if name != "ISA11"]), marks):
        for name, value, _ in fields:
            if name != "ISA11":
                _refuse(value, marks, name)
    return marks.element.join(("ISA", *[value.ljust(width) for _, value, width in fields], marks.component))


def _segment(tag: str, elements: tuple[str, ...], marks: Separators) -> str:
    if _has_mark("".join(elements), marks):
        for number, each in enumerate(elements, 1):
            _refuse(each, marks, f"{tag}{number:02}")
    return marks.element.join((tag, *elements)).rstrip(marks.element)


def _has_mark(text: str, marks: Separators) -> bool:
    """Whether a separator is in it: asked of all elements at once, since hardly ever one is."""
    return (
        marks.element in text
        or marks.segment in text
        or marks.component in text
        or bool(marks.repetition and marks.repetition in text)
    )


def _refuse(value: str, marks: Separators, name: str) -> None:
    for mark in (marks.element, marks.segment, marks.component, marks.repetition):
        if mark and mark in value:
            raise SeparatorInData(name=_NAME, position=name, separator=mark)


# ---------------------------------------------------------------- bodies


@lru_cache(maxsize=256)
def _exchange(source: Separators, target: Separators) -> tuple[dict[int, str], str]:
    """How characters change from source to target, and which characters the body must not contain."""
    pairs = {source.element: target.element, source.segment: target.segment + target.suffix}
    if source.component:
        pairs[source.component] = target.component
    if source.repetition and target.repetition:
        pairs[source.repetition] = target.repetition
    wanted = {target.element, target.component, target.segment, target.repetition} - {""}
    forbidden = wanted - set(pairs)
    if source.repetition and not target.repetition:
        forbidden.add(source.repetition)
    return {ord(a): b for a, b in pairs.items() if a != b}, "".join(sorted(forbidden))


def _translated(draft: DraftSet, target: Separators) -> str:
    table, forbidden = _exchange(draft.separators, target)
    body = draft.body
    if has_binary(body, draft.separators):
        return _translated_piecewise(draft, target)
    for mark in forbidden:
        if mark in body:
            raise SeparatorInData(name=f"Transaction set {draft.set_id}", position=_place(draft, mark), separator=mark)
    return body.translate(table) if table else body


def _translated_piecewise(draft: DraftSet, target: Separators) -> str:
    """As ``_translated``, leaving the payloads of binary segments as they are."""
    table, forbidden = _exchange(draft.separators, target)
    done = []
    for text, binary in split_binary(draft.body, draft.separators):
        for mark in forbidden if not binary else "":
            if mark in text:
                place = _place(draft, mark)
                raise SeparatorInData(name=f"Transaction set {draft.set_id}", position=place, separator=mark)
        done.append(text if binary else text.translate(table))
    return "".join(done)


def _place(draft: DraftSet, mark: str) -> str:
    """Where a character stands first, for people: ``MSG01 (segment 7)``."""
    marks = draft.separators
    at = draft.body.find(mark)
    start = draft.body.rfind(marks.segment, 0, at) + 1
    ordinal = draft.body.count(marks.segment, 0, at) + 2
    head = draft.body[start:at]
    return f"{head.split(marks.element, 1)[0]}{head.count(marks.element):02} (segment {ordinal})"
