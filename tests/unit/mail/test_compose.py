"""Mails we write: read back by our own reader and by Python's."""

from __future__ import annotations

import email
import email.policy
import re

import pytest
from msgspec.structs import replace

from gateway.errors import DocumentFault
from gateway.mail.compose import compose, message_id
from gateway.mail.letters import open_letter
from gateway.mail.model import Attachment, Draft
from gateway.settings.model import Limits

EDI = b"ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *240101*1200*U*00401*000000001*0*P*>~"
DRAFT = Draft(
    sender="edi@example.com",
    sender_name="Müller & Söhne",
    to=("in@partner.example", "two@partner.example"),
    cc=("copy@partner.example",),
    reply_to="edi@example.com",
    subject="850 für Größe 000000001",
    message_id="<42@example.com>",
    in_reply_to="<41@partner.example>",
    references=("<40@partner.example>", "<41@partner.example>"),
    body="Hello,\nan order is attached.\n.\nFrom us\n",
    attachments=(
        Attachment("850.edi", "application/EDI-X12", EDI),
        Attachment("Größe.edi", "application/EDI-X12", b"ISA*00*\r\nGS*\r\n"),
    ),
    date=1_700_000_000.0,
    headers=(("X-Loop", "edi.example.com"),),
)


def changed(**changes):
    return replace(DRAFT, **changes)


def reference(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


def test_what_we_write_we_read_back():
    letter = open_letter(compose(DRAFT), Limits())
    assert letter.kind == "letter"
    assert letter.auto_submitted
    assert letter.from_address == "edi@example.com"
    assert letter.to == DRAFT.to
    assert letter.cc == DRAFT.cc
    assert letter.subject == DRAFT.subject
    assert letter.message_id == DRAFT.message_id
    assert letter.in_reply_to == DRAFT.in_reply_to
    assert letter.references == DRAFT.references
    assert [(part.file_name, part.content_type, part.data) for part in letter.parts[1:]] == [
        ("850.edi", "application/edi-x12", EDI),
        ("Größe.edi", "application/edi-x12", b"ISA*00*\r\nGS*\r\n"),
    ]


def test_python_reads_the_same():
    message = reference(compose(DRAFT))
    assert message["From"].addresses[0].display_name == "Müller & Söhne"
    assert message["Subject"] == DRAFT.subject
    assert message["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Loop"] == "edi.example.com"
    assert message.defects == []
    attachments = list(message.iter_attachments())
    assert [each.get_filename() for each in attachments] == ["850.edi", "Größe.edi"]
    assert [each.get_content() for each in attachments] == [EDI, b"ISA*00*\r\nGS*\r\n"]
    assert message.get_body().get_content().replace("\r\n", "\n") == DRAFT.body


def test_the_same_draft_is_the_same_bytes():
    assert compose(DRAFT) == compose(changed())
    assert compose(DRAFT) != compose(changed(message_id="<43@example.com>"))


def test_everything_is_seven_bit_in_short_crlf_lines():
    raw = compose(
        changed(body="ü" * 5_000, subject="ü" * 500, attachments=(Attachment("a", "text/plain", b"\xff" * 9_999),))
    )
    assert raw.isascii()
    assert raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r")
    assert max(map(len, raw.split(b"\r\n"))) <= 78


def test_a_mail_without_attachments_is_plain_text():
    letter = open_letter(compose(changed(attachments=())), Limits())
    assert [part.content_type for part in letter.parts] == ["text/plain"]


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"ISA*00*~\r\nGS*~\r\n", "7bit"),
        (b"", "7bit"),
        (b"ISA*00*~\nGS*~\n", "base64"),
        (b"ISA*00*~", "base64"),
        (b"ISA*00* \r\n", "base64"),
        (b".\r\n", "base64"),
        (b"From here\r\n", "base64"),
        (b"--x\r\n", "base64"),
        (b"x" * 77 + b"\r\n", "base64"),
        (b"x\x1cy\r\n", "base64"),
        ("ü\r\n".encode(), "base64"),
    ],
)
def test_seven_bit_is_used_only_where_no_host_can_change_a_byte(data, encoding):
    (_, part) = open_letter(
        compose(changed(attachments=(Attachment("a.edi", "application/EDI-X12", data),))), Limits()
    ).parts
    assert (part.encoding, part.data) == (encoding, data)


@pytest.mark.parametrize("text", ["x\r\nBcc: evil@example.com", "x\ny", "x\ry", "x\0y", "x\x1by"])
@pytest.mark.parametrize("field", ["subject", "sender_name", "sender", "reply_to", "message_id", "in_reply_to"])
def test_no_value_breaks_out_of_its_header(field, text):
    with pytest.raises(DocumentFault):
        compose(changed(**{field: text}))


@pytest.mark.parametrize(
    "changes",
    [
        {"to": ("a@b.example\r\nBcc: c@d.example",)},
        {"to": ()},
        {"cc": ("a@b.example, c@d.example",)},
        {"references": ("<a@b.example>\r\n",)},
        {"headers": (("X-A", "b\r\nc"),)},
        {"headers": (("X A", "b"),)},
        {"headers": (("X:A", "b"),)},
        {"headers": (("Content-Type", "text/html"),)},
        {"headers": (("Bcc", "a@b.example"),)},
        {"headers": (("From", "a@b.example"),)},
        {"attachments": (Attachment("a\r\nb", "application/EDI-X12", b""),)},
        {"attachments": (Attachment("a", "application/EDI-X12\r\nX: y", b""),)},
        {"attachments": (Attachment("a", "nonsense", b""),)},
        {"message_id": "42@example.com"},
    ],
)
def test_a_draft_that_cannot_be_written_safely_is_refused(changes):
    with pytest.raises(DocumentFault):
        compose(changed(**changes))


@pytest.mark.parametrize(
    "name", ['a "quoted".edi', "back\\slash.edi", "x" * 300 + ".edi", "ü" * 100, "50% off;a=b.edi", "=?utf-8?q?x?="]
)
def test_any_file_name_comes_through(name):
    raw = compose(changed(attachments=(Attachment(name, "application/EDI-X12", EDI),)))
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    if name.isprintable() and "=?" not in name:
        assert next(reference(raw).iter_attachments()).get_filename() == name


@pytest.mark.parametrize("name", ["Smith, John", 'The "EDI" desk', "EDI Desk", "a@b.example", "=?utf-8?q?x?=", "Ünï"])
def test_any_sender_name_leaves_one_plain_sender(name):
    raw = compose(changed(sender_name=name))
    assert open_letter(raw, Limits()).from_address == "edi@example.com"
    assert reference(raw)["From"].addresses[0].addr_spec == "edi@example.com"


@pytest.mark.parametrize(
    "subject", ["", " ", "two  blanks ", "x" * 500, "word " * 60, "=?utf-8?q?x?=", "日本語" * 40, "a" * 75 + " b"]
)
def test_any_subject_comes_through(subject):
    letter = open_letter(compose(changed(subject=subject)), Limits())
    assert letter.subject == " ".join(subject.split())


def test_a_message_id_is_stable_and_plain():
    assert message_id("example.com", "exchange 1") == message_id("Example.COM", "exchange 1")
    assert message_id("example.com", "exchange 1") != message_id("example.com", "exchange 2")
    assert re.fullmatch(r"<[0-9a-f]{40}@example\.com>", message_id("example.com", "x"))
    with pytest.raises(DocumentFault):
        message_id("not a domain", "x")
