"""Certificates of partners: kept as pending from files and text, trusted only with the whole fingerprint, retired."""

from __future__ import annotations

from datetime import timedelta

import pytest
from builders.certificates import WHEN, make
from builders.console import HOSTILE, post, said, told

from gateway.app import open_app
from gateway.console.people import Role
from gateway.console.visit import LARGEST_FILE
from partners.certificates import grouped
from partners.model import CertificateState

PAGE = "/partners/acme/certificates"


def states(home) -> list[str]:
    """The states of ACME's certificates."""
    with open_app(home) as app:
        return [each.certificate.state.value for each in app.certificates.list("acme")]


def kept(client, made):
    """Uploads the certificate; the sentence that is said."""
    return said(client, post(client, PAGE, files={"file": ("acme.pem", made.pem)}))


@pytest.mark.parametrize("form", ["pem file", "der file", "text", "pkcs12"])
def test_a_certificate_is_kept_as_pending_in_whatever_form_it_comes(browser, home, form):
    """A file as PEM, DER or PKCS #12 with its password, or pasted text."""
    client, made = browser(Role.ADMINISTRATOR), make()
    if form == "text":
        answer = post(client, PAGE, pem=made.pem.decode())
    else:
        data = {"pem file": made.pem, "der file": made.der, "pkcs12": made.p12(b"secret")}[form]
        answer = post(client, PAGE, files={"file": ("acme.crt", data)}, password="secret" if form == "pkcs12" else "")
    assert f"Kept as pending: {made.fingerprint[:16]}" in said(client, answer)
    assert states(home) == ["pending"]
    assert grouped(made.fingerprint) in client.get(PAGE).text
    event = told(home, "certificate-added")[0]
    assert (event.actor, event.body["fingerprint"]) == ("administrator@example", made.fingerprint)


@pytest.mark.parametrize("data", [b"", b"no certificate", b"\x00" * 5000, b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_what_is_no_certificate_is_refused_in_words(browser, home, data):
    """Nothing is kept, and the sentence says what the file is not."""
    client = browser(Role.ADMINISTRATOR)
    sentence = said(client, post(client, PAGE, files={"file": (f"{HOSTILE}.pem", data)}))
    assert sentence
    assert states(home) == []


def test_a_file_that_is_too_large_is_not_read_to_its_end(browser, home):
    """A megabyte is far more than any certificate has."""
    client = browser(Role.ADMINISTRATOR)
    sentence = said(client, post(client, PAGE, files={"file": ("big.pem", b"x" * (LARGEST_FILE + 10))}))
    assert "larger than" in sentence
    assert states(home) == []


def test_nothing_chosen_is_said(browser):
    """Neither a file nor text."""
    client = browser(Role.ADMINISTRATOR)
    assert "Choose a file" in said(client, post(client, PAGE))


def test_only_the_whole_fingerprint_as_it_was_read_aloud_makes_it_trusted(browser, home):
    """A part, another one, or none is refused; groups, colons and capitals do not matter."""
    client, made = browser(Role.ADMINISTRATOR), make()
    kept(client, made)
    confirm = f"{PAGE}/{made.fingerprint}/confirm"
    other = made.fingerprint[:-1] + ("0" if made.fingerprint[-1] != "0" else "1")
    for typed, words in (
        (made.fingerprint[:60], "only a part"),
        (other, "not the fingerprint"),
        ("", "is not a SHA-256 fingerprint"),
        ("not hex", "is not a SHA-256 fingerprint"),
    ):
        assert words in said(client, post(client, confirm, typed=typed, why="Jo, by telephone")), typed
    assert "who confirmed it" in said(client, post(client, confirm, typed=made.fingerprint, why=""))
    assert states(home) == ["pending"]
    assert "is trusted now" in said(
        client, post(client, confirm, typed=grouped(made.fingerprint), why="Jo, by telephone")
    )
    assert states(home) == [CertificateState.TRUSTED.value]
    event = told(home, "certificate-trusted")[0]
    assert (event.actor, event.body["reason"]) == ("administrator@example", "Jo, by telephone")


def test_one_that_ended_is_never_trusted(browser, home):
    """It is shown as expired, without a form to confirm it, and posting one changes nothing."""
    client, made = browser(Role.ADMINISTRATOR), make(start=WHEN - timedelta(days=900), days=30)
    kept(client, made)
    page = client.get(PAGE).text
    assert "expired" in page
    assert "/confirm" not in page
    sentence = said(client, post(client, f"{PAGE}/{made.fingerprint}/confirm", typed=made.fingerprint, why="x"))
    assert "it ended already" in sentence
    assert states(home) == ["pending"]


def test_a_certificate_is_retired_with_a_reason(browser, home):
    """It proves nothing any more, and the ledger keeps why."""
    client, made = browser(Role.ADMINISTRATOR), make()
    kept(client, made)
    retire = f"{PAGE}/{made.fingerprint}/retire"
    assert "Say why" in said(client, post(client, retire, why=" "))
    assert "is retired now" in said(client, post(client, retire, why="their key was stolen"))
    assert states(home) == ["retired"]
    assert "nothing was changed" in said(client, post(client, retire, why="again"))
    assert [each.body["reason"] for each in told(home, "certificate-retired")] == ["their key was stolen"]


def test_names_in_certificates_are_text(browser):
    """Anybody can write anything into a certificate."""
    client, made = browser(Role.ADMINISTRATOR), make(HOSTILE[:60])
    kept(client, made)
    page = client.get(PAGE).text
    assert "\\&lt;script" in page
    assert "<script>alert" not in page


def test_others_look_and_do_not_change(browser, home):
    """An operator sees certificates, but neither adds nor decides."""
    made = make()
    kept(browser(Role.ADMINISTRATOR), made)
    client = browser(Role.OPERATOR)
    page = client.get(PAGE).text
    assert grouped(made.fingerprint) in page
    assert "<form" not in page.partition('<div class="cards')[2]
    assert post(client, PAGE, pem=made.pem.decode()).status_code == 403
    assert post(client, f"{PAGE}/{made.fingerprint}/confirm", typed=made.fingerprint, why="x").status_code == 403
    assert states(home) == ["pending"]


def test_a_fingerprint_that_is_not_there_is_said(browser):
    """A wrong address of a form."""
    answer = post(browser(Role.ADMINISTRATOR), f"{PAGE}/{'ab' * 32}/retire", why="x")
    assert answer.status_code == 404
    assert "There is no certificate of acme" in answer.text
