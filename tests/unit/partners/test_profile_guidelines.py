"""`gateway partner apply` takes guideline files over with the profile that names them, or says what is wrong."""

import pytest

from gateway.errors import GuidelineInvalid, ProfileInvalid
from gateway.flow.guideline_files import with_guideline_files
from partners.model import Status
from partners.profile import read_profile, with_status, write_profile

PATH = "guidelines/acme.toml"
TEXT = f"""key = "acme"
addresses = ["edi@acme.example"]
identities = ["ZZ:ACMERETAIL"]

[[agreement]]
direction = "in"
sets = ["850"]
guideline = "{PATH}"   # as settled in March
"""
GOOD = 'base = "004010 850"\n[elements."BEG.03"]\npattern = \'[^\\s"]+\'\n'


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "guidelines").mkdir()
    (tmp_path / PATH).write_text(GOOD)
    return tmp_path


def applied(text, directory):
    return with_guideline_files((read_profile(text, "acme.toml"), text, "acme.toml"), directory)


def test_a_copy_is_kept_with_the_profile_and_comments_stay(directory):
    partner, text, _ = applied(TEXT, directory)
    assert partner.guidelines == ((PATH, GOOD),)
    assert "# as settled in March" in text
    assert read_profile(text) == partner
    assert read_profile(with_status(text, Status.LIVE)).guidelines == partner.guidelines
    assert read_profile(write_profile(partner)) == partner


def test_the_copy_serves_where_the_file_is_gone(directory):
    partner, text, _ = applied(TEXT, directory)
    (directory / PATH).unlink()
    assert applied(text, directory)[0] == partner


def test_another_text_in_the_file_makes_another_profile(directory):
    before, _, _ = applied(TEXT, directory)
    (directory / PATH).write_text(GOOD + "longest = 9\n")
    assert applied(TEXT, directory)[0] != before


@pytest.mark.parametrize(
    ("change", "fault", "said"),
    [
        (lambda d: (d / PATH).unlink(), ProfileInvalid, r"line 8, key agreement\[0\]\.guideline: there is no file"),
        (lambda d: (d / PATH).write_text('base = "004010 810"'), ProfileInvalid, "is for 810, the agreement for 850"),
        (lambda d: (d / PATH).write_text("x = 1\n"), GuidelineInvalid, r"guidelines/acme\.toml, line 1, key base"),
        (lambda d: (d / PATH).write_bytes(b"# a\n\xff"), GuidelineInvalid, r"line 2, key \(file\): this is not UTF-8"),
    ],
)  # fmt: skip
def test_a_missing_or_faulty_file_is_refused_with_its_place(directory, change, fault, said):
    change(directory)
    with pytest.raises(fault, match=said):
        applied(TEXT, directory)


def test_a_copy_and_a_file_that_differ_are_refused(directory):
    _, text, _ = applied(TEXT, directory)
    (directory / PATH).write_text(GOOD + "longest = 9\n")
    with pytest.raises(ProfileInvalid, match="differs from the copy"):
        applied(text, directory)


@pytest.mark.parametrize("path", ["/etc/a.toml", "../a.toml", "a.txt", "a\\\\b.toml"])
def test_a_guideline_is_a_toml_file_below_the_directory_of_partners(path):
    with pytest.raises(ProfileInvalid, match="below the directory of partners"):
        read_profile(TEXT.replace(PATH, path))
