"""Start values of our control numbers: set, imported, never backwards unawares."""

from __future__ import annotations

import json

import pytest
from builders.stage import GLOBEX, Stage, invoice

from gateway.errors import ConfigurationFault, NotAllowedNow, UnknownPartner, UsageFault
from gateway.flow.start_numbers import Start, pairs, read_csv, start, start_numbers
from gateway.flow.submit import submit

TWO_PAIRS = """
key = "acme"
name = "ACME"
status = "live"
addresses = ["edi@acme.example"]
identities = ["ZZ:ACMERETAIL", "01:123456789"]
[[agreement]]
name = "invoices"
direction = "out"
sets = ["810"]
versions = ["004010"]
[[agreement]]
name = "asn"
direction = "out"
sets = ["856"]
versions = ["004010"]
[agreement.envelope]
partner_identity = "01:123456789"
"""


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def begin(stage, *starts, **options):
    return start_numbers(stage.context(), starts, actor="anna", **options)


def numbers(stage, name="INV-1"):
    exchange = submit(stage.context(), "acme", invoice(name)).exchanges[0]
    row = next(each for each in stage.rows("exchange") if each["id"] == exchange)
    group = next(each for each in stage.rows("functional_group") if each["exchange"] == exchange)
    return row["control_number"], group["control_number"]


def test_the_first_interchange_goes_on_from_where_the_van_left_off(stage):
    begin(stage, Start("acme", 4712, 9001), reason="moved from the VAN")
    assert numbers(stage) == ("000004712", "9001")
    assert numbers(stage, "INV-2") == ("000004713", "9002")
    events = [row for row in stage.rows("event") if row["kind"] == "numbers-started"]
    assert {(row["actor"], json.loads(str(row["body"]))["next"]) for row in events} == {("anna", 4712), ("anna", 9001)}


def test_a_count_never_goes_back_without_force_and_a_reason(stage):
    begin(stage, Start("acme", 100, 100))
    numbers(stage)
    with pytest.raises(NotAllowedNow, match="at 101: 50 may have been used"):
        begin(stage, Start("globex", 7), Start("acme", 50))
    assert {row["next"] for row in stage.rows("control_number")} == {101}  # all or none
    with pytest.raises(UsageFault, match="only with a reason"):
        begin(stage, Start("acme", 50), force=True)
    begin(stage, Start("acme", 50), force=True, reason="agreed with ACME")
    assert numbers(stage, "INV-2") == ("000000050", "101")


def test_the_same_start_again_changes_nothing(stage):
    begin(stage, Start("acme", 100, 7))
    before = stage.rows("event")
    assert [each.done for each in begin(stage, Start("acme", 100, 7))] == [False, False]
    assert stage.rows("event") == before


def test_a_dry_run_tells_and_changes_nothing(stage):
    (done,) = begin(stage, Start("acme", 100), dry_run=True)
    assert (done.before, done.next) == (1, 100)
    assert stage.rows("control_number") == []


def test_a_count_that_starts_at_the_last_number_wraps(stage):
    begin(stage, Start("acme", 999_999_999, 999_999_999))
    assert numbers(stage) == ("999999999", "999999999")
    assert numbers(stage, "INV-2") == ("000000001", "1")


def test_where_several_identity_pairs_are_used_the_right_one_must_be_named(tmp_path):
    stage = Stage(tmp_path, [TWO_PAIRS, GLOBEX])
    directory = stage.context().directory
    assert pairs(directory, directory.get("acme")) == [
        ("ZZ:EXAMPLECO", "ZZ:ACMERETAIL"),
        ("ZZ:EXAMPLECO", "01:123456789"),
    ]
    with pytest.raises(UsageFault, match="ZZ:EXAMPLECO to 01:123456789"):
        begin(stage, Start("acme", 5))
    begin(stage, Start("acme", 5, theirs="ZZ:ACMERETAIL"))
    assert numbers(stage)[0] == "000000005"


@pytest.mark.parametrize(
    ("wanted", "fault"),
    [
        (Start("nobody", 5), UnknownPartner),
        (Start("acme", 5, ours="ZZ:SOMEBODY"), UsageFault),
        (Start("acme", 5, theirs="ZZ:SOMEBODY"), UsageFault),
    ],
)
def test_strangers_have_no_count(stage, wanted, fault):
    with pytest.raises(fault):
        begin(stage, wanted)


def test_a_csv_names_many_with_the_last_numbers_that_were_used():
    text = "Partner; Interchange; Group\nacme; 000004711; 9000\nglobex; 999999999;\n"
    assert read_csv(text, last_used=True) == [Start("acme", 4712, 9001), Start("globex", 1, None)]
    assert read_csv("partner,group,theirs\nacme,7,ZZ:ACMERETAIL\n") == [Start("acme", None, 7, "", "ZZ:ACMERETAIL")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "first line"),
        ("partner,isa\nacme,7\n", "first line"),
        ("partner,interchange\n", "names no partner"),
        ("partner,interchange\nacme,0\n", "Line 2"),
        ("partner,interchange\nacme,5\nacme,1000000000\n", "Line 3"),
        ("partner,interchange\nacme,\n", "Line 2"),
        ("partner,interchange\nacme,7,8\n", "Line 2"),
        ("partner,interchange,ours\nacme,7,EXAMPLECO\n", "Line 2"),
    ],
)
def test_a_csv_that_cannot_be_read_names_its_line(text, words):
    with pytest.raises(UsageFault, match=words):
        read_csv(text)


@pytest.mark.parametrize("number", ["0", "-1", "1e3", "1000000000", "x", True])
def test_what_is_no_control_number_is_refused(number):
    with pytest.raises(ConfigurationFault):
        start("acme", number, None)
