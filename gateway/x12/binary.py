"""Binary segments (BIN, BDS) inside a text: their payload is known by its length, not by separators."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from gateway.x12.isa import ends_segment
from gateway.x12.model import Separators


@lru_cache(maxsize=256)
def binary_head(element: str) -> re.Pattern[str]:
    """Matches the beginning of a binary segment up to its payload; group 1 or 2 is the length."""
    sign = re.escape(element)
    return re.compile(rf"BIN{sign}(\d{{1,15}}){sign}|BDS{sign}[^{sign}]*{sign}(\d{{1,15}}){sign}")


def has_binary(text: str, marks: Separators) -> bool:
    """Whether a binary segment may be in ``text`` (it is quick, and may be wrong about a ``ROBIN``)."""
    return "BIN" + marks.element in text or "BDS" + marks.element in text


def split_binary(text: str, marks: Separators) -> Iterator[tuple[str, bool]]:
    """Cuts ``text`` into parts: (what is cut by separators, False) and (a binary payload, True), in order."""
    head = binary_head(marks.element)
    done = at = 0
    while True:
        match = head.search(text, at)
        if match is None:
            break
        if not ends_segment(text[max(0, match.start() - 4) : match.start()], marks.segment):
            at = match.start() + 1
            continue
        end = match.end() + int(match[1] or match[2])
        if text[end : end + 1] != marks.segment:  # the length is wrong: take the segment as any other
            at = match.end()
            continue
        yield text[done : match.end()], False
        yield text[match.end() : end], True
        done = at = end
    yield text[done:], False
