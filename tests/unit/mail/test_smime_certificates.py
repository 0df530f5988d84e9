"""Certificates in every form that partners mail them."""

from __future__ import annotations

import pytest
from builders.ber import streamed
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12
from servers.smime_keys import DAY, NOW, authority, issued, pair

from gateway.errors import CertificateUnreadable, CertificateUnusable
from gateway.mail.smime.certificates import LARGEST_FILE, FileContents, describe, make_key_pair, read_certificates
from gateway.mail.smime.keys import fingerprint, load, load_key

ENCODINGS = (serialization.Encoding.PEM, serialization.Encoding.DER)


def pem(der: bytes) -> bytes:
    return load(der).public_bytes(serialization.Encoding.PEM)


def key_pem(given, password=b"") -> bytes:
    protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return load_key(given.key).private_bytes(ENCODINGS[0], serialization.PrivateFormat.PKCS8, protection)


def test_pem_and_der_are_read():
    der = pair("acme").certificate
    assert read_certificates(der) == FileContents((der,))
    assert read_certificates(b"Our certificate:\n\n" + pem(der)) == FileContents((der,))


def test_pem_with_many_certificates_keeps_their_order_and_each_once():
    one, two = pair("acme").certificate, pair("us").certificate
    assert read_certificates(pem(two) + pem(one) + pem(two)).certificates == (two, one)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_pkcs7_bundles_are_read(encoding):
    bundle = [pair("acme").certificate, pair("us").certificate]
    data = pkcs7.serialize_certificates([load(each) for each in bundle], encoding)
    assert set(read_certificates(data).certificates) == set(bundle)
    if encoding is serialization.Encoding.DER:
        assert set(read_certificates(streamed(data)).certificates) == set(bundle)


def test_pkcs12_gives_the_key_with_its_certificate_first():
    root = authority()
    given = issued(root)
    protection = serialization.BestAvailableEncryption(b"word")
    data = pkcs12.serialize_key_and_certificates(
        b"acme", load_key(given.key), load(given.certificate), [load(root.certificate)], protection
    )
    found = read_certificates(data, "word")
    assert found == FileContents((given.certificate, root.certificate), given)
    with pytest.raises(CertificateUnreadable):
        read_certificates(data, "wrong")


def test_a_traditional_encrypted_key_is_read():
    given = pair("acme")
    key = load_key(given.key).private_bytes(
        ENCODINGS[0], serialization.PrivateFormat.TraditionalOpenSSL, serialization.BestAvailableEncryption(b"word")
    )
    assert read_certificates(key + pem(given.certificate), "word").key_pair == given


@pytest.mark.parametrize("password", [b"", b"word"])
def test_pem_key_finds_its_certificate(password):
    given = pair("acme")
    data = key_pem(given, password) + pem(pair("us").certificate) + pem(given.certificate)
    assert read_certificates(data, password.decode()).key_pair == given


@pytest.mark.parametrize(
    "data",
    [
        b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\x30\x80" * 5_000,
        b"\x30\x03\x02\x01\x03", b"x" * (LARGEST_FILE + 1),
    ],
)  # fmt: skip
def test_what_is_no_certificate_is_refused_in_words(data):
    with pytest.raises(CertificateUnreadable):
        read_certificates(data, "word", "partner.pem")


def test_a_key_that_fits_no_certificate_is_refused():
    with pytest.raises(CertificateUnreadable, match="belongs to none"):
        read_certificates(key_pem(pair("us")) + pem(pair("acme").certificate))


def test_keys_that_cannot_sign_mail_are_refused():
    key = ed25519.Ed25519PrivateKey.generate()
    data = key.private_bytes(ENCODINGS[0], serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with pytest.raises(CertificateUnreadable, match="RSA and EC"):
        read_certificates(data + pem(pair("acme").certificate))


def test_every_cut_of_a_certificate_is_refused_and_nothing_else_happens():
    der = pair("acme").certificate
    for end in range(0, len(der), 7):
        with pytest.raises(CertificateUnreadable):
            read_certificates(der[:end])


def test_a_key_of_our_own_says_what_it_is_for():
    found = describe(make_key_pair("Acme Ltd", "edi@acme.example", at=NOW, kind="ec-p256", days=10).certificate)
    assert (found.subject, found.emails, found.key) == ("CN=Acme Ltd", ("edi@acme.example",), "EC secp256r1")
    assert found.self_signed
    assert not found.authority
    assert "key encipherment" not in found.usages
    assert {"digital signature", "e-mail protection"} <= set(found.usages)
    assert found.not_before < NOW * 1000 < found.not_after <= (NOW + 10 * DAY) * 1000 + 1000


def test_a_description_tells_authority_and_issuer():
    found = describe(issued(authority()).certificate)
    assert (found.issuer, found.self_signed) == ("CN=Test authority", False)
    assert describe(authority().certificate).authority


def test_the_private_key_shows_in_no_repr():
    given = pair("acme")
    assert repr(given.key) not in repr(given)
    assert "key=" not in repr(given)


@pytest.mark.parametrize(
    ("kind", "address", "days"),
    [("rsa-1024", "a@b.example", 10), ("rsa-2048", "ä@b.example", 10), ("rsa-2048", "a@b.example", 0)],
)
def test_a_key_pair_of_no_use_is_not_made(kind, address, days):
    with pytest.raises(CertificateUnusable):
        make_key_pair("Acme", address, at=NOW, kind=kind, days=days)


def test_the_fingerprint_is_that_of_other_programs():
    from cryptography.hazmat.primitives import hashes

    der = pair("acme").certificate
    assert fingerprint(der) == load(der).fingerprint(hashes.SHA256()).hex()
