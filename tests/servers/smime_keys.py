"""Keys, certificates and an authority for S/MIME tests, made anew in every run; and their files for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.mail.smime.certificates import make_key_pair
from gateway.mail.smime.keys import KeyPair, load, load_key

NOW = datetime.now(UTC).timestamp()
DAY = 86_400.0


@cache
def pair(name: str = "acme", kind: str = "rsa-2048") -> KeyPair:
    """A key pair of that name; the same within one run."""
    return make_key_pair(name, f"edi@{name}.example", at=NOW - DAY, kind=kind)


@dataclass(frozen=True)
class Files:
    """A certificate and its key as PEM files."""

    certificate: Path
    key: Path


def write(given: KeyPair, directory: Path, name: str) -> Files:
    files = Files(directory / f"{name}.pem", directory / f"{name}.key")
    files.certificate.write_bytes(load(given.certificate).public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(pkcs8(load_key(given.key), serialization.Encoding.PEM))
    return files


def pkcs8(key, encoding=serialization.Encoding.DER) -> bytes:
    return key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


# ---------------------------------------------------------------- certificates of any shape


@cache
def rsa_key(name: str, bits: int = 2048):
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@dataclass(frozen=True)
class Authority:
    """A certificate authority."""

    certificate: bytes
    name: x509.Name
    key: rsa.RSAPrivateKey


@cache
def authority(name: str = "Test authority", issuer: Authority | None = None) -> Authority:
    key, subject = rsa_key(name), named(name)
    builder = (
        _builder(subject, issuer.name if issuer else subject, key, NOW - 30 * DAY, NOW + 300 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    signer = issuer.key if issuer else key
    builder = builder.add_extension(_authority_key(signer), critical=False)
    return Authority(_der(builder.sign(signer, hashes.SHA256())), subject, key)


def issued(
    by: Authority,
    *,
    address: str | None = "edi@acme.example",
    usage: tuple[str, ...] | None = ("digital_signature", "key_encipherment"),
    purposes=(ExtendedKeyUsageOID.EMAIL_PROTECTION,),
    start: float = NOW - DAY,
    end: float = NOW + 100 * DAY,
    name: str = "leaf",
    bits: int = 2048,
    strange: bool = False,
    identified: bool = True,
) -> KeyPair:
    """A certificate that an authority issued, and its key; a ``strange`` one has an unknown critical extension."""
    key = rsa_key(name, bits)
    builder = _builder(named(name), by.name, key, start, end)
    builder = builder.add_extension(_authority_key(by.key), critical=False)
    if identified:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    if address:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
    if usage is not None:
        builder = builder.add_extension(_usage(**dict.fromkeys(usage, True)), critical=True)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(purposes)), critical=False)
    if strange:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00")
        builder = builder.add_extension(unknown, critical=True)
    return KeyPair(_der(builder.sign(by.key, hashes.SHA256())), pkcs8(key))


def self_signed(**given) -> KeyPair:
    """A certificate that nobody else vouches for, of any shape that ``issued`` makes."""
    name = given.get("name", "leaf")
    key = rsa_key(name, given.get("bits", 2048))
    return issued(Authority(b"", named(name), key), **given)


def _authority_key(key):
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _usage(**given) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{each: given.get(each, False) for each in names})


def _builder(subject, issuer, key, start, end):
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(start, UTC))
        .not_valid_after(datetime.fromtimestamp(end, UTC) + timedelta(seconds=1))
    )


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _der(certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)
