"""AS1 between two gateways: every way to secure and to confirm a mail (RFC 3335), and what becomes of a bad one."""

import email
import itertools
import json
import re

import pytest
from builders.certificates import make
from builders.pair import Gateway, carry, order, until_silent

from gateway.flow import operate
from gateway.mail.receipts import Mic

OUT = '[[agreement]]\nname = "orders"\ndirection = "out"\nsets = ["850"]\nversions = ["004010"]\n'
IN = '[[agreement]]\nname = "orders"\ndirection = "in"\nsets = ["850"]\n'


def security(**settings):
    def value(each):
        return json.dumps(each)

    return "[agreement.security]\n" + "".join(f"{key} = {value(each)}\n" for key, each in settings.items())


@pytest.fixture
def pair(tmp_path):
    buyer, seller = Gateway(tmp_path, "buyer", "edi@buyer.example"), Gateway(tmp_path, "seller", "edi@seller.example")
    yield buyer, seller
    buyer.app.close()
    seller.app.close()


def agree(buyer, seller, out=None, into=None, more=""):
    """``out`` is what the buyer does, ``into`` what the seller insists on and gives."""
    buyer.knows(seller, OUT + security(**out or {}))
    seller.knows(buyer, IN + security(**into or {}), more)
    buyer.trusts(seller)
    seller.trusts(buyer)


PERMUTATIONS = list(
    itertools.product(
        [(False, False), (True, False), (False, True), (True, True)], ["none", "unsigned", "signed"], [False, True]
    )
)


@pytest.mark.parametrize(("layers", "receipt", "compress"), PERMUTATIONS)
def test_every_permutation_of_rfc_3335_arrives_once_and_is_confirmed(pair, layers, receipt, compress):
    buyer, seller = pair
    sign, encrypt = layers
    agree(
        buyer,
        seller,
        {"sign": sign, "encrypt": encrypt, "compress": compress, "receipt": receipt},
        {"sign": sign, "encrypt": encrypt, "receipt": "signed"},
    )
    buyer.submit("seller", "one.edi", order())
    until_silent(buyer, seller)
    assert len(seller.delivered) == 1
    assert seller.states(direction="in") == ["delivered"]
    (sent,) = buyer.rows("exchange", direction="out")
    assert sent["state"] == "acknowledged"
    wanted = (["encrypted"] if encrypt else []) + (["signed"] if sign else []) + (["compressed"] if compress else [])
    assert seller.layers() == [wanted]
    assert seller.rows("message", direction="in")[0]["proof"] == ("signed" if sign else "address")
    received, given = buyer.rows("receipt"), seller.rows("receipt")
    assert len(received) == len(given) == (receipt != "none")
    assert buyer.rows("expectation") == []
    if receipt == "none":
        return
    assert (received[0]["relation"], received[0]["disposition"], received[0]["mic_matches"]) == (
        *("matched", "processed"),
        "yes",
    )
    assert Mic.parse(received[0]["mic"]).matches(Mic.parse(sent["mic"]))
    assert bool(received[0]["signed_by"]) is (receipt == "signed")
    assert seller.states(kind="receipt") == ["complete"]


def test_a_secured_mail_is_the_same_at_every_attempt(pair):
    buyer, seller = pair
    agree(buyer, seller, {"sign": True, "encrypt": True, "receipt": "signed"}, {"receipt": "signed"})
    buyer.submit("seller", "one.edi", order())
    buyer.run()
    first = buyer.transport.sent[0].raw
    operate.resend(buyer.app.context(), 1, actor="tester", reason="")
    buyer.run()
    assert buyer.transport.sent[1].raw == first
    assert b"BEG*" not in first


def test_a_mail_that_comes_twice_gets_the_same_receipt_and_acknowledgment_again(pair):
    buyer, seller = pair
    agree(buyer, seller, {"sign": True, "receipt": "signed"}, {"receipt": "signed"})
    buyer.submit("seller", "one.edi", order())
    buyer.run()
    raw = buyer.transport.sent[0].raw
    buyer.transport.sent.clear()
    answers = []
    for received in (b"", b"Received: from elsewhere; Mon, 2 Nov 2026 22:00:00 +0000\r\n"):
        seller.mailbox.deliver(received + raw)
        seller.run()
        answers.append(sorted(each.raw for each in seller.transport.sent))
        seller.transport.sent.clear()
    assert answers[0] == answers[1]
    assert len(answers[0]) == 2
    assert len(seller.delivered) == 1


def test_a_message_that_is_processed_again_gives_no_second_receipt(pair):
    buyer, seller = pair
    agree(buyer, seller, {"sign": True, "receipt": "signed"}, {"receipt": "signed"})
    buyer.submit("seller", "one.edi", order())
    until_silent(buyer, seller)
    with seller.app.ledger.transaction() as recorder:
        from gateway.ledger import tables

        recorder.change(tables.message, 1, state="stored", attempts=1)
    seller.run()
    assert carry(buyer, seller) == 0
    assert len(seller.rows("receipt")) == 1


# ---------------------------------------------------------------- what is not as it should be


def one_mail(buyer, seller, out, into, change=lambda raw: raw):
    """What the seller makes of one mail of the buyer's, changed on its way; the mails it sends are taken back."""
    agree(buyer, seller, out, into)
    buyer.submit("seller", "one.edi", order())
    buyer.run()
    (mail,) = buyer.transport.sent
    buyer.transport.sent.clear()
    seller.mailbox.deliver(change(mail.raw))
    seller.run()
    carry(buyer, seller)
    buyer.run()


def tampered(raw):
    at = raw.index(b"SVNB") + 200  # in the interchange, which goes as base64
    return raw[:at] + (b"A" if raw[at : at + 1] != b"A" else b"B") + raw[at + 1 :]


SIGNED = {"sign": True, "receipt": "signed"}


def the_receipt(gateway):
    (row,) = gateway.rows("receipt")
    return row["relation"], row["disposition"], row["modifier"]


def test_a_tampered_mail_is_quarantined_and_the_partner_is_told(pair):
    buyer, seller = pair
    one_mail(buyer, seller, SIGNED, {"receipt": "signed"}, tampered)
    assert seller.faults() == ["signature.invalid"]
    assert seller.delivered == []
    assert the_receipt(buyer) == ("matched", "processed", "error: integrity-check-failed")
    (sent,) = buyer.rows("exchange", direction="out")
    assert (sent["state"], sent["fault_code"]) == ("refused by the partner", "receipt.negative")
    assert buyer.rows("expectation") == []


def test_a_mail_signed_by_another_certificate_is_quarantined_and_learned_from(pair):
    buyer, seller = pair
    buyer.add_key("second", make("buyer", number=7))
    buyer.app.keys.retire("first")
    one_mail(buyer, seller, SIGNED, {"sign": True, "receipt": "signed"})
    assert seller.faults() == ["signature.signer-unknown"]
    assert the_receipt(buyer)[2] == "error: authentication-failed"
    from gateway.flow.learn import signing_certificates

    assert signing_certificates(seller.app.context(), "m1") == (make_der(buyer, "second"),)


def make_der(gateway, name):
    return gateway.app.keys.get(name).certificate


def test_what_was_released_after_the_certificate_was_trusted_is_taken_and_confirmed(pair):
    buyer, seller = pair
    buyer.add_key("second", make("buyer", number=7))
    buyer.app.keys.retire("first")
    one_mail(buyer, seller, SIGNED, {"sign": True, "receipt": "signed"})
    seller.trusts(buyer, make("unused", number=8))
    from partners.certificates import describe
    from partners.model import CertificateState

    found = describe(make_der(buyer, "second"))
    seller.app.certificates.add("buyer", found, source="mail m1", by="tester", at=1)
    seller.app.certificates.decide("buyer", found.fingerprint, CertificateState.TRUSTED, by="tester", at=1)
    operate.release(seller.app.context(), "m1", actor="tester", reason="")
    seller.run()
    assert len(seller.delivered) == 1
    assert [row["modifier"] for row in seller.rows("receipt")] == ["error: authentication-failed", ""]


def test_a_mail_for_a_key_we_do_not_have_waits_for_it(pair):
    buyer, seller = pair
    next_key = make("seller", number=9)
    agree(buyer, seller, {"encrypt": True, "receipt": "unsigned"}, {"encrypt": True, "receipt": "signed"})
    from partners.model import CertificateState

    buyer.app.certificates.decide("seller", seller.made.fingerprint, CertificateState.RETIRED, by="tester", at=1)
    buyer.trusts(seller, next_key)
    buyer.submit("seller", "one.edi", order())
    buyer.run()
    carry(buyer, seller)
    seller.run()
    assert seller.faults() == ["encryption.cannot-decrypt"]
    assert seller.rows("receipt")[0]["modifier"] == "error: decryption-failed"
    seller.add_key("next", next_key)
    operate.release(seller.app.context(), "m1", actor="tester", reason="the key was imported")
    seller.run()
    assert len(seller.delivered) == 1


def test_while_our_keys_cannot_be_read_what_is_signed_is_taken_and_what_is_encrypted_waits(pair):
    buyer, seller = pair
    agree(buyer, seller, {"sign": True, "encrypt": True, "receipt": "unsigned"}, {"receipt": "unsigned"})
    buyer.submit("seller", "1.edi", order(1))
    buyer.knows(seller, OUT + security(sign=True, receipt="unsigned"))
    buyer.run()
    buyer.submit("seller", "2.edi", order(2))
    secret = (seller.home / "secret.key").rename(seller.home / "elsewhere")
    buyer.knows(seller, OUT + security(encrypt=True, receipt="unsigned"))
    buyer.run()
    carry(buyer, seller)
    seller.run()
    assert (seller.faults(), len(seller.delivered)) == (["encryption.keys-unreadable"], 1)
    assert [row["modifier"] for row in seller.rows("receipt")] == [""]
    secret.rename(seller.home / "secret.key")
    operate.release(seller.app.context(), "m2", actor="tester", reason="")
    seller.run()
    assert len(seller.delivered) == 2


@pytest.mark.parametrize(
    ("out", "into", "found"),
    [
        ({"receipt": "signed"}, {"sign": True, "receipt": "signed"}, "neither signed nor encrypted"),
        ({"sign": True, "receipt": "signed"}, {"encrypt": True, "receipt": "signed"}, "signed (sha-256)"),
        ({"encrypt": True, "receipt": "signed"}, {"sign": True, "receipt": "signed"}, "encrypted (aes-256-cbc)"),
    ],
)
def test_less_security_than_agreed_is_quarantined_and_told(pair, out, into, found):
    buyer, seller = pair
    one_mail(buyer, seller, out, into)
    assert seller.faults() == ["security.insufficient"]
    (quarantined,) = seller.rows("exchange", state="quarantined")
    assert found in quarantined["fault"]
    assert the_receipt(buyer)[2] == "error: insufficient-message-security"
    assert seller.delivered == []


def test_a_stranger_learns_nothing(pair):
    buyer, seller = pair
    buyer.knows(seller, OUT + security(sign=True, encrypt=True, receipt="signed"))
    buyer.trusts(seller)
    buyer.submit("seller", "one.edi", order())
    buyer.run()
    carry(buyer, seller)
    seller.run()
    assert seller.faults() == ["sender.unknown"]
    assert seller.transport.sent == []
    assert seller.rows("receipt") == []


def test_a_receipt_that_should_go_elsewhere_is_not_given(pair):
    buyer, seller = pair
    elsewhere = b"Disposition-Notification-To: spy@elsewhere.example"
    one_mail(
        buyer,
        seller,
        {"receipt": "unsigned"},
        {"receipt": "unsigned"},
        lambda raw: raw.replace(b"Disposition-Notification-To: edi@buyer.example", elsewhere),
    )
    assert len(seller.delivered) == 1
    assert seller.rows("receipt") == []
    assert "receipt-not-given" in [row["kind"] for row in seller.rows("event")]


def test_that_a_mail_without_a_name_gets_no_receipt_is_told(pair):
    buyer, seller = pair
    unnamed = re.compile(rb"Message-ID: <[^>]*>")
    asked = {"receipt": "unsigned"}
    one_mail(buyer, seller, asked, asked, lambda raw: unnamed.sub(b"Message-ID: <\xc3\xa9@x>", raw))
    assert len(seller.delivered) == 1
    assert seller.rows("receipt") == []
    assert "receipt-not-given" in [row["kind"] for row in seller.rows("event")]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (b"signed-receipt-micalg=required, md2", "failure: unsupported MIC-algorithms"),
        (b"x-seal=required, gold", "failure: unsupported format"),
        (b"signed-receipt-micalg=optional, md2", ""),
    ],
)
def test_a_receipt_that_cannot_be_as_it_must_be_says_so_and_the_order_is_taken(pair, asked, said):
    buyer, seller = pair
    one_mail(
        buyer,
        seller,
        {"receipt": "signed"},
        {"receipt": "signed"},
        lambda raw: raw.replace(b"signed-receipt-micalg=optional, sha-256", asked),
    )
    assert len(seller.delivered) == 1
    (row,) = seller.rows("receipt")
    assert (row["disposition"], row["modifier"]) == ("failed" if said else "processed", said)


def test_who_agreed_on_no_receipts_gives_none(pair):
    buyer, seller = pair
    one_mail(buyer, seller, {"receipt": "signed"}, {})
    assert (seller.rows("receipt"), len(seller.delivered)) == ([], 1)
    assert [row["kind"] for row in buyer.rows("expectation")] == ["receipt"]


def test_without_a_key_to_sign_with_the_order_is_taken_and_the_missing_receipt_told(pair):
    buyer, seller = pair
    seller.app.keys.retire("first")
    one_mail(buyer, seller, {"receipt": "signed"}, {"receipt": "signed"})
    assert (seller.rows("receipt"), len(seller.delivered)) == ([], 1)
    assert "receipt-not-given" in [row["kind"] for row in seller.rows("event")]


def test_what_could_not_be_acknowledged_as_agreed_waits_and_holds_up_nobody_else(pair):
    buyer, seller = pair
    seller.app.keys.retire("first")
    one_mail(buyer, seller, {"sign": True, "receipt": "unsigned"}, {"sign": True, "receipt": "unsigned"})
    assert seller.faults() == ["security.answer"]
    assert seller.rows("receipt") == []  # it is our own trouble: the partner is told when it is mended
    seller.add_key("second", make("seller", number=5))
    operate.release(seller.app.context(), "1", actor="tester", reason="")
    seller.run()
    assert len(seller.delivered) == 1
    assert [row["modifier"] for row in seller.rows("receipt")] == [""]


def test_without_a_certificate_to_encrypt_for_nothing_is_sent_and_no_number_is_used(pair):
    buyer, seller = pair
    buyer.knows(seller, OUT + security(encrypt=True))
    buyer.submit("seller", "one.edi", order())
    summary = buyer.run()
    assert [fault.code for _, fault in summary.troubles] == ["certificate.missing"]
    assert buyer.rows("exchange") == []
    buyer.trusts(seller)
    buyer.run()
    assert [row["control_number"] for row in buyer.rows("exchange")] == ["000000001"]


# ---------------------------------------------------------------- receipts that come


def sent_and_answered(pair, out=None):
    """A signed mail whose receipt is on its way back."""
    buyer, seller = pair
    agree(buyer, seller, out or SIGNED, {"receipt": "signed"})
    buyer.submit("seller", "one.edi", order())
    buyer.run()
    carry(buyer, seller)
    seller.run()
    receipts = [each.raw for each in seller.transport.sent if b"disposition-notification" in each.raw]
    seller.transport.sent.clear()
    return receipts[0]


def relations(gateway):
    return [row["relation"] for row in gateway.rows("receipt")]


def test_the_receipt_resolves_a_doubt(pair):
    buyer, _ = pair
    receipt = sent_and_answered(pair)
    with buyer.app.ledger.transaction() as recorder:
        from gateway.ledger import tables

        recorder.change(tables.exchange, 1, state="in doubt")
        recorder.event("in-doubt", exchange=1, reason="the connection was lost", policy="hold")
    buyer.mailbox.deliver(receipt)
    buyer.run()
    assert buyer.states(direction="out") == ["sent"]
    assert [row["kind"] for row in buyer.rows("expectation")] == ["functional"]
    assert "resolved" in [row["kind"] for row in buyer.rows("event")]


def test_a_receipt_again_is_a_duplicate(pair):
    buyer, _ = pair
    receipt = sent_and_answered(pair)
    for received in (b"", b"Received: from x; Mon, 2 Nov 2026 22:00:00 +0000\r\n"):
        buyer.mailbox.deliver(received + receipt)
        buyer.run()
    assert relations(buyer) == ["matched", "duplicate"]


def test_a_second_receipt_that_says_otherwise_is_told_and_changes_nothing(pair):
    buyer, _ = pair
    receipt = sent_and_answered(pair, {"receipt": "unsigned"})
    buyer.mailbox.deliver(receipt)
    buyer.run()
    buyer.mailbox.deliver(receipt.replace(b"; processed", b"; failed/failure: unsupported format"))
    summary = buyer.run()
    assert relations(buyer) == ["matched", "contradicting"]
    assert [fault.code for _, fault in summary.troubles] == ["receipt.negative"]
    assert buyer.states(direction="out") == ["sent"]


def test_a_tampered_receipt_counts_for_nothing(pair):
    buyer, _ = pair
    receipt = sent_and_answered(pair)
    buyer.mailbox.deliver(receipt.replace(b"processed", b"failed"))
    summary = buyer.run()
    assert relations(buyer) == ["forged"]
    assert [fault.code for _, fault in summary.troubles] == ["receipt.unproven"]
    assert buyer.states(direction="out") == ["sent"]


def test_an_unsigned_receipt_where_a_signed_one_was_asked_for_counts_for_nothing(pair):
    buyer, _ = pair
    receipt = email.message_from_bytes(sent_and_answered(pair))
    inner = receipt.get_payload(0).as_bytes()
    head = f"From: {receipt['From']}\r\nTo: {receipt['To']}\r\nMessage-ID: <x@seller.example>\r\n".encode()
    buyer.mailbox.deliver(head + inner)
    buyer.run()
    assert relations(buyer) == ["forged"]
    assert buyer.states(direction="out") == ["sent"]


def test_a_receipt_from_somebody_else_counts_for_nothing(pair):
    buyer, _ = pair
    receipt = sent_and_answered(pair)
    buyer.mailbox.deliver(receipt.replace(b"From: seller <edi@seller", b"From: seller <edi@elsewhere"))
    buyer.run()
    assert relations(buyer) == ["forged"]


def test_a_receipt_for_nothing_of_ours_is_an_orphan(pair):
    buyer, _ = pair
    receipt = sent_and_answered(pair, {"receipt": "unsigned"})
    (sent,) = buyer.rows("message", direction="out")
    buyer.mailbox.deliver(receipt.replace(sent["message_id"].encode(), b"<other@buyer.example>"))
    buyer.run()
    assert relations(buyer) == ["orphan"]


def test_a_receipt_with_another_mic_calls_a_person(pair):
    buyer, _ = pair
    receipt = sent_and_answered(pair, {"receipt": "unsigned"})
    (sent,) = buyer.rows("exchange", direction="out")
    value = sent["mic"].split(",")[0].encode()
    other = (b"A" if value[:1] != b"A" else b"B") + value[1:]
    buyer.mailbox.deliver(receipt.replace(value, other))
    buyer.run()
    (row,) = buyer.rows("receipt")
    assert (row["relation"], row["mic_matches"]) == ("matched", "no")
    (sent,) = buyer.rows("exchange", direction="out")
    assert (sent["state"], sent["fault_code"]) == ("refused by the partner", "receipt.mismatch")


def test_a_receipt_that_is_missing_although_the_order_is_acknowledged_needs_a_person(pair):
    buyer, seller = pair
    agree(buyer, seller, SIGNED, {})  # the seller gives none
    buyer.submit("seller", "one.edi", order())
    until_silent(buyer, seller)
    assert buyer.states(direction="out") == ["acknowledged"]
    buyer.now += 25 * 3_600_000
    (needed,) = buyer.run().attention
    assert (needed.state, needed.reference) == ("receipt overdue", "1")
    assert needed.reason.startswith("The receipt was due")
    operate.settle(buyer.app.context(), 1, actor="tester", reason="called")
    assert buyer.run().attention == ()


def test_a_certificate_that_an_authority_of_the_partner_issued_for_its_address_proves(pair):
    buyer, seller = pair
    root = make("root", number=40, authority=True, usage=("key_cert_sign",))
    leaf = make("buyer", number=41, issuer=root, address=buyer.address)
    other = make("mallory", number=42, issuer=root, address="edi@mallory.example")
    buyer.knows(seller, OUT + security(**SIGNED))
    seller.knows(buyer, IN + security(sign=True, receipt="signed"))
    buyer.trusts(seller)
    seller.trusts(buyer, root)
    for name, made, count in (("leaf", leaf, 1), ("mallory", other, 1)):
        buyer.now += 1
        buyer.add_key(name, made)
        buyer.submit("seller", f"{name}.edi", order())
        until_silent(buyer, seller)
        assert len(seller.delivered) == count
    assert seller.faults() == ["signature.signer-refused"]


def test_a_missing_receipt_is_overdue(pair):
    buyer, _ = pair
    sent_and_answered(pair)
    buyer.now += 25 * 3_600_000
    buyer.run()
    assert {row["kind"] for row in buyer.rows("expectation") if row["overdue_at"]} == {"receipt", "functional"}
    assert buyer.states(direction="out") == ["overdue"]


# ---------------------------------------------------------------- both directions, roll-over, weak peers

WIDE = '[security]\nsign = true\nencrypt = true\nreceipt = "signed"\n'


def test_one_table_secures_both_directions_and_our_acknowledgments(pair):
    buyer, seller = pair
    buyer.knows(seller, OUT + IN.replace('"orders"', '"returns"').replace("850", "180"), WIDE)
    seller.knows(buyer, IN, WIDE)
    buyer.trusts(seller)
    seller.trusts(buyer)
    buyer.submit("seller", "one.edi", order())
    assert until_silent(buyer, seller) == 3  # the order, its 997 and its receipt
    assert len(seller.delivered) == 1
    (sent,) = buyer.rows("exchange", direction="out")
    assert sent["state"] == "acknowledged"
    assert sorted(buyer.layers()) == [["encrypted", "signed"], ["signed"]]  # the 997, and the receipt
    (ack,) = seller.rows("exchange", direction="out", kind="acknowledgment")
    assert (ack["security"], ack["mic"], ack["state"]) == ("signed sha-256, encrypted aes-256-cbc", "", "complete")


def test_an_acknowledgment_that_is_less_secure_than_all_agreements_want_is_quarantined(pair):
    buyer, seller = pair
    buyer.knows(seller, OUT + IN.replace('"orders"', '"returns"').replace("850", "180"), WIDE)
    seller.knows(buyer, IN + security(sign=False))
    buyer.trusts(seller)
    seller.trusts(buyer)
    buyer.submit("seller", "one.edi", order())
    until_silent(buyer, seller)
    assert buyer.faults() == ["security.insufficient"]
    assert buyer.states(direction="out") == ["sent"]


def test_while_certificates_change_over_the_old_and_the_new_both_serve(pair):
    buyer, seller = pair
    both = {"sign": True, "encrypt": True, "receipt": "signed"}
    agree(buyer, seller, both, both)
    following = {each: make(each.name, number=each.app.now() % 7 + n) for n, each in ((20, buyer), (21, seller))}
    buyer.trusts(seller, following[seller])  # known before it is used
    seller.trusts(buyer, following[buyer])
    buyer.submit("seller", "1.edi", order(1))
    until_silent(buyer, seller)
    buyer.add_key("next", following[buyer])  # from now on the newest
    buyer.app.keys.retire("first")
    seller.add_key("next", following[seller])
    seller.app.keys.retire("first")
    buyer.submit("seller", "2.edi", order(2))
    until_silent(buyer, seller)
    assert len(seller.delivered) == 2
    assert buyer.states(direction="out") == ["acknowledged", "acknowledged"]
    proofs = [json.loads(row["proof_detail"])["fingerprint"] for row in seller.rows("message", direction="in")]
    assert proofs == [buyer.made.fingerprint, following[buyer].fingerprint]
    assert [row["signed_by"] for row in buyer.rows("receipt")] == [
        *(seller.made.fingerprint, following[seller].fingerprint)
    ]


def test_what_nothing_proves_gets_no_receipt(pair):
    buyer, seller = pair
    buyer.knows(seller, OUT + security(receipt="unsigned"))
    seller.knows(buyer, IN + security(receipt="unsigned"), 'evidence = "signed"\n')
    buyer.submit("seller", "one.edi", order())
    until_silent(buyer, seller)
    assert set(seller.faults()) == {"sender.unproven"}
    assert seller.rows("receipt") == []


def test_an_unsigned_receipt_of_a_partner_who_is_known_by_signatures_counts_for_nothing(pair):
    buyer, seller = pair
    buyer.knows(seller, OUT + security(receipt="unsigned"), 'evidence = "signed"\n')
    seller.knows(buyer, IN + security(receipt="unsigned"))
    buyer.submit("seller", "one.edi", order())
    until_silent(buyer, seller)
    assert len(seller.delivered) == 1
    assert relations(buyer) == ["forged"]
    assert [row["kind"] for row in buyer.rows("expectation")] == ["functional", "receipt"]


@pytest.mark.parametrize(("sign", "encrypt"), [(True, True), (False, True), (True, False), (False, False)])
def test_a_receipt_in_another_digest_than_was_asked_for_is_compared_in_that(pair, sign, encrypt):
    buyer, seller = pair
    out = {"sign": sign, "encrypt": encrypt, "digest": "sha-512", "receipt": "unsigned"}
    agree(buyer, seller, out, {"receipt": "unsigned"})
    buyer.submit("seller", "one.edi", order())
    until_silent(buyer, seller)
    (row,) = buyer.rows("receipt")
    assert row["mic"].endswith("sha-512" if sign else "sha-256")
    assert (row["relation"], row["mic_matches"]) == ("matched", "yes")


def test_a_receipt_that_nobody_asked_for_moves_nothing(pair):
    buyer, seller = pair
    receipt = sent_and_answered(pair, {"receipt": "unsigned"})
    buyer.submit("seller", "two.edi", order(2))
    buyer.knows(seller, OUT)
    buyer.run()
    _, second = buyer.rows("message", direction="out")
    first = buyer.rows("message", direction="out")[0]["message_id"].encode()
    bad = receipt.replace(first, second["message_id"].encode())
    buyer.mailbox.deliver(bad.replace(b"processed", b"failed"))
    buyer.run()
    assert relations(buyer) == ["matched"]
    assert buyer.states(direction="out") == ["sent", "sent"]


def test_the_certificate_of_a_quarantined_mail_is_learned_by_command(pair):
    from click.testing import CliRunner

    from gateway.cli.partner import command

    buyer, seller = pair
    buyer.knows(seller, OUT + security(sign=True))
    seller.knows(buyer, IN)
    buyer.submit("seller", "one.edi", order())
    buyer.run()
    carry(buyer, seller)
    seller.run()
    assert seller.faults() == ["signature.signer-unknown"]
    text = '[gateway]\nname = "seller"\ndomain = "seller.example"\nidentities = ["ZZ:SELLERCO"]\n'
    (seller.home / "gateway.toml").write_text(text)
    words = ["certificate", "learn", "buyer", "m1"]
    done = CliRunner().invoke(command, words, obj={"home": seller.home})
    assert done.exit_code == 0, done.output
    (kept,) = seller.app.certificates.list("buyer")
    assert (kept.certificate.fingerprint, kept.certificate.state.value) == (buyer.made.fingerprint, "pending")
    assert kept.certificate.source == "mail m1"
    assert (
        CliRunner().invoke(command, ["certificate", "learn", "buyer", "m9"], obj={"home": seller.home}).exit_code != 0
    )
    seller.run()
    assert seller.delivered == []  # a pending certificate proves nothing


def test_a_receipt_counts_after_all_when_the_certificate_that_signed_it_is_trusted_later(pair):
    buyer, seller = pair
    agree(buyer, seller, {"sign": True, "receipt": "signed"}, {"sign": True, "receipt": "signed"})
    buyer.submit("seller", "one.edi", order())
    buyer.run()
    carry(buyer, seller)
    renewed = make("seller-renewed", number=77, address=seller.address)
    seller.add_key("renewed", renewed)
    seller.app.keys.retire("first")
    seller.run()
    carry(buyer, seller)
    buyer.run()
    (receipt,) = buyer.rows("message", kind="receipt")
    assert {row["kind"] for row in buyer.rows("expectation")} == {"functional", "receipt"}
    named, by = f"m{receipt['id']}", {"actor": "anna", "reason": "certificate renewed"}
    assert "nothing proves it" in operate.replay(buyer.app.context(), named, **by).sentence
    buyer.trusts(seller, renewed)
    assert "counts as matched" in operate.replay(buyer.app.context(), named, dry_run=True, **by).sentence
    assert "counts as matched" in operate.replay(buyer.app.context(), named, **by).sentence
    assert {row["kind"] for row in buyer.rows("expectation")} == {"functional"}
    assert "counts as duplicate" in operate.replay(buyer.app.context(), named, **by).sentence
