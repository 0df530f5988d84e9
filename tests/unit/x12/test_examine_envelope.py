"""What examining says of envelopes: every fault has its code, and what stands beside it is still read."""

from __future__ import annotations

import pytest
from builders.x12 import SET_850, group, interchange, isa, retold, transaction_set

from gateway.x12 import ExaminePolicy, Level, Status, examine, functional_acknowledgment


def reports(text, **options):
    return list(examine(text.encode("latin-1"), **options))


def only(text, **options):
    found = reports(text, **options)
    assert len(found) == 1
    return found[0]


def codes(findings):
    return [each.code for each in findings]


def test_a_sound_interchange_is_accepted_without_findings():
    text = interchange()
    report = only(text)
    assert report.status is Status.ACCEPTED
    assert report.ta1 == ("A", "000")
    assert report.findings == ()
    assert (report.start, report.end, report.segments) == (0, len(text), 10)
    assert report.header.sender.id == "SENDER"
    (only_set,) = report.sets
    assert only_set.status is Status.ACCEPTED
    assert only_set.segments == 6
    assert text[only_set.start : only_set.end] == transaction_set()
    (only_group,) = report.groups
    assert text[only_group.start : only_group.end] == group()


@pytest.mark.parametrize("end", ["~\r\n", "~\n", "\n", "\r\n", "\x1c", "'", "\r"])
@pytest.mark.parametrize("chunk", [7, 1 << 18])
def test_any_terminator_and_line_end_is_read(end, chunk):
    report = only(interchange().replace("~", end), chunk=chunk)
    assert report.status is Status.ACCEPTED
    assert report.separators.segment + report.separators.suffix == end
    assert report.sets[0].segments == 6


@pytest.mark.parametrize("between", ["", "\r\n", "\n\n  ", "\x1a", "\0\0"])
@pytest.mark.parametrize("chunk", [1, 50, 1 << 18])
def test_interchanges_with_different_separators_follow_each_other(between, chunk):
    first, second = interchange(), retold(interchange(number="000000002"))
    third = retold(interchange(number="000000003"), "\x1d", "\x1f", "\x1c")
    found = reports(first + between + second + between + third, chunk=chunk)
    assert [each.header.control_number for each in found] == ["000000001", "000000002", "000000003"]
    assert all(each.status is Status.ACCEPTED and not each.findings for each in found)
    assert found[1].start == len(first) + len(between)
    assert found[1].separators.element == "|"


def test_text_around_is_noted_and_does_not_harm():
    before, after = reports("hello there\n" + interchange() + "\nand" + interchange(number="000000002") + "bye")
    assert codes(before.findings) == ["interchange.text-before"]
    assert before.findings[0].offset == 0
    assert before.status is Status.ACCEPTED
    assert codes(after.findings) == ["interchange.text-before", "interchange.text-after"]
    assert after.findings[1].value == "bye"


def test_a_byte_order_mark_is_no_text():
    assert only("\xef\xbb\xbf" + interchange()).findings == ()


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (interchange(trailer="000000002"), "001"),
        (interchange(count=2), "021"),
        (interchange(count="x"), "021"),
        (interchange(q1="XX"), "005"),
        (interchange(q2="99"), "007"),
        (interchange(sender=""), "006"),
        (interchange(receiver=""), "008"),
        (interchange(date="000000"), "014"),
        (interchange(date="260230"), "014"),
        (interchange(time="2460"), "015"),
        (interchange(version="0040A"), "017"),
        (interchange(number="000000000"), "018"),
        (interchange(number="00000000A"), "018"),
        (interchange(asked="2"), "019"),
        (interchange(usage="X"), "020"),
        (interchange().replace("ISA*00*", "ISA*99*"), "010"),
        (interchange().replace("*00*          *ZZ", "*77*          *ZZ"), "012"),
        (interchange().replace("*>~", "**~"), "027"),
        (interchange().replace("*>~", "*a~"), "027"),
        (interchange().replace("~", " ", 1), "004"),
        (interchange().replace("~", "*", 1), "004"),
        (interchange().replace("*P*>~", "*P*>!", 1), "004"),
        (interchange().replace("*000000001*", "*0000000010*", 1), "018"),
        (interchange().replace("SENDER         ", "SENDER"), "006"),
        (interchange().replace("*00*          *ZZ", "*00**ZZ"), "013"),
        (interchange()[:-16], "023"),
        (interchange()[:200], "023"),
        (isa() + transaction_set() + "IEA*0*000000001~", "024"),
        (isa() + "XYZ*1~IEA*0*000000001~", "022"),
        (isa() + "GE*1*1~IEA*0*000000001~", "022"),
        (isa() + "TA1*1~IEA*0*000000001~", "024"),
        (interchange().replace("GS*", "gs*"), "022"),
    ],
)
def test_a_fault_of_the_interchange_rejects_it_with_its_note(text, note):
    report = only(text)
    assert report.status is Status.REJECTED
    assert report.ta1 == ("R", note)
    assert any(each.x12 == note and each.level is Level.ERROR for each in report.findings)
    assert all(each.status is Status.REJECTED for each in (*report.groups, *report.sets))


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (interchange(repetition="^"), "016"),
        (interchange(group(version="005010"), version="00501"), "016"),
        (interchange(q1=" 1"), "005"),
        (interchange(trailer="1"), "001"),
    ],
)
def test_what_is_only_odd_is_accepted_with_errors(text, note):
    report = only(text)
    assert report.status is Status.ACCEPTED_WITH_ERRORS
    assert report.ta1 == ("E", note)


@pytest.mark.parametrize(
    ("segment", "codes", "ta1"),
    [
        ("IEA*1*000000001", ["interchange.element-extra"], ("E", "022")),
        ("GE*1*1", ["group.element-extra"], ("A", "000")),
        ("GS*PO*SND*RCV*20261101*1200*1*X*004010", ["group.element-extra"], ("A", "000")),
        ("SE*6*0001", ["element.too-many"], ("A", "000")),
        ("ST*850*0001*", ["element.too-many"], ("A", "000")),
    ],
)
def test_an_element_too_many_in_the_envelope_is_noted(segment, codes, ta1):
    """Accepted, for it harms nobody; separators alone at the end are no element."""
    text = interchange()
    assert only(text.replace(f"{segment.rstrip('*')}~", f"{segment}**~")).status is Status.ACCEPTED
    report = only(text.replace(f"{segment.rstrip('*')}~", f"{segment}*X~"))
    (group_,) = report.groups
    assert [each.code for each in (*report.findings, *group_.findings, *group_.sets[0].findings)] == codes
    assert report.ta1 == ta1
    assert group_.sets[0].status is (Status.ACCEPTED_WITH_ERRORS if "element.too-many" in codes else Status.ACCEPTED)


def test_an_element_too_many_in_a_trailer_has_its_place():
    (group_,) = only(interchange().replace("SE*6*0001~", "SE*6*0001*X~")).groups
    answer = functional_acknowledgment(group_, "997", "set").body.translate(str.maketrans("\x1d\x1e", "*~"))
    assert "~AK3*SE*6**8~AK4*3**3*X~AK5*E*5~" in answer


def test_from_00402_on_the_repetition_separator_is_read():
    report = only(interchange(group(version="005010"), version="00501", repetition="^"))
    assert report.separators.repetition == "^"
    assert report.ta1 == ("A", "000")


@pytest.mark.parametrize("cut", [0, 5])
def test_the_interchange_after_one_without_iea_is_read(cut):
    """TA1 023 where only the IEA is missing, 022 where the next ISA begins inside a group."""
    broken = interchange()[: -16 - cut]
    first, second = reports(broken + interchange(number="000000002"))
    assert first.ta1 == ("R", "022" if cut else "023")
    assert second.status is Status.ACCEPTED
    assert first.end == second.start == len(broken)


def test_an_isa_inside_an_isa_ends_the_outer_one():
    text = isa() + group().replace("CTT*1~", "CTT*1~" + interchange(number="000000002"))
    outer, inner = reports(text + "IEA*1*000000001~")
    assert outer.ta1 == ("R", "022")
    assert codes(outer.sets[0].findings)[0] == "set.trailer-missing"
    assert inner.status is Status.ACCEPTED
    assert codes(inner.findings) == ["interchange.text-after"]


def test_a_missing_last_terminator_is_only_noted():
    report = only(interchange()[:-1])
    assert report.status is Status.ACCEPTED
    assert codes(report.findings) == ["interchange.last-terminator"]
    assert report.end == len(interchange()) - 1


def test_empty_segments_do_not_harm():
    text = interchange().replace("~GS", "~~\r\n~GS").replace("~GE", "~~GE")
    assert only(text).status in (Status.ACCEPTED, Status.ACCEPTED_WITH_ERRORS)


def test_an_interchange_of_ta1_only_is_accepted_and_read():
    report = only(isa() + "TA1*000000042*261101*1200*R*025~IEA*0*000000001~")
    assert report.status is Status.ACCEPTED
    (ack,) = report.interchange_acks
    assert (ack.control_number, ack.status, ack.note) == ("000000042", Status.REJECTED, "025")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "nothing"),
        ("UNB+UNOC:3+A+B+260101:1200+1'", "EDIFACT"),
        ("UNA:+.? 'UNB+UNOC:3+A+B+260101:1200+1'", "EDIFACT"),
        ("<?xml version='1.0'?><order/>", "XML"),
        (interchange().encode("cp037").decode("latin-1"), "EBCDIC"),
        (interchange().encode("utf-16").decode("latin-1"), "UTF-16"),
        (interchange().lower(), "lower case"),
        (group(), "without the ISA"),
        (interchange()[:60], "cut short"),
        ("Dear partner, please find our order attached.", "no ISA"),
    ],
)
def test_bytes_without_an_interchange_say_what_they_are(text, hint):
    report = only(text)
    assert report.header is None
    assert report.status is Status.REJECTED
    assert hint in report.findings[0].message


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (group(kind="QQ"), "1"),
        (group(version="4010"), "2"),
        (group()[:-7], "3"),
        (group(trailer="2"), "4"),
        (group(count=2), "5"),
        (group(number="12X"), "6"),
        (group() + group(), "19"),
    ],
)
def test_a_fault_of_the_group_rejects_it_with_its_code(text, code):
    report = only(interchange(text, count=text.count("GS*")))
    bad = report.groups[-1]
    assert bad.status is Status.REJECTED
    assert code in [each.x12 for each in bad.findings]
    assert all(each.status is Status.REJECTED for each in bad.sets)
    assert report.ta1[0] != "R"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (transaction_set(kind="998", body=("ZZZ*1",)), ""),
        (transaction_set(kind="899"), "1"),
        (transaction_set(trailer="0002"), "3"),
        (transaction_set(count=7), "4"),
        (transaction_set(count=""), "4"),
        (transaction_set(kind="85"), "6"),
        (transaction_set(number="1"), "7"),
        (transaction_set(number=""), "7"),
        (transaction_set(kind="855", body=("BAK*00*AC*PO1*20261101",)), "18"),
        (transaction_set().replace("SE*6*0001~", ""), "2"),
    ],
)
def test_a_fault_of_the_set_rejects_it_with_its_code(text, code):
    report = only(interchange(group(text, transaction_set("0009"))))
    bad, good = report.sets
    assert bad.status is Status.REJECTED
    assert code in [each.x12 for each in bad.findings] or not code
    assert good.status is Status.ACCEPTED
    assert report.groups[0].status is Status.PARTIALLY_ACCEPTED
    assert report.status is Status.PARTIALLY_ACCEPTED
    assert report.ta1 == ("A", "000")


def test_a_set_number_that_occurs_twice_is_rejected():
    sets = [transaction_set(number) for number in ("0001", "0002", "0007", "0002", "0007", "0003")]
    report = only(interchange(group(*sets)))
    assert [codes(each.findings) for each in report.sets] == [
        [],
        [],
        [],
        ["set.number-twice"],
        ["set.number-twice"],
        [],
    ]


def test_group_numbers_may_be_written_with_leading_zeros():
    assert only(interchange(group(number="0007", trailer="7"))).status is Status.ACCEPTED


def test_a_segment_of_the_set_that_is_wrong_has_its_place():
    body = (SET_850[0].replace("BEG*00", "BEG*Q9"), *SET_850[1:])
    text = interchange(group(transaction_set(body=body)))
    report = only(text)
    (finding,) = report.sets[0].findings
    assert (finding.segment, finding.position, finding.element, finding.x12) == ("BEG", 2, 1, "7")
    assert text.find("BEG") <= finding.offset <= text.find("Q9")
    assert report.groups[0].status is Status.REJECTED


def test_a_warning_rejects_where_the_agreement_says_so():
    text = interchange(repetition="^")
    assert only(text, policy=ExaminePolicy(reject_from=Level.WARNING)).ta1 == ("R", "016")
    assert only("x" + interchange(), policy=ExaminePolicy(reject_from=Level.WARNING)).status is Status.REJECTED


@pytest.mark.parametrize("chunk", [3, 64, 1 << 18])
@pytest.mark.parametrize("terminator", ["~", "\n", "\r"])
def test_binary_segments_are_read_by_their_length(chunk, terminator):
    """Whatever a BIN holds, separators and whole interchanges included, is not read as segments."""
    payload = "a~b*SE*1*0001~" + interchange(number="000000009") + "\r\n"
    body = ("ORI*X", f"BIN*{len(payload)}*{payload}")
    written = interchange(group(transaction_set(kind="102", body=body), kind="OR"))
    before, after = (each.replace("~", terminator) for each in written.split(payload))
    report = only(before + payload.replace("~", terminator) + after, chunk=chunk)
    assert report.ta1 == ("A", "000")
    assert report.sets[0].segments == 4
    assert not [each for each in report.sets[0].findings if each.code == "segment.binary-length"]


@pytest.mark.parametrize("blanks", [" ", "\r\n", "\r\n  "])
@pytest.mark.parametrize("chunk", [1, 1 << 18])
def test_blanks_before_a_binary_segment_are_no_segment(blanks, chunk):
    words = "a word \n" * 600  # more than is read at first
    text = words + interchange(group(transaction_set(body=("BEG*00", f"{blanks}BIN*5*a~b*c", "REF*PO*1"))))
    (one,) = only(text, chunk=chunk).sets
    assert "segment.empty" not in codes(one.findings)
    assert one.segments == 5


def test_blanks_before_the_letters_of_a_binary_segment_stay_in_their_value():
    text = interchange(group(transaction_set(body=("BEG*00", "MSG*x" + " " * 9 + "BIN*5*a", "REF*PO*1"))))
    assert only(text).sets[0].segments == 5


def test_a_binary_segment_of_another_length_is_a_fault():
    body = ("ORI*X", "BIN*3*abcdef")
    report = only(interchange(group(transaction_set(kind="102", body=body), kind="OR")))
    assert "segment.binary-length" in codes(report.sets[0].findings)


def test_a_huge_segment_is_passed_over_in_bounded_memory():
    class Endless:
        """An interchange with one segment of 64 MB, never held as a whole."""

        def __init__(self):
            self.parts = iter(
                [interchange()[:200], *["x" * (1 << 20)] * 64, "~CTT*1~SE*5*0001~GE*1*1~IEA*1*000000001~"]
            )

        def read(self, _size):
            return next(self.parts, "").encode()

    import tracemalloc

    tracemalloc.start()
    (report,) = examine(Endless())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "segment.too-long" in codes(report.sets[0].findings)
    assert report.ta1 == ("A", "000")
    assert peak < 12_000_000


def test_findings_of_one_set_are_capped():
    body = (SET_850[0], *["PO1*1*x*EA*9.95**VN*A-77"] * 3000, "CTT*3000")
    (bad,) = only(interchange(group(transaction_set(body=body))), chunk=4096).sets
    assert len(bad.findings) <= 1002
    assert bad.status is Status.REJECTED
    assert "more" in bad.findings[-1].code or "more" in bad.findings[-2].code


def test_segments_outside_any_set_are_noted_once_a_row():
    """A lower-case ST begins no set: what follows belongs to none, and one finding says why."""
    report = only(interchange(group(transaction_set().replace("ST*", "st*"), transaction_set("0002"), count=1)))
    (bad,) = report.groups
    assert codes(bad.findings) == ["group.segment-outside-set"]
    assert "upper case" in bad.findings[0].message
    assert bad.status is Status.REJECTED


@pytest.mark.parametrize(
    ("value", "status"),
    [("EX\xc9MPLE", Status.ACCEPTED), ("EXAM\0PLE", Status.REJECTED), ("example", Status.ACCEPTED)],
)
def test_characters_in_data(value, status):
    assert only(interchange().replace("EXAMPLE", value)).status is status


@pytest.mark.parametrize(
    ("place", "separator"), [("*RECEIVER", "+RECEIVER"), ("*00*          *00", "*00+          *00")]
)
def test_an_isa_with_one_damaged_separator_is_still_read(place, separator):
    report = only(interchange().replace(place, separator, 1))
    assert report.ta1 == ("R", "026")
    assert report.header.control_number == "000000001"
    assert report.header.receiver.id == "RECEIVER"


@pytest.mark.parametrize("version", ["003030", "005050", "004010VICS"])
def test_a_version_without_tables_is_judged_by_its_envelope_alone(version):
    report = only(interchange(group(version=version)))
    assert report.status is Status.ACCEPTED
    known = version.startswith("004010")
    assert codes(report.groups[0].findings) == ([] if known else ["group.version-unknown"])
    assert only(interchange(group(transaction_set(count=99), version=version))).status is Status.REJECTED


@pytest.mark.parametrize("spam", ["BIN*x~", "BIN*1*x~", "IEA*1~", "MSG*IEA*1~", "ISA*00*", "ISA~", "~", "GS*PO~"])
def test_time_grows_with_the_size_and_not_with_its_square(spam):
    import time

    text = isa() + "GS*OR*A1*B1*20261101*1200*1*X*004010~ST*102*0001~ORI*X~" + spam * (120_000 // len(spam))
    began = time.process_time()
    assert reports(text)[0].status is Status.REJECTED
    assert time.process_time() - began < 8, "some seconds at most, on a slow machine"


def test_a_new_group_or_set_inside_a_set_ends_it():
    inner = interchange(group(transaction_set().replace("CTT*1~", "CTT*1~ST*850*0002~"), count=2))
    first, second = only(inner).sets
    assert codes(first.findings) == ["set.trailer-missing"]
    assert "set.number-mismatch" in codes(second.findings)
    report = only(interchange(group().replace("CTT*1~", "CTT*1~GS*PO*A1*B1*20261101*1200*2*X*004010~"), count=2))
    assert [each.control_number for each in report.groups] == ["1", "2"]
    assert codes(report.groups[0].findings) == ["group.trailer-missing"]
