"""``gateway x12 generate``: samples that conform, and help where something is not known."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from gateway.cli.x12 import command
from gateway.x12 import ExaminePolicy, Level, Status, examine

GUIDELINE = """
name = "ACME 850"
base = "004010 850"

[elements."PO1.03"]
codes = ["EA", "CA"]

[elements."PO1.02"]
requirement = "required"

[elements."BEG.01"]
codes = ["05"]
"""


def run(*arguments):
    return CliRunner().invoke(command, ["generate", *map(str, arguments)], catch_exceptions=False)


@pytest.mark.parametrize(
    ("set_id", "options", "version", "set_version"),
    [
        ("850", ("--version", "004010"), "00401", "004010"),
        ("850", ("--version", "003040", "--fullness", "0.3"), "00304", "003040"),
        ("997", ("--version", "005010"), "00501", "005010"),
        ("856", ("--version", "005030", "--seed", "3"), "00501", "005030"),
        ("837", ("--version", "005010X222A1", "--seed", "5", "--fullness", "0.2"), "00501", "005010X222A1"),
        ("837", ("--version", "005010", "--guide", "005010X223A2"), "00501", "005010X223A2"),
        ("835", ("--version", "005010X221A1"), "00501", "005010X221A1"),
        ("270", ("--version", "004010X092A1"), "00401", "004010X092A1"),
    ],
)
def test_a_sample_conforms_strictly(set_id, options, version, set_version):
    result = run(set_id, *options)
    assert result.exit_code == 0, result.stderr
    (report,) = examine(result.stdout_bytes, ExaminePolicy(enforce_advisory=True))
    assert report.status is Status.ACCEPTED
    assert report.ta1 == ("A", "000")
    assert (report.header.version, report.header.usage) == (version, "T")
    (only,) = report.groups
    assert only.version == set_version
    assert not [each for each in only.sets[0].findings if each.level is Level.ERROR]


def test_st03_names_the_guide_where_the_guide_uses_it():
    assert b"ST*837*0001*005010X222A1~" in run("837", "--version", "005010X222A1").stdout_bytes
    assert b"ST*835*0001~" in run("835", "--version", "005010X221A1").stdout_bytes
    assert b"ST*850*0001~" in run("850", "--version", "005010").stdout_bytes


def without_time(result):
    return re.sub(rb"\*\d{6,8}\*\d{4}\*", b"", result.stdout_bytes)


def test_the_seed_decides_on_the_contents():
    one, again, other = (run("850", "--version", "004010", "--seed", seed) for seed in (1, 1, 2))
    assert without_time(one) == without_time(again)
    assert without_time(one) != without_time(other)


def test_several_sets_are_numbered_in_one_group():
    (report,) = examine(run("850", "--version", "004010", "--count", "3").stdout_bytes)
    assert [each.control_number for each in report.sets] == ["0001", "0002", "0003"]
    assert report.status is Status.ACCEPTED


def test_a_partner_guideline_from_a_file(tmp_path):
    path = tmp_path / "acme.toml"
    path.write_text(GUIDELINE)
    result = run("850", "--version", "004010", "--guide", path)
    assert result.exit_code == 0, result.stderr
    assert re.search(rb"\nPO1\*[^*]*\*\d+", result.stdout_bytes)
    assert b"BEG*05*" in result.stdout_bytes
    assert "speaks of the 850" in run("855", "--version", "004010", "--guide", path).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("85", "--version", "004010"), "Is it 8"),
        (("XYZ", "--version", "004010"), "no version knows a transaction set 'XYZ'."),
        (("850", "--version", "00410"), "Is it 004010"),
        (("837", "--version", "005010X22A1"), "Is it 005010X222A1"),
        (("850", "--version", "004010", "--guide", "005010"), "one of version 005010, not of 004010"),
        (("850", "--version", "004010", "--guide", "005010X222A1"), "the 850 is not known in '005010X222A1'"),
        (("850",), "Missing option '--version'"),
    ],
)
def test_what_is_not_known_is_said_with_what_is_near(arguments, said):
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in re.sub(r"\s+", " ", result.stderr)
    assert result.stdout_bytes == b""
