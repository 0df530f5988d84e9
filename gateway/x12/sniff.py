"""Is there X12 in these bytes, and where? And if not, what is it?"""

from __future__ import annotations

import re

from gateway.x12.isa import LONGEST, loose_opening_at, opening_at

_EBCDIC_ISA = re.compile(rb"\xc9\xe2\xc1[^\x81-\xa9\xc1-\xe9\xf0-\xf9]\xf0\xf0")  # "ISA", a separator, "00" in CP037
_EDIFACT = re.compile(rb"(?:^|[\s\xbf])(?:UNA.{6}\s{0,4}UNB|UNB[+\x1d][A-Z]{4}[:\x1f])", re.DOTALL)
_XML = re.compile(rb"\s*<(?:\?xml|!DOCTYPE|!--|[A-Za-z_][\w.:-]*[\s/>])")
_UTF16_ISA = (b"I\0S\0A\0", b"\0I\0S\0A")


def sniff(data: bytes) -> int:
    """The offset of the first plausible ISA, or -1.

    Plausible is an ``ISA`` followed by a non-alphanumeric byte that recurs at the fixed positions; failing
    any such, one whose sixteen elements can be counted although their padding is lost.
    """
    loose = -1
    at = data.find(b"ISA")
    while at >= 0:
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


def what_instead(data: bytes) -> str:
    """A half-sentence for people on why there is no interchange in ``data`` (its first bytes are enough)."""
    kind = looks_like(data)
    if not data.strip(b" \t\r\n\0"):
        return "there is nothing in it"
    if kind:
        return {"edifact": "it is EDIFACT", "ebcdic-x12": "it is X12 in EBCDIC", "xml": "it is XML"}.get(kind, "")
    if any(mark in data[:4096] for mark in _UTF16_ISA):
        return "it is X12 in UTF-16, send it in ASCII or Latin-1"
    if re.search(rb"isa[^a-z0-9]00", data[:4096]):
        return "its ISA is written in lower case"
    if data.lstrip()[:3] in (b"ST*", b"GS*", b"ST|", b"GS|"):
        return "it begins with a set or group, without the ISA that should surround it"
    if re.search(rb"ISA[^A-Za-z0-9\s]", data[:65536]):
        return "its ISA is cut short or damaged beyond recognition"
    return "no ISA segment stands in it"
