"""Leftovers: what stands around interchanges and is EDI all the same. Pure.

Words before and after an interchange are nobody's order: a letter, a footer, a Ctrl-Z. Segments that no readable ISA
opens are the rest of an interchange that was damaged or cut, and no acknowledgment speaks of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from gateway.x12.examine import no_interchange
from gateway.x12.isa import BLANKS
from gateway.x12.model import InterchangeReport, Separators
from gateway.x12.sniff import holds_segments, looks_like, what_instead

_BLANKS = BLANKS.encode("latin-1")
_OTHER_EDI = ("edifact", "ebcdic-x12")
# An ISA in UTF-16, and a file that was written into a text by uuencode, yEnc or base64.
_WRITTEN = re.compile(rb"I\0S\0A\0|\0I\0S\0A|^(?:begin [0-7]{3,4} \S|=ybegin |SVNB[A-Za-z0-9+/]{20})", re.MULTILINE)


def leftovers(data: bytes, reports: Sequence[InterchangeReport]) -> Iterator[InterchangeReport]:
    """What stands before, between and after the interchanges of ``data`` and looks like EDI.

    Args:
        data: what was examined.
        reports: all that ``examine`` said of it, in order.

    Yields:
        A report without a header for each: where it stands, and in its finding what it is.
    """
    read = [each for each in reports if each.header is not None]
    for before, after in zip((None, *read), (*read, None), strict=True):
        beside = before or after
        if beside is None or (before is not None and _is_open(before)):
            continue
        rest = data[before.end if before else 0 : after.start if after else len(data)]
        end = (before.end if before else 0) + len(rest.rstrip(_BLANKS))
        rest = rest.strip(_BLANKS)
        if rest and _is_edi(rest, beside.separators):
            reason = f"What stands {_place(before, after)} is no interchange: {what_instead(rest)}."
            yield no_interchange(reason, end - len(rest), end)


def _is_edi(rest: bytes, marks: Separators) -> bool:
    return holds_segments(rest, marks) or looks_like(rest) in _OTHER_EDI or _WRITTEN.search(rest) is not None


def _is_open(report: InterchangeReport) -> bool:
    """Whether only the ISA of an interchange could be read: what follows is its own, and was refused with it."""
    return any(each.code == "interchange.separators" for each in report.findings)


def _place(before: InterchangeReport | None, after: InterchangeReport | None) -> str:
    return " and ".join(
        f"{word} interchange {each.header.control_number}"
        for word, each in (("after", before), ("before", after))
        if each is not None and each.header is not None
    )
