"""AS1 (RFC 3335) between two gateways over Dovecot and Postfix, and with OpenSSL as the other party."""

from __future__ import annotations

import email
import hashlib
import itertools
import json
import subprocess
import time

import pytest
from builders.certificates import make
from builders.pair import WHEN, Gateway, order, until_silent
from servers.need import program

from gateway.demo import documents
from gateway.flow.dossier import dossier
from gateway.mail.receipts import Mic
from partners.model import CertificateState

pytestmark = pytest.mark.integration

OUT = '[[agreement]]\nname = "orders"\ndirection = "out"\nsets = ["850"]\nversions = ["004010"]\n'
IN = '[[agreement]]\nname = "orders"\ndirection = "in"\nsets = ["850"]\n'
LAYERS = {"plain": (False, False), "signed": (True, False), "encrypted": (False, True), "both": (True, True)}
PERMUTATIONS = list(itertools.product(LAYERS, ["none", "unsigned", "signed"], ["bare", "compressed"]))


def security(**settings):
    return "[agreement.security]\n" + "".join(f"{key} = {json.dumps(each)}\n" for key, each in settings.items())


def gateway(directory, dovecot, postfix, name):
    account = dovecot.account(f"{name}{time.monotonic_ns()}@example.test")
    hosts = f"""
[mailbox.orders]
host = "{dovecot.host}"
port = {dovecot.pop3s_port}
user = "{account.name}"
ca_file = "{dovecot.ca_file}"

[smtp]
host = "{postfix.host}"
port = {postfix.port}
sender = "{account.name}"
ca_file = "{postfix.ca_file}"
"""
    made = Gateway(directory, name, account.name, hosts=hosts)
    made.app.secrets.set("mailbox.orders", account.password, "tester", 1)
    made.account = account
    return made


@pytest.fixture(scope="module")
def pair(dovecot, postfix, tmp_path_factory):
    directory = tmp_path_factory.mktemp("pair")
    buyer, seller = (gateway(directory, dovecot, postfix, name) for name in ("buyer", "seller"))
    buyer.knows(seller, OUT)
    seller.knows(buyer, IN)
    buyer.trusts(seller)
    seller.trusts(buyer)
    yield buyer, seller
    buyer.app.close()
    seller.app.close()


def wait_for(account, count):
    """The mails that wait in an account, when there are ``count``; a real host takes its time."""
    deadline = time.monotonic() + 20
    while len(account.waiting()) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(account.waiting()) == count, [email.message_from_bytes(each)["Subject"] for each in account.waiting()]
    return account.waiting()


@pytest.mark.parametrize(("layers", "receipt", "compress"), PERMUTATIONS)
def test_every_permutation_arrives_once_and_everything_that_comes_back_matches(pair, layers, receipt, compress):
    buyer, seller = pair
    sign, encrypt = LAYERS[layers]
    compressed = compress == "compressed"
    buyer.knows(seller, OUT + security(sign=sign, encrypt=encrypt, compress=compressed, receipt=receipt))
    seller.knows(buyer, IN + security(sign=sign, encrypt=encrypt, receipt="signed"))
    delivered = len(seller.delivered)
    number = PERMUTATIONS.index((layers, receipt, compress)) + 1
    buyer.submit("seller", f"{number}.edi", order(number))

    buyer.run()
    wait_for(seller.account, 1)
    summary = seller.run()
    assert [str(fault) for _, fault in summary.troubles] == []
    wait_for(buyer.account, 1 + (receipt != "none"))
    buyer.run()

    assert len(seller.delivered) == delivered + 1
    sent = buyer.rows("exchange", direction="out")[-1]
    assert sent["state"] == "acknowledged"
    words = [word for word, is_so in (("compressed", compressed), ("signed sha-256", sign)) if is_so]
    words += ["encrypted aes-256-cbc"] if encrypt else []
    asked = {"none": [], "unsigned": ["receipt asked for"], "signed": ["signed receipt asked for"]}[receipt]
    assert sent["security"] == ", ".join([*words, *asked])
    assert [row["relation"] for row in buyer.rows("acknowledgment", exchange=sent["id"])] == ["matched"] * 2
    assert buyer.rows("expectation") == []
    (*_, received) = seller.rows("message", direction="in")
    assert received["proof"] == ("signed" if sign else "address")
    assert [each["kind"] for each in json.loads(received["layers"])] == [
        *(["encrypted"] if encrypt else []),
        *(["signed"] if sign else []),
        *(["compressed"] if compressed else []),
    ]
    receipts = buyer.rows("receipt", exchange=sent["id"])
    assert len(receipts) == (receipt != "none")
    for row in receipts:
        assert (row["relation"], row["disposition"], row["mic_matches"]) == ("matched", "processed", "yes")
        assert Mic.parse(row["mic"]).matches(Mic.parse(sent["mic"]))
        assert row["signed_by"] == (seller.made.fingerprint if receipt == "signed" else "")
    # They fall silent: nothing of what came back is answered.
    seller.run()
    buyer.run()
    assert buyer.account.waiting() == seller.account.waiting() == []
    assert buyer.rows("outgoing") == seller.rows("outgoing") == []


def test_a_mail_changed_by_a_host_and_one_of_a_strange_certificate_are_answered_in_the_negative(pair):
    buyer, seller = pair
    buyer.knows(seller, OUT + security(sign=True, receipt="signed"))
    seller.knows(buyer, IN + security(sign=True, receipt="signed"))
    buyer.submit("seller", "changed.edi", order(90))
    buyer.run()
    (raw,) = wait_for(seller.account, 1)
    with_change = raw.index(b"SVNB") + 200
    seller.account.deliver(raw[:with_change] + bytes([raw[with_change] ^ 1]) + raw[with_change + 1 :])
    wait_for(seller.account, 2)
    seller.run()
    wait_for(buyer.account, 3)  # a 997, a good receipt and a bad one
    # The strange one: our next certificate, which the seller was not told of.
    buyer.add_key("next", make("buyer", number=77))
    buyer.app.keys.retire("first")
    buyer.submit("seller", "strange.edi", order(91))
    buyer.run()
    wait_for(seller.account, 1)
    seller.run()
    wait_for(buyer.account, 1)
    buyer.run()
    assert sorted(seller.faults()) == ["signature.invalid", "signature.signer-unknown"]
    told = {row["modifier"] for row in buyer.rows("receipt") if row["modifier"]}
    assert told == {"error: integrity-check-failed", "error: authentication-failed"}


def test_receipts_go_both_ways_on_both_databases(ledger_engine, tmp_path):
    buyer = Gateway(tmp_path, "buyer", "edi@buyer.example")
    seller = Gateway(tmp_path, "seller", "edi@seller.example", engine=ledger_engine)
    wide = '[security]\nsign = true\nencrypt = true\nreceipt = "signed"\n'
    both = OUT + IN.replace('"orders"', '"orders in"')
    buyer.knows(seller, both, wide)
    seller.knows(buyer, both, wide)
    buyer.trusts(seller)
    seller.trusts(buyer)
    buyer.submit("seller", "one.edi", order(1))
    seller.submit("buyer", "two.edi", order(2))
    assert until_silent(buyer, seller) == 6
    for each in (buyer, seller):
        assert len(each.delivered) == 1
        assert [row["relation"] for row in each.rows("receipt")] == ["matched", "matched"]
        assert each.rows("expectation") == []
        (sent,) = each.rows("exchange", direction="out", kind="document")
        assert sent["state"] == "acknowledged"
        assert "the one of our original" in dossier(each.app.context(), int(sent["id"]))["README.txt"].decode()
    buyer.app.close()


# ---------------------------------------------------------------- OpenSSL is the other party


def openssl(*words, data=b""):
    done = subprocess.run(
        [program("openssl"), *map(str, words)], input=data, capture_output=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def partner_files(tmp_path):
    made = make("partner", number=55, address="edi@partner.example")
    (tmp_path / "partner.pem").write_bytes(made.pem)
    (tmp_path / "partner.key").write_bytes(made.private_pem)
    return made, tmp_path


@pytest.fixture
def ours(tmp_path):
    gateway_ = Gateway(tmp_path, "seller", "edi@seller.example")
    yield gateway_
    gateway_.app.close()


def trust(ours, made):
    from partners.certificates import describe

    found = describe(made.der)
    ours.app.certificates.add("buyer", found, source="", by="tester", at=1)
    ours.app.certificates.decide("buyer", found.fingerprint, CertificateState.TRUSTED, by="tester", at=1)


class Partner:
    """Who is known under the name of the buyer: only what a profile needs of it."""

    name, address, identity = "buyer", "edi@partner.example", "ZZ:BUYERCO"


def test_what_openssl_signs_and_encrypts_is_delivered(ours, partner_files):
    made, directory = partner_files
    ours.knows(Partner, IN + security(sign=True, encrypt=True, receipt="signed"))
    trust(ours, made)
    (directory / "ours.pem").write_bytes(ours.made.pem)
    group = ("PO", "004010", [documents.order("PO-7", WHEN)])
    edi = documents.interchange(Partner.identity, ours.identity, 7, WHEN, [group])
    entity = b"Content-Type: application/EDI-X12\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" + edi
    signer = ("-signer", directory / "partner.pem", "-inkey", directory / "partner.key")
    signed = openssl("cms", "-sign", "-md", "sha256", *signer, "-crlfeol", "-binary", data=entity)
    sealed = openssl("cms", "-encrypt", "-aes256", "-binary", directory / "ours.pem", data=signed)
    head = (
        f"From: {Partner.address}\r\nTo: {ours.address}\r\nMessage-ID: <7@partner.example>\r\nSubject: order\r\n"
        f"Disposition-Notification-To: {Partner.address}\r\n"
        "Disposition-Notification-Options: signed-receipt-protocol=optional, pkcs7-signature; "
        "signed-receipt-micalg=optional, sha512, sha256\r\n"
    )
    ours.mailbox.deliver(head.encode() + sealed)
    summary = ours.run()
    assert [str(fault) for _, fault in summary.troubles] == []
    assert len(ours.delivered) == 1
    receipt = next(each.raw for each in ours.transport.sent if b"disposition-notification" in each.raw)
    covered = openssl(
        "cms",
        "-verify",
        "-CAfile",
        directory / "ours.pem",
        "-purpose",
        "any",
        "-no_check_time",
        "-crlfeol",
        data=receipt,
    )
    mic = Mic.parse(email.message_from_bytes(covered).get_payload(1).get_payload(0)["Received-Content-MIC"])
    assert mic.matches(Mic.of(hashlib.sha512(entity).digest(), "sha512"))


@pytest.mark.parametrize("weak", [False, True])
def test_an_old_cipher_is_read_only_where_the_agreement_allows_it(ours, partner_files, weak):
    _, directory = partner_files
    ours.knows(Partner, IN + security(weak=weak))
    (directory / "ours.pem").write_bytes(ours.made.pem)
    edi = documents.interchange(
        Partner.identity, ours.identity, 8, WHEN, [("PO", "004010", [documents.order("8", WHEN)])]
    )
    sealed = openssl("cms", "-encrypt", "-des3", "-binary", directory / "ours.pem", data=edi)  # bare EDI inside
    head = f"From: {Partner.address}\r\nTo: {ours.address}\r\nMessage-ID: <8@partner.example>\r\nSubject: 8\r\n"
    ours.mailbox.deliver(head.encode() + sealed)
    ours.run()
    assert (len(ours.delivered), ours.faults()) == ((1, []) if weak else (0, ["security.algorithm"]))


def test_what_we_sign_and_encrypt_openssl_opens(ours, partner_files):
    made, directory = partner_files
    ours.knows(Partner, OUT + security(sign=True, encrypt=True, receipt="signed"))
    trust(ours, made)
    (directory / "ours.pem").write_bytes(ours.made.pem)
    ours.submit("buyer", "one.edi", order())
    ours.run()
    (mail,) = ours.transport.sent
    key = ("-recip", directory / "partner.pem", "-inkey", directory / "partner.key")
    inner = openssl("cms", "-decrypt", *key, data=mail.raw)
    checks = ("-CAfile", directory / "ours.pem", "-purpose", "any", "-no_check_time")
    entity = openssl("cms", "-verify", *checks, "-crlfeol", data=inner)
    part = email.message_from_bytes(entity)
    assert part.get_content_type() == "application/edi-x12"
    assert b"BEG*00*SA*PO-1" in part.get_payload(decode=True)
