"""Is there X12 in these bytes, and where? And if not, what is it?"""

from __future__ import annotations

import re

from gateway.x12.isa import LONGEST, loose_opening_at, opening_at
from gateway.x12.model import Separators

_EBCDIC_ISA = re.compile(rb"\xc9\xe2\xc1[^\x81-\xa9\xc1-\xe9\xf0-\xf9]\xf0\xf0")  # "ISA", a separator, "00" in CP037
_EDIFACT = re.compile(rb"(?:^|[\s\xbf])(?:UNA.{6}\s{0,4}UNB|UNB[+\x1d][A-Z]{4}[:\x1f])", re.DOTALL)
_XML = re.compile(rb"\s*<(?:\?xml|!DOCTYPE|!--|[A-Za-z_][\w.:-]*[\s/>])")

# A segment of an envelope by its first elements, and an ISA by its places, whatever stands where its name was.
_SEGMENT = re.compile(rb"([GSI](?:[STE]|EA|SA))([^A-Za-z0-9 \r\n])([A-Z]{2}|\d{1,10})\2")
_FIRST_ELEMENT = {
    b"ISA": re.compile(rb"\d\d"),
    b"GS": re.compile(rb"[A-Z]{2}"),
    b"ST": re.compile(rb"\d{3}"),
    **dict.fromkeys((b"SE", b"GE", b"IEA"), re.compile(rb"\d+")),
}
_NAMELESS_ISA = re.compile(rb"([^A-Za-z0-9 \r\n])\d\d\1[^\r\n]{10}\1\d\d\1[^\r\n]{10}\1[A-Z0-9]{2}\1")
_OF_WORDS = frozenset(b"-./,;:_'\"()")  # signs that are no separators where nothing but words tells so
_INDENT = 8  # blanks that may stand before a segment


def sniff(data: bytes) -> int:
    """The offset of the first plausible ISA, or -1.

    Plausible is an ``ISA`` followed by a non-alphanumeric byte that recurs at the fixed positions; failing
    any such, one whose sixteen elements can be counted although their padding is lost.
    """
    loose = -1
    at = data.find(b"ISA")
    while at >= 0:
        mark = data[at + 3 : at + 4]
        if mark not in data[at + 4 : at + 7] and mark not in (data[at + 17 : at + 18], data[at + 20 : at + 21]):
            at = data.find(b"ISA", at + 3)
            continue
        text = data[at : at + LONGEST].decode("latin-1")
        if opening_at(text, 0) is not None:
            return at
        if loose < 0 and loose_opening_at(text, 0) is not None:
            loose = at
        at = data.find(b"ISA", at + 3)
    return loose


def looks_like(data: bytes) -> str:
    """What a payload is: ``x12``, ``edifact``, ``ebcdic-x12``, ``xml``, or an empty text for anything else."""
    if sniff(data) >= 0:
        return "x12"
    if _EBCDIC_ISA.search(data):
        return "ebcdic-x12"
    if _EDIFACT.search(data[:65536]):
        return "edifact"
    if _XML.match(data[:4096].removeprefix(b"\xef\xbb\xbf")):
        return "xml"
    return ""


def holds_segments(data: bytes, marks: Separators | None = None) -> bool:
    """Whether bytes without a readable ISA look like a piece of an interchange, and not like words.

    One segment of an envelope (ISA, GS, ST, SE, GE, IEA) is enough in the separators ``marks`` that are in use around
    it; in others there must be two of them, which follow the same sign. Within a line of words none counts.
    """
    element = marks.element.encode("latin-1") if marks else b""
    starts = {b"", b"\n", b"\r", *([marks.segment.encode("latin-1")] if marks else ())}
    tags: dict[tuple[bytes, bytes], set[bytes]] = {}
    for found in _SEGMENT.finditer(data):
        tag, sign, value = found.groups()
        shape = _FIRST_ELEMENT.get(tag)
        before = _sign_before(data, found.start())
        if shape is None or before is None or not shape.fullmatch(value):
            continue
        if sign == element and before in starts:
            return True
        if sign[0] in _OF_WORDS:
            continue
        if tag == b"ISA" and before in starts:
            return True
        seen = tags.setdefault((sign, before), set())
        seen.add(tag)
        if len(seen | tags.get((sign, b""), set())) > 1:
            return True
    return _NAMELESS_ISA.search(data) is not None


def _sign_before(data: bytes, at: int) -> bytes | None:
    """What stands before a segment, a few blanks passed over: b"" at the beginning, None for the letters of a word."""
    before = data[max(0, at - _INDENT) : at].rstrip(b" \t")
    if not before:
        return b"" if at < _INDENT else None
    return None if before[-1:].isalnum() else before[-1:]


def what_instead(data: bytes) -> str:
    """A half-sentence for people on why there is no interchange in ``data`` (its first bytes are enough)."""
    if not data.strip(b" \t\r\n\0"):
        return "there is nothing in it"
    kind = looks_like(data)
    if kind in _NAMES:
        return _NAMES[kind]
    told = next((words for hint, words in _HINTS if hint.search(data[:65536])), "")
    if not told and holds_segments(data[:65536]):
        told = "segments stand in it, and no ISA that can be read opens them"
    return told or "no ISA segment stands in it"


_NAMES = {"edifact": "it is EDIFACT", "ebcdic-x12": "it is X12 in EBCDIC", "xml": "it is XML"}
_HINTS = (
    (re.compile(rb"I\0S\0A|\0I\0S\0A"), "it is X12 in UTF-16, send it in ASCII or Latin-1"),
    (re.compile(rb"isa[^a-z0-9]00"), "its ISA is written in lower case"),
    (re.compile(rb"ISA[^A-Za-z0-9 \t\r\n]"), "its ISA is cut short or damaged beyond recognition"),
    (re.compile(rb"^begin [0-7]{3,4} \S", re.MULTILINE), "a file stands in it that uuencode wrote into a text"),
    (re.compile(rb"^=ybegin ", re.MULTILINE), "a file stands in it that yEnc wrote into a text"),
    (re.compile(rb"^-----BEGIN PGP MESSAGE", re.MULTILINE), "a message that PGP encrypted stands in it"),
    (re.compile(rb"^SVNB[A-Za-z0-9+/]{20}", re.MULTILINE), "base64 stands in it that begins like an ISA"),
    (re.compile(rb"\A\s*(?:ST|GS)[*|^~]"), "it begins with a set or group, without the ISA that should surround it"),
)
