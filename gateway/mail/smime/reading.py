"""CMS bytes as values: the only place where what strangers sent meets asn1crypto.

``read_kind`` comes first; whatever the bytes are, only faults of ours come out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any

from asn1crypto import cms, core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from msgspec import Struct

from gateway.errors import AlgorithmRefused, GatewayError, SecurityMalformed, SignatureInvalid
from gateway.mail.smime import structures as asn1
from gateway.mail.smime.algorithms import RSA_OAEP, RSA_PSS, cipher_by_oid
from gateway.mail.smime.ber import definite
from gateway.mail.smime.parameters import PssScheme, read_oaep, read_pss

MOST_SIGNERS = 16
MOST_RECIPIENTS = 200
MOST_CERTIFICATES = 50
_LONGEST_NAME = 4_000  # bytes of an issuer's name that are read; a longer one is only compared with itself


class Identifier(Struct, frozen=True):
    """Which certificate is meant: by issuer (DER of the name) and serial number, or by key identifier."""

    issuer: bytes = b""
    serial: int = 0
    key_identifier: bytes = b""

    def names(self, certificate: x509.Certificate) -> bool:
        """Whether ``certificate`` is meant."""
        if self.key_identifier:
            return _key_identifier(certificate) == self.key_identifier
        return self.serial == certificate.serial_number and _same_name(self.issuer, certificate.issuer.public_bytes())

    def in_words(self) -> str:
        """The identifier for people."""
        if self.key_identifier:
            return f"key identifier {self.key_identifier[:32].hex()}"
        return f"serial {self.serial:x} of {_friendly(self.issuer)[:200]!a}"


class Signer(Struct, frozen=True):
    """One SignerInfo. ``attributes`` is the DER of the signed attributes as SET OF, or empty where there are none."""

    sid: Identifier
    digest: str
    algorithm: str
    pss: PssScheme | None
    signature: bytes
    attributes: bytes = b""
    content_type: str = ""
    message_digest: bytes = b""
    signing_time: float | None = None


class Signed(Struct, frozen=True):
    """SignedData. ``content`` is None where the signature is detached."""

    content_type: str
    content: bytes | None
    signers: tuple[Signer, ...]
    certificates: tuple[bytes, ...]


class Recipient(Struct, frozen=True):
    """Whom the content key was encrypted for. ``oaep`` holds the digests of OAEP and of its mask."""

    rid: Identifier
    algorithm: str
    oaep: tuple[str, str] | None
    encrypted_key: bytes


class Enveloped(Struct, frozen=True):
    """EnvelopedData, or AuthEnvelopedData (then ``tag`` is the authentication tag and ``authenticated`` its data)."""

    recipients: tuple[Recipient, ...]
    cipher: str
    nonce: bytes
    ciphertext: bytes
    tag: bytes | None = None
    authenticated: bytes = b""


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Whatever goes wrong while foreign bytes are read is a fault of the message."""
    try:
        yield
    except GatewayError:
        raise
    except Exception as problem:
        raise SecurityMalformed(reason=f"{what} is not as CMS writes it") from problem


# ---------------------------------------------------------------- the kinds of content


def read_kind(data: bytes) -> tuple[str, bytes]:
    """The content type (dotted) of a CMS message, and the message with definite lengths, for the functions below.

    Raises:
        SecurityMalformed: when it is no CMS.
    """
    der = definite(data)
    with _reading("the outermost structure"):
        return asn1.Content.load(der, strict=True)["content_type"].dotted, der


def _content(der: bytes, kind: str) -> Any:
    found = asn1.Content.load(der, strict=True)
    if found["content_type"].dotted != kind:
        raise SecurityMalformed(reason="it is of another kind than it should be")
    return found["content"]


def read_signed(der: bytes) -> Signed:
    """SignedData.

    Raises:
        SecurityMalformed, AlgorithmRefused, SignatureInvalid: see the module.
    """
    with _reading("the signature"):
        signed = _content(der, asn1.SIGNED_DATA)
        inner = signed["content"]
        signers = signed["signers"]
        if len(signers) > MOST_SIGNERS:
            raise SecurityMalformed(reason=f"more than {MOST_SIGNERS} signers")
        return Signed(
            content_type=inner["content_type"].dotted,
            content=_octets(inner["content"]),
            signers=tuple(_signer(each) for each in signers),
            certificates=_certificates(signed["certificates"]),
        )


def read_enveloped(der: bytes, *, authenticated: bool) -> Enveloped:
    """EnvelopedData, or AuthEnvelopedData.

    Raises:
        SecurityMalformed, AlgorithmRefused: see the module.
    """
    with _reading("the encryption"):
        enveloped = _content(der, asn1.AUTH_ENVELOPED_DATA if authenticated else asn1.ENVELOPED_DATA)
        inner = enveloped["content"]
        recipients = enveloped["recipients"]
        if len(recipients) > MOST_RECIPIENTS:
            raise SecurityMalformed(reason=f"more than {MOST_RECIPIENTS} recipients")
        parameters = inner["algorithm"]["parameters"]
        ciphertext = _octets(inner["content"])
        if ciphertext is None:
            raise SecurityMalformed(reason="the encrypted content is not in the message")
        found = tuple(recipient for each in recipients if (recipient := _recipient(each.dump())) is not None)
        cipher = inner["algorithm"]["algorithm"].dotted
        cipher_by_oid(cipher, weak=True)  # the parameters of one that is not known cannot be read
        if not authenticated:
            return Enveloped(found, cipher, core.OctetString.load(parameters.dump()).native, ciphertext)
        gcm = asn1.GcmParameters.load(parameters.dump(), strict=True)
        tag = enveloped["mac"].native
        if gcm["tag_length"].native != len(tag):
            raise SecurityMalformed(reason="the authentication tag has another length than it says")
        return Enveloped(
            found, cipher, gcm["nonce"].native, ciphertext, tag, _as_set(enveloped["authenticated_attributes"])
        )


def read_compressed(der: bytes) -> bytes:
    """The zlib stream in CompressedData.

    Raises:
        AlgorithmRefused: for another compression than zlib.
        SecurityMalformed: when it is no CompressedData.
    """
    with _reading("the compression"):
        compressed = _content(der, asn1.COMPRESSED_DATA)
        algorithm = compressed["algorithm"]["algorithm"].dotted
        if algorithm != asn1.ZLIB:
            raise AlgorithmRefused(algorithm=f"the compression {algorithm}", reason="not known to the gateway")
        found = _octets(compressed["content"]["content"])
        if found is None:
            raise SecurityMalformed(reason="the compressed content is not in the message")
        return found


# ---------------------------------------------------------------- signers


def _signer(info: Any) -> Signer:
    algorithm = info["signature_algorithm"]
    name = algorithm["algorithm"].dotted
    attributes = info["signed_attributes"]
    values = {} if isinstance(attributes, core.Void) else _attribute_values(attributes)
    return Signer(
        sid=_identifier(info["sid"]),
        digest=info["digest_algorithm"]["algorithm"].dotted,
        algorithm=name,
        pss=read_pss(algorithm["parameters"]) if name == RSA_PSS else None,
        signature=info["signature"].native,
        attributes=_as_set(attributes),
        content_type=_one(values, asn1.CONTENT_TYPE, core.ObjectIdentifier).dotted if values else "",
        message_digest=_one(values, asn1.MESSAGE_DIGEST, core.OctetString).native if values else b"",
        signing_time=_signing_time(values),
    )


def _attribute_values(attributes: Any) -> dict[str, list[bytes]]:
    values: dict[str, list[bytes]] = {}
    for each in attributes:
        kind = each["type"].dotted
        if kind in values:
            raise SignatureInvalid(reason="an attribute is signed twice; readers would disagree on which one counts")
        values[kind] = [value.dump() for value in each["values"]]
    if not values:
        raise SignatureInvalid(reason="its signed attributes are empty")
    return values


def _one(values: dict[str, list[bytes]], kind: str, spec: Any) -> Any:
    """The only value of a signed attribute that must be there exactly once (RFC 5652 section 11)."""
    found = values.get(kind, [])
    if len(found) != 1:
        raise SignatureInvalid(reason=f"the attribute {kind} is there {len(found)} times instead of once")
    return spec.load(found[0], strict=True)


def _signing_time(values: dict[str, list[bytes]]) -> float | None:
    if asn1.SIGNING_TIME not in values:
        return None
    moment = _one(values, asn1.SIGNING_TIME, cms.Time).native
    return moment.timestamp() if isinstance(moment, datetime) else None


def _as_set(attributes: Any) -> bytes:
    """Signed attributes as they are hashed: with the tag of SET OF, whatever their own is (RFC 5652 section 5.4)."""
    if isinstance(attributes, core.Void):
        return b""
    return b"\x31" + bytes(attributes.dump()[1:])


def looks_like_attributes(content: bytes) -> bool:
    """Whether content is itself a DER encoding of signed attributes.

    A signature without signed attributes over such content may be one with attributes over other content, turned
    around by somebody in between.
    """
    if content[:1] != b"\x31":
        return False
    try:
        return len(asn1.Attributes.load(definite(content), strict=True)) > 0
    except Exception:  # noqa: BLE001 - anything that is no attributes is none
        return False


# ---------------------------------------------------------------- recipients


def _recipient(data: bytes) -> Recipient | None:
    """A recipient whose key was transported (RSA); None for the other kinds, which the gateway has no keys for."""
    if data[:1] != b"\x30":
        return None
    found = asn1.KeyTransport.load(data, strict=True)
    algorithm = found["algorithm"]
    name = algorithm["algorithm"].dotted
    oaep = read_oaep(algorithm["parameters"]) if name == RSA_OAEP else None
    return Recipient(_identifier(found["rid"]), name, oaep, found["encrypted_key"].native)


# ---------------------------------------------------------------- pieces


def _identifier(choice: Any) -> Identifier:
    chosen = choice.chosen
    if choice.name == "subject_key_identifier":
        if not chosen.native:
            raise SecurityMalformed(reason="an empty key identifier")
        return Identifier(key_identifier=chosen.native)
    return Identifier(issuer=chosen["issuer"].dump(), serial=chosen["serial_number"].native)


def _octets(value: Any) -> bytes | None:
    return None if isinstance(value, core.Void) else value.native


def _certificates(found: Any) -> tuple[bytes, ...]:
    """The X.509 certificates in a message; other kinds (long obsolete) are passed over."""
    if isinstance(found, core.Void):
        return ()
    if len(found) > MOST_CERTIFICATES:
        raise SecurityMalformed(reason=f"more than {MOST_CERTIFICATES} certificates")
    return tuple(dict.fromkeys(der for each in found if (der := each.dump())[:1] == b"\x30"))


def _key_identifier(certificate: x509.Certificate) -> bytes:
    """The subject key identifier; where the certificate has none, as others compute it (RFC 5280 section 4.2.1.2)."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest


def _same_name(one: bytes, other: bytes) -> bool:
    """Whether two names are the same: by their bytes, else as RFC 5280 section 7.1 compares them."""
    if one == other:
        return True
    names = _prepared(one), _prepared(other)
    return "" not in names and names[0] == names[1]


def _friendly(name: bytes) -> str:
    """A name for people."""
    try:
        return str(asn1_x509.Name.load(name).human_friendly) if len(name) <= _LONGEST_NAME else "unreadable"
    except Exception:  # noqa: BLE001 - a name that nobody can read is still no reason to fail
        return "unreadable"


@lru_cache(maxsize=256)  # each signer's is compared with that of each certificate
def _prepared(name: bytes) -> str:
    """A name in the form in which it is compared; "" for one that cannot be read, which is nobody's."""
    if len(name) > _LONGEST_NAME:
        return ""
    try:
        return str(asn1_x509.Name.load(name, strict=True).hashable)
    except Exception:  # noqa: BLE001 - whatever a stranger wrote there
        return ""
