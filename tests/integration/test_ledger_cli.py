"""``gateway ledger`` and ``gateway ack`` on a real ledger."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import click
import pytest
from builders import ledger_rows as make
from click.testing import CliRunner

import gateway.app
from gateway.cli.ack import command as ack
from gateway.cli.ledger import command as ledger
from gateway.cli.main import root
from gateway.errors import GatewayError, NotFound, QueryInvalid, UsageFault
from gateway.ledger import database, tables
from gateway.ledger.recording import Ledger
from gateway.settings.model import Limits
from partners.directory import Directory

pytestmark = pytest.mark.integration

START = make.START


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command against a ledger with two exchanges, a quarantined mail and an awaited acknowledgment."""
    engine = database.open_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    database.upgrade(engine)
    with database.writing(engine) as connection:
        for name, data in (("00", b"ISA*00*\xff~"), ("11", b"From: edi@acme.example\r\n")):
            make.insert(connection, tables.content, sha256=name * 32, size=len(data), at=START, bytes=data)
        order = make.exchange(connection, message=make.message(connection))
        make.business_key(connection, order, "po", "4711")
        invoice = make.exchange(
            connection, at=START + 1, direction="out", types="810", state="sent", partner="beta", subject="=1+1",
            message_id="<2@x>", control_number="000000018",
        )  # fmt: skip
        make.business_key(connection, invoice, "po", "4711")
        make.message(connection, state="quarantined", message_id="<q@unknown.example>", fault_code="sender.unknown")
        expected = {"exchange": invoice, "partner": "beta", "within": 1, "kind": "functional"}
        make.insert(connection, tables.expectation, due_at=START + 1, **expected)

    @contextmanager
    def open_app(home):
        assert home == tmp_path
        settings = SimpleNamespace(limits=Limits())
        yield SimpleNamespace(
            engine=engine,
            now=lambda: 0,
            ledger=Ledger(engine, lambda: 0, "ann"),
            settings=settings,
            directory=lambda: Directory([], []),
        )

    monkeypatch.setattr(gateway.app, "open_app", open_app)

    def running(command, *words):
        return CliRunner().invoke(command, words, obj={"home": tmp_path, "debug": False}, standalone_mode=False)

    yield running
    engine.dispose()


def told(result) -> str:
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_search_lists_exchanges_newest_first_and_then_mails(run):
    result = run(ledger, "search")
    lines = [line.split()[0] for line in told(result).splitlines() if line.strip()]
    assert [word for word in lines if word.isdigit() or word == "m2"] == ["2", "1", "m2"]


def test_words_and_options_say_the_same(run):
    by_words = run(ledger, "search", "partner=acme", "type=850", "--json")
    by_options = run(ledger, "search", "--partner", "acme", "--type", "850", "--json")
    assert told(by_words) == told(by_options)
    assert [json.loads(line)["id"] for line in told(by_words).splitlines()] == [1]


def test_a_quarantined_mail_is_found_by_its_message_id(run):
    (line,) = told(run(ledger, "search", "--message-id", "q@unknown.example", "--json")).splitlines()
    assert (json.loads(line)["record"], json.loads(line)["fault_code"]) == ("message", "sender.unknown")
    assert told(run(ledger, "show", "<q@unknown.example>")).startswith("Message m2: letter, quarantined")


def test_a_full_page_tells_how_to_go_on(run):
    first = run(ledger, "search", "direction=out", "--limit", "1")
    assert "There may be more: add before=1795312800001-2" in first.stderr
    second = run(ledger, "search", "--json", "--limit", "1", "before=1795312800001-2")
    assert [json.loads(line)["id"] for line in told(second).splitlines()] == [1]


def test_counts(run):
    assert told(run(ledger, "search", "--count")) == "2 exchanges\n1 mail\n"
    assert json.loads(told(run(ledger, "search", "po=4711", "--count", "--json"))) == {"exchanges": 2, "mails": 0}


def test_a_count_may_stop_at_a_number(run):
    assert told(run(ledger, "search", "--count", "--up-to", "1")) == "1+ exchanges\n1 mail\n"
    counted = json.loads(told(run(ledger, "search", "--count", "--up-to", "1", "--json")))
    assert counted == {"exchanges": 1, "mails": 1, "more": ["exchanges"]}
    assert told(run(ledger, "search", "--count", "--up-to", "2")) == "2 exchanges\n1 mail\n"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["-partner=acme"], [2]),
        (["-host=nowhere.example", "direction=in"], [1]),
        (["NOT", "direction=out"], [1]),
        (["type=850,810", "--sort", "oldest"], [1, 2]),
        (["--", "-state=sent"], [1]),
        (["--partner", "acme", "-overdue"], [1]),
        (["size=1k.."], [2, 1]),
    ],
)
def test_a_word_may_begin_with_a_minus(run, words, found):
    lines = told(run(ledger, "search", "--json", *words)).splitlines()
    assert [each["id"] for each in map(json.loads, lines) if each["record"] == "exchange"] == found


@pytest.mark.parametrize("word", ["--partnr=acme", "--overdu"])
def test_an_option_that_there_is_not_is_no_word(run, word):
    result = run(ledger, "search", word)
    assert isinstance(result.exception, click.NoSuchOption)
    assert "Did you mean" in result.exception.format_message()


def test_help_is_help_although_words_may_begin_with_a_minus(run):
    assert "Fields: partner direction" in told(run(ledger, "search", "-h"))


def test_a_full_page_in_another_order_tells_how_to_go_on(run):
    first = run(ledger, "search", "sort=partner", "--limit", "1", "--json")
    assert [json.loads(line)["id"] for line in told(first).splitlines()] == [1, 2]
    assert "There may be more: add before=acme-1\n" in first.stderr
    second = run(ledger, "search", "sort=partner", "--limit", "1", "--json", "before=acme-1")
    assert [json.loads(line)["id"] for line in told(second).splitlines()] == [2]


def test_more_mails_are_told_of_also_in_an_order_that_they_lack(run):
    result = run(ledger, "search", "--mails", "sort=file", "--limit", "1")
    assert (
        "There may be more mails: they are in order of time: write, without sort=file, --mails before=" in result.stderr
    )


def test_search_prints_csv_that_no_spreadsheet_computes(run):
    first = next(csv.DictReader(io.StringIO(told(run(ledger, "search", "--csv")), newline="")))
    assert first["subject"] == "'=1+1"


class _Terminal(io.TextIOWrapper):
    def isatty(self):
        return True


@pytest.fixture
def on_terminal(monkeypatch):
    """Runs a command whose standard output is a terminal, and gives what it wrote there."""

    def running(command, words, home):
        seen = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", _Terminal(seen, encoding="utf-8", newline=""))
        command.main(words, obj={"home": home, "debug": False}, standalone_mode=False)
        sys.stdout.flush()
        return seen.getvalue().decode()

    return running


HOSTILE = "\x1b[2J\x9b31m\u202egnp"  # clears the screen, colours, turns the direction


def test_a_partner_cannot_move_a_terminal_by_csv_json_or_raw_bytes(run, tmp_path, on_terminal):
    """Into a pipe all of it goes as it came, byte by byte."""
    with database.writing(database.open_engine(f"sqlite:///{tmp_path / 'ledger.db'}")) as connection:
        data = f"ISA*00*{HOSTILE}~\r\n\tGS~\r".encode()
        make.insert(connection, tables.content, sha256="22" * 32, size=len(data), at=START, bytes=data)
        number = make.exchange(connection, subject=HOSTILE, sha256="22" * 32, control_number="000000222")
    asked = ["search", "control=222", "--csv"]
    assert HOSTILE in told(run(ledger, *asked))
    assert run(ledger, "show", f"{number}", "--raw").stdout_bytes == data
    seen = on_terminal(ledger, asked, tmp_path)
    assert "[2J" in seen
    assert not set(seen) & set(HOSTILE + "\r") - set("[2J31mgnp")
    seen = on_terminal(ledger, ["search", "control=222", "--json"], tmp_path)
    assert seen.strip().isprintable()
    assert json.loads(seen)["subject"] == HOSTILE
    assert on_terminal(ledger, ["show", f"{number}", "--raw"], tmp_path) == "ISA*00* [2J 31m gnp~\n\tGS~ "


def test_nothing_found_is_said_on_stderr(run):
    result = run(ledger, "search", "partner=nobody")
    assert (told(result), result.stderr) == ("", "Nothing meets the query.\n")


def test_a_word_that_is_not_understood_is_a_fault_with_exit_code_2(run):
    result = run(ledger, "search", "partnr=acme")
    assert isinstance(result.exception, QueryInvalid)
    assert result.exception.exit_code == 2


@pytest.mark.parametrize("reference", ["1", "000000017", "1.orders@acme.example"])
def test_show_tells_the_story_whatever_a_person_types(run, reference):
    assert told(run(ledger, "show", reference)).startswith("Exchange 1: 850 from acme, accepted, delivered\n")


def test_show_names_the_others_where_a_reference_fits_several(run):
    result = run(ledger, "show", "4711")
    assert told(result).startswith("Exchange 2:")
    assert "4711 fits several, newest first: 2, 1" in result.stderr
    assert isinstance(run(ledger, "show", "4711", "--raw").exception, UsageFault)


def test_show_gives_raw_bytes_exactly(run):
    assert run(ledger, "show", "1", "--raw").stdout_bytes == b"ISA*00*\xff~"
    assert run(ledger, "show", "1", "--mail").stdout_bytes == b"From: edi@acme.example\r\n"
    assert run(ledger, "show", "m2", "--raw").stdout_bytes == b"From: edi@acme.example\r\n"


def test_show_gives_one_json_document(run):
    document = json.loads(told(run(ledger, "show", "1", "--json")))
    assert (document["id"], document["keys"]) == (1, [["po", "4711"]])


@pytest.mark.parametrize("reference", ["404", "m404", "nothing", "mm1", "m"])
def test_what_is_not_there_is_said(run, reference):
    assert isinstance(run(ledger, "show", reference).exception, NotFound)


def test_export_writes_everything_to_a_file_or_stdout(run, tmp_path):
    target = tmp_path / "out.csv"
    result = run(ledger, "export", "--format", "csv", "--to", str(target))
    assert (told(result), result.stderr) == ("", f"3 rows written to {target}\n")
    assert len(list(csv.DictReader(io.StringIO(target.read_bytes().decode(), newline="")))) == 3
    lines = told(run(ledger, "export", "--format", "jsonl", "partner=acme", "kind=document")).splitlines()
    assert [json.loads(line)["id"] for line in lines] == [1]
    assert len(told(run(ledger, "export", "--format", "jsonl", "limit=1", "kind=document")).splitlines()) == 1


def test_an_export_that_cannot_be_written_says_so_and_leaves_nothing(run, tmp_path):
    result = run(ledger, "export", "--format", "csv", "--to", str(tmp_path / "nowhere" / "out.csv"))
    assert isinstance(result.exception, UsageFault)
    assert "cannot be written: No such file" in str(result.exception)
    assert not (tmp_path / "nowhere").exists()


def test_an_export_goes_where_a_link_leads_and_into_a_pipe(run, tmp_path):
    """A file was put in the place of the link, or of the pipe, whose reader then waited for ever; so with /dev/null."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "latest.csv").symlink_to(tmp_path / "kept" / "all.csv")
    told(run(ledger, "export", "--format", "csv", "--to", str(tmp_path / "latest.csv")))
    assert (tmp_path / "latest.csv").is_symlink()
    assert [each.name for each in (tmp_path / "kept").iterdir()] == ["all.csv"]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        told(run(ledger, "export", "--format", "jsonl", "--to", str(pipe)))
        assert len(os.read(reader, 65_536).splitlines()) == 3
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_ack_lists_what_is_awaited_and_what_is_overdue(run):
    assert "997 or 999" in told(run(ack, "list"))
    (line,) = told(run(ack, "overdue", "--json")).splitlines()
    assert (json.loads(line)["partner"], json.loads(line)["exchange"], json.loads(line)["overdue"]) == ("beta", 2, True)
    result = run(ack, "overdue", "--partner", "acme")
    assert (told(result), result.stderr) == ("", "No acknowledgment is overdue.\n")


@pytest.mark.parametrize(
    "words", [["search", "a\udcff"], ["search", "subject=\udcff"], ["show", "\udcff"], ["show", ""]]
)
def test_bytes_that_are_no_text_on_the_command_line_are_a_fault_not_a_crash(run, words):
    assert isinstance(run(ledger, *words).exception, GatewayError)


def test_the_commands_are_reachable_from_the_root():
    for words in (["ledger", "search", "--help"], ["ledger", "export", "--help"], ["ack", "list", "--help"]):
        assert CliRunner().invoke(root, words).exit_code == 0
