"""``gateway ledger follow`` and ``gateway ledger changes`` in a real home with a night of traffic."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from gateway.cli.ledger import command as ledger
from gateway.cli.partner import command as partner
from gateway.demo.play import play
from gateway.errors import NotFound
from gateway.flow.reporter import Tally

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The demo's home, after its night and its morning."""
    place = tmp_path_factory.mktemp("demo")
    play(place, Tally(), lambda _: None)
    return place / "home"


@pytest.fixture
def run(home):
    def running(*words, command=ledger):
        result = CliRunner().invoke(command, words, obj={"home": home, "debug": False}, standalone_mode=False)
        if result.exception is not None:
            raise result.exception
        return result

    return running


def test_an_order_is_told_with_its_answers(run):
    lines = run("follow", "PO-1001").stdout.splitlines()
    assert lines[0] == "PO-1001 with acme: 5 documents, 850 → 855 → 810 → 856"
    assert "← 850  po PO-1001: accepted, delivered, exchange 1" in lines[2]
    assert lines[3].strip().startswith("└─ our 997 of ")
    assert any("→ 810  invoice INV-0001, po PO-1001: acknowledged, accepted" in line for line in lines)
    assert any("└─ the partner's 997 of" in line for line in lines)
    assert "duplicate of exchange 1, exchange 25" in lines[-1]


def test_a_name_narrows_and_the_other_forms_say_the_same(run):
    by_name = json.loads(run("follow", "po=PO-1001", "--json").stdout)
    whole = json.loads(run("follow", "PO-1001", "--json").stdout)
    assert [each["exchange"] for each in by_name["documents"]] == [each["exchange"] for each in whole["documents"]]
    table = run("follow", "PO-1001", "--table").stdout
    assert all(str(each["exchange"]) in table for each in whole["documents"])


def test_what_nobody_has_is_not_found(run):
    with pytest.raises(NotFound, match="no document with PO-404"):
        run("follow", "PO-404")
    with pytest.raises(NotFound, match="of globex"):
        run("follow", "PO-1001", "--partner", "globex")
    with pytest.raises(NotFound):
        run("follow", "x=y=z")


def test_changes_tell_who_and_what(run, home, tmp_path):
    before = run("changes", "--partner", "acme", "--json").stdout.splitlines()
    profile = tmp_path / "acme.toml"
    text = (home / "partners" / "acme.toml").read_text("utf-8")
    profile.write_text(text + "# looked at by the auditor\n", "utf-8")
    run("apply", str(profile), "--by", "ann", command=partner)
    assert len(run("changes", "--partner", "acme", "--json").stdout.splitlines()) == len(before), "it says the same"
    profile.write_text(text.replace('name = "', 'name = "The new ', 1), "utf-8")
    run("apply", str(profile), "--by", "ann", command=partner)
    newest = json.loads(run("changes", "--partner", "acme", "--json").stdout.splitlines()[0])
    assert (newest["kind"], newest["actor"], newest["body"]["revision"]) == ("profile-applied", "ann", 2)
    assert len(newest["body"]["sha256"]) == 64
    assert "profile of acme changed as revision 2 from acme.toml" in run("changes", "--partner", "acme").stdout


def test_changes_are_paged(run):
    first = run("changes", "--limit", "2", "--json")
    cursor = json.loads(first.stdout.splitlines()[-1])["seq"]
    assert f"add --before {cursor}" in first.stderr
    following = run("changes", "--limit", "2", "--before", str(cursor), "--json").stdout.splitlines()
    assert all(json.loads(each)["seq"] < cursor for each in following)


def test_the_night_recorded_its_settings(run):
    kinds = [json.loads(each)["kind"] for each in run("changes", "--json", "--limit", "99").stdout.splitlines()]
    assert kinds.count("settings-seen") == 1
    assert {"profile-applied", "secret-set"} <= set(kinds)
