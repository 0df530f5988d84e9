"""What is not X12 in ASCII: each has an outcome with a code, whatever stands beside it."""

from __future__ import annotations

import pytest
from builders.x12 import interchange

from gateway.x12 import Status, examine, interchange_acknowledgment, looks_like, sniff

EDIFACT = b"UNB+UNOC:3+SENDER+RECEIVER+261101:1200+1'UNH+1+ORDERS:D:96A:UN'UNT+2+1'UNZ+1+1'"
GOOD = interchange().encode()
UTF_8 = interchange().replace("EXAMPLE", "EX\u00c4MPLE").encode("utf-8")


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        (EDIFACT, "edifact", "it is EDIFACT"),
        (b"UNA:+.? '\r\n" + EDIFACT, "edifact", "it is EDIFACT"),
        (b"\xef\xbb\xbf" + EDIFACT, "edifact", "it is EDIFACT"),
        (GOOD.decode().encode("cp037"), "ebcdic-x12", "it is X12 in EBCDIC"),
        (GOOD.decode().encode("cp500"), "ebcdic-x12", "it is X12 in EBCDIC"),
        (GOOD.decode().encode("utf-16-le"), "", "it is X12 in UTF-16"),
        (GOOD.decode().encode("utf-16-be"), "", "it is X12 in UTF-16"),
        (GOOD.decode().encode("utf-16"), "", "it is X12 in UTF-16"),
        (GOOD.decode().encode("utf-32"), "", "no ISA segment stands in it"),
        (b"<?xml version='1.0'?><ISA/>", "xml", "it is XML"),
        (b"\0" * 5000, "", "there is nothing in it"),
    ],
)
def test_bytes_in_another_form_are_refused_with_a_code_and_their_name(data, kind, said):
    assert looks_like(data) == kind
    assert sniff(data) == -1
    (report,) = examine(data)
    (finding,) = report.findings
    assert report.header is None
    assert report.status is Status.REJECTED
    assert report.ta1 == ("R", "022")
    assert (finding.code, finding.x12) == ("interchange.not-found", "022")
    assert said in finding.message
    assert interchange_acknowledgment(report) == ("000000000", "000101", "0000", "R", "022")


@pytest.mark.parametrize("other", [EDIFACT, GOOD.decode().encode("cp037"), GOOD.decode().encode("utf-16-le")])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("chunk", [1 << 18, 50])
def test_an_interchange_beside_it_is_still_read(other, first, chunk):
    data = other + b"\r\n" + GOOD if first else GOOD + b"\r\n" + other
    (report,) = examine(data, chunk=chunk)
    assert report.header.control_number == "000000001"
    assert report.ta1 == ("A", "000")
    (finding,) = report.findings
    assert finding.code == f"interchange.text-{'before' if first else 'after'}"
    assert finding.offset == (0 if first else len(GOOD) + 2)


def test_utf_8_is_read_as_bytes_and_noted_at_its_place():
    """Offsets stay byte offsets; the standard's tables warn of characters that X12 does not know."""
    (report,) = examine(UTF_8)
    assert report.status is Status.ACCEPTED
    (finding,) = report.sets[0].findings
    assert (finding.code, finding.x12, finding.segment, finding.element) == ("element.characters", "6", "N1", 2)
    assert report.end == len(UTF_8)


def test_edifact_within_a_set_is_an_unknown_segment():
    text = interchange().replace("CTT*1~", "CTT*1~UNB+UNOC:3+SENDER~").encode()
    (report,) = examine(text)
    assert {each.x12 for each in report.sets[0].findings} >= {"1"}
    assert report.ta1 == ("A", "000")
