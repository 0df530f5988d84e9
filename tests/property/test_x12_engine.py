"""Properties of the outer engine: nothing makes it raise, and what it writes it reads."""

from __future__ import annotations

import pytest
from builders.x12 import group, interchange, transaction_set
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.errors import DocumentUnreadable
from gateway.x12 import (
    DraftGroup,
    DraftInterchange,
    DraftSet,
    Header,
    Party,
    Separators,
    Status,
    examine,
    functional_acknowledgment,
    interchange_acknowledgment,
    looks_like,
    read_document,
    sniff,
    write_interchange,
)

SAMPLE = (
    interchange(group(transaction_set(), transaction_set("0002")), asked="1")
    + "\r\n"
    + interchange(group(number="2"), number="000000002").replace("~", "~\n")
).encode()
quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
pieces = st.sampled_from(
    [b"ISA", b"*", b"~", b"\n", b"\0", b"GS*PO*", b"ST*850*0001~", b"SE*2*0001~", b"GE*1*1~", b"IEA*1*000000001~",
     b"BIN*5*", b"BDS*A*9*", b"TA1*", b"\xff", SAMPLE[:106], SAMPLE[:300], SAMPLE[106:], b"AK1*PO*1~AK9*A*1*1*1~",
     b"ST*997*1~", b" " * 60]
)  # fmt: skip


def survives(data, chunk=1 << 18):
    """Everything that takes bytes of strangers."""
    found = list(examine(data, chunk=chunk))
    assert found
    end = 0
    for report in found:
        assert end <= report.start <= report.end <= len(data)
        end = report.end
        assert report.ta1[0] in "AER"
        assert (report.ta1[1] == "000") is (report.ta1[0] == "A")
        interchange_acknowledgment(report)
        for each in report.groups:
            assert report.start <= each.start <= each.end <= report.end
            for kind in ("997", "999"):
                functional_acknowledgment(each, kind, "set")
            for one in each.sets:
                assert each.start <= one.start < one.end <= each.end
                assert data[one.start : one.start + 2] == b"ST"
    sniff(data)
    looks_like(data)
    try:
        read_document(data)
    except DocumentUnreadable as fault:
        assert "not given" not in str(fault)  # noqa: PT017
    return found


@quick
@given(st.binary(max_size=400), st.integers(1, 300))
def test_any_bytes_are_examined_without_an_exception(data, chunk):
    survives(data, chunk)


@quick
@given(st.lists(pieces | st.binary(max_size=20), max_size=25).map(b"".join), st.integers(1, 300))
@example(SAMPLE[:106] + b"BIN*99*" + b"x", 3)
def test_anything_like_x12_is_examined_without_an_exception(data, chunk):
    survives(data, chunk)


@quick
@given(st.data())
def test_one_changed_byte_never_raises_and_never_changes_another_interchange(data):
    at = data.draw(st.integers(0, SAMPLE.index(b"\r\nISA") - 1))
    changed = SAMPLE[:at] + bytes([data.draw(st.integers(0, 255))]) + SAMPLE[at + 1 :]
    found = survives(changed)
    assert found[-1].header.control_number == "000000002"
    assert found[-1].status is Status.ACCEPTED


def test_an_interchange_cut_at_any_byte_is_never_accepted():
    whole = SAMPLE[: SAMPLE.index(b"\r\nISA")]
    for size in range(len(whole) - 1):
        (report,) = survives(whole[:size])
        assert report.status is Status.REJECTED
        assert report.header is None or report.ta1[0] == "R"


@quick
@given(st.integers(1, 400))
def test_the_chunk_size_does_not_change_the_reports(chunk):
    assert list(examine(SAMPLE, chunk=chunk)) == list(examine(SAMPLE))


@pytest.mark.parametrize("chunk", [1, 7, 600])
def test_the_chunk_size_does_not_change_what_is_said_of_words_around(chunk):
    """More than is read at first: words with blanks between and behind them, before an interchange and after it."""
    words = b"\xef\xbb\xbf \n" + b"a word  \r\n" * 500
    text = words + SAMPLE + words + b" " * 500
    assert list(examine(text, chunk=chunk)) == list(examine(text))


# ---------------------------------------------------------------- write and read

marks = st.permutations("*|~^>:<!\x1c\x1d\x1e\x1f\n").map(
    lambda signs: Separators(signs[0], signs[1], signs[2], signs[3], "")
)
words = st.text("ABCxyz0189 .,-&()é", max_size=12)


@st.composite
def drafts(draw):
    """An interchange with made-up contents, in made-up separators."""
    target = draw(marks)
    version, standard = draw(st.sampled_from([("00401", "004010"), ("00501", "005010"), ("00304", "003040")]))
    own = target if version == "00501" else replace(target, repetition="")
    groups = []
    for number in range(1, draw(st.integers(1, 3)) + 1):
        sets = []
        for _ in range(draw(st.integers(1, 3))):
            body = ""
            segments = draw(st.lists(st.lists(words, min_size=1, max_size=5), max_size=6))
            for elements in segments:
                body += own.element.join(("REF", *elements)) + own.segment
            sets.append(DraftSet("850", "", body, own, len(segments)))
        groups.append(DraftGroup("PO", "SND", "RCV", number, standard, tuple(sets)))
    header = Header(Party("ZZ", "A"), Party("01", "B"), "261101", "1200", version, "000000007", False, "T")
    return DraftInterchange(header, tuple(groups)), own


@quick
@given(drafts(), st.sampled_from(["", "\r\n", "\n"]))
def test_what_is_written_is_read_again(drafted, suffix):
    draft, target = drafted
    written = write_interchange(
        draft,
        replace(
            target,
            suffix="" if "\n" in (target.element + target.component + target.segment + target.repetition) else suffix,
        ),
    )
    document = read_document(written)
    assert [each.sets for each in document.groups] == [each.sets for each in draft.groups]
    (report,) = examine(written)
    assert report.header == draft.header
    assert report.ta1 == ("A", "000")
    assert [len(each.sets) for each in report.groups] == [len(each.sets) for each in draft.groups]
    assert not [f for each in report.groups for f in each.findings]


@quick
@given(drafts(), marks)
def test_exchanging_separators_twice_gives_the_same_back(drafted, others):
    draft, own = drafted
    if draft.header.version != "00501":
        others = replace(others, repetition="")
    there = read_document(write_interchange(draft, others))
    moved = replace(
        draft, groups=tuple(replace(each, sets=was.sets) for each, was in zip(draft.groups, there.groups, strict=True))
    )
    back = read_document(write_interchange(moved, own))
    assert [each.sets for each in back.groups] == [each.sets for each in draft.groups]
