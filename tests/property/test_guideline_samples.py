"""Of guidelines in general: what is made from a table is accepted, patterns are never too wide, nothing raises."""

import random
import time
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.x12.guideline import hipaa, judge_for, standard
from gateway.x12.guideline.elements import ElementJudge
from gateway.x12.guideline.judge import SetJudge
from gateway.x12.guideline.model import Loop
from gateway.x12.guideline.patterns import compile_pattern
from gateway.x12.guideline.plan import plan_for
from gateway.x12.guideline.sample import SampleMaker
from gateway.x12.model import ExaminePolicy, Level, Separators

MARKS = Separators(repetition="^")


@cache
def guidelines():
    sets = [("850", "004010"), ("855", "004010"), ("856", "004010"), ("810", "004010"), ("997", "004010")]
    sets += [("204", "004010"), ("210", "004010"), ("271", "005010"), ("820", "005010"), ("222", "004010")]
    found = [standard.load(*each) for each in sets]
    return [*found, *(hipaa.load(each.set_id, each.version, each.variant) for each in hipaa.guides())]


def segment_uses(loop):
    for child in loop.children:
        yield from segment_uses(child) if isinstance(child, Loop) else [child]


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from([0.0, 0.1, 0.3]), st.data())
def test_a_sample_made_from_a_guideline_is_accepted_by_it(seed, fullness, data):
    guideline = data.draw(st.sampled_from(guidelines()))
    segments = SampleMaker(guideline, MARKS, seed, fullness).segments()
    judge = SetJudge(plan_for(guideline, MARKS), enforce=True)
    assert judge.feed(segments, 0, 0) == len(segments)
    assert judge.ended
    assert [each.message for each in judge.findings if each.level is Level.ERROR] == []


def damaged(text, rng):
    fields = text.split("*")
    at = rng.randrange(len(fields))
    choices = ["", fields[at] + "A", fields[at][:-1], "-1.5", "20240231", fields[at] + ":", "1", fields[at] + "^X"]
    if rng.random() < 0.3:
        fields.insert(at, rng.choice(choices))
    else:
        fields[at] = rng.choice(choices)
    return "*".join(fields)


@pytest.mark.parametrize("version", ["004010", "005010X222A1"])
def test_whatever_a_pattern_matches_the_detailed_check_finds_no_fault_with(version):
    guideline = standard.load("850", version) or hipaa.load("837", version)
    maker, close = (
        SampleMaker(guideline, MARKS, 7, 0.4),
        ElementJudge(MARKS, guideline.version, guideline.implementation),
    )
    rng, matched = random.Random(11), 0
    for use in segment_uses(guideline.root):
        if use.id in ("ST", "SE"):
            continue
        pattern = compile_pattern(use, MARKS)
        for text in [maker.segment(use) for _ in range(3)]:
            for candidate in [text, *(damaged(text, rng) for _ in range(12))]:
                found = pattern.regex.match(candidate)
                if found and all(found[group] is None or found[group] in codes for group, codes in pattern.looked_up):
                    matched += 1
                    assert list(close.examine(use, candidate)) == [], candidate
    assert matched > 500


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(alphabet="NM1HLSTE*:^0A9. \r\n\xe9", max_size=30), max_size=40))
def test_no_segments_whatever_raise(pieces):
    for set_id, version in (("837", "005010X222A1"), ("850", "004010")):
        judge = judge_for(set_id, version, "", MARKS, ExaminePolicy())
        texts = [f"ST*{set_id}*0001", *pieces]
        assert 1 <= judge.feed(texts, 0, 0) <= len(texts)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_shuffled_segments_never_raise_and_always_end(seed, order):
    guideline = guidelines()[seed % len(guidelines())]
    segments = SampleMaker(guideline, MARKS, seed, 0.2).segments()
    middle = segments[1:-1]
    random.Random(order).shuffle(middle)
    judge = SetJudge(plan_for(guideline, MARKS))
    assert judge.feed([segments[0], *middle, segments[-1]], 0, 0) == len(segments)
    assert judge.ended
    assert judge.count == len(segments)


def test_a_failing_pattern_takes_linear_time():
    guideline = standard.load("850", "004010")
    for use in segment_uses(guideline.root):
        pattern = compile_pattern(use, MARKS)
        began = time.perf_counter()
        for value in ("1", "A", "20240101", "1:1"):
            pattern.regex.match(f"{use.id}" + f"*{value}" * len(use.elements) + "*:")
        assert time.perf_counter() - began < 0.5, use.id
