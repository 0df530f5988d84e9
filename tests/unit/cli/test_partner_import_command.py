"""`gateway partner import` as a person calls it: what it prints, writes and ends with."""

import json
from pathlib import Path

import pytest

from gateway.cli.main import main

INIT = ("init", "--name", "Example Co", "--domain", "us.example", "--identity", "ZZ:EXAMPLECO")
SAMPLES = Path(__file__).parents[3] / "samples" / "import"


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


def test_a_table_is_imported_and_bad_rows_end_with_65(run, tmp_path):
    run("partner", "import", SAMPLES / "partners.csv", "--dry-run")
    assert "There are no partners" in run("partner", "list")[1]
    assert "3 added as drafts, 0 wrong" in run("partner", "import", SAMPLES / "partners.csv")[1]
    (tmp_path / "more.csv").write_text(
        "key,identities,addresses,types\nx,ZZ:X,nowhere,850:in\ny,ZZ:Y,y@y.example,850:in\n"
    )
    out, err = run("partner", "import", tmp_path / "more.csv", wanted=65)
    assert "column addresses" in out
    assert "1 added as drafts, 1 wrong" in err
    (tmp_path / "latin.csv").write_bytes(b"key,name\nx,M\xfcller\n")
    assert "UTF-8" in run("partner", "import", tmp_path / "latin.csv", wanted=2)[1]


def test_an_export_of_bots_is_imported_with_files_for_what_is_no_profile(run, tmp_path):
    index = SAMPLES / "botsindex.py"
    assert "--output-dir writes them" in run("partner", "import", "--from", "bots", index, "--dry-run")[1]
    _, err = run("partner", "import", "--from", "bots", index, "--output-dir", tmp_path / "out")
    assert "to check in birch-retail: identities" in err
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == [
        *("birch-retail.toml", "channels.toml", "start.csv"),
        "willow-freight.toml",
    ]
    run("partner", "start", "--file", tmp_path / "out" / "start.csv", "--last-used", "--why", "moved from Bots")
    (tmp_path / "out" / "start.csv").write_text("mine")
    again = ("partner", "import", "--from", "bots", index, "--output-dir", tmp_path / "out")
    assert "--force" in run(*again, wanted=2)[1]
    found = json.loads(run("partner", "import", "--from", "bots", index, "--json")[0])
    assert {each["change"] for each in found["rows"]} == {"unchanged", "left out"}


def test_a_file_that_was_begun_is_there_whole_or_not_at_all(run, tmp_path, monkeypatch):
    """The process dies while it writes: half a profile would be taken for one by whoever reads the directory next."""
    out = tmp_path / "out"
    words = ("partner", "import", "--from", "bots", SAMPLES / "botsindex.py", "--output-dir", out, "--force")
    write = Path.write_bytes

    def dying(path, data):
        write(path, data[:40])
        raise KeyboardInterrupt

    for before in (None, b"what was there before"):
        if before is not None:
            (out / "birch-retail.toml").write_bytes(before)
        monkeypatch.setattr(Path, "write_bytes", dying)
        run(*words, wanted=1)
        monkeypatch.setattr(Path, "write_bytes", write)
        assert {each.name: each.read_bytes() for each in out.iterdir()} == (
            {} if before is None else {"birch-retail.toml": before}
        )
