"""Cuts a stream of bytes into interchanges, and these into windows of whole segments.

Memory is bounded by the chunk and by ``LONGEST_SEGMENT``, whatever the stream holds. Nothing is judged
here; the reader only says what it had to skip or cut, and where.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import BinaryIO

from msgspec import Struct

from gateway.x12.binary import binary_head
from gateway.x12.isa import BLANKS, LENGTH, LONGEST, Opening, ends_segment, loose_opening_at, opening_at
from gateway.x12.model import Separators
from gateway.x12.scan import find

CHUNK = 1 << 18
LONGEST_SEGMENT = 1 << 20  # characters; BIN and BDS may be longer
KEPT = 4096  # characters that are kept of a segment that is longer
BINARY_HEAD = 64  # characters in which a binary segment must have told its length
SAMPLE = 200  # bytes that are kept of what stands between interchanges
STAND_IN = 64  # characters that stand for the payload of a binary segment

UNTERMINATED = "unterminated"
TOO_LONG = "too-long"
BINARY_LENGTH = "binary-length"

_BLANK_BYTES = BLANKS.encode("latin-1")
_BYTE_ORDER_MARK = "\xef\xbb\xbf"


class Window(Struct, frozen=True):
    """Whole segments without their terminators, from byte ``offset`` up to ``end``.

    ``trouble`` says what is wrong with the last one: it has no terminator, it was too long and has been
    clipped, or its declared binary length is not what stands there.
    """

    pieces: Sequence[str]
    offset: int
    end: int
    trouble: str = ""


class Skipped(Struct, frozen=True):
    """What stood between interchanges: how many bytes but for blanks around them, the first of them, and where."""

    count: int = 0
    sample: bytes = b""
    offset: int = -1


class Reader:
    """A cursor on a stream. ``base`` is the byte offset of ``text[0]``, ``pos`` the cursor within ``text``."""

    __slots__ = ("_chunk", "_inner", "_keep_binary", "_memory", "_plain", "_source", "base", "ended", "pos", "text")

    def __init__(self, source: bytes | BinaryIO, chunk: int = CHUNK, *, keep_binary: bool = False) -> None:
        self._source = BytesIO(source) if isinstance(source, bytes | bytearray | memoryview) else source
        self._chunk = max(1, chunk)
        self._keep_binary = keep_binary
        self.text = ""
        self.base = 0
        self.pos = 0
        self.ended = False
        self._inner = -1  # offset of an ISA that was found before the cursor reached it
        self._plain = -1  # offset of a BIN that is none
        self._memory: dict[str, tuple[int, int, int]] = {}

    @property
    def offset(self) -> int:
        """The byte offset of the cursor."""
        return self.base + self.pos

    def move_to(self, offset: int) -> None:
        """Puts the cursor on a byte of the text that is still held."""
        self.pos = offset - self.base

    def peek(self, size: int) -> str:
        """The next ``size`` characters, fewer at the end."""
        while len(self.text) - self.pos < size and self._more():
            pass
        return self.text[self.pos : self.pos + size]

    def _more(self) -> bool:
        """Drops what lies behind the cursor and reads on. False at the end of the stream."""
        if self.ended:
            return False
        data = self._source.read(self._chunk)
        if not data:
            self.ended = True
            return False
        self.text = self.text[self.pos :] + data.decode("latin-1")
        self.base += self.pos
        self.pos = 0
        return True

    # ------------------------------------------------------------ between interchanges

    def seek(self) -> tuple[Opening | None, Skipped]:
        """Moves behind the next ISA. Gives the ISA (None at the end of the stream) and what was skipped."""
        junk = Skipped()
        while True:
            found = self._first_opening()
            upto = found.at if found else self._safe_end()
            junk = _add(junk, self.text[self.pos : upto], self.offset)
            self.pos = upto
            if found is not None:
                self.pos += found.size
                return found, junk
            if self.ended:
                return None, junk
            self._more()

    def _safe_end(self) -> int:
        """How far the text may be dropped: an ISA might begin in its last characters."""
        return len(self.text) if self.ended else max(self.pos, len(self.text) - LONGEST)

    def _first_opening(self) -> Opening | None:
        text = self.text
        at = text.find("ISA", self.pos)
        while at >= 0:
            if at + LONGEST > len(text) and not self.ended:
                return None
            found = opening_at(text, at) or loose_opening_at(text, at)
            if found is not None:
                return found
            at = text.find("ISA", at + 3)
        return None

    # ------------------------------------------------------------ inside an interchange

    def window(self, marks: Separators) -> Window | None:
        """The next whole segments, up to the next IEA, binary segment or ISA. None before an ISA and at the end."""
        while True:
            if self._inner == self.offset:
                return None
            text, pos = self.text, self.pos
            end = self._end_of_segments(marks)
            if self._undecided(end) and self._more():
                continue
            binary = self._binary(marks, end or len(text))
            if binary >= 0 and not text[pos:binary].strip(BLANKS):
                self.pos = binary  # blanks between segments are no segment
                return self._binary_segment(marks)
            inner = self._inner_opening(binary if binary > 0 else end or len(text))
            if inner >= 0:
                end = text.rfind(marks.segment, pos, inner) + 1
                self._inner = self.base + inner
                return self._cut(marks, end) if end > 0 else self._rest(inner)
            if binary > pos:
                end = text.rfind(marks.segment, pos, binary) + 1
            if end:
                return self._cut(marks, end)
            if self.ended:
                return self._rest(len(text))
            if len(text) - pos > LONGEST_SEGMENT:
                return self._long_segment(marks)
            self._more()

    def _end_of_segments(self, marks: Separators) -> int:
        """Behind the terminator of the next IEA, or of the last whole segment that is held; 0 if there is none."""
        text, pos = self.text, self.pos
        trailer = self._find("IEA" + marks.element, pos, len(text))
        if trailer >= 0:
            end = text.find(marks.segment, trailer)
            if end >= 0:
                return end + 1
        return text.rfind(marks.segment, pos) + 1

    def _undecided(self, limit: int) -> bool:
        """Whether an ISA may begin before ``limit`` and not all of it is held yet."""
        size = len(self.text)
        if self.ended or limit <= size - LENGTH or size - self.pos > LONGEST_SEGMENT:
            return False
        return self.text.find("ISA", max(self.pos, size - LENGTH), limit or size) >= 0

    def _inner_opening(self, limit: int) -> int:
        """Where an ISA begins before ``limit``, or -1."""
        text = self.text
        at = self._find("ISA", self.pos, limit)
        while at >= 0:
            if opening_at(text, at) is not None:
                return at
            if _begins_segment(text, at, self.pos) and loose_opening_at(text, at) is not None:
                return at
            at = self._find("ISA", at + 3, limit)
        return -1

    def _find(self, needle: str, start: int, limit: int) -> int:
        """``text.find``, which remembers what it knows, so that many short windows do not search the same text again.

        ``_memory`` holds, as byte offsets: there is no needle from the first up to the second (the next needle,
        or -1), or if there is none, up to the third.
        """
        begin, end = self.base + start, self.base + limit
        known_from, hit, known_to = self._memory.get(needle, (0, -1, 0))
        if known_from <= begin and hit >= begin:
            return hit - self.base if hit + len(needle) <= end else -1
        search = begin
        if hit < 0 and known_from <= begin < known_to:
            if end <= known_to:
                return -1
            search = max(begin, known_to - len(needle) + 1)
            begin = known_from
        found = find(self.text, needle, search - self.base, limit)
        self._memory[needle] = (begin, found + self.base if found >= 0 else -1, end)
        return found

    def _cut(self, marks: Separators, end: int) -> Window:
        pieces = self.text[self.pos : end - 1].split(marks.segment)
        offset = self.offset
        self.pos = end
        return Window(pieces, offset, self.offset)

    def _rest(self, end: int) -> Window | None:
        """What stands without a terminator before ``end``."""
        piece, offset = self.text[self.pos : end], self.offset
        self.pos = end
        if not piece.strip(BLANKS):
            return None
        return Window((piece,), offset, self.offset, UNTERMINATED)

    def _long_segment(self, marks: Separators) -> Window:
        """Passes over a segment that is too long to be held; only its first characters are kept."""
        offset, head = self.offset, self.text[self.pos : self.pos + KEPT]
        while True:
            end = self.text.find(marks.segment, self.pos)
            inner = self._inner_opening(end if end >= 0 else len(self.text))
            if inner >= 0 or end >= 0:
                self.pos = inner if inner >= 0 else end + 1
                break
            self.pos = max(self.pos, len(self.text) - LENGTH)
            if not self._more():
                self.pos = len(self.text)
                break
        return Window((head,), offset, self.offset, TOO_LONG)

    # ------------------------------------------------------------ binary segments (X12.5: BIN and BDS)

    def _binary(self, marks: Separators, limit: int) -> int:
        """Where a binary segment begins before ``limit``, or -1."""
        text, nearest = self.text, -1
        for tag in ("BIN", "BDS"):
            needle = tag + marks.element
            at = self._find(needle, self.pos, limit)
            while at >= 0:
                if self.base + at > self._plain and self._may_be_binary(at, marks):
                    nearest = at if nearest < 0 else min(at, nearest)
                    break
                at = find(text, needle, at + 4, limit)
        return nearest

    def _may_be_binary(self, at: int, marks: Separators) -> bool:
        """Whether a segment with a length begins at ``at``, or one of which too little is held to tell."""
        if not _begins_segment(self.text, at, self.pos, marks.segment):
            return False
        end = max(self.pos, self.text.rfind(marks.segment, self.pos, at) + 1)
        if self.text[end:at].strip(BLANKS):
            return False  # many blanks within a value, before the letters of the name
        head = self.text[at : at + BINARY_HEAD]
        return len(head) < BINARY_HEAD or binary_head(marks.element).match(head) is not None

    def _binary_segment(self, marks: Separators) -> Window | None:
        """Reads a binary segment by its declared length; one without a length is read like any other."""
        head = self.peek(BINARY_HEAD)
        match = binary_head(marks.element).match(head)
        if match is None:
            self._plain = self.offset
            return self.window(marks)
        offset, length = self.offset, int(match[1] or match[2])
        self.pos += match.end()
        payload = self._pass(length)
        after = self.peek(1)
        end = self.text.find(marks.segment, self.pos)
        trouble = "" if after == marks.segment else BINARY_LENGTH
        while end < 0 and self._skip_all():
            end = self.text.find(marks.segment, self.pos)
        self.pos = end + 1 if end >= 0 else len(self.text)
        return Window((match[0] + payload,), offset, self.offset, trouble)

    def _pass(self, length: int) -> str:
        """Passes over ``length`` characters and gives something to stand for them (or themselves, if wanted)."""
        if self._keep_binary:
            held = self.peek(length)
            self.pos += len(held)
            return held
        left = length
        while True:
            step = min(left, len(self.text) - self.pos)
            self.pos += step
            left -= step
            if not left or not self._more():
                return "0" * min(length, STAND_IN)

    def _skip_all(self) -> bool:
        self.pos = len(self.text)
        return self._more()


def _begins_segment(text: str, at: int, start: int, terminator: str = "") -> bool:
    """Whether a segment begins at ``at``: only blanks stand between it and a terminator (any sign, if not given)."""
    before = text[max(start, at - 8) : at]
    if terminator:
        return ends_segment(before, terminator)
    before = before.rstrip("\r\n \t")
    return not before or not before[-1].isalnum()


def _add(junk: Skipped, text: str, offset: int) -> Skipped:
    """Adds what was passed over next. It counts from the first byte that is not blank to the last, in any pieces."""
    if not text:
        return junk
    solid = text.removeprefix(_BYTE_ORDER_MARK).strip(BLANKS) if offset == 0 else text.strip(BLANKS)
    if not junk.count:
        if not solid:
            return junk
        start = text.find(solid)
        return Skipped(len(solid), _sample(text[start:]), offset + start)
    sample = junk.sample + _sample(text) if len(junk.sample) < SAMPLE else junk.sample
    count = offset + len(text.rstrip(BLANKS)) - junk.offset if solid else junk.count
    return Skipped(count, sample[:SAMPLE], junk.offset)


def _sample(text: str) -> bytes:
    return text[:SAMPLE].encode("latin-1", "replace")
