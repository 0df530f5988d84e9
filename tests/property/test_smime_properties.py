"""Whatever is secured opens again as it was; whatever bytes come, only faults of ours come out."""

from __future__ import annotations

import contextlib
from functools import cache

from builders.ber import streamed
from cryptography.hazmat.primitives import serialization
from hypothesis import example, given, settings
from hypothesis import strategies as st
from servers.smime_keys import NOW, authority, issued, pair

from gateway.errors import CertificateUnreadable, GatewayError
from gateway.mail.smime.ber import definite
from gateway.mail.smime.certificates import read_certificates
from gateway.mail.smime.compressing import compress
from gateway.mail.smime.entities import is_secured, pkcs7_mime
from gateway.mail.smime.enveloping import envelope
from gateway.mail.smime.keys import load
from gateway.mail.smime.layers import Plan, claimed_signers, open_layers, secure
from gateway.mail.smime.signing import sign
from gateway.settings.model import Limits

LIMITS = Limits(message_size=200_000, header_block=4_000, decompressed=2_000_000)
SIGNERS = (None, pair("acme"), pair("curve", "ec-p256"))
RECIPIENTS = ((), (pair("us").certificate,), (pair("other").certificate, pair("us").certificate))
TRUSTED = [pair("acme").certificate, pair("curve", "ec-p256").certificate, authority().certificate]
HEADS = (
    b"Content-Type: application/EDI-X12\r\n\r\n",
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: binary\r\n\r\n",
    b'X-Odd:\r\n\tfolded\r\nContent-Type: application/octet-stream; name="smime.p7s"\r\n\r\n',
    b"\r\n",
)

PLANS = st.builds(
    Plan,
    sign_with=st.sampled_from(SIGNERS),
    digest=st.sampled_from(["sha-256", "sha-384", "sha-512"]),
    encrypt_for=st.sampled_from(RECIPIENTS),
    cipher=st.sampled_from(["aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "aes-128-gcm", "aes-192-gcm", "aes-256-gcm"]),
    key_transport=st.sampled_from(["rsa-pkcs1", "rsa-oaep"]),
    compress=st.booleans(),
    at=st.sampled_from([0.0, NOW]),
)
SECURING = PLANS.filter(lambda plan: plan.sign_with or plan.encrypt_for or plan.compress)
BODIES = st.binary(max_size=300) | st.text(max_size=200).map(str.encode) | st.sampled_from([b"\r\n", b"--", b"a\nb\r"])


def opened(entity):
    return open_layers(
        entity, limits=LIMITS, keys=[pair("us")], trusted=TRUSTED, addresses=["edi@acme.example"], weak=True, at=NOW
    )


@settings(max_examples=150, deadline=None)
@given(SECURING, st.sampled_from(HEADS), BODIES)
def test_what_is_secured_opens_byte_for_byte_with_the_same_mic(plan, head, body):
    made = secure(head + body, plan)
    assert is_secured(made.entity)
    found = opened(b"Subject: order\r\n" + made.entity)
    assert found.entity == head + body
    assert found.mic(plan.digest) == made.mic
    assert found.signer == (plan.sign_with.certificate if plan.sign_with else None)
    assert found.encrypted is bool(plan.encrypt_for)


# ---------------------------------------------------------------- damage


@cache
def originals() -> tuple[bytes, ...]:
    """CMS messages of every kind, in DER and streamed."""
    entity = HEADS[0] + b"ISA*00*~\r\n" * 5
    cms = [
        sign(entity, pair("acme"), detached=False),
        sign(entity, pair("curve", "ec-p256"), detached=False),
        sign(entity, issued(authority()), detached=False),
        compress(entity),
        envelope(entity, [pair("us").certificate]),
        envelope(entity, [pair("us").certificate], cipher="aes-128-gcm", key_transport="rsa-oaep"),
        envelope(pkcs7_mime(sign(entity, pair("acme"), detached=False), "x"), [pair("us").certificate]),
    ]
    return (*cms, *(streamed(each, 50) for each in cms))


NASTY = [
    b"\x30\x80", b"\0\0", b"\x24\x80", b"\xa0\x80", b"\x84\xff\xff\xff\xff", b"\x05\0", b"\x80", b"\xff" * 8,
    b"\x02\x09" + b"\xff" * 9,
]  # fmt: skip
OCTETS = st.binary(min_size=1, max_size=6) | st.sampled_from(NASTY)
CHANGES = st.lists(
    st.tuples(st.sampled_from(["flip", "write", "insert", "delete", "double"]), st.floats(0, 1), OCTETS),
    min_size=1,
    max_size=4,
)


def changed(data: bytes, changes) -> bytes:
    for how, where, octets in changes:
        at = int(where * max(0, len(data) - 1))
        if how == "flip":
            data = data[:at] + bytes([data[at] ^ octets[0]]) + data[at + 1 :] if data else data
        elif how == "write":
            data = data[:at] + octets + data[at + len(octets) :]
        elif how == "insert":
            data = data[:at] + octets + data[at:]
        elif how == "delete":
            data = data[:at] + data[at + len(octets) * 3 :]
        else:
            data = data[: at + 40] + data[at:]
    return data


def only_our_faults(entity: bytes) -> None:
    with contextlib.suppress(GatewayError):
        assert opened(entity).mic()
    with contextlib.suppress(GatewayError):
        claimed_signers(entity, limits=LIMITS, keys=[pair("us")])


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 13), CHANGES)
def test_damaged_cms_raises_nothing_but_faults(which, changes):
    head = b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    only_our_faults(head + changed(originals()[which], changes))


@settings(max_examples=150, deadline=None)
@given(SECURING, CHANGES)
def test_damaged_mails_raise_nothing_but_faults(plan, changes):
    only_our_faults(changed(secure(HEADS[0] + b"ISA*00*~\r\n", plan).entity, changes))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
@example(b"\x30\x80" * 100)
@example(b"\x24\x80" * 100)
def test_any_bytes_as_cms_raise_nothing_but_faults(data):
    head = b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    only_our_faults(head + data)
    with contextlib.suppress(GatewayError):
        assert definite(definite(data)) == definite(data)


@settings(max_examples=150, deadline=None)
@given(CHANGES, st.sampled_from(["der", "pem"]))
def test_damaged_certificate_files_raise_nothing_but_their_fault(changes, form):
    der = issued(authority()).certificate
    data = der if form == "der" else load(der).public_bytes(serialization.Encoding.PEM)
    with contextlib.suppress(CertificateUnreadable):
        read_certificates(changed(data, changes), "word")
