"""`gateway ledger seal`, `verify` and `proof` in a home that the demo made."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from gateway.cli.main import main, root

SCRIPT = Path(__file__).resolve().parents[3] / "docs" / "verify_evidence.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home with two nights of traffic."""
    place = tmp_path_factory.mktemp("demo") / "kept"
    done = CliRunner().invoke(root, ["demo", "--keep", str(place)])
    assert done.exit_code == 0, done.output
    return place / "home"


@pytest.fixture
def home(made, tmp_path):
    shutil.copytree(made, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def run(home, capsys):
    """Runs `gateway ledger …` as a shell would: exit code, stdout, stderr."""

    def running(*words):
        with pytest.raises(SystemExit) as ended:
            main(["--home", str(home), "ledger", *words])
        said = capsys.readouterr()
        return SimpleNamespace(exit_code=ended.value.code, stdout=said.out, stderr=said.err)

    return running


def tampered(home, *statements):
    connection = sqlite3.connect(home / "ledger.db")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    for each in statements:
        connection.execute(each)
    connection.commit()
    connection.close()


def test_the_ledger_of_the_demo_is_as_recorded(run):
    assert run("verify").exit_code == 0
    done = run("verify", "--full", "--json")
    assert done.exit_code == 0, done.stdout
    told = json.loads(done.stdout)
    assert told["whole"] is True
    assert told["differences"] == []
    assert told["seals"] > 0
    assert told["events"] == told["size"] > 50
    assert told["contents"] > 10


def test_nobody_but_its_owner_reads_the_ledger_of_the_demo(made):
    assert [each.name for each in made.glob("ledger.db*") if each.stat().st_mode & 0o077] == []


def test_a_seal_goes_to_the_file_of_the_setting_or_to_another_and_json_says_which(run, home, tmp_path):
    before = (home / "seals.txt").read_text()
    done = run("seal")
    assert done.exit_code == 0
    assert (home / "seals.txt").read_text() == f"{before}\n{done.stdout.rstrip()}\n"
    told = json.loads(run("seal", "--json", "--file", str(tmp_path / "elsewhere.txt")).stdout)
    assert told["file"] == str(tmp_path / "elsewhere.txt")
    assert (tmp_path / "elsewhere.txt").read_text() == told["note"]
    assert told["size"] > 50


def test_what_was_changed_in_the_database_is_named_with_exit_code_65(run, home):
    tampered(home, "UPDATE exchange SET partner = 'evil' WHERE id = 3", "UPDATE event SET body = '{}' WHERE seq = 5")
    done = run("verify", "--full")
    assert done.exit_code == 65
    assert done.stdout.splitlines()[0] == "Event 5 is not what was recorded."
    assert "Exchange 3 is not what was recorded." in done.stdout
    assert "differences" in done.stderr


def test_a_key_that_was_taken_away_is_told_with_exit_code_65_and_the_auditors_own_still_checks(run, home):
    key = run("seal", "--key").stdout.strip()
    tampered(home, "DELETE FROM secret WHERE name = 'seal'")
    for words in (["verify"], ["verify", "--full"]):
        done = run(*words)
        assert done.exit_code == 65
        assert "cannot be checked: the key that signed them is not here" in done.stdout
        assert "No seal was checked" in done.stderr
    assert run("verify", "--full", "--key", key).exit_code == 0


def test_a_key_that_was_spoilt_in_the_database_keeps_nothing_else_from_being_looked_at(run, home):
    """One cell of the table of secrets ended the verification, with a forged exchange beside it."""
    tampered(home, "UPDATE secret SET token = x'00' WHERE name = 'seal'")
    tampered(home, "UPDATE exchange SET subject = 'forged' WHERE id = 3")
    done = run("verify", "--full")
    assert done.exit_code == 65
    assert "Exchange 3 is not what was recorded." in done.stdout
    assert "cannot be checked: the key that signed them is not here" in done.stdout


def test_an_auditor_checks_with_his_own_seals_and_key(run, home, tmp_path):
    key = run("seal", "--key").stdout.strip()
    seals = tmp_path / "auditor.txt"
    run("seal", "--file", str(seals))
    (tmp_path / "key.txt").write_text(key + "\n")
    for given in (key, str(tmp_path / "key.txt")):
        assert run("verify", "--full", "--seals", str(seals), "--key", given).exit_code == 0
    other = key.replace(key[-6:-2], "AAAA")
    assert run("verify", "--key", other).exit_code == 65
    assert "seal.invalid" in run("verify", "--key", other).stderr
    done = run("verify", "--seals", str(tmp_path / "nowhere.txt"))
    assert done.exit_code == 2
    assert "cannot be read" in done.stderr


def test_a_profile_that_was_changed_behind_the_ledgers_back_is_named(run, home):
    tampered(home, "UPDATE profile_revision SET profile = profile || ' ' WHERE partner = 'acme' AND revision = 1")
    done = run("verify")
    assert done.exit_code == 65
    assert "Revision 1 of the profile of acme is not what was applied." in done.stdout


def test_a_proof_is_written_once_and_a_script_of_its_own_checks_it(run, home, tmp_path):
    run("seal")
    target = tmp_path / "exchange-3.json"
    done = run("proof", "3", "--to", str(target))
    assert done.exit_code == 0, done.stderr
    words = [sys.executable, "-I", str(SCRIPT), str(target), "--seals", str(home / "seals.txt")]
    checked = subprocess.run(words, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "as they were sealed" in checked.stdout
    again = run("proof", "3", "--to", str(target))
    assert again.exit_code == 2
    assert run("proof", "999", "--to", str(tmp_path / "no.json")).exit_code == 2
    assert not (tmp_path / "no.json").exists()
