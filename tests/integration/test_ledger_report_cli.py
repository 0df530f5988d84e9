"""``gateway ledger report`` on a home: tables, JSON, CSV, statements as files, and what is refused."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from builders import ledger_rows as make
from click.testing import CliRunner
from sqlalchemy import update

import gateway.app
from gateway.cli.ledger import command as ledger
from gateway.errors import QueryInvalid, UnknownPartner, UsageFault
from gateway.ledger import daily
from gateway.ledger.daily_tables import daily_count
from gateway.ledger.database import open_engine, reading, writing
from gateway.settings import parse_settings

pytestmark = [pytest.mark.integration, pytest.mark.unrecorded]

DAY = 86_400_000
OCTOBER = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp() * 1000)
NOW = int(datetime(2026, 11, 3, tzinfo=UTC).timestamp() * 1000)
EVIL = '=HYPERLINK("http://evil.example")'
HOME = """
[gateway]
name = "Example Co"
domain = "edi.example.com"
identities = ["ZZ:EXAMPLECO"]
"""
TARIFF = """
[tariff]
currency = "EUR"
per_kilocharacter_in = "0.50"
monthly_fee = 20
"""


@pytest.fixture
def home(tmp_path, migrated_file):
    (tmp_path / "gateway.toml").write_text(HOME)
    shutil.copy(migrated_file, tmp_path / "ledger.db")
    engine = open_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    with writing(engine) as connection:
        for place, partner in enumerate(["acme", "acme", "beta", EVIL, "../../etc/passwd"]):
            at = OCTOBER + place * DAY
            number = make.exchange(connection, partner=partner, at=at, size=1500)
            made = {**make.EXCHANGE, "partner": partner, "at": at, "size": 1500, "id": number}
            row = make.transaction_set(connection, number, make.group(connection, number))
            sets = [{"id": row, "exchange": number, "set_id": "850"}]
            daily.count_rows(connection, {"exchange": [made], "transaction_set": sets})
    yield tmp_path
    engine.dispose()


@pytest.fixture
def run(home, monkeypatch):
    opened = gateway.app.open_app
    monkeypatch.setattr(gateway.app, "open_app", lambda at, **options: opened(at, clock=lambda: NOW, **options))

    def running(*words):
        given = {"home": home, "debug": False}
        return CliRunner().invoke(ledger, ["report", *words], obj=given, standalone_mode=False)

    return running


def told(result) -> str:
    if result.exception is not None:
        raise result.exception
    return result.stdout


def lines(text):
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


# ---------------------------------------------------------------- reports


def test_volumes_as_table_json_and_csv(run):
    table = lines(told(run("volumes", "on=2026-10", "--zone", "UTC")))
    assert table[0] == "partner direction interchanges sets kilocharacters"
    assert "acme in 2 2 3.0" in table
    assert table[-1] == "total 5 5 7.5"
    found = json.loads(told(run("volumes", "--on", "2026-10", "--by", "day,type", "--zone", "UTC", "--json")))
    assert found["rows"][0] == {
        "day": "2026-10-01", "type": "850", "interchanges": 1, "sets": 1, "bytes": 1500, "kilocharacters": 1.5,
    }  # fmt: skip
    assert found["zone"] == "UTC"
    assert found["total"]["bytes"] == 7500
    rows = list(csv.DictReader(io.StringIO(told(run("volumes", "on=2026-10", "--by", "partner", "--csv")))))
    assert [each["partner"] for each in rows] == ["../../etc/passwd", "'" + EVIL, "acme", "beta"]
    assert rows[2]["bytes"] == "3000"


def test_nothing_in_a_time_is_said(run):
    result = run("volumes", "on=2020-01")
    assert told(result) == ""
    assert "There is nothing in that time." in result.stderr


def test_quality_and_its_errors(run, home):
    found = json.loads(told(run("quality", "on=2026-10", "--json")))
    assert [each["interchanges"]["acceptance"] for each in found["verdicts"]] == [1.0] * 4
    assert found["errors"] == []
    table = lines(told(run("quality", "on=2026-10", "partner=acme")))
    assert table[2].startswith("acme in 2 2 0 0 0 100.0 % 0.0 %")
    assert told(run("quality", "on=2026-10", "--errors", "--csv")).startswith("partner,direction,count,")
    assert told(run("quality", "on=2026-10", "--csv")).startswith("partner,direction,judged,")


def test_acknowledgments_tell_spans_in_words_and_in_milliseconds(run, home):
    engine = open_engine(f"sqlite:///{home / 'ledger.db'}")
    with writing(engine) as connection:
        make.exchange(
            connection, at=OCTOBER, direction="out", types="810", handed_over_at=OCTOBER, due_at=OCTOBER + DAY,
            acknowledged_at=OCTOBER + 7_500_000,
        )  # fmt: skip
    engine.dispose()
    assert "acme out 810 1 1 2 h 5 min 2 h 5 min 2 h 5 min 2 h 5 min 1 0 0 0 0 100.0 %" in lines(
        told(run("acknowledgments", "on=2026-10", "direction=out"))
    )
    (line,) = json.loads(told(run("acknowledgments", "on=2026-10", "direction=out", "--json")))["acknowledgments"]
    assert (line["p50"], line["on_time_share"]) == (7_500_000, 1.0)
    rows = csv.DictReader(io.StringIO(told(run("acknowledgments", "on=2026-10", "direction=out", "--csv"))))
    assert next(rows)["p95"] == "7500000"


def test_without_a_tariff_charges_say_how_to_write_one(run):
    result = run("charges", "on=2026-10", "--json")
    assert json.loads(told(result))["currency"] is None
    assert "[tariff]" in result.stderr


def test_charges_by_the_operators_rates(run, home):
    (home / "gateway.toml").write_text(HOME + TARIFF)
    result = run("charges", "on=2026-10", "--zone", "UTC")
    table = lines(told(result))
    assert "2026-10 acme 2 4 0 0 2.00 0.00 2.00" in table
    assert "2026-10 (monthly fee) 20.00" in table
    assert table[-1] == "2026-10 (all) 25.00 EUR"
    assert "[tariff]" not in result.stderr
    rows = list(csv.DictReader(io.StringIO(told(run("charges", "on=2026-10", "--csv", "--zone", "UTC")))))
    assert {each["currency"] for each in rows} == {"EUR"}
    assert sum(float(each["total"]) for each in rows) == 25


def test_one_partners_charges_are_no_total(run, home):
    """The monthly fee is everybody's: it is on nobody's line, and what is left out is not summed up."""
    (home / "gateway.toml").write_text(HOME + TARIFF)
    table = lines(told(run("charges", "on=2026-10", "partner=acme", "--zone", "UTC")))
    assert table[-1] == "2026-10 acme 2 4 0 0 2.00 0.00 2.00"
    assert json.loads(told(run("charges", "on=2026-10", "partner=acme", "--json")))["total"] is None
    assert isinstance(run("charges", "on=2026-10", "partner=nobody").exception, UnknownPartner)


@pytest.mark.parametrize(
    "words",
    [
        ("volumes", "colour=red"),
        ("volumes", "--by", "colour"),
        ("volumes", "on=2026-13"),
        ("quality", "partner=ac*"),
        ("acknowledgments", "--zone", "Mars/Olympus"),
        ("charges", "since=2026-10-02"),
    ],
)
def test_what_cannot_be_asked_is_refused(run, words):
    with pytest.raises(QueryInvalid):
        told(run(*words))


# ---------------------------------------------------------------- statements


def test_a_statement_is_written_whole(run, tmp_path):
    for name, begins in (("acme.html", b"<!doctype html>"), ("acme.pdf", b"%PDF")):
        target = tmp_path / name
        assert "written to" in run("statement", "acme", "--month", "2026-10", "--to", str(target)).stderr
        assert target.read_bytes().startswith(begins)
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_the_month_is_the_last_that_is_over_where_none_is_named(run):
    found = json.loads(told(run("statement", "acme", "--json", "--zone", "America/Chicago")))
    assert (found["month"], found["zone"], found["documents"]) == ("2026-10", "America/Chicago", 1)


def test_statements_of_everybody_go_into_one_directory_whatever_their_keys_are(run, tmp_path):
    told(run("statement", "--all", "--month", "2026-10", "--to", str(tmp_path / "all"), "--zone", "UTC"))
    assert sorted(each.name for each in (tmp_path / "all").iterdir()) == [
        "%3DHYPERLINK%28%22http%3A%2F%2Fevil.example%22%29-2026-10.html",
        "..%2F..%2Fetc%2Fpasswd-2026-10.html",
        "acme-2026-10.html",
        "beta-2026-10.html",
    ]


def test_charges_are_in_a_statement_where_there_is_a_tariff_and_they_are_wanted(run, home):
    (home / "gateway.toml").write_text(HOME + TARIFF)
    words = ("statement", "acme", "--month", "2026-10", "--zone", "UTC", "--json")
    assert json.loads(told(run(*words)))["charge"]["total"] == "2.00"
    assert json.loads(told(run(*words, "--without-charges")))["charge"] is None


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("acme",),
        ("acme", "--to", "acme.docx"),
        ("acme", "--all", "--to", "x"),
        ("--all", "--json"),
        ("acme", "--json", "--month", "2026"),
        ("acme", "--to", "/nowhere/at/all/acme.html", "--month", "2026-10"),
    ],
)
def test_what_makes_no_statement_is_refused(run, words):
    with pytest.raises(UsageFault):
        told(run("statement", *words))


def test_a_partner_that_nobody_knows_has_no_statement(run):
    with pytest.raises(UnknownPartner):
        told(run("statement", "nobody", "--month", "2026-10", "--json"))


# ---------------------------------------------------------------- recount


def test_recount_finds_what_differs_mends_it_and_is_recorded(run, home):
    engine = open_engine(f"sqlite:///{home / 'ledger.db'}")
    assert json.loads(told(run("recount", "--json"))) == {"differences": [], "rewritten": 0}
    with writing(engine) as connection:
        connection.execute(update(daily_count).where(daily_count.c.partner == "beta").values(interchanges=9))
    result = run("recount", "--dry-run")
    assert "2026-10, beta in document P 850: counted are 9 interchanges" in told(result)
    assert result.return_value == 1
    assert run("recount").return_value == 0
    assert run("recount", "--dry-run").return_value == 0
    with reading(engine) as connection:
        kinds = connection.exec_driver_sql("SELECT kind FROM event").scalars().all()
    assert "recounted" in kinds
    engine.dispose()


# ---------------------------------------------------------------- the page


def examples(kind):
    page = Path(__file__).resolve().parents[2] / "docs" / "reports.md"
    return re.findall(rf"```{kind}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_tariff_of_the_page_is_one(home):
    (tariff,) = examples("toml")
    uncommented = re.sub("^# ", "", tariff, flags=re.MULTILINE)
    found = parse_settings((HOME + uncommented).encode(), home=home).tariff
    assert (found.mailbox_fee, found.minimum, found.tiers[0].start) == (Decimal("12.50"), 1, 10_000)


def test_the_python_of_the_page_runs(home, capsys):
    (program,) = examples("python")
    now = "datetime(2026, 10, 20, tzinfo=UTC)"
    exec(program.replace("/srv/edi", str(home)).replace("datetime.now(UTC)", now), {})
    assert "acme in 1 1.5" in capsys.readouterr().out


def test_the_commands_of_the_page_run(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in examples("sh"):
        for line in block.splitlines():
            words = shlex.split(line)
            assert words[:3] == ["gateway", "ledger", "report"], line
            told(run(*words[3:]))
