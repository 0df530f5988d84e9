"""Partner guidelines: TOML that tightens or loosens a guideline, and what is said of a faulty one."""

import re
from pathlib import Path

import pytest
from test_judge import CLAIM, NEW, OLD, PO

from gateway.errors import GuidelineInvalid
from gateway.x12 import examine
from gateway.x12.guideline import judge_for
from gateway.x12.guideline.partner import read_partner_guideline
from gateway.x12.model import ExaminePolicy, Level, SetPolicy, Status

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "guidelines.md").read_text()
BASE = 'name = "ACME 850"\nbase = "004010 850"\n'
GUIDE = 'base = "005010X222A1 837"\n'


def findings(toml, text, version="004010", marks=OLD):
    guideline = read_partner_guideline(toml)
    policy = ExaminePolicy(agreed=(SetPolicy((text[3:6],), guideline=guideline),))
    judge = judge_for(text[3:6], version, "", marks, policy)
    pieces = text.split("~")[:-1]
    assert judge.feed(pieces, 0, 0) == len(pieces)
    assert judge.name == guideline.name
    return [(each.code, each.x12, each.code_999, each.position) for each in judge.findings]


@pytest.mark.parametrize(
    ("change", "text", "expected"),
    [
        ('[segments."N1/N3"]\nrequirement = "not-used"', PO, [("segment.not-used", "2", "2", 6)]),
        ('[segments."/N1/N3"]\nrequirement = "not-used"', PO, [("segment.not-used", "2", "2", 6)]),
        ('[loops."N1"]\nrequirement = "not-used"', PO, [("segment.not-used", "2", "2", 5)]),
        ('[loops."PO1/PID"]\nrequirement = "required"', PO, [("loop.missing", "3", "3", 11)]),
        ("[loops.PO1]\nmaximum = 1", PO, [("loop.too-many", "4", "4", 10)]),
        ("[segments.REF]\nmaximum = 1", PO.replace("REF*DP*038~", "REF*DP*038~REF*DP*039~"),
         [("segment.too-many", "5", "5", 4)]),
        ('[segments.REF]\nconditions = ["R0304"]', PO, [("element.condition-missing", "2", "2", 3)]),
        ('[elements."REF.03"]\nrequirement = "required"', PO, [("element.missing", "1", "1", 3)]),
        ('[elements."REF.02"]\nrequirement = "not-used"', PO, [("element.not-used", "10", "10", 3)]),
        ('[elements."BEG.03"]\nlongest = 4', PO, [("element.too-long", "5", "5", 2)]),
        ('[elements."BEG.03"]\nshortest = 6', PO, [("element.too-short", "4", "4", 2)]),
        ('[elements."BEG.03"]\npattern = "PO[0-9]"', PO, [("element.pattern", "7", "7", 2)]),
        ('[elements."BEG.03"]\npattern = "PO[0-9]+"', PO, []),
        ('[elements."BEG.02"]\nremove_codes = ["NE"]', PO, [("element.code-unknown", "7", "7", 2)]),
        ('[elements."BEG.02"]\ncodes = ["SA"]', PO, [("element.code-unknown", "7", "7", 2)]),
        ('[elements."BEG.02"]\nadd_codes = ["QQ"]', PO.replace("*NE*", "*QQ*"), []),
        ('[elements."BEG.03"]\nlongest = 40', PO.replace("PO123", "P" * 40), []),
        ('[segments.BEG]\nrequirement = "optional"', PO.replace("BEG*00*NE*PO123**20240105~", ""), []),
        ('[loops.N1]\nmaximum = "unlimited"', PO.replace("PO1*1*", "N1*ST*X*92*12~" * 300 + "PO1*1*", 1), []),
        ("enforce = false\n[loops.PO1]\nmaximum = 1", PO, [("loop.too-many", "4", "4", 10)]),
    ],
)  # fmt: skip
def test_each_change_does_what_it_says(change, text, expected):
    assert findings(BASE + change, text) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ('[segments."2010AA/REF[EI]"]\nrequirement = "not-used"', [("segment.not-used", "2", "I4", 10)]),
        ('[segments."2010AA/REF[0B]"]\nrequirement = "required"', [("segment.missing", "3", "I8", 11)]),
        ('[elements."SV1.01-2"]\nshortest = 6', [("element.too-short", "4", "4", 21)]),
        ('[elements."SV1.01-2"]\npattern = "[A-Z].*"', [("element.pattern", "7", "I12", 21)]),
        ('[elements."DMG.03"]\nremove_codes = ["F"]', [("element.code-unknown", "7", "I6", 16)]),
        ('[loops."2010BB"]\nrequirement = "optional"', []),
    ],
)
def test_guides_can_be_changed_and_a_999_speaks_its_codes(change, expected):
    assert findings(GUIDE + change, CLAIM, "005010X222A1", NEW) == expected


@pytest.mark.parametrize(
    ("characters", "street", "expected"),
    [
        ("basic", "STREET 1", []),
        ("basic", "Street 1", [("element.characters", Level.ERROR)]),
        ("basic", "STREET #1", [("element.characters", Level.ERROR)]),
        ("extended", "Street #1", []),
        ("extended", "Stra\xdfe 1", [("element.characters", Level.ERROR)]),
        ("any", "Stra\xdfe 1", []),
        ("any", "Street\t1", [("element.characters", Level.ERROR)]),
        ("", "Stra\xdfe 1", [("element.characters", Level.WARNING)]),
    ],
)
def test_the_character_set_is_a_matter_of_agreement(characters, street, expected):
    said = f'characters = "{characters}"\n' if characters else ""
    guideline = read_partner_guideline(BASE + said)
    judge = judge_for("850", "004010", "", OLD, ExaminePolicy(guidelines={("850", "004010"): guideline}))
    judge.feed(PO.upper().replace("STREET 1", street).split("~")[:-1], 0, 0)
    assert [(each.code, each.level) for each in judge.findings] == expected


def test_findings_only_warn_where_the_file_does_not_enforce():
    guideline = read_partner_guideline(BASE + "enforce = false\n[loops.PO1]\nmaximum = 1")
    judge = judge_for("850", "004010", "", OLD, ExaminePolicy(guidelines={("850", "004010"): guideline}))
    judge.feed(PO.split("~")[:-1], 0, 0)
    assert [each.level for each in judge.findings] == [Level.WARNING]


@pytest.mark.parametrize(
    ("extra", "version", "name"),
    [
        ("", "004010", "ACME 850"),
        ("", "004010VICS", "ACME 850"),
        ("", "004020", "X12 004020 850"),
        ('versions = ["0040"]', "004020", "X12 004020 850"),
        ('versions = ["004020", "004010"]', "004020", "ACME 850"),
    ],
)
def test_it_judges_its_versions_and_no_others(extra, version, name):
    if extra == 'versions = ["0040"]':
        with pytest.raises(GuidelineInvalid, match=r"versions.0: '0040' is not a version"):
            read_partner_guideline(BASE + extra)
        return
    policy = ExaminePolicy(agreed=(SetPolicy(("*",), guideline=read_partner_guideline(BASE + extra)),))
    assert judge_for("850", version, "", OLD, policy).name == name
    assert judge_for("810", "004010", "", OLD, policy).name == "X12 004010 810"


@pytest.mark.parametrize(
    ("toml", "line", "key", "reason"),
    [
        ('name = "X"', 1, "base", "is missing"),
        ('base = "004010 999999"', 1, "base", "is not known"),
        ("base = ", 1, "(file)", "not TOML"),
        (BASE + "nam = 1", 3, "nam", "did you mean name?"),
        (BASE + 'name = ""'.replace("name", "enforce"), 3, "enforce", "true or false"),
        (BASE + 'characters = "all"', 3, "characters", "basic, extended, any"),
        (BASE + '[segments."N1/N33"]\nmaximum = 1', 3, 'segments."N1/N33"', "no such segment; there is N1/N3"),
        (BASE + "[segments.N3]\nmaximun = 1", 4, "segments.N3.maximun", "did you mean maximum?"),
        (BASE + "[segments.N3]\nmaximum = 0", 4, "segments.N3.maximum", "a number from 1"),
        (BASE + '[segments.N3]\nrequirement = "must"', 4, "segments.N3.requirement", "required, optional, not-used"),
        (BASE + '[segments."N1/N1"]\nmaximum = 2', 3, 'segments."N1/N1"', "begins a loop"),
        (BASE + "[segments.ST]\nmaximum = 2", 3, "segments.ST", "envelope"),
        (BASE + '[segments.N3]\nconditions = ["P0309"]', 3, "segments.N3", "has 2 elements"),
        (BASE + '[segments.N3]\nconditions = ["Q0102"]', 4, "segments.N3.conditions", "two digits"),
        (BASE + '[elements."N3.03"]\nlongest = 2', 3, 'elements."N3.03"', "has 2 elements"),
        (BASE + "[elements.N3]\nlongest = 2", 3, "elements.N3", "PO1.02"),
        (BASE + '[elements."N3.01-2"]\nlongest = 2', 3, 'elements."N3.01-2"', "no components"),
        (BASE + '[elements."N3.01"]\nshortest = 90', 3, 'elements."N3.01"', "above the longest 55"),
        (BASE + '[elements."N3.01"]\nadd_codes = ["A"]', 3, 'elements."N3.01"', "no list of codes"),
        (BASE + '[elements."BEG.01"]\nadd_codes = ["AAAA"]', 3, 'elements."BEG.01"', "2 to 2 characters"),
        (BASE + '[elements."BEG.01"]\nremove_codes = ["Q"]', 3, 'elements."BEG.01"', "cannot be removed"),
        (BASE + '[elements."BEG.01"]\ncodes = ["1"]\nremove_codes = ["1"]', 3, 'elements."BEG.01"', "no code is left"),
        (BASE + '[elements."BEG.01"]\npattern = "("', 4, 'elements."BEG.01".pattern', "not a regular expression"),
        (GUIDE + '[elements."SV1.01"]\nlongest = 2', 2, 'elements."SV1.01"', "composite"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_file_line_and_key(toml, line, key, reason):
    with pytest.raises(GuidelineInvalid) as caught:
        read_partner_guideline(toml, "acme.toml")
    assert f"acme.toml, line {line}, key {key}: " in str(caught.value)
    assert reason in str(caught.value)


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(GuidelineInvalid) as caught:
        read_partner_guideline(BASE + "[segments.QQ]\nmaximum = 1\n[segments.N3]\nmaximum = 0\n", "a.toml")
    assert re.findall(r"a\.toml, line (\d+)", str(caught.value)) == ["3", "6"]


def test_the_same_text_is_compiled_once():
    assert read_partner_guideline(BASE, "a.toml") is read_partner_guideline(BASE, "a.toml")


def test_every_example_on_the_page_can_be_read():
    examples = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert [read_partner_guideline(each).name for each in examples] == ["ACME 850"]


def interchange(*texts):
    isa = "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *240115*1023*U*00401*000000001*0*T*:~"
    groups = ""
    for number, (group, text) in enumerate(texts, 1):
        groups += f"GS*{group}*S*R*20240115*1023*{number}*X*004010~{text.replace(chr(10), '')}GE*1*{number}~"
    return f"{isa}{groups}IEA*{len(texts)}*000000001~".encode()


INVOICE = "ST*810*0002~BIG*20240105*1~IT1**1*EA*1~~TDS*1~SE*5*0002~"


def test_one_set_is_judged_strictly_and_another_is_not():
    data = interchange(("PO", PO.replace("CTT*2~", "CTT*2~~")), ("IN", INVOICE))
    policy = ExaminePolicy(agreed=(SetPolicy(("850",), reject_from=Level.WARNING), SetPolicy(("*",), ("004010",))))
    (report,) = examine(data, policy)
    assert [each.status for each in report.sets] == [Status.REJECTED, Status.ACCEPTED]
    assert {each.code for one in report.sets for each in one.findings} == {"segment.empty"}
