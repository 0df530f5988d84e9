"""What is to be written: transaction sets, groups and interchanges as drafts, before any control number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from io import StringIO

from msgspec import Struct

from gateway.errors import SeparatorInData
from gateway.x12.model import Header, Separators

# Content that we generate ourselves is joined with control characters, which never occur in data.
GENERATED = Separators(element="\x1d", component="\x1f", segment="\x1e", repetition="\x1c")


class DraftSet(Struct, frozen=True):
    """A transaction set without ST and SE.

    ``body`` is the text between them, each segment ended by ``separators.segment`` with no suffix;
    ``segments`` counts those of the body (SE01 will be two more). ``implementation`` is ST03.
    """

    set_id: str
    implementation: str
    body: str
    separators: Separators
    segments: int


class DraftGroup(Struct, frozen=True):
    """A functional group; ``version`` is GS08, ``sender`` and ``receiver`` are GS02 and GS03."""

    functional_id: str
    sender: str
    receiver: str
    control_number: int
    version: str
    sets: tuple[DraftSet, ...]
    agency: str = "X"


class DraftInterchange(Struct, frozen=True):
    """An interchange. Dates and times come from ``moment``, or where that is None from ``header``.

    ``interchange_acks`` are TA1 segments as elements, TA101 first.
    """

    header: Header
    groups: tuple[DraftGroup, ...]
    interchange_acks: tuple[tuple[str, ...], ...] = ()
    moment: datetime | None = None


def draft_set(set_id: str, segments: Iterable[Sequence[str]], implementation: str = "") -> DraftSet:
    """A set from segments given as elements (the segment id first). Empty elements at the end are dropped.

    An element's components may be joined with ``GENERATED.component``, its repetitions with
    ``GENERATED.repetition``.

    Raises:
        SeparatorInData: an element contains one of the other two control characters.
    """
    body, count = StringIO(), 0
    for count, elements in enumerate(segments, 1):
        text = "".join(elements)
        for mark in (GENERATED.element, GENERATED.segment):
            if mark in text:
                raise SeparatorInData(
                    name=f"Transaction set {set_id}", position=f"in segment {count + 1}", separator=mark
                )
        body.write(GENERATED.element.join(elements).rstrip(GENERATED.element) + GENERATED.segment)
    return DraftSet(set_id, implementation, body.getvalue(), GENERATED, count)
