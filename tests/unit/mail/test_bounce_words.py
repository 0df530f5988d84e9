"""Bounces in no standard's form: what they quote, whom they name, and whether they are final."""

from __future__ import annotations

import pytest

from gateway.mail.letters import open_letter
from gateway.settings.model import Limits

HEAD = "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example\r\nTo: edi@us.example\r\nSubject: failure notice\r\n"
QUOTED = "From: edi@us.example\r\nSubject: 850\r\nMessage-ID: <42@us.example>\r\n"
QMAIL = (
    "\r\nHi. This is the qmail-send program at mx.example.\r\nI'm afraid I wasn't able to deliver your message.\r\n"
    "\r\n<edi@acme.example>:\r\n192.0.2.1 does not like recipient.\r\nRemote host said: 550 5.1.1 no such user\r\n"
    f"\r\n--- Below this line is a copy of the message.\r\n\r\n{QUOTED}\r\nISA*00*\r\n"
)
EXIM = (
    "X-Failed-Recipients: edi@acme.example\r\n\r\nThis message was created automatically by mail delivery software.\r\n"
    "  edi@acme.example\r\n    host mx.acme.example [192.0.2.1]\r\n    SMTP error: 550 5.1.1 no such user\r\n"
    f"\r\n------ This is a copy of the message, including all the headers. ------\r\n\r\n{QUOTED}\r\n"
)
GMAIL = (
    "\r\nDelivery to the following recipient failed permanently:\r\n\r\n     edi@acme.example\r\n\r\n"
    "The error that the other server returned was:\r\n550 5.1.1 no such user\r\n\r\n"
    "----- Original message -----\r\n\r\n" + QUOTED.replace("Message-ID: ", "Message-Id:\r\n ")
)
EXCHANGE = (
    'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n'
    "Your message did not reach some of the recipients.\r\nedi@acme.example\r\n550 5.1.1 no such user\r\n"
    f"--b\r\nContent-Type: message/rfc822\r\n\r\n{QUOTED}\r\nISA*00*\r\n--b--\r\n"
)


def opened(text):
    return open_letter((HEAD + text).encode(), Limits())


@pytest.mark.parametrize("text", [QMAIL, EXIM, GMAIL, EXCHANGE], ids=["qmail", "exim", "gmail", "exchange"])
def test_a_bounce_in_words_names_the_mail_the_recipient_and_the_reason(text):
    letter = opened(text)
    assert letter.kind == "bounce"
    (bounce,) = letter.bounces
    assert bounce.original_message_id == "<42@us.example>"
    assert (bounce.recipient, bounce.action, bounce.status) == ("edi@acme.example", "failed", "5.1.1")
    assert "no such user" in bounce.diagnostic


@pytest.mark.parametrize(
    "words",
    [
        "Delivery has been delayed.",
        "421 4.4.1 connection timed out",
        "I will keep trying.",
        "Warning: message still queued",
    ],
)
def test_a_mail_that_is_only_late_is_not_taken_for_lost(words):
    (bounce,) = opened(f"\r\nHello.\r\n{words}\r\n\r\n{QUOTED}").bounces
    assert bounce.action == "delayed"


def test_who_gave_up_says_so_whatever_the_status():
    words = "I'm not going to try again; this message has been in the queue too long. 421 4.4.1 no answer"
    (bounce,) = opened(f"\r\n{words}\r\n\r\n{QUOTED}").bounces
    assert bounce.action == "failed"


def test_a_bounce_that_quotes_nothing_says_nothing():
    assert opened("\r\nYour mail to edi@acme.example failed: 550 5.1.1 no such user\r\n").bounces == ()


def test_a_report_whose_status_cannot_be_read_is_read_as_words():
    text = (
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n--b\r\n\r\n'
        "<edi@acme.example>: 550 5.1.1 no\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\r\n"
        f"--b\r\nContent-Type: message/rfc822\r\n\r\n{QUOTED}\r\nx\r\n--b--\r\n"
    )
    assert [each.original_message_id for each in opened(text).bounces] == ["<42@us.example>"]


@pytest.mark.parametrize(
    "sender", ["MAILER-DAEMON", "MAILER-DAEMON@mx.example (Mail Delivery System)", "Mail <Postmaster>"]
)
def test_a_mailer_is_known_however_it_writes_its_address(sender):
    head = HEAD.replace("MAILER-DAEMON@mx.example", sender)
    letter = open_letter(f"{head}\r\n<edi@acme.example>: 550 5.1.1 no such user\r\n\r\n{QUOTED}".encode(), Limits())
    assert letter.kind == "bounce"
    assert [each.recipient for each in letter.bounces] == ["edi@acme.example"]


def test_a_person_called_postmaster_is_no_mailer():
    head = HEAD.replace("MAILER-DAEMON@mx.example", "Postmaster <joe@acme.example>")
    assert open_letter(f"{head}\r\n{QUOTED}".encode(), Limits()).kind == "letter"


def test_a_bounce_is_known_where_no_host_wrote_down_the_null_sender():
    """Some POP3 servers leave Return-Path away; Exim names whom it could not reach."""
    head = HEAD.removeprefix("Return-Path: <>\r\n")
    assert open_letter((head + EXIM).encode(), Limits()).kind == "bounce"
    assert open_letter((head + QMAIL).encode(), Limits()).kind == "letter"


REPORT = (
    'Content-Type: multipart/report; boundary="r"\r\n\r\n--r\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n--r\r\n'
    "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
    "Final-Recipient: rfc822; edi@acme.example\r\nAction: failed\r\nStatus: 5.1.1\r\n--r\r\n"
    f"Content-Type: message/rfc822\r\n\r\n{QUOTED}\r\nISA*00*\r\n--r--\r\n"
)


@pytest.mark.parametrize(
    ("footer", "kind"),
    [
        ("Content-Type: text/plain\r\n\r\nThis mail was scanned.", "bounce"),
        ("Content-Type: text/plain; name=orders.edi\r\n\r\nISA*00*", "letter"),
    ],
)
def test_a_report_is_read_under_the_footer_that_a_host_put_behind_it(footer, kind):
    """But nothing that may be an order is passed over for it."""
    head = HEAD.replace("Return-Path: <>\r\n", "")
    mail = f'{head}Content-Type: multipart/mixed; boundary="m"\r\n\r\n--m\r\n{REPORT}--m\r\n{footer}\r\n--m--\r\n'
    letter = open_letter(mail.encode(), Limits())
    assert letter.kind == kind
    assert [each.status for each in letter.bounces] == (["5.1.1"] if kind == "bounce" else [])
