# ruff: noqa: RUF012 - asn1crypto wants its field lists as plain class attributes
"""The ASN.1 of CMS as asn1crypto classes (RFC 5652, 5083, 5084, 3274): only what the gateway reads and writes.

Open types stay ``Any`` and are looked into on purpose, so that nothing is parsed that nobody asks for.
"""

from __future__ import annotations

from asn1crypto import algos, cms, core

DATA = "1.2.840.113549.1.7.1"
SIGNED_DATA = "1.2.840.113549.1.7.2"
ENVELOPED_DATA = "1.2.840.113549.1.7.3"
AUTH_ENVELOPED_DATA = "1.2.840.113549.1.9.16.1.23"
COMPRESSED_DATA = "1.2.840.113549.1.9.16.1.9"
ZLIB = "1.2.840.113549.1.9.16.3.8"
CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
SIGNING_TIME = "1.2.840.113549.1.9.5"


class Algorithm(core.Sequence):
    """AlgorithmIdentifier."""

    _fields = [("algorithm", core.ObjectIdentifier), ("parameters", core.Any, {"optional": True})]


class Algorithms(core.SetOf):
    """SET OF AlgorithmIdentifier."""

    _child_spec = Algorithm


class AnySet(core.SetOf):
    """A SET OF whatever."""

    _child_spec = core.Any


class EncapsulatedContent(core.Sequence):
    """EncapsulatedContentInfo: the content is an octet string."""

    _fields = [
        ("content_type", core.ObjectIdentifier),
        ("content", core.OctetString, {"explicit": 0, "optional": True}),
    ]


class Attribute(core.Sequence):
    """One attribute and its values."""

    _fields = [("type", core.ObjectIdentifier), ("values", AnySet)]


class Attributes(core.SetOf):
    """SET OF Attribute."""

    _child_spec = Attribute


class SignerInfo(core.Sequence):
    """What one signer says."""

    _fields = [
        ("version", core.Integer),
        ("sid", cms.SignerIdentifier),
        ("digest_algorithm", Algorithm),
        ("signed_attributes", Attributes, {"implicit": 0, "optional": True}),
        ("signature_algorithm", Algorithm),
        ("signature", core.OctetString),
        ("unsigned_attributes", AnySet, {"implicit": 1, "optional": True}),
    ]


class SignerInfos(core.SetOf):
    """SET OF SignerInfo."""

    _child_spec = SignerInfo


class SignedData(core.Sequence):
    """SignedData."""

    _fields = [
        ("version", core.Integer),
        ("digest_algorithms", Algorithms),
        ("content", EncapsulatedContent),
        ("certificates", AnySet, {"implicit": 0, "optional": True}),
        ("crls", AnySet, {"implicit": 1, "optional": True}),
        ("signers", SignerInfos),
    ]


class KeyTransport(core.Sequence):
    """KeyTransRecipientInfo."""

    _fields = [
        ("version", core.Integer),
        ("rid", cms.RecipientIdentifier),
        ("algorithm", Algorithm),
        ("encrypted_key", core.OctetString),
    ]


class EncryptedContent(core.Sequence):
    """EncryptedContentInfo."""

    _fields = [
        ("content_type", core.ObjectIdentifier),
        ("algorithm", Algorithm),
        ("content", core.OctetString, {"implicit": 0, "optional": True}),
    ]


class EnvelopedData(core.Sequence):
    """EnvelopedData."""

    _fields = [
        ("version", core.Integer),
        ("originator", cms.OriginatorInfo, {"implicit": 0, "optional": True}),
        ("recipients", AnySet),
        ("content", EncryptedContent),
        ("unprotected_attributes", AnySet, {"implicit": 1, "optional": True}),
    ]


class AuthEnvelopedData(core.Sequence):
    """AuthEnvelopedData (RFC 5083)."""

    _fields = [
        ("version", core.Integer),
        ("originator", cms.OriginatorInfo, {"implicit": 0, "optional": True}),
        ("recipients", AnySet),
        ("content", EncryptedContent),
        ("authenticated_attributes", Attributes, {"implicit": 1, "optional": True}),
        ("mac", core.OctetString),
        ("unauthenticated_attributes", AnySet, {"implicit": 2, "optional": True}),
    ]


class GcmParameters(core.Sequence):
    """GCMParameters (RFC 5084)."""

    _fields = [("nonce", core.OctetString), ("tag_length", core.Integer, {"default": 12})]


class CompressedData(core.Sequence):
    """CompressedData (RFC 3274)."""

    _fields = [("version", core.Integer), ("algorithm", Algorithm), ("content", EncapsulatedContent)]


class PssParameters(core.Sequence):
    """RSASSA-PSS-params (RFC 4055)."""

    _fields = [
        ("hash", Algorithm, {"explicit": 0, "optional": True}),
        ("mask", Algorithm, {"explicit": 1, "optional": True}),
        ("salt_length", core.Integer, {"explicit": 2, "default": 20}),
        ("trailer", algos.TrailerField, {"explicit": 3, "default": "trailer_field_bc"}),
    ]


class OaepParameters(core.Sequence):
    """RSAES-OAEP-params (RFC 4055)."""

    _fields = [
        ("hash", Algorithm, {"explicit": 0, "optional": True}),
        ("mask", Algorithm, {"explicit": 1, "optional": True}),
        ("source", Algorithm, {"explicit": 2, "optional": True}),
    ]


class Content(core.Sequence):
    """ContentInfo, the outermost structure."""

    _fields = [("content_type", core.ObjectIdentifier), ("content", core.Any, {"explicit": 0, "optional": True})]
    _oid_pair = ("content_type", "content")
    _oid_specs = {
        SIGNED_DATA: SignedData,
        ENVELOPED_DATA: EnvelopedData,
        AUTH_ENVELOPED_DATA: AuthEnvelopedData,
        COMPRESSED_DATA: CompressedData,
    }
