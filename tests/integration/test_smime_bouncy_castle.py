"""S/MIME against Bouncy Castle, which most EDI products are built on: streamed BER, and compression both ways."""

from __future__ import annotations

import pytest
from servers.bouncy_castle import BouncyCastle
from servers.smime_keys import NOW, pair

from gateway.mail.smime.compressing import compress
from gateway.mail.smime.entities import multipart_signed, pkcs7_mime
from gateway.mail.smime.enveloping import envelope
from gateway.mail.smime.layers import open_layers
from gateway.mail.smime.signing import sign
from gateway.settings.model import Limits

pytestmark = pytest.mark.integration

ENTITY = b"Content-Type: application/EDI-X12\r\n\r\n" + b"ISA*00*~\r\n" * 300


@pytest.fixture(scope="module")
def castle(tmp_path_factory):
    return BouncyCastle(tmp_path_factory.mktemp("bouncy"), pair("castle"))


def opened(entity):
    ours = pair("castle")
    return open_layers(entity, limits=Limits(), keys=[ours], trusted=[ours.certificate], at=NOW)


def test_what_bouncy_castle_writes_is_read(castle):
    """Every mode, in DER and in streamed BER with chunks of 100 bytes."""
    verbs = [
        "sign-detached", "sign-opaque", "sign-pss", "sign-stream", "encrypt-cbc", "encrypt-stream", "encrypt-gcm",
        "compress", "compress-stream",
    ]  # fmt: skip
    made = castle.do({verb: (verb, ENTITY) for verb in verbs})
    for verb, cms in made.items():
        detached = verb == "sign-detached"
        entity = multipart_signed(ENTITY, cms, "SHA256") if detached else pkcs7_mime(cms, "any")
        found = opened(entity)
        assert found.entity == ENTITY, verb
        assert len(found.layers) == 1, verb
        assert found.signed is verb.startswith("sign"), verb


def test_streamed_layers_around_each_other_are_read(castle):
    """Compressed, then signed, then encrypted, all of it streamed."""
    entity = ENTITY
    for verb in ("compress-stream", "sign-stream", "encrypt-stream"):
        entity = pkcs7_mime(castle.do({verb: (verb, entity)})[verb], "any")
    found = opened(entity)
    assert found.entity == ENTITY
    assert [each.kind for each in found.layers] == ["encrypted", "signed", "compressed"]


def test_bouncy_castle_reads_what_we_write(castle):
    ours = pair("castle")
    made = {
        "expanded": ("expand", compress(ENTITY)),
        "sha-256": ("verify", sign(ENTITY, ours, detached=False)),
        "sha-512": ("verify", sign(ENTITY, ours, digest="sha-512", detached=False)),
    }
    for cipher in ("aes-128-cbc", "aes-256-cbc", "aes-128-gcm", "aes-256-gcm"):
        for transport in ("rsa-pkcs1", "rsa-oaep"):
            sealed = envelope(ENTITY, [ours.certificate], cipher=cipher, key_transport=transport)
            made[f"{cipher} {transport}"] = ("decrypt", sealed)
    for name, found in castle.do(made).items():
        assert found == ENTITY, name
