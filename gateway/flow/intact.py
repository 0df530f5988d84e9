"""Is an interchange whole? The strict question asked of text that was repaired: everything must add up. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from gateway import x12
from gateway.x12.isa import LENGTH, POSITIONS, WIDTHS

_HEAD = 20_000  # bytes in which the first ISA is looked for with patience
_FALSE_ONES = 200  # after them
_WHOLE_ISA = re.compile(
    rb"ISA([^A-Za-z0-9\s])" + b"".join(rb"[^\r\n]{%d}\1" % width for width in WIDTHS[:-1]) + rb"[^\r\n].", re.DOTALL
)
# The element separator and what is between its positions, up to the segment terminator.
_MARKS = re.compile(
    rb"[^\r\n]{3}([^A-Za-z0-9\r\n])" + rb"\1".join(rb"[^\r\n]{%d}" % width for width in WIDTHS) + rb"([^A-Za-z0-9 ])"
)
_ELEMENTS = 17  # of a segment that are looked at
_LINE_ENDS = b"\r\n"
_LEAST = {b"ISA": 17, b"IEA": 3, b"GS": 9, b"GE": 3, b"ST": 3, b"SE": 3}  # elements, the tag counted


class _Open(Struct):
    """What is open at a place in an interchange, and what was counted since."""

    interchange: bytes = b""
    group: bytes = b""
    set: bytes = b""
    groups: int = 0
    sets: int = 0
    segments: int = 0


def find_isa(data: bytes) -> int:
    """The offset of the first plausible ISA, or -1: ``x12.sniff``, but bounded in a text full of false ones.

    There only an ISA with all its separators in place is found beyond the beginning.
    """
    at = x12.sniff(data[:_HEAD])
    if at >= 0 or len(data) <= _HEAD:
        return at
    if data.count(b"ISA", _HEAD - LENGTH) <= _FALSE_ONES:
        return x12.sniff(data)
    found = _WHOLE_ISA.search(data)
    return found.start() if found else -1


def terminator_at(data: bytes, at: int) -> bytes:
    """The segment terminator of the ISA at ``at``; empty unless its separators stand at all their fixed positions."""
    found = _MARKS.match(data, at) if at >= 0 else None
    if found is None:
        return b""
    element, end = found.groups()
    return b"" if data.count(element, at, at + LENGTH) != len(POSITIONS) else end


def end_of(data: bytes, at: int, element: bytes, end: bytes) -> int:
    """Where the last IEA segment after ``at`` ends, its terminator included; -1 where there is none."""
    last = data.rfind(b"IEA" + element, at)
    found = data.find(end, last) if last >= 0 else -1
    return found + len(end) if found >= 0 else -1


def is_intact(data: bytes) -> bool:
    """Whether every interchange is whole: an ISA of 106 characters, counts, control numbers, no broken segment.

    What stands before the first and after the last does not matter.
    """
    at = find_isa(data)
    if at < 0:
        return False
    state = _Open()
    done = 0
    for elements in _segments(data, at):
        if elements is None or not _step(state, elements):
            return False
        done += elements[0] == b"IEA"
    return done > 0 and not state.interchange


def _segments(data: bytes, at: int) -> Iterator[list[bytes] | None]:
    """The segments of all interchanges as elements; None where the text cannot be cut."""
    while True:
        end = terminator_at(data, at)
        if not end:
            yield None
            return
        element = data[at + 3 : at + 4]
        tag = b""
        while tag != b"IEA":
            stop = data.find(end, at)
            segment = data[at:stop].lstrip(_LINE_ENDS) if stop >= 0 else b"\n"
            if b"\n" in segment or b"\r" in segment:
                yield None
                return
            elements = segment.split(element, _ELEMENTS)
            tag, at = elements[0], stop + 1
            yield elements
        while data[at : at + 1] in {b"\r", b"\n", b" "}:
            at += 1
        if data[at : at + 3] != b"ISA":
            return


def _step(state: _Open, elements: list[bytes]) -> bool:
    """Takes one segment; false where it does not fit."""
    tag = elements[0]
    if len(elements) < _LEAST.get(tag, 1) or not tag.isalnum():
        return False
    if tag not in _LEAST:
        state.segments += 1
        return bool(state.set) or (tag == b"TA1" and bool(state.interchange) and not state.group)
    return _STEPS[tag](state, elements)


def _isa(state: _Open, elements: list[bytes]) -> bool:
    fits = not state.interchange
    state.interchange, state.groups = elements[13], 0
    return fits


def _gs(state: _Open, elements: list[bytes]) -> bool:
    fits = bool(state.interchange) and not state.group
    state.group, state.sets = elements[6], 0
    state.groups += 1
    return fits and bool(state.group)


def _st(state: _Open, elements: list[bytes]) -> bool:
    fits = bool(state.group) and not state.set
    state.set, state.segments = elements[2], 1
    state.sets += 1
    return fits and bool(state.set)


def _se(state: _Open, elements: list[bytes]) -> bool:
    number, state.set = state.set, b""
    return bool(number) and elements[2] == number and _counts(elements[1], state.segments + 1)


def _ge(state: _Open, elements: list[bytes]) -> bool:
    number, state.group = state.group, b""
    return bool(number) and not state.set and elements[2] == number and _counts(elements[1], state.sets)


def _iea(state: _Open, elements: list[bytes]) -> bool:
    number, state.interchange = state.interchange, b""
    return bool(number) and not state.group and elements[2] == number and _counts(elements[1], state.groups)


_STEPS = {b"ISA": _isa, b"GS": _gs, b"ST": _st, b"SE": _se, b"GE": _ge, b"IEA": _iea}


def _counts(written: bytes, counted: int) -> bool:
    return len(written) <= 10 and written.isdigit() and int(written) == counted
