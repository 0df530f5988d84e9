"""The judge of one transaction set: what conforms is accepted, each fault is called by its name and code."""

import pytest

from gateway.x12.guideline import UnknownJudge, hipaa, judge_for
from gateway.x12.guideline.sample import SampleMaker
from gateway.x12.model import ExaminePolicy, Level, Separators

OLD = Separators()
NEW = Separators(repetition="^")

PO = """ST*850*0001~
BEG*00*NE*PO123**20240105~
REF*DP*038~
DTM*002*20240229~
N1*BY*Acme*92*123~
N3*Street 1~
N4*Springfield*IL*62701~
PO1*1*10*EA*9.5**VP*ABC123~
PID*F****Widget~
PO1*2*12*EA*1.25**VP*ABC124~
CTT*2~
SE*12*0001~"""

CLAIM = """ST*837*0001*005010X222A1~
BHT*0019*00*244579*20240115*1023*CH~
NM1*41*2*PREMIER BILLING*****46*TGJ23~
PER*IC*JERRY*TE*3055552222~
NM1*40*2*KEY INSURANCE*****46*66783JJT~
HL*1**20*1~
NM1*85*2*KILDARE CLINIC*****XX*9876543210~
N3*234 SEAWAY ST~
N4*MIAMI*FL*331110000~
REF*EI*587654321~
HL*2*1*22*0~
SBR*P*18*2222******CI~
NM1*IL*1*SMITH*JANE****MI*JS00111223333~
N3*236 N MAIN ST~
N4*MIAMI*FL*33413~
DMG*D8*19430501*F~
NM1*PR*2*KEY INSURANCE*****PI*999996666~
CLM*26463774*100***11:B:1*Y*A*Y*I~
HI*ABK:J0300*ABF:Z1159~
LX*1~
SV1*HC:99213*40*UN*1***1:2~
DTP*472*D8*20240103~
SE*23*0001~"""

REMITTANCE = """ST*835*0001~
BPR*I*80*C*ACH*CCP*01*999999992*DA*123456*1512345678**01*999988880*DA*98765*20240301~
TRN*1*12345*1512345678~
DTM*405*20240227~
N1*PR*INSURANCE COMPANY~
N3*100 MAIN~
N4*ORLANDO*FL*32801~
PER*BL*HELP*TE*8005551234~
N1*PE*CLINIC*XX*1234567893~
LX*1~
CLP*7722337*1*100*80*20*12*119932404007801~
NM1*QC*1*DOE*JOHN****MI*123456789~
SVC*HC:99211*100*80~
DTM*472*20240211~
CAS*PR*1*20~
SE*16*0001~"""


def judged(text, version="004010", marks=OLD, implementation="", **policy):
    pieces = text.split("~")[:-1]
    judge = judge_for(text[3:6], version, implementation, marks, ExaminePolicy(**policy))
    assert judge.feed(pieces, 0, 0) == len(pieces)
    return judge


def codes(judge):
    return [(each.code, each.x12, each.position) for each in judge.findings]


@pytest.mark.parametrize(
    ("text", "version", "name"),
    [
        (PO, "004010", "X12 004010 850"),
        (PO, "005010", "X12 005010 850"),
        (PO, "004010VICS", "X12 004010 850"),
        (CLAIM, "005010X222A1", "005010X222A1 837"),
        (CLAIM, "005010X222", "005010X222A1 837"),
        (REMITTANCE, "005010X221A1", "005010X221A1 835"),
    ],
)
def test_a_conforming_set_has_no_findings_and_says_who_judged(text, version, name):
    judge = judged(text, version, OLD if version.startswith("004") else NEW)
    assert judge.findings == []
    assert (judge.name, judge.known, judge.trusted, judge.ended) == (name, True, True, True)
    assert judge.count == text.count("~")
    assert judge.trailer == ["SE", str(judge.count), "0001"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("REF*DP*038~", "REF*DP*038~XYZ*1~", ("segment.unknown", "1", 4)),
        ("REF*DP*038~", "REF*DP*038~CLM*1~", ("segment.not-in-set", "6", 4)),
        ("BEG*00*NE*PO123**20240105~\n", "", ("segment.missing", "3", 2)),
        (
            "BEG*00*NE*PO123**20240105~\nREF*DP*038",
            "REF*DP*038~BEG*00*NE*PO123**20240105",
            ("segment.out-of-sequence", "7", 3),
        ),
        ("BEG*", "BEG*00*NE*PO1**20240105~BEG*", ("segment.too-many", "5", 3)),
        ("CTT*2~", "CTT*2~CTT*2~", ("loop.too-many", "4", 12)),
        ("CTT*2~", "CTT*2~PID*F****Widget~", ("segment.out-of-sequence", "7", 12)),
        ("BEG*00*NE", "BEG*00*", ("element.missing", "1", 2)),
        ("BEG*00*NE", "BEG*99*NE", ("element.code-unknown", "7", 2)),
        ("*PO123**", "*" + "P" * 23 + "**", ("element.too-long", "5", 2)),
        ("REF*DP*038", "REF*DP", ("element.condition-missing", "2", 3)),
        ("*20240229", "*20230229", ("element.date", "8", 4)),
        ("*20240229", "*20240229*2500", ("element.time", "9", 4)),
        ("*20240229", "*2024022", ("element.too-short", "4", 4)),
        ("N3*Street 1", "N3*Street 1*Floor 2*Room 3", ("element.too-many", "3", 6)),
        ("PO1*1*10", "PO1*1*TEN", ("element.type", "6", 8)),
        ("PO1*1*10*EA", "PO1*1**EA", ("element.condition-missing", "2", 8)),
        ("PO1*1*10*EA*9.5", "PO1*1*10*EA*1.2.3", ("element.type", "6", 8)),
        ("N3*Street 1", "N3*Street\t1", ("element.characters", "6", 6)),
        ("N3*Street 1", "N3*Street:1", ("element.component-too-many", "6", 6)),
    ],
)
def test_a_single_fault_gives_exactly_its_finding(old, new, expected):
    assert old in PO
    judge = judged(PO.replace(old, new, 1))
    assert codes(judge) == [expected]
    assert judge.findings[0].level is Level.ERROR


@pytest.mark.parametrize(
    ("old", "new", "code", "x12", "in_999"),
    [
        ("BHT*0019", "BHT*9999", "element.code-unknown", "7", "7"),
        ("BHT*0019*00", "BHT*0019*15", "element.code-unknown", "7", "I6"),
        ("CLM*26463774*100**", "CLM*26463774*100*X*", "element.not-used", "10", "I10"),
        ("CLM*26463774", "CLM*", "element.missing", "1", "1"),
        ("*11:B:1*", "*11:B:1:2*", "element.component-too-many", "13", "13"),
        ("HI*ABK:J0300", "HI*ABK:J0300^ABK:1", "element.repetition", "12", "12"),
        ("D8*20240103", "D8*20240231", "element.date", "8", "8"),
        ("D8*20240103", "RD8*20240103", "element.date", "8", "8"),
        ("SV1*HC", "SV1*XX", "element.code-unknown", "7", "7"),
        ("N4*MIAMI*FL*33413", "N4*MIAMI*QQ*33413", "element.code-unknown", "7", "7"),
        ("NM1*PR*2*KEY INSURANCE*****PI*999996666~\n", "", "loop.missing", "3", "I7"),
        ("REF*EI*587654321~\n", "", "segment.missing", "3", "I8"),
        ("REF*EI*58765", "REF*QQ*58765", "element.code-unknown", "7", "I6"),
    ],
)
def test_a_guide_speaks_in_the_codes_of_the_999(old, new, code, x12, in_999):
    assert old in CLAIM
    judge = judged(CLAIM.replace(old, new, 1), "005010X222A1", NEW)
    assert [(each.code, each.x12, each.code_999) for each in judge.findings] == [(code, x12, in_999)]


def test_a_finding_tells_where_what_and_why_in_a_sentence_for_the_partner():
    text = PO.replace("PO1*2*12", "PO1*2*TEN")
    finding = judged(text).findings[0]
    assert finding.message == "PO102 (Quantity Ordered), segment 10: 'TEN' is not a number."
    assert (finding.segment, finding.element, finding.data_element, finding.value) == ("PO1", 2, "330", "TEN")
    assert finding.loop == "PO1"
    assert finding.offset == text.index("PO1*2")


def test_offsets_count_from_the_start_of_the_stream_across_chunks():
    text = PO.replace("PO1*2*12", "PO1*2*TEN").replace("BEG*00", "BEG*QQ")
    pieces = text.split("~")[:-1]
    judge = judge_for("850", "004010", "", OLD, ExaminePolicy())
    assert judge.feed(["GE*1*1", *pieces[:5]], 1, 1000) == 6
    assert not judge.ended
    at = 1000 + sum(len(each) + 1 for each in pieces[:5])
    assert judge.feed(pieces[5:], 0, at) == len(pieces) - 5
    assert [each.offset - 1000 for each in judge.findings] == [text.index("BEG"), text.index("PO1*2")]
    assert [each.position for each in judge.findings] == [2, 10]


def test_the_size_of_the_chunks_changes_nothing():
    text = PO.replace("PO1*2*12", "PO1*2*TEN").replace("CTT*2~", "CTT*2~~QQ*1~")
    whole = judged(text).findings
    pieces = text.split("~")[:-1]
    judge, offset = judge_for("850", "004010", "", OLD, ExaminePolicy()), 0
    for piece in pieces:
        assert judge.feed([piece], 0, offset) == 1
        offset += len(piece) + 1
    assert judge.findings == whole
    assert len(whole) == 3


@pytest.mark.parametrize("header", ["ISA*00", "GS*PO", "ST*850*0002", "GE*1*1", "IEA*1*1"])
def test_it_stops_before_the_segment_of_another_envelope(header):
    pieces = [*PO.split("~")[:5], "\n" + header]
    judge = judge_for("850", "004010", "", OLD, ExaminePolicy())
    assert judge.feed(pieces, 0, 0) == 5
    assert (judge.ended, judge.count, judge.trailer) == (False, 5, [])


def test_it_stops_behind_its_own_trailer():
    pieces = [*PO.split("~")[:-1], "GE*1*1"]
    judge = judge_for("850", "004010", "", OLD, ExaminePolicy())
    assert judge.feed(pieces, 0, 0) == len(pieces) - 1
    assert judge.feed(pieces, len(pieces) - 1, 0) == len(pieces) - 1


def test_empty_segments_are_reported_once_and_not_counted():
    judge = judged(PO.replace("CTT*2~", "~\r\n~CTT*2~"))
    assert codes(judge) == [("segment.empty", "", 11)]
    assert judge.findings[0].level is Level.WARNING
    assert judge.count == 12


def test_a_second_claim_of_the_loop_starts_its_counts_afresh():
    loop = CLAIM[CLAIM.index("LX*1~") : CLAIM.index("SE*")]
    assert judged(CLAIM.replace(loop, loop + loop.replace("LX*1", "LX*2")), "005010X222A1", NEW).findings == []
    twice = CLAIM.replace("DTP*472*D8*20240103~", "DTP*472*D8*20240103~\nDTP*472*D8*20240103~")
    assert codes(judged(twice, "005010X222A1", NEW)) == [("segment.too-many", "5", 23)]


def test_a_loop_beyond_its_maximum_is_reported():
    claim = CLAIM[CLAIM.index("NM1*PR") : CLAIM.index("CLM*")]
    judge = judged(CLAIM.replace(claim, claim * 2), "005010X222A1", NEW)
    assert codes(judge) == [("loop.too-many", "4", 18)]


def test_advisory_versions_warn_unless_the_policy_enforces_them():
    text = PO.replace("PO1*1*10", "PO1*1*TEN")
    lenient = judged(text, "003060")
    assert not lenient.trusted
    assert {each.level for each in lenient.findings} == {Level.WARNING}
    strict = judged(text, "003060", enforce_advisory=True)
    assert strict.trusted
    assert Level.ERROR in {each.level for each in strict.findings}


def test_codes_taken_from_another_version_only_warn():
    judge = judged(PO.replace("BEG*00", "BEG*QQ"), "005010", NEW)
    assert [(each.code, each.level) for each in judge.findings] == [("element.code-unknown", Level.WARNING)]


def test_the_policy_chooses_another_guideline():
    judge = judged(CLAIM, "005010X222A1", NEW, guidelines={("837", "005010X222A1"): "X12 005010 837"})
    assert judge.name == "X12 005010 837"


def test_st03_chooses_the_guide_where_gs08_does_not():
    assert judged(CLAIM, "005010", NEW, implementation="005010X222A1").name == "005010X222A1 837"


def test_an_unknown_set_is_only_counted():
    judge = judge_for("999", "002001", "", OLD, ExaminePolicy())
    assert isinstance(judge, UnknownJudge)
    assert judge.feed(["ST*999*1", "\nQQ*1", "", "SE*3*1", "GE*1*1"], 0, 0) == 4
    assert (judge.known, judge.ended, judge.count, judge.findings) == (False, True, 3, [])
    assert judge.trailer == ["SE", "3", "1"]


def test_findings_are_capped_and_say_so():
    judge = judged(PO.replace("CTT*2~", "QQ*1~" * 1500 + "CTT*2~"))
    assert len(judge.findings) == 1001
    assert judge.findings[-1].code == "set.more-findings"
    assert judge.findings[-1].level is Level.ERROR


def test_an_error_behind_a_thousand_warnings_still_shows():
    warnings = "REF*ZZ*Ä~" * 1200
    judge = judged(PO.replace("CTT*2~", "CTT*TWO~").replace("REF*DP*038~", warnings))
    assert judge.findings[-1].level is Level.ERROR


def test_binary_data_may_contain_the_element_separator():
    text = "ST*841*0001~SPI*00~HL*1**35~SPI*00~BIN*5*a*b*c~SE*6*0001~"
    assert "element.too-many" not in {each.code for each in judged(text).findings}


def test_a_trace_tells_the_loop_of_each_segment():
    pieces = PO.split("~")[:-1]
    judge = judge_for("850", "004010", "", OLD, ExaminePolicy())
    judge.trace = []
    judge.feed(pieces, 0, 0)
    assert [(each.position, each.depth, each.loop) for each in judge.trace][3:9] == [
        (4, 0, ""),
        (5, 1, "N1"),
        (6, 1, "N1"),
        (7, 1, "N1"),
        (8, 1, "PO1"),
        (9, 2, "PID"),
    ]
    assert judge.trace[7].segment.elements[1].name == "Quantity Ordered"
    assert len(judge.trace) == 12


def test_many_numbers_in_a_broken_segment_cost_no_exponential_time():
    text = PO.replace("CTT*2~", "MEA" + "*1" * 60 + "~TDS" + "*1" * 4000 + "~CTT*2~")
    assert judged(text).ended


@pytest.mark.parametrize(("code", "chunk"), [("13", 1), ("11", 1), ("13", 9), ("11", 9)])
def test_bht02_chooses_between_the_guides_of_a_278(code, chunk):
    guideline = hipaa.load("278", "004010X094A1", code)
    segments = SampleMaker(guideline, OLD, 3).segments()
    segments[1] = "*".join([*segments[1].split("*")[:2], code, *segments[1].split("*")[3:]])
    judge = judge_for("278", "004010X094A1", "", OLD, ExaminePolicy())
    for start in range(0, len(segments), chunk):
        judge.feed(segments[start : start + chunk], 0, 0)
    assert judge.ended
    assert judge.guideline is guideline
    assert judge.findings == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("BH:A1:D8:20240229", []),
        ("BH:A1:D8:20240231", [("element.date", "8", 1, 4)]),
        ("BI:70:RD8:20240101-20240131", []),
        ("BI:70:RD8:20240101", [("element.date", "8", 1, 4)]),
        ("BH:A1:TM:2460", [("element.time", "9", 1, 4)]),
    ],
)
def test_the_format_named_in_a_composite_binds_the_date_beside_it(value, expected):
    judge = judged(CLAIM.replace("HI*ABK:J0300*ABF:Z1159", f"HI*{value}"), "005010", NEW)
    found = [(each.code, each.x12, each.element, each.component) for each in judge.findings if each.segment == "HI"]
    assert found == expected
