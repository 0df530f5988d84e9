"""Whatever bytes come: a mail opens or is quarantined, and what we write is read back."""

from __future__ import annotations

import base64
import binascii
import quopri
import string
from unittest import mock

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import DocumentFault, MessageFault
from gateway.mail import decode as decoding
from gateway.mail.addresses import address_list, normalise, single_sender
from gateway.mail.archives import contents
from gateway.mail.compose import compose
from gateway.mail.decode import decode
from gateway.mail.labels import LABEL, label
from gateway.mail.letters import open_letter
from gateway.mail.model import Attachment, Draft, Part
from gateway.mail.smtp import stuffed
from gateway.settings.model import Limits

LIMITS = Limits(message_size=100_000, header_block=2_000, headers=40, header_line=900, parts=20, depth=4)

# Pieces that MIME readers trip over, put together at random.
PIECES = st.sampled_from(
    [
        b"From: a@b.example\r\n", b"From: ", b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"\r\n", b"\n", b"\r", b" ",
        b"--b\r\n", b"--b--\r\n", b"--b", b"Content-Type: message/rfc822\r\n", b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n", b"ISA*00*", b"SVNBKg==", b"=", b"=4", b"=?utf-8?b?w6Q=?=",
        b"Content-Disposition: attachment; filename=", b"filename*0*=utf-8''%",
        b'"', b"\\", b"(", b"<", b">", b";", b":",
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n",
        b"Auto-Submitted: auto-replied\r\n",
        b"Content-Type: message/delivery-status\r\n", b"Final-Recipient: rfc822; x@y.example\r\n",
        b"Action: failed\r\n",
        b"Content-Type: multipart/signed; boundary=b\r\n", b"\0", b"\xff", b"x" * 100,
        b"Message-ID: <1@b.example>\r\n",
    ]
)  # fmt: skip
MAILS = st.lists(PIECES, max_size=60).map(b"".join) | st.binary(max_size=3_000)


@given(MAILS)
@example(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b")
def test_any_bytes_open_or_are_quarantined(raw):
    try:
        letter = open_letter(raw, LIMITS)
    except MessageFault:
        return
    assert letter.kind in {"letter", "bounce", "receipt", "auto-reply"}
    assert len(letter.parts) <= LIMITS.parts
    assert bool(letter.from_address) != bool(letter.sender_problem)
    assert sum(len(part.data) for part in letter.parts) <= len(raw)
    for text in (letter.subject, letter.message_id, letter.date, *(part.file_name for part in letter.parts)):
        assert text.isprintable() or not set(text) & set(map(chr, range(32)))


@given(st.text(max_size=400))
def test_any_text_is_one_sender_or_a_problem(text):
    address, problem = single_sender([text])
    assert bool(address) != bool(problem)
    if address:
        assert normalise(address) == address
    assert all(normalise(each) == each for each in address_list(text))


@given(st.text(max_size=400))
def test_any_file_name_becomes_a_harmless_label(name):
    text = label(name)
    assert len(text) <= LABEL
    assert not set(text) & set("/\\\r\n\0")
    assert text not in {".", ".."}
    assert text == text.strip()


@given(st.binary(max_size=2_000), st.sampled_from(["base64", "quoted-printable", "7bit", "x-other"]))
def test_decoding_never_fails_and_never_grows(body, encoding):
    content, _ = decode(body, encoding)
    assert len(content) <= len(body)


@given(st.binary(max_size=2_000))
def test_stuffed_mail_has_no_bare_line_end_and_no_lone_dot(raw):
    wire = stuffed(raw)
    assert wire.count(b"\r") == wire.count(b"\n") == wire.count(b"\r\n")
    assert b"\r\n.\r\n" not in b"\r\n" + wire
    assert wire.endswith(b"\r\n")


@given(
    subject=st.text(max_size=200),
    name=st.text(max_size=100),
    file_name=st.text(max_size=100),
    body=st.text(alphabet=string.printable + "äß日", max_size=300),
    data=st.binary(max_size=500),
)
def test_what_is_written_is_read_back_or_refused(subject, name, file_name, body, data):
    draft = Draft(
        sender="us@example.com", sender_name=name, to=("you@partner.example",), subject=subject,
        message_id="<1@example.com>", body=body, attachments=(Attachment(file_name, "application/EDI-X12", data),),
    )  # fmt: skip
    try:
        raw = compose(draft)
    except DocumentFault:
        return
    letter = open_letter(raw, Limits())
    assert raw.isascii()
    assert letter.from_address == "us@example.com"
    assert letter.to == ("you@partner.example",)
    assert [part.data for part in letter.parts][1] == data
    assert letter.parts[1].damage == ""


BASE64 = st.text("ABz09+/=\r\n !-", max_size=60).map(str.encode) | st.binary(max_size=60).map(base64.encodebytes)


@given(st.lists(BASE64, max_size=4).map(b"".join))
def test_base64_is_taken_only_where_python_s_own_strict_decoder_says_the_same(body):
    content, damage = decode(body, "base64")
    if not damage:
        assert content == binascii.a2b_base64(body.translate(None, b" \t\r\n"), strict_mode=True)


@given(st.lists(BASE64, max_size=6).map(b"".join), st.integers(1, 40))
def test_base64_in_blocks_says_what_it_says_as_a_whole(body, size):
    whole = decode(body, "base64")
    with mock.patch.object(decoding, "BLOCK", size):
        content, damage = decode(body, "base64")
    assert bool(damage) == bool(whole[1])
    if not damage:
        assert content == whole[0]


@given(st.binary(max_size=300), st.integers(1, 40))
def test_quoted_printable_in_blocks_says_what_was_written(data, size):
    body = quopri.encodestring(data.replace(b"\r", b""))
    with mock.patch.object(decoding, "BLOCK", size):
        assert decode(body, "quoted-printable") == (data.replace(b"\r", b""), "")


@given(
    st.sampled_from([b"PK\x03\x04", b"\x1f\x8b\x08", b"\x78\x9f\x3e\x22\x01\x00", b""]),
    st.binary(max_size=300),
    st.sampled_from([b"", b"PK\x05\x06" + b"\0" * 18, b"PK\x01\x02"]),
)
def test_any_file_is_opened_or_quarantined(magic, middle, end):
    part = Part("1", "application/octet-stream", "x", "", "base64", magic + middle + end)
    try:
        found = contents(part, LIMITS)
    except MessageFault:
        return
    assert all(len(each.data) <= 1_000_000 for each in found)
