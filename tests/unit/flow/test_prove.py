"""Prove: a letter counts only with the evidence that the profile asks for; without it there is no answer at all."""

import base64
import json
from types import SimpleNamespace

import dkim
import pytest
from builders.stage import ACME, GLOBEX, HOUR, WHEN, Stage, orders
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from msgspec.structs import replace

from gateway.flow.prove import enough
from gateway.ledger.story import message_story, story
from gateway.ledger.telling import tell, tell_message
from gateway.mail.model import Proof
from gateway.settings.model import ProofSettings
from partners.model import Evidence

MX = "mx.us.example"
RECEIVED = b"Received: from mail.acme.example by mx.us.example; Mon, 2 Nov 2026 22:00:00 +0000\r\n"
KEY = rsa.generate_private_key(65537, 2048)
RECORD = b"v=DKIM1; k=rsa; p=" + base64.b64encode(
    KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)


def a_r(value, name=MX):
    return f"Authentication-Results: {name}; {value}\r\n".encode()


PASS = a_r("dkim=pass header.d=acme.example")


def sign(raw, domain="acme.example"):
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dkim, "time", SimpleNamespace(time=WHEN.timestamp))
        return dkim.sign(raw, b"s1", domain.encode(), pem) + raw


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def wants(stage, evidence, **proof):
    """ACME's profile asks for that evidence, and gateway.toml says this of it."""
    stage.profiles = [ACME.replace("[[agreement]]", f'evidence = "{evidence}"\n[[agreement]]', 1), GLOBEX]
    stage.settings = replace(stage.settings, proof=ProofSettings(authserv_ids=(MX,), **proof))


def letter(stage, **options):
    """A mail with an order, not delivered yet."""
    raw = stage.mail(orders(7), **options)
    stage.mailbox.messages.clear()
    return raw


def night(stage, raw):
    stage.mailbox.deliver(raw)
    return stage.run()


def message(stage):
    return stage.rows("message")[0]


def accepted(stage, proof):
    assert stage.states("in") == ["delivered"]
    assert len(stage.sent) == 1
    assert message(stage)["proof"] == proof
    return json.loads(message(stage)["proof_detail"])


def refused(stage, code, *words):
    """In quarantine with the reason, not delivered, and nobody is answered."""
    row = message(stage)
    assert (row["state"], row["fault_code"], row["proof"]) == ("quarantined", code, "")
    assert all(word in json.loads(row["fault"])["message"] for word in words)
    assert stage.states("in") == ["quarantined"]
    assert not stage.delivered
    assert not stage.sent


# ---------------------------------------------------------------- address


def test_by_address_alone_nothing_is_looked_up(stage):
    stage.txt = None  # would fail if it were asked
    night(stage, sign(letter(stage)))
    assert accepted(stage, "address") == {}


def test_what_proof_there_is_can_be_recorded_of_everybody(stage):
    wants(stage, "address", dkim="always")
    stage.records = {"s1._domainkey.acme.example": RECORD}
    night(stage, sign(letter(stage)))
    assert accepted(stage, "dkim")["selector"] == "s1"


@pytest.mark.parametrize("records", [None, {}])
def test_recording_more_than_is_asked_for_stops_nothing(stage, records):
    wants(stage, "address", dkim="always")
    stage.records = records
    night(stage, sign(letter(stage)))
    accepted(stage, "address")


# ---------------------------------------------------------------- the word of our mail exchanger


def test_the_word_of_our_mail_exchanger_is_proof_and_is_recorded_and_shown(stage):
    wants(stage, "mx")
    night(stage, PASS + RECEIVED + letter(stage))
    detail = accepted(stage, "mx")
    assert detail == {"authserv_id": MX, "method": "dkim", "domain": "acme.example"}
    for told in (tell(story(stage.engine, 1)), tell_message(message_story(stage.engine, 1))):
        assert any("proven by the word of our mail exchanger" in line and MX in line for line in told)
    assert story(stage.engine, 1).as_dict()["proof"] == "mx"


@pytest.mark.parametrize(
    "forged",
    [
        b"",
        RECEIVED,
        RECEIVED + PASS,
        a_r("dkim=fail header.d=acme.example") + PASS,
        a_r("dkim=fail header.d=acme.example") + RECEIVED + PASS,
        a_r("dkim=pass header.d=acme.example", "mx.evil.example"),
        b"ARC-" + PASS,
        a_r("spf=pass smtp.mailfrom=acme.example"),
        a_r("dkim=pass header.d=evil.example; dmarc=pass header.from=evil.example"),
        a_r("dmarc=fail header.from=acme.example; dkim=pass header.d=acme.example"),
    ],
)
def test_a_forged_statement_leads_to_quarantine_without_an_answer(stage, forged):
    wants(stage, "mx")
    stage.records = {}
    night(stage, forged + letter(stage))
    refused(stage, "sender.unproven", "edi@acme.example", "acme", "mail exchanger")


@pytest.mark.parametrize(
    ("sender", "code"),
    [
        (b"From: edi@acme.example\r\nFrom: edi@evil.example\r\n", "sender.ambiguous"),
        (b"From: edi@evil.example\r\nFrom: edi@acme.example\r\n", "sender.ambiguous"),
        (b"From: edi@acme.example, edi@evil.example\r\n", "sender.ambiguous"),
        (b'From: "edi@acme.example" <edi@evil.example>\r\n', "sender.unknown"),
        (b"From: edi@acme.example <edi@evil.example>\r\n", "sender.ambiguous"),
        (b"From: edi@evil.example (edi@acme.example)\r\n", "sender.ambiguous"),
        (b"From: edi@\xd0\xb0cme.example\r\n", "sender.unknown"),  # a Cyrillic letter
        (b"From: edi@acme.example.evil.example\r\n", "sender.unknown"),
        (b"Sender: edi@acme.example\r\nFrom: edi@evil.example\r\n", "sender.unknown"),
        (b"From : edi@acme.example\r\nFrom: edi@evil.example\r\n", "sender.ambiguous"),
        (b"", "sender.ambiguous"),
    ],
)
def test_no_trick_with_from_borrows_the_proof_of_another(stage, sender, code):
    """Our mail exchanger says truly that evil.example sent it; it must not count as ACME's."""
    wants(stage, "mx")
    stage.records = {}
    raw = letter(stage).replace(b"From: edi@acme.example\r\n", sender)
    night(stage, a_r("dkim=pass header.d=evil.example; dmarc=pass header.from=evil.example") + RECEIVED + raw)
    assert (message(stage)["state"], message(stage)["fault_code"]) == ("quarantined", code)
    assert not stage.delivered
    assert not stage.sent


def test_a_proven_sender_still_speaks_only_for_its_own_identities(stage):
    wants(stage, "mx")
    raw = letter(stage, sender="edi@globex.example")
    night(stage, a_r("dkim=pass header.d=globex.example") + raw)  # the interchange says ACME
    assert stage.rows("exchange")[0]["fault_code"] == "identity.mismatch"
    assert not stage.delivered
    assert not stage.sent


def test_dkim_verified_by_us_is_more_than_the_word_of_our_mail_exchanger(stage):
    wants(stage, "mx")
    stage.records = {"s1._domainkey.acme.example": RECORD}
    night(stage, sign(letter(stage)))
    accepted(stage, "dkim")


def test_a_released_message_is_proven_by_what_the_settings_say_then(stage):
    wants(stage, "mx", received_above=0)
    stage.records = {}
    night(stage, RECEIVED + PASS + letter(stage))
    wants(stage, "mx", received_above=1)
    from gateway.flow import operate

    operate.release(stage.context(), "m1", actor="ann", reason="our server adds one")
    stage.run()
    assert message(stage)["proof"] == "mx"
    assert stage.states("in")[-1] == "delivered"
    assert len(stage.sent) == 1


# ---------------------------------------------------------------- DKIM


def test_a_signature_with_a_published_key_is_proof_and_recorded_with_its_key(stage):
    wants(stage, "dkim")
    stage.records = {"s1._domainkey.acme.example": RECORD}
    night(stage, sign(letter(stage)))
    detail = accepted(stage, "dkim")
    assert (detail["domain"], detail["selector"], len(detail["key"])) == ("acme.example", "s1", 64)


def test_our_mail_exchangers_word_is_less_than_a_signature(stage):
    wants(stage, "dkim")
    stage.records = {}
    night(stage, PASS + RECEIVED + letter(stage))
    refused(stage, "sender.unproven", "DKIM signature", "no DKIM signature of acme.example")


@pytest.mark.parametrize(
    "change", [(b"PO-7", b"PO-8"), (b"file1.edi", b"file2.edi"), (b"DKIM-Signature", b"X-Signature")]
)
def test_a_changed_order_is_not_proven(stage, change):
    wants(stage, "dkim")
    stage.records = {"s1._domainkey.acme.example": RECORD}
    raw = letter(stage, body="order PO-7")
    night(stage, sign(raw).replace(*change))
    refused(stage, "sender.unproven")


def test_another_domains_signature_is_not_proof(stage):
    wants(stage, "dkim")
    stage.records = {"s1._domainkey.evil.example": RECORD}
    night(stage, sign(letter(stage), "evil.example"))
    refused(stage, "sender.unproven")


def test_never_verifying_dkim_is_said(stage):
    wants(stage, "dkim", dkim="never")
    night(stage, sign(letter(stage)))
    refused(stage, "sender.unproven", "proof.dkim")


# ---------------------------------------------------------------- when the DNS does not answer


def test_without_the_dns_a_message_waits_and_is_taken_by_the_first_batch_that_has_it(stage):
    wants(stage, "dkim")
    summary = night(stage, sign(letter(stage)))
    refused(stage, "sender.undecided", "s1._domainkey.acme.example")
    assert summary.exit_code == 65
    assert stage.mailbox.messages == {}
    stage.records = {"s1._domainkey.acme.example": RECORD}
    stage.now += HOUR
    assert stage.run().exit_code == 0
    assert message(stage)["state"] == "processed"
    assert stage.states("in") == ["discarded", "delivered"]
    assert len(stage.sent) == 1


def test_it_is_asked_again_once_an_hour_and_not_for_ever(stage):
    wants(stage, "dkim")
    night(stage, sign(letter(stage)))
    stage.now += HOUR // 2
    stage.run()
    assert "released" not in stage.kinds()
    for _ in range(3):
        stage.now += HOUR
        stage.run()
    assert stage.kinds().count("released") == 3
    stage.now += 80 * HOUR
    stage.run()
    assert stage.kinds().count("released") == 3
    assert message(stage)["state"] == "quarantined"


def test_one_message_that_waits_stops_no_other(stage):
    wants(stage, "dkim")
    stage.mailbox.deliver(sign(letter(stage)))
    stage.mail(orders(9, sender="14:0700000000001"), sender="edi@globex.example")
    stage.run()
    assert sorted(stage.states("in")) == ["delivered", "quarantined"]


# ---------------------------------------------------------------- signed


def test_where_a_signature_is_asked_for_nothing_less_will_do(stage):
    wants(stage, "signed")
    stage.records = {"s1._domainkey.acme.example": RECORD}
    night(stage, PASS + RECEIVED + sign(letter(stage)))
    refused(stage, "sender.unproven", "S/MIME")


@pytest.mark.parametrize("wanted", Evidence)
@pytest.mark.parametrize("kind", [*Evidence, "", "who knows"])
def test_stronger_proof_is_always_enough_and_weaker_never(wanted, kind):
    order = ["address", "mx", "dkim", "signed"]
    strength = order.index(kind) if kind in order else 0
    assert enough(Proof(str(kind)), wanted) is (strength >= order.index(wanted))
    assert enough(None, wanted) is (wanted is Evidence.ADDRESS)
