"""S/MIME layers put on an entity and taken off again (RFC 8551, AS1: RFC 3335 and RFC 5402). The front door.

An entity is MIME headers, an empty line and a body, with CR LF. Layers of a message that we send, from the inside:
compressed, signed, encrypted. Those of one that we receive come in any order.

What the message integrity check (MIC) of a receipt is computed over (RFC 3335 section 5.3, RFC 5402 section 4):

- signed, whatever is around it: the bytes that the signature covers, MIME headers included;
- encrypted or compressed and not signed: the innermost entity, decrypted and unpacked, MIME headers included;
- none of these: the content alone, without headers and before its transfer encoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from gateway.errors import (
    AlgorithmRefused,
    SecurityMalformed,
    SignatureInvalid,
)
from gateway.mail.decode import decode, encoding_name
from gateway.mail.model import Layer
from gateway.mail.smime import structures as asn1
from gateway.mail.smime.algorithms import digest_by_name, mic
from gateway.mail.smime.compressing import allowance, compress, decompress
from gateway.mail.smime.entities import (
    Entity,
    canonical,
    is_secured,
    multipart_signed,
    pkcs7_mime,
    read_entity,
    signed_parts,
    survives_transport,
    with_headers,
)
from gateway.mail.smime.enveloping import envelope
from gateway.mail.smime.keys import KeyPair, fingerprint
from gateway.mail.smime.opening import decrypt
from gateway.mail.smime.reading import read_kind
from gateway.mail.smime.signing import sign
from gateway.mail.smime.trust import Trust
from gateway.mail.smime.verifying import Verified, claimed, verify
from gateway.settings.model import Limits

__all__ = [
    "KeyPair",
    "Opened",
    "Plan",
    "Secured",
    "claimed_signers",
    "is_secured",
    "mic",
    "open_layers",
    "open_unproven",
    "secure",
]

MOST_LAYERS = 6


class Plan(Struct, frozen=True):
    """How an entity is secured. Certificates are DER; ``at``, where given, is when they must be valid (s, UTC)."""

    sign_with: KeyPair | None = None
    digest: str = "sha-256"  # sha-256, sha-384, sha-512
    encrypt_for: tuple[bytes, ...] = ()
    cipher: str = "aes-256-cbc"  # aes-128-cbc, aes-192-cbc, aes-256-cbc, and the same with gcm
    key_transport: str = "rsa-pkcs1"  # rsa-pkcs1, rsa-oaep
    compress: bool = False
    at: float = 0.0


class Secured(Struct, frozen=True):
    """A secured entity. ``mic`` is what the receipt must confirm, in the plan's digest; ``words`` names the layers."""

    entity: bytes
    mic: str
    words: str


@dataclass(frozen=True, slots=True)
class Opened:
    """What was inside. ``layers`` come outermost first; ``signer`` is the trusted certificate that signed (DER).

    Of several signatures around each other all hold, and the innermost names the signer. ``seen_certificates`` came
    with the message and prove nothing. ``covered`` is what the MIC is over, see the module.
    """

    entity: bytes
    layers: tuple[Layer, ...]
    signer: bytes | None
    seen_certificates: tuple[bytes, ...]
    covered: bytes = field(repr=False)

    @property
    def signed(self) -> bool:
        """Whether a signature that counts covers ``entity``."""
        return self.signer is not None

    @property
    def encrypted(self) -> bool:
        """Whether the message was encrypted for us."""
        return any(layer.kind == "encrypted" for layer in self.layers)

    def mic(self, digest: str = "sha-256") -> str:
        """The message integrity check in a digest of any spelling, as Received-content-MIC carries it.

        Raises:
            AlgorithmRefused: for a digest that the gateway does not know.
        """
        return mic(self.covered, digest)


# ---------------------------------------------------------------- putting on


def secure(entity: bytes, plan: Plan) -> Secured:
    """Compresses, signs and encrypts an entity as planned; with an empty plan it stays as it is.

    What is signed and not encrypted goes as multipart/signed where it would survive any mail host, else wrapped as
    signed-data in base64, so that no host can break the signature.

    Raises:
        CertificateUnusable: when a certificate or key is not fit for its part, or an algorithm is none that we use.
    """
    digest = digest_by_name(plan.digest).name
    covered = entity
    words: list[str] = []
    if plan.compress:
        entity = pkcs7_mime(compress(entity), "compressed-data")
        words.append("compressed")
    if plan.sign_with is not None:
        covered = entity
        entity = _signed(entity, plan.sign_with, digest, plan)
        words.append(f"signed {digest}")
    if plan.encrypt_for:
        kind = "authEnveloped-data" if plan.cipher.endswith("gcm") else "enveloped-data"
        sealed = envelope(entity, plan.encrypt_for, cipher=plan.cipher, key_transport=plan.key_transport, at=plan.at)
        entity = pkcs7_mime(sealed, kind)
        words.append(f"encrypted {plan.cipher}")
    if not words:
        covered = _bare_content(read_entity(entity, Limits()))
    return Secured(entity, mic(covered, digest), ", ".join(words))


def _signed(entity: bytes, pair: KeyPair, digest: str, plan: Plan) -> bytes:
    if plan.encrypt_for or survives_transport(entity):
        return multipart_signed(entity, sign(entity, pair, digest=digest, at=plan.at), digest)
    return pkcs7_mime(sign(entity, pair, digest=digest, detached=False, at=plan.at), "signed-data")


def _bare_content(entity: Entity) -> bytes:
    body = entity.raw[entity.body :]
    if entity.content_type.startswith("multipart/"):
        return body
    content, damage = decode(body, encoding_name(entity.headers.first("content-transfer-encoding")))
    return body if damage else content


# ---------------------------------------------------------------- taking off


def open_layers(
    entity: bytes,
    *,
    limits: Limits,
    keys: Sequence[KeyPair] = (),
    trusted: Sequence[bytes] = (),
    addresses: Sequence[str] = (),
    weak: bool = False,
    at: float,
) -> Opened:
    """Opens every S/MIME layer of an entity, or of a whole mail; one without any comes back as it is.

    ``trusted`` are the certificates (DER) that count for the partner: leaves, and authorities for ``addresses``.
    ``weak`` reads SHA-1, SHA-224, signatures without signed attributes, RSA keys under 2,048 bits and 3DES.
    ``at`` is the time of receipt, seconds since 1970 UTC.

    Raises:
        SignatureInvalid, SignerUnknown, SignerRefused: when a signature does not prove what it should.
        CannotDecrypt: when no key of ours opens it, or it was damaged.
        AlgorithmRefused: for what is weak or unknown.
        CompressionBomb, DecompressionFailed: when compressed content does not unpack within ``limits``.
        SecurityMalformed, ContentDamaged, MessageMalformed, HeadersTooLarge: when a layer cannot be read.
    """
    trust = Trust(tuple(trusted), tuple(addresses), at, weak)
    return _Peeler(limits, tuple(keys), trust).peel(entity)


def claimed_signers(entity: bytes, *, limits: Limits, keys: Sequence[KeyPair] = ()) -> tuple[bytes, ...]:
    """The certificates (DER) that came with a signed mail and whose signatures hold over it, in any layer.

    They prove nothing by themselves: a person confirms the fingerprint before one becomes trusted.

    Raises:
        The same as ``open_layers`` where a layer cannot be opened at all.
    """
    return open_unproven(entity, limits=limits, keys=keys)[1]


def open_unproven(entity: bytes, *, limits: Limits, keys: Sequence[KeyPair] = ()) -> tuple[Opened, tuple[bytes, ...]]:
    """What is inside, for a person to look at, and the certificates (DER) whose signatures hold over it: claims.

    Raises:
        The same as ``open_layers`` where a layer cannot be opened at all.
    """
    peeler = _Peeler(limits, tuple(keys), Trust((), weak=True), claims=True)
    opened = peeler.peel(entity)
    return opened, tuple(dict.fromkeys(peeler.claimed))


class _Peeler:
    """Takes layer after layer off one message; with ``claims`` it collects who claims to have signed, and trusts."""

    def __init__(self, limits: Limits, keys: tuple[KeyPair, ...], trust: Trust, *, claims: bool = False) -> None:
        self._limits = limits
        self._keys = keys
        self._trust = trust
        self._claims = claims
        self.claimed: list[bytes] = []
        self._layers: list[Layer] = []
        self._seen: list[bytes] = []
        self._signer: bytes | None = None
        self._covered: bytes | None = None
        self._allowance = 0  # bytes that may still come out of compressed layers
        self._innermost: bytes | None = None  # as it was decrypted or unpacked, without headers of our making

    def peel(self, raw: bytes) -> Opened:
        entity = read_entity(raw, self._limits)
        self._allowance = allowance(len(raw), self._limits)
        while entity.kind:
            if len(self._layers) >= MOST_LAYERS:
                raise SecurityMalformed(reason=f"more than {MOST_LAYERS} layers around each other")
            inner = self._detached(entity) if entity.kind == "detached" else self._cms(entity)
            entity = read_entity(inner, self._limits)
        covered = self._covered if self._signer is not None else self._innermost
        if covered is None:
            covered = _bare_content(entity)
        return Opened(entity.raw, tuple(self._layers), self._signer, tuple(dict.fromkeys(self._seen)), covered)

    def _detached(self, entity: Entity) -> bytes:
        covered, signature = signed_parts(entity, self._limits)
        kind, der = read_kind(signature)
        if kind != asn1.SIGNED_DATA:
            raise SecurityMalformed(reason="the signature of a multipart/signed is none")
        try:
            return self._verified(der, covered)
        except SignatureInvalid:
            restored = canonical(covered)
            if restored == covered:
                raise
            return self._verified(der, restored)

    def _cms(self, entity: Entity) -> bytes:
        """The content type inside decides, not the smime-type, which is often missing and sometimes wrong."""
        kind, der = read_kind(entity.decoded())
        if kind == asn1.SIGNED_DATA:
            return with_headers(self._verified(der, None))
        if kind == asn1.COMPRESSED_DATA:
            self._innermost = decompress(der, self._allowance)
            self._allowance -= len(self._innermost)
            self._layers.append(Layer("compressed", "zlib"))
        elif kind in {asn1.ENVELOPED_DATA, asn1.AUTH_ENVELOPED_DATA}:
            self._innermost = self._decrypted(der, authenticated=kind == asn1.AUTH_ENVELOPED_DATA)
        else:
            raise AlgorithmRefused(algorithm=f"CMS content of the type {kind}", reason="not known to the gateway")
        return with_headers(self._innermost)

    def _decrypted(self, der: bytes, *, authenticated: bool) -> bytes:
        content, cipher, pair = decrypt(der, self._keys, authenticated=authenticated, weak=self._trust.weak)
        self._layers.append(Layer("encrypted", cipher.name, fingerprint(pair.certificate), cipher.weak))
        return content

    def _verified(self, der: bytes, detached: bytes | None) -> bytes:
        if self._claims:
            found, covered = claimed(der, detached)
            self.claimed += found
            self._layers.append(Layer("signed"))
            return covered
        verified = verify(der, detached, self._trust)
        self._record(verified)
        return verified.content

    def _record(self, verified: Verified) -> None:
        self._layers.append(Layer("signed", verified.digest, fingerprint(verified.signer), verified.weak))
        self._seen += verified.certificates
        self._signer = verified.signer
        self._covered = verified.content
