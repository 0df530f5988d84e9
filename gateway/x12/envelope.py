"""What the envelope segments may hold: the fields of ISA and GS, each with the code a TA1 or 997 reports.

Pure checks that give findings; counts and control numbers over several segments are the examiner's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date

from gateway.words import count
from gateway.x12.isa import Opening, has_repetition
from gateway.x12.model import Finding, Level, Separators

CLIP = 99
_DAY = "(?:(?:0[1-9]|1[0-2])(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])(?:29|30)|(?:0[13578]|1[02])31)"  # no leap days
_MINUTE = "(?:[01][0-9]|2[0-3])[0-5][0-9]"
_QUALIFIER = "(?:0[1-9]|[123][0-9]|AM|NR|SA|SN|ZZ)"
# Elements 1 to 15 of an ISA, and 2 to 8 of a GS, with which nothing is wrong: most of those that come are of this form.
_SOUND_ISA = re.compile(
    "\0".join(
        (
            *("00", "[ -~]{10}") * 2,
            *(_QUALIFIER, "(?! {15})[ -~]{15}") * 2,
            "[0-9]{2}" + _DAY,
            _MINUTE,
            "[!-~]",
            "00[2-9][0-9]{2}",
            "(?!0{9})[0-9]{9}",
            "[01]",
            "[PTI]",
        )
    )
)
_SOUND_GS = re.compile(
    "\0".join(
        (
            *("[ -~]{2,15}",) * 2,
            "(?:19|20)?[0-9]{2}" + _DAY,
            _MINUTE + "(?:[0-5][0-9](?:[0-9]{1,2})?)?",
            "[0-9]{1,9}",
            "[XT]",
            "00[1-9][0-9]{3}[A-Z0-9]{0,6}",
        )
    )
)
_SECRET = (2, 4)  # elements of the ISA that may hold a password: no finding quotes them

_AUTHORIZATION = frozenset(f"{n:02}" for n in range(9))  # I01
_SECURITY = frozenset(("00", "01"))  # I03
_QUALIFIERS = frozenset((*(f"{n:02}" for n in range(1, 40)), "AM", "NR", "SA", "SN", "ZZ"))  # I05
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_INTERCHANGE_VERSION = re.compile(r"\d{5}")
_SUPPORTED_VERSION = re.compile(r"00[2-9]\d\d")
_GRADES = frozenset("012")  # I34
_ZONES = frozenset(  # I37
    (*(f"{n:02}" for n in range(1, 25)), *"CD CS CT ED ES ET GM LT MD MS MT PD PS PT UT".split())  # noqa: SIM905
)
_GROUP_VERSION = re.compile(r"00[1-9]\d{3}[A-Z0-9]{0,6}")
_GROUP_NUMBER = re.compile(r"\d{1,9}")
_GROUP_TIME = re.compile(r"([01]\d|2[0-3])[0-5]\d([0-5]\d(\d{1,2})?)?")
FIELD_NAMES = (
    "authorization qualifier",
    "authorization information",
    "security qualifier",
    "security information",
    "sender qualifier",
    "sender id",
    "receiver qualifier",
    "receiver id",
    "date",
    "time",
    "standards identifier or repetition separator",
    "version",
    "control number",
    "acknowledgment request",
    "usage indicator",
    "component separator",
)
_FIELD_NOTES = (
    "010 011 012 013 005 006 007 008 014 015 016 017 018 019 020 027".split()  # noqa: SIM905 - reads as a row
)

_NOTES = {
    "standard-unsupported": "002",
    "version-unsupported": "003",
}  # where another note than the element's tells more


def envelope_finding(
    scope: str,
    code: str,
    message: str,
    x12: str = "",
    *,
    level: Level = Level.ERROR,
    segment: str = "",
    element: int = 0,
    offset: int = -1,
    value: str = "",
) -> Finding:
    """A finding on an envelope segment."""
    return Finding(
        level, code, message, scope, x12, segment=segment, element=element, offset=offset, value=value[:CLIP]
    )


def extra_element(elements: Sequence[str], most: int) -> int:
    """The number of the first element that a segment of ``most`` has too many, or 0; empty ones do not count."""
    if len(elements) <= most + 1:
        return 0
    return next((n for n, each in enumerate(elements[most + 1 :], most + 1) if each.strip()), 0)


def separator_faults(marks: Separators) -> str:
    """Why nothing can be cut with these separators, as a sentence, or an empty text."""
    element, segment = marks.element, marks.segment
    if segment == element:
        return f"The segment terminator is the element separator ({element!r})."
    if segment.isalnum() or segment == " ":
        return f"The segment terminator (character 106 of the ISA) is {segment!r}, which occurs in data."
    if element == " ":
        return "The element separator (character 4 of the ISA) is a blank, which occurs in data."
    return ""


def check_isa(opening: Opening, offset: int) -> Iterator[Finding]:
    """Every fault of an ISA segment, in the order of its elements."""

    def fault(number: int, code: str, message: str, *, level: Level = Level.ERROR) -> Finding:
        return envelope_finding(
            "interchange",
            f"interchange.{code}",
            f"ISA{number:02} ({FIELD_NAMES[number - 1]}) {message}",
            _NOTES.get(code, _FIELD_NOTES[number - 1]),
            level=level,
            segment="ISA",
            element=number,
            offset=offset,
            value="" if number in _SECRET else opening.fields[number - 1],
        )

    if _is_sound(opening):
        return
    if opening.damaged:
        places = ", ".join(str(place + 1) for place in opening.damaged)
        yield envelope_finding(
            "interchange",
            "interchange.isa-damaged",
            f"Character {places} of the ISA should be the element separator {opening.separators.element!r}.",
            "026",
            segment="ISA",
            offset=offset,
        )
    for number in opening.wrong_widths:
        if number != 16:
            yield fault(
                number, "isa-length", f"has {count(len(opening.fields[number - 1]), 'character')}, its width is fixed"
            )
    yield from (fault(*each) for each in _values_amiss(opening))
    yield from (fault(*each, level=Level.WARNING) for each in _values_odd(opening))


def _is_sound(opening: Opening) -> bool:
    """Whether there is plainly nothing wrong with an ISA, seen at one glance; false where that takes a closer look."""
    marks = opening.separators
    if opening.damaged or not _SOUND_ISA.fullmatch("\0".join(opening.fields[:15])):
        return False
    if not (marks.repetition if has_repetition(opening.fields[11]) else opening.fields[10] == "U"):
        return False
    return _separates_components(marks)


def _values_amiss(opening: Opening) -> Iterator[tuple[int, str, str]]:
    f = [each.strip() for each in opening.fields]
    for number, code, is_good, what in _RULES:
        if not is_good(f[number - 1]):
            yield number, code, f"is {f[number - 1]!r}, {what}"
    if _INTERCHANGE_VERSION.fullmatch(f[11]) and not _SUPPORTED_VERSION.fullmatch(f[11]):
        yield 12, "version-unsupported", f"is {f[11]!r}, which is no version that is supported"
    for number in (2, 4, 6, 8):
        if _CONTROL.search(opening.fields[number - 1]):
            yield number, "characters", "contains a control character"
    if not _separates_components(opening.separators):
        yield 16, "component-separator", f"is {opening.separators.component!r}, which cannot separate components"


def _separates_components(marks: Separators) -> bool:
    mark = marks.component
    return len(mark) == 1 and not mark.isalnum() and mark not in (" ", marks.element, marks.segment, marks.repetition)


def _values_odd(opening: Opening) -> Iterator[tuple[int, str, str]]:
    """What is against the letter but harms nobody: the interchange is accepted with errors."""
    f = [each.strip() for each in opening.fields]
    for number in (5, 7):
        if f[number - 1] not in _QUALIFIERS and f[number - 1].zfill(2) in _QUALIFIERS:
            yield number, "qualifier-width", f"is {f[number - 1]!r}, it should be {f[number - 1].zfill(2)!r}"
    if has_repetition(f[11]):
        if not opening.separators.repetition:
            yield 11, "repetition-separator", f"is {f[10]!r}, which cannot separate repetitions in version {f[11]}"
    elif f[10] != "U":
        code = "standard-unsupported" if f[10].isalnum() else "standards-identifier"
        yield 11, code, f"is {f[10]!r}, in version {f[11]} it must be U"
    for number, none, what in ((1, "00", "authorization"), (3, "00", "security")):
        if f[number - 1] != none and not f[number]:
            yield number + 1, f"{what}-missing", f"is blank, and ISA{number:02} is {f[number - 1]!r}"


def check_service(elements: Sequence[str], offset: int) -> Iterator[Finding]:
    """What is wrong with a request for a grade of service (ISB) or a deferred delivery (ISE). It is never heeded."""
    fields = [*(each.strip() for each in elements), "", "", ""]
    rules: dict[str, tuple[tuple[str, str, Callable[[str], object]], ...]] = {
        "ISB": (("grade of service", "031", _GRADES.__contains__),),
        "ISE": (
            ("delivery date", "028", _is_interchange_date),
            ("delivery time", "029", _is_interchange_time),
            ("delivery time code", "030", lambda text: not text or text in _ZONES),
        ),
    }
    for number, (what, note, is_good) in enumerate(rules[fields[0]], 1):
        if not is_good(fields[number]):
            yield envelope_finding(
                "interchange",
                "interchange.service-request",
                f"{fields[0]}{number:02} ({what}) is {fields[number][:CLIP]!r}, which is invalid and without effect.",
                note,
                level=Level.WARNING,
                segment=fields[0],
                element=number,
                offset=offset,
                value=fields[number],
            )


def check_gs(fields: Sequence[str], offset: int, known_groups: frozenset[str]) -> Iterator[Finding]:
    """Every fault of a GS segment given as its elements (``fields[0]`` is GS), padded to nine."""
    if fields[1] in known_groups and _SOUND_GS.fullmatch("\0".join(fields[2:9])):
        return iter(())
    return _gs_faults(fields, offset, known_groups)


def _gs_faults(fields: Sequence[str], offset: int, known_groups: frozenset[str]) -> Iterator[Finding]:

    def fault(number: int, code: str, message: str, x12: str = "", level: Level = Level.ERROR) -> Finding:
        return envelope_finding(
            "group",
            f"group.{code}",
            f"GS{number:02} {message}",
            x12,
            level=level,
            segment="GS",
            element=number,
            offset=offset,
            value=fields[number],
        )

    if fields[1] not in known_groups:
        yield fault(1, "unknown", f"(functional identifier) is {fields[1]!r}, which is no known group", "1")
    for number, what in ((2, "sender"), (3, "receiver")):
        if not 2 <= len(fields[number]) <= 15 or _CONTROL.search(fields[number]):
            level = Level.WARNING if fields[number].strip() else Level.ERROR
            yield fault(number, what, f"(application {what}) must be 2 to 15 characters", level=level)
    if not valid_date(fields[4]):
        yield fault(4, "date", f"is {fields[4]!r}, which is no date CCYYMMDD", level=Level.WARNING)
    if not _GROUP_TIME.fullmatch(fields[5]):
        yield fault(5, "time", f"is {fields[5]!r}, which is no time HHMM, HHMMSS or HHMMSSDD", level=Level.WARNING)
    if not _GROUP_NUMBER.fullmatch(fields[6]):
        yield fault(6, "control-number", f"is {fields[6]!r}, it must be one to nine digits", "6")
    if fields[7] not in ("X", "T"):
        yield fault(7, "agency", f"is {fields[7]!r}, which is neither X nor T", level=Level.WARNING)
    if not _GROUP_VERSION.fullmatch(fields[8]):
        yield fault(8, "version", f"is {fields[8]!r}, which is no version of the standard such as 004010", "2")


def valid_date(text: str) -> bool:
    """Whether ``text`` is a real day as YYMMDD or CCYYMMDD."""
    if len(text) not in (6, 8) or not (text.isascii() and text.isdigit()):
        return False
    year = int(text[:-4]) if len(text) == 8 else 2000 + int(text[:2])
    try:
        date(year, int(text[-4:-2]), int(text[-2:]))
    except ValueError:
        return False
    return True


def as_count(text: str) -> int | None:
    """A count as written in SE01, GE01 or IEA01, or None if it is none."""
    text = text.strip()
    return int(text) if 0 < len(text) <= 10 and text.isascii() and text.isdigit() else None


def same_number(one: str, other: str) -> bool:
    """Whether two numeric control numbers are equal as numbers (leading zeros do not count)."""
    return one.isascii() and other.isascii() and one.isdigit() and other.isdigit() and int(one) == int(other)


def _is_qualifier(text: str) -> bool:
    return text.zfill(2) in _QUALIFIERS


def _is_interchange_date(text: str) -> bool:
    return len(text) == 6 and valid_date(text)


def _is_interchange_time(text: str) -> bool:
    return len(text) == 4 and _GROUP_TIME.fullmatch(text) is not None


def _is_control_number(text: str) -> bool:
    return len(text) == 9 and text.isascii() and text.isdigit() and int(text) > 0


# The values of an ISA: element, our code, what holds of a good value, what is wrong with another.
_RULES: tuple[tuple[int, str, Callable[[str], object], str], ...] = (
    (1, "authorization", _AUTHORIZATION.__contains__, "which is not in the list 00 to 08"),
    (3, "security", _SECURITY.__contains__, "which is neither 00 nor 01"),
    (5, "sender-qualifier", _is_qualifier, "which is not a known qualifier"),
    (6, "sender-id", bool, "it must not be blank"),
    (7, "receiver-qualifier", _is_qualifier, "which is not a known qualifier"),
    (8, "receiver-id", bool, "it must not be blank"),
    (9, "date", _is_interchange_date, "which is no date YYMMDD"),
    (10, "time", _is_interchange_time, "which is no time HHMM"),
    (12, "version", _INTERCHANGE_VERSION.fullmatch, "which is no version of the standard such as 00401 or 00501"),
    (13, "control-number", _is_control_number, "it must be nine digits and not zero"),
    (14, "acknowledgment-request", {"0", "1"}.__contains__, "which is neither 0 nor 1"),
    (15, "usage", {"P", "T", "I"}.__contains__, "which is neither P, T nor I"),
)
