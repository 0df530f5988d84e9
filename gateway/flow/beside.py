"""Beside: an acknowledgment, set by set, beside what it answers: the words at the segments that it speaks of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from msgspec import Struct, field
from sqlalchemy import Engine

from gateway.flow.segments import SegmentView, segments
from gateway.ledger import parts
from gateway.ledger.database import reading
from gateway.ledger.rows import ExchangeRow
from gateway.ledger.story import story
from gateway.ledger.story_values import AcknowledgmentStory, GroupStory, SetStory
from gateway.x12.model import ExaminePolicy

SETS = 50  # sets that are shown beside each other
_LONGEST_NUMBER = 9  # characters of an ST02
_FEW = 20  # of our findings on one set that are told in words
_SEGMENTS = 2_000  # of an acknowledgment that are read
_TROUBLED = 200  # segments of what is judged that something is wrong with, and those around

_Name = tuple[str, str, str, str]  # functional id, group number, set, set number


class Pair(Struct, frozen=True):
    """One set of the acknowledgment (its AK2 or IK2 to AK5 or IK5) beside the set that it judges.

    ``judged`` is None where we know no such set. ``status`` is the verdict; ``errors`` tells it in words;
    ``troubled`` are the segments of the judged set that something is wrong with, with those around them.
    """

    group: str  # "PO 17"
    name: str  # "850 0001"
    judged: SetStory | None
    status: str
    errors: tuple[str, ...]
    said: tuple[SegmentView, ...]
    troubled: tuple[SegmentView, ...]


class Beside(Struct, frozen=True):
    """An acknowledgment beside what it answers. ``around`` are its TA1, AK1 and AK9: what it says of the whole.

    ``whole`` is what the partner's said of interchange and groups, in words. What is not accepted stands first;
    ``more`` counts sets that are not shown, and ``cut`` says that there are still more, which were not read.
    """

    judged: ExchangeRow
    answer: ExchangeRow
    around: tuple[SegmentView, ...]
    whole: tuple[AcknowledgmentStory, ...]
    pairs: tuple[Pair, ...]
    more: int
    cut: bool = False


class _Said(Struct):
    """One set of an acknowledgment while it is read."""

    name: _Name
    segments: list[SegmentView] = field(default_factory=list)


def beside(engine: Engine, judged: int, answer: int, policy: ExaminePolicy | None = None) -> Beside:
    """An acknowledgment beside what it answers.

    Args:
        engine: the ledger.
        judged: the exchange that is answered.
        answer: the exchange that answers it.
        policy: whose guidelines name the segments of what is judged.

    Raises:
        NotFound: there is no such exchange, or its bytes were never kept.
        ContentPutAway, ContentErased, PayloadKeyUnreadable: its bytes cannot be had any more, or not here.
    """
    told = story(engine, judged, SETS)
    answering = story(engine, answer, 1).exchange
    page = segments(engine, answer, count=_SEGMENTS)
    around, said = _read(page.segments)
    troubled: dict[tuple[int, int], list[SegmentView]] = {}
    if told.exchange.findings or any(each.errors for each in told.answered):  # else no segment is worth the search
        troubled = _troubled(segments(engine, judged, count=_TROUBLED, only_findings=True, policy=policy).segments)
    named = [each for each in said if len(told.groups) == 0 or _is_of(each.name, told.groups)]
    shown = sorted(named, key=_is_accepted)[:SETS]
    known, mine = _known(engine, judged, answer, shown)
    pairs = tuple(_pair(each, known, mine, troubled) for each in shown)
    whole = tuple(each for each in mine if each.transaction_set is None)
    return Beside(told.exchange, answering, around, whole, pairs, len(named) - len(shown), cut=page.more)


def _known(
    engine: Engine, judged: int, answer: int, shown: Sequence[_Said]
) -> tuple[dict[_Name, tuple[GroupStory, SetStory]], tuple[AcknowledgmentStory, ...]]:
    """The sets that are spoken of, wherever among thousands they stand, and what was recorded of them and the whole."""
    bare = {each.name[3] for each in shown}
    controls = {each.zfill(width) for each in bare for width in range(len(each), _LONGEST_NUMBER + 1)}
    with reading(engine) as connection:
        bounds = parts.Bounds(connection, 2 * _SEGMENTS)
        groups = parts.sets_numbered(bounds, judged, controls)
        ids = [each.id for group in groups for each in group.sets]
        mine = parts.acknowledgments_by(bounds, judged, answer, ids)
    known = {
        (group.functional_id, _bare(group.control_number), each.set_id, _bare(each.control_number)): (group, each)
        for group in groups
        for each in group.sets
    }
    return known, mine


def _pair(
    said: _Said,
    known: dict[_Name, tuple[GroupStory, SetStory]],
    mine: Sequence[AcknowledgmentStory],
    troubled: dict[tuple[int, int], list[SegmentView]],
) -> Pair:
    group, judged = known.get(said.name, (None, None))
    told = next((each for each in mine if judged is not None and each.transaction_set == judged.id), None)
    status = told.status if told is not None else judged.status if judged is not None else ""
    errors = told.errors if told is not None else _found(judged)
    place = (group.ordinal, judged.ordinal) if group is not None and judged is not None else (0, 0)
    return Pair(
        group=f"{said.name[0]} {said.name[1]}",
        name=f"{said.name[2]} {said.segments[0].elements[1].value if len(said.segments[0].elements) > 1 else ''}",
        judged=judged,
        status=status,
        errors=errors,
        said=tuple(said.segments),
        troubled=tuple(troubled.get(place, ())),
    )


def _found(judged: SetStory | None) -> tuple[str, ...]:
    """What we found wrong, where the verdict is ours."""
    return () if judged is None else tuple(each.message for each in judged.findings[:_FEW] if each.message)


def _is_accepted(said: _Said) -> bool:
    """Whether its AK5 or IK5 says so."""
    last = said.segments[-1]
    return last.tag in {"AK5", "IK5"} and bool(last.elements) and last.elements[0].value.strip() == "A"


def _read(views: Iterable[SegmentView]) -> tuple[tuple[SegmentView, ...], list[_Said]]:
    """What an acknowledgment says of the whole, and of each set."""
    around: list[SegmentView] = []
    said: list[_Said] = []
    group, open_ = ("", ""), False
    for view in views:
        values = [each.value.strip() for each in view.elements] + ["", ""]
        if view.tag in {"TA1", "AK1", "AK9"}:
            around.append(view)
            group = (values[0], _bare(values[1])) if view.tag == "AK1" else group
            open_ = False
        elif view.tag in {"AK2", "IK2"}:
            said.append(_Said((*group, values[0], _bare(values[1])), [view]))
            open_ = True
        elif open_ and view.tag != "SE":
            said[-1].segments.append(view)
            open_ = view.tag not in {"AK5", "IK5"}
    return tuple(around), said


def _troubled(views: Iterable[SegmentView]) -> dict[tuple[int, int], list[SegmentView]]:
    found: dict[tuple[int, int], list[SegmentView]] = defaultdict(list)
    for view in views:
        if view.position:
            found[view.group, view.set].append(view)
    return found


def _is_of(name: _Name, groups: Sequence[GroupStory]) -> bool:
    """Whether a set is of a group of this interchange: one acknowledgment may speak of several interchanges."""
    return any(each.functional_id == name[0] and _bare(each.control_number) == name[1] for each in groups)


def _bare(number: str) -> str:
    """A control number without what does not count."""
    return number.strip().lstrip("0") or "0"
