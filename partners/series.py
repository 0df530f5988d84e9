"""One partner's numbers of one kind, as they came: which are missing, and where the series went back or jumped. Pure.

A series consists of epochs: a new one begins where it wraps (after 999999999 comes 1), where the partner told us, and
where it went back or jumped so far that nothing else explains it. Within an epoch every number between the lowest and
the highest came or stands in a gap, whatever the order in which they came.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import pairwise

from msgspec import Struct

from partners.model import Numbering
from partners.numbering import LAST, WINDOW, distance

REORDER = 100  # how far behind a number may come late, where nothing is known to be missing
RECENT = 4  # epochs that a straggler may belong to
STRAGGLERS = 10  # how far past its end a count may still come after another one was declared
TOO_MANY = 300  # open findings of one series: whatever it is, it is not consecutive

GAP, STEP_BACK, JUMP, IRREGULAR = "gap", "step back", "jump", "irregular"
FIRST_SEEN, WRAPPED, DECLARED, STEPPED_BACK, JUMPED = "first seen", "wrapped", "declared", "stepped back", "jumped"
NOT_CONSECUTIVE = "the numbers of this series do not follow each other"
ARRIVED = "arrived"  # who closed a gap: its numbers themselves


class Epoch(Struct):
    """One run of a series. One that was declared and has no number yet has ``highest`` below ``lowest``."""

    number: int
    reason: str
    lowest: int
    highest: int
    changed: bool = True


class Irregularity(Struct):
    """A gap, or a place where the series went back or jumped: from ``first`` to ``last``.

    ``id``, ``at``, ``shown_by`` and ``raised`` are the keeper's: whether it is kept, since when, which exchange showed
    it, and whether people were told; a part of a gap has them of the whole. ``why``: the reason for which it was closed
    otherwise than by what came.
    """

    kind: str
    epoch: int
    first: int
    last: int
    id: int | None = None
    raised: bool = False
    open: bool = True
    changed: bool = True
    at: int | None = None
    shown_by: int | None = None
    why: str = ""

    def part(self, first: int, last: int) -> Irregularity:
        """Another part of a gap, not kept yet."""
        return Irregularity(self.kind, self.epoch, first, last, raised=self.raised, at=self.at, shown_by=self.shown_by)


class Series:
    """What is known of one series of numbers; ``see`` takes the next one that came.

    Args:
        numbering: how the partner numbers.
        unique: a number comes once in an epoch (ISA13). Of others (GS06) near ones may come again at any time.
        epochs: the oldest first.
        irregularities: open ones, and those that a person closed: their numbers may come after all.
    """

    def __init__(
        self,
        numbering: Numbering,
        *,
        unique: bool = True,
        epochs: Iterable[Epoch] = (),
        irregularities: Iterable[Irregularity] = (),
    ) -> None:
        self.numbering = numbering
        self.unique = unique
        self.epochs = list(epochs)
        self.irregularities = list(irregularities)

    @property
    def open(self) -> list[Irregularity]:
        """What is not explained."""
        return [each for each in self.irregularities if each.open]

    def see(self, number: int) -> int:
        """Takes a number (1 to 999999999) that came; returns the epoch that it belongs to."""
        if not self.epochs:
            return self._begin(FIRST_SEEN, number)
        if self.numbering is Numbering.ANY or any(each.kind == IRREGULAR for each in self.open):
            return self._stretch(self.epochs[-1], number)
        if self.numbering is Numbering.INCREASING:
            return self._rise(number)
        if self._goes_on(number):
            return self._join(self.epochs[-1], number)
        gap = self._gap_with(number)
        return self._place(number) if gap is None else self._fill(gap, number)

    # ------------------------------------------------------------ where it belongs

    def _goes_on(self, number: int) -> bool:
        """Whether the newest count goes on with it, although an older one may have gone as far, or lack it."""
        current = self.epochs[-1]
        return 0 < distance(current.highest, number) <= reach(current.reason, current.lowest, current.highest)

    def _declared(self) -> int:
        """The newest epoch that was declared; 0 where none was."""
        return max((each.number for each in self.epochs if each.reason == DECLARED), default=0)

    def _place(self, number: int) -> int:
        current = self.epochs[-1]
        if current.lowest <= number <= current.highest:
            if not self.unique and current.highest - number < REORDER:
                return current.number
            return self._step_back(number)
        declared = self._declared()
        near = [
            (steps, -each.number, each)
            for each in self.epochs[-RECENT:]
            if (steps := self._steps(each, number, over=each.number < declared))
        ]
        if near:
            return self._join(min(near)[2], number)
        if number > current.highest:
            self._note(JUMP, current.number + 1, current.highest + 1, number - 1)
            return self._begin(JUMPED, number)
        return self._step_back(number)

    def _steps(self, epoch: Epoch, number: int, *, over: bool) -> int:
        """How far the number is from an epoch; 0 where it is too far to belong to it.

        An epoch is ``over`` where a later one was declared: its stragglers still come.
        """
        if number > epoch.highest:
            return number - epoch.highest if number - epoch.highest <= (STRAGGLERS if over else WINDOW) else 0
        if number < epoch.lowest <= number + REORDER:
            return epoch.lowest - number
        ahead = distance(epoch.highest, number)
        return ahead if epoch is self.epochs[-1] and 0 < ahead <= WINDOW else 0

    def _join(self, epoch: Epoch, number: int) -> int:
        if number > epoch.highest:
            self._gap(epoch, epoch.highest + 1, number - 1)
        elif epoch.lowest - number <= REORDER:
            self._gap(epoch, number + 1, epoch.lowest - 1)
        else:
            return self._wrap(epoch, number)
        return self._stretch(epoch, number)

    def _wrap(self, epoch: Epoch, number: int) -> int:
        self._gap(epoch, epoch.highest + 1, LAST)
        self._stretch(epoch, LAST)
        self._begin(WRAPPED, 1)
        self._gap(self.epochs[-1], 1, number - 1)
        return self._stretch(self.epochs[-1], number)

    def _rise(self, number: int) -> int:
        """Only going back means anything; it is told once until somebody explains it."""
        current = self.epochs[-1]
        if number > current.highest - REORDER:
            return self._stretch(current, number)
        if 0 < distance(current.highest, number) <= WINDOW:
            return self._begin(WRAPPED, number)
        return self._step_back(number)

    def _step_back(self, number: int) -> int:
        current = self.epochs[-1]
        if not (self.numbering is Numbering.INCREASING and any(each.kind == STEP_BACK for each in self.open)):
            self._note(STEP_BACK, current.number + 1, number, current.highest)
        return self._begin(STEPPED_BACK, number)

    # ------------------------------------------------------------ what changes

    def _begin(self, reason: str, number: int) -> int:
        after = self.epochs[-1].number if self.epochs else 0
        self.epochs.append(Epoch(after + 1, reason, number, number))
        return after + 1

    def _stretch(self, epoch: Epoch, number: int) -> int:
        epoch.lowest, epoch.highest = min(epoch.lowest, number), max(epoch.highest, number)
        epoch.changed = True
        return epoch.number

    def _gap_with(self, number: int) -> Irregularity | None:
        """The gap of the newest count that holds the number, closed by a person or open.

        One that was closed in a count that is over takes nothing which a later one reaches: nobody waits for it.
        """
        reached = 0 < distance(self.epochs[-1].highest, number) <= WINDOW
        over = self._declared() if reached else 0
        gaps = (
            each
            for each in self.irregularities
            if each.kind == GAP and each.first <= number <= each.last and (each.open or each.epoch >= over)
        )
        return max(gaps, key=lambda each: (each.epoch, each.id or sys.maxsize), default=None)

    def _fill(self, gap: Irregularity, number: int) -> int:
        if gap.open:
            rest = [(gap.first, number - 1), (number + 1, gap.last)]
            parts = [(first, last) for first, last in rest if first <= last]
            gap.changed = True
            gap.open = bool(parts)
            if parts:
                gap.first, gap.last = parts[0]
            for first, last in parts[1:]:
                self._add(gap.part(first, last))
        return gap.epoch

    def _gap(self, epoch: Epoch, first: int, last: int) -> None:
        if first <= last:
            self._note(GAP, epoch.number, first, last)

    def _note(self, kind: str, epoch: int, first: int, last: int) -> None:
        self._add(Irregularity(kind, epoch, first, last))

    def _add(self, found: Irregularity) -> None:
        self.irregularities.append(found)
        if len(self.open) > TOO_MANY:
            self.give_up()

    def explain(self, numbers: AbstractSet[int], why: str, epoch: int) -> None:
        """Numbers that are missing for a reason: they leave their gaps in an epoch, without having come."""
        for gap in [each for each in self.open if each.kind == GAP and each.epoch == epoch]:
            runs = list(_runs(gap.first, gap.last, numbers))
            if len(runs) == 1 and not runs[0][2]:
                continue
            for place, (first, last, explained) in enumerate(runs):
                part = gap if not place else gap.part(first, last)
                part.first, part.last, part.open, part.changed = first, last, not explained, True
                part.why = why if explained else ""
                if place:
                    self.irregularities.append(part)

    def give_up(self) -> Irregularity:
        """The series is not consecutive: one finding that says so instead of all the others."""
        found = self.open
        for each in found:
            each.open, each.changed, each.why = False, True, NOT_CONSECUTIVE
        lowest, highest = min(each.first for each in found), max(each.last for each in found)
        one = Irregularity(IRREGULAR, self.epochs[-1].number, lowest, highest)
        self.irregularities.append(one)
        return one


def reach(reason: str, lowest: int, highest: int) -> int:
    """How many numbers further a count is believed to go on, although an older one may have been there.

    One that stepped back or jumped is believed to skip no more than it has come far; others may.
    """
    return REORDER if reason in {DECLARED, WRAPPED} else min(REORDER, highest - lowest + 1)


def _runs(first: int, last: int, numbers: AbstractSet[int]) -> Iterator[tuple[int, int, bool]]:
    """The numbers from first to last as runs: of those that are among ``numbers``, and of the others."""
    begin = first
    for number in range(first, last + 1):
        if number == last or ((number + 1) in numbers) is not (number in numbers):
            yield begin, number, number in numbers
            begin = number + 1


def is_consecutive(numbers: Iterable[int]) -> bool:
    """Whether at least half of the numbers follow the one before, whatever the order in which they came."""
    known = sorted(set(numbers))
    follow = sum(1 for one, other in pairwise(known) if other == one + 1)
    return follow * 2 >= len(known) - 1
