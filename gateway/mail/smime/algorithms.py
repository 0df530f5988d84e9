"""The algorithms that the gateway knows, by object identifier, and which of them it reads only on request."""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives import hashes
from msgspec import Struct

from gateway.errors import AlgorithmRefused


class Digest(Struct, frozen=True):
    """A digest: its name as in micalg (RFC 8551 section 3.5.3.2) and in hashlib."""

    name: str
    python: str
    oid: str
    algorithm: type[hashes.HashAlgorithm]
    weak: bool = False

    def of(self, data: bytes) -> bytes:
        """The digest of ``data``."""
        return hashlib.new(self.python, data, usedforsecurity=False).digest()


class ContentCipher(Struct, frozen=True):
    """A content-encryption algorithm; ``key_size`` in bytes."""

    name: str
    oid: str
    key_size: int
    mode: str  # cbc or gcm
    weak: bool = False


_DIGESTS = (
    Digest("sha-256", "sha256", "2.16.840.1.101.3.4.2.1", hashes.SHA256),
    Digest("sha-384", "sha384", "2.16.840.1.101.3.4.2.2", hashes.SHA384),
    Digest("sha-512", "sha512", "2.16.840.1.101.3.4.2.3", hashes.SHA512),
    Digest("sha-224", "sha224", "2.16.840.1.101.3.4.2.4", hashes.SHA224, weak=True),
    Digest("sha-1", "sha1", "1.3.14.3.2.26", hashes.SHA1, weak=True),
)
_CIPHERS = (
    ContentCipher("aes-128-cbc", "2.16.840.1.101.3.4.1.2", 16, "cbc"),
    ContentCipher("aes-192-cbc", "2.16.840.1.101.3.4.1.22", 24, "cbc"),
    ContentCipher("aes-256-cbc", "2.16.840.1.101.3.4.1.42", 32, "cbc"),
    ContentCipher("aes-128-gcm", "2.16.840.1.101.3.4.1.6", 16, "gcm"),
    ContentCipher("aes-192-gcm", "2.16.840.1.101.3.4.1.26", 24, "gcm"),
    ContentCipher("aes-256-gcm", "2.16.840.1.101.3.4.1.46", 32, "gcm"),
    ContentCipher("3des-cbc", "1.2.840.113549.3.7", 24, "cbc", weak=True),
)
DIGESTS = {each.oid: each for each in _DIGESTS}
CIPHERS = {each.oid: each for each in _CIPHERS}
_DIGEST_NAMES = {each.name: each for each in _DIGESTS}
_DIGEST_SPELLINGS = {each.python: each for each in _DIGESTS}
CIPHER_NAMES = {each.name: each for each in _CIPHERS}

# Signature algorithms: the digest that the identifier names itself, or None where only SignerInfo names it.
RSA_SIGNATURES: dict[str, str | None] = {
    "1.2.840.113549.1.1.1": None,
    "1.2.840.113549.1.1.5": "sha-1",
    "1.2.840.113549.1.1.11": "sha-256",
    "1.2.840.113549.1.1.12": "sha-384",
    "1.2.840.113549.1.1.13": "sha-512",
    "1.2.840.113549.1.1.14": "sha-224",
}
EC_SIGNATURES: dict[str, str | None] = {
    "1.2.840.10045.2.1": None,  # against RFC 5753, but done
    "1.2.840.10045.4.1": "sha-1",
    "1.2.840.10045.4.3.1": "sha-224",
    "1.2.840.10045.4.3.2": "sha-256",
    "1.2.840.10045.4.3.3": "sha-384",
    "1.2.840.10045.4.3.4": "sha-512",
}
RSA_PSS = "1.2.840.113549.1.1.10"
RSA_PKCS1 = "1.2.840.113549.1.1.1"
RSA_OAEP = "1.2.840.113549.1.1.7"
MGF1 = "1.2.840.113549.1.1.8"
P_SPECIFIED = "1.2.840.113549.1.1.9"


def digest_by_oid(oid: str, *, weak: bool) -> Digest:
    """The digest of an identifier.

    Raises:
        AlgorithmRefused: when it is unknown, or weak and that is not allowed.
    """
    found = DIGESTS.get(oid)
    if found is None:
        raise AlgorithmRefused(algorithm=f"the digest {oid}", reason="not known to the gateway")
    if found.weak and not weak:
        raise AlgorithmRefused(algorithm=found.name, reason="too weak")
    return found


def digest_by_name(name: str) -> Digest:
    """The digest of a name in any spelling that partners use: ``sha-256``, ``SHA256``, ``sha_256``, ``rsa-sha1``.

    Raises:
        AlgorithmRefused: when there is none of that name.
    """
    text = name.strip().strip('"').lower()
    plain = text.removeprefix("rsa-").replace("-", "").replace("_", "")
    found = _DIGEST_NAMES.get(text) or _DIGEST_SPELLINGS.get(plain)
    if found is None:
        raise AlgorithmRefused(algorithm=f"the digest {name[:40]!a}", reason="not known to the gateway")
    return found


def mic(data: bytes, digest: str = "sha-256") -> str:
    """The message integrity check of RFC 3335: base64 of the digest, as Received-content-MIC carries it.

    Raises:
        AlgorithmRefused: for a digest that the gateway does not know.
    """
    return base64.b64encode(digest_by_name(digest).of(data)).decode("ascii")


def cipher_by_oid(oid: str, *, weak: bool) -> ContentCipher:
    """The cipher of an identifier.

    Raises:
        AlgorithmRefused: when it is unknown, or weak and that is not allowed.
    """
    found = CIPHERS.get(oid)
    if found is None:
        raise AlgorithmRefused(algorithm=f"the cipher {oid}", reason="not known to the gateway, or long broken")
    if found.weak and not weak:
        raise AlgorithmRefused(algorithm=found.name, reason="too weak")
    return found
