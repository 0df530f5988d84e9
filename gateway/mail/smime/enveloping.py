"""EnvelopedData and AuthEnvelopedData of our own (RFC 5652 section 6, RFC 5083, 5084): one content, many recipients."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from asn1crypto import cms, core
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7

from gateway.errors import CertificateUnusable
from gateway.mail.smime import structures as asn1
from gateway.mail.smime.algorithms import CIPHER_NAMES, MGF1, RSA_OAEP, RSA_PKCS1, ContentCipher, digest_by_name
from gateway.mail.smime.keys import load
from gateway.mail.smime.trust import own_purpose

KEY_TRANSPORTS = ("rsa-pkcs1", "rsa-oaep")
_BLOCK = 16  # bytes of an AES block
_NONCE = 12  # bytes; RFC 5084 recommends them
_TAG = 16


def envelope(
    content: bytes,
    certificates: Sequence[bytes],
    *,
    cipher: str = "aes-256-cbc",
    key_transport: str = "rsa-pkcs1",
    at: float = 0.0,
) -> bytes:
    """A CMS message that each of the certificates' (DER) owners can open, in DER.

    ``cipher`` is aes-128-cbc, aes-192-cbc, aes-256-cbc or one of the same with gcm; ``key_transport`` rsa-pkcs1 or
    rsa-oaep (SHA-256). ``at``, where given, is the time at which the certificates must be valid.

    Raises:
        CertificateUnusable: when a certificate is not fit to be encrypted for, or an algorithm is none of these.
    """
    chosen = CIPHER_NAMES.get(cipher)
    if chosen is None or chosen.weak or key_transport not in KEY_TRANSPORTS:
        raise CertificateUnusable(
            name="of the recipient", reason=f"nothing is encrypted with {cipher}, {key_transport}"
        )
    if not certificates:
        raise CertificateUnusable(name="of the recipient", reason="there is none")
    key = os.urandom(chosen.key_size)
    recipients = asn1.AnySet([_recipient(der, key, key_transport, at) for der in certificates])
    return _cbc(content, key, chosen, recipients) if chosen.mode == "cbc" else _gcm(content, key, chosen, recipients)


def _cbc(content: bytes, key: bytes, cipher: ContentCipher, recipients: Any) -> bytes:
    nonce = os.urandom(_BLOCK)
    padder = PKCS7(_BLOCK * 8).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(nonce)).encryptor()
    pieces = [encryptor.update(padder.update(content)), encryptor.update(padder.finalize()), encryptor.finalize()]
    inner = _encrypted(cipher, core.OctetString(nonce), b"".join(pieces))
    enveloped = asn1.EnvelopedData({"version": 0, "recipients": recipients, "content": inner})
    return bytes(asn1.Content({"content_type": asn1.ENVELOPED_DATA, "content": enveloped}).dump())


def _gcm(content: bytes, key: bytes, cipher: ContentCipher, recipients: Any) -> bytes:
    nonce = os.urandom(_NONCE)
    sealed = AESGCM(key).encrypt(nonce, content, None)
    parameters = asn1.GcmParameters({"nonce": nonce, "tag_length": _TAG})
    inner = _encrypted(cipher, parameters, sealed[:-_TAG])
    enveloped = asn1.AuthEnvelopedData(
        {"version": 0, "recipients": recipients, "content": inner, "mac": core.OctetString(sealed[-_TAG:])}
    )
    return bytes(asn1.Content({"content_type": asn1.AUTH_ENVELOPED_DATA, "content": enveloped}).dump())


def _encrypted(cipher: ContentCipher, parameters: Any, ciphertext: bytes) -> Any:
    algorithm = asn1.Algorithm({"algorithm": cipher.oid, "parameters": parameters})
    return asn1.EncryptedContent({"content_type": asn1.DATA, "algorithm": algorithm, "content": ciphertext})


def _recipient(der: bytes, key: bytes, key_transport: str, at: float) -> Any:
    certificate = load(der)
    own_purpose(certificate, "encrypt", at)
    public = certificate.public_key()
    assert isinstance(public, rsa.RSAPublicKey)  # own_purpose saw to it
    oaep = key_transport == "rsa-oaep"
    scheme = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None) if oaep else padding.PKCS1v15()
    named = cms.IssuerAndSerialNumber(
        {
            "issuer": asn1_x509.Name.load(certificate.issuer.public_bytes()),
            "serial_number": certificate.serial_number,
        }
    )
    return asn1.KeyTransport(
        {
            "version": 0,
            "rid": cms.RecipientIdentifier({"issuer_and_serial_number": named}),
            "algorithm": _oaep_algorithm() if oaep else {"algorithm": RSA_PKCS1, "parameters": core.Null()},
            "encrypted_key": public.encrypt(key, scheme),
        }
    )


def _oaep_algorithm() -> Any:
    digest = asn1.Algorithm({"algorithm": digest_by_name("sha-256").oid, "parameters": core.Null()})
    mask = asn1.Algorithm({"algorithm": MGF1, "parameters": digest})
    return asn1.Algorithm({"algorithm": RSA_OAEP, "parameters": asn1.OaepParameters({"hash": digest, "mask": mask})})
