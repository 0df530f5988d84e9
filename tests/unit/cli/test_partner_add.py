"""`gateway partner add`: by options, and as a person at a terminal answers it."""

import os
import pty
import select
import sys
import time

import pytest

from gateway.cli.main import main
from partners.learning_draft import read_types
from partners.model import Direction

INIT = ("init", "--name", "Example Co", "--domain", "us.example", "--identity", "ZZ:EXAMPLECO")
ACME = ("--key", "acme", "--identity", "ZZ:ACMERETAIL", "--address", "edi@acme.example", "--types", "850:in, 810:out")


@pytest.fixture
def run(tmp_path, capsys):
    def call(*words, wanted=0):
        with pytest.raises(SystemExit) as caught:
            main(["--home", str(tmp_path / "home"), *words])
        out, err = capsys.readouterr()
        assert caught.value.code == wanted, out + err
        return out, err

    call(*INIT)
    return call


def test_options_make_a_draft_and_its_file_which_can_be_applied_again(run, tmp_path):
    out, err = run("partner", "add", *ACME, "--version", "004010")
    assert "acme is a draft now" in out
    assert "gateway partner checklist acme" in err
    assert "unchanged" in run("partner", "apply", str(tmp_path / "home" / "partners" / "acme.toml"))[0]
    assert "there already" in run("partner", "add", *ACME, wanted=2)[1]


def test_a_dry_run_prints_the_profile_and_changes_nothing(run, tmp_path):
    out, _ = run("partner", "add", *ACME, "--dry-run")
    assert 'sets = ["850"]' in out
    assert "There are no partners" in run("partner", "list")[1]
    assert not (tmp_path / "home" / "partners" / "acme.toml").exists()


def test_without_a_terminal_nothing_is_asked(run):
    assert "missing: --key, --identity, --address, --types" in run("partner", "add", wanted=2)[1]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("edi@acme.example", "nowhere", "is not a mail address"),
        ("850:in, 810:out", "850", "850:in,810:out"),
        ("ZZ:ACMERETAIL", "ACME", "is not an EDI identity"),
        ("acme", "Acme Co", "lower-case letters"),
    ],
)
def test_what_no_profile_may_have_is_refused_and_nothing_is_stored(run, old, new, said):
    words = [new if each == old else each for each in ACME]
    assert said in run("partner", "add", *words, wanted=2)[1]
    assert "There are no partners" in run("partner", "list")[1]


def test_our_own_identity_is_nobody_elses(run):
    words = ["ZZ:EXAMPLECO" if each == "ZZ:ACMERETAIL" else each for each in ACME]
    assert "our own settings" in run("partner", "add", *words, wanted=78)[1]


def test_types_are_read_however_they_are_written():
    assert read_types("850:in; 855=both") == (
        ("850", Direction.IN),
        ("855", Direction.IN),
        ("855", Direction.OUT),
    )
    with pytest.raises(ValueError, match="850:in,810:out"):
        read_types("850:up")


def test_a_person_at_a_terminal_is_asked_again_until_the_answer_is_one(run, tmp_path):
    words = [sys.executable, "-m", "gateway", "--home", str(tmp_path / "home"), "partner", "add"]
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, words)
    answers = ["Globex, Inc.", "", "nowhere", "edi@globex.example", "14:0700000000001", "850:in,810:out", "", "Jo"]
    said = ""
    for answer in answers:
        said += _heard(terminal)
        os.write(terminal, answer.encode() + b"\n")
    said += _heard(terminal)
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    assert status == 0, said
    assert "is not a mail address" in said
    assert "globex is a draft now" in said
    assert "14:0700000000001" in run("partner", "export", "globex")[0]


def _heard(terminal):
    """What is on the screen once a question waits for its answer, or the program has ended."""
    text, until = b"", time.monotonic() + 20
    while not text.rstrip().endswith(b":") and not text.endswith(b"]: ") and time.monotonic() < until:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                text += os.read(terminal, 4000)
            except OSError:
                break
    return text.decode()
