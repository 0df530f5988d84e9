"""Reads acknowledgments: TA1 segments, and the segments of 997 and 999 sets as they stream by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

from gateway.x12.codes import ELEMENT_CODES, GROUP_CODES, INTERCHANGE_NOTES, SEGMENT_CODES, SET_CODES, STATUS_OF_CODE
from gateway.x12.envelope import as_count
from gateway.x12.isa import BLANKS
from gateway.x12.model import GroupAck, InterchangeAck, Separators, SetAck, Status

MOST_ERRORS = 1000  # sentences kept of one set


def read_interchange_ack(elements: list[str], offset: int) -> InterchangeAck | None:
    """What a TA1 segment says, or None when it names no interchange or gives no verdict (TA101, TA104)."""
    fields = [*(each.strip() for each in elements), *[""] * 5]
    status = STATUS_OF_CODE.get(fields[4])
    if not fields[1] or status is None or status is Status.PARTIALLY_ACCEPTED:
        return None
    return InterchangeAck(fields[1], fields[2], fields[3], status, fields[5], offset)


def note_in_words(note: str) -> str:
    """TA105 in words."""
    return INTERCHANGE_NOTES.get(note, f"note {note}")


class AcknowledgmentReader:
    """Reads one 997 or 999 set, fed with its segments in order; ``finish`` gives what it says.

    Damaged acknowledgments are read as far as they go: without AK9 there is no verdict, hence no result.
    """

    def __init__(self, kind: str, separators: Separators) -> None:
        self._kind = kind
        self._marks = separators
        self._number = ""
        self._group = ("", "")
        self._sets: list[SetAck] = []
        self._set: tuple[str, str] | None = None
        self._errors: list[str] = []
        self._where = ""
        self._verdict: GroupAck | None = None

    def feed(self, pieces: Iterable[str]) -> None:
        """Takes segments without terminators."""
        for piece in pieces:
            elements = [*piece.strip(BLANKS).split(self._marks.element), *[""] * 9]
            read = self._READERS.get(elements[0])
            if read is not None:
                read(self, elements)

    def finish(self) -> GroupAck | None:
        """What was read, or None when the set gives no verdict on a group."""
        return self._verdict

    def _st(self, e: list[str]) -> None:
        self._number = e[2]

    def _ak1(self, e: list[str]) -> None:
        self._group = (e[1], e[2])

    def _ak2(self, e: list[str]) -> None:
        self._set = (e[1], e[2])
        self._errors = []

    def _segment(self, e: list[str]) -> None:
        loop = f" in loop {e[3]}" if e[3] else ""
        self._where = f"segment {e[1]} at position {e[2]}{loop}"
        self._say(f"{self._where}: {_words(SEGMENT_CODES, e[4])}" if e[4] else self._where)

    def _element(self, e: list[str]) -> None:
        place = "-".join(part for part in e[1].split(self._marks.component or ":") if part)
        known = f" (data element {e[2]})" if e[2] else ""
        copied = f", it was {e[4]!r}" if e[4] else ""
        self._say(f"{self._where}, element {place}{known}: {_words(ELEMENT_CODES, e[3])}{copied}")

    def _context(self, e: list[str]) -> None:
        """CTX: which claim or other unit, or which segment made this one necessary."""
        name, _, number = e[1].partition(self._marks.component or ":")
        if number:
            self._say(f"{self._where}, {name} is {number}")
        elif e[2]:
            loop = f" in loop {e[4]}" if e[4] else ""
            self._say(f"{self._where}, because of segment {e[2]} at position {e[3]}{loop}")

    def _set_verdict(self, e: list[str]) -> None:
        if self._set is None:
            return
        codes = tuple(code for code in e[2:7] if code)
        for code in codes:
            self._say(_words(SET_CODES, code))
        status = STATUS_OF_CODE.get(e[1], Status.REJECTED)
        self._sets.append(SetAck(*self._set, status, codes, tuple(self._errors)))
        self._set = None

    def _group_verdict(self, e: list[str]) -> None:
        self._verdict = GroupAck(
            kind=self._kind,
            functional_id=self._group[0],
            control_number=self._group[1],
            status=STATUS_OF_CODE.get(e[1], Status.REJECTED),
            included=as_count(e[2]),
            received=as_count(e[3]),
            accepted=as_count(e[4]),
            sets=tuple(self._sets),
            codes=tuple(code for code in e[5:10] if code),
            ack_control_number=self._number,
        )

    def _say(self, sentence: str) -> None:
        if len(self._errors) < MOST_ERRORS:
            self._errors.append(sentence)

    _READERS: ClassVar[Mapping[str, Callable[[AcknowledgmentReader, list[str]], None]]] = {
        "ST": _st,
        "AK1": _ak1,
        "AK2": _ak2,
        "AK3": _segment,
        "IK3": _segment,
        "CTX": _context,
        "AK4": _element,
        "IK4": _element,
        "AK5": _set_verdict,
        "IK5": _set_verdict,
        "AK9": _group_verdict,
    }


def group_codes_in_words(codes: Iterable[str]) -> list[str]:
    """AK905 to AK909 in words."""
    return [_words(GROUP_CODES, code) for code in codes]


def _words(codes: dict[str, str], code: str) -> str:
    return f"{codes.get(code, 'a reason we do not know')} (code {code})"
