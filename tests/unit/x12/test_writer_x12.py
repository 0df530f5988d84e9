"""Writing interchanges and reading what the business hands in."""

from __future__ import annotations

from datetime import datetime

import pytest
from builders.x12 import SET_850, group, interchange, retold, transaction_set
from msgspec.structs import replace

from gateway.errors import DocumentFault, DocumentUnreadable, SeparatorInData
from gateway.x12 import (
    DraftGroup,
    DraftInterchange,
    DraftSet,
    Header,
    Party,
    Separators,
    Status,
    draft_set,
    examine,
    functional_id_for,
    read_document,
    write_interchange,
)

STAR = Separators("*", ">", "~")
BAR = Separators("|", "<", "\n")
BODY = "~".join((*SET_850, ""))


def header(version="00401", number="7", **other):
    return Header(
        Party("ZZ", "SENDER"), Party("01", "123456789"), "261101", "1200", version, number, False, "P", **other
    )


def draft(*sets, version="004010", interchange_version="00401", **other):
    sets = sets or (DraftSet("850", "", BODY, STAR, 4),)
    return DraftInterchange(
        header(interchange_version), (DraftGroup("PO", "SND", "RCV", 12, version, tuple(sets)),), **other
    )


def test_the_isa_has_its_106_characters_and_the_trailers_their_counts():
    text = write_interchange(draft(*[DraftSet("850", "", BODY, STAR, 4)] * 2), STAR).decode()
    lines = text.split("~")
    assert len(lines[0]) == 105
    assert lines[1] == "GS*PO*SND*RCV*20261101*1200*12*X*004010"
    assert lines[2] == "ST*850*0001"
    assert lines[7] == "SE*6*0001"
    assert lines[8] == "ST*850*0002"
    assert lines[-3:] == ["GE*2*12", "IEA*1*000000007", ""]


def test_what_is_written_is_accepted_when_it_is_read():
    data = write_interchange(draft(), replace(BAR, suffix=""))
    (report,) = examine(data)
    assert report.status is Status.ACCEPTED
    assert report.findings == ()


@pytest.mark.parametrize(("version", "sign"), [("00401", "U"), ("00501", "^")])
def test_isa11_follows_the_version(version, sign):
    text = write_interchange(draft(interchange_version=version), replace(STAR, repetition="^")).decode()
    assert text[82] == sign


def test_dates_have_six_digits_before_004010():
    text = write_interchange(draft(version="003040", moment=datetime(2026, 3, 1, 9, 5)), STAR).decode()  # noqa: DTZ001
    assert "GS*PO*SND*RCV*260301*0905*12*X*003040~" in text
    assert text[70:76] == "260301"


def test_the_line_end_follows_every_segment():
    text = write_interchange(draft(), replace(STAR, suffix="\r\n")).decode()
    assert text.count("~\r\n") == text.count("~") == 10
    assert text.endswith("~\r\n")


def test_separators_are_exchanged():
    mixed = DraftSet("850", "", "REF*a^b*c>d~", replace(STAR, repetition="^"), 1)
    text = write_interchange(
        draft(mixed, interchange_version="00501", version="005010"), Separators(">", "*", "^", "~")
    ).decode()
    assert "^REF>a~b>c*d^" in text


@pytest.mark.parametrize(
    ("body", "target", "place", "sign"),
    [
        ("BEG*00~REF*PO*a|b~", BAR, "REF02 (segment 3)", "|"),
        ("MSG*line\none~", BAR, "MSG01 (segment 2)", "\n"),
        ("MSG*a<b~", BAR, "MSG01 (segment 2)", "<"),
    ],
)
def test_a_separator_in_data_is_refused_with_its_place(body, target, place, sign):
    with pytest.raises(SeparatorInData) as caught:
        write_interchange(draft(DraftSet("850", "", body, STAR, 2)), target)
    assert caught.value.details["position"] == place
    assert caught.value.details["separator"] == sign


def test_repetitions_cannot_be_written_in_a_version_without_them():
    repeated = DraftSet("850", "", "REF*a^b~", replace(STAR, repetition="^"), 1)
    with pytest.raises(SeparatorInData):
        write_interchange(draft(repeated), STAR)


@pytest.mark.parametrize("field", ["sender", "receiver"])
def test_a_separator_in_the_envelope_is_refused(field):
    bad = replace(draft(), header=replace(header(), **{field: Party("ZZ", "A*B")}))
    with pytest.raises(SeparatorInData) as caught:
        write_interchange(bad, STAR)
    assert caught.value.details["position"] == {"sender": "ISA06", "receiver": "ISA08"}[field]


@pytest.mark.parametrize(
    "separators",
    [Separators("*", "*", "~"), Separators("A", ">", "~"), Separators("*", ">", "~", "", "x"), Separators("")],
)
def test_separators_that_cannot_separate_are_refused(separators):
    with pytest.raises(DocumentFault):
        write_interchange(draft(), separators)


@pytest.mark.parametrize(
    "change", [{"control_number": "1234567890"}, {"sender": Party("ZZ", "x" * 16)}, {"usage": "PP"}]
)
def test_a_field_that_does_not_fit_is_refused(change):
    with pytest.raises(DocumentFault):
        write_interchange(replace(draft(), header=replace(header(), **change)), STAR)


def test_a_character_that_is_not_latin1_is_refused():
    with pytest.raises(DocumentFault):
        write_interchange(draft(draft_set("850", [["MSG", "5 €"]])), STAR)


def test_binary_payloads_are_written_as_they_are():
    payload = "a~b*c|d\n"
    body = f"BIN*{len(payload)}*{payload}~MSG*x~"
    text = write_interchange(draft(DraftSet("102", "", body, STAR, 2)), replace(BAR, suffix="")).decode()
    assert f"BIN|{len(payload)}|{payload}\nMSG|x\n" in text


def test_ta1_segments_stand_before_the_groups():
    text = write_interchange(draft(interchange_acks=(("000000001", "261101", "1200", "A", "000"),)), STAR).decode()
    assert text[106:].startswith("TA1*000000001*261101*1200*A*000~GS*")


def test_functional_ids():
    assert functional_id_for("850") == "PO"
    assert functional_id_for("999") == functional_id_for("997") == "FA"
    with pytest.raises(DocumentFault):
        functional_id_for("ZZZ")


# ---------------------------------------------------------------- documents


@pytest.mark.parametrize("text", [transaction_set(), transaction_set() + transaction_set("0002")])
@pytest.mark.parametrize(("element", "end"), [("*", "~"), ("*", "~\r\n"), ("|", "\n"), ("|", "\r\n"), ("\x1d", "\x1c")])
def test_bare_sets_are_read_in_any_separators(text, element, end):
    document = read_document(text.replace("*", element).replace("~", end).encode())
    assert document.kind == "sets"
    assert document.groups == ()
    assert len(document.sets) == text.count("ST*850")
    first = document.sets[0]
    assert (first.set_id, first.segments, first.separators.element) == ("850", 4, element)
    assert first.body.replace(element, "*").replace(first.separators.segment, "~") == BODY


def test_groups_are_read_with_their_identities():
    document = read_document((group() + group(number="2")).encode())
    assert document.kind == "groups"
    assert [(each.functional_id, each.version, each.sender, len(each.sets)) for each in document.groups] == [
        ("PO", "004010", "SND", 1)
    ] * 2


def test_whole_interchanges_are_read_each_with_its_separators():
    data = interchange() + "\r\n" + retold(interchange(number="000000002"))
    document = read_document(data.encode())
    assert (document.kind, document.interchanges, len(document.sets)) == ("interchanges", 2, 2)
    assert [each.separators.element for each in document.sets] == ["*", "|"]


def test_st03_and_a_byte_order_mark_are_read():
    data = b"\xef\xbb\xbf" + transaction_set(kind="837", implementation="005010X222A1", body=("BHT*0019",)).encode()
    assert read_document(data).sets[0].implementation == "005010X222A1"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "nothing"),
        ("hello", "no ISA"),
        ("ST", "no ISA"),
        ("ST*850*0001", "no end"),
        (transaction_set()[:-14], "breaks off"),
        (transaction_set()[:-10], "without its SE"),
        (transaction_set(count=9), "SE01"),
        (transaction_set(trailer="0009"), "SE02"),
        (transaction_set() + "BEG*1~", "cannot stand after 1 finished sets"),
        (group(count=3), "GE01"),
        (group(trailer="3"), "GE02"),
        (group()[:-7], "without its GE"),
        (interchange()[:-16], "ends after"),
        (interchange() + "junk", "belong to no interchange"),
        (interchange().replace("GS*", "XX*"), "cannot stand"),
        (transaction_set() + interchange(), "ISA begins"),
    ],
)
def test_what_cannot_be_read_says_why(text, reason):
    with pytest.raises(DocumentUnreadable) as caught:
        read_document(text.encode(), "orders.edi")
    assert reason in caught.value.details["reason"]
    assert caught.value.details["name"] == "orders.edi"
