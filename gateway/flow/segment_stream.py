"""The segments of a kept interchange as a stream: read from the ledger piece by piece, never held as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection

from gateway.errors import NotFound, UsageFault
from gateway.ledger import archive
from gateway.x12.isa import BLANKS, Opening
from gateway.x12.model import Separators
from gateway.x12.reader import Reader

HEADS = ("GS", "GE", "ST", "SE", "TA1", "IEA", "ISB", "ISE", "TA3")  # segments of the envelope


class RawSegment(NamedTuple):
    """One segment as written, without terminator and line end.

    ``number`` counts from the ISA (1), ``position`` from the ST of its set (0 outside); ``group`` and ``set`` are
    ordinals from 1 (0 outside). ``head`` is its tag where it belongs to the envelope, else "".
    """

    number: int
    offset: int
    text: str
    head: str
    group: int
    set: int
    position: int


@dataclass(slots=True)
class Stream:
    """An interchange that is being read. Its ISA is taken apart already; ``segments`` gives everything, once."""

    opening: Opening
    reader: Reader
    start: int  # where the ISA begins

    @property
    def marks(self) -> Separators:
        """How it is cut."""
        return self.opening.separators

    def segments(self) -> Iterator[RawSegment]:
        """All segments in order, the ISA first."""
        mark = self.marks.element
        yield RawSegment(1, self.start, f"ISA{mark}{mark.join(self.opening.fields)}", "ISA", 0, 0, 0)
        number, group, set_, position, inside = 1, 0, 0, 0, False
        prefixes = tuple(f"{tag}{mark}" for tag in HEADS)
        while (window := self.reader.window(self.marks)) is not None:
            offset = window.offset
            for piece in window.pieces:
                text = piece.strip(BLANKS)
                here, offset = offset, offset + len(piece) + 1
                if not text:
                    continue
                number += 1
                head = text.partition(mark)[0] if text.startswith(prefixes) else ""
                if head == "GS":
                    group, set_, inside = group + 1, 0, False
                elif head == "ST":
                    set_, position, inside = set_ + 1, 0, True
                elif head in {"GE", "IEA"}:
                    inside = False
                position = position + 1 if inside else 0
                here += len(piece) - len(piece.lstrip(BLANKS))
                yield RawSegment(number, here, text, head, group, set_ if inside else 0, position)
                if head == "SE":
                    inside = False


def open_stream(connection: Connection, sha256: str, number: int) -> Stream:
    """Begins to read a kept interchange.

    Raises:
        NotFound: its bytes are not kept.
        UsageFault: they hold no interchange (a receipt, for example).
        ContentPutAway, ContentErased, PayloadKeyUnreadable: its bytes cannot be had any more, or not here.
    """
    source: Any = _Source(archive.pieces_of(connection, sha256))
    if source.is_empty:
        raise NotFound(what="content", key=sha256)
    reader = Reader(source)
    opening, _ = reader.seek()
    if opening is None:
        raise UsageFault(reason=f"exchange {number} holds no X12 interchange")
    return Stream(opening, reader, reader.offset - opening.size)


class _Source:
    """Pieces of bytes behind the one method of a file that the reader asks for."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = next(pieces, b"")
        self.is_empty = not self._held

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; none at the end."""
        if not self._held:
            self._held = next(self._pieces, b"")
        given, self._held = self._held[:size], self._held[size:]
        return given
