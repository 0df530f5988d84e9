"""The log: every line with its ids, in a form that machines and people read, and never what a document holds."""

import io
import json
import logging
import pickle
import re
import sys

import pytest
from builders.stage import ACME, WHEN, Stage, invoice, orders
from msgspec.structs import replace

from gateway.demo import documents
from gateway.errors import (
    DocumentInvalid,
    MailboxUnavailable,
    SettingsInvalid,
    SmtpUnavailable,
    TemporarilyRefused,
    unexpected,
)
from gateway.flow import log as module
from gateway.flow.log import logged, logging_to
from gateway.flow.night import night
from gateway.flow.submit import submit
from gateway.settings import LogSettings

CANARY = "CANARY7"


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def run(stage, level="debug", form="json"):
    """One night with a log; gives its lines."""
    out = io.StringIO()
    with logging_to(LogSettings(form, level), out) as log:
        stage.ledger.listener = log.heard
        summary = night(stage.context, log)
        log.batch_ended(summary)
    stage.ledger.listener = None
    return out.getvalue().splitlines()


def test_every_step_of_an_exchange_is_a_line_with_its_id(stage):
    """The lines of an exchange are its events, in their order, with the batch that they happened in."""
    stage.mail(orders(1))
    submit(stage.context(), "acme", invoice())
    before = len(stage.rows("event"))
    lines = [json.loads(line) for line in run(stage)]
    events = [each for each in stage.rows("event")[before:] if each["exchange"] is not None]
    told = [each for each in lines if "exchange" in each]
    assert [(each["what"], each["exchange"]) for each in told] == [(each["kind"], each["exchange"]) for each in events]
    assert {each["what"] for each in told} >= {"examined", "answered", "delivered", "sending", "sent"}
    assert {each["batch"] for each in lines} == {1}
    assert {each["partner"] for each in told} == {"acme"}
    assert {each["what"]: each["step"] for each in told}["delivered"] == "deliver"
    assert [each["what"] for each in lines if each["what"].startswith("batch")] == ["batch begun", "batch ended"]
    assert lines[-1]["count_mails_sent"] == 2
    for each in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", each["time"])
        assert each["level"] in {"debug", "info", "warning", "error"}


def test_nothing_that_a_document_a_mail_or_a_secret_holds_is_in_any_line(stage):
    """A mark that is everywhere in what came and went is in no line of the most talkative log."""
    profile = ACME + f'\n[agreement.mail]\nsubject = "{CANARY} {{control_number}}"\n'
    stage.profiles[0] = profile
    stage.settings = replace(stage.settings, name=f"Example {CANARY}")
    order = documents.order(f"PO-{CANARY}", WHEN)
    broken = [each.replace("PO1*1", f"PO1*{CANARY}*{CANARY}*{CANARY}") for each in order]
    stage.mail(orders(1, order), subject=f"order {CANARY}", body=f"please {CANARY}")
    stage.mail(orders(2, broken), subject=CANARY)  # rejected, and its findings quote the mark
    stage.mail(orders(3, order).replace(b"IEA*1", b"IEA*9"), subject=CANARY)
    stage.mail(orders(4, order), sender="stranger@x.example", subject=CANARY)  # quarantined
    stage.mail(b"ISA*" + CANARY.encode(), subject=CANARY)
    stage.mail(orders(1, documents.order(f"PO-OTHER-{CANARY}", WHEN)), subject=CANARY)  # a conflict
    outbox = stage.settings.outbox / "acme"
    outbox.mkdir(parents=True)
    (outbox / "good.edi").write_bytes(invoice(f"INV-{CANARY}"))
    (outbox / "bad.edi").write_bytes(b"ST*810*0001~BIG*" + CANARY.encode() * 9 + b"~SE*3*0001~")
    (outbox / "none.edi").write_text(CANARY)

    def refuse(mail):
        raise TemporarilyRefused(host="memory", reply=f"450 greylisted {CANARY}")

    stage.transport.answer = refuse
    lines = run(stage) + run(stage, form="text")
    kinds = {json.loads(line)["what"] for line in lines if line.startswith("{")}
    assert {"examined", "quarantined", "conflict", "trouble", "deferred"} <= kinds
    assert any('"verdict": "rejected"' in line and '"level": "warning"' in line for line in lines)
    assert any(CANARY in json.dumps(row, default=str) for row in stage.rows("event"))  # the ledger has it all
    assert [line for line in lines if CANARY in line] == []


def test_a_quieter_log_has_what_went_wrong_alone(stage):
    """From ``warning`` on: what did not work, with its code."""
    stage.mail(orders(1))
    stage.mail(orders(2), sender="stranger@x.example")
    lines = [json.loads(line) for line in run(stage, "warning")]
    assert {each["what"] for each in lines} == {"quarantined", "trouble"}
    assert {each["level"] for each in lines} == {"warning"}
    assert all(
        "message" in each and "fault" in each
        for each in lines
        if each["what"] == "quarantined" and "exchange" not in each
    )


def test_people_read_words():
    """Time, level, what, and the rest as names and values; one line, whatever a value holds."""
    out = io.StringIO()
    with logging_to(LogSettings(), out) as log:
        log.begin(7)
        log.say("sent", logging.INFO, exchange=34, where='mail box "a"', said="two\nlines \x1b[31m", nothing=None)
    first, second = out.getvalue().splitlines()
    assert first.endswith("INFO    batch begun batch=7")
    assert second.endswith('INFO    sent batch=7 exchange=34 where="mail box \\"a\\"" said="two lines  [31m"')


@pytest.mark.parametrize(
    ("fault", "level", "said"),
    [
        (MailboxUnavailable(mailbox="orders", host="h", reason="down"), "warning", True),
        (SmtpUnavailable(host="h", reason="down"), "warning", True),
        (DocumentInvalid(name="x", guideline="g", reason=CANARY), "warning", False),
        (unexpected("the step", ValueError(CANARY)), "error", False),
    ],
)
def test_trouble_has_a_code_and_a_side_and_words_where_they_are_harmless(fault, level, said):
    """Hosts and settings are named; what a document holds is not."""
    out = io.StringIO()
    with logging_to(LogSettings("json"), out) as log:
        log.trouble(fault, "mailbox orders")
    found = json.loads(out.getvalue())
    assert (found["fault"], found["side"], found["where"]) == (fault.code, fault.side.value, "mailbox orders")
    assert found["level"] == level
    assert ("said" in found) == said
    assert CANARY not in out.getvalue()


def test_a_defect_is_logged_with_the_places_that_it_came_through_and_none_of_its_words():
    """Also after it went from one process to another."""
    out = io.StringIO()
    try:
        {}[CANARY]
    except KeyError as problem:
        fault = pickle.loads(pickle.dumps(unexpected("the step", problem)))
    with logging_to(LogSettings("json"), out) as log:
        log.trouble(fault, "submit")
    found = json.loads(out.getvalue())
    assert found["kind"] == "KeyError"
    assert re.fullmatch(r"unit/flow/test_log\.py:\d+ test_a_defect\w+", found["places"])
    assert CANARY not in out.getvalue()
    assert "Traceback (most recent call last)" in fault.behind.traceback


def test_long_values_are_shortened():
    """A host that answers with a novel does not fill the log."""
    out = io.StringIO()
    with logging_to(LogSettings("json"), out) as log:
        log.trouble(SmtpUnavailable(host="h", reason="x" * 9_000), "smtp")
    assert len(out.getvalue()) < 1_000


# ---------------------------------------------------------------- where it goes


def test_without_the_table_nothing_is_written(stage, capsys):
    """The log is there to be called, and says nothing."""
    with logging_to(None) as log:
        assert not log.on_stderr
        log.begin(1)
        log.trouble(SmtpUnavailable(host="h", reason="x"), "smtp")
    assert capsys.readouterr() == ("", "")


def test_a_file_may_be_moved_away(tmp_path):
    """After logrotate has moved it the next line goes into a new one."""
    file = tmp_path / "logs" / "gateway.log"
    with logging_to(LogSettings("json", "info", file)) as log:
        log.say("one")
        file.rename(file.with_suffix(".1"))
        log.say("two")
    assert json.loads(file.with_suffix(".1").read_text())["what"] == "one"
    assert json.loads(file.read_text())["what"] == "two"


def test_a_file_that_cannot_be_written_is_a_fault_of_the_settings(tmp_path):
    """It is told before the work begins."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsInvalid, match=r"log\.file"), logging_to(LogSettings(file=tmp_path / "file" / "x.log")):
        pass


def test_a_disk_that_fills_stops_nothing(tmp_path, capsys, monkeypatch):
    """A line that cannot be written is lost, and the night goes on."""
    with logging_to(LogSettings(file=tmp_path / "x.log")) as log:
        monkeypatch.setattr(logging.StreamHandler, "emit", lambda self, record: self.handleError(record))
        log.say("one")
    assert capsys.readouterr().err == ""


def test_the_journal_gets_priorities_and_no_time(monkeypatch):
    """systemd reads the number before a line; JSON keeps its time for machines."""
    monkeypatch.setattr(module, "_is_journal", lambda _: True)
    for form, wanted in (("text", "<4>WARNING overdue exchange=3"), ("json", '<4>{"time"')):
        err = io.StringIO()
        monkeypatch.setattr(sys, "stderr", err)
        with logging_to(LogSettings(form)) as log:
            assert log.on_stderr
            log.say("overdue", logging.WARNING, exchange=3)
        assert err.getvalue().startswith(wanted)


def test_the_journal_is_known_by_its_device(monkeypatch, tmp_path):
    """JOURNAL_STREAM names the stream that is the journal; a redirected one is not."""
    with (tmp_path / "x").open("w") as stream:
        import os

        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        assert module._is_journal(stream)
        monkeypatch.setenv("JOURNAL_STREAM", "1:2")
        assert not module._is_journal(stream)
    assert not module._is_journal(io.StringIO())


def test_a_fault_that_ends_a_command_is_a_line(tmp_path):
    """Before the ledger is open as well."""
    (tmp_path / "gateway.toml").write_text(
        '[gateway]\nname = "x"\ndomain = "x.example"\nidentities = ["ZZ:X"]\n[log]\nformat = "json"\nfile = "x.log"\n'
    )
    with pytest.raises(SmtpUnavailable), logged(tmp_path):
        raise SmtpUnavailable(host="h", reason="down")
    assert json.loads((tmp_path / "x.log").read_text())["fault"] == "smtp.unavailable"
    (tmp_path / "gateway.toml").write_text("broken")
    with logged(tmp_path) as log:
        log.say("nothing")


def test_an_event_is_told_once_it_is_durable_and_not_before(stage):
    """What was undone did not happen."""
    heard = []
    stage.ledger.listener = heard.extend

    def fail(recorder):
        recorder.event("sent", reply="x")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stage.ledger.write(fail)
    assert heard == []
    stage.ledger.record("sent", reply="x")
    assert [each["kind"] for each in heard] == ["sent"]
