"""CMS signatures of others (RFC 5652 section 5.6), checked over exactly the bytes that came."""

from __future__ import annotations

import hmac

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from msgspec import Struct

from gateway.errors import AlgorithmRefused, SecurityFault, SecurityMalformed, SignatureInvalid, SignerUnknown
from gateway.mail.smime import structures as asn1
from gateway.mail.smime.algorithms import EC_SIGNATURES, RSA_PSS, RSA_SIGNATURES, Digest, digest_by_oid
from gateway.mail.smime.keys import fingerprint, load
from gateway.mail.smime.reading import Signed, Signer, looks_like_attributes, read_signed
from gateway.mail.smime.trust import Trust, candidates, is_short, may_vouch


class Verified(Struct, frozen=True):
    """A signature that holds: the bytes that it covers, whose certificate (DER) it is, and the digest's name.

    ``certificates`` are all that came with the message; none of them counts by being there.
    """

    content: bytes
    signer: bytes
    digest: str
    weak: bool
    certificates: tuple[bytes, ...]


def verify(der: bytes, detached: bytes | None, trust: Trust) -> Verified:
    """Checks a signed CMS message (as ``read_kind`` gives it) against trusted certificates. One that counts is enough.

    ``detached`` is what a detached signature is over; None where the content is inside.

    Raises:
        SignatureInvalid: when a trusted signer's signature does not hold over these bytes.
        SignerUnknown: when nobody whom ``trust`` names signed.
        SignerRefused: when the signer's certificate is expired or not made for this.
        AlgorithmRefused: for weak or unknown algorithms.
        SecurityMalformed: when it cannot be read.
    """
    signed, covered = _opened(der, detached)
    problem: SecurityFault | None = None
    for signer in signed.signers:
        try:
            for certificate in candidates(signer.sid, signed.certificates, trust):
                try:
                    digest, weak = _holds(signer, signed, covered, certificate, weak=trust.weak)
                    may_vouch(certificate, signer.signing_time, trust)
                except SecurityFault as refused:
                    problem = problem or refused
                else:
                    weak = weak or is_short(certificate)
                    return Verified(covered, certificate, digest.name, weak, signed.certificates)
        except SecurityFault as refused:
            problem = problem or refused
    raise problem or SignerUnknown(signer=_who(signed))


def claimed(der: bytes, detached: bytes | None) -> tuple[tuple[bytes, ...], bytes]:
    """Certificates that came with a message and whose signature holds over it, and the bytes it covers.

    They prove nothing: anybody can make one. A person confirms the fingerprint before one is trusted.
    """
    signed, covered = _opened(der, detached)
    found: list[bytes] = []
    for signer in signed.signers:
        for certificate in signed.certificates:
            try:
                if signer.sid.names(load(certificate)):
                    _holds(signer, signed, covered, certificate, weak=True)
                    found.append(certificate)
            except Exception:  # noqa: BLE001, S112 - one that does not hold is no news here
                continue
    return tuple(dict.fromkeys(found)), covered


def _opened(der: bytes, detached: bytes | None) -> tuple[Signed, bytes]:
    signed = read_signed(der)
    if not signed.signers:
        raise SecurityMalformed(reason="nobody signed it; it only carries certificates")
    if signed.content_type != asn1.DATA:
        raise SecurityMalformed(reason=f"a signature over content of the type {signed.content_type}")
    if detached is None:
        if signed.content is None:
            raise SecurityMalformed(reason="the signature's content is missing")
        return signed, signed.content
    if signed.content is not None:
        raise SignatureInvalid(reason="it brings other content of its own beside the part that it should cover")
    return signed, detached


def _who(signed: Signed) -> str:
    """The first signer for people: the fingerprint of its certificate where that came along."""
    sid = signed.signers[0].sid
    for der in signed.certificates:
        try:
            if sid.names(load(der)):
                return fingerprint(der)
        except Exception:  # noqa: BLE001, S112 - a certificate that cannot be read names nobody
            continue
    return sid.in_words()


# ---------------------------------------------------------------- one signature


def _holds(signer: Signer, signed: Signed, covered: bytes, der: bytes, *, weak: bool) -> tuple[Digest, bool]:
    """The digest used, and whether anything about the signature is weak. Raises where it does not hold."""
    digest = digest_by_oid(signer.digest, weak=weak)
    if signer.attributes:
        if signer.content_type != signed.content_type:
            raise SignatureInvalid(reason="its content type is not the signed one")
        if not hmac.compare_digest(signer.message_digest, digest.of(covered)):
            raise SignatureInvalid(reason="the content is not what was signed")
    elif not weak:
        raise AlgorithmRefused(algorithm="a signature without signed attributes", reason="too weak")
    elif looks_like_attributes(covered):
        raise SignatureInvalid(reason="its content is another signature's attributes")
    _check(signer, digest, signer.attributes or covered, der, weak=weak)
    return digest, digest.weak or not signer.attributes


def _check(signer: Signer, digest: Digest, signed_bytes: bytes, der: bytes, *, weak: bool) -> None:
    key = load(der).public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signer.signature, signed_bytes, _rsa_padding(signer, digest, weak=weak), digest.algorithm())
        elif isinstance(key, ec.EllipticCurvePublicKey):
            _same_digest(EC_SIGNATURES, signer, digest)
            key.verify(signer.signature, signed_bytes, ec.ECDSA(digest.algorithm()))
        else:
            raise AlgorithmRefused(algorithm=f"a key of type {type(key).__name__}", reason="not known to the gateway")
    except InvalidSignature:
        raise SignatureInvalid(reason="it is not by the key of the certificate that it names") from None
    except (ValueError, UnsupportedAlgorithm) as problem:
        raise SignatureInvalid(reason="its parameters do not fit its key") from problem


def _rsa_padding(signer: Signer, digest: Digest, *, weak: bool) -> padding.AsymmetricPadding:
    if signer.algorithm != RSA_PSS or signer.pss is None:
        _same_digest(RSA_SIGNATURES, signer, digest)
        return padding.PKCS1v15()
    if signer.pss.digest != digest.oid:
        raise SignatureInvalid(reason="it names two different digests")
    mask = digest_by_oid(signer.pss.mask_digest, weak=weak)
    return padding.PSS(padding.MGF1(mask.algorithm()), signer.pss.salt_length)


def _same_digest(known: dict[str, str | None], signer: Signer, digest: Digest) -> None:
    if signer.algorithm not in known:
        reason = "not known to the gateway, or not the key's"
        raise AlgorithmRefused(algorithm=f"the signature {signer.algorithm}", reason=reason)
    named = known[signer.algorithm]
    if named is not None and named != digest.name:
        raise SignatureInvalid(reason="it names two different digests")
