"""What a mail is: letter, bounce, receipt or auto-reply, and what it says of itself."""

from __future__ import annotations

import base64
import mmap

import pytest

from gateway.mail.letters import open_headers, open_letter
from gateway.mail.model import Bounce
from gateway.settings.model import Limits

EDI = b"ISA*00*          *00*          *ZZ*SENDER"
HEAD = b"From: Mail System <mailer@mx.example>\r\nTo: us@example.com\r\n"
BOUNCE = (
    HEAD + b"Auto-Submitted: auto-replied\r\nContent-Type: multipart/report; report-type=%s; boundary=b\r\n\r\n"
    b"--b\r\n\r\nI am sorry.\r\n"
    b"--b\r\nContent-Type: message/delivery-status\r\n\r\n"
    b"Reporting-MTA: dns; mx.example\r\nOriginal-Envelope-Id: <env-42@example.com>\r\n\r\n"
    b"Final-Recipient: rfc822; real@partner.example\r\nOriginal-Recipient: rfc822;edi@Partner.example\r\n"
    b"Action: Failed\r\nStatus: 5.1.1 (unknown)\r\nDiagnostic-Code: smtp; 550 5.1.1\r\n  no such user\r\n\r\n"
    b"Final-Recipient: rfc822; other@partner.example\r\nAction: delayed\r\nStatus: 4.0.0\r\n\r\n"
    b"--b\r\nContent-Type: %s\r\n\r\n%s\r\n--b--\r\n"
)
OURS = b"From: us@example.com\r\nMessage-ID: <42@example.com>\r\nSubject: 850\r\n"


def opened(raw):
    return open_letter(raw, Limits())


@pytest.mark.parametrize(
    ("kind", "returned", "original"),
    [
        (b"text/rfc822-headers", OURS, "<42@example.com>"),
        (b"message/rfc822", OURS + b"Content-Type: application/edi-x12\r\n\r\n" + EDI, "<42@example.com>"),
        (b"text/plain", b"gone", ""),
        (b"text/rfc822-headers", b"no headers at all", ""),
    ],
)
def test_a_bounce_tells_of_each_recipient_and_which_mail_it_was(kind, returned, original):
    letter = opened(BOUNCE % (b"delivery-status", kind, returned))
    assert letter.kind == "bounce"
    assert letter.auto_submitted
    assert letter.bounces == (
        Bounce(original, "edi@partner.example", "failed", "5.1.1", "550 5.1.1 no such user", "<env-42@example.com>"),
        Bounce(original, "other@partner.example", "delayed", "4.0.0", "", "<env-42@example.com>"),
    )


def test_a_bounce_is_known_without_its_report_type():
    raw = BOUNCE.replace(b"report-type=%s; ", b"") % (b"text/plain", b"x")
    assert opened(raw).kind == "bounce"


def test_a_bounce_that_carries_our_edi_back_is_still_a_bounce():
    raw = BOUNCE % (b"delivery-status", b"message/rfc822", OURS + b"Content-Type: application/edi-x12\r\n\r\n" + EDI)
    assert any(part.data.startswith(EDI) for part in opened(raw).parts)
    assert opened(raw).kind == "bounce"


def test_a_bounce_in_no_format_is_known_by_its_sender_and_null_path():
    raw = b"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example\r\n\r\nHi. This is the mail program. Sorry.\r\n"
    assert (opened(raw).kind, opened(raw).bounces) == ("bounce", ())
    assert opened(raw.replace(b"<>", b"<x@mx.example>")).kind == "letter"


def test_a_bounce_with_ten_thousand_recipients_is_bounded():
    status = (
        b"Reporting-MTA: dns; mx.example\r\n\r\n"
        + b"Final-Recipient: rfc822; a@b.example\r\nAction: failed\r\n\r\n" * 10_000
    )
    raw = HEAD + b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
    raw += b"--b\r\nContent-Type: message/delivery-status\r\n\r\n" + status + b"--b--\r\n"
    assert len(opened(raw).bounces) == 200


RECEIPT = (
    b"Content-Type: multipart/report; report-type=disposition-notification; boundary=r\r\n\r\n"
    b"--r\r\n\r\nreceived\r\n"
    b"--r\r\nContent-Type: message/disposition-notification\r\n\r\n"
    b"Disposition: automatic-action/MDN-sent-automatically; processed\r\n"
    b"--r--\r\n"
)


def test_a_receipt_is_known_plain_and_signed():
    assert opened(HEAD + RECEIPT).kind == "receipt"
    signed = HEAD + b"Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n" + RECEIPT
    signed += b"--s\r\nContent-Type: application/pkcs7-signature\r\n\r\nx\r\n--s--\r\n"
    assert opened(signed).kind == "receipt"


@pytest.mark.parametrize(
    ("headers", "body", "kind", "auto_submitted"),
    [
        (b"Auto-Submitted: auto-replied\r\n", b"I am away. > ISA*00*", "auto-reply", True),
        (b"Auto-Submitted: auto-replied (vacation)\r\n", b"away", "auto-reply", True),
        (b"Auto-Submitted: Auto-Replied; owner-email=x@y.example\r\n", b"away", "auto-reply", True),
        (b"X-Autoreply: yes\r\n", b"away", "auto-reply", False),
        (b"Precedence: auto_reply\r\n", b"away", "auto-reply", False),
        (b"Auto-Submitted: auto-generated\r\n", b"hello", "letter", True),
        (b"Auto-Submitted: auto-generated\r\n", EDI, "letter", True),
        (b"Auto-Submitted: auto-replied\r\n", EDI, "letter", True),
        (b"Auto-Submitted: auto-replied\r\nContent-Type: application/EDI-X12\r\n", b"x", "letter", True),
        (b"Auto-Submitted: no\r\n", b"hello", "letter", False),
        (b"Precedence: bulk\r\n", b"hello", "auto-reply", False),
        (b"Precedence: bulk\r\n", EDI, "letter", False),
        (b"List-Id: <orders.example>\r\n", b"news", "auto-reply", False),
        (b"Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n", b"I am away", "auto-reply", True),
        (b"X-Auto-Response-Suppress: All\r\n", b"hello", "letter", False),
        (b"", b"hello", "letter", False),
    ],
)
def test_an_auto_reply_is_told_from_what_may_carry_edi(headers, body, kind, auto_submitted):
    letter = opened(HEAD + headers + b"\r\n" + body)
    assert (letter.kind, letter.auto_submitted) == (kind, auto_submitted)


def test_an_auto_reply_that_carries_our_mail_along_is_an_auto_reply():
    raw = HEAD + b"Auto-Submitted: auto-replied\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\naway\r\n"
    raw += b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + OURS + b"\r\n" + EDI + b"\r\n--b--\r\n"
    assert opened(raw).kind == "auto-reply"


def test_headers_are_read_for_people():
    letter = opened(
        b"From: a@b.example\r\n"
        b'To: "Us, the buyers" <US@Example.com>, two@example.com\r\nTo: three@example.com\r\n'
        b"Cc: four@example.com (4)\r\n"
        b"Subject: =?utf-8?q?Bestellung_=C3=BC?=\r\n =?utf-8?b?" + base64.b64encode("ä 850".encode()) + b"?=\tend\r\n"
        b"Message-ID: <1@b.example>\r\nIn-Reply-To: <0@b.example>\r\nReferences: <x@b.example>\r\n <0@b.example>\r\n"
        b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\nhi"
    )  # fmt: skip
    assert letter.to == ("US@example.com", "two@example.com", "three@example.com")
    assert letter.cc == ("four@example.com",)
    assert letter.subject == "Bestellung üä 850 end"
    assert letter.message_id == "<1@b.example>"
    assert letter.in_reply_to == "<0@b.example>"
    assert letter.references == ("<x@b.example>", "<0@b.example>")
    assert letter.date == "Mon, 1 Jan 2024 00:00:00 +0000"


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?q?=1b[31mred?=", "[31mred"),
        (b"=?iso-8859-1?q?caf=E9?=", "café"),
        (b"=?klingon?q?caf=C3=A9?=", "café"),
        (b"=?utf-7?q?+ADw-script?=", "+ADw-script"),
        (b"=?utf-8?b?!!!?=", "!!!"),
        (b"=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        (b"a =?utf-8?q?b?= c =?utf-8?q?d?= =?utf-8?q?e?=", "a b c de"),
        (b"=?utf-8?b?w6Q=?= =?utf-8?b?w7Y=?=", "äö"),
        (b"=?utf-8?b?ww==?= =?utf-8?b?pA==?=", "ä"),
        (b"x" * 5_000, "x" * 5_000),
    ],
)
def test_a_subject_is_decoded_and_disarmed(subject, expected):
    assert opened(b"Subject: " + subject + b"\r\n\r\n").subject == expected


def test_a_mail_in_a_file_is_opened_as_one_in_memory(tmp_path):
    raw = BOUNCE % (b"delivery-status", b"message/rfc822", OURS + b"\r\n" + EDI)
    (tmp_path / "mail").write_bytes(raw)
    with (tmp_path / "mail").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        assert opened(view) == opened(raw)


def test_a_part_tells_where_it_stands():
    inner = OURS + b"Content-Type: text/plain; format=flowed\r\n\r\nhi"
    raw = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee below\r\n"
    raw += b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b--\r\n"
    first, second = opened(raw).parts
    assert (first.forwarded, first.within) == ("", "multipart/mixed")
    assert (second.forwarded, second.parameters) == ("us@example.com", (("format", "flowed"),))


def test_whom_the_envelope_named_is_told():
    raw = b"Delivered-To: us+b42@example.com\r\nX-Original-To: US@Example.com\r\n" + HEAD + b"\r\nhi"
    assert opened(raw).delivered_to == ("us+b42@example.com", "US@example.com")


@pytest.mark.parametrize(("count", "loops"), [(50, False), (51, True)])
def test_a_mail_that_passed_too_many_hosts_runs_in_circles(count, loops):
    letter = opened(b"Received: from a by b; now\r\n" * count + HEAD + b"\r\nhi")
    assert bool(letter.loop) is loops


def test_of_a_mail_without_structure_the_headers_are_told():
    raw = HEAD + b"Subject: orders\r\nContent-Type: multipart/mixed\r\n\r\n--b\r\n"
    letter = open_headers(raw, Limits())
    assert letter is not None
    assert (letter.from_address, letter.subject, letter.parts) == ("mailer@mx.example", "orders", ())
    assert open_headers(b"no header\r\n\r\n", Limits()) is None
