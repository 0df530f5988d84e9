"""`gateway partner learn`: what it prints and writes, and what it refuses."""

import json
from pathlib import Path

import pytest

from gateway.cli.main import main

INIT = (
    "init",
    "--name",
    "Example Co",
    "--domain",
    "us.example",
    "--identity",
    "ZZ:EXAMPLECO",
    "--identity",
    "ZZ:EXAMPLEHEALTH",
)
SAMPLES = Path(__file__).parents[3] / "samples"
ORDER = str(SAMPLES / "interchanges" / "850_purchase_order.edi")


@pytest.fixture
def run(tmp_path, capsys):
    def call(*words, wanted=0):
        with pytest.raises(SystemExit) as caught:
            main(["--home", str(tmp_path / "home"), *map(str, words)])
        out, err = capsys.readouterr()
        assert caught.value.code == wanted, out + err
        return out, err

    call(*INIT)
    return call


def test_what_is_printed_can_be_applied(run, tmp_path):
    out, err = run("partner", "learn", ORDER, "--address", "edi@birch.example")
    assert "to check in birch: name" in err
    (tmp_path / "birch.toml").write_text(out)
    assert "added" in run("partner", "apply", tmp_path / "birch.toml")[0]


def test_several_partners_need_a_directory_and_get_a_table_and_start_values(run, tmp_path):
    everything = ("partner", "learn", SAMPLES / "interchanges")
    assert "--output-dir" in run(*everything, wanted=2)[1]
    out, _ = run(*everything, "--output-dir", tmp_path / "learned")
    assert "birchretail" in out
    assert "203/203" in out
    assert sorted(each.name for each in (tmp_path / "learned").iterdir()) == [
        "birchretail.toml",
        "mapleclinic.toml",
        "start.csv",
    ]
    run(*everything, "--output-dir", tmp_path / "learned")  # the same again is no harm
    (tmp_path / "learned" / "birchretail.toml").write_text("mine")
    assert "--force" in run(*everything, "--output-dir", tmp_path / "learned", wanted=2)[1]
    run(*everything, "--output-dir", tmp_path / "learned", "--force")
    run("partner", "apply", tmp_path / "learned")
    start = ("partner", "start", "--file", tmp_path / "learned" / "start.csv", "--last-used")
    assert "204" in run(*start)[0]


def test_apply_makes_a_draft_once(run):
    run("partner", "learn", SAMPLES / "mails" / "attachment.eml", "--apply", "--dry-run")
    assert "There are no partners" in run("partner", "list")[1]
    _, err = run("partner", "learn", SAMPLES / "mails" / "attachment.eml", "--apply")
    assert "Applied as draft: birchretail" in err
    run("partner", "learn", SAMPLES / "mails" / "attachment.eml", "--apply", wanted=2)


def test_machines_get_one_document(run, tmp_path):
    found = json.loads(run("partner", "learn", ORDER, "--json")[0])
    assert found["partners"][0]["identities"] == ["ZZ:BIRCHRETAIL"]
    assert found["applied"] == []
    assert "Choose one" in run("partner", "learn", ORDER, "--output", "a", "--output-dir", "b", wanted=2)[1]
    assert "--ours" in run("partner", "learn", ORDER, "--ours", "nonsense", wanted=2)[1]
    assert "written" not in run("partner", "learn", ORDER, "--output", tmp_path / "no" / "x.toml", wanted=2)[0]
