"""Finding X12 in arbitrary bytes."""

from __future__ import annotations

import pytest
from builders.x12 import interchange, retold

from gateway.x12 import looks_like, sniff

X12 = interchange().encode()


@pytest.mark.parametrize(
    "before", [b"", b"\xef\xbb\xbf", b"\r\n\r\n", b"Dear all,\nVISA* and ISA*00* are words.\n", b"\0" * 500]
)
@pytest.mark.parametrize("data", [X12, retold(interchange()).encode(), X12.replace(b"SENDER         ", b"SENDER")])
def test_the_first_isa_is_found(before, data):
    assert sniff(before + data) == len(before)
    assert looks_like(before + data) == "x12"


@pytest.mark.parametrize(
    "data",
    [b"", b"ISA", b"ISA*00*", X12[:100], b"VISA" + b" " * 200, b"ISA" + b"-" * 200, b"ISA" + b"*" * 200, X12.lower()],
)
def test_what_is_no_isa_is_not_found(data):
    assert sniff(data) == -1
    assert looks_like(data) == ""


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"UNB+UNOC:3+A+B+260101:1200+1'", "edifact"),
        (b"\xef\xbb\xbfUNA:+.? '\r\nUNB+UNOC:3+A+B'", "edifact"),
        (interchange().encode("cp037"), "ebcdic-x12"),
        (b'<?xml version="1.0"?><order/>', "xml"),
        (b"  <Order xmlns='x'>", "xml"),
        (b"<nothing", ""),
        (b"plain words, UNB among them", ""),
    ],
)
def test_other_formats_are_named(data, kind):
    assert looks_like(data) == kind
