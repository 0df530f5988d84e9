"""Mend: what mail clients did to an interchange on its way is undone, but only where the result proves itself. Pure.

A proposal of ``gateway.mail.repairs`` counts when everything in it adds up: the ISA has its 106 characters, all
counts and control numbers fit. Then it is taken and the repair is told in words; otherwise the content is damaged.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterator
from itertools import islice

from msgspec import Struct

from gateway.errors import ContentDamaged
from gateway.flow.intact import end_of, find_isa, is_intact, terminator_at
from gateway.mail import repairs
from gateway.mail.model import Part
from gateway.words import count
from gateway.x12.isa import LENGTH

WORDS = ("text/plain", "text/html", "text/enriched")
_QUOTED = re.compile(rb"(?m)^[ \t]*[>|]")
_MANGLED = re.compile(rb"\xc2\xa0|\xe2\x80[\x98-\x9d\xa6]|\xe2\x80\x93")  # in UTF-8
_MANGLED_WINDOWS = re.compile(rb"[\xa0\x91-\x94\x85\x96]")  # in windows-1252
_ISA = re.compile(rb"(?:\A|\n|\xbf) ?ISA[^A-Za-z0-9\s]")
_ISA_BEGINS = re.compile(rb"ISA([^A-Za-z0-9\s])\d\d\1")
_TAG = re.compile(r"<[^<>]{0,2000}>")
_TRIES = 20
_UUENCODE = "uuencode undone: it is a whole interchange"
_IN_HTML = "the interchange stands in HTML, which does not keep blanks and line ends"
_BLANKS_AFTER = b"[ \t]+(?=\r?\n)"
_BOM = b"\xef\xbb\xbf"
_OPENING = 400  # bytes from the ISA on in which its damage shows
_ALL_BLANKS = b" \t\r\n\xa0\xc2"  # the last two are a non-breaking space in UTF-8
_FLOWED = 2_000  # bytes of flowed text that hold an ISA, wherever its lines are broken
_PIECE = 1 << 20  # bytes hashed at once
_LARGEST, _LINES = 20_000_000, 500_000  # bytes and lines of text that are mended


class Mended(Struct, frozen=True):
    """The content of a part, and what was done to it, in words. ``at`` is where its X12 begins, -1 without any."""

    data: bytes
    at: int
    repairs: tuple[str, ...] = ()


def mend(part: Part) -> Mended:
    """The content of a part, repaired where that takes no guess; parts without X12 come as they are.

    Raises:
        ContentDamaged: it holds an interchange, or may hold one, that cannot be read without guessing.
    """
    data, at, done = _decoded(part)
    at = _torn_isa(part, data) if at < 0 else at
    if at < 0:
        return Mended(data, at)
    if part.content_type == "text/html":
        raise _damage(part, _IN_HTML)
    repaired = _rejoined(part, data, at)
    if repaired is not None:
        data, words = repaired
        done, at = (*done, words), find_isa(data)
    _check_text(part, data, at)
    before = data[:at].removeprefix(_BOM).strip()
    return Mended(
        data,
        at,
        (*done, f"{count(len(before), 'byte')} of text before the interchange passed over") if before else done,
    )


def _damage(part: Part, reason: str) -> ContentDamaged:
    return ContentDamaged(part=part.file_name or part.path, reason=reason)


# ---------------------------------------------------------------- encodings


def _decoded(part: Part) -> tuple[bytes, int, tuple[str, ...]]:
    """The bytes that the sender meant, whatever was said of their encoding, and where their X12 begins or -1."""
    if part.damage:
        for words, found in _undamaged(part):
            if found is not None and is_intact(found):
                return found, find_isa(found), (words,)
        raise _damage(part, part.damage)
    data = part.data
    if b"=" in data and len(data) <= _LARGEST and data.count(b"\n") <= _LINES:
        soft = repairs.undeclared_quoted_printable(data)
        if soft is not None and not is_intact(data) and is_intact(soft):
            return soft, find_isa(soft), ("quoted-printable undone, though the part does not declare it",)
    at = find_isa(data)
    return (data, at, ()) if at >= 0 else _disguised(part)


def _undamaged(part: Part) -> Iterator[tuple[str, bytes | None]]:
    """What a part may have been whose transfer encoding could not be undone as it was declared."""
    if len(part.encoded) > _LARGEST or part.encoded.count(b"\n") > _LINES:
        return
    if part.encoding == "base64":
        words = "foreign characters in its base64 left out, or its end filled up: it is a whole interchange"
        yield words, repairs.base64_with_junk(part.encoded)
        yield "its base64 undone piece by piece: it is whole", repairs.base64_in_pieces(part.encoded)
    elif part.encoding != "quoted-printable":
        yield _UUENCODE, repairs.uudecoded(part.encoded)
    if b"=" not in part.encoded and b"%" not in part.encoded:  # an escape would be taken for a value
        yield "nothing undone, though the part declares an encoding: it is a whole interchange as it came", part.encoded


def _disguised(part: Part) -> tuple[bytes, int, tuple[str, ...]]:
    """What is X12 in another encoding."""
    wide = repairs.utf16(part.data)
    if wide is not None:
        text, problem = wide
        if problem:
            raise _damage(part, problem)
        return text, find_isa(text), ("UTF-16 read as single bytes",)
    packed = repairs.undeclared_base64(part.data)
    if packed is not None and is_intact(packed):
        return packed, find_isa(packed), ("base64 undone, though the part does not declare it",)
    if b"begin " in part.data and len(part.data) <= _LARGEST and part.data.count(b"\n") <= _LINES:
        unpacked = repairs.uudecoded(part.data)
        if unpacked is not None and is_intact(unpacked):
            return unpacked, find_isa(unpacked), (_UUENCODE,)
    return part.data, -1, ()


# ---------------------------------------------------------------- lines


def _rejoined(part: Part, data: bytes, at: int) -> tuple[bytes, str] | None:
    """The content with its lines as they were written and the words for it; None where nothing is wrong with them.

    Raises:
        ContentDamaged: they were changed on the way, and nobody can tell how they were.
    """
    if not _lines_are_broken(data, at) or is_intact(data):
        return None
    small = len(data) <= _LARGEST and data.count(b"\n") <= _LINES
    for words, proposal in _proposals(part, data, at) if small else ():
        if proposal is not None and is_intact(proposal):
            return proposal, words
    if _was_text(part):
        raise _damage(part, "its lines were wrapped on the way, and how they were before cannot be told for certain")
    return None


def _lines_are_broken(data: bytes, at: int) -> bool:
    """Whether there are line ends within segments, or within the ISA."""
    end = terminator_at(data, at)
    if not end:
        head = data[at : at + LENGTH]
        return b"\n" in head[:-1] or b"\r" in head[:-2]
    if end in b"\r\n":
        return False
    stop = end_of(data, at, data[at + 3 : at + 4], end)
    stop = len(data) if stop < 0 else stop
    breaks = data.count(b"\n", at, stop) - data.count(end + b"\r\n", at, stop)
    return breaks > 0 and breaks != data.count(end + b"\n", at, stop)


def _proposals(part: Part, data: bytes, at: int) -> list[tuple[str, bytes | None]]:
    flow = repairs.unflowed(data, dict(part.parameters)) if part.content_type == "text/plain" else None
    end = _terminator_across_lines(data, at) or (terminator_at(flow, find_isa(flow)) if flow is not None else b"")
    trimmed = re.sub(re.escape(end) + _BLANKS_AFTER, lambda _: end, data) if end else None
    if flow is not None and trimmed is not None:
        flow = repairs.unflowed(trimmed, dict(part.parameters))
    unwrapped, width = _unwrapped(data, at, end)
    return [
        ("blanks after its segment terminators removed", trimmed),
        ("lines of format=flowed rejoined (RFC 3676)", flow),
        (f"lines that were wrapped at {width} characters rejoined", unwrapped),
    ]


def _torn_isa(part: Part, data: bytes) -> int:
    """Where a line begins with an ISA that its line ends tore beyond recognition; -1 where none does.

    Raises:
        ContentDamaged: it is text, and its ISA cannot be put together again.
    """
    # Of two forms of the same words the plain one is read.
    if part.content_type == "text/html" and part.within != "multipart/alternative" and _in_html(data):
        raise _damage(part, _IN_HTML)
    found = [match.end() - 4 for match in islice(_ISA.finditer(data), _TRIES)]
    for at in found:
        if _terminator_across_lines(data, at):
            return at
    if found and _is_body(part):
        flowed = repairs.unflowed(data[: found[0] + _FLOWED], dict(part.parameters))
        if flowed is not None and find_isa(flowed) >= 0:
            return found[0]
        if any(_ISA_BEGINS.match(data, at) for at in found):
            raise _damage(part, "its ISA is damaged beyond recognition, as by blanks or line ends that were changed")
    return -1


def _in_html(data: bytes) -> bool:
    """Whether an interchange stands in HTML once its tags are gone and its blanks are blanks."""
    if b"ISA" not in data or len(data) > _LARGEST:
        return False
    return find_isa(without_tags(data.replace(b"\xc2\xa0", b" ")).replace(b"\xa0", b" ")) >= 0


def without_tags(data: bytes) -> bytes:
    """The words of HTML, character references undone."""
    return html.unescape(_TAG.sub("", data.decode("latin-1"))).encode("latin-1", "replace")


def _is_body(part: Part) -> bool:
    """Words that somebody wrote into the mail, not a file."""
    return part.content_type in WORDS and not part.file_name and not part.origin


def _terminator_across_lines(data: bytes, at: int) -> bytes:
    """The segment terminator, once the line ends in the ISA are gone."""
    head = data[at : at + _OPENING].translate(None, b"\r\n")
    return terminator_at(head, 0)


def _unwrapped(data: bytes, at: int, end: bytes) -> tuple[bytes | None, int]:
    """From the ISA, which must begin its line, to the last IEA; what is around them is left away."""
    if not end or data[:at].removeprefix(_BOM)[-1:] not in {b"", b"\n", b"\r"}:
        return None, 0
    stop = _end_across_lines(data, at, end)
    found = repairs.unwrapped(data[at:stop], end, proven=LENGTH) if stop > at else None
    return (None, 0) if found is None else (data[:at] + found[0] + data[stop:], found[1])


def _end_across_lines(data: bytes, at: int, end: bytes) -> int:
    """Where the last IEA ends, though a line end may stand in its name."""
    element = re.escape(data[at + 3 : at + 4])
    last = -1
    ending = rb"I[\r\n]*E[\r\n]*A[\r\n]*" + element + rb"[^" + re.escape(end) + rb"]{0,40}" + re.escape(end)
    for found in re.compile(ending).finditer(data, at):
        last = found.end()
    return last


def _was_text(part: Part) -> bool:
    """Whether a mail client may have changed its lines: not in what was taken out of base64 or an archive."""
    return not part.origin and part.encoding != "base64"


# ---------------------------------------------------------------- what text shows besides


def _check_text(part: Part, data: bytes, at: int) -> None:
    """Signs that a program for letters changed the interchange, and not in its lines alone.

    Raises:
        ContentDamaged: with the sign.
    """
    head = data[at : at + _OPENING]
    if b"\xa0" in head:
        raise _damage(part, "non-breaking spaces stand where its ISA has blanks")
    if not _is_body(part):
        return
    line = data.rfind(b"\n", 0, at) + 1
    if _QUOTED.match(data[line:at] + b" "):
        raise _damage(part, "the interchange is quoted as in an answer to a mail")
    if not terminator_at(data, at):
        raise _damage(part, "its ISA has not 106 characters: blanks or line ends were changed on the way")
    mangled = _MANGLED_WINDOWS if part.charset in {"windows-1252", "iso-8859-1"} else _MANGLED
    if mangled.search(data, at, _end(data, at)):
        raise _damage(part, "typographic quotes, dashes or blanks stand in the interchange")


# ---------------------------------------------------------------- the same again


def essence(data: bytes, at: int) -> bytes:
    """A hash of the interchanges without their line ends: equal for two copies of the same, however they were sent."""
    digest = hashlib.sha256()
    stop = _end(data, at)
    for start in range(at, stop, _PIECE):
        digest.update(data[start : min(stop, start + _PIECE)].translate(None, b"\r\n"))
    return digest.digest()


def squeezed(data: bytes, at: int = 0) -> bytes:
    """The interchanges that begin at ``at`` without any blanks: what is left of them in a text that was spoiled."""
    return data[at : _end(data, at)].translate(None, _ALL_BLANKS)


def _end(data: bytes, at: int) -> int:
    end = terminator_at(data, at)
    stop = end_of(data, at, data[at + 3 : at + 4], end) if end else -1
    return stop if stop >= 0 else len(data)
