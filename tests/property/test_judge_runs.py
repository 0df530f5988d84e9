"""Segments that are alike are judged many at once: it must find what it finds when it is fed one at a time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.x12.guideline.catalog import judge_for
from gateway.x12.model import ExaminePolicy, Separators

MARKS = Separators(element="*", component=":", segment="~", repetition="", suffix="")
LINES = st.sampled_from([
    "PO1*1*2*EA*1.95**BP*AC-1", "PO1*1*2*CA*1.95**BP*AC-1", "PO1*1*2*XX*1.95**BP*AC-1", "PO1*1*two*EA", "PO1",
    "PO1*1*2*EA*1.95**BP", "PID*F****WIDGET", "PID*Z*", "SAC*C", "REF*DP*42", "REF*ZZZ*42", "LIN**BP*1", "LIN*1*BP*1",
    "SLN*1**I*1*EA", "CTT*3", "", "\x0bPO1*1*2*EA", "PO1\r*1", "po1*1",
])  # fmt: skip
RUNS = st.lists(st.tuples(LINES, st.integers(1, 60)), max_size=8)


def fed(pieces, step):
    judge = judge_for("850", "004010", "", MARKS, ExaminePolicy())
    offset, at = 0, 0
    while at < len(pieces):
        chunk = pieces[at : at + step]
        done = judge.feed(chunk, 0, offset)
        if done < len(chunk) or judge.ended:
            break
        offset += sum(map(len, chunk)) + len(chunk)
        at += step
    return judge.findings, judge.count, judge.ended, judge.trailer


@settings(deadline=None)
@given(RUNS, st.sampled_from(["", "\r\n", " "]), st.integers(2, 200))
def test_at_once_and_one_at_a_time_find_the_same(runs, leading, step):
    lines = [line for line, times in runs for _ in range(times)]
    pieces = ["ST*850*0001", "BEG*00*SA*1**20261102", *lines, "SE*9*0001"]
    pieces = [pieces[0], *(leading + each for each in pieces[1:])]
    alone = fed(pieces, 1)
    assert fed(pieces, step) == alone
    assert fed(pieces, len(pieces)) == alone


def test_a_run_that_is_too_long_is_said_where_it_is_too_long():
    pieces = ["ST*850*0001", "BEG*00*SA*1**20261102", "PO1*1*2*EA", *["PID*F****WIDGET"] * 1_003, "SE*9*0001"]
    findings, *_ = fed(pieces, len(pieces))
    assert findings == fed(pieces, 1)[0]
    assert [each.position for each in findings if each.segment == "PID"] == [1_004, 1_005, 1_006]


def test_a_segment_that_only_begins_like_a_known_one_is_none_whatever_was_judged_before():
    pieces = ["ST*850*0001", "BEG*00*SA*1**20261102", "PO1X*1*2*EA", "PO1*1*2*EA", "PO1X*1*2*EA", "SE*6*0001"]
    for _ in range(2):
        findings, *_ = fed(pieces, len(pieces))
        assert [(each.code, each.position) for each in findings] == [("segment.unknown", 3), ("segment.unknown", 5)]
