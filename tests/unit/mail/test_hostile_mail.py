"""Mails that no honest client writes, and honest ones that break rules: what becomes of each."""

# ruff: noqa: E501 - a mail a line reads better as a table

from __future__ import annotations

import base64
import contextlib
import time

import pytest

from gateway.errors import (
    HeadersTooLarge,
    MessageFault,
    MessageMalformed,
    MessageTooLarge,
    StructureTooDeep,
    TooManyParts,
)
from gateway.mail.letters import open_letter
from gateway.settings.model import Limits

EDI = b"ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *240101*1200*U*00401*000000001*0*P*>~"
HEAD = b"From: a@b.example\r\nTo: us@example.com\r\n"


def attached(data, headers=b"Content-Type: application/edi-x12\r\n"):
    return HEAD + headers + b"\r\n" + data


def multipart(*parts, kind=b"mixed", boundary=b"b", close=b"--b--\r\n", extra=b""):
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts)
    return HEAD + b'Content-Type: multipart/%s; boundary="%s"%s\r\n\r\n' % (kind, boundary, extra) + body + close


def nested(depth):
    """multipart in multipart in …"""
    raw = HEAD
    for level in range(depth):
        raw += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
    return raw + b"\r\n" + EDI


def named(disposition):
    return attached(EDI, b"Content-Type: application/octet-stream\r\nContent-Disposition: " + disposition + b"\r\n")


REFUSED = {
    "B1 multipart depth 500": (nested(500), StructureTooDeep),
    "B1 multipart depth 11": (nested(11), StructureTooDeep),
    "B2 10,000 parts": (multipart(*[b"\r\nx"] * 10_000), TooManyParts),
    "B2 201 parts": (multipart(*[b"\r\nx"] * 201), TooManyParts),
    "B3 message/rfc822 depth 300": (HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 300, StructureTooDeep),
    "B4 100,000 headers": (b"X: y\r\n" * 100_000 + b"\r\n" + EDI, HeadersTooLarge),
    "B4 1,001 headers": (b"X: y\r\n" * 1_001 + b"\r\n" + EDI, HeadersTooLarge),
    "B4 1,001 headers in a part": (multipart(b"X: y\r\n" * 1_001 + b"\r\nx"), HeadersTooLarge),
    "B5 a header line of 10 MB": (b"Subject: " + b"x" * 10_000_000 + b"\r\n\r\n", HeadersTooLarge),
    "B5 a header line of 65 kB": (b"Subject: " + b"x" * 65_000 + b"\r\n\r\n", HeadersTooLarge),
    "B5 a header of 65 kB in 1 kB folds": (b"Subject:" + (b" " + b"x" * 999 + b"\r\n") * 65 + b"\r\n", HeadersTooLarge),
    "B7 the boundary never appears": (multipart(b"\r\n" + EDI, boundary=b"b", close=b"").replace(b"--b", b"--c"), MessageMalformed),
    "B9 an empty boundary": (multipart(b"\r\n" + EDI, boundary=b""), MessageMalformed),
    "B9 a boundary of 71 characters": (multipart(b"\r\n" + EDI, boundary=b"b" * 71), MessageMalformed),
    "B9 a boundary of 50 kB": (multipart(b"\r\n" + EDI, boundary=b"b" * 50_000), MessageMalformed),
    "B9 no boundary": (HEAD + b"Content-Type: multipart/mixed\r\n\r\n--b\r\n", MessageMalformed),
    "B9 two boundaries": (multipart(b"\r\nx", extra=b"; boundary=c"), MessageMalformed),
    "B10 two Content-Types": (attached(EDI, b"Content-Type: text/plain\r\nContent-Type: text/html\r\n"), MessageMalformed),
    "B10 two encodings": (
        attached(EDI, b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n"), MessageMalformed,
    ),
    "B13 a NUL in a header": (b"From: a@b.example\r\nSubject: x\0y\r\n\r\n" + EDI, MessageMalformed),
    "B40 nothing at all": (b"", MessageMalformed),
    "B40 blank lines": (b"\r\n\r\n\r\n", MessageMalformed),
    "a line that is no header": (b"From: a@b.example\r\nnot a header\r\n\r\n" + EDI, MessageMalformed),
    "a header that begins with a fold": (b" folded\r\nFrom: a@b.example\r\n\r\n", MessageMalformed),
    "a header name with a blank": (b"From: a@b.example\r\nMy Header: x\r\n\r\n", MessageMalformed),
    "a header without a name": (b": x\r\nFrom: a@b.example\r\n\r\n", MessageMalformed),
    "a part without an empty line": (multipart(EDI), MessageMalformed),
}  # fmt: skip

# name: (raw, path, damage expected, data expected or None)
LEAVES = {
    "B6 no closing boundary": (multipart(b"\r\n" + EDI, close=b""), "1", False, EDI + b"\r\n"),
    "B6 no closing boundary, no line end": (multipart(b"\r\n" + EDI, close=b"")[:-2], "1", False, EDI),
    "B8 a boundary that is a prefix of a line": (multipart(b"\r\n--bb\r\n--b x\r\n--b-\r\n" + EDI), "1", False, b"--bb\r\n--b x\r\n--b-\r\n" + EDI),
    "B8 a boundary in the middle of a line": (multipart(b"\r\nx--b\r\n" + EDI), "1", False, b"x--b\r\n" + EDI),
    "B9 a boundary of 70 characters": (multipart(b"\r\n" + EDI, boundary=b"b" * 70, close=b""), "1", False, EDI + b"\r\n"),
    "B8 an inner boundary that begins like the outer": (
        multipart(b"Content-Type: multipart/mixed; boundary=b2\r\n\r\n--b2\r\n\r\n" + EDI + b"\r\n--b2--", b"\r\nlast"),
        "1.1", False, EDI,
    ),
    "B10 the same Content-Type twice": (attached(EDI, b"Content-Type: text/plain\r\nContent-Type: text/plain\r\n"), "1", False, EDI),
    "B11 no MIME-Version": (attached(EDI), "1", False, EDI),
    "B12 bare LF": (multipart(b"\r\n" + EDI).replace(b"\r\n", b"\n"), "1", False, EDI),
    "B12 bare CR": (attached(EDI).replace(b"\r\n", b"\r"), "1", False, EDI),
    "B12 mixed line ends": (HEAD.replace(b"\r\n", b"\n", 1) + b"\n" + EDI, "1", False, EDI),
    "B14 8-bit headers": ("From: a@b.example\r\nSubject: Größe\r\n\r\n".encode("latin-1") + EDI, "1", False, EDI),
    "B23 base64 with junk": (attached(b"SVNBKjAw!!KiAg", b"Content-Transfer-Encoding: base64\r\n"), "1", True, b"ISA*00"),
    "B23 base64 without padding": (attached(b"SVNBKg", b"Content-Transfer-Encoding: base64\r\n"), "1", True, b"ISA"),
    "B23 base64 that goes on after its end": (attached(b"SVNBKg==SVNB", b"Content-Transfer-Encoding: base64\r\n"), "1", True, b"ISA"),
    "B23 base64 with a footer": (attached(base64.b64encode(EDI) + b"\r\n--\r\nlist footer", b"Content-Transfer-Encoding: base64\r\n"), "1", True, None),
    "B23 base64, one character a line": (attached(b"\r\n".join(base64.b64encode(EDI)[i : i + 1] for i in range(148)), b"Content-Transfer-Encoding: base64\r\n"), "1", False, EDI),
    "base64 in bare LF lines": (attached(base64.encodebytes(EDI * 9), b"Content-Transfer-Encoding: Base64\r\n"), "1", False, EDI * 9),
    "B24 quoted-printable, soft break at the end": (attached(EDI.replace(b"~", b"=7E="), b"Content-Transfer-Encoding: quoted-printable\r\n"), "1", False, EDI),
    "B24 quoted-printable, broken escape": (attached(b"ISA=XZ", b"Content-Transfer-Encoding: quoted-printable\r\n"), "1", True, b"ISA"),
    "B24 quoted-printable with soft breaks and blanks": (attached(b"IS=\r\nA=  \r\n*00=2A \t\r\n", b"Content-Transfer-Encoding: quoted-printable\r\n"), "1", False, b"ISA*00*\r\n"),
    "an encoding nobody knows": (attached(EDI, b"Content-Transfer-Encoding: x-rot13\r\n"), "1", True, EDI),
    "B26 a charset nobody knows": (attached(EDI, b"Content-Type: text/plain; charset=nonsense-7\r\n"), "1", False, EDI),
    "B28 a UTF-8 BOM is kept": (attached(b"\xef\xbb\xbf" + EDI), "1", False, b"\xef\xbb\xbf" + EDI),
    "B36 message/partial": (attached(EDI, b"Content-Type: message/partial; id=1\r\n"), "1", True, None),
    "B37 message/external-body": (attached(b"", b"Content-Type: message/external-body; access-type=URL\r\n"), "1", True, None),
    "B40 headers only": (HEAD, "1", False, b""),
    "B40 an attachment of 0 bytes": (multipart(b"Content-Type: application/edi-x12\r\n\r\n"), "1", False, b""),
    "an unreadable Content-Type": (attached(EDI, b"Content-Type: ;;;\r\n"), "1", False, EDI),
    "a one-line body of 5 MB": (attached(EDI * 50_000), "1", False, EDI * 50_000),
    "an mbox envelope line": (b"From a@b.example Mon Jan  1\r\n" + attached(EDI), "1", False, EDI),
    "a forwarded message": (attached(attached(EDI), b"Content-Type: message/rfc822\r\n"), "1", False, EDI),
    "a forwarded message in base64": (
        attached(base64.encodebytes(attached(EDI)), b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n"), "1", False, EDI,
    ),
    "an encoding on a multipart is passed over": (multipart(b"\r\n" + EDI, extra=b"\r\nContent-Transfer-Encoding: base64"), "1", False, EDI),
    "multipart/digest": (multipart(b"\r\nFrom: x@y.example\r\n\r\n" + EDI, kind=b"digest"), "1.1", False, EDI),
}  # fmt: skip

NAMES = {
    "B15 CR LF by percent": (b"attachment; filename*=utf-8''a%0d%0aX: y.edi", "a X: y.edi"),
    "B15 CR LF by encoded word": (b'attachment; filename="=?utf-8?q?a=0D=0Ab.edi?="', "a b.edi"),
    "B15 folded": (b'attachment; filename="a\r\n b.edi"', "a b.edi"),
    "B16 up and away": (b'attachment; filename="../../x.edi"', "x.edi"),
    "B16 backslashes": (b'attachment; filename="..\\\\..\\\\etc\\\\x"', "x"),
    "B16 a drive": (b'attachment; filename="C:\\\\x.edi"', "x.edi"),
    "B16 a drive alone": (b'attachment; filename="C:x.edi"', "x.edi"),
    "B16 absolute": (b"attachment; filename=/etc/passwd", "passwd"),
    "B16 encoded slash": (b"attachment; filename*=utf-8''..%2F..%2Fx", "x"),
    "B16 dots": (b'attachment; filename=".."', ""),
    "B16 empty": (b'attachment; filename=""', ""),
    "B16 direction override": (b"attachment; filename*=utf-8''a%E2%80%AEide.exe", "aide.exe"),
    "B16 4 kB": (b"attachment; filename=" + b"x" * 4_000 + b".edi", "x" * 996 + ".edi"),
    "B16 NUL by percent": (b"attachment; filename*=utf-8''a%00b", "a b"),
    "B17 out of order": (b"attachment; filename*1=b.edi; filename*0=a", "ab.edi"),
    "B17 a gap": (b"attachment; filename*0=a; filename*2=c", "a"),
    "B17 a gap, and more after it": (b"attachment; filename*0=a; filename*2=c; filename*3=d", "a"),
    "B17 both forms": (b"attachment; filename=plain.edi; filename*=utf-8''%C3%BC.edi", "ü.edi"),
    "B17 wrong charset": (b"attachment; filename*=klingon''%C3%BC.edi", "ü.edi"),
    "B17 not what it says": (b"attachment; filename*=utf-8''%FC.edi", "\ufffd.edi"),
    "B17 thousands of pieces": (b"attachment; " + b"; ".join(b"filename*%d=x" % n for n in range(3_000)), "x" * 300),
    "latin-1 by encoded word": (b"attachment; filename==?iso-8859-1?q?=FC.edi?=", "ü.edi"),
    "unclosed quote": (b'attachment; filename="a.edi', "a.edi"),
    "blanks without quotes": (b"attachment; filename=my file.edi", "my file.edi"),
}  # fmt: skip

SENDERS = {
    "two From headers": b"From: a@good.example\r\nFrom: b@evil.example\r\n",
    "two equal From headers": b"From: a@good.example\r\nFrom: a@good.example\r\n",
    "two addresses": b"From: a@good.example, b@evil.example\r\n",
    "no From": b"Sender: a@good.example\r\n",
    "an empty From": b"From:\r\n",
    "a group": b"From: grp: a@good.example;\r\n",
    "an address after a parenthesis": b"From: a@good.example)b@evil.example\r\n",
    "an address as an unquoted name": b"From: a@good.example <b@evil.example>\r\n",
    "an address after the bracket": b"From: <a@good.example>b@evil.example\r\n",
    "a semicolon": b"From: a@good.example;b@evil.example\r\n",
    "a comment": b"From: a@good.example (really)\r\n",
    "300 nested comments": b"From: " + b"(" * 300 + b")" * 300 + b" a@good.example\r\n",
    "a route": b"From: <@evil.example:a@good.example>\r\n",
    "an address literal": b"From: a@[127.0.0.1]\r\n",
    "a bare CR that hides a second From": b"From: a@good.example\rFrom: b@evil.example\r\n",
    "a quoted local part": b'From: "a@good.example"@evil.example\r\n',
    "20,000 encoded words": b"From: " + b"=?utf-8?q?a?= " * 4_000 + b"a@good.example\r\n",
    "a domain with a blank": b"From: a@good .example\r\n",
    "no domain": b"From: root\r\n",
}


def opened(raw, **limits):
    start = time.perf_counter()
    try:
        return open_letter(raw, Limits(**limits))
    finally:
        assert time.perf_counter() - start < 3, "a mail must not cost more than its size"


@pytest.mark.parametrize("name", REFUSED)
def test_past_a_bound_or_ambiguous_is_quarantined(name):
    raw, fault = REFUSED[name]
    with pytest.raises(fault) as caught:
        opened(raw)
    assert "not given" not in str(caught.value)


@pytest.mark.parametrize("name", LEAVES)
def test_a_leaf_is_decoded_or_called_damaged(name):
    raw, path, damaged, data = LEAVES[name]
    part = next(each for each in opened(raw).parts if each.path == path)
    assert bool(part.damage) is damaged
    if data is not None:
        assert part.data == data


@pytest.mark.parametrize("name", NAMES)
def test_a_file_name_is_a_label(name):
    disposition, expected = NAMES[name]
    (part,) = opened(named(disposition)).parts
    assert part.file_name == expected
    assert part.disposition == "attachment"


@pytest.mark.parametrize("name", SENDERS)
def test_a_sender_that_is_not_exactly_one_plain_address_is_a_problem(name):
    letter = opened(SENDERS[name] + b"\r\n" + EDI)
    assert letter.from_address == ""
    assert letter.sender_problem


@pytest.mark.parametrize(
    ("header", "address"),
    [
        (b"From: a@Good.Example.", "a@good.example"),
        (b"From: Alice <a@good.example>", "a@good.example"),
        (b'From: "partner@good.example" <b@evil.example>', "b@evil.example"),
        (b"From :a@good.example", "a@good.example"),
        (b"FROM: <a@good.example>", "a@good.example"),
        (b"From: =?utf-8?q?a=40good.example=00?=\r\n <b@evil.example>", "b@evil.example"),
        ("From: a@go\u043ed.example".encode(), "a@xn--god-ted.example"),
        ("From: Jürgen <a@good.example>".encode("latin-1"), "a@good.example"),
    ],
)
def test_a_plain_sender_is_read_as_what_it_is(header, address):
    """B83: a display name never counts, and a look-alike domain is another domain."""
    letter = opened(header + b"\r\nSender: c@c.example\r\nReply-To: d@d.example\r\n\r\n" + EDI)
    assert (letter.from_address, letter.sender_problem) == (address, "")


def test_a_mail_past_the_size_limit_is_not_even_looked_at():
    with pytest.raises(MessageTooLarge):
        opened(attached(EDI), message_size=50)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"", ""),
        (b"Message-ID: <1@b.example>\r\nMessage-ID: <2@b.example>\r\n", "<1@b.example>"),
        (b"Message-ID: <" + b"x" * 10_000 + b"@b.example>\r\n", "<" + "x" * 997),
        (b"Message-ID: <" + b"x" * 900 + b"@b.example>\r\n", "<" + "x" * 900 + "@b.example>"),
        (b"Message-ID: <1\r\n @b.example>\r\n", "<1 @b.example>"),
        (b"Message-ID: 1@b.example\r\n", "<1@b.example>"),
        (b"Message-ID: <1@b.example> (comment)\r\n", "<1@b.example>"),
    ],
)
def test_a_message_id_is_one_or_what_stands_in_its_place_on_one_line(header, expected):
    """B44: what is none is never written into a header of ours (compose.is_message_id), but people look for it."""
    assert opened(header + attached(EDI)).message_id == expected


def test_two_attachments_come_in_order_with_their_names():
    """B31"""
    first = b"Content-Disposition: attachment; filename=1.edi\r\n\r\n" + EDI
    second = b"Content-Disposition: attachment; filename=2.edi\r\n\r\n" + EDI + b"x"
    parts = opened(multipart(b"\r\nhello", first, second)).parts
    assert [(part.path, part.file_name) for part in parts] == [("1", ""), ("2", "1.edi"), ("3", "2.edi")]
    assert parts[2].data == EDI + b"x"


@pytest.mark.parametrize(
    "raw",
    [
        b"To: " + b"a@b.example, " * 4_000,
        b"To: " + b'"' * 60_000,
        b"To: " + b'"\\' * 30_000,
        b"To: " + b"(" * 60_000,
        b"Subject: " + b"=?utf-8?b?" * 6_000,
        b"Subject: " + b"=?utf-8?q?x?= " * 4_000,
        b"References: " + b"<x@y> " * 10_000,
        b"Content-Type: text/plain" + b'; a="' * 10_000,
        b"Content-Type: text/plain; x=" + b'"\\' * 30_000,
        b"Content-Type: " + b" " * 60_000 + b"x",
        b"Content-Disposition: attachment; filename=" + b"=?x?q?" * 9_000,
        b"Content-Type: multipart/mixed; boundary=-\r\n\r\n" + b"-" * 3_000_000,
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"\n--b x" * 90_000,
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b" " * 5_000_000 + b"x",
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=" * 3_000_000,
        b"Content-Transfer-Encoding: base64\r\n\r\n" + b"!" * 5_000_000,
        b"Subject: x\r\n\r\n" + b"\r" * 10_000_000,
        b"X:" + b"\r\n x" * 60_000,
    ],
    ids=lambda raw: raw[:50].decode(errors="replace"),
)
def test_no_mail_costs_more_than_its_size(raw):
    """Each of these takes seconds to minutes, or gigabytes, in readers that backtrack."""
    with contextlib.suppress(MessageFault):
        opened(HEAD + raw + b"\r\n")
