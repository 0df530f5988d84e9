"""The mail after a night: what needs a person, what was done, sent once, and never a reason to fail."""

import html
import re
from html.parser import HTMLParser

import pytest
from builders.stage import HOUR, WHEN, Stage, invoice, orders
from msgspec.structs import replace

from gateway.demo import documents
from gateway.errors import GatewayError, MailboxUnavailable, OutcomeUnknown, Refused, SmtpUnavailable
from gateway.flow.night_report import night_report, report
from gateway.flow.night_report_words import as_html, as_text
from gateway.flow.submit import submit
from gateway.ledger.states import MessageState
from gateway.settings import ReportSettings, SmtpSettings

OPS = ("ops@us.example", "boss@us.example")


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path)
    stage.settings = replace(stage.settings, report=ReportSettings(OPS, "always"))
    return stage


def night(stage):
    """One night and its mail; gives what went wrong with the mail."""
    summary = stage.run()
    return report(stage.context(), summary)


def mails(stage):
    return [each for each in stage.sent if each["X-Gateway-Alert"] is None and each["To"] == ", ".join(OPS)]


def forms(mail):
    """The text and the HTML of a mail, each decoded."""
    assert mail.get_content_type() == "multipart/alternative"
    text, page = mail.get_payload()
    assert (text.get_content_type(), page.get_content_type()) == ("text/plain", "text/html")
    return text.get_payload(decode=True).decode("utf-8"), page.get_payload(decode=True).decode("utf-8")


def row(stage):
    (found,) = [each for each in stage.rows("message") if each["kind"] == "report"]
    return found


class Strict(HTMLParser):
    """Every element that is opened is closed, in order; nothing is loaded from elsewhere."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.words = []

    def handle_starttag(self, tag, attrs):
        assert tag not in {"script", "img", "link", "iframe", "form", "a"}
        assert not any(name.startswith("on") or name in {"src", "href"} for name, _ in attrs)
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_a_good_night_is_told_where_that_is_wanted(stage):
    """What it did, step by step, by partner, in text and HTML, to all, once."""
    stage.mail(orders(1))
    submit(stage.context(), "acme", invoice())
    assert night(stage) == ()
    (mail,) = mails(stage)
    assert mail["Subject"] == "[Example Co] Night 1: all is well"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Auto-Response-Suppress"] == "All"
    text, page = forms(mail)
    for said in (text, html.unescape(re.sub(r"<[^>]+>", " ", page))):
        assert "all is well" in said
        assert re.search(r"1\s+documents delivered", said)
        for step in ("collect", "process", "deliver", "dispatch", "reconcile", "alert"):
            assert step in said
    assert re.search(r"^ +1 +1 +1 +0 +acme$", text, re.MULTILINE)
    parser = Strict()
    parser.feed(page)
    assert parser.open == []
    assert all(len(line) <= 75 for line in text.splitlines())


def test_the_mail_is_in_the_ledger_and_told_of(stage):
    """Its bytes, its state, and an event that says who got it."""
    night(stage)
    found = row(stage)
    assert found["state"] == MessageState.SENT
    assert stage.ledger.content(found["sha256"]) == stage.transport.sent[-1].raw
    assert "report-mailed" in stage.kinds()
    assert stage.transport.sent[-1].recipients == OPS


def test_what_needs_a_person_comes_first_with_its_next_command(stage):
    """The number, the state, why, and what to type."""
    stage.mail(orders(1), sender="stranger@x.example")
    night(stage)
    (mail,) = mails(stage)
    assert mail["Subject"] == "[Example Co] Night 1: 1 thing needs a person"
    text, page = forms(mail)
    for said in (text, page):
        assert said.index("Needs a person") < said.index("What it did")
        assert "gateway quarantine show 1" in said


def test_only_trouble_is_told_where_that_is_wanted(stage, monkeypatch):
    """A good night is silent; a host that was away, or something for a person, is told."""
    stage.settings = replace(stage.settings, report=ReportSettings(OPS, "trouble"))
    stage.mail(orders(1))
    assert night(stage) == ()
    assert mails(stage) == []
    assert not [each for each in stage.rows("message") if each["kind"] == "report"]

    def away(_):
        raise MailboxUnavailable(mailbox="orders", host="h", reason="down")

    with monkeypatch.context() as patch:
        patch.setattr(type(stage.mailbox), "session", away)
        stage.now += HOUR
        night(stage)
    (mail,) = mails(stage)
    assert mail["Subject"] == "[Example Co] Night 2: a host was away"
    text, page = forms(mail)
    for said in (text, page):
        assert "The mailbox orders at h cannot be read: down" in " ".join(said.split())
        assert "mailbox.unavailable" in said
        assert "The mail host is down or cannot be reached" in " ".join(said.split())


def test_without_addresses_there_is_no_mail(stage):
    """The table is not there, or empty."""
    stage.settings = replace(stage.settings, report=ReportSettings())
    assert night(stage) == ()
    assert mails(stage) == []


def test_what_partners_wrote_is_text_and_what_documents_hold_is_not_there(stage):
    """Names of files and senders are shown as they are; values of documents are not quoted."""
    evil = '<script>alert(1)</script>&"'
    stage.mail(b"ISA*nonsense", sender="x@x.example", subject=evil)
    broken = [each.replace("PO1*1", "PO1*CANARY*CANARY*CANARY") for each in documents.order("PO-1", WHEN)]
    stage.mail(orders(5, broken))
    night(stage)
    (mail,) = mails(stage)
    text, page = forms(mail)
    assert "<script>" not in page
    assert "CANARY" not in text + page
    assert "&lt;script&gt;" in page
    assert "\r" not in mail["Subject"]
    parser = Strict()
    parser.feed(page)
    assert parser.open == []


# ---------------------------------------------------------------- once, and never fatal


def failing(stage, fault):
    def answer(mail):
        if b"multipart/alternative" in mail.raw:
            raise fault

    stage.transport.answer = answer


def test_a_host_that_is_away_is_tried_again_after_the_next_night(stage):
    """The same bytes under the same Message-ID, and the night before the one after it."""
    fault = SmtpUnavailable(host="memory", reason="away")
    failing(stage, fault)
    assert night(stage) == (fault,)
    assert row(stage)["state"] == MessageState.QUEUED
    assert "report-not-mailed" in stage.kinds()
    kept = stage.ledger.content(row(stage)["sha256"])
    stage.transport.answer = lambda _: None
    stage.now += 24 * HOUR
    assert night(stage) == ()
    sent = [each.raw for each in stage.transport.sent if b"multipart/alternative" in each.raw]
    assert len(sent) == 2
    assert sent[0] == kept
    stage.now += 24 * HOUR
    night(stage)
    assert sum(b"multipart/alternative" in each.raw for each in stage.transport.sent) == 3


def test_a_host_that_is_away_for_long_is_asked_once_a_night_and_gets_every_mail_in_the_end(stage):
    """It may let us wait for minutes each time; what was not offered counts as not taken."""
    asked = []

    def answer(mail):
        if b"multipart/alternative" in mail.raw:
            asked.append(mail)
            raise SmtpUnavailable(host="memory", reason="away")

    stage.transport.answer = answer
    for _ in range(3):
        assert len(night(stage)) == 1
        stage.now += 24 * HOUR
    assert len(asked) == 3
    stage.transport.answer = None
    assert night(stage) == ()
    assert sum(b"multipart/alternative" in each.raw for each in stage.transport.sent) == 4


def test_a_mail_whose_outcome_nobody_knows_is_not_sent_again(stage):
    """Rather one report too few than two of one night."""
    failing(stage, OutcomeUnknown(host="memory"))
    (fault,) = night(stage)
    assert isinstance(fault, OutcomeUnknown)
    assert row(stage)["state"] == MessageState.SENT
    assert "report-in-doubt" in stage.kinds()


def test_a_process_that_ended_while_it_sent_leaves_no_second_mail(stage, monkeypatch):
    """The row was there, and nobody wrote down what became of it."""

    class Killed(BaseException):
        pass

    failing(stage, Killed())
    with pytest.raises(Killed):
        night(stage)
    assert row(stage)["state"] == MessageState.QUEUED
    stage.transport.answer = lambda _: None
    stage.now += 24 * HOUR
    night(stage)
    assert [each["state"] for each in stage.rows("message") if each["kind"] == "report"] == [MessageState.SENT] * 2
    assert [each["Subject"] for each in mails(stage)] == ["[Example Co] Night 2: all is well"]


def test_a_mail_that_is_refused_for_good_is_given_up(stage):
    """An address that the host never takes is said once a night, for that night's mail alone."""
    failing(stage, Refused(host="memory", recipient=OPS[0], reply="550 no such user"))
    (fault,) = night(stage)
    assert isinstance(fault, Refused)
    assert row(stage)["state"] == MessageState.DISCARDED
    stage.now += 24 * HOUR
    assert len(night(stage)) == 1


def test_no_host_and_no_defect_end_the_night(stage, monkeypatch):
    """Whatever goes wrong with the mail, it is said and no more."""
    stage.settings = replace(stage.settings, smtp=None)
    (fault,) = night(stage)
    assert fault.code == "configuration"
    monkeypatch.setattr("gateway.flow.night_report.as_html", lambda _: 1 / 0)
    stage.settings = replace(stage.settings, smtp=SmtpSettings(host="memory", sender="edi@us.example"))
    (fault,) = night(stage)
    assert isinstance(fault, GatewayError)
    assert fault.code == "unexpected"


def test_a_long_list_is_counted(stage):
    """Fifty things are told; of the rest their number."""
    for number in range(55):
        stage.mail(orders(number + 1), sender=f"s{number}@x.example")
    made = night_report(stage.context(), stage.run())
    assert made.subject == "[Example Co] Night 1: 55 things need a person"
    assert "and 5 more" in as_text(made)
    assert "and 5 more" in as_html(made)
    assert as_html(made).count("gateway quarantine show") == 50
