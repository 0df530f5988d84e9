"""HL and LX numbers, segments without elements, and the 999's own codes for what was agreed beyond the standard."""

import pytest
from test_judge import CLAIM, NEW, OLD, PO, judged

from gateway.x12.guideline import judge_for
from gateway.x12.guideline.partner import read_partner_guideline
from gateway.x12.model import ExaminePolicy

LINE = "LX*{}~\nSV1*HC:99213*40*UN*1***1:2~\nDTP*472*D8*20240103~\n"


def found(text, version="005010X222A1", marks=NEW):
    judge = judged(text, version, marks)
    return [(each.code, each.x12, each.code_999, each.position, each.element, each.value) for each in judge.findings]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("HL*1**20", "HL*2**20", [("hl.number", "7", "I12", 6, 1, "2"), ("hl.number", "7", "I12", 11, 1, "2"),
                                  ("hl.parent", "7", "I12", 11, 2, "1")]),
        ("HL*2*1*22", "HL*3*1*22", [("hl.number", "7", "I12", 11, 1, "3")]),
        ("HL*2*1*22", "HL*02*1*22", [("hl.number", "7", "I12", 11, 1, "02")]),
        ("HL*2*1*22", "HL*X*1*22", [("hl.number", "7", "I12", 11, 1, "X")]),
        ("HL*2*1*22", "HL*2*2*22", [("hl.parent", "7", "I12", 11, 2, "2")]),
        ("HL*2*1*22", "HL**1*22", [("element.missing", "1", "1", 11, 1, "")]),
        ("LX*1~", "LX*2~", [("lx.number", "7", "I12", 20, 1, "2")]),
        ("LX*1~", "LX*A~", [("element.type", "6", "6", 20, 1, "A")]),
    ],
)  # fmt: skip
def test_a_guide_wants_its_numbers_counted(old, new, expected):
    assert old in CLAIM
    assert found(CLAIM.replace(old, new, 1)) == expected


def lines(*numbers):
    """A claim with service lines of these numbers."""
    start, end = CLAIM.index("LX*1"), CLAIM.index("SE*23")
    return CLAIM[:start] + "".join(LINE.format(each) for each in numbers) + CLAIM[end:]


def test_one_gap_is_one_finding_and_counting_goes_on_from_it():
    assert found(lines(1, 2, 3)) == []
    assert [each[0] for each in found(lines(1, 3, 4))] == ["lx.number"]
    assert [each[3] for each in found(lines(1, 3, 4))] == [23]


def test_lines_are_counted_anew_in_each_claim():
    start, end = CLAIM.index("CLM*"), CLAIM.index("SE*23")
    claim = CLAIM[start:end]
    assert found(CLAIM[:end] + claim + claim + CLAIM[end:]) == []


def test_every_subscriber_names_a_level_that_is_still_open():
    start, end = CLAIM.index("HL*2*1"), CLAIM.index("SE*23")
    subscriber = CLAIM[start:end]
    second = subscriber.replace("HL*2*1*22", "HL*3*1*22")
    assert found(CLAIM[:end] + second + CLAIM[end:]) == []
    closed = subscriber.replace("HL*2*1*22", "HL*3*9*22")
    assert [each[0] for each in found(CLAIM[:end] + closed + CLAIM[end:])] == ["hl.parent"]


def test_the_standard_leaves_numbers_free():
    judge = judged(CLAIM.replace("HL*2*1*22", "HL*7*1*22").replace("LX*1~", "LX*5~"), "005010", NEW)
    assert [each.code for each in judge.findings if "number" in each.code] == []


@pytest.mark.parametrize("bare", ["CSH~", "CSH*~", "CSH**~"])
def test_a_segment_that_is_nothing_but_its_id_is_in_error(bare):
    text = PO.replace("REF*DP*038~", f"REF*DP*038~{bare}")
    assert found(text, "004010", OLD) == [("segment.no-elements", "8", "8", 4, 0, "")]


def test_of_a_bare_segment_that_needs_an_element_that_element_is_missing():
    assert found(PO.replace("DTM*002*20240229~", "DTM~"), "004010", OLD)[0][:2] == ("element.missing", "1")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("R0304", ("element.condition-missing", "2", "I9")),
        ("E0109", ("element.condition-excluded", "10", "I13")),
        ("P0309", ("element.condition-missing", "2", "I9")),
    ],
)
def test_conditions_of_those_who_trade_have_their_own_codes_in_a_999(condition, expected):
    text = f'base = "005010X222A1 837"\n[segments."2000B/SBR"]\nconditions = ["{condition}"]\n'
    policy = ExaminePolicy(guidelines={("837", "005010X222A1"): read_partner_guideline(text)})
    judge = judge_for("837", "005010X222A1", "", NEW, policy)
    judge.feed(CLAIM.replace("18*2222**", "18***").split("~")[:-1], 0, 0)
    assert [(each.code, each.x12, each.code_999) for each in judge.findings] == [expected]
