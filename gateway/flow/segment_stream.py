"""The segments of a kept interchange as a stream: read from the ledger piece by piece, never held as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from msgspec import Struct
from sqlalchemy import Connection

from gateway.errors import NotFound, UsageFault
from gateway.ledger import archive
from gateway.x12.isa import BLANKS, Opening
from gateway.x12.model import Separators
from gateway.x12.reader import Reader

_LONG_HEADS = ("TA1", "TA3", "IEA", "ISB", "ISE")
_SHORT_HEADS = ("GS", "GE", "ST", "SE")


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


class Cut(NamedTuple):
    """Segments in a row: ``number`` is that of the first one, ``heads`` tells which belong to the envelope."""

    number: int
    offset: int
    pieces: Sequence[str]
    texts: Sequence[str]  # the pieces without blanks around them, and without empty ones
    heads: Sequence[tuple[int, str]]  # place in ``texts``, tag


class Place(Struct):
    """Where in the envelope a stream stands: ordinals of the group and the set, how many segments of it were passed."""

    group: int = 0
    set: int = 0
    inside: bool = False
    position: int = 0

    def skip(self, cut: Cut) -> None:
        """Passes over all segments of a cut."""
        begun = -self.position
        for index, head in cut.heads:
            self._pass(head)
            if head == "ST":
                begun = index
        self.position = len(cut.texts) - begun if self.inside else 0

    def segments(self, cut: Cut) -> Iterator[RawSegment]:
        """The segments of a cut, each with where it stands."""
        heads = dict(cut.heads)
        offset, index = cut.offset, 0
        for piece in cut.pieces:
            here, offset = offset + len(piece) - len(piece.lstrip(BLANKS)), offset + len(piece) + 1
            text = piece.strip(BLANKS)
            if not text:
                continue
            head = heads.get(index, "")
            was_inside = self.inside
            self._pass(head)
            inside = self.inside or (head == "SE" and was_inside)
            self.position = (0 if head == "ST" else self.position) + 1 if inside else 0
            yield RawSegment(cut.number + index, here, text, head, self.group, self.set if inside else 0, self.position)
            index += 1

    def _pass(self, head: str) -> None:
        if head == "ST":
            self.set, self.inside = self.set + 1, True
        elif head == "GS":
            self.group, self.set, self.inside = self.group + 1, 0, False
        elif head in {"SE", "GE", "IEA"}:
            self.inside = False


class Stream(Struct):
    """An interchange that is being read. Its ISA is taken apart already; ``cuts`` gives everything, once."""

    opening: Opening
    reader: Reader
    start: int  # where the ISA begins

    @property
    def marks(self) -> Separators:
        """How it is cut."""
        return self.opening.separators

    def cuts(self) -> Iterator[Cut]:
        """All segments in order, many at a time; the ISA alone comes first."""
        mark = self.marks.element
        isa = f"ISA{mark}{mark.join(self.opening.fields)}"
        yield Cut(1, self.start, (isa,), (isa,), ((0, "ISA"),))
        number = 2
        begins = frozenset((*_LONG_HEADS, *(f"{tag}{mark}" for tag in _SHORT_HEADS)))
        while (window := self.reader.window(self.marks)) is not None:
            texts = [text for piece in window.pieces if (text := piece.strip(BLANKS))]
            found = [(index, text.partition(mark)[0]) for index, text in enumerate(texts) if text[:3] in begins]
            heads = [each for each in found if each[1] in _LONG_HEADS or each[1] in _SHORT_HEADS]
            yield Cut(number, window.offset, window.pieces, texts, heads)
            number += len(texts)


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
        self._held = memoryview(next(pieces, b""))
        self.is_empty = not self._held

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; none at the end."""
        if not self._held:
            self._held = memoryview(next(self._pieces, b""))
        given, self._held = self._held[:size], self._held[size:]
        return bytes(given)
