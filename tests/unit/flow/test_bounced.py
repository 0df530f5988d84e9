"""Bounces: the one that proves what it speaks of ends the wait; what anybody could have written changes nothing."""

from __future__ import annotations

import pytest
from builders.stage import US, Stage, acknowledgment, invoice, orders
from msgspec.structs import replace

from gateway.errors import OutcomeUnknown
from gateway.flow import inbound
from gateway.flow.collect import collect
from gateway.flow.inbound import process
from gateway.flow.operate import resend
from gateway.flow.submit import submit
from gateway.ledger.leases import CAME, SENT
from gateway.mail.verp import Tokens

HOUR = 3_600_000  # ms
STRANGE = "<0123456789@nobody.example>"


@pytest.fixture(params=[False, True], ids=["plain", "verp"])
def verp(request):
    return request.param


@pytest.fixture
def stage(tmp_path, verp):
    found = Stage(tmp_path)
    found.settings = replace(found.settings, smtp=replace(found.settings.smtp, verp=verp))
    submit(found.context(), "acme", invoice(), name="INV-1")
    found.run()
    return found


def bounce(to=US, message_id=STRANGE, envelope_id="", action="failed", header="To"):
    status = f"Original-Envelope-Id: {envelope_id}\r\n" if envelope_id else ""
    return (
        f"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example\r\n{header}: {to}\r\nSubject: failed\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nIt failed.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; mx.example\r\n{status}\r\nFinal-Recipient: rfc822; edi@acme.example\r\n"
        f"Action: {action}\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 no such user\r\n\r\n--b\r\n"
        f"Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: {message_id}\r\n\r\n--b--\r\n"
    )


def take(stage, text):
    stage.mailbox.deliver(text.encode())
    return stage.run()


def last(stage):
    return [row["kind"] for row in stage.rows("event") if row["kind"].startswith("bounce")][-1]


@pytest.mark.parametrize("header", ["Delivered-To", "X-Original-To", "To"])
def test_a_token_in_the_address_proves_a_bounce(stage, verp, header):
    sender = stage.transport.sent[0].envelope_sender
    take(stage, bounce(to=sender, header=header))
    assert stage.states("out") == (["bounced"] if verp else ["sent"])
    assert last(stage) == ("bounced" if verp else "bounce-unmatched")


def test_an_envelope_id_with_our_token_proves_a_bounce(stage):
    take(stage, bounce(envelope_id=stage.transport.sent[0].envelope_id))
    assert stage.states("out") == ["bounced"]


def test_our_message_id_proves_a_bounce_only_where_mails_have_no_sender_of_their_own(stage, verp):
    take(stage, bounce(message_id=stage.sent[0]["Message-ID"]))
    assert stage.states("out") == (["sent"] if verp else ["bounced"])
    assert last(stage) == ("bounce-unproven" if verp else "bounced")


@pytest.mark.parametrize("forged", ["{0}", "1-aaaaaaaaaaaaaaaa", "1", "999-{1}"])
def test_a_forged_token_changes_nothing(stage, forged):
    theirs = Tokens(lambda: b"another key").token(1)
    genuine = stage.transport.sent[0].envelope_id
    token = forged.format(theirs, genuine.partition("-")[2])
    take(stage, bounce(to=f"edi+b{token}@us.example", envelope_id=token))
    assert stage.states("out") == ["sent"]
    assert last(stage) == "bounce-unmatched"


@pytest.mark.parametrize("action", ["delayed", "relayed", "delivered", "expanded", "", "exploded"])
def test_only_a_failure_changes_anything(stage, action):
    take(stage, bounce(envelope_id=stage.transport.sent[0].envelope_id, action=action))
    assert stage.states("out") == ["sent"]
    assert last(stage) == "bounce-notice"


def test_what_came_back_is_not_overdue_until_it_went_again(stage):
    """Nobody owes an acknowledgment of what did not arrive: one thing calls for a person, not two."""
    take(stage, bounce(envelope_id=stage.transport.sent[0].envelope_id))
    stage.now += 1_000 * HOUR
    stage.run()
    assert stage.states("out") == ["bounced"]
    assert not [row for row in stage.rows("event") if row["kind"] == "overdue"]
    assert [row["due_at"] for row in stage.rows("expectation")] == [None]
    resend(stage.context(), stage.rows("exchange")[0]["id"], actor="anna", reason="the address is right now")
    stage.run()
    stage.now += 1_000 * HOUR
    stage.run()
    assert stage.states("out") == ["overdue"]


def test_what_was_overdue_and_comes_back_is_overdue_no_more(stage):
    stage.now += 1_000 * HOUR
    stage.run()
    assert stage.states("out") == ["overdue"]
    take(stage, bounce(envelope_id=stage.transport.sent[0].envelope_id))
    assert stage.states("out") == ["bounced"]
    assert [(row["due_at"], row["overdue_at"]) for row in stage.rows("expectation")] == [(None, None)]
    stage.mail(acknowledgment(1, 1))  # it arrived after all
    stage.run()
    assert stage.states("out") == ["acknowledged"]
    assert stage.rows("expectation") == []


def test_a_bounce_after_the_acknowledgment_is_only_noted(stage):
    stage.mail(acknowledgment(1, 1))
    stage.run()
    take(stage, bounce(envelope_id=stage.transport.sent[0].envelope_id))
    assert stage.states("out") == ["acknowledged"]
    assert last(stage) == "bounced"


def test_what_comes_back_was_taken_so_a_doubt_ends(tmp_path):
    stage = Stage(tmp_path)

    def lost(mail):
        raise OutcomeUnknown(host="memory")

    stage.transport.after_taking = lost
    submit(stage.context(), "acme", invoice(), name="INV-1")
    stage.run()
    assert stage.states("out") == ["in doubt"]
    take(stage, bounce(envelope_id=stage.transport.sent[0].envelope_id))
    assert stage.states("out") == ["bounced"]
    assert stage.rows("outgoing") == []


def test_a_bounce_in_words_only_is_tied_by_the_message_id_that_it_quotes(tmp_path):
    stage = Stage(tmp_path)
    submit(stage.context(), "acme", invoice(), name="INV-1")
    stage.run()
    own = stage.sent[0]["Message-ID"]
    summary = take(
        stage,
        "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example\r\nTo: edi@us.example\r\nSubject: failure notice\r\n\r\n"
        "Hi. This is the qmail-send program at mx.example.\r\n\r\n<edi@acme.example>:\r\n"
        "550 5.1.1 no mailbox here by that name\r\n\r\n--- Below this line is a copy of the message.\r\n\r\n"
        f"Return-Path: <edi@us.example>\r\nFrom: edi@us.example\r\nMessage-ID: {own}\r\n\r\n",
    )
    assert stage.states("out") == ["bounced"]
    assert summary.attention[0].state == "bounced"


def test_a_bounce_that_nobody_can_read_is_noted(tmp_path):
    stage = Stage(tmp_path)
    take(stage, "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example\r\nSubject: oh no\r\n\r\nSomething failed.\r\n")
    assert last(stage) == "bounce-unmatched"


def returns_at_once(stage):
    """The host bounces what it takes before it is noted that it took it, and somebody else processes the bounce."""

    def taken(mail):
        stage.mailbox.deliver(bounce(envelope_id=mail.envelope_id).encode())
        context = stage.context()
        collect(context)
        process(context)

    stage.transport.after_taking = taken


def test_a_document_that_comes_back_while_it_is_sent_is_bounced(tmp_path):
    stage = Stage(tmp_path)
    returns_at_once(stage)
    submit(stage.context(), "acme", invoice(), name="INV-1")
    counts = stage.run().counts
    assert stage.states("out") == ["bounced"]
    assert counts["mails bounced"] == counts["mails sent"] == 1
    assert [row["due_at"] for row in stage.rows("expectation")] == [None]
    stage.now += 1_000 * HOUR
    (attention,) = stage.run().attention
    assert attention.state == "bounced"


def test_an_acknowledgment_that_comes_back_while_it_is_sent_is_bounced(tmp_path):
    stage = Stage(tmp_path)
    returns_at_once(stage)
    stage.mail(orders(1))
    stage.run()
    assert stage.states("out") == ["bounced"]


def test_a_bounce_of_an_earlier_attempt_says_nothing_of_the_next_one(stage):
    take(stage, bounce(envelope_id=stage.transport.sent[0].envelope_id))
    resend(stage.context(), stage.rows("exchange")[0]["id"], actor="anna", reason="the address is right now")
    stage.run()
    assert stage.states("out") == ["sent"]


def test_what_the_partner_has_answered_stays_answered_though_it_comes_back_while_it_is_sent_again(stage):
    stage.mail(acknowledgment(1, 1))
    stage.run()
    returns_at_once(stage)
    resend(stage.context(), stage.rows("exchange")[0]["id"], actor="anna", reason="they ask for it")
    stage.run()
    assert last(stage) == "bounced"
    assert stage.states("out") == ["acknowledged"]


def test_who_processes_a_bounce_and_who_sends_to_that_partner_take_turns(stage, monkeypatch):
    """Else both look before either writes, and the bounce is lost between them."""
    turns = []
    monkeypatch.setattr(inbound, "take_turns_over", lambda _, partners, *about: turns.append((partners, set(about))))
    take(stage, bounce(envelope_id=stage.transport.sent[0].envelope_id))
    assert ({"acme"}, {CAME, SENT}) in turns
