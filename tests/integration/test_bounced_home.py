"""A document that the SMTP host takes and returns: out through Postfix or Exim, back by POP3, known as bounced."""

from __future__ import annotations

import time

import pytest
from builders.stage import ACME, Stage, invoice
from msgspec.structs import replace

from gateway.flow.submit import submit
from gateway.mail.model import Credentials
from gateway.mail.pop3 import Pop3Mailbox
from gateway.mail.smtp import SmtpTransport

pytestmark = pytest.mark.integration


@pytest.fixture
def stage(tmp_path):
    yield Stage(tmp_path, [ACME.replace('"edi@acme.example",', '"bounce@example.test", "edi@acme.example",')])
    while Stage.opened:
        Stage.opened.pop().dispose()


@pytest.mark.parametrize("verp", [False, True], ids=["plain", "verp"])
@pytest.mark.parametrize("server", ["postfix", "exim"])
def test_a_document_that_is_returned_is_known_as_bounced(stage, dovecot, request, server, verp):
    host, account = request.getfixturevalue(server), dovecot.account()
    stage.settings = replace(stage.settings, smtp=replace(stage.settings.smtp, sender=account.name, verp=verp))
    stage.transport = SmtpTransport(
        host=host.host, port=host.port, security="starttls", ca_file=str(host.ca_file), timeout=20.0
    )
    stage.mailbox = Pop3Mailbox(
        name="orders", host=dovecot.host, port=dovecot.pop3_port, security="starttls", ca_file=str(dovecot.ca_file),
        credentials=Credentials(account.name, lambda: account.password), timeout=20.0,
    )  # fmt: skip
    submit(stage.context(), "acme", invoice(), name="INV-1")
    stage.run()
    assert stage.states("out") in (["sent"], ["bounced"])
    deadline = time.monotonic() + 20
    while stage.states("out") != ["bounced"] and time.monotonic() < deadline:
        time.sleep(0.2)
        summary = stage.run()
    assert stage.states("out") == ["bounced"]
    assert [each.state for each in summary.attention] == ["bounced"]
    assert account.waiting() == []
