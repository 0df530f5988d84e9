"""Reports on very many sets: kept packed, and still the sequence that they were."""

from __future__ import annotations

import tracemalloc

import pytest
from builders.x12 import SET_850, isa, transaction_set
from msgspec.structs import replace

from gateway.x12 import ExaminePolicy, Finding, Level, SetReport, Status, examine, functional_acknowledgment
from gateway.x12.group import Numbers
from gateway.x12.packed import BLOCK, SetReports, rejected_with

BAD = (SET_850[0].replace("BEG*00", "BEG*Q9"), *SET_850[1:])
REASON = Finding(Level.INFO, "set.group-rejected", "No.", "set")


def report(number: int, *, bad: bool = False) -> SetReport:
    finding = Finding(Level.ERROR, "element.code-unknown", "Né", "element", "7", "I6", "BEG", 2, "2000", value="\xe9\0")
    findings = (finding, replace(finding, element=number)) if bad else ()
    status = Status.REJECTED if bad else Status.ACCEPTED
    return SetReport("850", f"{number:04}", "", status, "X12 004010 850", findings, number * 100, number * 100 + 99, 7)


@pytest.fixture
def plain():
    return tuple(report(number, bad=number % 7 == 0) for number in range(3 * BLOCK + 5))


def test_packed_reports_are_the_same_as_a_tuple_of_them(plain):
    packed = SetReports(plain)
    assert len(packed) == len(plain)
    assert list(packed) == list(plain)
    assert packed == plain
    assert plain == packed
    assert hash(packed) == hash(plain)
    assert packed == SetReports(plain)
    assert packed != SetReports(plain[1:])
    assert packed != (*plain[:-1], report(0))
    assert packed != list(plain)


@pytest.mark.parametrize("index", [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK + 3, 3 * BLOCK + 4, -1, -BLOCK])
def test_each_is_found_at_its_index(plain, index):
    assert SetReports(plain)[index] == plain[index]


@pytest.mark.parametrize("index", [3 * BLOCK + 5, -3 * BLOCK - 6])
def test_an_index_beyond_the_end_is_an_error(plain, index):
    with pytest.raises(IndexError):
        SetReports(plain)[index]


@pytest.mark.parametrize("part", [slice(None), slice(3, 9), slice(BLOCK - 2, BLOCK + 2), slice(None, None, -300)])
def test_a_slice_is_a_tuple(plain, part):
    assert SetReports(plain)[part] == plain[part]


def test_what_is_rejected_as_a_whole_keeps_its_own_reasons(plain):
    whole = rejected_with(SetReports(plain), REASON)
    assert whole == rejected_with(plain, REASON)
    assert {each.status for each in whole} == {Status.REJECTED}
    assert whole[1].findings == (REASON,)
    assert whole[7] == plain[7]
    assert rejected_with(whole, replace(REASON, message="Again.")) == whole
    assert SetReports(plain)[1].status is Status.ACCEPTED


def test_few_sets_stay_a_tuple(plain):
    assert type(SetReports(plain[:9]).settled()) is tuple
    assert type(SetReports(plain).settled()) is SetReports


class Stream:
    """An interchange that is made while it is read: one group with so many sets."""

    def __init__(self, sets, bodies=(SET_850,), trailer="1", number="{:09}"):
        self._parts = self._made(sets, bodies, trailer, number)
        self._held = b""

    def _made(self, sets, bodies, trailer, number):
        yield isa() + "GS*PO*SND*RCV*20261101*1200*1*X*004010~"
        for each in range(1, sets + 1):
            yield transaction_set(number.format((each * 7919) % 999999937), bodies[each % len(bodies)])
        yield f"GE*{sets}*{trailer}~IEA*1*000000001~"

    def read(self, size):
        while len(self._held) < size and (part := next(self._parts, "")):
            self._held += part.encode()
        data, self._held = self._held[:size], self._held[size:]
        return data


def grown(more, fewer, **stream):
    """Bytes that stay for each further set, and the last report."""
    kept = []
    for sets in (fewer, more):
        tracemalloc.start()
        (found,) = examine(Stream(sets, **stream), chunk=1 << 14)
        kept.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    return (kept[1] - kept[0]) / (more - fewer), found


@pytest.mark.parametrize("trailer", ["1", "9"], ids=["accepted", "group-rejected"])
def test_a_set_without_findings_costs_few_bytes(trailer):
    """At 25 bytes a set, a gigabyte of such small sets (six million) stays within 150 MB."""
    cost, found = grown(7000, 2000, trailer=trailer)
    (only,) = found.groups
    assert cost < 25
    assert len(only.sets) == 7000
    assert only.sets_accepted == (7000 if trailer == "1" else 0)
    assert only.sets[6999].control_number == f"{(7000 * 7919) % 999999937:09}"


def test_a_set_with_findings_costs_little_more():
    cost, found = grown(5000, 2000, bodies=(SET_850, BAD))
    assert cost < 150
    (only,) = found.groups
    assert found.status is Status.PARTIALLY_ACCEPTED
    assert (len(only.sets), only.sets_accepted) == (5000, 2500)
    assert only.sets[1].findings == ()
    assert only.sets[0].findings[0].value == "Q9"
    assert functional_acknowledgment(only, "997", "rejected").segments == 2 + 4 * 2500


def test_a_stricter_agreement_counts_packed_sets_too():
    (found,) = examine(Stream(600, trailer="1"), ExaminePolicy(reject_from=Level.INFO))
    assert found.groups[0].sets_accepted == 600


def test_control_numbers_in_any_order_are_remembered():
    numbers = Numbers()
    order = [f"{(each * 7919) % 99991:09}" for each in range(3000)]
    assert not any(numbers.seen(each) for each in order)
    assert all(numbers.seen(each) for each in order)
    assert not numbers.seen("0001")
    assert not numbers.seen("A001")
    assert numbers.seen("0001")
    assert numbers.seen("A001")


def test_consecutive_control_numbers_meet_one_that_came_before():
    numbers = Numbers()
    given = ["0001", "0002", "0004", "0003", "0004", "0005", "0002", "0006"]
    assert [numbers.seen(each) for each in given] == [False, False, False, False, True, False, True, False]
