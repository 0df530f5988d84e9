"""Undoing what mail clients do to text on its way, where it can be undone without a guess.

Each function makes a proposal from the bytes alone, or None where the signs are not clear. Whoever knows what the
text should be decides whether the proposal is it. They work on lists of lines: the caller bounds size and lines.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping

import pybase64

_UTF16 = re.compile(rb"\xff\xfe|\xfe\xff|I\0S\0A\0|\0I\0S\0A")
_LINE_END = re.compile(rb"\r?\n|\r")
_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
_NOT_BASE64 = bytes(each for each in range(256) if not re.fullmatch(rb"[A-Za-z0-9+/=]", bytes([each])))
_ESCAPES = re.compile(rb"=(?:[0-9A-Fa-f]{2}|[ \t]*\r?\n)")
_SOFT_BREAK = re.compile(rb"=[ \t]*\r?\n")
_UUENCODED = re.compile(rb"^begin [0-7]{3,4} [^\r\n]{1,300}\r?\n", re.MULTILINE)
_PADDED = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
_PIECES = 1_000
_HEAD = 4_096  # bytes in which the sign of an encoding is looked for
_WRAPPED_LINES = 2  # as many lines must agree on their width, unless what must have a fixed width was broken


def utf16(data: bytes) -> tuple[bytes, str] | None:
    """Text in UTF-16, told by its byte order mark or its zeros, as Latin-1: (text, "") or (b"", why it cannot be)."""
    sign = _UTF16.search(data[:_HEAD])
    if sign is None or (len(sign[0]) == 2 and sign.start() > 0):
        return None
    little = sign[0] in {b"\xff\xfe", b"I\0S\0A\0"}
    start = 2 if len(sign[0]) == 2 else sign.start() % 2
    try:
        text = data[start:].decode("utf-16-le" if little else "utf-16-be")
    except UnicodeDecodeError:
        return b"", "it is UTF-16 with half a character in it"
    try:
        return text.encode("latin-1"), ""
    except UnicodeEncodeError:
        return b"", "it is UTF-16 with characters that X12 has no place for"


def base64_with_junk(encoded: bytes) -> bytes | None:
    """Base64 that strict decoding refused: with foreign characters in its lines, or words after its end.

    Only where the lines left after taking the foreign characters out are all of one width, the last but one included:
    then they were put in, and nothing was put in their place. Padding that is missing at the very end is no riddle.
    """
    lines = [each.strip() for each in _LINE_END.split(encoded.strip())]
    if len(lines) == 1:
        return _decoded(lines[0])  # one line alone cannot show what is missing from it
    clean = [each.translate(None, _NOT_BASE64) for each in lines]
    width = len(clean[0])
    full = next((n for n, each in enumerate(clean) if len(each) != width or b"=" in each), len(clean))
    tail = lines[full:]
    last = tail.pop(0) if tail and len(tail[0]) <= width and _BASE64_LINE.fullmatch(tail[0]) else b""
    if not full or width % 4 or any(len(each) >= width and _BASE64_LINE.fullmatch(each) for each in tail):
        return None
    return _decoded(b"".join(clean[:full]) + last)


def base64_in_pieces(encoded: bytes) -> bytes | None:
    """Base64 that was made of several pieces, each padded at its own end, and put together."""
    packed = encoded.translate(None, b" \t\r\n")
    pieces = _PADDED.findall(packed)
    if not 1 < len(pieces) <= _PIECES or sum(map(len, pieces)) != len(packed):
        return None
    found = [_decoded(each) if len(each) % 4 == 0 else None for each in pieces]
    return b"".join(each for each in found if each is not None) if None not in found else None


def uudecoded(data: bytes) -> bytes | None:
    """The files that uuencode wrote into a text, one after the other; None where there is none, or one is damaged."""
    begin = _UUENCODED.search(data)
    if begin is None:
        return None
    pieces: list[bytes] = []
    within = False
    for line in data[begin.start() :].split(b"\n"):
        text = line.rstrip(b"\r")
        if not within:
            within = _UUENCODED.match(line + b"\n") is not None
        elif text == b"end":
            within = False
        else:
            try:
                pieces.append(binascii.a2b_uu(text))
            except binascii.Error:
                return None
    return None if within else b"".join(pieces)


def undeclared_base64(data: bytes) -> bytes | None:
    """Base64 in a part that does not say so."""
    if not data[:_HEAD].lstrip().startswith(b"SVNB"):  # ISA
        return None
    packed = data.translate(None, b" \t\r\n")
    return _decoded(packed) if len(packed) % 4 == 0 else None


def undeclared_quoted_printable(data: bytes) -> bytes | None:
    """Quoted-printable in a part that does not say so: soft line breaks, and no ``=`` that is anything else."""
    if _SOFT_BREAK.search(data) is None or sum(1 for _ in _ESCAPES.finditer(data)) != data.count(b"="):
        return None
    return binascii.a2b_qp(re.sub(rb"=[ \t]+(?=\r?\n)", b"=", data))


def unflowed(data: bytes, parameters: Mapping[str, str]) -> bytes | None:
    """Text of ``format=flowed`` with its lines rejoined (RFC 3676): stuffing undone, soft line breaks removed."""
    if parameters.get("format", "").lower() != "flowed":
        return None
    delete = parameters.get("delsp", "").lower() == "yes"
    pieces: list[bytes] = []
    for line in data.split(b"\n"):
        ended = line.endswith(b"\r")
        text = line[:-1] if ended else line
        text = text.removeprefix(b" ")
        if text.endswith(b" ") and text != b"-- ":
            pieces.append(text[:-1] if delete else text)
        else:
            pieces.append(text + (b"\r\n" if ended else b"\n"))
    return b"".join(pieces).removesuffix(b"\n" if not data.endswith(b"\n") else b"")


def unwrapped(data: bytes, end: bytes, *, proven: int) -> tuple[bytes, int] | None:
    """Lines that were cut at a fixed width, rejoined: (text, width).

    A line that ends with ``end`` was not cut. All others must have the same width, and none may be wider. Where only
    one line was cut, its width must be below ``proven``: there the reader can see for itself that nothing is missing.
    """
    lines = [each.removesuffix(b"\r") for each in data.split(b"\n")]
    cut = [each for each in lines[:-1] if not each.endswith(end)]
    if not cut:
        return None
    width = len(cut[0])
    if any(len(each) != width for each in cut) or max(map(len, lines)) > width:
        return None
    if len(cut) < _WRAPPED_LINES and width >= proven:
        return None
    if all(each.endswith(b"!") for each in cut):
        return None  # some hosts put one in where they cut
    return b"".join(each + b"\r\n" if each.endswith(end) else each for each in lines), width


def _decoded(packed: bytes) -> bytes | None:
    body = packed.rstrip(b"=")
    if len(packed) - len(body) > 2 or len(body) % 4 == 1:
        return None
    try:
        return pybase64.b64decode(body + b"=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
