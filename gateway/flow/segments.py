"""Segments: an interchange as people read it, segment by segment, with what was found wrong beside it.

The interchange is streamed from the ledger, so that a page of one with a million segments takes a moment and little
memory. What a segment and its elements are called tells the guideline that the set is judged by. ISA02 and ISA04 are
masked unless asked otherwise.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, Engine, select

from gateway.errors import NotFound
from gateway.flow.segment_names import Named, Namer, element_names
from gateway.flow.segment_stream import Cut, Place, RawSegment, Stream, open_stream
from gateway.ledger import tables
from gateway.ledger.at_rest import opened_row, opened_sentences
from gateway.ledger.database import reading
from gateway.ledger.story_values import FindingStory
from gateway.values import asdict
from gateway.x12.masking import masked
from gateway.x12.model import ExaminePolicy, Separators

COUNT = 200  # segments on a page
CONTEXT = 2  # segments before and after one that something is wrong with
_MOST_FINDINGS = 10_000  # that are looked at

# As gateway.x12.received writes the places that an acknowledgment names.
_PLACED = re.compile(r"segment (\S+) at position (\d{1,9})(?: in loop [^,:]*)?(?:, element (\d{1,2}))?")

_Span = tuple[int, int]  # segment numbers, the second one excluded


class PartView(Struct, frozen=True):
    """One component of an element."""

    number: int
    value: str
    name: str


class ElementView(Struct, frozen=True):
    """One element: its number (1 for the first), its value as written, its name where the guideline knows it."""

    number: int
    value: str
    name: str
    parts: tuple[PartView, ...] = ()  # of a composite
    findings: tuple[FindingStory, ...] = ()


class SegmentView(Struct, frozen=True):
    """One segment.

    ``number`` counts from the ISA (1), ``position`` from the ST of its set (1; 0 outside of sets), ``offset`` is in
    bytes. ``group`` and ``set`` are ordinals from 1 (0 outside); ``depth`` says in how many loops it stands.
    """

    number: int
    offset: int
    tag: str
    text: str  # as written, without its terminator
    name: str
    group: int
    set: int
    set_name: str  # "850 0001"
    position: int
    loop: str
    depth: int
    elements: tuple[ElementView, ...]
    findings: tuple[FindingStory, ...] = ()  # those that speak of the segment, not of one of its elements


class Page(Struct, frozen=True):
    """Some segments of an exchange, in order.

    ``total`` is how many it has. ``more`` tells that there are further ones of the kind that was asked for, from
    segment ``next`` on. ``unplaced`` are findings about the interchange that point at none of its segments.
    """

    exchange: int
    total: int
    segments: tuple[SegmentView, ...]
    more: bool
    next: int
    unplaced: tuple[FindingStory, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def segments(
    engine: Engine,
    number: int,
    *,
    first: int = 1,
    count: int = COUNT,
    only_findings: bool = False,
    policy: ExaminePolicy | None = None,
    unmasked: bool = False,
) -> Page:
    """A page of an interchange.

    Args:
        engine: the ledger.
        number: the exchange's.
        first: the first segment that is wanted; the ISA is 1.
        count: at most so many.
        only_findings: only segments that something is wrong with, each with the ones around it.
        policy: whose guidelines give the names; None: the standard's and the HIPAA guides'.
        unmasked: show ISA02 and ISA04 as they are. Who asks for it has it recorded, see ``showing``.

    Raises:
        NotFound: there is no such exchange, or its bytes were never kept.
        UsageFault: it is no X12 interchange.
        ContentPutAway, ContentErased, PayloadKeyUnreadable: its bytes cannot be had any more, or not here.
        DatabaseUnavailable: with the reason.
    """
    x = tables.exchange.c
    with reading(engine) as connection:
        row = connection.execute(select(x.sha256, x.segments).where(x.id == number)).one_or_none()
        if row is None:
            raise NotFound(what="exchange", key=number)
        known = _Findings(connection, number)
        spans = [(first, first + count)]
        if only_findings:
            spans = _from(first, _around(known.numbers(open_stream(connection, row.sha256, number).cuts())))
        stream = open_stream(connection, row.sha256, number)
        namer = Namer(stream.marks, policy or ExaminePolicy())
        page: list[SegmentView] = []
        for raw, named in _wanted(stream, namer, spans):
            if len(page) == count:
                return Page(number, row.segments, tuple(page), more=True, next=raw.number)
            page.append(known.beside(_view(raw, named, stream.marks, unmasked=unmasked)))
            if not only_findings and len(page) == count:
                break
    last = page[-1].number if page else first - 1
    more = not only_findings and last < row.segments
    return Page(number, row.segments, tuple(page), more, last + 1, known.unplaced(page, row.segments))


def _wanted(stream: Stream, namer: Namer, spans: Sequence[_Span]) -> Iterator[tuple[RawSegment, Named]]:
    """The segments of these spans, with their names."""
    waiting, place = list(reversed(spans)), Place()
    for cut in stream.cuts():
        if waiting and waiting[-1][0] >= cut.number + len(cut.texts):
            namer.skip(cut)
            place.skip(cut)
            continue
        for segment in place.segments(cut):
            while waiting and segment.number >= waiting[-1][1]:
                waiting.pop()
            if not waiting:
                return
            if segment.number < waiting[-1][0]:
                namer.pass_over(segment)
            else:
                yield segment, namer.name(segment)


# ---------------------------------------------------------------- one segment


def _view(raw: RawSegment, named: Named, marks: Separators, *, unmasked: bool) -> SegmentView:
    text = raw.text
    if raw.head == "ISA" and not unmasked:
        text = masked(text.encode("latin-1", "replace")).decode("latin-1")
    tag, _, rest = text.partition(marks.element)
    names = element_names(tag, named.elements)
    values = rest.split(marks.element) if rest else []
    elements = tuple(
        ElementView(
            number,
            _readable(value),
            names[number - 1] if number <= len(names) else "",
            () if raw.head == "ISA" else _parts(value, named, number, marks),
        )
        for number, value in enumerate(values, 1)
    )
    return SegmentView(
        number=raw.number,
        offset=raw.offset,
        tag=tag,
        text=_readable(text),
        name=named.name,
        group=raw.group,
        set=raw.set,
        set_name=named.set_name,
        position=raw.position,
        loop=named.loop,
        depth=named.depth,
        elements=elements,
    )


def _parts(value: str, named: Named, number: int, marks: Separators) -> tuple[PartView, ...]:
    """The components of a composite, where there are several."""
    if not marks.component or marks.component not in value or number > len(named.elements):
        return ()
    uses = named.elements[number - 1].parts
    return tuple(
        PartView(place, _readable(each), uses[place - 1].name if place <= len(uses) else "")
        for place, each in enumerate(value.split(marks.component), 1)
    )


def _readable(text: str) -> str:
    """Text that was cut as Latin-1; where its bytes are UTF-8, that is what the partner meant."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


# ---------------------------------------------------------------- findings


class _Findings:
    """What is wrong with an exchange, by where it stands."""

    def __init__(self, connection: Connection, number: int) -> None:
        self._in_sets: dict[tuple[int, int], dict[int, list[FindingStory]]] = defaultdict(lambda: defaultdict(list))
        self._of_groups: dict[int, list[FindingStory]] = defaultdict(list)
        self._of_all: list[FindingStory] = []
        f, g, s = tables.finding, tables.functional_group, tables.transaction_set
        names = FindingStory.__struct_fields__
        wanted = (
            select(*(f.c[name] for name in names), g.c.ordinal.label("group"), s.c.ordinal.label("set"))
            .select_from(f.outerjoin(g, g.c.id == f.c.functional_group).outerjoin(s, s.c.id == f.c.transaction_set))
            .where(f.c.exchange == number)
            .order_by(f.c.id)
            .limit(_MOST_FINDINGS)
        )
        for row in connection.execute(wanted):
            opened = opened_row(connection, dict(zip(names, row, strict=False)))
            told = FindingStory(**opened)
            if row.group is not None and row.set is not None:
                self._in_sets[row.group, row.set][max(1, told.position)].append(told)
            elif row.group is not None:
                self._of_groups[row.group].append(told)
            else:
                self._of_all.append(told)
        for place, told in _of_partner(connection, number):
            self._in_sets[place][max(1, told.position)].append(told)

    def numbers(self, cuts: Iterable[Cut]) -> Iterator[int]:
        """The numbers of segments that something is wrong with, told by the heads of their sets and groups."""
        group = set_ = 0
        for cut in cuts:
            for index, head in cut.heads:
                number = cut.number + index
                if head == "ST":
                    set_ += 1
                    yield from (number + position - 1 for position in self._in_sets.get((group, set_), ()))
                elif head == "GS":
                    group, set_ = group + 1, 0
                if head not in {"ST", "SE"} and self._about(head, group, -1):
                    yield number

    def beside(self, view: SegmentView) -> SegmentView:
        """The segment with its findings, those of an element beside the element."""
        if view.position:
            mine = self._in_sets.get((view.group, view.set), {}).get(view.position, [])
        else:
            mine = self._about(view.tag, view.group, view.offset)
        if not mine:
            return view
        by_element: dict[int, list[FindingStory]] = defaultdict(list)
        for each in mine:
            by_element[each.element if each.element <= len(view.elements) else 0].append(each)
        elements = tuple(replace(each, findings=tuple(by_element[each.number])) for each in view.elements)
        return replace(view, elements=elements, findings=tuple(by_element[0]))

    def unplaced(self, page: Sequence[SegmentView], total: int) -> tuple[FindingStory, ...]:
        """Of a page that is the whole interchange: what speaks of none of its segments."""
        if not page or page[0].number != 1 or page[-1].number < total:
            return ()
        placed = {id(each) for view in page for each in self._about(view.tag, view.group, view.offset)}
        return tuple(each for each in self._of_all if id(each) not in placed)

    def _about(self, tag: str, group: int, offset: int) -> list[FindingStory]:
        """What speaks of a segment of the envelope."""
        if tag in {"GS", "GE"}:
            return [each for each in self._of_groups.get(group, ()) if (each.segment or "GS") == tag]
        if tag == "ISA":
            return [each for each in self._of_all if each.segment in {"", "ISA"}]
        mine = [each for each in self._of_all if each.segment == tag]
        return [each for each in mine if offset < 0 or each.offset <= 0 or each.offset == offset]


def _of_partner(connection: Connection, number: int) -> Iterator[tuple[tuple[int, int], FindingStory]]:
    """What the partner's acknowledgments found wrong with one of ours, by set."""
    a, g, s = tables.acknowledgment, tables.functional_group, tables.transaction_set
    wanted = (
        select(a.c.kind, a.c.errors, g.c.ordinal, s.c.ordinal.label("set"))
        .join(s, s.c.id == a.c.transaction_set)
        .join(g, g.c.id == s.c.functional_group)
        .where(a.c.exchange == number, a.c.errors.not_in(["", "[]"]))
        .order_by(a.c.id)
        .limit(_MOST_FINDINGS)
    )
    for row in connection.execute(wanted):
        for sentence in opened_sentences(connection, row.errors):
            at = _PLACED.match(sentence)
            yield (
                (row.ordinal, row.set),
                FindingStory(
                    level="error",
                    code=f"partner.{row.kind}",
                    x12="",
                    scope="element" if at and at[3] else "segment" if at else "set",
                    segment=at[1] if at else "",
                    position=int(at[2]) if at else 1,
                    loop="",
                    element=int(at[3] or 0) if at else 0,
                    component=0,
                    repetition=0,
                    offset=-1,
                    value="",
                    message=f"the partner's {row.kind} says: {sentence}",
                ),
            )


def _around(numbers: Iterable[int]) -> list[_Span]:
    """The spans around some segments, in order; those that touch become one."""
    spans: list[_Span] = []
    for number in sorted(set(numbers)):
        start, end = max(1, number - CONTEXT), number + CONTEXT + 1
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def _from(first: int, spans: Iterable[_Span]) -> list[_Span]:
    return [(max(first, start), end) for start, end in spans if end > first]
