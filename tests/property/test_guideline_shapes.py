"""Shapes make judging quicker, and change nothing else."""

import random
from itertools import product
from string import ascii_uppercase
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.x12.guideline import hipaa, shapes, standard
from gateway.x12.guideline.elements import ElementJudge
from gateway.x12.guideline.judge import SetJudge
from gateway.x12.guideline.model import Loop
from gateway.x12.guideline.patterns import compile_pattern
from gateway.x12.guideline.plan import Plan
from gateway.x12.guideline.sample import SampleMaker
from gateway.x12.guideline.shapes import Shapes
from gateway.x12.model import Separators

MARKS = Separators(repetition="^")
SETS = (("850", "004010"), ("810", "004010"), ("837", "005010X222A1"), ("835", "005010X221A1"), ("271", "005010"))
NEVER = 1 << 60


def guideline_of(set_id, version):
    return standard.load(set_id, version) or hipaa.load(set_id, version)


def segment_uses(loop):
    for child in loop.children:
        yield from segment_uses(child) if isinstance(child, Loop) else [child]


def damaged(text, rng):
    fields = text.split("*")
    at = rng.randrange(len(fields))
    choices = [
        "",
        fields[at] + "A",
        fields[at][:-1],
        "-1.5",
        "20240231",
        fields[at] + ":",
        "1",
        "ZZ",
        fields[at] + "^X",
    ]
    if rng.random() < 0.3:
        fields.insert(at, rng.choice(choices))
    else:
        fields[at] = rng.choice(choices)
    return "*".join(fields)


@pytest.mark.parametrize(("set_id", "version"), SETS)
def test_a_shape_takes_the_segment_that_it_was_learned_from_and_nothing_that_is_not_in_order(set_id, version):
    guideline = guideline_of(set_id, version)
    maker = SampleMaker(guideline, MARKS, 7, 0.4)
    close = ElementJudge(MARKS, guideline.version, guideline.implementation)
    rng, learned, taken, other = random.Random(11), 0, 0, 0
    for use in segment_uses(guideline.root):
        if use.id in ("ST", "SE"):
            continue
        whole = compile_pattern(use, MARKS)
        for text in [maker.segment(use) for _ in range(3)]:
            found = whole.regex.match(text)
            if not found or not all(found[group] is None or found[group] in codes for group, codes in whole.looked_up):
                continue
            made = Shapes(1, MARKS, basic=False)
            made.missed(0, use, text, shapes.OFTEN)
            shape = made.quick[0]
            if shape is None:
                continue
            learned += 1
            assert shape(text), text
            assert shape("\r\n" + text), text
            for candidate in [maker.segment(use), *(damaged(text, rng) for _ in range(12))]:
                if shape(candidate):
                    taken += 1
                    assert list(close.examine(use, candidate)) == [], candidate
                    assert whole.regex.match(candidate), candidate
                else:
                    other += 1
    assert learned > 60
    assert taken > 100
    assert other > 200


def judged(plan, segments):
    judge = SetJudge(plan, enforce=True)
    at = judge.feed(segments, 0, 0)
    return at, judge.ended, judge.count, judge.findings


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(SETS), st.integers(0, 10**9), st.sampled_from([0.0, 0.1, 0.4]), st.integers(1, 40), st.booleans()
)
def test_what_is_found_is_the_same_with_shapes_and_without(which, seed, fullness, times, led):
    rng = random.Random(seed)
    guideline = guideline_of(*which)
    segments = SampleMaker(guideline, MARKS, seed, fullness).segments()
    place = rng.randrange(1, len(segments) - 1)
    line = damaged(segments[place], rng) if rng.random() < 0.5 else segments[place]  # wrong in the same way each time
    repeated = [line] * times
    segments[place:place] = [damaged(each, rng) if rng.random() < 0.1 else each for each in repeated]
    for _ in range(rng.randrange(4)):
        at = rng.randrange(1, len(segments) - 1)
        segments[at] = damaged(segments[at], rng)
    if led:
        segments = [segments[0], *("\r\n" + each for each in segments[1:])]
    with patch.object(shapes, "OFTEN", NEVER):
        slow = judged(Plan(guideline, MARKS), segments)
    with patch.object(shapes, "OFTEN", 1):
        plan = Plan(guideline, MARKS)
        assert judged(plan, segments) == slow  # while it learns
        assert any(plan.shapes.quick)
        assert judged(plan, segments) == slow


def test_a_code_that_is_none_is_found_in_every_line_that_has_it():
    """No shape is learned from a segment whose codes are not known to be fine."""
    guideline = standard.load("850", "004010")
    plan = Plan(guideline, MARKS)
    line = next(each for each in plan.nodes if each.segment.id == "PO1" and not each.children)
    units = line.segment.elements[2].codes
    wrong = next(unit for unit in map("".join, product(ascii_uppercase, repeat=2)) if unit not in units)
    lines = 4 * shapes.OFTEN
    segments = ["ST*850*0001", "BEG*00*SA*4711**20261130"]
    for each in (f"PO1*{number}*1*{wrong}*9.5**BP*4711" for number in range(lines)):
        segments += [each, "PID*F****a thing"]  # so that it is no run of lines alone
    segments += [f"PO1*{number}*1*{wrong}*9.5**BP*4711" for number in range(lines)]
    _, _, _, findings = judged(plan, [*segments, "SE*7*0001"])
    assert len([each for each in findings if each.segment == "PO1"]) == 2 * lines


def test_no_more_shapes_are_made_than_are_of_use():
    plan = Plan(standard.load("850", "004010"), MARKS)
    line = next(each for each in plan.nodes if each.segment.id == "PO1" and not each.children)
    for number in range(2 * shapes.MOST):
        there = format(number, "010b")
        text = "*".join(["PO1", *("1" * int(each) for each in there)])
        plan.shapes.missed(line.index, line.segment, text, shapes.OFTEN)
    assert len(plan.shapes._made) == shapes.MOST
