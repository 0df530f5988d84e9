"""Layers around an entity: what is written, what may be left out or misspelt, what is wrapped around, and the MIC."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from builders import signed_data as build
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from servers.smime_keys import NOW, pair, self_signed

from gateway.errors import (
    AlgorithmRefused,
    CannotDecrypt,
    CertificateUnusable,
    ContentDamaged,
    GatewayError,
    SecurityMalformed,
    SignatureInvalid,
    SignerUnknown,
)
from gateway.mail.smime import structures as asn1
from gateway.mail.smime.algorithms import CIPHER_NAMES
from gateway.mail.smime.compressing import compress
from gateway.mail.smime.entities import pkcs7_mime
from gateway.mail.smime.enveloping import envelope
from gateway.mail.smime.keys import KeyPair, fingerprint, load, load_key
from gateway.mail.smime.layers import MOST_LAYERS, Plan, claimed_signers, is_secured, open_layers, secure
from gateway.mail.smime.signing import sign
from gateway.settings.model import Limits

X12 = b"ISA*00*          *00*          *ZZ*ACME~\r\nIEA*0*000000001~\r\n"
ENTITY = b"Content-Type: application/EDI-X12\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" + X12
ACME, US = pair("acme"), pair("us")
SIGN = Plan(sign_with=ACME, at=NOW)
ENCRYPT = Plan(encrypt_for=(US.certificate,), at=NOW)
BOTH = Plan(sign_with=ACME, encrypt_for=(US.certificate,), at=NOW)
MAIL = b"From: edi@acme.example\r\nTo: edi@us.example\r\nSubject: order\r\nMIME-Version: 1.0\r\n"


def opened(entity: bytes, **given):
    given = {"limits": Limits(), "keys": [US], "trusted": [ACME.certificate], "at": NOW, **given}
    return open_layers(entity, **given)


def base64_mic(data: bytes, digest="sha256") -> str:
    return base64.b64encode(hashlib.new(digest, data).digest()).decode()


# ---------------------------------------------------------------- what comes out


def test_a_mail_without_layers_comes_back_as_it_is():
    found = opened(MAIL + ENTITY)
    assert (found.entity, found.layers, found.signer) == (MAIL + ENTITY, (), None)
    assert not is_secured(MAIL + ENTITY)


@pytest.mark.parametrize("plan", [SIGN, ENCRYPT, BOTH, Plan(compress=True)])
def test_a_whole_mail_is_opened_from_its_headers_on(plan):
    mail = MAIL + secure(ENTITY, plan).entity
    assert is_secured(mail)
    assert opened(mail).entity == ENTITY


def test_layers_tell_algorithm_and_certificate_from_the_outside_in():
    plan = Plan(
        sign_with=ACME, digest="sha-512", encrypt_for=(US.certificate,), cipher="aes-128-gcm", compress=True, at=NOW
    )
    made = secure(ENTITY, plan)
    assert made.words == "compressed, signed sha-512, encrypted aes-128-gcm"
    found = opened(made.entity)
    assert [(each.kind, each.algorithm, each.fingerprint, each.weak) for each in found.layers] == [
        ("encrypted", "aes-128-gcm", fingerprint(US.certificate), False),
        ("signed", "sha-512", fingerprint(ACME.certificate), False),
        ("compressed", "zlib", "", False),
    ]
    assert found.signed
    assert found.encrypted
    assert found.seen_certificates == (ACME.certificate,)


def test_a_signature_is_over_the_bytes_as_they_came():
    """Odd folding, blanks and spelling in the signed part stay untouched."""
    odd = b'content-TYPE:application/EDI-X12;\r\n\tname =  "a b"\r\nX-Odd:   x\r\n y\r\n\r\n' + X12 + b"\r\n\r\n"
    assert opened(secure(odd, SIGN).entity).entity == odd


def test_what_a_host_would_change_is_signed_inside_a_wrapping():
    for content in (
        b"caf\xc3\xa9\r\n",
        b"bare\nline\r\n",
        b"x" * 2_000 + b"\r\n",
        b"blank \r\n",
        b"From here\r\n",
        b".\r\n",
    ):
        entity = b"Content-Type: text/plain\r\n\r\n" + content
        made = secure(entity, SIGN).entity
        assert b"smime-type=signed-data" in made
        assert opened(made).entity == entity


def test_what_is_written_is_lines_that_any_host_hands_on():
    for plan in (SIGN, ENCRYPT, BOTH, Plan(compress=True)):
        made = secure(ENTITY, plan).entity
        assert made.isascii()
        assert max(map(len, made.split(b"\r\n"))) <= 78
        assert b"\n" not in made.replace(b"\r\n", b"")


# ---------------------------------------------------------------- the message integrity check


def test_the_mic_of_signed_content_is_over_what_is_signed():
    """RFC 3335: with its MIME headers; RFC 5402: of the compressed part where it was compressed before."""
    assert secure(ENTITY, SIGN).mic == base64_mic(ENTITY) == opened(secure(ENTITY, BOTH).entity).mic()
    made = secure(ENTITY, Plan(sign_with=ACME, compress=True, at=NOW))
    found = opened(made.entity)
    assert found.mic() == made.mic != base64_mic(ENTITY)
    assert found.covered.startswith(b"Content-Type: application/pkcs7-mime; smime-type=compressed-data")


@pytest.mark.parametrize("plan", [ENCRYPT, Plan(compress=True), Plan(compress=True, encrypt_for=(US.certificate,))])
def test_the_mic_of_unsigned_content_is_over_the_innermost_entity(plan):
    made = secure(ENTITY, plan)
    assert made.mic == base64_mic(ENTITY) == opened(made.entity).mic()


def test_the_mic_of_a_plain_mail_is_over_the_content_alone():
    encoded = b"Content-Type: application/EDI-X12\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(
        X12
    )
    assert opened(MAIL + encoded).mic() == base64_mic(X12) == secure(encoded, Plan()).mic
    assert secure(encoded, Plan()).entity == encoded


def test_the_mic_is_given_in_the_digest_that_was_asked_for():
    found = opened(secure(ENTITY, SIGN).entity)
    for spelling in ("sha1", "SHA-1", "sha512", "SHA_384", "rsa-sha1"):
        digest = spelling.lower().replace("rsa-", "").replace("-", "").replace("_", "")
        assert found.mic(spelling) == base64_mic(ENTITY, digest)
    with pytest.raises(AlgorithmRefused):
        found.mic("md4")


def test_bare_edi_without_headers_is_read_and_its_mic_is_over_it_alone():
    """Mendelson encrypts the file itself."""
    found = opened(pkcs7_mime(envelope(X12, [US.certificate]), "enveloped-data"))
    assert found.entity.startswith(b"Content-Type: application/EDI-X12\r\n")
    assert found.entity.endswith(b"\r\n\r\n" + X12)
    assert found.mic() == base64_mic(X12)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"UNA:+.? 'UNB+UNOC:3'", b"application/EDIFACT"),
        (b"UNB+UNOC:3'", b"application/EDIFACT"),
        (b"\x00\x01", b"octet"),
    ],
)
def test_other_content_without_headers_is_labelled(content, kind):
    found = opened(pkcs7_mime(compress(content), "compressed-data"))
    assert kind in found.entity.split(b"\r\n\r\n")[0]
    assert found.entity.endswith(content)


# ---------------------------------------------------------------- spellings


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"micalg=sha-256", b"micalg=SHA256"),
        (b" micalg=sha-256;\r\n", b""),
        (b"application/pkcs7-signature", b"application/x-pkcs7-signature"),
        (b"multipart/signed", b"Multipart/Signed"),
        (b'protocol="application/pkcs7-signature"', b"protocol=application/PKCS7-Signature"),
        (b"name=smime.p7s", b'name="signature.p7s"'),
    ],
)
def test_spellings_of_multipart_signed_do_not_matter(old, new):
    made = secure(ENTITY, SIGN).entity
    assert old in made
    assert opened(made.replace(old, new)).entity == ENTITY


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"application/pkcs7-mime", b"application/x-pkcs7-mime"),
        (b" smime-type=enveloped-data;", b""),
        (b"smime-type=enveloped-data", b"smime-type=signed-data"),
        (b"application/pkcs7-mime", b"application/octet-stream"),
        (
            b"application/pkcs7-mime; smime-type=enveloped-data;\r\n name=smime.p7m",
            b"application/octet-stream",
        ),
    ],
)  # fmt: skip
def test_the_type_inside_decides_not_what_the_headers_say(old, new):
    made = secure(ENTITY, ENCRYPT).entity
    assert old in made
    assert opened(made.replace(old, new, 1)).entity == ENTITY


def test_binary_cms_is_read():
    head = b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    cms = envelope(ENTITY, [US.certificate])
    assert opened(head + cms).entity == ENTITY
    assert opened(head + cms + b"\r\n").entity == ENTITY
    with pytest.raises(SecurityMalformed, match="follow"):
        opened(head + cms + b"\r\n\0")


@pytest.mark.parametrize("options", [[pkcs7.PKCS7Options.DetachedSignature], [pkcs7.PKCS7Options.Text]])
def test_what_the_library_itself_writes_as_mail_is_read(options):
    """Another writer of multipart/signed, with a preamble and the older names."""
    builder = pkcs7.PKCS7SignatureBuilder().set_data(ENTITY)
    builder = builder.add_signer(load(ACME.certificate), load_key(ACME.key), hashes.SHA256())
    if pkcs7.PKCS7Options.Text in options:
        options = [*options, pkcs7.PKCS7Options.DetachedSignature]
    made = builder.sign(serialization.Encoding.SMIME, options)
    assert opened(made).entity.endswith(ENTITY)


def test_a_mail_whose_carriage_returns_a_host_took_away_still_holds():
    """As it lies in a Maildir."""
    made = (MAIL + secure(ENTITY, SIGN).entity).replace(b"\r\n", b"\n")
    assert opened(made).entity == ENTITY


def test_other_signatures_and_attachments_are_no_layers():
    for kind in (
        b'multipart/signed; protocol="application/pgp-signature"; boundary=b',
        b"application/octet-stream; name=order.edi",
        b"text/plain",
        b"",
    ):
        assert not is_secured(b"Content-Type: " + kind + b"\r\n\r\nx")
    assert not is_secured(b"no header at all")
    assert not is_secured(b"")


# ---------------------------------------------------------------- wrapping and adding


def test_a_part_added_behind_or_before_the_signed_one_is_refused():
    made = secure(ENTITY, SIGN).entity
    boundary = re.search(rb'boundary="([^"]+)"', made)[1]
    other = b"--" + boundary + b"\r\nContent-Type: application/EDI-X12\r\n\r\nISA*forged~\r\n"
    behind = made.replace(b"--" + boundary + b"--", other + b"--" + boundary + b"--")
    before = made.replace(b"\r\n\r\n--" + boundary, b"\r\n\r\n" + other + b"--" + boundary, 1)
    for forged in (behind, before):
        with pytest.raises(SecurityMalformed, match="only the first is signed"):
            opened(forged)


def test_text_around_the_parts_is_not_part_of_what_is_returned():
    made = secure(ENTITY, SIGN).entity
    head, _, rest = made.partition(b"\r\n\r\n")
    around = head + b"\r\n\r\nISA*forged in the preamble~\r\n" + rest + b"\r\nISA*forged in the epilogue~\r\n"
    assert opened(around).entity == ENTITY


def test_a_multipart_around_a_signed_part_is_not_signed():
    made = secure(ENTITY, SIGN).entity
    around = b"Content-Type: multipart/mixed; boundary=out\r\n\r\n--out\r\n" + made + b"\r\n--out--\r\n"
    assert not is_secured(around)
    assert opened(around).signer is None


def test_an_exchanged_part_is_refused():
    made = secure(ENTITY, SIGN).entity
    assert ENTITY in made
    with pytest.raises(SignatureInvalid):
        opened(made.replace(b"*ACME~", b"*EVIL~"))


def test_a_changed_header_inside_is_refused():
    with pytest.raises(SignatureInvalid):
        opened(secure(ENTITY, SIGN).entity.replace(b"application/EDI-X12", b"text/plain", 1))


def test_two_boundaries_that_differ_are_refused():
    made = secure(ENTITY, SIGN).entity.replace(b"micalg=sha-256", b'boundary="other"; micalg=sha-256')
    with pytest.raises(GatewayError):
        opened(made)


@pytest.mark.parametrize("keep", [1, 3])
def test_a_multipart_signed_without_its_signature_is_refused(keep):
    made = secure(ENTITY, SIGN).entity
    cut = made[: made.index(b"Content-Type: application/pkcs7-signature")]
    with pytest.raises(GatewayError):
        opened(cut if keep == 1 else cut + b"Content-Type: application/pkcs7-signature\r\n\r\n")


def test_layers_have_a_bound():
    entity = ENTITY
    for _ in range(MOST_LAYERS):
        entity = secure(entity, Plan(compress=True)).entity
    assert opened(entity).entity == ENTITY
    with pytest.raises(SecurityMalformed, match="layers"):
        opened(secure(entity, Plan(compress=True)).entity)


def test_signatures_around_each_other_must_all_hold_and_the_inner_one_names_the_signer():
    twice = secure(secure(ENTITY, SIGN).entity, Plan(sign_with=pair("relay"), at=NOW)).entity
    with pytest.raises(SignerUnknown):
        opened(twice)
    found = opened(twice, trusted=[ACME.certificate, pair("relay").certificate])
    assert found.signer == ACME.certificate
    assert [each.kind for each in found.layers] == ["signed", "signed"]


def test_no_changed_byte_of_a_signed_and_encrypted_mail_changes_what_is_believed():
    """CBC ciphertext can be bent; the signature inside sees it."""
    for plan in (BOTH, Plan(encrypt_for=(US.certificate,), cipher="aes-256-gcm", at=NOW)):
        inner = secure(ENTITY, Plan(sign_with=plan.sign_with, at=NOW)).entity if plan.sign_with else ENTITY
        cms = envelope(inner, [US.certificate], cipher=plan.cipher)
        for place in range(0, len(cms), 9):
            changed = cms[:place] + bytes([cms[place] ^ 0x01]) + cms[place + 1 :]
            try:
                found = opened(pkcs7_mime(changed, "enveloped-data"))
            except GatewayError:
                continue
            assert found.entity == ENTITY or not found.signed, place
            assert plan.sign_with or found.entity == ENTITY, place


def test_damaged_base64_is_not_guessed():
    with pytest.raises(ContentDamaged):
        opened(secure(ENTITY, ENCRYPT).entity.replace(b"\r\n\r\n", b"\r\n\r\n!!", 1))


# ---------------------------------------------------------------- one answer


def test_wrong_key_bad_key_and_bad_content_have_one_answer():
    """A reader of our receipts learns nothing from it."""
    other = pair("other")
    impostor = KeyPair(US.certificate, other.key)
    answers = set()
    for _ in range(3):
        for cms in (
            envelope(ENTITY, [US.certificate], cipher="aes-256-gcm"),
            envelope(ENTITY, [US.certificate], cipher="aes-256-gcm", key_transport="rsa-oaep"),
        ):
            for keys in ([], [other], [impostor]):
                with pytest.raises(CannotDecrypt) as caught:
                    opened(pkcs7_mime(cms, "enveloped-data"), keys=keys)
                answers.add(str(caught.value))
    spoiled = bytearray(envelope(ENTITY, [US.certificate], cipher="aes-256-gcm"))
    spoiled[-1] ^= 1
    with pytest.raises(CannotDecrypt) as caught:
        opened(pkcs7_mime(bytes(spoiled), "enveloped-data"))
    answers.add(str(caught.value))
    assert len(answers) == 1


def test_damage_in_every_place_of_cbc_has_one_answer():
    cms = envelope(b"x" * 31, [US.certificate])
    answers = set()
    for bit in range(256):
        spoiled = cms[:-17] + bytes([cms[-17] ^ bit]) + cms[-16:]  # bends the last byte of padding
        try:
            opened(pkcs7_mime(spoiled, "enveloped-data"))
        except CannotDecrypt as problem:
            answers.add(str(problem))
    assert len(answers) == 1


def test_what_opens_with_a_replaced_key_is_not_believed(monkeypatch):
    """Even where chance makes the replacement the right key."""
    monkeypatch.setattr("os.urandom", lambda size: b"k" * size)
    cms = envelope(ENTITY, [US.certificate], key_transport="rsa-oaep")
    impostor = KeyPair(US.certificate, pair("other").key)
    with pytest.raises(CannotDecrypt):
        opened(pkcs7_mime(cms, "enveloped-data"), keys=[impostor])
    assert opened(pkcs7_mime(cms, "enveloped-data"), keys=[impostor, US]).entity == ENTITY


def changed_envelope(cipher: str, change) -> bytes:
    content = asn1.Content.load(envelope(ENTITY, [US.certificate], cipher=cipher))
    change(content["content"])
    return pkcs7_mime(content.dump(force=True), "authEnveloped-data")


def test_authenticated_content_cannot_be_read_by_a_cipher_without_authentication():
    """Else whoever changes one identifier could bend the content."""

    def downgrade(enveloped):
        enveloped["content"]["algorithm"]["algorithm"] = CIPHER_NAMES["aes-256-cbc"].oid
        enveloped["content"]["algorithm"]["parameters"] = asn1.GcmParameters({"nonce": b"n" * 16, "tag_length": 16})

    with pytest.raises(AlgorithmRefused, match="kind of envelope"):
        opened(changed_envelope("aes-256-gcm", downgrade))


def test_a_shortened_tag_is_refused():
    def shorten(length, stated):
        def change(enveloped):
            nonce = enveloped["content"]["algorithm"]["parameters"].parse(asn1.GcmParameters)["nonce"].native
            parameters = asn1.GcmParameters({"nonce": nonce, "tag_length": stated})
            enveloped["content"]["algorithm"]["parameters"] = parameters
            enveloped["mac"] = enveloped["mac"].native[:length]

        return change

    assert opened(changed_envelope("aes-256-gcm", shorten(16, 16))).entity == ENTITY
    assert opened(changed_envelope("aes-256-gcm", shorten(12, 12))).entity == ENTITY  # RFC 5084 allows 12 and more
    with pytest.raises(SecurityMalformed, match="tag"):
        opened(changed_envelope("aes-256-gcm", shorten(12, 16)))
    with pytest.raises(CannotDecrypt):
        opened(changed_envelope("aes-256-gcm", shorten(4, 4)))


def test_an_unexpected_key_among_ours_does_no_harm():
    """A key that is damaged or of another kind is passed over."""
    keys = [KeyPair(b"none", b"none"), pair("curve", "ec-p256"), KeyPair(US.certificate, b"none"), US]
    assert opened(secure(ENTITY, BOTH).entity, keys=keys).entity == ENTITY


# ---------------------------------------------------------------- what we refuse to write


@pytest.mark.parametrize(
    "plan",
    [
        Plan(encrypt_for=(pair("curve", "ec-p256").certificate,)),
        Plan(encrypt_for=(b"no certificate",)),
        Plan(encrypt_for=(US.certificate,), cipher="3des-cbc"),
        Plan(encrypt_for=(US.certificate,), key_transport="rsa"),
        Plan(encrypt_for=(US.certificate,), at=NOW + 4_000 * 86_400),
        Plan(sign_with=ACME, at=NOW - 400 * 86_400),
        Plan(sign_with=ACME, digest="sha-1"),
        Plan(sign_with=KeyPair(ACME.certificate, b"no key")),
        Plan(encrypt_for=(self_signed(usage=("digital_signature",)).certificate,)),
        Plan(encrypt_for=(self_signed(name="short", bits=1024).certificate,)),
    ],
    ids=["curve", "junk", "3des", "transport", "expired", "too early", "sha-1", "no key", "usage", "short"],
)  # fmt: skip
def test_unfit_certificates_and_algorithms_are_named(plan):
    with pytest.raises(CertificateUnusable):
        secure(ENTITY, plan)


# ---------------------------------------------------------------- who claims to have signed


def test_a_person_can_see_whose_certificate_came_before_it_is_trusted():
    made = secure(ENTITY, Plan(sign_with=ACME, encrypt_for=(US.certificate,), compress=True, at=NOW)).entity
    assert claimed_signers(made, limits=Limits(), keys=[US]) == (ACME.certificate,)


def test_a_certificate_that_did_not_sign_the_mail_is_not_shown():
    attributes = build.usual(ENTITY)
    info = build.signer_info(
        KeyPair(ACME.certificate, pair("mallory").key), build.attributes_der(attributes), attributes=attributes
    )
    cms = build.signed_data([info], content=ENTITY, certificates=(ACME.certificate, US.certificate))
    assert claimed_signers(pkcs7_mime(cms, "signed-data"), limits=Limits()) == ()


def test_a_detached_signature_of_nothing_signed_is_refused():
    made = secure(ENTITY, SIGN).entity
    cms = base64.encodebytes(envelope(ENTITY, [US.certificate])).replace(b"\n", b"\r\n")
    start = made.index(b"filename=smime.p7s\r\n\r\n") + 22
    with pytest.raises(SecurityMalformed, match="is none"):
        opened(made[:start] + cms + made[made.rindex(b"--=_") :])


def test_an_opaque_signature_of_a_file_is_read():
    """The signed content is the EDI file itself."""
    found = opened(pkcs7_mime(sign(X12, ACME, detached=False), "signed-data"))
    assert found.entity.endswith(X12)
    assert found.mic() == base64_mic(X12)
