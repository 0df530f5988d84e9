"""What stands around interchanges: words are words, segments that no ISA opens are told, each with its place."""

from __future__ import annotations

import pytest
from builders.x12 import interchange, retold

from gateway.x12 import examine, leftovers
from gateway.x12.model import Separators, Status
from gateway.x12.sniff import holds_segments, what_instead

ONE, TWO = interchange(), interchange(number="000000002")
BROKEN = TWO.replace("ISA*", "IXA*", 1)


def left(text):
    """The leftovers of a text, as they stand in it, and their sentences."""
    data = text.encode("latin-1")
    found = list(leftovers(data, list(examine(data))))
    assert all(each.header is None and each.status is Status.REJECTED for each in found)
    return [data[each.start : each.end].decode("latin-1") for each in found], [
        finding.message for each in found for finding in each.findings
    ]


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        (BROKEN, "segments stand in it, and no ISA that can be read opens them"),
        (TWO[1:], "segments stand in it, and no ISA that can be read opens them"),
        (TWO[106:], "it begins with a set or group, without the ISA that should surround it"),
        (TWO[:60], "its ISA is cut short or damaged beyond recognition"),
        (TWO[2:60], "segments stand in it, and no ISA that can be read opens them"),
        ("IEA*1*000000002~", "no ISA segment stands in it"),
        (retold(BROKEN), "segments stand in it, and no ISA that can be read opens them"),
        ("UNB+UNOA:2+A+B+261102:2200+1'UNZ+1+1'", "it is EDIFACT"),
    ],
)
def test_segments_behind_an_iea_are_told_with_their_place(rest, words):
    """Whatever became of the ISA; blanks around them are not theirs."""
    (found,), (said,) = left(f"{ONE}\r\n {rest}\r\n\x1a")
    assert found == rest.strip()
    assert said == f"What stands after interchange 000000001 is no interchange: {words}."


def test_each_place_is_looked_at():
    found, said = left(BROKEN + ONE + "hello" + TWO + BROKEN + ONE + "bye")
    assert found == [BROKEN.strip()] * 2
    assert "before interchange 000000001 is" in said[0]
    assert "after interchange 000000002 and before interchange 000000001 is" in said[1]


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "\x1a\0\r\n",
        "hello there\n-- \nACME, Main Street 1",
        "If you are not MISA or ISA*, delete it.",
        "We got ST*850*0001, SE*2*0001 and (GE*1*1) from you.",
        "\nSE-114-36 Stockholm\nGE-12-30\nISA-12-3\n",
        "VISA*00*12, BEST*123*",
    ],
)
def test_words_around_interchanges_stay_words(rest):
    assert left(rest + "\n" + ONE + rest + "\n" + TWO + rest) == ([], [])


def test_what_follows_an_interchange_that_names_no_separators_is_its_own():
    """It was refused as a whole (TA1 004), and its segments with it."""
    text = ONE.replace("~", "*", 1)
    assert [each.ta1 for each in examine(text.encode())] == [("R", "004")]
    assert left(text) == ([], [])


def test_where_there_is_no_interchange_nothing_is_left_of_one():
    assert left(BROKEN) == ([], [])


@pytest.mark.parametrize("sign", "*|+\x1d\t")
def test_two_segments_in_any_separators_are_edi_and_one_in_those_that_are_in_use(sign):
    data = "GS*PO*A*B~ST*850*0001~".replace("*", sign).encode()
    assert holds_segments(data)
    assert not holds_segments(data[:10])
    assert holds_segments(data[:10], Separators(element=sign))
    assert "segments" in what_instead(data) or "begins with a set or group" in what_instead(data)
