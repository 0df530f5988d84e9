"""Keys and certificates made for a test, with openssl-like freedom: any key, usage and time."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

WHEN = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Made:
    """A key and its certificate, in every form that a test wants."""

    key: object
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def private(self) -> bytes:
        """PKCS #8, DER."""
        return self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    @property
    def private_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def p12(self, password: bytes, *others: Made) -> bytes:
        chain = [each.certificate for each in others]
        return pkcs12.serialize_key_and_certificates(
            b"key", self.key, self.certificate, chain, BestAvailableEncryption(password)
        )


@functools.cache
def _key(kind: str, number: int):
    """Keys are slow to make: the same few serve all tests of a process."""
    del number
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, int(kind))


def make(
    name: str = "acme",
    *,
    kind: str = "2048",
    number: int = 0,
    start: datetime = WHEN,
    days: int = 365,
    issuer: Made | None = None,
    authority: bool = False,
    usage: tuple[str, ...] = (),
    address: str = "",
) -> Made:
    """A certificate of ``name``, self-signed unless an ``issuer`` is given; ``number`` chooses another key."""
    key = _key(kind, number)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if address:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
    if usage:
        flags = dict.fromkeys(
            (
                *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
                *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
            ),
            False,
        )
        builder = builder.add_extension(x509.KeyUsage(**flags | dict.fromkeys(usage, True)), critical=True)
    return Made(key, builder.sign(issuer.key if issuer else key, hashes.SHA256()))
