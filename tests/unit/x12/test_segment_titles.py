"""What segments are called."""

from __future__ import annotations

import pytest

from gateway.x12.guideline import standard
from gateway.x12.guideline.model import Loop
from gateway.x12.segment_titles import TITLES


def segments(loop):
    """The ids of all segments of a loop and the loops in it."""
    for each in loop.children:
        if isinstance(each, Loop):
            yield from segments(each)
        else:
            yield each.id


@pytest.mark.parametrize("version", ["004010", "005010"])
def test_every_title_is_of_a_segment_that_the_standard_has(version):
    """Control segments are not in the tables of transaction sets; a few are older or younger than the version."""
    known = standard.dictionary(version)
    control = {"ISA", "IEA", "GS", "GE", "TA1", "IK3", "IK4", "IK5", "CTX"}
    unknown = {tag for tag in TITLES if not known.elements_of(tag)} - control
    assert len(unknown) < 12, sorted(unknown)


@pytest.mark.parametrize("set_id", ["810", "820", "846", "850", "855", "856", "860", "997"])
def test_the_sets_of_everyday_trade_have_names_for_their_segments(set_id):
    """What an operator reads every day says what each segment is."""
    guideline = standard.load(set_id, "004010")
    assert guideline is not None
    tags = set(segments(guideline.root))
    assert len(tags) > 5
    unnamed = sorted(tags - set(TITLES))
    assert len(unnamed) <= len(tags) // 5, unnamed
