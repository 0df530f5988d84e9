"""TA1, 997 and 999: what we answer, and what we read of the answers of others."""

from __future__ import annotations

from datetime import datetime

import pytest
from builders.x12 import SET_850, group, interchange, isa, transaction_set
from msgspec.structs import replace

from gateway.x12 import (
    DraftGroup,
    DraftInterchange,
    Finding,
    Header,
    Level,
    Separators,
    Status,
    acknowledgment_separators,
    acknowledgment_version,
    examine,
    functional_acknowledgment,
    interchange_acknowledgment,
    wants_acknowledgment,
    write_interchange,
)

BAD_850 = (SET_850[0].replace("BEG*00", "BEG*Q9"), *SET_850[1:])


def examined(text):
    (report,) = examine(text.encode("latin-1"))
    return report


def lines(draft):
    """The segments of a draft in everyday separators."""
    return draft.body.translate(str.maketrans("\x1d\x1f\x1c", "*:^")).split("\x1e")[:-1]


def sent(report, drafts, version="004010", interchange_version="00401"):
    """The acknowledgment as its receiver examines it."""
    h = report.header
    header = Header(h.receiver, h.sender, "", "", interchange_version, "1", False, "P")
    groups = (DraftGroup("FA", "RCV", "SND", 1, version, tuple(drafts)),)
    moment = datetime(2026, 11, 2, 8, 0)  # noqa: DTZ001
    data = write_interchange(DraftInterchange(header, groups, (), moment), Separators("*", ">", "~", "^"))
    return examined(data.decode("latin-1"))


def test_a_997_of_an_accepted_group():
    report = examined(interchange())
    assert lines(functional_acknowledgment(report.groups[0], "997", "set")) == [
        "AK1*PO*1",
        "AK2*850*0001",
        "AK5*A",
        "AK9*A*1*1*1",
    ]


def test_a_997_from_005010_on_names_version_and_implementation():
    text = interchange(group(version="005010", kind="PO"), version="00501", repetition="^")
    assert lines(functional_acknowledgment(examined(text).groups[0], "997", "group")) == [
        "AK1*PO*1*005010",
        "AK9*A*1*1*1",
    ]


def test_a_997_tells_what_is_wrong_where():
    report = examined(interchange(group(transaction_set(), transaction_set("0002", BAD_850))))
    written = lines(functional_acknowledgment(report.groups[0], "997", "rejected"))
    assert written == [
        "AK1*PO*1",
        "AK2*850*0002",
        "AK3*BEG*2**8",
        "AK4*1*353*7*Q9",
        "AK5*R*5",
        "AK9*P*2*2*1",
    ]


@pytest.mark.parametrize(
    ("text", "trailer"),
    [
        (group(trailer="9"), "AK9*R*1*1*0*4"),
        (group(count=5), "AK9*R*5*1*0*5"),
        (group()[:-7], "AK9*R*1*1*0*3"),
        (group(version="XX"), "AK9*R*1*1*0*2"),
    ],
)
def test_a_rejected_group_accepts_no_set(text, trailer):
    written = lines(functional_acknowledgment(examined(interchange(text)).groups[0], "997", "set"))
    assert written[-1] == trailer
    assert [line for line in written if line.startswith("AK5*A")] == []


@pytest.mark.parametrize(
    ("bad", "answer"),
    [
        (transaction_set(count=9), "AK5*R*4"),
        (transaction_set(trailer="0009"), "AK5*R*3"),
        (transaction_set(kind="899", body=("XX*1",)), "AK5*R*1"),
        (transaction_set().replace("SE*6*0001~", ""), "AK5*R*2"),
        (transaction_set(kind="855", body=("BAK*00*AC*PO1*20261101",)), "AK5*R*6"),
        (transaction_set() + transaction_set(), "AK5*R*7"),
    ],
)
def test_a_rejected_set_has_its_code(bad, answer):
    """Before 005010 a control number used twice is 7, and a set of another group 6: 18 is in no list before 004030."""
    written = lines(
        functional_acknowledgment(examined(interchange(group(bad, count=bad.count("ST*")))).groups[0], "997", "set")
    )
    assert answer in written


def test_missing_identifiers_never_leave_a_mandatory_element_empty():
    text = interchange(group(transaction_set(kind="", number="", trailer=""), number="", trailer=""))
    assert lines(functional_acknowledgment(examined(text).groups[0], "997", "set"))[:2] == ["AK1*PO*0", "AK2*000*0000"]


@pytest.mark.parametrize("version", ["000000", "0000001200", "4010", ""])
def test_a_version_that_never_was_is_answered_in_the_usual_one(version):
    (one,) = examined(interchange(group(version=version))).groups
    assert acknowledgment_version(one, "997") == "004010"


def test_copied_values_are_clipped_and_free_of_separators():
    (one,) = examined(interchange()).groups
    finding = Finding(
        Level.ERROR, "x", "m", "element", "7", segment="N1", position=3, element=2, component=1, repetition=2,
        data_element="93", value="a*b~c:d^e|f>g\x00é" + "x" * 200, loop="2010AA",
    )  # fmt: skip
    bad = replace(
        one, status=Status.REJECTED, sets=(replace(one.sets[0], status=Status.REJECTED, findings=(finding,)),)
    )
    written = functional_acknowledgment(bad, "997", "set")
    (copied,) = [line for line in lines(written) if line.startswith("AK4")]
    assert copied.startswith("AK4*2:1*93*7*a b c d e f g  ")
    assert len(copied.rpartition("*")[2]) <= 99
    party = examined(interchange()).header.sender
    header = Header(party, party, "261101", "1200", "00401", "1", False, "P")
    answer = DraftInterchange(header, (DraftGroup("FA", "AA", "BB", 1, "004010", (written,)),))
    assert write_interchange(answer, Separators("|", ">", "\n"))
    assert "AK3*N1*3*2010AA*8" in lines(written), "AK303 holds six characters in 004010, and four in 005010"


def test_a_999_speaks_its_own_codes_and_names_the_guide():
    (one,) = examined(interchange()).groups
    finding = Finding(
        Level.ERROR, "x", "m", "element", "10", "I10", segment="NM1", position=7, element=9, loop="2010AA", repetition=1
    )
    bad = replace(
        one,
        functional_id="HC",
        version="005010X222A1",
        status=Status.REJECTED,
        sets=(
            replace(one.sets[0], id="837", implementation="005010X222A1", status=Status.REJECTED, findings=(finding,)),
        ),
    )
    draft = functional_acknowledgment(bad, "999", "set")
    assert draft.implementation == "005010X231A1"
    assert lines(draft) == [
        "AK1*HC*1*005010X222A1",
        "AK2*837*0001*005010X222A1",
        "IK3*NM1*7*2010*8",
        "IK4*9::1**I10",
        "IK5*R*I5",
        "AK9*R*1*1*0",
    ]


def test_a_999_without_st03_leaves_ak203_away():
    text = interchange(group(version="005010"), version="00501", repetition="^")
    written = lines(functional_acknowledgment(examined(text).groups[0], "999", "set"))
    assert written == ["AK1*PO*1*005010", "AK2*850*0001", "IK5*A", "AK9*A*1*1*1"]
    assert acknowledgment_version(examined(text).groups[0], "999") == "005010"


def test_acknowledgments_are_never_acknowledged():
    report = examined(interchange())
    draft = functional_acknowledgment(report.groups[0], "997", "set")
    answer = sent(report, [draft])
    assert answer.status is Status.ACCEPTED
    assert wants_acknowledgment(report.groups[0])
    assert not wants_acknowledgment(answer.groups[0])


@pytest.mark.parametrize("kind", ["997", "999"])
def test_what_we_write_is_read_as_what_we_meant(kind):
    bad = (*SET_850[:2], SET_850[2].replace("*5*", "*five*"), SET_850[3])
    text = interchange(
        group(transaction_set(), transaction_set("0002", bad), version="005010"), version="00501", repetition="^"
    )
    report = examined(text)
    draft = functional_acknowledgment(report.groups[0], kind, "set")
    answer = sent(report, [draft], acknowledgment_version(report.groups[0], kind), "00501")
    assert answer.status is Status.ACCEPTED, answer
    (said,) = answer.group_acks
    assert (said.kind, said.functional_id, said.control_number) == (kind, "PO", "1")
    assert (said.status, said.included, said.received, said.accepted) == (Status.PARTIALLY_ACCEPTED, 2, 2, 1)
    assert [(each.control_number, each.status) for each in said.sets] == [
        ("0001", Status.ACCEPTED),
        ("0002", Status.REJECTED),
    ]
    assert said.sets[1].codes == ("5",)
    assert "segment PO1 at position 4 in loop PO1, element 2 (data element 330)" in said.sets[1].errors[1]
    assert said.ack_control_number == "0001"


def test_a_group_acknowledgment_without_ak9_says_nothing():
    body = ("AK1*PO*1", "AK2*850*0001", "AK5*A")
    report = examined(interchange(group(transaction_set(kind="997", body=body), kind="FA")))
    assert report.group_acks == ()
    assert report.groups[0].status is Status.REJECTED


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (interchange(), ("000000001", "261101", "1200", "A", "000")),
        (interchange(trailer="000000002"), ("000000001", "261101", "1200", "R", "001")),
        (interchange(repetition="^"), ("000000001", "261101", "1200", "E", "016")),
        ("nothing", ("000000000", "000101", "0000", "R", "022")),
    ],
)
def test_a_ta1_names_the_interchange_and_one_note(text, answer):
    assert interchange_acknowledgment(examined(text)) == answer


def test_a_ta1_can_carry_what_only_the_flow_knows():
    assert interchange_acknowledgment(examined(interchange()), note=("R", "025"))[3:] == ("R", "025")


def test_a_ta1_of_damaged_fields_stays_well_formed():
    report = examined(interchange(number="00A*~0001", date="2611X1"))
    assert all(each.isalnum() for each in interchange_acknowledgment(report))


def test_a_received_ta1_without_a_verdict_is_not_taken_for_one():
    report = examined(isa() + "TA1*000000042*261101*1200*Q*000~IEA*0*000000001~")
    assert report.interchange_acks == ()
    assert report.ta1 == ("R", "024")


@pytest.mark.parametrize(
    "text",
    [
        interchange(),
        interchange().replace("*>~", "*a~"),
        interchange().replace("*>~", "**~"),
        interchange().replace("~", "~\r\n").replace(">~", "\n~"),
        interchange().replace("~", "~\r\n").replace(">~", "\r~"),
    ],
)
@pytest.mark.parametrize("version", ["00401", "00501"])
def test_every_interchange_can_be_answered_in_separators_that_separate(text, version):
    report = examined(text.replace("00401", version))
    h = report.header
    draft = DraftInterchange(
        Header(h.receiver, h.sender, "261102", "0800", h.version, "1", False, "P"),
        (),
        (interchange_acknowledgment(report),),
    )
    answer = examined(write_interchange(draft, acknowledgment_separators(report)).decode())
    assert answer.ta1 == ("A", "000")
    assert answer.interchange_acks[0].note == report.ta1[1]
