"""Opening what was encrypted for us (RFC 5652 section 6, RFC 5083).

A wrong key, a bad padding and damaged content all end in the same fault after the same work, so that nobody learns
from our answers what is inside (RFC 3218): with PKCS #1 v1.5 a key that does not decrypt is replaced by a random one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7

from gateway.errors import AlgorithmRefused, CannotDecrypt, CertificateUnusable
from gateway.mail.smime.algorithms import RSA_OAEP, RSA_PKCS1, ContentCipher, cipher_by_oid, digest_by_oid
from gateway.mail.smime.keys import KeyPair, load, load_key
from gateway.mail.smime.reading import Enveloped, Recipient, read_enveloped

_SHORTEST_TAG = 12  # bytes; RFC 5084 section 3.2
_NAMED = 5  # recipients that a fault names


def decrypt(
    der: bytes, keys: Sequence[KeyPair], *, authenticated: bool, weak: bool = False
) -> tuple[bytes, ContentCipher, KeyPair]:
    """What an encrypted CMS message (as ``read_kind`` gives it) holds, its cipher, and which key of ours opened it.

    ``authenticated`` tells AuthEnvelopedData from EnvelopedData.

    Raises:
        CannotDecrypt: whenever it does not open, whatever the cause.
        AlgorithmRefused: for 3DES unless ``weak``, and for algorithms that are not known.
        SecurityMalformed: when it cannot be read.
    """
    enveloped = read_enveloped(der, authenticated=authenticated)
    cipher = cipher_by_oid(enveloped.cipher, weak=weak)
    if (cipher.mode == "gcm") is not authenticated:
        raise AlgorithmRefused(algorithm=cipher.name, reason="not used for this kind of envelope")
    for recipient in enveloped.recipients:
        for pair in _fitting(recipient, keys):
            key, usable = _content_key(recipient, pair, cipher.key_size)
            found = _open(enveloped, cipher, key)
            if found is not None and usable:
                return found, cipher, pair
    raise CannotDecrypt(recipients=_in_words(enveloped))


def _fitting(recipient: Recipient, keys: Sequence[KeyPair]) -> list[KeyPair]:
    found = []
    for pair in keys:
        try:
            if recipient.rid.names(load(pair.certificate)) and isinstance(load_key(pair.key), rsa.RSAPrivateKey):
                found.append(pair)
        except CertificateUnusable:
            continue
    return found


def _in_words(enveloped: Enveloped) -> str:
    """The recipients that the message names in clear; the same words whatever went wrong."""
    names = [each.rid.in_words() for each in enveloped.recipients[:_NAMED]]
    if len(enveloped.recipients) > _NAMED:
        names.append("…")
    return ", ".join(names) or "none that has an RSA key"


def _content_key(recipient: Recipient, pair: KeyPair, size: int) -> tuple[bytes, bool]:
    """The content key, or a random one in its place; and whether what it opens can be right."""
    replacement = os.urandom(size)
    private = load_key(pair.key)
    assert isinstance(private, rsa.RSAPrivateKey)  # _fitting saw to it
    scheme = _scheme(recipient)
    try:
        found = private.decrypt(recipient.encrypted_key, scheme)
    except (ValueError, UnsupportedAlgorithm):
        return replacement, False
    return (found, True) if len(found) == size else (replacement, False)


def _scheme(recipient: Recipient) -> padding.AsymmetricPadding:
    if recipient.algorithm == RSA_PKCS1:
        return padding.PKCS1v15()
    if recipient.algorithm == RSA_OAEP and recipient.oaep is not None:
        # SHA-1 is OAEP's default and no weakness there: nothing rests on its collisions.
        digest, mask = (digest_by_oid(each, weak=True).algorithm() for each in recipient.oaep)
        return padding.OAEP(padding.MGF1(mask), digest, None)
    raise AlgorithmRefused(algorithm=f"the key transport {recipient.algorithm}", reason="not known to the gateway")


def _open(enveloped: Enveloped, cipher: ContentCipher, key: bytes) -> bytes | None:
    try:
        return _gcm(enveloped, key) if cipher.mode == "gcm" else _cbc(enveloped, cipher, key)
    except (ValueError, InvalidTag, UnsupportedAlgorithm):
        return None


def _gcm(enveloped: Enveloped, key: bytes) -> bytes:
    tag = enveloped.tag or b""
    if not _SHORTEST_TAG <= len(tag) <= 16:
        raise ValueError("the tag has a length of no use")
    if len(tag) == 16:
        return AESGCM(key).decrypt(enveloped.nonce, enveloped.ciphertext + tag, enveloped.authenticated)
    opener = Cipher(algorithms.AES(key), modes.GCM(enveloped.nonce, tag, min_tag_length=_SHORTEST_TAG)).decryptor()
    opener.authenticate_additional_data(enveloped.authenticated)
    return opener.update(enveloped.ciphertext) + opener.finalize()


def _cbc(enveloped: Enveloped, cipher: ContentCipher, key: bytes) -> bytes:
    algorithm = TripleDES(key) if cipher.weak else algorithms.AES(key)
    opener = Cipher(algorithm, modes.CBC(enveloped.nonce)).decryptor()
    unpadder = PKCS7(algorithm.block_size).unpadder()
    pieces = [unpadder.update(opener.update(enveloped.ciphertext)), unpadder.update(opener.finalize())]
    pieces.append(unpadder.finalize())
    return b"".join(pieces)
