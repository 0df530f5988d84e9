"""S/MIME against OpenSSL as the other party, both ways: what it writes we read, what we write it reads."""

from __future__ import annotations

import subprocess

import pytest
from servers.need import program
from servers.smime_keys import NOW, pair, write

from gateway.errors import AlgorithmRefused
from gateway.mail.smime.keys import fingerprint
from gateway.mail.smime.layers import Plan, open_layers, secure
from gateway.settings.model import Limits

pytestmark = pytest.mark.integration

ENTITY = (
    b"Content-Type: application/EDI-X12; name=po.edi\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
    b"ISA*00*          *00*          *ZZ*ACME           *ZZ*US             *261122*1200*^*00501*000000001*0*P*:~\r\n"
    b"IEA*0*000000001~\r\n"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    directory = tmp_path_factory.mktemp("smime")
    (directory / "entity").write_bytes(ENTITY)
    return {
        "entity": directory / "entity",
        "acme": write(pair("acme"), directory, "acme"),
        "ec": write(pair("acme-ec", "ec-p256"), directory, "ec"),
        "us": write(pair("us"), directory, "us"),
        "other": write(pair("other"), directory, "other"),
    }


def openssl(*given, data: bytes | None = None) -> bytes:
    command = [program("openssl"), *map(str, given)]
    done = subprocess.run(command, input=data, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def opened(entity: bytes, weak=False):
    return open_layers(
        entity,
        limits=Limits(),
        keys=[pair("other"), pair("us")],
        trusted=[pair("acme").certificate, pair("acme-ec", "ec-p256").certificate],
        weak=weak,
        at=NOW,
    )


# ---------------------------------------------------------------- OpenSSL wrote it

SIGNED = {
    "detached": ["-md", "sha256"],
    "binary": ["-md", "sha256", "-binary"],
    "opaque": ["-md", "sha256", "-nodetach", "-binary"],
    "opaque text mode": ["-md", "sha256", "-nodetach"],
    "streamed": ["-md", "sha256", "-nodetach", "-binary", "-stream"],
    "sha384": ["-md", "sha384"],
    "sha512": ["-md", "sha512", "-nodetach", "-stream"],
    "key identifier": ["-md", "sha256", "-keyid"],
    "no certificate inside": ["-md", "sha256", "-nocerts"],
    "no capabilities": ["-md", "sha256", "-nosmimecap"],
    "pss": ["-md", "sha256", "-keyopt", "rsa_padding_mode:pss"],
    "pss sha512": ["-md", "sha512", "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:32"],
}


@pytest.mark.parametrize("mode", SIGNED)
def test_what_openssl_signs_is_verified(files, mode):
    # "-keyopt" belongs to the signer that stands before it.
    signer = ["-signer", files["acme"].certificate, "-inkey", files["acme"].key]
    entity = openssl("cms", "-sign", "-in", files["entity"], *signer, *SIGNED[mode])
    found = opened(entity)
    assert found.entity == ENTITY
    assert found.signer == pair("acme").certificate
    assert [(each.kind, each.fingerprint) for each in found.layers] == [("signed", fingerprint(found.signer))]


def test_what_openssl_signs_with_an_elliptic_curve_is_verified(files):
    entity = openssl(
        "cms", "-sign", "-in", files["entity"], "-signer", files["ec"].certificate, "-inkey", files["ec"].key
    )
    assert opened(entity).signer == pair("acme-ec", "ec-p256").certificate


@pytest.mark.parametrize("options", [["-md", "sha1"], ["-noattr"], ["-noattr", "-nodetach", "-stream", "-binary"]])
def test_weak_signatures_are_read_only_where_that_is_allowed(files, options):
    entity = openssl(
        "cms",
        "-sign",
        "-in",
        files["entity"],
        "-signer",
        files["acme"].certificate,
        "-inkey",
        files["acme"].key,
        *options,
    )
    with pytest.raises(AlgorithmRefused):
        opened(entity)
    found = opened(entity, weak=True)
    assert found.entity == ENTITY
    assert found.layers[0].weak


def test_one_of_two_signers_is_enough(files):
    entity = openssl(
        "cms", "-sign", "-in", files["entity"],
        "-signer", files["other"].certificate, "-inkey", files["other"].key,
        "-signer", files["acme"].certificate, "-inkey", files["acme"].key,
    )  # fmt: skip
    assert opened(entity).signer == pair("acme").certificate


def test_the_older_smime_command_is_read(files):
    entity = openssl(
        "smime", "-sign", "-in", files["entity"], "-signer", files["acme"].certificate, "-inkey", files["acme"].key
    )
    assert opened(entity).entity == ENTITY
    sealed = openssl("smime", "-encrypt", "-aes256", files["us"].certificate, data=entity)
    assert opened(sealed).entity == ENTITY


ENCRYPTED = {
    "aes-128": ["-aes128"],
    "aes-192": ["-aes192"],
    "aes-256": ["-aes256"],
    "streamed": ["-aes256", "-stream"],
    "aes-128-gcm": ["-aes-128-gcm"],
    "aes-256-gcm": ["-aes-256-gcm"],
    "gcm streamed": ["-aes-256-gcm", "-stream"],
    "key identifier": ["-aes256", "-keyid"],
}


@pytest.mark.parametrize("mode", ENCRYPTED)
def test_what_openssl_encrypts_is_decrypted(files, mode):
    sealed = openssl(
        "cms", "-encrypt", "-binary", "-in", files["entity"], *ENCRYPTED[mode], "-recip", files["us"].certificate
    )
    found = opened(sealed)
    assert found.entity == ENTITY
    assert found.signer is None
    assert [each.fingerprint for each in found.layers] == [fingerprint(pair("us").certificate)]


@pytest.mark.parametrize("options", [[], ["rsa_oaep_md:sha256"], ["rsa_oaep_md:sha384", "rsa_mgf1_md:sha1"]])
def test_oaep_is_decrypted_with_any_digest(files, options):
    given = [word for each in ["rsa_padding_mode:oaep", *options] for word in ("-keyopt", each)]
    sealed = openssl(
        "cms", "-encrypt", "-binary", "-aes256", "-in", files["entity"], "-recip", files["us"].certificate, *given
    )
    assert opened(sealed).entity == ENTITY


def test_one_of_several_recipients_is_enough(files):
    sealed = openssl(
        "cms",
        "-encrypt",
        "-binary",
        "-aes256",
        "-in",
        files["entity"],
        files["acme"].certificate,
        files["us"].certificate,
    )
    assert opened(sealed).entity == ENTITY


def test_triple_des_is_read_only_where_that_is_allowed(files):
    sealed = openssl("cms", "-encrypt", "-binary", "-des3", "-in", files["entity"], "-recip", files["us"].certificate)
    with pytest.raises(AlgorithmRefused, match="3des-cbc"):
        opened(sealed)
    assert opened(sealed, weak=True).entity == ENTITY


def test_rc2_is_never_read(files):
    providers = ["-provider", "legacy", "-provider", "default"]
    done = subprocess.run(
        [program("openssl"), "cms", "-encrypt", "-rc2-40", "-in", files["entity"], *providers, files["us"].certificate],
        capture_output=True,
        timeout=30,
        check=False,
    )
    if done.returncode:
        pytest.skip("this OpenSSL has no RC2 any more")
    with pytest.raises(AlgorithmRefused):
        opened(done.stdout, weak=True)


def test_signed_and_encrypted_by_openssl(files):
    signed = openssl(
        "cms", "-sign", "-in", files["entity"], "-signer", files["acme"].certificate, "-inkey", files["acme"].key
    )
    sealed = openssl("cms", "-encrypt", "-binary", "-aes128", "-stream", "-recip", files["us"].certificate, data=signed)
    found = opened(sealed)
    assert found.entity == ENTITY
    assert [each.kind for each in found.layers] == ["encrypted", "signed"]


# ---------------------------------------------------------------- we wrote it


def verified_by_openssl(entity: bytes, signer, tmp_path) -> bytes:
    out = tmp_path / "out"
    openssl("cms", "-verify", "-CAfile", signer.certificate, "-partial_chain", "-out", out, data=entity)
    return out.read_bytes()


@pytest.mark.parametrize("digest", ["sha-256", "sha-384", "sha-512"])
@pytest.mark.parametrize("who", ["acme", "ec"])
@pytest.mark.parametrize("content", [ENTITY, ENTITY + b"\xc4\xd6 and 8 bits\r\n"], ids=["detached", "opaque"])
def test_openssl_verifies_what_we_sign(files, tmp_path, digest, who, content):
    ours = pair("acme") if who == "acme" else pair("acme-ec", "ec-p256")
    entity = secure(content, Plan(sign_with=ours, digest=digest, at=NOW)).entity
    assert (b"multipart/signed" in entity) is (content is ENTITY)
    assert verified_by_openssl(entity, files[who], tmp_path) == content


@pytest.mark.parametrize("key_transport", ["rsa-pkcs1", "rsa-oaep"])
@pytest.mark.parametrize("cipher", ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "aes-128-gcm", "aes-256-gcm"])
def test_openssl_decrypts_what_we_encrypt(files, cipher, key_transport):
    recipients = (pair("other").certificate, pair("us").certificate)
    sealed = secure(ENTITY, Plan(encrypt_for=recipients, cipher=cipher, key_transport=key_transport, at=NOW)).entity
    for who in ("us", "other"):
        found = openssl("cms", "-decrypt", "-recip", files[who].certificate, "-inkey", files[who].key, data=sealed)
        assert found == ENTITY


def test_openssl_opens_what_we_sign_and_encrypt(files, tmp_path):
    plan = Plan(sign_with=pair("acme"), encrypt_for=(pair("us").certificate,), at=NOW)
    signed = openssl(
        "cms",
        "-decrypt",
        "-recip",
        files["us"].certificate,
        "-inkey",
        files["us"].key,
        data=secure(ENTITY, plan).entity,
    )
    assert verified_by_openssl(signed, files["acme"], tmp_path) == ENTITY
