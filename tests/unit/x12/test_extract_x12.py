"""Business keys out of sets."""

from __future__ import annotations

import pytest
from builders.x12 import transaction_set

from gateway.x12 import DEFAULT_KEYS, ElementPath, Separators, default_keys, extract
from gateway.x12.guideline import standard

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
    ("terminator", "suffix"), [("~", "\r\n"), ("\n", ""), ("\r", ""), ("\r", "\n"), ("\x1c", "\n")]
)
def test_segments_may_end_in_a_line_end(terminator, suffix):
    """A terminator that is itself a blank ends a segment, whatever blanks stand after it."""
    text = TEXT.replace("\r\n", "").replace("~", terminator + suffix)
    marks = Separators("*", ">", terminator, "^")
    assert extract(text, marks, {"key": ElementPath.parse("CLM01")}) == {"key": ["A1", "A2"]}
    assert extract("CLM*first*1" + text, marks, {"key": ElementPath.parse("CLM01")})["key"][0] == "first"


@pytest.mark.parametrize(
    "text", ["", "BEG", "BEG3", "BEG00", "beg03", "BEG03-", "REF02[REF01]", "REF02[N101=PO]", "REF02[REF01=]"]
)
def test_a_path_of_another_form_is_refused_with_the_form(text):
    with pytest.raises(ValueError, match=r"BEG03|same segment"):
        ElementPath.parse(text)


def test_common_sets_have_their_keys():
    assert extract(transaction_set(), MARKS, DEFAULT_KEYS["850"]) == {"po": ["PO-1001"]}
    assert {"204", "210", "214", "810", "820", "835", "837", "850", "855", "856", "990"} <= set(DEFAULT_KEYS)


def segments(*lines: str) -> str:
    """Segments as the text of a set."""
    return "".join(f"{line}~" for line in lines)


def keys_of(set_id: str, *lines: str, version: str = "") -> dict[str, list[str]]:
    """What is extracted by default, without names that have no value."""
    found = extract(segments(f"ST*{set_id}*0001", *lines, "SE*9*0001"), MARKS, default_keys(set_id, version))
    return {name: values for name, values in found.items() if values}


def test_a_purchase_order_can_be_followed_by_its_number_from_the_order_to_the_payment():
    """850 → 855 → 856 → 810 → 820, and 860, 861, 940, 945, 824 beside them: the same name for the same number."""
    documents = {
        "850": ["BEG*00*SA*4711**20261102"],
        "860": ["BCH*04*SA*4711**20261102"],
        "855": ["BAK*00*AD*4711*20261102"],
        "856": ["BSN*00*SH-9*20261103*1200", "HL*1**S", "REF*BM*BOL-3", "HL*2*1*O", "PRF*4711"],
        "861": ["BRA*RC-1*20261104*00*1", "PRF*4711"],
        "810": ["BIG*20261104*INV-2*20261102*4711", "REF*SI*SH-9"],
        "820": ["BPR*C*1*C*ACH", "TRN*1*PAY-8", "RMR*IV*INV-2", "RMR*PO*4711"],
        "824": ["BGN*00*1*20261104", "OTI*TA*PO*4711"],
        "940": ["W05*N*D-1*4711"],
        "945": ["W06*J*D-1*20261103*SH-9**4711"],
        "875": ["G50*N*20261102*4711"],
        "880": ["G01*20261104*INV-2*20261102*4711"],
    }
    assert {set_id for set_id, lines in documents.items() if keys_of(set_id, *lines).get("po") != ["4711"]} == set()
    assert keys_of("810", *documents["810"])["invoice"] == keys_of("820", *documents["820"])["invoice"] == ["INV-2"]
    assert keys_of("856", *documents["856"])["shipment"] == keys_of("810", *documents["810"])["shipment"] == ["SH-9"]


def test_a_load_can_be_followed_by_its_shipment_id_from_the_tender_to_the_invoice():
    """204 → 990 → 214 → 210."""
    documents = {
        "204": ["B2**ABCD**LOAD-5**PP", "L11*4711*PO", "L11*BOL-3*BM", "OID*1*4712"],
        "990": ["B1*ABCD*LOAD-5*20261102*A"],
        "214": ["B10*PRO-1*LOAD-5*ABCD", "L11*BOL-3*BM"],
        "210": ["B3**INV-7*LOAD-5*PP", "N9*BM*BOL-3", "N9*PO*4711"],
        "211": ["BOL*ABCD*PP*LOAD-5"],
    }
    for set_id, lines in documents.items():
        assert keys_of(set_id, *lines)["shipment"] == ["LOAD-5"]
    assert keys_of("204", *documents["204"])["po"] == ["4711", "4712"]
    assert {keys_of(each, *documents[each])["bill_of_lading"][0] for each in ("204", "214", "210")} == {"BOL-3"}


def test_a_claim_can_be_followed_from_the_provider_to_the_payment():
    """837 → 277CA → 276/277 → 835."""
    guide = "005010X214"
    assert keys_of("837", "BHT*0019*00*B-1", "CLM*C-77*100")["claim"] == ["C-77"]
    assert keys_of("277", "BHT*0085*08*R", "TRN*2*C-77", "STC*A1", version=guide)["claim"] == ["C-77"]
    assert keys_of("276", "BHT*0010*13*R", "TRN*1*T-1", "REF*EJ*C-77")["claim"] == ["C-77"]
    assert keys_of("277", "TRN*2*T-1", "REF*EJ*C-77", version="005010X212") == {"trace": ["T-1"], "claim": ["C-77"]}
    assert keys_of("835", "TRN*1*EFT-1", "CLP*C-77*1*100*80") == {"check": ["EFT-1"], "claim": ["C-77"]}


def _segments_of(structure):
    for tag, _use, _times, *loop in structure:
        yield tag.partition("_")[0]
        for each in loop:
            yield from _segments_of(each)


def test_every_default_key_stands_where_some_version_of_its_set_has_such_an_element():
    """A path that no version has finds nothing, ever, and nobody would notice."""
    absent = {(set_id, name) for set_id, keys in DEFAULT_KEYS.items() for name in keys}
    asked = {version: standard._entry(version, "dictionary.json")["segments"] for version in ("004010", "005030")}
    for version, segments in asked.items():
        for set_id, name in sorted(absent):
            if set_id not in standard.catalog()["versions"][version]:
                continue
            paths = DEFAULT_KEYS[set_id][name]
            has = set(_segments_of(standard._entry(version, f"sets/{set_id}.json")))
            for path in (paths,) if isinstance(paths, ElementPath) else paths:
                if path.segment in has and path.element <= len(segments[path.segment]):
                    absent.discard((set_id, name))
    assert absent == set()


def test_an_answer_to_a_tender_names_its_numbers_in_the_segment_of_its_version():
    """N9 of a 990 became L11 after 004030."""
    for numbers in (["N9*PO*4711", "N9*BM*BOL-3"], ["L11*4711*PO", "L11*BOL-3*BM"]):
        assert keys_of("990", "B1*ABCD*LOAD-5*20261102*A", *numbers) == {
            "shipment": ["LOAD-5"], "po": ["4711"], "bill_of_lading": ["BOL-3"],
        }  # fmt: skip


def test_less_common_sets_have_their_keys_too():
    assert keys_of("303", "B1*ABCD*S-1", "Y5*BKG-1")["booking"] == ["BKG-1"]
    assert keys_of("180", "BGN*00*RET-1*20261102", "PRF*4711") == {"reference": ["RET-1"], "po": ["4711"]}
    assert keys_of("404", "ZC1*S-1", "N9*BM*BOL-1", "N7*ABCX*1234") == {
        "shipment": ["S-1"], "bill_of_lading": ["BOL-1"], "equipment": ["1234"],
    }  # fmt: skip
    assert keys_of("894", "G82*D*DEL-1*1*2*3*4*20261102**4711") == {"delivery": ["DEL-1"], "po": ["4711"]}
    assert keys_of("811", "BIG*20261104*INV-2*20261102*4711") == {"invoice": ["INV-2"], "po": ["4711"]}


def test_an_ocean_status_is_found_by_container_booking_and_bill():
    assert keys_of("315", "B4***VD*20261102*1200**MSKU*1234567", "N9*BN*BKG-1", "N9*BM*BOL-1") == {
        "equipment": ["1234567"], "booking": ["BKG-1"], "bill_of_lading": ["BOL-1"],
    }  # fmt: skip


def test_the_values_of_several_paths_come_once_each_the_first_path_first():
    text = segments("REF*PO*2", "BIG*20261104*I*20261102*1", "REF*PO*1", "REF*PO*3")
    assert extract(text, MARKS, default_keys("810"))["po"] == ["1", "2", "3"]


def test_a_set_that_nobody_knows_has_no_default_keys():
    assert default_keys("ZZZ") == {}
