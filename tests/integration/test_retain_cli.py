"""What is kept and what goes, as an operator types it, on a real home."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from builders.stage import ACME, GLOBEX, HOUR, Stage, acknowledgment, invoice, orders
from click.testing import CliRunner
from msgspec.structs import replace

from gateway.cli.main import root
from gateway.errors import ContentErased, ContentPutAway, MovedArchiveLost, NotAllowedNow, NotFound
from gateway.flow.submit import submit
from gateway.ledger.secrets import make_key
from partners.profile import read_profile
from partners.store import PartnerStore

pytestmark = pytest.mark.integration

DAY = 24 * HOUR
TOML = """
[gateway]
name = "Example Co"
domain = "us.example"
identities = ["ZZ:EXAMPLECO"]

[retention]
ledger = "400d"
payload = "400d"
move_to = "archives"
"""


@pytest.fixture
def home(tmp_path, migrated_file):
    """A home on SQLite with an order and an invoice of March 2019, and the newest ones of today."""
    stage = Stage(tmp_path)
    (tmp_path / "gateway.toml").write_text(TOML)
    make_key(tmp_path / "secret.key")
    PartnerStore(stage.engine).apply(
        [(read_profile(text), text, "") for text in (ACME, GLOBEX)], by="test", at=stage.now
    )
    stage.now = int(datetime(2019, 3, 5, tzinfo=UTC).timestamp() * 1000)
    for number in (1, 2):
        stage.mail(orders(2 * number - 1))
        submit(stage.context(), "acme", invoice(f"INV-{number}"))
        stage.run()
        stage.mail(acknowledgment(2 * number, number))
        stage.run()
        stage.now = int(datetime.now(UTC).timestamp() * 1000)
    yield stage
    while Stage.opened:
        Stage.opened.pop().dispose()


def gateway(stage, *words):
    """What a command prints on stdout, and how it ends."""
    result = CliRunner().invoke(root, ["--home", str(stage.directory), *words], standalone_mode=False, obj={})
    if result.exception is not None:
        raise result.exception
    return result.stdout, result.return_value


def test_from_a_plan_to_an_archive_and_back(home):
    told, code = gateway(home, "ledger", "retain", "--json")
    assert code == 0
    assert {line["types"] for line in json.loads(told)["goes"]} == {"850", "810", "997"}
    assert gateway(home, "ledger", "retain", "--dry-run")[0].count("400d") == 3
    assert len(home.rows("exchange")) == 8
    gateway(home, "ledger", "retain", "--apply")
    assert len(home.rows("exchange")) == 4
    (line,) = gateway(home, "ledger", "archive", "list", "--json")[0].splitlines()
    written = json.loads(line)
    assert written["exchanges"] == 4
    path = str(home.directory / "archives" / "ledger-2019-03.db")
    assert written["file"] == path
    assert gateway(home, "ledger", "archive", "verify", path)[1] == 0
    found = gateway(home, "ledger", "search", "type=850", "--archive", path, "--json")[0]
    assert [json.loads(row)["control_number"] for row in found.splitlines()] == ["000000001"]
    number = str(json.loads(found)["id"])
    assert "PO-1" in gateway(home, "ledger", "show", number, "--archive", path)[0]
    assert "BEG*00" in gateway(home, "ledger", "show", number, "--raw", "--archive", path)[0]
    rows = gateway(home, "ledger", "export", "--format", "jsonl", "--archive", path)[0].splitlines()
    assert len(rows) == 4
    volumes = gateway(home, "ledger", "report", "volumes", "on=2019-03", "--archive", path, "--json")[0]
    assert json.loads(volumes)["total"]["interchanges"] == 4
    assert "PO-1" in gateway(home, "ledger", "follow", "PO-1", "--archive", path)[0]
    gateway(home, "ledger", "query", "save", "orders", "type=850", "since=2019")
    back = gateway(home, "ledger", "archive", "restore", path, "@orders", "--why", "an audit", "--dry-run", "--json")
    assert json.loads(back[0])["exchanges"] == 1
    assert len(home.rows("exchange")) == 4
    back = gateway(home, "ledger", "archive", "restore", path, "type=850", "--why", "an audit", "--json")
    assert json.loads(back[0])["hold"] == 1
    assert len(home.rows("exchange")) == 5
    assert gateway(home, "ledger", "verify", "--full")[1] == 0
    assert "moved out" in gateway(home, "ledger", "archive", "list")[0]
    Path(path).chmod(0o600)
    os.truncate(path, 4_096)
    assert "not what was written" in gateway(home, "ledger", "archive", "list")[0]
    listed = json.loads(gateway(home, "ledger", "hold", "list", "--json")[0])
    assert listed["exchanges"] == [int(number)]


def test_whoever_looks_for_an_archive_that_is_lost_is_told_who_said_so(home):
    gateway(home, "ledger", "retain", "--apply")
    path = home.directory / "archives" / "ledger-2019-03.db"
    kept = path.rename(path.with_suffix(".away"))

    def state():
        return json.loads(gateway(home, "ledger", "archive", "list", "--json")[0])["lost"]

    assert state() is None
    why = ("--why", "the disk broke", "--by", "ann")
    assert "dry run" in gateway(home, "ledger", "archive", "lost", "1", *why, "--dry-run")[0]
    assert state() is None
    assert gateway(home, "ledger", "archive", "lost", "1", *why)[0].startswith("archive 1: ")
    assert gateway(home, "ledger", "archive", "lost", "1", *why)[0].startswith("archive 1: done before: ann said on")
    assert {key: state()[key] for key in ("by", "reason")} == {"by": "ann", "reason": "the disk broke"}
    assert gateway(home, "ledger", "archive", "list")[0].rstrip().endswith("lost")
    for words in (("search", "type=850"), ("show", "1")):
        with pytest.raises(MovedArchiveLost, match="ann said so on"):
            gateway(home, "ledger", *words, "--archive", str(path))
    told, code = gateway(home, "ledger", "archive", "verify", str(kept))
    assert (told.splitlines()[0], code) == (f"{kept} is what was written.", 0)
    assert "Of archive 1: ann said on" in told
    kept.rename(path)
    assert gateway(home, "ledger", "archive", "list")[0].rstrip().endswith("lost, and at its place again")
    result = CliRunner().invoke(
        root, ["--home", str(home.directory), "ledger", "search", "type=850", "--archive", str(path)], obj={}
    )
    assert "In this place was archive 1: ann said on" in result.stderr
    assert gateway(home, "ledger", "archive", "found", "1", "--why", "a copy", "--json")[0].count('"done": true') == 1
    assert state() is None


@pytest.mark.parametrize(("word", "said"), [("m99999", "no mail m99999"), ("99999", "no exchange 99999")])
def test_a_number_among_the_words_of_a_hold_is_an_exchange_or_mail(home, word, said):
    """As text it would be found nowhere, and nothing would be held."""
    with pytest.raises(NotFound, match=said):
        gateway(home, "ledger", "hold", "add", word, "--why", "x")
    gateway(home, "ledger", "hold", "add", "m1", "1", "--why", "x")
    held = json.loads(gateway(home, "ledger", "hold", "list", "--json")[0])
    assert (held["words"], held["exchanges"], held["messages"]) == ([], [1], [1])


def test_holds_are_made_listed_and_released(home):
    gateway(home, "ledger", "hold", "add", "partner=acme", "on=2019", "--why", "a dispute", "--by", "ann")
    (line,) = gateway(home, "ledger", "hold", "list", "--json")[0].splitlines()
    assert json.loads(line)["words"] == ["partner=acme", "on=2019"]
    told = json.loads(gateway(home, "ledger", "retain", "--json")[0])
    assert told == {"goes": [], "stays": {"it is held": 4}}
    gateway(home, "ledger", "hold", "release", "1", "--why", "settled")
    assert gateway(home, "ledger", "hold", "list", "--json")[0] == ""
    assert json.loads(gateway(home, "ledger", "hold", "list", "--all", "--json")[0])["because"] == "settled"
    assert len(json.loads(gateway(home, "ledger", "retain", "--json")[0])["goes"]) == 3


def test_bytes_are_encrypted_and_erased(home):
    with pytest.raises(NotAllowedNow, match=r"\[storage\] encrypt = true"):
        gateway(home, "ledger", "encrypt", "acme")
    secret = ACME.replace("identities", "storage = { encrypt = true }\nidentities")
    profile = home.directory / "acme.toml"
    profile.write_text(secret)
    gateway(home, "partner", "apply", str(profile))
    counted = json.loads(gateway(home, "ledger", "encrypt", "acme", "--dry-run", "--json")[0])["contents"]
    assert counted > 0
    assert json.loads(gateway(home, "ledger", "encrypt", "acme", "--json")[0])["contents"] == counted
    assert json.loads(gateway(home, "ledger", "encrypt", "acme", "--dry-run", "--json")[0])["contents"] == 0
    assert "BEG*00" in gateway(home, "ledger", "show", "2", "--raw")[0]
    dry = json.loads(
        gateway(home, "ledger", "forget-key", "acme", "--before", "2019-04", "--why", "law", "--dry-run", "--json")[0]
    )
    assert [month["period"] for month in dry["months"]] == ["2019-03"]
    assert "BEG*00" in gateway(home, "ledger", "show", "2", "--raw")[0]
    done = gateway(home, "ledger", "forget-key", "acme", "--before", "2019-04", "--why", "law", "--json")[0]
    assert json.loads(done)["erased"] == dry["months"][0]["contents"]
    with pytest.raises(ContentErased, match="the key of acme for 2019-03 was forgotten"):
        gateway(home, "ledger", "show", "2", "--raw")
    assert gateway(home, "ledger", "verify", "--full")[1] == 0


def test_what_was_put_away_says_so(home):
    home.settings = replace(home.settings)
    (home.directory / "gateway.toml").write_text(TOML.replace('ledger = "400d"', 'ledger = "90y"'))
    gateway(home, "ledger", "retain", "--apply")
    assert len(home.rows("exchange")) == 8
    with pytest.raises(ContentPutAway, match=r"by policy \(payload 400d\)"):
        gateway(home, "ledger", "show", "2", "--raw")
    assert "PO-1" in gateway(home, "ledger", "show", "2")[0]
