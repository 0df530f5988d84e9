"""Whatever order numbers come in, what is reported missing is what is missing."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from partners.model import Numbering
from partners.numbering import LAST, WINDOW
from partners.series import GAP, JUMP, REORDER, STEP_BACK, TOO_MANY, Epoch, Irregularity, Series


def missing(series: Series) -> Counter[int]:
    """Every number in an open gap, with how often it is reported."""
    return Counter(number for each in series.open if each.kind == GAP for number in range(each.first, each.last + 1))


def reopened(series: Series) -> Series:
    """The same series, as it comes back from where it was kept."""
    epochs = [Epoch(each.number, each.reason, each.lowest, each.highest, changed=False) for each in series.epochs]
    kept = [Irregularity(each.kind, each.epoch, each.first, each.last, id=1, changed=False) for each in series.open]
    return Series(series.numbering, unique=series.unique, epochs=epochs, irregularities=kept)


@st.composite
def losses(draw):
    """Numbers that a partner used, from any start, those of them that came, in the order in which they came."""
    start = draw(st.integers(1, 5_000) | st.integers(LAST - 60, LAST))
    count = draw(st.integers(1, 80))
    used = [(start + step - 1) % LAST + 1 for step in range(count)]
    lost = draw(st.sets(st.integers(0, count - 1), max_size=count - 1))
    came = [step for step in range(count) if step not in lost]
    if start + count > LAST:  # what came before the wrap began the series
        first, rest = came[0], came[1:]
        return used, [used[step] for step in came], [used[step] for step in [first, *draw(st.permutations(rest))]]
    return used, [used[step] for step in came], [used[step] for step in draw(st.permutations(came))]


@settings(max_examples=300, deadline=None)
@given(losses(), st.booleans(), st.integers(1, 20))
def test_what_is_reported_missing_is_what_is_missing(numbers, unique, batch):
    used, came, order = numbers
    series = Series(Numbering.CONSECUTIVE, unique=unique)
    for place, each in enumerate(order):
        series.see(each)
        if place % batch == 0:
            series = reopened(series)
    between = used[used.index(came[0]) : used.index(came[-1]) + 1]
    assert missing(series) == Counter(set(between) - set(came))
    assert {each.kind for each in series.open} <= {GAP}


@settings(max_examples=100, deadline=None)
@given(losses())
def test_what_arrives_late_leaves_no_gap(numbers):
    used, came, order = numbers
    series = Series(Numbering.CONSECUTIVE)
    late = [each for each in used[used.index(came[0]) : used.index(came[-1])] if each not in came]
    for each in [*order, *late]:
        series.see(each)
    assert series.open == []


@settings(max_examples=100, deadline=None)
@given(st.integers(REORDER + 10, LAST - 1), st.integers(1, 30), st.integers(1, 30))
def test_a_step_back_is_told_once_and_begins_anew(high, count, new):
    series = Series(Numbering.CONSECUTIVE)
    for each in range(high, min(high + count, LAST)):
        series.see(each)
    for each in range(1, new + 1):
        series.see(each)
    wrapped = LAST - series.epochs[0].highest <= WINDOW
    assert [each.kind for each in series.open if each.kind != GAP] == ([] if wrapped else [STEP_BACK])
    assert series.epochs[-1].highest == new


@settings(max_examples=100, deadline=None)
@given(st.integers(1, LAST - 20), st.integers(1, LAST - 20), st.integers(1, 20))
def test_a_declared_start_is_no_step_and_its_first_numbers_can_be_missing(high, start, skipped):
    series = Series(Numbering.CONSECUTIVE)
    series.see(high)
    series.epochs.append(Epoch(2, "declared", start, start - 1))
    near = abs(start + skipped - high) <= skipped
    series.see(start + skipped)
    if not near:
        assert missing(series) == Counter(range(start, start + skipped))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(Numbering), st.booleans(), st.lists(st.integers(1, LAST) | st.integers(1, 50), max_size=60))
def test_any_numbers_at_all_keep_the_series_sound(numbering, unique, numbers):
    series = Series(numbering, unique=unique)
    for each in numbers:
        assert series.see(each) in {epoch.number for epoch in series.epochs}
    assert len(series.open) <= TOO_MANY
    assert [each.number for each in series.epochs] == list(range(1, len(series.epochs) + 1))
    assert all(1 <= each.first <= LAST and 1 <= each.last <= LAST for each in series.open)
    assert max(missing(series).values(), default=1) == 1 or len(series.epochs) > 1
    if numbering is Numbering.ANY:
        assert series.open == []
    if numbering is Numbering.INCREASING:
        assert len(series.open) <= 1


def test_a_jump_beyond_the_window_is_one_finding():
    series = Series(Numbering.CONSECUTIVE)
    for each in (500, 500 + WINDOW + 1, 500 + WINDOW + 2, 501):
        series.see(each)
    assert [(each.kind, each.first, each.last) for each in series.open] == [(JUMP, 501, 500 + WINDOW)]


def test_two_systems_that_number_by_turns_are_told_once():
    series = Series(Numbering.CONSECUTIVE)
    for each in range(20):
        series.see(50_000 + each)
        series.see(100 + each)
    assert [each.kind for each in series.open] == [STEP_BACK]


def test_group_numbers_that_begin_anew_in_every_interchange_are_fine():
    series = Series(Numbering.CONSECUTIVE, unique=False)
    for each in (1, 2, 3, 1, 1, 2, 1, 2, 3, 4):
        series.see(each)
    assert series.open == []


def test_a_number_of_a_gap_that_a_person_closed_may_come_after_all():
    closed = Irregularity(GAP, 1, 3, 5, id=7, open=False, changed=False)
    series = Series(Numbering.CONSECUTIVE, epochs=[Epoch(1, "first seen", 1, 9, False)], irregularities=[closed])
    assert series.see(4) == 1
    assert series.open == []
    assert (closed.first, closed.last) == (3, 5)


@st.composite
def anew(draw):
    """Counts of a partner, all but the first declared: those of each that came, in their order, and what it lost."""
    places = st.sampled_from([1, 1, 20, 40, 5_000, LAST - 20, LAST - 5, LAST])
    starts = draw(
        st.sampled_from([(1, 1), (40, 1), (1, 20), (LAST - 20, LAST - 20), (5_000, 1)])
        | st.lists(places, min_size=3, max_size=4)
    )
    counts = []
    for start in starts:
        came = [True, *draw(st.lists(st.booleans() | st.just(True), min_size=1, max_size=60)), True]
        used = [(start + step - 1) % LAST + 1 for step in range(len(came))]
        counts.append((start, used, {each for each, here in zip(used, came, strict=True) if not here}))
    return counts


def declare(series: Series, start: int, *, explained: bool) -> None:
    """A person says that the count begins anew, and why the older one lacks what it lacks."""
    for each in series.open if explained else ():
        each.open, each.why = False, "never used"
    series.epochs.append(Epoch(series.epochs[-1].number + 1, "declared", start, start - 1))


@settings(max_examples=150, deadline=None)
@given(anew(), st.booleans())
def test_what_an_older_count_lacks_takes_no_number_of_a_declared_one(counts, explained):
    """Nor does its end, however often the count begins anew: what is missing is told, and what came is not."""
    series = Series(Numbering.CONSECUTIVE)
    told: Counter[int] = Counter()
    for start, used, lost in counts:
        if series.epochs:
            declare(series, start, explained=explained)
        for each in used:
            if each not in lost:
                series.see(each)
        told = Counter(lost) + (Counter() if explained else told)
        assert missing(series) == told


def test_a_leap_of_a_declared_count_is_not_taken_for_the_end_of_an_older_one():
    series = Series(Numbering.CONSECUTIVE)
    for each in range(1, 217):
        series.see(each)
    declare(series, 1, explained=True)
    for each in (*range(1, 64), 364, 365):
        series.see(each)
    assert missing(series) == Counter(range(64, 364))


def test_stragglers_of_a_count_that_is_over_still_belong_to_its_end():
    series = Series(Numbering.CONSECUTIVE)
    for each in range(1, 400):
        series.see(each)
    declare(series, 1, explained=True)
    for each in (1, 2, 400, 401, 3):
        series.see(each)
    assert [(each.lowest, each.highest) for each in series.epochs] == [(1, 401), (1, 3)]
    assert series.open == []


def test_a_gap_that_a_person_explained_takes_no_number_that_a_later_declared_count_reaches():
    """Only who waits for a number of an older count gets it: 400 was never used there."""
    for explained, expected in ((True, range(51, 400)), (False, [*range(300, 400), *range(401, 500)])):
        series = Series(Numbering.CONSECUTIVE)
        for each in (*range(1, 300), 500):
            series.see(each)
        declare(series, 1, explained=explained)
        for each in (*range(1, 51), 400):
            series.see(each)
        assert missing(series) == Counter(expected)
