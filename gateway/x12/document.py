"""What the business hands us to send: bare transaction sets, groups, or whole interchanges, in any separators."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct, field
from msgspec.structs import replace

from gateway.errors import DocumentUnreadable
from gateway.x12.drafts import DraftSet
from gateway.x12.isa import BLANKS, opening_at
from gateway.x12.model import Separators
from gateway.x12.reader import TOO_LONG, UNTERMINATED, Reader, Window
from gateway.x12.sniff import sniff, what_instead

_START = re.compile(r"[ \t\r\n]*(ST|GS)([^A-Za-z0-9 \t\r\n])")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_COMPONENTS = ":>"  # what separates components where no ISA says so


class DocumentGroup(Struct, frozen=True):
    """A group of a document, as it was written; ``functional_id`` is GS01, ``sender`` GS02, ``version`` GS08."""

    functional_id: str
    version: str
    agency: str
    sender: str
    receiver: str
    sets: tuple[DraftSet, ...]


class Document(Struct, frozen=True):
    """A document that was read. ``sets`` are all sets in order; ``groups`` is empty for bare sets.

    ``kind`` is ``sets``, ``groups`` or ``interchanges``; ``interchanges`` counts them.
    """

    sets: tuple[DraftSet, ...]
    groups: tuple[DocumentGroup, ...]
    interchanges: int
    kind: str


def read_document(data: bytes, name: str = "document") -> Document:
    """Reads what is to be sent. Envelopes must be sound; the sets in it are not judged.

    Args:
        data: bare ST…SE, GS…GE, or any number of ISA…IEA; line ends after terminators do not matter.
        name: what to call it when it cannot be read.

    Raises:
        DocumentUnreadable: with the precise reason.
    """
    data = data.removeprefix(_BYTE_ORDER_MARK)
    start = _START.match(data[:200].decode("latin-1"))
    if start is not None:
        return _read_bare(data, start[1], start[2], name)
    if sniff(data) < 0:
        raise DocumentUnreadable(name=name, reason=what_instead(data[:65536]))
    return _read_interchanges(data, name)


def _read_interchanges(data: bytes, name: str) -> Document:
    reader = Reader(data, len(data), keep_binary=True)
    assembly = _Assembly(name)
    count = 0
    while True:
        opening, junk = reader.seek()
        if junk.count:
            said = "1 byte at byte {} belongs" if junk.count == 1 else f"{junk.count} bytes at byte {{}} belong"
            reason = f"{said.format(junk.offset + 1)} to no interchange"
            raise DocumentUnreadable(name=name, reason=reason)
        if opening is None:
            break
        count += 1
        assembly.open("ISA", opening.separators)
        while (window := reader.window(opening.separators)) is not None:
            if assembly.take(window):
                break
        assembly.end("IEA", f"interchange {count}")
    return assembly.document("interchanges", count)


def _read_bare(data: bytes, first: str, element: str, name: str) -> Document:
    text = data.decode("latin-1")
    marks = _guess(text, first, element)
    if marks is None:
        raise DocumentUnreadable(name=name, reason=f"the {first} segment at its beginning has no end")
    reader = Reader(data, len(data), keep_binary=True)
    assembly = _Assembly(name)
    assembly.open("", marks)
    while (window := reader.window(marks)) is not None:
        assembly.take(window)
    if reader.offset < len(data) and opening_at(text, reader.offset):
        raise DocumentUnreadable(name=name, reason=f"an ISA begins at byte {reader.offset + 1}, behind other segments")
    assembly.end("", "the document")
    return assembly.document("groups" if first == "GS" else "sets", 0)


def _guess(text: str, first: str, element: str) -> Separators | None:
    """The separators of a document without ISA.

    The terminator is the first sign behind the last element that ST or GS can have. Components are taken to be
    separated by ``:``, or where that never occurs, by ``>``; repetitions by ``^`` where that occurs.
    """
    sign = re.escape(element)
    body = r"[A-Za-z0-9]{3}" if first == "ST" else rf"[A-Za-z0-9]{{2}}(?:{sign}[A-Za-z0-9 ]*){{6}}{sign}[A-Za-z0-9]*"
    more = rf"{sign}[A-Za-z0-9]+(?:{sign}[A-Za-z0-9]*)?" if first == "ST" else ""
    match = re.match(rf"[ \t\r\n]*{first}{sign}{body}{more}[ \t]*([^A-Za-z0-9 {sign}])([\r\n]*)", text)
    if match is None:
        return None
    component = next((each for each in _COMPONENTS if each in text and each not in (element, match[1])), "")
    if not component:
        component = next(each for each in _COMPONENTS if each not in (element, match[1]))
    repetition = "^" if "^" in text and "^" not in (element, match[1]) else ""
    return Separators(element, component, match[1], repetition, match[2])


class _Assembly(Struct):
    """Puts the segments of a document together again as sets and groups."""

    name: str
    marks: Separators = field(default_factory=Separators)
    groups: list[DocumentGroup] = field(default_factory=list)
    sets: list[DraftSet] = field(default_factory=list)
    _group: list[str] | None = None
    _of_group: int = 0
    _set: list[str] | None = None
    _body: list[str] = field(default_factory=list)
    _closed: str = ""
    _outer: str = ""

    def open(self, outer: str, marks: Separators) -> None:
        """Begins an interchange, or a document without one (``outer`` is empty)."""
        self.marks = replace(marks, suffix="")
        self._outer = outer
        self._closed = ""

    def take(self, window: Window) -> bool:
        """Takes whole segments; true once the IEA was read."""
        if window.trouble == TOO_LONG:
            raise self._unreadable(f"a segment at byte {window.offset + 1} is too long")
        for piece in window.pieces:
            text = piece.lstrip(BLANKS) if piece[:1] in BLANKS else piece
            tag = text[:3] if len(text) < 3 or text[2] != self.marks.element else text[:2]
            if window.trouble == UNTERMINATED and tag.rstrip(self.marks.element) not in ("SE", "GE", "IEA"):
                raise self._unreadable(f"it breaks off in segment {tag!r} at byte {window.offset + 1}")
            if self._set is not None and tag not in _ENVELOPE:
                if text:
                    self._body.append(text)
                continue
            if text.strip(BLANKS):
                self._envelope(text.strip(BLANKS).split(self.marks.element))
        return self._closed == "IEA"

    def _envelope(self, elements: list[str]) -> None:
        tag = elements[0]
        elements += [""] * 9
        allowed = {
            "ST": self._set is None and (self._group is not None or not self._outer),
            "SE": self._set is not None,
            "GS": self._group is None and self._set is None,
            "GE": self._group is not None and self._set is None,
            "IEA": self._group is None and self._set is None and self._outer == "ISA",
            "TA1": self._group is None and self._outer == "ISA",
        }
        if not allowed.get(tag, False):
            raise self._unreadable(f"the segment {tag[:20]!r} cannot stand after {self._state()}")
        if tag == "ST":
            self._set = elements[1:4]
            self._body = []
        elif tag == "SE":
            self._finish_set(elements)
        elif tag == "GS":
            self._group = elements
            self._of_group = len(self.sets)
        elif tag == "GE":
            self._finish_group(elements)
        elif tag == "IEA":
            self._closed = "IEA"

    def _finish_set(self, trailer: list[str]) -> None:
        assert self._set is not None
        kind, number, implementation = self._set
        count = len(self._body)
        if trailer[1].strip() != str(count + 2) and trailer[1].strip().lstrip("0") != str(count + 2):
            raise self._unreadable(f"SE01 of set {kind} {number} says {trailer[1]!r}, it has {count + 2} segments")
        if trailer[2] != number:
            raise self._unreadable(f"SE02 of set {kind} {number} is {trailer[2]!r}")
        end = self.marks.segment
        body = end.join((*self._body, "")) if self._body else ""
        self.sets.append(DraftSet(kind, implementation, body, self.marks, count))
        self._set = None

    def _finish_group(self, trailer: list[str]) -> None:
        assert self._group is not None
        g = self._group
        sets = tuple(self.sets[self._of_group :])
        if trailer[1].strip().lstrip("0") != str(len(sets) or ""):
            raise self._unreadable(f"GE01 of group {g[6]} says {trailer[1]!r}, it has {len(sets)} sets")
        if trailer[2].lstrip("0") != g[6].lstrip("0"):
            raise self._unreadable(f"GE02 of group {g[6]} is {trailer[2]!r}")
        self.groups.append(DocumentGroup(g[1], g[8], g[7] or "X", g[2], g[3], sets))
        self._group = None

    def end(self, closed: str, what: str) -> None:
        """Checks that nothing is left open where an interchange or the document ends."""
        if self._set is not None or self._group is not None or self._closed != closed:
            raise self._unreadable(f"{what} ends after {self._state()}")

    def document(self, kind: str, interchanges: int) -> Document:
        """What was read."""
        if not self.sets:
            raise self._unreadable("there is no transaction set in it")
        return Document(tuple(self.sets), tuple(self.groups), interchanges, kind)

    def _state(self) -> str:
        if self._set is not None:
            return f"the beginning of set {self._set[0]} {self._set[1]}, without its SE"
        if self._group is not None:
            return f"the beginning of group {self._group[6]}, without its GE"
        done: Iterable[object] = self.groups or self.sets
        return f"{len(list(done))} finished {'groups' if self.groups else 'sets'}"

    def _unreadable(self, reason: str) -> DocumentUnreadable:
        return DocumentUnreadable(name=self.name, reason=reason)


_ENVELOPE = frozenset(("ST", "SE", "GS", "GE", "IEA", "ISA"))
