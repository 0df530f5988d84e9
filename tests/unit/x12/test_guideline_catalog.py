"""What is known: the packaged standards, the guides of pyx12, and values on their own."""

import pytest

from gateway.x12.guideline import functional_ids, groups_of, hipaa, known_sets, standard, values
from gateway.x12.guideline.model import Condition, conditions_of
from gateway.x12.guideline.plan import Plan
from gateway.x12.model import Separators


def test_every_packaged_set_and_guide_is_listed_with_how_far_to_trust_it():
    known = {(each.set_id, each.version): each for each in known_sets()}
    assert known["850", "004010"].trust == "enforced"
    assert known["850", "004020"].trust == "advisory"
    assert known["214", "005010"].trust == "advisory"
    assert known["837", "005010X222A1"].source == "HIPAA guide"
    assert known["837", "004010X098A1"].functional_id == "HC"
    assert len({version for _, version in known if "X" not in version}) == 13
    assert len(known) > 3700


def test_sets_and_groups_name_each_other():
    assert functional_ids("850") == "PO"
    assert functional_ids("XXX") == ""
    assert "850" in groups_of()["PO"]
    assert set(groups_of()["FA"]) >= {"997", "999"}


@pytest.mark.parametrize("version", ["003040", "004010", "005010"])
def test_every_set_of_a_version_can_be_made_ready(version):
    for set_id in standard.catalog()["versions"][version]:
        guideline = standard.load(set_id, version)
        plan = Plan(guideline, Separators())
        assert plan.nodes[1].segment.id == "ST", set_id
        assert plan.nodes[-1].segment.id == "SE", set_id


def test_every_guide_of_pyx12_can_be_read():
    for guide in hipaa.guides():
        guideline = hipaa.load(guide.set_id, guide.version, guide.variant)
        assert guideline.root.children[0].id == "ST", guide
        assert guideline.root.children[-1].id == "SE", guide
        assert guideline.dictionary


def test_an_addendum_that_is_not_shipped_is_judged_by_the_one_that_is():
    assert hipaa.load("837", "005010X223A3").name == "005010X223A2 837"
    assert hipaa.load("837", "005010X999") is None
    assert hipaa.load("837", "005010") is None


@pytest.mark.parametrize(
    ("kind", "value", "low", "high", "fault"),
    [
        ("R", "-1.5", 1, 2, ""),
        ("R", "1.5E-3", 1, 3, ""),
        ("R", ".5", 1, 9, ""),
        ("R", "5.", 1, 9, ""),
        ("R", "1.234", 1, 3, "too-long"),
        ("R", "+1", 1, 9, "type"),
        ("R", ".", 1, 9, "type"),
        ("R", "-.5E2", 1, 2, ""),
        ("R", "1.5E-32", 1, 3, "too-long"),
        ("R", "1E", 1, 9, "type"),
        ("R", "1.5E1.5", 1, 9, "type"),
        ("R", "1,5", 1, 9, "type"),
        ("R", " 1", 1, 9, "type"),
        ("R", "\u0661", 1, 9, "type"),
        ("N0", "-12", 2, 2, ""),
        ("N2", "-12", 3, 9, "too-short"),
        ("N2", "+12", 1, 9, "type"),
        ("N0", "1-", 1, 9, "type"),
        ("N0", "-", 1, 9, "type"),
        ("N2", "1.2", 1, 9, "type"),
        ("DT", "20240229", 8, 8, ""),
        ("DT", "20230229", 8, 8, "date"),
        ("DT", "19000229", 8, 8, "date"),
        ("DT", "240229", 6, 6, ""),
        ("DT", "240431", 6, 6, "date"),
        ("DT", "240229", 8, 8, "too-short"),
        ("DT", "2024O229", 8, 8, "date"),
        ("TM", "2359", 4, 8, ""),
        ("TM", "235959", 4, 8, ""),
        ("TM", "23595999", 4, 8, ""),
        ("TM", "2400", 4, 8, "time"),
        ("TM", "12345", 4, 8, "time"),
        ("TM", "1234567", 4, 8, ""),
        ("TM", "123460", 4, 8, "time"),
        ("TM", "123", 4, 8, "too-short"),
        ("TM", "123456789", 4, 8, "too-long"),
        ("DT", "20000229", 8, 8, ""),
        ("DT", "20241301", 8, 8, "date"),
        ("DT", "20240100", 8, 8, "date"),
        ("DT", "2024011", 6, 8, "date"),
        ("AN", " A ", 1, 3, ""),
        ("AN", "ABCD", 1, 3, "too-long"),
    ],
)
def test_types_are_checked_to_the_letter(kind, value, low, high, fault):
    assert values.fault(kind, value, low, high) == fault


@pytest.mark.parametrize(
    ("qualifier", "value", "fault"),
    [
        ("D8", "20240229", ""),
        ("D8", "20230229", "date"),
        ("RD8", "20240101-20240131", ""),
        ("RD8", "20240101", "date"),
        ("TM", "2460", "time"),
        ("DT", "202401011230", ""),
        ("CM", "202413", "date"),
        ("D8", "240229", "date"),
        ("D6", "230229", "date"),
        ("RD8", "20240101-20240231", "date"),
        ("RD8", "20240101-20240131-20240201", "date"),
        ("RD5", "202401-202412", ""),
        ("RD5", "202401-202413", "date"),
        ("DT", "202401012460", "date"),
        ("RDT", "202401011230-202401011330", ""),
        ("RTS", "20240101123059", ""),
        ("DTS", "20240101123059-20240101123060", "date"),
        ("TS", "235960", "time"),
        ("RTM", "0800-1730", ""),
        ("RTM", "0800-2400", "time"),
        ("DB", "02292024", ""),
        ("DB", "02292023", "date"),
        ("MD", "0229", ""),
        ("MD", "0230", "date"),
        ("MM", "13", "date"),
        ("DD", "31", ""),
        ("DD", "00", "date"),
        ("MCY", "122024", ""),
        ("MCY", "132024", "date"),
        ("ZZZ", "anything", ""),
    ],
)
def test_formats_of_1250_bind_1251(qualifier, value, fault):
    assert values.format_fault(qualifier, value) == fault


@pytest.mark.parametrize(
    ("text", "present", "broken"),
    [
        ("P0203", "011", False), ("P0203", "010", True), ("P0203", "000", False),
        ("R0203", "100", True), ("R0203", "001", False),
        ("E0203", "011", True), ("E0203", "010", False),
        ("C0203", "010", True), ("C0203", "001", False),
        ("L020304", "0100", True), ("L020304", "0101", False),
    ],
)  # fmt: skip
def test_relational_conditions_hold_or_not(text, present, broken):
    (condition,) = conditions_of(text)
    assert isinstance(condition, Condition)
    assert str(condition) == text
    assert condition.broken([each == "1" for each in present]) is broken
