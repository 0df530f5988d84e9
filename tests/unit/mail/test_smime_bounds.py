"""S/MIME from strangers costs no more than its size: bombs, endless nesting, and honest large content."""

from __future__ import annotations

import resource
import time
import zlib

import pytest
from builders.ber import streamed, tlv
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from servers.smime_keys import NOW, pair

from gateway.errors import CompressionBomb, DecompressionFailed, GatewayError, SecurityMalformed
from gateway.mail.smime import ber
from gateway.mail.smime import structures as asn1
from gateway.mail.smime.ber import definite
from gateway.mail.smime.compressing import compress
from gateway.mail.smime.entities import pkcs7_mime
from gateway.mail.smime.enveloping import envelope
from gateway.mail.smime.keys import load
from gateway.mail.smime.layers import Plan, open_layers, secure
from gateway.mail.smime.reading import Identifier, _same_name
from gateway.mail.smime.signing import sign
from gateway.settings.model import Limits

ACME, US = pair("acme"), pair("us")


def opened(entity, limits=None):
    return open_layers(entity, limits=limits or Limits(), keys=[US], trusted=[ACME.certificate], at=NOW)


def compressed(stream: bytes) -> bytes:
    inner = {"content_type": asn1.DATA, "content": stream}
    content = asn1.CompressedData({"version": 0, "algorithm": {"algorithm": asn1.ZLIB}, "content": inner})
    return asn1.Content({"content_type": asn1.COMPRESSED_DATA, "content": content}).dump()


# ---------------------------------------------------------------- BER


@pytest.mark.parametrize("definite_strings", [False, True])
@pytest.mark.parametrize("chunk", [1, 5, 1_000])
def test_streamed_ber_becomes_the_der_that_it_stands_for(chunk, definite_strings):
    content = b"Content-Type: text/plain\r\n\r\nhello\r\n"
    for der in (
        sign(content, ACME, detached=False),
        compress(content),
        envelope(content, [US.certificate]),
        envelope(content, [US.certificate], cipher="aes-128-gcm", key_transport="rsa-oaep"),
    ):
        assert definite(der) is der
        assert definite(streamed(der, chunk, definite_strings=definite_strings)) == der


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x30", b"\x30\x80", b"\x30\x80\0", b"\x30\x05\x02\x01\x01", b"\x04\x80\0\0", b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x89" + b"\xff" * 9, b"\x3f\x01\0", b"\0\0", b"\x30\0\0", b"\x24\x80\x02\x01\x01\0\0",
        b"\x30\x80" * 2_000, b"\x30\x80\x24\x80" * 30,
    ],
)  # fmt: skip
def test_broken_ber_is_refused_in_words(data):
    with pytest.raises(SecurityMalformed):
        definite(data)


def test_nesting_without_end_is_cut_off_early():
    data = b"\x05\0"
    for _ in range(ber.DEEPEST + 5):
        data = tlv(0x30, data)
    with pytest.raises(SecurityMalformed, match="deeper"):
        definite(data)


def test_elements_without_end_are_cut_off():
    before = time.process_time()
    with pytest.raises(SecurityMalformed, match="elements"):
        definite(tlv(0x30, b"\x05\0" * 2_000_000))
    assert time.process_time() - before < 5


def test_an_endless_object_identifier_is_refused_before_it_is_read():
    """Of 200 kB it would take asn1crypto seven seconds, of a megabyte minutes."""
    data = tlv(0x30, tlv(0x06, b"\x2a" + b"\x81" * 400_000 + b"\x01"))
    with pytest.raises(SecurityMalformed, match="identifier"):
        definite(data)


def test_a_long_name_is_not_compared_with_that_of_every_certificate():
    """The serial number fits each time, so that only the names tell them apart; comparing them all took seconds."""
    certificate = load(ACME.certificate)
    common_name = tlv(0x06, b"\x55\x04\x03") + tlv(0x0C, b"a " * 100_000)
    name = tlv(0x30, tlv(0x31, tlv(0x30, common_name)))
    stranger = Identifier(issuer=name, serial=certificate.serial_number)
    before = time.process_time()
    assert not any(stranger.names(certificate) for _ in range(50))
    assert "unreadable" in stranger.in_words()
    assert time.process_time() - before < 1


def test_a_name_written_in_other_letters_is_the_same():
    def name(text, kind=_ASN1Type.UTF8String):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text, kind)]).public_bytes()

    assert _same_name(name("ACME  Retail"), name("acme retail", _ASN1Type.PrintableString))
    assert not _same_name(name("acme retail"), name("acme retai1"))
    assert not _same_name(b"\x30\x01", b"\x30\x02")


# ---------------------------------------------------------------- compression


def test_a_bomb_is_put_out_at_its_bound():
    """One gigabyte of zeros in one megabyte, and what is held of it while we look."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CompressionBomb):
        opened(pkcs7_mime(compressed(packed), "compressed-data"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000  # kB


def test_the_bounds_are_those_of_the_settings():
    entity = b"Content-Type: text/plain\r\n\r\n" + bytes(range(32, 127)) * 50_000
    packed = pkcs7_mime(compress(entity), "compressed-data")
    assert opened(packed, Limits(decompression_ratio=10_000)).entity == entity
    with pytest.raises(CompressionBomb):
        opened(packed, Limits(decompression_ratio=10))
    with pytest.raises(CompressionBomb):
        opened(packed, Limits(decompressed=len(entity) - 1, decompression_ratio=10_000))


def test_bombs_inside_bombs_do_not_multiply():
    """Every layer is within the bound by itself, and the layers are few."""
    entity = b"Content-Type: text/plain\r\n\r\n" + bytes(900_000)
    for _ in range(5):
        entity = pkcs7_mime(compress(entity), "compressed-data")
    assert len(opened(entity).entity) < 1_000_000


def test_layers_share_one_allowance():
    """Each layer is within the ratio by itself; together they make 20 MB of one kB."""
    limits = Limits(decompression_ratio=1_100)
    entity = b"Content-Type: text/plain\r\n\r\n" + bytes(20_000_000)
    entity = pkcs7_mime(compress(entity), "compressed-data")
    assert len(opened(entity, limits).entity) > 20_000_000
    entity = pkcs7_mime(compress(entity), "compressed-data")
    assert len(entity) < 10_000
    with pytest.raises(CompressionBomb):
        opened(entity, limits)


@pytest.mark.parametrize(
    "stream",
    [b"", b"no zlib", zlib.compress(b"x" * 100)[:-5], zlib.compress(b"x") + b"more"],
    ids=["empty", "other", "cut off", "followed"],
)
def test_damaged_compression_is_refused(stream):
    with pytest.raises(DecompressionFailed):
        opened(pkcs7_mime(compressed(stream), "compressed-data"))


# ---------------------------------------------------------------- large content


def test_ten_megabytes_go_through_all_layers_in_seconds():
    entity = b"Content-Type: application/EDI-X12\r\n\r\n" + b"REF*IA*0123456789~\r\n" * 500_000
    plan = Plan(sign_with=ACME, encrypt_for=(US.certificate,), at=NOW)
    before = time.process_time()
    made = secure(entity, plan)
    found = opened(made.entity)
    assert found.entity == entity
    assert found.mic() == made.mic
    assert time.process_time() - before < 10


def test_ten_megabytes_in_small_chunks_are_read():
    content = b"Content-Type: text/plain\r\n\r\n" + bytes(10_000_000)
    cms = streamed(sign(content, ACME, detached=False), 1_000)
    before = time.process_time()
    assert opened(pkcs7_mime(cms, "signed-data")).entity == content
    assert time.process_time() - before < 10


def test_a_boundary_that_is_imitated_again_and_again_costs_little():
    """A quadratic reader would need minutes."""
    body = b"--b\r\nContent-Type: text/plain\r\n\r\n" + b"--bx\r\n" * 90_000
    head = b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=b\r\n\r\n'
    before = time.process_time()
    with pytest.raises(GatewayError):
        opened(head + body)
    assert time.process_time() - before < 5
