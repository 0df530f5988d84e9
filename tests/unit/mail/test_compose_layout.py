"""How a mail is laid out: attachment or body, packed or not, and in which transfer encoding."""

from __future__ import annotations

import email
import email.policy
import gzip
import io
import zipfile

import pytest
from msgspec.structs import replace

from gateway.errors import DocumentFault
from gateway.mail.compose import compose, entity, letter
from gateway.mail.model import Attachment, Draft

EDI = b"ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *240101*1200*U*00401*000000001*0*P*>~"
LINES = b"ISA*00*\r\nGS*IN*\r\nIEA*1*000000001~\r\n"
DRAFT = Draft(
    sender="edi@example.com",
    to=("in@partner.example",),
    subject="850",
    message_id="<42@example.com>",
    body="see attachment",
    attachments=(Attachment("850.edi", "application/EDI-X12", EDI),),
    date=1_700_000_000.0,
)


def read(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


def files(**changes):
    mail = read(compose(replace(DRAFT, **changes)))
    return [(part.get_filename(), part.get_content_type(), part.get_payload(decode=True)) for part in mail.walk()
            if not part.is_multipart() and part.get_content_maintype() != "text"]  # fmt: skip


def test_in_the_body_the_document_is_all_of_the_mail():
    mail = read(compose(replace(DRAFT, place="body")))
    assert not mail.is_multipart()
    assert (mail.get_content_type(), mail.get_filename()) == ("application/edi-x12", "850.edi")
    assert mail.get_payload(decode=True) == EDI


def test_a_gzipped_attachment_is_the_document_when_opened():
    ((name, kind, data),) = files(compress="gzip")
    assert (name, kind) == ("850.edi.gz", "application/gzip")
    assert gzip.decompress(data) == EDI


def test_a_zipped_attachment_holds_the_document_under_its_name():
    ((name, kind, data),) = files(compress="zip")
    assert (name, kind) == ("850.edi.zip", "application/zip")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["850.edi"]
        assert archive.read("850.edi") == EDI


@pytest.mark.parametrize("compress", ["none", "gzip", "zip"])
@pytest.mark.parametrize("place", ["attachment", "body"])
def test_the_same_draft_is_the_same_bytes(compress, place):
    draft = replace(DRAFT, compress=compress, place=place)
    assert compose(draft) == compose(draft)


@pytest.mark.parametrize(
    ("encoding", "data", "used"),
    [
        ("auto", LINES, "7bit"),
        ("auto", EDI, "base64"),
        ("base64", LINES, "base64"),
        ("7bit", LINES, "7bit"),
        ("7bit", b"x" * 998 + b"\r\n.\r\nFrom here\r\n", "7bit"),
    ],
)
def test_the_transfer_encoding_is_the_one_that_was_agreed(encoding, data, used):
    changed = replace(
        DRAFT, transfer_encoding=encoding, attachments=(Attachment("a.edi", "application/EDI-X12", data),)
    )
    part = next(each for each in read(compose(changed)).walk() if each.get_filename())
    assert part["Content-Transfer-Encoding"] == used
    assert part.get_payload(decode=True) == data


@pytest.mark.parametrize("data", [b"x" * 999, b"a\nb", b"a\rb", b"\xe9", b"a\0b"])
def test_what_7bit_cannot_carry_is_refused_and_never_changed(data):
    draft = replace(DRAFT, transfer_encoding="7bit", attachments=(Attachment("a.edi", "application/EDI-X12", data),))
    with pytest.raises(DocumentFault, match="7bit"):
        compose(draft)


def test_a_mail_is_its_headers_around_its_entity():
    assert compose(DRAFT) == letter(DRAFT, entity(DRAFT))
    assert entity(DRAFT).startswith(b"Content-Type: multipart/mixed;")
