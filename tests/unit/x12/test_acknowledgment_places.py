"""What AK3/AK4 and IK3/CTX/IK4 say of each kind of fault: the code, and where it stands, to the component."""

from __future__ import annotations

from datetime import datetime

import pytest
from builders.x12 import group, interchange, transaction_set

from gateway.x12 import (
    DraftGroup,
    DraftInterchange,
    Header,
    Separators,
    Status,
    acknowledgment_version,
    examine,
    functional_acknowledgment,
    write_interchange,
)

ORDER = (
    "BEG*00*SA*PO-1001**20261101",
    "CUR*BY*USD",
    "DTM*002*20261201*1200",
    "N1*ST*EXAMPLE STORE*92*0042",
    "PO1*1*5*EA*9.95**VN*A-77",
    "CTT*1",
)
HEAD = (
    "BHT*0019*00*244579*20240115*1023*CH",
    "NM1*41*2*EXAMPLE BILLING*****46*TGJ23",
    "PER*IC*PAT*TE*5555550100",
    "NM1*40*2*EXAMPLE INSURANCE*****46*66783JJT",
    "HL*1**20*1",
    "NM1*85*2*EXAMPLE CLINIC*****XX*1234567893",
    "N3*234 SEAWAY ST",
    "N4*MIAMI*FL*331110001",
    "REF*EI*587654321",
)


def claim(number):
    return (
        f"HL*{number + 1}*1*22*0",
        "SBR*P*18*1234******CI",
        f"NM1*IL*1*SAMPLE*JANE****MI*JS{number}",
        "N3*236 N MAIN ST",
        "N4*MIAMI*FL*33413",
        "DMG*D8*19430501*F",
        "NM1*PR*2*EXAMPLE INSURANCE*****PI*999996666",
        f"CLM*{number}A*100***11>B>1*Y*A*Y*I",
        "HI*ABK>J0300",
        "LX*1",
        "SV1*HC>99213*40*UN*1***1",
        "DTP*472*D8*20240110",
    )


CLAIMS = (*HEAD, *claim(1), *claim(2))


def changed(body, before, after):
    """The segments with the first ``before`` replaced; "|" stands between segments."""
    text = "|".join(body)
    assert before in text
    return tuple(text.replace(before, after, 1).split("|"))


def answered(body, kind, version, *, set_id, functional_id):
    """The report on a set with this body, and the lines between AK2 and AK9 of its acknowledgment."""
    modern = version >= "005010"
    one = transaction_set(kind=set_id, body=body, implementation=version if "X" in version else "")
    text = interchange(
        group(one, kind=functional_id, version=version),
        version="00501" if modern else "00401",
        repetition="^" if modern else "U",
    )
    (report,) = examine(text.encode("latin-1"))
    draft = functional_acknowledgment(report.groups[0], kind, "set")
    lines = draft.body.translate(str.maketrans("\x1d\x1f\x1c", "*:^")).split("\x1e")[2:-2]
    must_be_accepted(report, draft, kind)
    return report.sets[0], lines


def must_be_accepted(report, draft, kind):
    """The acknowledgment is itself without fault."""
    h = report.header
    version = acknowledgment_version(report.groups[0], kind)
    header = Header(h.receiver, h.sender, "", "", h.version, "1", False, "P")
    groups = (DraftGroup("FA", "RCV", "SND", 1, version, (draft,)),)
    moment = datetime(2026, 11, 2, 8, 0)  # noqa: DTZ001
    data = write_interchange(DraftInterchange(header, groups, (), moment), Separators("*", ">", "~", "^"))
    (answer,) = examine(data)
    assert answer.status is Status.ACCEPTED, answer.sets[0].findings


def order_lines(before, after, version="004010"):
    return answered(changed(ORDER, before, after), "997", version, set_id="850", functional_id="PO")[1]


def claim_lines(before, after):
    body = changed(CLAIMS, before, after)
    return answered(body, "999", "005010X222A1", set_id="837", functional_id="HC")[1]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("|CUR", "|ZQX*1|CUR", "AK3*ZQX*3**1"),
        (f"{ORDER[0]}|", "", "AK3*BEG*2**3"),
        ("|PO1*1", "|N1*ST*A*92*12" * 200 + "|PO1*1", "AK3*N1*205*N1*4"),
        ("|CUR", "|CUR*BY*USD|CUR", "AK3*CUR*4**5"),
        ("|CUR", "|CLM*1|CUR", "AK3*CLM*3**6"),
        ("|".join(ORDER[:2]), "|".join(ORDER[1::-1]), "AK3*BEG*3**7"),
    ],
    ids=["1-unknown", "3-missing", "4-loop", "5-too-often", "6-not-in-set", "7-sequence"],
)
@pytest.mark.parametrize("version", ["004010", "005010"])
def test_a_fault_of_a_segment_is_an_ak3(before, after, told, version):
    assert order_lines(before, after, version) == [told, "AK5*R*5"]


@pytest.mark.parametrize(
    ("before", "after", "segment", "told"),
    [
        ("*PO-1001*", "**", "AK3*BEG*2**8", "AK4*3*324*1"),
        ("*92*0042", "*92", "AK3*N1*5*N1*8", "AK4*4*67*2"),
        ("EXAMPLE STORE*92*0042", "EXAMPLE STORE*92*0042***ZZ", "AK3*N1*5*N1*8", "AK4*7**3*ZZ"),
        ("DTM*002", "DTM*02", "AK3*DTM*4**8", "AK4*1*374*4*02"),
        ("USD", "USDOLLAR", "AK3*CUR*3**8", "AK4*2*100*5*USDOLLAR"),
        ("*5*EA", "*five*EA", "AK3*PO1*6*PO1*8", "AK4*2*330*6*five"),
        ("*SA*", "*Q9*", "AK3*BEG*2**8", "AK4*2*92*7*Q9"),
        ("20261101", "20261301", "AK3*BEG*2**8", "AK4*5*373*8*20261301"),
        ("*1200", "*2560", "AK3*DTM*4**8", "AK4*3*337*9*2560"),
        ("*PO-1001*", "*PO>1001*", "AK3*BEG*2**8", "AK4*3*324*6*PO 1001"),
    ],
    ids=["1", "2", "3", "4", "5", "6", "7", "8", "9", "13-is-6"],
)
def test_a_fault_of_an_element_is_an_ak4_below_its_ak3(before, after, segment, told):
    assert order_lines(before, after) == [segment, told, "AK5*R*5"]


def test_from_005010_on_surplus_components_are_13():
    assert order_lines("*PO-1001*", "*PO>1001*", "005010")[1] == "AK4*3*324*13*PO 1001"


CONTEXT = "CTX*CLM01:1A"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("|LX*1", "|ZQX*1|LX*1", ["IK3*ZQX*20**1", CONTEXT, "IK5*R*5"]),
        ("|LX*1", "|DMG*D8*19430501*F|LX*1", ["IK3*DMG*20*2300*2", CONTEXT, "IK5*R*5"]),
        ("|NM1*40", f"|{HEAD[3]}|NM1*40", ["IK3*NM1*6*1000*4", "IK5*R*5"]),
        ("|N3*234 SEAWAY ST", "|N3*234 SEAWAY ST|N3*A", ["IK3*N3*9*2010*5", "IK5*R*5"]),
        ("|LX*1", "|BEG*1|LX*1", ["IK3*BEG*20**6", CONTEXT, "IK5*R*5"]),
        ("|HI*ABK>J0300|LX*1", "|LX*1|HI*ABK>J0300", ["IK3*HI*20*2300*7", CONTEXT, "IK5*R*5"]),
        ("|HI*ABK>J0300", "", ["IK3*HI*19*2300*I8", CONTEXT, "IK5*R*I5"]),
        ("|N3*234 SEAWAY ST", "", ["IK3*N3*8*2010*I8", "IK5*R*I5"]),
        ("|" + "|".join(claim(1)[9:]), "", ["IK3*LX*20*2400*I7", CONTEXT, "IK5*R*I5"]),
    ],
    ids=["1", "2", "4", "5", "6", "7", "I8-in-a-claim", "I8-before-claims", "I7"],
)
def test_a_fault_of_a_segment_is_an_ik3_with_its_claim(before, after, told):
    assert claim_lines(before, after) == told


@pytest.mark.parametrize(
    ("before", "after", "segment", "told"),
    [
        ("CLM*1A*100*", "CLM*1A**", "IK3*CLM*18*2300*8", "IK4*2*782*1"),
        ("TE*5555550100", "TE*5555550100*FX", "IK3*PER*4*1000*8", "IK4*6*364*2"),
        ("LX*1", "LX*1*2", "IK3*LX*20*2400*8", "IK4*2**3*2"),
        ("N4*MIAMI", "N4*M", "IK3*N4*9*2010*8", "IK4*1*19*4*M"),
        ("SAMPLE*JANE", f"{'X' * 61}*JANE", "IK3*NM1*13*2010*8", f"IK4*3*1035*5*{'X' * 61}"),
        ("236 N MAIN", "236\x07MAIN", "IK3*N3*14*2010*8", "IK4*1*166*6*236 MAIN ST"),
        ("HL*2*1*22*0", "HL*2*1*22*7", "IK3*HL*11*2000*8", "IK4*4*736*7*7"),
        ("19430501", "19430231", "IK3*DMG*16*2010*8", "IK4*2*1251*8*19430231"),
        ("1023*CH", "2560*CH", "IK3*BHT*2**8", "IK4*5*337*9*2560"),
        ("236 N MAIN", "236^N MAIN", "IK3*N3*14*2010*8", "IK4*1*166*12*236 N MAIN ST"),
        ("236 N MAIN", "236>N MAIN", "IK3*N3*14*2010*8", "IK4*1*166*13*236 N MAIN ST"),
        ("CLM*1A*100***", "CLM*1A*100*AA**", "IK3*CLM*18*2300*8", "IK4*3*1032*I10*AA"),
        ("***11>B>1*", "***11>A>1*", "IK3*CLM*18*2300*8", "IK4*5:2*1332*I6*A"),
        ("HC>99213*40", "QQ>99213*40", "IK3*SV1*21*2400*8", "IK4*1:1*235*7*QQ"),
    ],
    ids=["1", "2", "3", "4", "5", "6", "7", "8", "9", "12", "13", "I10", "I6-component", "7-component"],
)
def test_a_fault_of_an_element_is_an_ik4_below_its_ik3(before, after, segment, told):
    lines = claim_lines(before, after)
    inside = [CONTEXT] if before[:2] in ("CL", "LX", "HC", "**") else []
    assert lines[: 2 + len(inside)] == [segment, *inside, told]
    assert lines[-1] == ("IK5*R*I5" if "*I" in told else "IK5*R*5")


def test_a_fault_in_a_repetition_names_it():
    lines = claim_lines("PI*999996666|CLM", "PI*999996666^9|CLM")
    assert "IK4*9::2*67*4*9" in lines


def test_a_claim_number_is_copied_without_separators_and_clipped():
    lines = claim_lines("CLM*1A*100*", f"CLM*a:b{'X' * 40}**")
    assert lines[1] == f"CTX*CLM01:a b{'X' * 32}"


@pytest.mark.parametrize(
    ("at", "unit"),
    [(0, ""), (10, ""), (17, "CLM01:1A"), (20, "CLM01:1A"), (21, ""), (29, "CLM01:2A"), (32, "CLM01:2A")],
)
@pytest.mark.parametrize("chunk", [1 << 18, 11])
def test_a_finding_knows_the_claim_around_it(at, unit, chunk):
    """``at`` counts the segments after ST; a stray segment is put behind it."""
    body = (*CLAIMS[:at], CLAIMS[at], "ZQX*1", *CLAIMS[at + 1 :])
    one = transaction_set(kind="837", body=body, implementation="005010X222A1")
    text = interchange(group(one, kind="HC", version="005010X222A1"), version="00501", repetition="^")
    (report,) = examine(text.encode(), chunk=chunk)
    assert {each.unit for each in report.sets[0].findings if each.segment == "ZQX"} == {unit}


@pytest.mark.parametrize(
    ("set_id", "functional_id", "version", "body", "unit"),
    [
        ("276", "HR", "005010X212", ("HL*1**20*1", "HL*2*1*22*0", "TRN*1*T-77", "ZQX*1"), "TRN02:T-77"),
        ("276", "HR", "005010X212", ("HL*1**20*1", "TRN*1*T-77", "HL*2*1*22*0", "ZQX*1"), ""),
        ("834", "BE", "005010X220A1", ("INS*Y*18", "REF*0F*S-1", "REF*1L*G", "ZQX*1"), "SUBSCRIBER NUMBER REF02:S-1"),
        ("834", "BE", "005010X220A1", ("INS*Y*18", "REF*0F*S-1", "INS*N*19", "ZQX*1"), ""),
        ("820", "RA", "005010X218", ("ENT*7*2J*EI*1", "ZQX*1"), "ENT01:7"),
        ("837", "HC", "005010X222A1", ("CLM**100", "ZQX*1"), ""),
        ("837", "HC", "005010", ("CLM*1A*100", "ZQX*1"), ""),
        ("835", "HP", "005010X221A1", ("CLP*1A*100", "ZQX*1"), ""),
    ],
)
def test_each_guide_has_its_own_units(set_id, functional_id, version, body, unit):
    text = interchange(
        group(transaction_set(kind=set_id, body=body), kind=functional_id, version=version),
        version="00501",
        repetition="^",
    )
    (report,) = examine(text.encode())
    assert {each.unit for each in report.sets[0].findings if each.segment == "ZQX"} == {unit}


def test_a_received_context_is_told_in_words():
    body = (
        "AK1*HC*1*005010X222A1",
        "AK2*837*0001*005010X222A1",
        "IK3*REF*40*2300*I6",
        "CTX*SITUATIONAL TRIGGER*CLM*43*2300*5>3*1325",
        "CTX*CLM01>26463774",
        "IK5*R*I5",
        "AK9*R*1*1*0",
    )
    one = transaction_set(kind="999", body=body, implementation="005010X231A1")
    text = interchange(group(one, kind="FA", version="005010X231A1"), version="00501", repetition="^")
    (report,) = examine(text.encode())
    assert report.status is Status.ACCEPTED
    (said,) = report.group_acks[0].sets
    place = "segment REF at position 40 in loop 2300"
    assert said.errors[1:3] == (
        f"{place}, because of segment CLM at position 43 in loop 2300",
        f"{place}, CLM01 is 26463774",
    )
