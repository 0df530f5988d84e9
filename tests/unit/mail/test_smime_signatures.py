"""What a signature must be to count: every way to turn one around, or to stretch it over other content, is refused."""

from __future__ import annotations

import pytest
from builders import signed_data as build
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from servers.smime_keys import DAY, NOW, Authority, authority, issued, named, pair, rsa_key, self_signed

from gateway.errors import (
    AlgorithmRefused,
    GatewayError,
    SecurityMalformed,
    SignatureInvalid,
    SignerRefused,
    SignerUnknown,
)
from gateway.mail.smime import structures as asn1
from gateway.mail.smime.keys import KeyPair, fingerprint, load
from gateway.mail.smime.reading import Identifier, read_kind
from gateway.mail.smime.signing import sign
from gateway.mail.smime.trust import Trust
from gateway.mail.smime.verifying import verify

CONTENT = b"Content-Type: application/EDI-X12\r\n\r\nISA*00*~\r\n"
ACME = pair("acme")


def checked(
    cms: bytes, detached: bytes | None = None, *, trusted=(ACME.certificate,), weak=False, at=NOW, addresses=()
):
    return verify(read_kind(cms)[1], detached, Trust(tuple(trusted), tuple(addresses), at, weak))


def test_the_hand_made_signature_holds_when_nothing_is_wrong():
    """The ground under the tests below: they fail for what they change and nothing else."""
    assert checked(build.signed(ACME, CONTENT)).content == CONTENT
    assert checked(build.signed(ACME, CONTENT, embed=False), CONTENT).signer == ACME.certificate


# ---------------------------------------------------------------- tampering


def test_no_changed_byte_changes_what_is_believed():
    """Any byte of a signed message may be flipped: it is refused, or says the same of the same signer."""
    for detached in (True, False):
        cms = sign(CONTENT, ACME, detached=detached)
        for place in range(len(cms)):
            changed = cms[:place] + bytes([cms[place] ^ 0x01]) + cms[place + 1 :]
            try:
                found = checked(changed, CONTENT if detached else None)
            except GatewayError:
                continue
            assert (found.content, found.signer) == (CONTENT, ACME.certificate), place


def test_changed_content_is_refused():
    with pytest.raises(SignatureInvalid, match="not what was signed"):
        checked(sign(CONTENT, ACME), CONTENT + b" ")


def test_a_signature_of_another_key_under_a_known_name_is_refused():
    forged = KeyPair(ACME.certificate, pair("mallory").key)
    with pytest.raises(SignatureInvalid, match="not by the key"):
        checked(build.signed(forged, CONTENT))


REFUSED = {
    "no content type": [build.message_digest(CONTENT)],
    "no message digest": [build.content_type()],
    "content type twice": [build.content_type(), *build.usual(CONTENT)],
    "message digest twice": [*build.usual(CONTENT), build.message_digest(b"other")],
    "other content type": [build.content_type(asn1.COMPRESSED_DATA), build.message_digest(CONTENT)],
    "other digest": [build.content_type(), build.message_digest(b"other")],
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_signed_attributes_are_refused(case):
    with pytest.raises(SignatureInvalid):
        checked(build.signed(ACME, CONTENT, REFUSED[case]))


def test_two_values_in_one_attribute_are_refused():
    digests = [build.core.OctetString(build.digest_by_name("sha-256").of(each)) for each in (CONTENT, b"other")]
    double = asn1.Attribute({"type": asn1.MESSAGE_DIGEST, "values": asn1.AnySet(digests)})
    with pytest.raises(SignatureInvalid, match="2 times"):
        checked(build.signed(ACME, CONTENT, [build.content_type(), double]))


def test_content_inside_a_detached_signature_is_refused():
    """Else one program would show the part, and another what is inside the signature."""
    with pytest.raises(SignatureInvalid, match="other content of its own"):
        checked(build.signed(ACME, CONTENT), CONTENT)


def test_a_missing_content_is_refused():
    with pytest.raises(SecurityMalformed, match="content is missing"):
        checked(sign(CONTENT, ACME, detached=True), None)


def test_nobody_signed():
    with pytest.raises(SecurityMalformed, match="nobody signed"):
        checked(build.signed_data([], content=CONTENT))


def test_attributes_turned_into_content_are_refused():
    """A signature with attributes holds over the attributes' own bytes too, when somebody takes them for content."""
    attributes = build.attributes_der(build.usual(CONTENT))
    turned = build.signed_data([build.signer_info(ACME, attributes)], content=attributes)
    with pytest.raises(SignatureInvalid, match="attributes"):
        checked(turned, weak=True)


def test_signatures_without_attributes_are_weak():
    plain = build.signed_data([build.signer_info(ACME, CONTENT)], content=CONTENT)
    with pytest.raises(AlgorithmRefused, match="signed attributes"):
        checked(plain)
    assert checked(plain, weak=True).weak


def test_a_signature_over_another_kind_of_content_is_refused():
    inner = asn1.COMPRESSED_DATA
    attributes = [build.content_type(inner), build.message_digest(CONTENT)]
    signer = build.signer_info(ACME, build.attributes_der(attributes), attributes=attributes)
    with pytest.raises(SecurityMalformed, match="content of the type"):
        checked(build.signed_data([signer], content=CONTENT, kind=inner))


@pytest.mark.parametrize(
    ("algorithm", "fault"),
    [
        ("1.2.840.113549.1.1.13", SignatureInvalid),  # sha512WithRSA, though SHA-256 is named
        ("1.2.840.113549.1.1.4", AlgorithmRefused),  # md5WithRSA
        ("1.2.840.10045.4.3.2", AlgorithmRefused),  # ECDSA with an RSA key
        ("1.2.840.113549.1.1.10", SecurityMalformed),  # PSS whose parameters are missing and so mean SHA-1
    ],
)
def test_an_algorithm_that_contradicts_itself_is_refused(algorithm, fault):
    with pytest.raises((fault, SignatureInvalid)):
        checked(build.signed(ACME, CONTENT, algorithm=algorithm))


def test_more_signers_than_anybody_needs_are_refused():
    signer = build.signer_info(ACME, b"")
    with pytest.raises(SecurityMalformed, match="signers"):
        checked(build.signed_data([signer] * 20, content=CONTENT))


# ---------------------------------------------------------------- whose it is


def test_a_certificate_in_the_message_makes_nobody_known():
    with pytest.raises(SignerUnknown) as caught:
        checked(sign(CONTENT, pair("mallory")), CONTENT)
    assert caught.value.details["signer"] == fingerprint(pair("mallory").certificate)


def test_the_same_name_and_serial_number_do_not_make_it_the_same_certificate():
    """A self-made certificate with the partner's subject is another one."""
    impostor = self_signed(name="acme", address="edi@acme.example")
    with pytest.raises(SignerUnknown):
        checked(sign(CONTENT, impostor), CONTENT)


def test_several_certificates_count_at_once():
    """Roll-over: the old and the new certificate are both good."""
    both = (ACME.certificate, pair("acme-ec", "ec-p256").certificate)
    for each in (ACME, pair("acme-ec", "ec-p256")):
        assert checked(sign(CONTENT, each), CONTENT, trusted=both).signer == each.certificate


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"end": NOW - DAY}, "expired"),
        ({"start": NOW + 2 * DAY}, "valid only from"),
        ({"usage": ("key_encipherment",)}, "key usage"),
    ],
)
def test_a_pinned_certificate_must_be_valid_and_made_for_signing(given, reason):
    given = {"start": NOW - 50 * DAY, **given}
    signer = self_signed(**given)
    with pytest.raises(SignerRefused, match=reason):
        checked(build.signed(signer, CONTENT), trusted=(signer.certificate,))


def test_a_pinned_certificate_without_any_usage_counts():
    signer = self_signed(usage=None, purposes=(), address=None)
    assert checked(build.signed(signer, CONTENT), trusted=(signer.certificate,))


def test_mail_signed_before_the_certificate_expired_counts_for_a_week():
    """The mail lay in the mailbox over the week-end in which the certificate expired."""
    signer = self_signed(start=NOW - 50 * DAY, end=NOW + DAY)
    cms = sign(CONTENT, signer)  # states the signing time, now
    assert checked(cms, CONTENT, trusted=(signer.certificate,), at=NOW + 3 * DAY)
    with pytest.raises(SignerRefused, match="expired"):
        checked(cms, CONTENT, trusted=(signer.certificate,), at=NOW + 9 * DAY)


def test_short_keys_are_weak():
    signer = self_signed(name="short", bits=1024)
    cms = build.signed(signer, CONTENT)
    with pytest.raises(AlgorithmRefused, match="1024"):
        checked(cms, trusted=(signer.certificate,))
    assert checked(cms, trusted=(signer.certificate,), weak=True).weak


@pytest.mark.parametrize("identified", [True, False], ids=["extension", "computed"])
def test_a_signer_may_be_meant_by_its_key(identified):
    certificate = load(self_signed(identified=identified).certificate)
    digest = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest
    assert Identifier(key_identifier=digest).names(certificate)
    assert not Identifier(key_identifier=digest[:-1] + b"x").names(certificate)


@pytest.mark.parametrize(
    ("text", "kind", "same"),
    [
        ("leaf", _ASN1Type.PrintableString, True),
        ("LEAF", _ASN1Type.UTF8String, True),
        ("lead", _ASN1Type.UTF8String, False),
    ],
)
def test_names_are_compared_as_names_and_not_by_their_encoding(text, kind, same):
    """Some software writes the issuer anew, in another kind of string."""
    certificate = load(self_signed().certificate)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text, _type=kind)]).public_bytes()
    assert Identifier(issuer=name, serial=certificate.serial_number).names(certificate) is same
    assert not Identifier(issuer=name, serial=certificate.serial_number + 1).names(certificate)


# ---------------------------------------------------------------- pinned authorities


def by_authority(signer, *, root=None, addresses=("EDI@acme.example",), embedded=(), at=NOW):
    root = root or authority()
    attributes = build.usual(CONTENT)
    info = build.signer_info(signer, build.attributes_der(attributes), attributes=attributes)
    cms = build.signed_data([info], content=CONTENT, certificates=(signer.certificate, *embedded))
    return checked(cms, trusted=(root.certificate,), addresses=addresses, at=at)


def test_who_a_pinned_authority_vouches_for_counts():
    signer = issued(authority())
    assert by_authority(signer).signer == signer.certificate


def test_a_chain_may_come_in_the_message():
    middle = authority("Middle authority", authority())
    signer = issued(middle)
    assert by_authority(signer, embedded=(middle.certificate,)).signer == signer.certificate
    with pytest.raises(SignerRefused, match="vouches"):
        by_authority(signer)


LEAVES = {
    "another address": {"address": "edi@mallory.example"},
    "no address": {"address": None},
    "expired": {"start": NOW - 9 * DAY, "end": NOW - DAY},
    "not for mail": {"purposes": (ExtendedKeyUsageOID.SERVER_AUTH,)},
    "not for signing": {"usage": ("key_encipherment",)},
    "an unknown critical extension": {"strange": True},
}


@pytest.mark.parametrize("case", LEAVES)
def test_an_authority_vouches_only_for_what_its_certificates_say(case):
    with pytest.raises(SignerRefused):
        by_authority(issued(authority(), **LEAVES[case]))


def test_an_authority_vouches_for_nobody_when_no_address_is_given():
    with pytest.raises(SignerRefused, match="addresses"):
        by_authority(issued(authority()), addresses=())


def test_another_authority_counts_for_nothing():
    other = authority("Other authority")
    with pytest.raises(SignerRefused, match="vouches"):
        by_authority(issued(other), embedded=(other.certificate,))


def test_a_leaf_cannot_make_itself_an_authority():
    """A partner's ordinary certificate signs another one: nobody vouches for that."""
    leaf = issued(authority(), name="leaf")
    false = issued(Authority(leaf.certificate, named("leaf"), rsa_key("leaf")), name="false")
    with pytest.raises(SignerRefused):
        by_authority(false, embedded=(leaf.certificate,))
