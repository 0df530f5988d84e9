"""Leftovers: what stands around interchanges and is EDI all the same. Pure.

Words before and after an interchange are nobody's order: a letter, a footer, a Ctrl-Z. Segments that no readable ISA
opens are the rest of an interchange that was damaged or cut, and no acknowledgment speaks of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.x12.examine import no_interchange
from gateway.x12.isa import BLANKS
from gateway.x12.model import InterchangeReport
from gateway.x12.sniff import holds_segments, looks_like, what_instead

_BLANKS = BLANKS.encode("latin-1")
_OTHER_EDI = ("edifact", "ebcdic-x12")


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
        if rest and (holds_segments(rest, beside.separators) or looks_like(rest) in _OTHER_EDI):
            reason = f"What stands {_place(before, after)} is no interchange: {what_instead(rest)}."
            yield no_interchange(reason, end - len(rest), end)


def _is_open(report: InterchangeReport) -> bool:
    """Whether only the ISA of an interchange could be read: what follows is its own, and was refused with it."""
    return any(each.code == "interchange.separators" for each in report.findings)


def _place(before: InterchangeReport | None, after: InterchangeReport | None) -> str:
    return " and ".join(
        f"{word} interchange {each.header.control_number}"
        for word, each in (("after", before), ("before", after))
        if each is not None and each.header is not None
    )
