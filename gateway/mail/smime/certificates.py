"""X.509 certificates and our own keys: read from files, described for people, made. Pure: bytes in, values out."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from gateway.errors import CertificateUnreadable, CertificateUnusable, GatewayError, SecurityFault
from gateway.mail.smime.keys import (
    KeyPair,
    PrivateKey,
    PublicKey,
    alternative_names,
    der_of,
    fingerprint,
    first_line,
    is_authority,
    load,
    load_key,
)
from gateway.mail.smime.reading import read_kind, read_signed

__all__ = ["Description", "FileContents", "KeyPair", "describe", "fingerprint", "make_key_pair", "read_certificates"]

LARGEST_FILE = 1_000_000  # bytes; a bundle of a few hundred certificates
MOST_CERTIFICATES = 200
_PEM_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_CERTIFICATE_LABELS = frozenset({b"CERTIFICATE", b"X509 CERTIFICATE"})
_PKCS7_LABELS = frozenset({b"PKCS7", b"CMS"})
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")  # its object identifier, in DER
_KEY_USAGES = {
    "digital_signature": "digital signature",
    "content_commitment": "non-repudiation",
    "key_encipherment": "key encipherment",
    "data_encipherment": "data encipherment",
    "key_agreement": "key agreement",
    "key_cert_sign": "certificate signing",
    "crl_sign": "CRL signing",
}
_EXTENDED_USAGES = {
    ExtendedKeyUsageOID.EMAIL_PROTECTION: "e-mail protection",
    ExtendedKeyUsageOID.CLIENT_AUTH: "client authentication",
    ExtendedKeyUsageOID.SERVER_AUTH: "server authentication",
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "any",
}


class FileContents(Struct, frozen=True):
    """What a certificate file held: certificates (DER) in its order, and our own key with its certificate."""

    certificates: tuple[bytes, ...]
    key_pair: KeyPair | None = None


class Description(Struct, frozen=True):
    """A certificate in words. Times are ms since 1970 UTC; ``fingerprint`` is SHA-256 of the DER, lower-case hex."""

    fingerprint: str
    subject: str
    issuer: str
    serial: str  # hex
    emails: tuple[str, ...]  # rfc822Names of the SAN
    names: tuple[str, ...]  # its other names
    not_before: int
    not_after: int
    key: str  # "RSA 2048", "EC secp256r1"
    usages: tuple[str, ...]
    authority: bool
    self_signed: bool


# ---------------------------------------------------------------- reading


def read_certificates(data: bytes, password: str = "", name: str = "the file") -> FileContents:
    """Reads PEM (one or many, with or without a key), DER, PKCS #7 (.p7b, .p7c) or PKCS #12 (.p12, .pfx).

    Certificates come back in the order of the file, each once; of a PKCS #12 file its own certificate is the first.

    Raises:
        CertificateUnreadable: when nothing can be read, the password is wrong, or a key fits no certificate.
    """
    if len(data) > LARGEST_FILE:
        raise CertificateUnreadable(name=name, reason=f"it has more than {LARGEST_FILE} bytes")
    with _reading(name):
        certificates, key = _from_pem(data, password) if b"-----BEGIN " in data else _from_der(data, password)
    certificates = list(dict.fromkeys(certificates))
    if not certificates:
        raise CertificateUnreadable(name=name, reason="there is no certificate in it")
    if len(certificates) > MOST_CERTIFICATES:
        raise CertificateUnreadable(name=name, reason=f"more than {MOST_CERTIFICATES} certificates")
    with _reading(name):
        pair = None if key is None else _pair(certificates, key, name)
        for each in certificates:
            load(each)
    return FileContents(tuple(certificates), pair)


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except (CertificateUnusable, SecurityFault) as problem:
        raise CertificateUnreadable(name=name, reason=problem.details["reason"]) from problem
    except GatewayError:
        raise
    except Exception as problem:
        raise CertificateUnreadable(name=name, reason=first_line(problem)) from problem


def _from_pem(data: bytes, password: str) -> tuple[list[bytes], bytes | None]:
    certificates: list[bytes] = []
    key: bytes | None = None
    for label, block in _pem_blocks(data):
        if label in _CERTIFICATE_LABELS:
            certificates.append(der_of(x509.load_pem_x509_certificate(block)))
        elif label in _PKCS7_LABELS:
            certificates += _from_pkcs7(base64.b64decode(b"".join(block.splitlines()[1:-1]), validate=True))
        elif label.endswith(b"PRIVATE KEY"):
            encrypted = b"ENCRYPTED" in block[:200]
            secret = serialization.load_pem_private_key(block, password.encode() if encrypted else None)
            key = _pkcs8(secret)
    return certificates, key


def _pem_blocks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(label, block with its first and last line), in order."""
    at = 0
    while (found := _PEM_BEGIN.search(data, at)) is not None:
        end = b"-----END " + found[1] + b"-----"
        at = data.find(end, found.end())
        if at < 0:
            return
        at += len(end)
        yield found[1], data[found.start() : at]


def _from_pkcs7(data: bytes) -> tuple[bytes, ...]:
    return read_signed(read_kind(data)[1]).certificates


def _from_der(data: bytes, password: str) -> tuple[list[bytes], bytes | None]:
    """DER has no label: each form is tried, the strictest first."""
    try:
        return [der_of(x509.load_der_x509_certificate(data))], None
    except ValueError:
        pass
    if _SIGNED_DATA in data[:40]:
        return list(_from_pkcs7(data)), None
    secret, own, others = pkcs12.load_key_and_certificates(data, password.encode() if password else None)
    certificates = [*([own] if own is not None else []), *others]
    return [der_of(each) for each in certificates], None if secret is None else _pkcs8(secret)


def _pair(certificates: list[bytes], key: bytes, name: str) -> KeyPair:
    public = _public_bytes(load_key(key).public_key())
    for each in certificates:
        if _public_bytes(load(each).public_key()) == public:
            return KeyPair(each, key)
    raise CertificateUnreadable(name=name, reason="its key belongs to none of its certificates")


def _pkcs8(key: object) -> bytes:
    if not isinstance(key, PrivateKey):
        raise CertificateUnusable(name="key", reason="only RSA and EC keys can be used")
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public_bytes(key: object) -> bytes:
    if not isinstance(key, PublicKey):
        raise CertificateUnusable(name="key", reason="only RSA and EC keys can be used")
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


# ---------------------------------------------------------------- describing


def describe(der: bytes) -> Description:
    """What a certificate says, in words.

    Raises:
        CertificateUnusable: when it is no X.509 certificate.
    """
    certificate = load(der)
    emails, names = alternative_names(certificate)
    return Description(
        fingerprint=fingerprint(der),
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        emails=emails,
        names=names,
        not_before=_milliseconds(certificate.not_valid_before_utc),
        not_after=_milliseconds(certificate.not_valid_after_utc),
        key=_key_in_words(certificate),
        usages=_usages(certificate),
        authority=is_authority(certificate),
        self_signed=certificate.subject == certificate.issuer,
    )


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _key_in_words(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    return type(key).__name__.removesuffix("PublicKey")


def _usages(certificate: x509.Certificate) -> tuple[str, ...]:
    words: list[str] = []
    for extension in certificate.extensions:
        value = extension.value
        if isinstance(value, x509.KeyUsage):
            words += [word for name, word in _KEY_USAGES.items() if getattr(value, name)]
        elif isinstance(value, x509.ExtendedKeyUsage):
            words += [_EXTENDED_USAGES.get(each, each.dotted_string) for each in value]
    return tuple(words)


# ---------------------------------------------------------------- making


def make_key_pair(name: str, address: str, *, at: float, kind: str = "rsa-3072", days: int = 1095) -> KeyPair:
    """A new key of our own and its self-signed certificate, for signing and for being written to.

    ``kind`` is rsa-2048, rsa-3072, rsa-4096 or ec-p256 (signs only: nobody can encrypt mail for it with RSA key
    transport). ``at`` is seconds since 1970 UTC; ``address`` becomes the e-mail address in the SAN.

    Raises:
        CertificateUnusable: for another kind, or a name or address that no certificate can hold.
    """
    if days < 1 or days > 7300:
        raise CertificateUnusable(name=name, reason="it must be valid for 1 to 7300 days")
    key = _new_key(kind)
    try:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = _self_signed(key, subject, x509.RFC822Name(address), datetime.fromtimestamp(at, UTC), days)
    except (ValueError, OverflowError) as problem:
        raise CertificateUnusable(name=name, reason=first_line(problem)) from problem
    return KeyPair(der_of(certificate), _pkcs8(key))


def _new_key(kind: str) -> PrivateKey:
    if kind == "ec-p256":
        return ec.generate_private_key(ec.SECP256R1())
    if kind in {"rsa-2048", "rsa-3072", "rsa-4096"}:
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[4:]))
    raise CertificateUnusable(name=kind, reason="a key is rsa-2048, rsa-3072, rsa-4096 or ec-p256")


def _self_signed(
    key: PrivateKey, subject: x509.Name, address: x509.RFC822Name, start: datetime, days: int
) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=isinstance(key, rsa.RSAPrivateKey),
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - timedelta(hours=1))  # the partner's clock may be behind
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
