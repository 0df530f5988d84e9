"""`gateway partner check`, `checklist`, `spec`, `start --leave`, `end`: as a person or a script calls them."""

import json

import pytest
from builders.stage import ACME, Stage, orders

from gateway.cli.main import main
from gateway.ledger.database import open_engine

INIT = ("init", "--name", "Example Co", "--domain", "us.example", "--identity", "ZZ:EXAMPLECO")


@pytest.fixture
def run(tmp_path, capsys):
    def call(*words, wanted=0):
        with pytest.raises(SystemExit) as caught:
            main(["--home", str(tmp_path / "home"), *map(str, words)])
        out, err = capsys.readouterr()
        assert caught.value.code == wanted, out + err
        return out, err

    return call


@pytest.fixture
def home(tmp_path, run):
    """A home in which one order came under an identity that is nearly ACME's."""
    run(*INIT)
    (tmp_path / "acme.toml").write_text(ACME)
    run("partner", "apply", tmp_path / "acme.toml")
    engine = open_engine(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}")
    stage = Stage(tmp_path / "home", [ACME], engine=engine)
    stage.mail(orders(1, sender="01:ACMERETAIL"))
    stage.run()
    engine.dispose()
    return tmp_path / "home"


def test_check_ends_with_the_cause_and_the_next_command(home, run):
    # This home has neither mailbox nor SMTP host in its own settings: that is told first.
    out, _ = run("partner", "check", "acme", "--offline", wanted=65)
    assert "only the qualifier differs: 01 instead of ZZ" in out
    assert "Next: gateway doctor" in out
    assert "✓" not in out
    assert "✓ status: acme is live." in run("partner", "check", "acme", "--offline", "--all", wanted=65)[0]
    told = json.loads(run("partner", "check", "acme", "--offline", "--json", wanted=65)[0])
    assert told["wrong"] is True
    assert {"mailbox", "smtp", "identity"} <= {
        each["name"] for each in told["observations"] if each["state"] == "wrong"
    }
    run("partner", "check", "nobody", wanted=2)


def test_checklist_is_for_people_and_machines(home, run):
    out, _ = run("partner", "checklist", "acme", wanted=65)
    assert "✗ control numbers" in out
    assert "next: gateway partner start acme" in out
    told = json.loads(run("partner", "checklist", "acme", "--json", wanted=65)[0])
    assert told["ready"] is False
    assert {each["name"] for each in told["items"]} >= {"addresses", "numbers", "identity", "test-sent"}


def test_numbers_are_left_knowingly_once_and_never_together_with_numbers(home, run):
    assert "needs a reason" in run("partner", "start", "acme", "--leave", wanted=2)[1]
    run("partner", "start", "acme", "--leave", "--interchange", "7", "--why", "x", wanted=2)
    assert "dry run" in run("partner", "start", "acme", "--leave", "--why", "new", "--dry-run")[0]
    assert "stay as they are" in run("partner", "start", "acme", "--leave", "--why", "new", "--by", "anna")[0]
    assert "done before" in run("partner", "start", "acme", "--leave", "--why", "new")[0]
    assert "✓ control numbers: anna left them as they are: new." in run("partner", "checklist", "acme", wanted=65)[0]
    changes = run("ledger", "changes")[0]
    assert "knowingly left as they are: new" in changes


def test_the_specification_is_written_in_each_form(home, run, tmp_path):
    assert "EDI specification for ACME Retail" in run("partner", "spec", "acme")[0]
    assert run("partner", "spec", "acme", "--format", "html")[0].startswith("<!doctype html>")
    assert "--output" in run("partner", "spec", "acme", "--format", "pdf", wanted=2)[1]
    run("partner", "spec", "acme", "--output", tmp_path / "spec.pdf", "--paper", "a4")
    assert (tmp_path / "spec.pdf").read_bytes().startswith(b"%PDF")
    told = json.loads(run("partner", "spec", "acme", "--json")[0])
    assert told["title"] == "EDI specification"
    assert "cannot be written" in run("partner", "spec", "acme", "--output", tmp_path / "no" / "x.html", wanted=2)[1]


def test_who_was_live_before_goes_on_without_its_checklist_and_an_end_frees_its_claims(home, run, tmp_path):
    run("partner", "suspend", "acme", "--why", "holidays")
    assert "Missing: " in run("partner", "activate", "acme")[1]
    run("partner", "end", "acme", "--why", "merged", "--by", "anna")
    other = ACME.replace('key = "acme"', 'key = "acme-new"').replace('status = "live"\n', "")
    (tmp_path / "other.toml").write_text(other)
    run("partner", "apply", tmp_path / "other.toml")
    assert "not ready to be live" in run("partner", "activate", "acme-new", wanted=2)[1]
