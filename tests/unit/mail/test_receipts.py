"""Receipts: what other systems write is read, what we write is read by others, and nothing said twice counts."""

import email
import email.policy
import hashlib

import pytest

from gateway.errors import DocumentFault, MessageMalformed
from gateway.mail.compose import compose
from gateway.mail.model import Draft
from gateway.mail.receipt_reader import receipt_in, request_in
from gateway.mail.receipt_writer import ReceiptNote, receipt_entity, request_headers
from gateway.mail.receipts import (
    DECRYPTION_FAILED,
    UNSUPPORTED_DIGESTS,
    UNSUPPORTED_FORMAT,
    Mic,
    digest_name,
)
from gateway.settings.model import Limits

LIMITS = Limits()
OURS = "<abc@us.example>"
MIC = Mic.of(hashlib.sha256(b"order").digest(), "sha-256")


def report(*fields, top="multipart/report; report-type=disposition-notification", machine="disposition-notification"):
    lines = [
        "From: edi@acme.example",
        "To: edi@us.example",
        "Subject: Return receipt",
        f'Content-Type: {top}; boundary="b"',
        "",
        "--b",
        "Content-Type: text/plain",
        "",
        "The message was   received.",
        "--b",
        f"Content-Type: message/{machine}",
        "",
        *fields,
        "",
        "--b--",
        "",
    ]
    return "\r\n".join(lines).encode()


def read(*fields, **options):
    return receipt_in(report(*fields, **options), LIMITS)


def test_a_receipt_as_rfc_3335_shows_it_is_read_whole():
    found = read(
        "Reporting-UA: AcmeEDI 1.0",
        "Original-Recipient: rfc822; edi@us.example",
        "Final-Recipient: rfc822; EDI@US.example",
        f"Original-Message-ID: {OURS}",
        "Disposition: automatic-action/MDN-sent-automatically; processed",
        "Received-content-MIC: w7AguNJEmhF/qIjJw6LnnA==, sha1",
    )
    assert found.processed
    assert (found.original_message_id, found.reporting_ua) == (OURS, "AcmeEDI 1.0")
    assert (found.original_recipient, found.final_recipient) == ("edi@us.example", "EDI@us.example")
    assert (found.action, found.sending) == ("automatic-action", "mdn-sent-automatically")
    assert (found.mic.value, found.mic.digest) == ("w7AguNJEmhF/qIjJw6LnnA==", "sha-1")
    assert found.text == "The message was received."


@pytest.mark.parametrize(
    ("written", "kind", "modifiers", "processed"),
    [
        ("automatic-action/MDN-sent-automatically; processed", "processed", (), True),
        ("automatic-action/MDN-sent-automatically;processed", "processed", (), True),
        ("AUTOMATIC-ACTION / mdn-Sent-Automatically ;  PROCESSED ", "processed", (), True),
        ("automatic-action/MDN-sent-automatically; processed/", "processed", (), True),
        ("processed", "processed", (), True),
        (
            "automatic-action/MDN-sent-automatically; processed/error: authentication-failed",
            "processed",
            ("error: authentication-failed",),
            False,
        ),
        ("a/b; processed/Error:decryption-failed", "processed", ("error: decryption-failed",), False),
        ("a/b; processed/error", "processed", ("error",), False),
        ("a/b; processed/warning: duplicate-document", "processed", ("warning: duplicate-document",), True),
        (
            "a/b; processed/warning: authentication-failed, processing continued",
            "processed",
            ("warning: authentication-failed, processing continued",),
            True,
        ),
        ("a/b; processed/warning, error", "processed", ("warning", "error"), False),
        ("a/b; failed/failure: unsupported format", "failed", ("failure: unsupported format",), False),
        ("a/b; failed", "failed", (), False),
        ("manual-action/MDN-sent-manually; displayed", "displayed", (), False),
        ("manual-action/MDN-sent-manually; deleted", "deleted", (), False),
        ("a/b; denied", "denied", (), False),
        ("a/b; processed but not really", "", (), False),
        ("a/b;", "", (), False),
        (";;;;", "", (), False),
        ("=?utf-8?b?AAAA?=", "", (), False),
    ],
)
def test_a_disposition_says_processed_only_where_it_plainly_does(written, kind, modifiers, processed):
    found = read(f"Original-Message-ID: {OURS}", f"Disposition: {written}")
    assert (found.disposition, found.modifiers, found.processed) == (kind, modifiers, processed)


def test_an_error_field_alone_is_an_error():
    found = read("Disposition: a/b; processed", "Error: no key for this", "Warning: late")
    assert not found.processed
    assert (found.problems, found.warnings) == (("no key for this",), ("late",))


def test_a_blank_line_between_the_fields_and_folded_fields_are_read_over():
    found = read(
        "Final-Recipient: rfc822;edi@us.example",
        "",
        "Disposition: a/b;",
        "  processed",
        f"Original-Message-ID:\r\n {OURS}",
    )
    assert found.processed
    assert found.original_message_id == OURS


@pytest.mark.parametrize("field", ["Disposition: a/b; failed", "Original-Message-ID: <other@us.example>"])
def test_what_is_said_twice_differently_is_not_believed(field):
    found = read(f"Original-Message-ID: {OURS}", "Disposition: a/b; processed", field)
    assert not (found.processed and found.original_message_id == OURS)


def test_without_its_field_the_returned_headers_name_the_mail():
    raw = report("Disposition: a/b; processed").replace(
        b"--b--", f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {OURS}\r\n\r\n--b--".encode()
    )
    assert receipt_in(raw, LIMITS).original_message_id == OURS


def test_a_signed_receipt_is_looked_into():
    inner = report(f"Original-Message-ID: {OURS}", "Disposition: a/b; processed").partition(b"Content-Type: ")[2]
    raw = b'From: a@acme.example\r\nContent-Type: multipart/signed; boundary="s"\r\n\r\n--s\r\nContent-Type: ' + inner
    raw += b"--s\r\nContent-Type: application/pkcs7-signature\r\n\r\nAAAA\r\n--s--\r\n"
    assert receipt_in(raw, LIMITS).processed


@pytest.mark.parametrize(
    "raw",
    [
        b"From: a@acme.example\r\n\r\nDisposition: a/b; processed\r\n",
        report("Action: failed", machine="delivery-status"),
        report("Disposition: a/b; processed", top="multipart/mixed"),
    ],
)
def test_what_is_no_report_is_no_receipt(raw):
    assert receipt_in(raw, LIMITS) is None


@pytest.mark.parametrize("junk", [["\x00"], ["no field at all"], [": :"], ["\xff\xfe"], []])
def test_junk_in_the_machine_part_says_nothing(junk):
    found = read(*junk)
    assert (found.disposition, found.original_message_id, found.mic) == ("", "", None)


def test_a_hundred_thousand_fields_cost_no_more_than_the_bound():
    assert not read(*["Error: x"] * 100_000).processed


# ---------------------------------------------------------------- MIC


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("sha1", "sha-1"), ("SHA1", "sha-1"), ("sha-1", "sha-1"), ("SHA256", "sha-256"), ("sha-256", "sha-256"),
        ("Sha_512", "sha-512"), (" sha-384 ", "sha-384"), ('"sha-256"', "sha-256"), ("rsa-md5", "md5"), ("md5", "md5"),
        ("sha-3", ""), ("sha", ""), ("crc32", ""), ("", ""), ("sha-2560", ""),
    ],
)  # fmt: skip
def test_digests_are_known_by_any_of_their_names(written, name):
    assert digest_name(written) == name


@pytest.mark.parametrize("algorithm", ["sha256", "SHA-256", "sha-256"])
def test_the_same_digest_matches_whatever_its_name_is_written_like(algorithm):
    assert Mic.parse(f" {MIC.value} ,{algorithm}").matches(MIC)
    assert Mic.parse(f"{MIC.value.rstrip('=')}, {algorithm}").matches(MIC)


@pytest.mark.parametrize(
    "other", [Mic(MIC.value, "sha-1"), Mic(MIC.value, "what"), Mic("AAAA", "sha-256"), Mic("!", "sha-256")]
)
def test_another_digest_or_algorithm_does_not_match(other):
    assert not other.matches(MIC)
    assert not MIC.matches(other)


def test_two_unknown_algorithms_of_one_name_prove_nothing():
    assert not Mic("AAAA", "crc32").matches(Mic("AAAA", "crc32"))


@pytest.mark.parametrize("text", ["", "sha1", ", sha1", "????, sha1", "A" * 300 + ", sha1", "=, sha1"])
def test_what_is_no_mic_is_none(text):
    assert Mic.parse(text) is None


# ---------------------------------------------------------------- requests


def request(*headers):
    return request_in("\r\n".join(["From: edi@acme.example", *headers, "", "x"]).encode(), LIMITS)


def test_a_mail_without_the_header_asks_for_nothing():
    assert request("Disposition-Notification-Options: signed-receipt-micalg=optional, sha1") is None


def test_a_request_for_an_unsigned_receipt():
    found = request("Disposition-Notification-To: ACME <edi@ACME.example>")
    assert found.to == ("edi@acme.example",)
    assert (found.signed, found.refusal(("sha-256",))) == (False, "")


def test_a_request_for_a_signed_receipt_and_the_first_digest_that_we_can_do():
    found = request(
        "Disposition-Notification-To: edi@acme.example",
        "disposition-notification-options: signed-receipt-protocol = OPTIONAL , pkcs7-signature ;",
        " signed-receipt-micalg=optional,  md5, SHA256 , sha1",
    )
    assert found.signed
    assert found.digests == ("md5", "SHA256", "sha1")
    assert found.digest(("sha-256", "sha-1")) == "SHA256"
    assert found.digest(("sha-512",)) == ""
    assert found.refusal(("sha-512",)) == ""


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("signed-receipt-protocol=required, pgp-signature", UNSUPPORTED_FORMAT),
        ("signed-receipt-protocol=optional, pgp-signature", ""),
        ("signed-receipt-protocol=required, pkcs7-signature; signed-receipt-micalg=required, md5", UNSUPPORTED_DIGESTS),
        ("signed-receipt-protocol=required, pkcs7-signature; signed-receipt-micalg=optional, md5", ""),
        ("attachment-receipt=required, yes", UNSUPPORTED_FORMAT),
        ("attachment-receipt=optional, yes", ""),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_what_must_be_and_cannot_is_refused(options, reason):
    found = request("Disposition-Notification-To: edi@acme.example", f"Disposition-Notification-Options: {options}")
    assert found.refusal(("sha-256", "sha-1")) == reason


def test_what_we_ask_for_is_read_as_we_meant_it():
    draft = Draft(
        sender="edi@us.example",
        to=("edi@acme.example",),
        subject="x",
        message_id=OURS,
        body="x",
        headers=request_headers("edi@us.example", digests=("sha-256", "sha-512"), required=True),
    )
    found = request_in(compose(draft), LIMITS)
    assert found.to == ("edi@us.example",)
    assert found.signed
    assert found.protocol_required
    assert found.digest_required
    assert found.digests == ("sha-256", "sha-512")


def test_without_digests_an_unsigned_receipt_is_asked_for():
    assert request_headers("edi@us.example") == (("Disposition-Notification-To", "edi@us.example"),)


@pytest.mark.parametrize("wrong", [{"address": "a b"}, {"address": "a@b.example\r\nBcc: c@d"}, {"digests": ("sha 1",)}])
def test_a_request_cannot_be_broken_out_of(wrong):
    with pytest.raises(DocumentFault):
        request_headers(**{"address": "edi@us.example", **wrong})


# ---------------------------------------------------------------- writing


def note(**changes):
    values = {
        "original_message_id": "<1@acme.example>",
        "recipient": "edi@us.example",
        "reporting_ua": "us.example; EDI gateway",
        "text": "Your order was received.",
    }
    return ReceiptNote(**{**values, **changes})


def test_what_we_write_is_read_by_us_as_it_was_meant():
    found = receipt_in(
        receipt_entity(note(mic=MIC, original_headers=b"Subject: x\r\nMessage-ID: <1@acme.example>\r\n")), LIMITS
    )
    assert found.processed
    assert found.mic.matches(MIC)
    assert found.original_message_id == "<1@acme.example>"
    assert found.final_recipient == "edi@us.example"
    assert found.text == "Your order was received."


def test_what_we_write_is_read_by_pythons_own_parser():
    parsed = email.message_from_bytes(receipt_entity(note(mic=MIC)), policy=email.policy.default)
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "disposition-notification"
    people, machine = parsed.iter_parts()
    assert people.get_content().strip() == "Your order was received."
    assert machine.get_content_type() == "message/disposition-notification"
    assert not parsed.defects


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "processed"),
        ({"modifier": "error", "reason": DECRYPTION_FAILED}, "processed/error: decryption-failed"),
        ({"modifier": "warning", "reason": "duplicate-document"}, "processed/warning: duplicate-document"),
        (
            {"disposition": "failed", "modifier": "failure", "reason": UNSUPPORTED_FORMAT},
            "failed/failure: unsupported format",
        ),
        ({"disposition": "failed"}, "failed"),
    ],
)
def test_dispositions_are_written_as_the_standard_spells_them(changes, said):
    raw = receipt_entity(note(**changes))
    assert f"\r\nDisposition: automatic-action/MDN-sent-automatically; {said}\r\n".encode() in raw
    assert receipt_in(raw, LIMITS).processed is (
        changes.get("modifier", "") in {"", "warning"} and "disposition" not in changes
    )


@pytest.mark.parametrize("text", ["ünïcode", ".dot", "From here", "--b", "x" * 200, "blank \nat the end", "a\nb\r\nc"])
def test_every_line_survives_any_host(text):
    raw = receipt_entity(note(text=text))
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    body = raw.partition(b"\r\n\r\n")[2]
    assert not any(line.startswith((b".", b"From ")) or line.endswith(b" ") for line in body.split(b"\r\n"))
    assert receipt_in(raw, LIMITS).text.split() == text.split()


def test_the_same_receipt_is_the_same_bytes():
    assert receipt_entity(note(mic=MIC)) == receipt_entity(note(mic=MIC))


@pytest.mark.parametrize(
    "changes",
    [
        {"original_message_id": "<a@b>\r\nDisposition: a/b; processed"},
        {"original_message_id": "none"},
        {"recipient": "us"},
        {"reporting_ua": "x\r\nError: y"},
        {"modifier": "error", "reason": "a\nb"},
        {"modifier": "failure"},
        {"disposition": "displayed"},
        {"reason": "without a modifier"},
        {"mic": Mic("AAAA", "sha1\r\nError: z")},
    ],
)
def test_no_value_breaks_out_of_its_field(changes):
    with pytest.raises(DocumentFault):
        receipt_entity(note(**changes))


def test_an_entity_that_cannot_be_read_is_a_fault_and_no_crash():
    with pytest.raises(MessageMalformed):
        receipt_in(b"Content-Type: multipart/report\r\n\r\nx", LIMITS)
