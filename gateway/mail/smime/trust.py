"""Which certificates count: pinned ones, those that a pinned authority issued, and what each may be used for.

A certificate that merely comes inside a message counts for nothing by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)
from msgspec import Struct

from gateway.errors import AlgorithmRefused, CertificateUnusable, SecurityFault, SignerRefused
from gateway.mail.smime.keys import emails_of, fingerprint, is_authority, load
from gateway.mail.smime.reading import Identifier

RSA_BITS = 2048
WEAK_RSA_BITS = 1024
_MAIL_USAGES = frozenset({ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})
# A stated signing time is believed within these bounds around the time of receipt; beyond, the receipt counts.
_LONG_ON_ITS_WAY = 7 * 86_400
_CLOCK_AHEAD = 86_400


class Trust(Struct, frozen=True):
    """What makes a signature count for somebody.

    ``certificates`` (DER) are the profile's: leaves, which count by themselves, and authorities, which vouch for
    certificates whose e-mail address is one of ``addresses``. ``at`` is the time of receipt, seconds since 1970 UTC.
    """

    certificates: tuple[bytes, ...]
    addresses: tuple[str, ...] = ()
    at: float = 0.0
    weak: bool = False


def candidates(sid: Identifier, embedded: tuple[bytes, ...], trust: Trust) -> Iterator[bytes]:
    """The trusted certificates that a signer may mean: pinned ones first, then those that an authority vouches for.

    Raises:
        SignerRefused: at the end, for a certificate that an authority of ours does not vouch for as it should.
    """
    pinned = [der for der in trust.certificates if _is_meant(sid, der)]
    yield from pinned
    authorities = [der for der in trust.certificates if _is_authority(der)]
    refusal: SignerRefused | None = None
    for der in embedded if authorities else ():
        if der in pinned or not _is_meant(sid, der):
            continue
        try:
            vouched_for(der, authorities, embedded, trust)
        except SignerRefused as problem:
            refusal = problem
        else:
            yield der
    if refusal is not None:
        raise refusal


def _is_meant(sid: Identifier, der: bytes) -> bool:
    try:
        return sid.names(load(der))
    except CertificateUnusable:
        return False


def _is_authority(der: bytes) -> bool:
    try:
        return is_authority(load(der))
    except CertificateUnusable:
        return False


# ---------------------------------------------------------------- chains


def vouched_for(der: bytes, authorities: list[bytes], embedded: tuple[bytes, ...], trust: Trust) -> None:
    """Whether an authority of ours stands behind a certificate, and it may sign mail for an address of the partner.

    The chain is built as of the time of receipt (RFC 8550 sections 3 and 4.4).

    Raises:
        SignerRefused: with the reason.
    """
    leaf = load(der)
    addresses = {_folded(each) for each in trust.addresses}
    if not addresses & {_folded(each) for each in emails_of(leaf)}:
        raise SignerRefused(signer=fingerprint(der), reason="none of the partner's e-mail addresses is in it")
    policy = (
        PolicyBuilder()
        .store(Store([load(each) for each in authorities]))
        .time(datetime.fromtimestamp(trust.at, UTC).replace(tzinfo=None))
        .extension_policies(ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=_MAIL_POLICY)
    )
    try:
        policy.build_client_verifier().verify(leaf, list(_intermediates(der, embedded)))
    except VerificationError as problem:
        reason = str(problem).partition("\n")[0][:200]
        raise SignerRefused(signer=fingerprint(der), reason=f"no authority vouches for it: {reason}") from problem


def _intermediates(leaf: bytes, embedded: tuple[bytes, ...]) -> Iterator[x509.Certificate]:
    for der in embedded:
        if der != leaf and _is_authority(der):
            yield load(der)


def _for_mail(_policy: Policy, _certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None) -> None:
    if usage is not None and not _MAIL_USAGES & set(usage):
        raise ValueError("its extended key usage does not allow e-mail")


_MAIL_POLICY = ExtensionPolicy.permit_all().may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _for_mail)


def _folded(address: str) -> str:
    """An address for comparison: hosts know no case, and hardly any mail system knows one in the local part."""
    return address.strip().lower()


# ---------------------------------------------------------------- purposes


def may_vouch(der: bytes, signing_time: float | None, trust: Trust) -> None:
    """Whether a certificate was valid when it signed, and its key is made for signing and strong enough.

    The signing time counts where it is plausible, else the time of receipt: who states a time long ago may be
    using a key that was stolen since.

    Raises:
        SignerRefused, AlgorithmRefused: with the reason.
    """
    certificate = load(der)
    moment = trust.at
    if signing_time is not None and trust.at - _LONG_ON_ITS_WAY <= signing_time <= trust.at + _CLOCK_AHEAD:
        moment = signing_time
    reason = _not_valid(certificate, moment) or _not_for(certificate, "sign")
    if reason:
        raise SignerRefused(signer=fingerprint(der), reason=reason)
    _strong_enough(certificate, weak=trust.weak)


def is_short(der: bytes) -> bool:
    """Whether a certificate's key is shorter than new ones may be."""
    key = load(der).public_key()
    return isinstance(key, rsa.RSAPublicKey) and key.key_size < RSA_BITS


def own_purpose(certificate: x509.Certificate, use: str, at: float) -> None:
    """Whether a certificate is fit to ``sign`` with or to ``encrypt`` for, at a time where one is given.

    Raises:
        CertificateUnusable: with the reason.
    """
    reason = (_not_valid(certificate, at) if at else "") or _not_for(certificate, use)
    if not reason:
        try:
            _strong_enough(certificate, weak=False)
        except SecurityFault as problem:
            reason = str(problem)
    if reason:
        raise CertificateUnusable(name=certificate.subject.rfc4514_string()[:200], reason=reason)


def _not_valid(certificate: x509.Certificate, moment: float) -> str:
    if moment < certificate.not_valid_before_utc.timestamp():
        return f"it is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    if moment > certificate.not_valid_after_utc.timestamp():
        return f"it expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    return ""


def _not_for(certificate: x509.Certificate, use: str) -> str:
    if use == "encrypt" and not isinstance(certificate.public_key(), rsa.RSAPublicKey):
        return "its key is not RSA, and others cannot be encrypted for"
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return ""
    if use == "sign":
        return "" if usage.digital_signature or usage.content_commitment else "its key usage does not allow signing"
    return "" if usage.key_encipherment else "its key usage does not allow encryption"


def _strong_enough(certificate: x509.Certificate, *, weak: bool) -> None:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < (WEAK_RSA_BITS if weak else RSA_BITS):
            raise AlgorithmRefused(algorithm=f"an RSA key of {key.key_size} bits", reason="too weak")
    elif not isinstance(key, ec.EllipticCurvePublicKey):
        raise AlgorithmRefused(algorithm=f"a key of type {type(key).__name__}", reason="not known to the gateway")
    elif key.curve.key_size < 224:
        raise AlgorithmRefused(algorithm=f"the curve {key.curve.name}", reason="too weak")
