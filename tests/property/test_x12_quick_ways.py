"""What is seen at one glance of sound X12 is what the careful look sees, whatever was damaged."""

from __future__ import annotations

import random
import re
from unittest.mock import patch

import pytest
from builders.x12 import isa
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.flow.intact import terminator_at
from gateway.x12 import envelope, sniff
from gateway.x12 import isa as isa_module
from gateway.x12.envelope import check_gs, check_isa
from gateway.x12.facts import known_groups
from gateway.x12.guideline import hipaa, shapes, standard
from gateway.x12.guideline.judge import SetJudge
from gateway.x12.guideline.patterns import compile_pattern
from gateway.x12.guideline.plan import Plan
from gateway.x12.guideline.sample import SampleMaker
from gateway.x12.isa import LENGTH, POSITIONS, loose_opening_at, opening_at
from gateway.x12.model import Separators
from gateway.x12.scan import find

NEVER = re.compile("(?!)")
SIGNS = [*" 0123459*:~^|-.APTUXZ\r\n\0\x1f\x7f", "\x85", "\xa0", "\xb2", "\xe9", "02", "29", "30", "31", "13", "00"]
HEADERS = [
    isa(), isa(version="00501", repetition="^"), isa(sender="SENDER"), isa(repetition="^"), isa("000000000"),
    isa().replace(":~", "*~"), isa().replace(":~", "A~"), isa().replace("*00*", "*03*", 1),
]  # fmt: skip
GROUPS = ["GS*PO*US*THEM*20261101*1200*1*X*004010", "GS*HC*A B*C D*261101*12005999*123456789*T*005010X222A1"]
changes = st.lists(st.tuples(st.integers(0, 110), st.sampled_from(SIGNS), st.booleans()), max_size=4)


def changed(text, edits):
    for place, sign, instead in edits:
        at = place % (len(text) + 1)
        text = text[:at] + sign + text[at + (len(sign) if instead else 0) :]
    return text


def opened(text):
    return opening_at(text, 0) or loose_opening_at(text, 0)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(HEADERS), changes)
def test_an_isa_is_opened_and_checked_the_same_at_a_glance_and_with_care(header, edits):
    text = changed(header, edits) + "GS*"
    found = opened(text)
    told = [] if found is None else list(check_isa(found, 7))
    with patch.object(isa_module, "_WHOLE", NEVER), patch.object(envelope, "_SOUND_ISA", NEVER):
        assert opened(text) == found
        assert found is None or list(check_isa(found, 7)) == told


@pytest.mark.parametrize("month", [f"{month:02}" for month in range(14)])
def test_every_day_of_an_isa_and_a_gs_is_the_same_at_a_glance_and_with_care(month):
    for year in ("00", "23", "24", "2023", "2024", "1900", "2000", "0000"):
        for day in range(33):
            date = f"{year}{month}{day:02}"
            fields = changed_field(GROUPS[0].split("*"), 4, date)
            told = list(check_gs(fields, 7, known_groups()))
            header = opened(isa().replace(isa()[70:76], date)) if len(date) == 6 else None
            found = list(check_isa(header, 7)) if header is not None else []
            with patch.object(envelope, "_SOUND_GS", NEVER), patch.object(envelope, "_SOUND_ISA", NEVER):
                assert list(check_gs(fields, 7, known_groups())) == told
                assert header is None or list(check_isa(header, 7)) == found


def changed_field(fields, number, value):
    return [*fields[:number], value, *fields[number + 1 :]]


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(GROUPS), changes)
def test_a_gs_is_checked_the_same_at_a_glance_and_with_care(header, edits):
    fields = [each.strip() for each in (*changed(header, edits).split("*"), *[""] * 9)[:9]]
    told = list(check_gs(fields, 7, known_groups()))
    with patch.object(envelope, "_SOUND_GS", NEVER):
        assert list(check_gs(fields, 7, known_groups())) == told


def test_what_is_sound_is_seen_at_a_glance():
    with patch.object(envelope, "_values_amiss", None):  # whoever looks closely fails
        for header in HEADERS[:3]:
            assert list(check_isa(opened(header + "GS*"), 0)) == []
    with patch.object(envelope, "valid_date", None):
        for header in GROUPS:
            assert list(check_gs(header.split("*"), 0, known_groups())) == []


def careful_terminator(data, at):
    """The rule of ``terminator_at``, a step for each of its words."""
    head = data[at : at + LENGTH]
    element = head[3:4]
    if len(head) < LENGTH or element.isalnum() or any(head[p : p + 1] != element for p in POSITIONS):
        return b""
    if len(head.split(element)) != len(POSITIONS) + 1 or b"\n" in head[:-1] or b"\r" in head[:-1]:
        return b""
    end = head[-1:]
    return b"" if end.isalnum() or end in {b" ", element} else end


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(HEADERS), changes, st.sampled_from(["", "x", "\n"]), st.integers(-1, 3))
def test_the_terminator_of_an_isa_is_that_of_all_its_signs(header, edits, before, at):
    data = (before + changed(header, edits)).encode("latin-1")
    assert terminator_at(data, at) == careful_terminator(data, at)
    assert terminator_at(data, max(0, sniff(data))) == careful_terminator(data, max(0, sniff(data)))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(["ISA", "IEA*", "IE", "BIN*", "I", "S", "A", "N*", "D" * 30, "x" * 40, "~"]), max_size=120
    ),
    st.sampled_from(["ISA", "IEA*", "BIN*", "BDS*", "N1*", "**", "D"]),
    st.integers(0, 1_200),
    st.integers(0, 5_000),
)
def test_what_is_found_in_a_long_text_is_what_str_finds(pieces, needle, start, end):
    text = "".join(pieces) + "x" * 1_100 + "".join(reversed(pieces))
    assert find(text, needle, start, end) == text.find(needle, start, end)


def singly(shape, chunk):
    taken = 0
    while taken < len(chunk) and shape(chunk[taken]):
        taken += 1
    return taken


@pytest.mark.parametrize("end", list("~'-.+\n 1A|\x1c"))
@pytest.mark.parametrize(("set_id", "version"), [("850", "004010"), ("837", "005010X222A1")])
def test_a_run_takes_as_many_segments_as_their_shape_takes_one_by_one(end, set_id, version):
    marks = Separators("*", ":", end, "^" if version >= "005" else "")
    guideline = standard.load(set_id, version) or hipaa.load(set_id, version)
    plan = Plan(guideline, marks)
    judge = SetJudge(plan)
    maker, rng, runs, cut_short = SampleMaker(guideline, marks, 3, 0.3), random.Random(5), 0, 0
    for node in plan.nodes:
        if node.children or node.segment.id in ("ST", "SE"):
            continue
        text = maker.segment(node.segment).replace(end, "")
        made = plan.shapes
        if not compile_pattern(node.segment, marks).regex.match(text):
            continue
        made.missed(node.index, node.segment, text, shapes.OFTEN)
        if made.quick[node.index] is None:
            continue
        run = made.run(node.index)
        for _ in range(3):
            chunk = [rng.choice(["", "\r\n", " "]) + text for _ in range(20)]
            for _ in range(rng.randrange(3)):
                at = rng.randrange(20)
                chunk[at] = rng.choice(["", text[:-1], text + "*", text + end + text, "-" + text, text + ":", text * 2])
            expected = singly(made.quick[node.index], chunk)
            cut_short += expected < 20
            runs += run is not None
            assert judge._shaped(node.index, made.quick[node.index], chunk) == expected, (run, chunk)
    assert cut_short
    assert (runs > 0) is (end in "~'|\x1c")
