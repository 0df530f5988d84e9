"""A certificate and a private key as objects: loaded once, asked for what they say. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.errors import CertificateUnusable

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate (DER) with its private key (unencrypted PKCS #8, DER). The key never shows in a repr."""

    certificate: bytes
    key: bytes = field(repr=False)


def fingerprint(der: bytes) -> str:
    """SHA-256 of the DER, in lower-case hex."""
    return hashlib.sha256(der).hexdigest()


@lru_cache(maxsize=256)
def load(der: bytes) -> x509.Certificate:
    """A certificate as an object, kept for the next message of the same partner.

    Raises:
        CertificateUnusable: when it is no X.509 certificate.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.extensions, certificate.subject, certificate.issuer, certificate.public_key()  # read on demand
    except Exception as problem:
        raise CertificateUnusable(name=fingerprint(der)[:16], reason=first_line(problem)) from problem
    return certificate


@lru_cache(maxsize=32)
def load_key(key: bytes) -> PrivateKey:
    """A private key as an object; checking an RSA key costs more than a signature, so it is done once.

    Raises:
        CertificateUnusable: when it is no RSA or EC key in PKCS #8.
    """
    try:
        found = serialization.load_der_private_key(key, None)
    except Exception as problem:
        raise CertificateUnusable(name="key", reason="it is no private key in PKCS #8") from problem
    if not isinstance(found, PrivateKey):
        raise CertificateUnusable(name="key", reason="only RSA and EC keys can be used")
    return found


def der_of(certificate: x509.Certificate) -> bytes:
    """A certificate's DER."""
    return certificate.public_bytes(serialization.Encoding.DER)


def emails_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The e-mail addresses in the subject alternative name, as written."""
    return alternative_names(certificate)[0]


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether a certificate may vouch for others (basicConstraints)."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def alternative_names(certificate: x509.Certificate) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The subject alternative names: (e-mail addresses, others)."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), ()
    emails = tuple(str(each.value) for each in found if isinstance(each, x509.RFC822Name))
    return emails, tuple(str(each.value) for each in found if not isinstance(each, x509.RFC822Name))


def first_line(problem: BaseException) -> str:
    """What an exception says, as one short line."""
    return (str(problem).strip().partition("\n")[0] or type(problem).__name__)[:200]
