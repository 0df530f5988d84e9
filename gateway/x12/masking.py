"""ISA02 and ISA04 may hold passwords (authorization and security information): put out of sight, nothing else changed.

Only the bytes of the two elements are replaced, each by as many ``X``, so that everything stays where it was. Blank
ones are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.x12.isa import LENGTH, LONGEST, POSITIONS, TOLERATED

_SECRET = (2, 4)  # elements of the ISA
_BLANKS = b" \t\r\n\0"


def masked(data: bytes) -> bytes:
    """The bytes with the secrets of every ISA in them masked."""
    spans = list(_secrets(data))
    if not spans:
        return data
    shown = bytearray(data)
    for start, end in spans:
        shown[start:end] = b"X" * (end - start)
    return bytes(shown)


def masked_text(text: str) -> str:
    """The same for a piece of text that may quote an ISA."""
    return masked(text.encode("latin-1", "replace")).decode("latin-1") if "ISA" in text and holds_secret(text) else text


def holds_secret(data: bytes | str) -> bool:
    """Whether an ISA in it has authorization or security information."""
    raw = data.encode("latin-1", "replace") if isinstance(data, str) else data
    return next(_secrets(raw), None) is not None


def _secrets(data: bytes) -> Iterator[tuple[int, int]]:
    """Where they stand: start and end of each element that is not blank."""
    at = data.find(b"ISA")
    while at >= 0:
        for start, end in _spans(data, at):
            if data[start:end].strip(_BLANKS):
                yield start, end
        at = data.find(b"ISA", at + 3)


def _spans(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    """The two elements of an ISA at ``at``: at their fixed places, or counted where the ISA has lost its widths."""
    mark = data[at + 3 : at + 4]
    if not mark or mark.isalnum() or mark in _BLANKS:
        return
    fixed = data[at : at + LENGTH]
    held = sum(fixed[place : place + 1] == mark for place in POSITIONS)
    if held >= len(POSITIONS) - TOLERATED:
        for element in _SECRET:
            yield at + POSITIONS[element - 1] + 1, at + POSITIONS[element]
        return
    before = data[at - 1 : at] if at else b""
    if before.isalnum() or before == mark:
        return  # the end of a word, such as VISA, or an element of another segment
    parts = data[at : at + LONGEST].split(mark)
    if len(parts) <= max(_SECRET):
        return
    start = at
    for number, part in enumerate(parts[: max(_SECRET) + 1]):
        if number in _SECRET:
            yield start, start + len(part)
        start += len(part) + 1
