"""gateway alert and gateway status, as a person or a script calls them."""

import json
import os
from contextlib import closing
from types import SimpleNamespace

import pytest

from gateway.app import open_app
from gateway.cli import worker
from gateway.cli.main import main
from gateway.errors import DatabaseUnavailable
from gateway.flow.log import logged
from gateway.flow.reporter import Tally
from gateway.jobs.schedule import Pacer

INIT = ("init", "--name", "Ours", "--domain", "edi.ours.example", "--identity", "ZZ:OURCO")


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch):
    """No secret and no home comes from outside."""
    for name in [each for each in os.environ if each.startswith(("GATEWAY_", "CREDENTIALS_DIRECTORY"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def run(tmp_path, capsys):
    def call(*words, wanted=0):
        with pytest.raises(SystemExit) as caught:
            main(["--home", str(tmp_path / "home"), *words])
        out, err = capsys.readouterr()
        assert caught.value.code == wanted, out + err
        return out, err

    return call


@pytest.fixture
def home(tmp_path, run):
    """A home with a rule, whose outbox holds something that cannot be sent."""
    run(*INIT)
    home = tmp_path / "home"
    script = tmp_path / "tell.sh"
    script.write_text(f"#!/bin/sh\ncat >> '{tmp_path}/heard'\necho >> '{tmp_path}/heard'\n")
    script.chmod(0o755)
    with (home / "gateway.toml").open("a") as file:
        file.write(f'\n[[alert]]\nname = "ticket"\ncommand = "{script} --queue hidden"\n')
    (home / "outbox").mkdir(exist_ok=True)
    (home / "outbox" / "stray.edi").write_text("no partner's")
    return home


def heard(tmp_path):
    return [json.loads(line) for line in (tmp_path / "heard").read_text().splitlines()]


def test_a_night_tells_and_status_and_list_say_who_was_told(home, run, tmp_path):
    run("night", "--quiet", wanted=65)
    (said,) = heard(tmp_path)
    assert [each["kind"] for each in said["alerts"]] == ["document refused"]
    out, _ = run("alert", "list")
    assert "document refused" in out
    assert f"told command {tmp_path}/tell.sh" in out
    assert "hidden" not in out
    listed = json.loads(run("alert", "list", "--json")[0])
    assert listed["id"] == said["alerts"][0]["id"]
    assert list(listed["told"]) == ["ticket"]
    status = json.loads(run("status", "--json")[0])
    assert status["attention"] == []


def test_status_says_what_the_last_batch_met_and_who_was_told(home, run):
    (home / "gateway.toml").write_text(
        (home / "gateway.toml").read_text().replace("[gateway]", "[gateway]\nlow_disk = 10000000")
    )
    run("night", "--quiet", wanted=65)
    out, _ = run("status")
    assert "disk: Only" in out
    assert "told command" in out
    kinds = [each["kind"] for each in json.loads(run("status", "--json")[0])["alerts"]]
    assert kinds == ["document refused", "disk"]


def test_one_alert_is_shown_muted_and_closed(home, run):
    run("night", "--quiet", wanted=65)
    out, _ = run("alert", "show", "1")
    assert "whose side  ours" in out
    assert "next  ls outbox/stray.edi" in out
    assert json.loads(run("alert", "show", "1", "--json")[0])["state"] == "told"
    run("alert", "mute", "1", "--why", "known", "--dry-run")
    assert json.loads(run("alert", "list", "--json")[0])["state"] == "told"
    assert "muted" in run("alert", "mute", "1", "--why", "known")[0]
    assert "done before" in run("alert", "mute", "1", "--why", "known")[0]
    run("alert", "close", "1", "--why", "done")
    assert "No alert is open." in run("alert", "list")[1]
    assert json.loads(run("alert", "list", "--all", "--json")[0])["state"] == "closed"
    assert "gateway ledger search" in run("alert", "show", "7", wanted=2)[1]


def test_a_test_goes_through_a_rule_at_once(home, run, tmp_path):
    out, _ = run("alert", "test", "ticket")
    assert out.startswith(f"ticket: told command {tmp_path}/tell.sh")
    assert json.loads(run("alert", "test", "ticket", "--json")[0])["rule"] == "ticket"
    assert [each["test"] for each in heard(tmp_path)] == [True, True]
    assert "There is no [[alert]] rule" in run("alert", "test", "nobody", wanted=2)[1]


def test_a_test_that_reaches_nobody_says_why(home, run, tmp_path):
    (tmp_path / "tell.sh").write_text("#!/bin/sh\necho no queue >&2\nexit 1\n")
    _, err = run("alert", "test", "ticket", wanted=69)
    assert "no queue" in err
    assert "alert.not-told" in err


def test_a_home_without_rules_lists_nothing(run, tmp_path):
    run(*INIT)
    assert "No alert is open." in run("alert", "list")[1]


def test_a_database_that_cannot_be_used_is_told_without_it_once_in_the_interval_and_recorded_later(home, run, tmp_path):
    from gateway.settings import read_settings

    database = tmp_path / read_settings(home).database_url.removeprefix("sqlite:///")
    kept = database.read_bytes()
    for each in database.parent.glob(f"{database.name}*"):
        each.unlink()
    database.write_bytes(b"this is no database" * 1000)
    for _ in range(2):
        run("night", "--quiet", wanted=69)
    (said,) = heard(tmp_path)
    assert [each["kind"] for each in said["alerts"]] == ["database"]
    assert "No batch runs meanwhile" in said["alerts"][0]["subject"]
    database.write_bytes(kept)
    run("night", "--quiet", wanted=65)
    assert not (home / ".told-without-ledger.json").exists()
    from gateway.ledger.tables import event

    with open_app(home) as app, app.ledger.reading() as connection:
        kinds = [row.kind for row in connection.execute(event.select())]
    assert "alert-told-without-ledger" in kinds


def test_a_worker_that_cannot_use_the_database_tells_without_it(home, run, tmp_path):
    with (home / "gateway.toml").open("a") as file:
        file.write('\n[database]\nurl = "postgresql://gateway@127.0.0.1:1/nothing"\n')
    for _ in range(2):
        run("worker", "--once", wanted=69)
    (said,) = heard(tmp_path)
    assert [each["kind"] for each in said["alerts"]] == ["database"]


def test_a_worker_that_runs_tells_of_a_database_that_stays_away_for_longer_than_a_lease(home, tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(worker.time, "monotonic", lambda: now[0])
    away = DatabaseUnavailable(reason="it is gone")
    with logged(home) as log, open_app(home) as app, closing(Pacer()) as pacer:
        works = worker._Worker(app, pacer, log, as_json=True)
        for _ in range(3):
            works._trouble("queue", away)
            works._trouble("collect", away)
            now[0] += 59
            works._trouble("queue", away)
            assert not (tmp_path / "heard").exists()
            works._do(SimpleNamespace(do=lambda *_: Tally()), "sweep", "")  # it was here again
            now[0] += 59
        works._trouble("queue", away)
        now[0] += 61
        works._trouble("queue", away)
    (said,) = heard(tmp_path)
    assert "No batch runs meanwhile" in said["alerts"][0]["subject"]
