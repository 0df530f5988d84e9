"""Habits that old interchanges show: how a partner numbers, and which numbers were used last. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

from gateway.values import asdict
from partners.model import Identity, Numbering
from partners.numbering import LAST, distance

if TYPE_CHECKING:
    from partners.learning import SeenInterchange

SURE = 5  # numbers from which on a habit is more than chance


class LastNumbers(Struct, frozen=True):
    """The last control numbers of one identity pair and direction; 0 where none was seen.

    ``interchange`` is ISA13, ``group`` GS06; ``count`` are the interchanges that were seen, ``source`` names the last.
    """

    direction: str
    ours: Identity
    theirs: Identity
    interchange: int
    group: int
    at: str
    count: int
    source: str

    def as_dict(self) -> dict[str, object]:
        """For ``--json``."""
        return asdict(self) | {"ours": str(self.ours), "theirs": str(self.theirs)}


def last_numbers(came: Sequence[SeenInterchange], went: Sequence[SeenInterchange]) -> tuple[LastNumbers, ...]:
    """The last numbers of each pair, ours first; tests (ISA15 T) count too, for they use the same numbers."""
    pairs: dict[tuple[str, Identity, Identity], list[SeenInterchange]] = {}
    for each in went:
        pairs.setdefault(("out", each.sender, each.receiver), []).append(each)
    for each in came:
        pairs.setdefault(("in", each.receiver, each.sender), []).append(each)
    return tuple(_last(direction, ours, theirs, seen) for (direction, ours, theirs), seen in pairs.items())


def _last(direction: str, ours: Identity, theirs: Identity, seen: Sequence[SeenInterchange]) -> LastNumbers:
    newest = max(seen, key=lambda each: (each.at, number(each.control_number)))
    groups = [(each.at, number(group.control_number)) for each in seen for group in each.groups]
    return LastNumbers(
        direction,
        ours,
        theirs,
        number(newest.control_number),
        max(groups, default=("", 0))[1],
        newest.at,
        len(seen),
        newest.source,
    )


def number(text: str) -> int:
    """A control number as a number; 0 for what is none."""
    digits = text.strip()
    found = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 9 else 0
    return found if found <= LAST else 0


def habit(numbers: Sequence[int]) -> Numbering:
    """How a row of numbers, in the order of time, goes on: by one, upwards, or neither. A repetition says nothing."""
    steps = [distance(before, after) for before, after in pairwise(numbers) if before != after]
    if any(step < 0 for step in steps):
        return Numbering.ANY
    return Numbering.CONSECUTIVE if all(step == 1 for step in steps) else Numbering.INCREASING


def delays(came: Iterable[SeenInterchange], went: Iterable[SeenInterchange]) -> list[timedelta]:
    """How long the partner took to acknowledge each group of ours, by ISA09 and ISA10 of both sides."""
    sent = {
        (each.sender, each.receiver, number(group.control_number)): each.at
        for each in went
        for group in each.groups
        if not group.acknowledges
    }
    found = []
    for each in came:
        for answered in (one for group in each.groups for one in group.answers):
            before, after = _moment(sent.get((each.receiver, each.sender, number(answered)), "")), _moment(each.at)
            if before is not None and after is not None and after >= before:
                found.append(after - before)
    return found


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text[:12], "%Y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        return None


def habits(came: Iterable[SeenInterchange]) -> Mapping[str, tuple[Numbering, int]]:
    """The habits in ISA13 (``numbers``) and GS06 (``group_numbers``) of production interchanges, and of how many.

    Each identity pair counts by itself; the loosest habit holds for all.
    """
    found: dict[str, tuple[Numbering, int]] = {}
    rows: dict[str, dict[tuple[Identity, Identity], list[int]]] = {"numbers": {}, "group_numbers": {}}
    for each in came:
        if each.usage == "T":
            continue
        pair = each.sender, each.receiver
        rows["numbers"].setdefault(pair, []).append(number(each.control_number))
        rows["group_numbers"].setdefault(pair, []).extend(number(group.control_number) for group in each.groups)
    order = list(Numbering)
    for name, by_pair in rows.items():
        kinds = [habit(numbers) for numbers in by_pair.values()]
        most = max((len(numbers) for numbers in by_pair.values()), default=0)
        found[name] = (max(kinds, key=order.index, default=Numbering.CONSECUTIVE), most)
    return found
