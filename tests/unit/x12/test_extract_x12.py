"""Business keys out of sets."""

from __future__ import annotations

import pytest
from builders.x12 import transaction_set

from gateway.x12 import DEFAULT_KEYS, ElementPath, Separators, extract

MARKS = Separators("*", ">", "~", "^")
TEXT = (
    "ST*837*0001~\r\nCLM*A1*100~\r\nREF*PO*77~REF*VN*88~XCLM*no~CLM*A2*5~CLM*A1*7~"
    "SV1*HC>99213>25*1~NTE*CLM*x^y~SE*9*0001~"
)


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("CLM01", ["A1", "A2"]),
        ("REF02[REF01=PO]", ["77"]),
        ("REF02", ["77", "88"]),
        ("SV101-2", ["99213"]),
        ("SV101", ["HC>99213>25"]),
        ("SV101-9", []),
        ("SV109", []),
        ("SV102[SV101-1=HC]", ["1"]),
        ("NTE02", ["x", "y"]),
        ("ZZZ01", []),
        ("ST02", ["0001"]),
    ],
)
def test_every_distinct_value_in_order(path, values):
    parsed = ElementPath.parse(path)
    assert str(parsed) == path
    assert extract(TEXT, MARKS, {"key": parsed}) == {"key": values}


@pytest.mark.parametrize(
    "text", ["", "BEG", "BEG3", "BEG00", "beg03", "BEG03-", "REF02[REF01]", "REF02[N101=PO]", "REF02[REF01=]"]
)
def test_a_path_of_another_form_is_refused_with_the_form(text):
    with pytest.raises(ValueError, match=r"BEG03|same segment"):
        ElementPath.parse(text)


def test_common_sets_have_their_keys():
    assert extract(transaction_set(), MARKS, DEFAULT_KEYS["850"]) == {"po": ["PO-1001"]}
    assert {"204", "210", "214", "810", "820", "835", "837", "850", "855", "856", "990"} <= set(DEFAULT_KEYS)
