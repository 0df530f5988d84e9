"""The specification that a partner gets: it says what the profile and the settings say, and nothing else."""

import pytest
from builders.pair import Gateway
from builders.stage import ACME, GLOBEX, Stage
from msgspec.structs import replace

from gateway.flow.partner_spec import specification
from gateway.flow.partner_spec_text import WIDTH, as_text
from gateway.ledger.reports.html import as_html
from gateway.ledger.reports.pdf import as_pdf
from gateway.settings.model import MailboxSettings, SelftestSettings
from partners.certificates import grouped


def page(tmp_path, *profiles, **settings):
    stage = Stage(tmp_path, list(profiles or (ACME,)))
    stage.settings = replace(stage.settings, **settings)
    context = stage.context()
    return specification(context, next(iter(context.directory)))


def text(tmp_path, *profiles, **settings):
    return as_text(page(tmp_path, *profiles, **settings))


def flat(said):
    return " ".join(said.split())


def test_it_tells_identities_addresses_sets_and_answers(tmp_path):
    said = flat(
        text(
            tmp_path,
            contact="EDI desk, +1 555 0100",
            mailboxes=(MailboxSettings("orders", "pop3", user="in@us.example"),),
        )
    )
    for words in (
        "EDI specification for ACME Retail",
        "Contact: EDI desk, +1 555 0100",
        "Our EDI identity: ZZ:EXAMPLECO",
        "You are ZZ ACMERETAIL ACMERETAIL",
        "you send to in@us.example",
        "you send from edi@acme.example, edi2@acme.example",
        "you to us 850 004010 the standard",
        "we to you 810, 855 004010 the standard",
        "997, naming every set",
        "a 997 within 1d of our mail",
        "element *, component :, segment ~",
        "for example as 810_000000123.edi",
        "Questions: EDI desk, +1 555 0100.",
        "TA1 020",
    ):
        assert words in said
    assert "S/MIME" not in said
    assert "By yourself" not in said


def test_lines_fit_the_width(tmp_path):
    assert max(map(len, text(tmp_path, ACME).splitlines())) <= WIDTH


def test_a_self_test_is_told_where_there_is_one(tmp_path):
    said = flat(text(tmp_path, selftest=SelftestSettings("test@us.example", 4)))
    assert "mail a file to test@us.example" in said
    assert "up to 4 in an hour" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('status = "live"', 'status = "testing"', "testing: every interchange bears ISA15 T"),
        ('name = "ACME Retail"', 'on_test = "accept"', "Tests are welcome when you are live"),
        ('name = "ACME Retail"', 'numbers = "any"', "we conclude nothing from the order of ISA13"),
        ('name = "ACME Retail"', 'evidence = "dkim"', "must sign your mails with DKIM"),
        ('versions = ["004010"]\n\n', 'versions = ["005010X222A1"]\n\n', "999, naming every set"),
        ('sets = ["810", "855"]', 'sets = ["*"]', "we to you every set"),
        ('["edi@acme.example", "edi2@acme.example"]', '["x@address-unknown.invalid"]', "tell us the address, please"),
        (
            'sets = ["850"]\nversions = ["004010"]',
            'sets = ["850"]\n[agreement.acknowledgment]\nfunctional = "none"\nta1 = "never"',
            "orders none never",
        ),
    ],
)
def test_what_was_settled_otherwise_is_said_otherwise(tmp_path, old, new, said):
    assert old in ACME
    assert said in flat(text(tmp_path, ACME.replace(old, new)))


def test_one_page_is_drawn_as_html_and_pdf(tmp_path):
    from io import BytesIO

    from pypdf import PdfReader

    told = page(tmp_path, ACME.replace("ACME Retail", "<b>ACME</b> & Söhne"))
    html = as_html(told)
    assert "&lt;b&gt;ACME&lt;/b&gt; &amp; Söhne" in html
    assert "<b>ACME" not in html
    words = " ".join(each.extract_text() for each in PdfReader(BytesIO(as_pdf(told))).pages)
    assert "EDI specification" in words
    assert "ZZ:EXAMPLECO" in words


def test_where_smime_was_agreed_on_our_certificate_and_its_fingerprint_stand_in_it(tmp_path):
    us, them = Gateway(tmp_path, "us", "edi@us.example"), Gateway(tmp_path, "them", "edi@them.example")
    try:
        out = '[[agreement]]\nname = "orders"\ndirection = "out"\nsets = ["850"]\nversions = ["004010"]\n'
        us.knows(them, out + '[agreement.security]\nsign = true\nencrypt = true\nreceipt = "signed"\n')
        them.trusts(us)
        context = us.app.context()
        said = as_text(specification(context, context.directory.get("them")))
        (key,) = context.keys.keys
        assert grouped(key.fingerprint)[:39] in said
        assert "-----BEGIN CERTIFICATE-----" in said
        assert "we sign (sha-256); we encrypt (aes-256-cbc); we ask for a signed receipt (MDN) within 1d" in flat(said)
        pem = said[said.index("-----BEGIN") : said.index("-----END")].replace("\n  ", "\n")
        from cryptography.x509 import load_pem_x509_certificate

        loaded = load_pem_x509_certificate((pem + "-----END CERTIFICATE-----\n").encode())
        assert loaded.fingerprint(loaded.signature_hash_algorithm).hex() == key.fingerprint
    finally:
        us.app.close()
        them.app.close()


def test_a_partner_that_sends_nothing_is_not_told_how(tmp_path):
    only_out = GLOBEX.replace('[[agreement]]\nname = "all in"\ndirection = "in"\nsets = ["*"]\n', "")
    said = text(tmp_path, only_out)
    assert "What you send us" not in said
    assert "What we send you" in said
