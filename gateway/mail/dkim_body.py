"""The body hash of DKIM (RFC 6376 section 3.4), taken in pieces: in linear time, and no body is held twice."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from gateway.mail.decode import Raw

_PIECE = 1 << 20
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_BLANKS = re.compile(rb"[ \t]++")
_NO_BLANK = re.compile(rb"[^ \t\r]")
_LINE = b"\r\n"
_HELD = 100_000  # of them at once


def body_hash(raw: Raw, start: int, canonicalization: str) -> bytes:
    """The SHA-256 of the body that begins at ``start``, in the canonical form ``simple`` or ``relaxed``."""
    digest = hashlib.sha256()
    for piece in _canonical(raw, start, relaxed=canonicalization == "relaxed"):
        digest.update(piece)
    return digest.digest()


def _canonical(raw: Raw, start: int, *, relaxed: bool) -> Iterator[bytes]:
    """The body without empty lines at its end; an empty one is a line end where simple, nothing where relaxed."""
    held = 0  # line ends that count only when something follows
    any_content = False
    for piece in _pieces(raw, start, _end(raw, start) if relaxed else len(raw)):
        content, ends = _without_empty_lines(_relaxed(piece) if relaxed else piece)
        if content:
            yield from (_LINE * min(_HELD, held - done) for done in range(0, held, _HELD))
            yield content
            any_content, held = True, 0
        held += ends
    if any_content or not relaxed:
        yield _LINE


def _end(raw: Raw, start: int) -> int:
    """Where the body ends without the blanks of a last line that has no line end."""
    end = len(raw)
    while end > start:
        piece = raw[max(start, end - _PIECE) : end]
        kept = len(piece.rstrip(b" \t"))
        if kept:
            return end - len(piece) + kept
        end -= len(piece)
    return start


def _pieces(raw: Raw, start: int, end: int) -> Iterator[bytes]:
    """The body with CR LF line ends, cut where no run of blanks and no line end is torn apart."""
    while start < end:
        stop = min(start + _PIECE, end)
        if stop < end:
            kept = len(raw[start:stop].rstrip(b" \t\r"))
            stop = start + kept if kept else _past_blanks(raw, stop, end)
        piece = raw[start:stop]
        start = stop
        yield _BARE_LINE_FEED.sub(_LINE, piece) if b"\n" in piece else piece


def _past_blanks(raw: Raw, position: int, end: int) -> int:
    """Where a run of blanks ends that is longer than a piece."""
    while position < end:
        found = _NO_BLANK.search(raw[position : position + _PIECE])
        if found is not None:
            return position + found.end()
        position += _PIECE
    return end


def _relaxed(text: bytes) -> bytes:
    """Runs of blanks are one blank, and none stands before a line end (RFC 6376 section 3.4.4)."""
    return _BLANKS.sub(b" ", text).replace(b" \r\n", _LINE)


def _without_empty_lines(text: bytes) -> tuple[bytes, int]:
    """The text without the line ends at its end, and how many they were."""
    bare = text.rstrip(b"\r\n")
    tail = text[len(bare) :]
    if not tail.endswith(b"\n"):
        return text, 0
    doubled = tail.rfind(b"\r\r")  # a bare CR is content
    ends = tail[doubled + 1 :]
    return text[: len(text) - len(ends)], len(ends) // 2
