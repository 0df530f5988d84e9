"""X.509 certificates of partners (RFC 5280): read from what partners send, described in words, chosen by their time.

Pure. A certificate is known by its fingerprint, the SHA-256 of its DER bytes. Whom it belongs to is what a
person confirmed, never what is written in it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7, pkcs12
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID
from msgspec import Struct

from gateway.errors import CertificateUnreadable
from partners.model import Certificate, CertificateState, Partner

DAY = 86_400_000  # ms
WARN_DAYS = (7, 30, 60)  # so long before its end a certificate is spoken of, ever louder
LARGEST = 1_000_000  # bytes of a file
_MOST = 50  # certificates in a file
_PURPOSES = {ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
_WEAK_RSA = 2048
_HEX = re.compile(r"[0-9a-f]+")


class Description(Struct, frozen=True):
    """What is written in a certificate. Times are ms since 1970 UTC; ``key`` is in words: "RSA 3072", "EC secp256r1".

    ``signs`` and ``encrypts`` say whether its key and key usage (RFC 5280 section 4.2.1.3) allow S/MIME signatures,
    and encryption of mail for its owner. ``problem`` says why it should not be trusted at all, or is empty.
    """

    der: bytes
    fingerprint: str
    subject: str
    issuer: str
    serial: str
    not_before: int
    not_after: int
    addresses: tuple[str, ...]
    key: str
    signs: bool
    encrypts: bool
    authority: bool = False  # it may issue certificates: trusted, it vouches for those of the partner's addresses
    problem: str = ""

    @property
    def proves(self) -> bool:
        """Whether it can prove a signature, by itself or by vouching for who signed."""
        return self.signs or self.authority

    @property
    def self_signed(self) -> bool:
        """Whether its owner issued it."""
        return self.subject == self.issuer


def read_certificates(data: bytes, name: str, password: bytes | None = None) -> tuple[Description, ...]:
    """The certificates in a file that a partner sent: PEM, DER, PKCS #7 (.p7b, .p7c) or PKCS #12.

    The authorities that issued another certificate of the same file are left out: a partner is proved by its own.

    Args:
        data: the file.
        name: what it is called, for people.
        password: of a PKCS #12 file.

    Raises:
        CertificateUnreadable: it holds none.
    """
    if len(data) > LARGEST:
        raise CertificateUnreadable(name=name, reason=f"it has more than {LARGEST} bytes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)  # what others wrote is not ours to correct
        found = _read(data, password)
        if not found:
            reason = "it is neither PEM, DER, PKCS #7 nor PKCS #12" + ("" if password else " without a password")
            raise CertificateUnreadable(name=name, reason=reason)
        if len(found) > _MOST:
            raise CertificateUnreadable(name=name, reason=f"it holds more than {_MOST} certificates")
        try:
            return tuple(describe(each.public_bytes(Encoding.DER)) for each in _own(found))
        except ValueError as problem:
            raise CertificateUnreadable(name=name, reason=str(problem)) from None


@lru_cache(maxsize=1_000)
def describe(der: bytes) -> Description:
    """What is written in a certificate.

    Raises:
        ValueError: it is none, or is broken.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        certificate = x509.load_der_x509_certificate(der)
        return Description(
            der=der,
            fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
            subject=_line(certificate.subject.rfc4514_string()),
            issuer=_line(certificate.issuer.rfc4514_string()),
            serial=f"{certificate.serial_number:x}",
            not_before=_milliseconds(certificate.not_valid_before_utc),
            not_after=_milliseconds(certificate.not_valid_after_utc),
            addresses=_addresses(certificate),
            key=_key(certificate),
            signs=_usable(certificate, ("digital_signature", "content_commitment")),
            encrypts=_is_rsa(certificate) and _usable(certificate, ("key_encipherment",)),
            authority=_is_authority(certificate),
            problem=_problem(certificate),
        )


def valid_at(certificate: Certificate, now: int) -> bool:
    """Whether a certificate has begun and not ended at ``now`` (ms since 1970 UTC)."""
    return certificate.not_before <= now <= certificate.not_after


def trusted(partner: Partner) -> tuple[Certificate, ...]:
    """The certificates that prove the partner, the newest first; whether they are valid yet or still is not asked."""
    chosen = [each for each in partner.certificates if each.state is CertificateState.TRUSTED]
    return tuple(sorted(chosen, key=lambda each: (-each.not_before, each.fingerprint)))


def refuse_unusable(certificate: Certificate, now: int) -> None:
    """Nobody is to trust what can prove and encrypt nothing.

    Raises:
        CertificateUnreadable: it is broken, it ended, or its key usage allows neither.
    """
    found = describe(certificate.der)
    over = "it ended already" if found.not_after < now else ""
    idle = "" if found.proves or found.encrypts else "its key usage allows neither signatures nor encryption of mail"
    if reason := found.problem or over or idle:
        raise CertificateUnreadable(name=found.fingerprint[:16], reason=reason)


def for_encryption(partner: Partner, now: int) -> tuple[Certificate, ...]:
    """The certificates that a mail to the partner is encrypted for: trusted, valid now, of a fitting key."""
    return tuple(each for each in trusted(partner) if valid_at(each, now) and describe(each.der).encrypts)


def days_left(not_after: int, now: int) -> int:
    """Whole days until the end; negative when it is over."""
    return (not_after - now) // DAY


def grouped(fingerprint: str) -> str:
    """A fingerprint as people compare it by telephone: groups of four, in capitals."""
    text = fingerprint.upper()
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def plain_fingerprint(text: str) -> str:
    """A fingerprint however it was typed (groups, colons, capitals), as it is kept.

    Raises:
        ValueError: it has other characters than those of a hexadecimal number.
    """
    plain = re.sub(r"[\s:.-]", "", text).lower().removeprefix("sha256")
    if not _HEX.fullmatch(plain) or len(plain) > 64:
        raise ValueError(f"{text!r} is not a SHA-256 fingerprint: write up to 64 hexadecimal digits")
    return plain


# ---------------------------------------------------------------- reading


def _read(data: bytes, password: bytes | None) -> Sequence[x509.Certificate]:
    """What the first kind of file that fits holds; nothing where none does."""
    if b"-----BEGIN CERTIFICATE-----" in data:
        return _attempt(lambda: x509.load_pem_x509_certificates(data))
    if b"-----BEGIN PKCS7-----" in data:
        return _attempt(lambda: pkcs7.load_pem_pkcs7_certificates(data))
    return (
        _attempt(lambda: [x509.load_der_x509_certificate(data)])
        or _attempt(lambda: pkcs7.load_der_pkcs7_certificates(data))
        or _attempt(lambda: _pkcs12(data, password))
    )


def _attempt(read: Callable[[], Sequence[x509.Certificate]]) -> Sequence[x509.Certificate]:
    try:
        found = read()
    except Exception:  # noqa: BLE001 - the parsers raise many kinds; another kind of file is tried next
        return ()
    return found


def _pkcs12(data: bytes, password: bytes | None) -> list[x509.Certificate]:
    found = pkcs12.load_pkcs12(data, password)
    entries = [*([found.cert] if found.cert else []), *found.additional_certs]
    return [each.certificate for each in entries]


def _own(found: Iterable[x509.Certificate]) -> list[x509.Certificate]:
    """Those that issued none of the others, each once."""
    unique = list(dict.fromkeys(found))
    issuers = {each.issuer for each in unique if each.issuer != each.subject}
    return [each for each in unique if each.subject not in issuers] or unique


# ---------------------------------------------------------------- describing


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _addresses(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(_line(each) for each in names.get_values_for_type(x509.RFC822Name))


def _line(text: str) -> str:
    """What a stranger wrote into a certificate, on one line and without control characters."""
    return "".join(character if character.isprintable() else " " for character in text)


def _key(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    return type(key).__name__.removesuffix("PublicKey").lstrip("_")


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _is_rsa(certificate: x509.Certificate) -> bool:
    return isinstance(certificate.public_key(), rsa.RSAPublicKey)


def _usable(certificate: x509.Certificate, usages: tuple[str, ...]) -> bool:
    """Whether key usage allows one of ``usages``, and the extended one S/MIME; without these everything is allowed."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        if not any(getattr(usage, each) for each in usages):
            return False
    except x509.ExtensionNotFound:
        pass
    try:
        extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return bool(_PURPOSES & set(extended))


def _problem(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"its RSA key has only {key.key_size} bits" if key.key_size < _WEAK_RSA else ""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"its curve {key.curve.name} is too small" if key.curve.key_size < 256 else ""
    return "its key is neither RSA nor of an elliptic curve"
