"""`gateway partner numbers` and `gateway partner expected`: what operators read and say about what did not come."""

import json

import pytest
from builders.stage import ACME, HOUR, Stage, acknowledgment, invoice, orders

from gateway.cli.main import main
from gateway.flow.submit import submit
from gateway.ledger.database import open_engine

INIT = ("init", "--name", "Example Co", "--domain", "us.example", "--identity", "ZZ:EXAMPLECO")
PROFILE = ACME + '\n[[expected]]\nsets = ["850"]\nby = "02:00"\n'


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
    """A home where interchanges 1, 2 and 5 came, and nothing on the night after."""
    run(*INIT)
    (tmp_path / "acme.toml").write_text(PROFILE)
    run("partner", "apply", str(tmp_path / "acme.toml"))
    engine = open_engine(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}")
    stage = Stage(tmp_path / "home", [PROFILE], engine=engine)
    for number in (1, 2, 5):
        stage.mail(orders(number))
    stage.run()
    stage.now += 30 * HOUR
    stage.run()
    engine.dispose()


def test_numbers_are_shown_with_what_is_missing(home, run):
    out, err = run("partner", "numbers", "acme")
    assert "interchange numbers 3 to 4 of ZZ:ACMERETAIL did not come" in out
    assert "gateway partner numbers close" in err
    told = json.loads(run("partner", "numbers", "show", "acme", "--json")[0])
    series = {each["level"]: each for each in told["series"]}
    assert (series["interchange"]["lowest"], series["interchange"]["highest"], series["interchange"]["came"]) == (
        1,
        5,
        3,
    )
    assert next((each["first"], each["last"], each["count"]) for each in told["findings"]) == (3, 4, 2)


def test_status_names_the_command_that_shows_them(home, run):
    attention = json.loads(run("status", "--json")[0])["attention"]
    assert {each["next"] for each in attention} >= {
        "gateway partner numbers show acme",
        "gateway partner expected show acme",
    }


def test_a_finding_is_closed_once_with_who_and_why(home, run):
    assert "dry run" in run("partner", "numbers", "close", "g1", "--why", "never sent", "--dry-run")[0]
    run("partner", "numbers", "close", "g1", "--why", "never sent", "--by", "anna")
    assert "done before" in run("partner", "numbers", "close", "1", "--why", "again")[0]
    assert "Nothing is missing." in run("partner", "numbers", "acme")[1]
    assert "anna: never sent" in run("partner", "numbers", "acme", "--all")[0]
    run("partner", "numbers", "close", "g77", "--why", "?", wanted=2)
    run("partner", "numbers", "close", "m1", "--why", "?", wanted=2)


def test_numbers_begin_anew_when_the_partner_says_so(home, run):
    assert "begin anew at 1" in run("partner", "numbers", "reset", "acme", "--from", "1", "--why", "new system")[0]
    assert "done before" in run("partner", "numbers", "reset", "acme", "--from", "1", "--why", "new system")[0]
    told = json.loads(run("partner", "numbers", "acme", "--json")[0])
    assert next(each for each in told["series"] if each["level"] == "interchange")["reason"] == "declared"
    run("partner", "numbers", "reset", "nobody", "--from", "1", "--why", "?", wanted=2)


def test_expected_files_are_shown_and_put_to_rest(home, run):
    out, _ = run("partner", "expected", "acme")
    assert "850 by 02:00 on working days" in out
    rows = [json.loads(line) for line in run("partner", "expected", "show", "acme", "--json")[0].splitlines()]
    assert [each["state"] for each in rows] == ["expected", "missed", "came"]
    missed = rows[1]["id"]
    run("partner", "expected", "settle", f"e{missed}", "--why", "no orders")
    assert "done before" in run("partner", "expected", "settle", f"e{missed}", "--why", "no orders")[0]
    rows = [json.loads(line) for line in run("partner", "expected", "acme", "--json")[0].splitlines()]
    assert [each["state"] for each in rows] == ["expected", "settled", "came"]


def test_acknowledgments_are_told_as_urgent_and_then_as_late_or_on_time(tmp_path, run):
    run(*INIT)
    engine = open_engine(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}")
    stage = Stage(tmp_path / "home", [ACME], engine=engine)
    for number in (1, 2):
        submit(stage.context(), "acme", invoice(f"INV-{number}"))
    stage.run()
    stage.mail(acknowledgment(1, 1))
    for _ in range(3):
        stage.now += 25 * HOUR
        stage.run()
    (awaited,) = [json.loads(line) for line in run("ack", "overdue", "--json")[0].splitlines()]
    assert (awaited["exchange"], awaited["urgent"]) == (2, True)
    assert "late, urgent" in run("ack", "list")[0]
    stage.mail(acknowledgment(2, 2))
    stage.run()
    engine.dispose()
    came = [json.loads(line) for line in run("ack", "list", "--answered", "--json")[0].splitlines()]
    assert [(each["exchange"], each["how"]) for each in came] == [(2, "2 d 3 h late"), (1, "1 h late")]
    assert "2 answered: 0 on time, 2 late." in run("ack", "list", "--answered")[1]
    assert run("ack", "list", "--answered", "--partner", "nobody")[1] == "Nothing was acknowledged yet.\n"


def test_a_partner_that_is_not_there_is_said(home, run):
    for what in ("numbers", "expected"):
        run("partner", what, "nobody", wanted=2)
