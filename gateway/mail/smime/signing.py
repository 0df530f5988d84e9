"""CMS signatures of our own (RFC 5652 section 5), RSA (PKCS #1 v1.5) or EC."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from gateway.errors import CertificateUnusable
from gateway.mail.smime.algorithms import digest_by_name
from gateway.mail.smime.keys import KeyPair, load, load_key
from gateway.mail.smime.trust import own_purpose

_TYPES: dict[str, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    "sha-256": hashes.SHA256,
    "sha-384": hashes.SHA384,
    "sha-512": hashes.SHA512,
}


def sign(content: bytes, pair: KeyPair, *, digest: str = "sha-256", detached: bool = True, at: float = 0.0) -> bytes:
    """SignedData over exactly these bytes, in DER, with signed attributes and our certificate.

    ``at``, where given, is the time (seconds since 1970 UTC) at which our certificate must be valid.

    Raises:
        CertificateUnusable: when the key pair is not fit to sign, or the digest is none that we sign with.
    """
    certificate = load(pair.certificate)
    own_purpose(certificate, "sign", at)
    algorithm = _TYPES.get(digest_by_name(digest).name)
    if algorithm is None:
        raise CertificateUnusable(name=certificate.subject.rfc4514_string(), reason=f"{digest} is not signed with")
    options = [pkcs7.PKCS7Options.Binary]
    if detached:
        options.append(pkcs7.PKCS7Options.DetachedSignature)
    try:
        builder = pkcs7.PKCS7SignatureBuilder().set_data(content)
        builder = builder.add_signer(certificate, load_key(pair.key), algorithm())
        return builder.sign(serialization.Encoding.DER, options)
    except (TypeError, ValueError) as problem:
        raise CertificateUnusable(name=certificate.subject.rfc4514_string(), reason=str(problem)[:200]) from problem
