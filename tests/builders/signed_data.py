"""CMS signatures put together by hand, with any part left out, doubled or wrong."""

from __future__ import annotations

from asn1crypto import cms, core
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from gateway.mail.smime import structures as asn1
from gateway.mail.smime.algorithms import digest_by_name
from gateway.mail.smime.keys import KeyPair, load, load_key

RSA = "1.2.840.113549.1.1.1"


def content_type(value=asn1.DATA):
    return asn1.Attribute({"type": asn1.CONTENT_TYPE, "values": asn1.AnySet([core.ObjectIdentifier(value)])})


def message_digest(content, digest="sha-256"):
    value = core.OctetString(digest_by_name(digest).of(content))
    return asn1.Attribute({"type": asn1.MESSAGE_DIGEST, "values": asn1.AnySet([value])})


def usual(content):
    return [content_type(), message_digest(content)]


def attributes_der(attributes) -> bytes:
    return asn1.Attributes(attributes).dump()


def signer_info(
    pair: KeyPair, signed_bytes: bytes, *, attributes=None, digest="sha-256", algorithm=RSA, signature=None
):
    certificate = load(pair.certificate)
    if signature is None:
        signature = load_key(pair.key).sign(signed_bytes, padding.PKCS1v15(), hashes.SHA256())
    named = cms.IssuerAndSerialNumber(
        {
            "issuer": asn1_x509.Name.load(certificate.issuer.public_bytes()),
            "serial_number": certificate.serial_number,
        }
    )
    given = {
        "version": 1,
        "sid": cms.SignerIdentifier({"issuer_and_serial_number": named}),
        "digest_algorithm": {"algorithm": digest_by_name(digest).oid},
        "signature_algorithm": {"algorithm": algorithm},
        "signature": signature,
    }
    if attributes is not None:
        given["signed_attributes"] = attributes
    return asn1.SignerInfo(given)


def signed_data(signers, *, content=None, kind=asn1.DATA, certificates=()) -> bytes:
    inner = {"content_type": kind} if content is None else {"content_type": kind, "content": content}
    given = {"version": 1, "digest_algorithms": [], "content": inner, "signers": signers}
    if certificates:
        given["certificates"] = asn1.AnySet([core.Any(core.Asn1Value.load(each)) for each in certificates])
    return asn1.Content({"content_type": asn1.SIGNED_DATA, "content": asn1.SignedData(given)}).dump()


def signed(pair: KeyPair, content: bytes, attributes=None, *, embed=True, **given) -> bytes:
    """One signer over ``content``; without ``attributes`` the usual ones."""
    attributes = usual(content) if attributes is None else attributes
    signer = signer_info(pair, attributes_der(attributes), attributes=attributes, **given)
    return signed_data([signer], content=content if embed else None)
