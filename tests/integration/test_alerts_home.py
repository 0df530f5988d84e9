"""A mail that tells of an alert goes out through real servers, is read by its reader, and one that returns is known."""

from __future__ import annotations

import email
import email.policy
import time

import pytest
from builders.stage import HOUR, Stage, orders
from msgspec.structs import replace

from gateway.ledger.attention import attention
from gateway.mail.model import Credentials
from gateway.mail.pop3 import Pop3Mailbox
from gateway.mail.smtp import SmtpTransport
from gateway.settings import AlertSettings

pytestmark = pytest.mark.integration


@pytest.fixture
def stage(tmp_path, dovecot, postfix):
    """A gateway whose own mailbox and SMTP host are real."""
    account = dovecot.account()
    made = Stage(tmp_path)
    made.settings = replace(made.settings, smtp=replace(made.settings.smtp, sender=account.name))
    made.transport = SmtpTransport(
        host=postfix.host, port=postfix.port, security="starttls", ca_file=str(postfix.ca_file), timeout=20.0
    )
    made.mailbox = Pop3Mailbox(
        name="orders", host=dovecot.host, port=dovecot.pop3_port, security="starttls", ca_file=str(dovecot.ca_file),
        credentials=Credentials(account.name, lambda: account.password), timeout=20.0,
    )  # fmt: skip
    account.deliver(_strange())
    yield made
    while Stage.opened:
        Stage.opened.pop().dispose()


def _strange():
    message = email.message.EmailMessage()
    message["From"], message["To"], message["Subject"] = "nobody@stranger.example", "edi@us.example", "strange"
    message["Message-ID"] = "<1@stranger.example>"
    message.set_content("see attachment")
    message.add_attachment(orders(1), maintype="application", subtype="EDI-X12", filename="a.edi")
    return message.as_bytes(policy=email.policy.SMTP)


def test_a_mail_arrives_whole_with_its_readable_text(stage, dovecot):
    reader = dovecot.account()
    stage.settings = replace(stage.settings, alerts=(AlertSettings("ops", to=(reader.name,)),))
    summary = stage.run()
    assert summary.counts["alerts told"] == 1
    deadline = time.monotonic() + 20
    while not reader.waiting() and time.monotonic() < deadline:
        time.sleep(0.1)
    (raw,) = reader.waiting()
    mail = email.message_from_bytes(raw)
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "gateway quarantine show" in mail.get_payload()


def test_a_mail_that_returns_is_shown_and_starts_no_circle(stage):
    stage.settings = replace(stage.settings, alerts=(AlertSettings("ops", to=("bounce@example.test",)),))
    stage.run()
    deadline = time.monotonic() + 20
    while "alert-returned" not in stage.kinds() and time.monotonic() < deadline:
        time.sleep(0.2)
        stage.run()
    with stage.ledger.reading() as connection:
        states = sorted(each.state for each in attention(connection))
    assert states == ["not told", "quarantined"]
    stage.now += 3 * HOUR
    stage.run()
    assert [row["kind"] for row in stage.rows("message")].count("alert") == 1
