"""One exchange: its story, segments, acknowledgments beside it, mail, bytes and evidence, for whoever may see them."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import zipfile
from html import unescape
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.app import open_app
from gateway.cli.main import root
from gateway.console.people import Role

CSRF = {"csrf": "form-secret-of-somebody"}
VIEWS = ("", "/segments", "/answers", "/mail", "/raw", "/evidence")
VERIFY = Path(__file__).parents[3] / "docs" / "verify_evidence.py"


def _words(text):
    """The page as somebody reads it."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def _events(home, kind):
    with open_app(home) as app, app.ledger.reading() as connection:
        found = connection.exec_driver_sql("SELECT actor, exchange, message, body FROM event WHERE kind = ?", (kind,))
        return [(row.actor, row.exchange, row.message, json.loads(row.body)) for row in found]


def test_every_view_of_every_exchange_answers(browser, home):
    """Whatever it is, in or out, document or acknowledgment, all views of it are pages."""
    client = browser(Role.VIEWER)
    with open_app(home) as app, app.ledger.reading() as connection:
        numbers = connection.exec_driver_sql("SELECT id FROM exchange").scalars().all()
        mails = connection.exec_driver_sql("SELECT id FROM message").scalars().all()
    assert len(numbers) == 25
    for address in [f"/exchanges/{number}{view}" for number in numbers for view in VIEWS]:
        assert client.get(address).status_code == 200, address
    for number in mails:
        assert client.get(f"/mails/{number}").status_code == 200, number


@pytest.mark.parametrize("number", ["4711", "99999999999999999999999999"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_number_that_is_none_is_said_so(browser, number, view):
    """The fault stands on the page with the number."""
    answer = browser(Role.VIEWER).get(f"/exchanges/{number}{view}")
    assert 400 <= answer.status_code < 500
    assert f"There is no exchange {number}" in answer.text
    assert 400 <= browser(Role.VIEWER).get(f"/mails/{number}").status_code < 500


def test_the_story_names_the_tracked_properties_and_what_belongs_together(browser):
    """The seven properties by the names that users know, the tree as links, the timeline in words."""
    text = browser(Role.VIEWER).get("/exchanges/1").text
    words = _words(text)
    for name in ("File Name", "From Address", "Host", "Message ID", "Subject", "To Address", "User"):
        assert f"<dt>{name}</dt>" in text, name
    assert "order1001.edi" in words
    assert 'href="/mails/1"' in text
    assert 'href="/exchanges/2">our 997 000000001' in text
    assert 'href="/exchanges/25">repeated by: interchange 000000001' in text
    assert "repeated by 850 000000001 duplicate" in words
    assert "answered by 997 000000001 complete" in words
    assert "received from edi@acme.example in mailbox orders" in words
    assert "delivered 850 0001 to" in words
    assert "855" in words[words.index("Documents of the same business") :]


def test_what_is_overdue_says_what_is_awaited_and_next(browser):
    """The page of a silent partner's invoice."""
    words = _words(browser(Role.VIEWER).get("/exchanges/18").text)
    assert "Next: somebody asks the partner" in words
    assert re.search(r"997 or 999: due \d{4}-\d\d-\d\d [\d:]+ overdue", words)


def test_segments_have_names_elements_and_findings_at_their_place(browser):
    """The bad quantity is told at PO102 of the second set, and nowhere else."""
    client = browser(Role.VIEWER)
    text = client.get("/exchanges/9/segments").text
    wrong = re.findall(r'<li class="segment [^"]*wrong">.*?</li>', text, re.DOTALL)
    assert len(wrong) == 1
    words = _words(wrong[0])
    assert words.startswith("21 8 PO1 *1*A DOZEN*EA")
    assert "PO102 A DOZEN Quantity Ordered error PO102 (Quantity Ordered), segment 8: 'A DOZEN' is not" in words
    assert "Interchange Control Header" in text
    only = client.get("/exchanges/9/segments?findings=1").text
    assert _words(only).count("A DOZEN") == _words(wrong[0]).count("A DOZEN")
    assert "GS*" not in _words(only)
    assert "Nothing was found wrong with it." in client.get("/exchanges/1/segments?findings=1").text


def test_segments_are_paged(browser, monkeypatch):
    """Page after page, each segment once; a number that is none is refused."""
    from gateway.console.pages import exchange_views

    monkeypatch.setattr(exchange_views, "SEGMENTS", 4)
    client = browser(Role.VIEWER)
    address, seen = "?from=1", []
    while address:
        text = client.get(f"/exchanges/1/segments{address}").text
        seen += [int(each) for each in re.findall(r'<summary><span class="count">(\d+)</span>', text)]
        found = re.search(r'<a rel="next" href="(\?[^"]+)"', text)
        address = unescape(found[1]) if found else None
    assert seen == list(range(1, 16))
    assert "There is no segment 99" in client.get("/exchanges/1/segments?from=99").text
    for wrong in ("0", "x", "-1", "9" * 30):
        assert 400 <= client.get(f"/exchanges/1/segments?from={wrong}").status_code < 500


def test_a_rejecting_acknowledgment_stands_beside_the_set_that_it_judges(browser):
    """Left the invoice's segment with the error in words, right the AK2 to AK5 of the partner."""
    text = browser(Role.VIEWER).get("/exchanges/17/answers").text
    pair = text[text.index('aria-label="Set 810 0001"') :]
    left, right = pair.split("<div>")[1:3]
    assert "the code is not in the list (code 7)" in _words(left)
    assert "BIG" in left
    assert "INV-0002" in left
    assert "rejected" in _words(right)
    assert re.findall(r"<b>(\w+)</b>", right)[:4] == ["AK2", "AK3", "AK4", "AK5"]
    assert "AK2" not in left


def test_our_own_acknowledgment_stands_beside_what_it_answers_from_both_sides(browser):
    """The good order and the bad one, whether one looks at the orders or at our 997."""
    client = browser(Role.VIEWER)
    for address in ("/exchanges/9/answers", "/exchanges/10/answers"):
        text = client.get(address).text
        assert re.findall(r'aria-label="Set ([^"]+)"', text) == ["850 0002", "850 0001"]  # what is wrong comes first
        bad, good = text.split('aria-label="Set ')[1:]
        assert "accepted" in _words(good)
        assert "nothing wrong was found" in _words(good)
        assert "is not a number" in _words(bad)
        assert "<b>AK4</b>" in bad
        assert "<b>AK4</b>" not in good


def test_the_mail_is_shown_with_headers_and_parts(browser):
    """Its sender, its parts with their names and sizes, and the words in it."""
    words = _words(browser(Role.VIEWER).get("/exchanges/1/mail").text)
    assert "from edi@acme.example" in words
    assert "order1001.edi application/edi-x12" in words
    assert "Please find our EDI attached." in words


# ---------------------------------------------------------------- bytes


def test_a_viewer_takes_nothing_raw(browser):
    """Neither masked nor unmasked, neither mails nor evidence; and no page offers it."""
    client = browser(Role.VIEWER)
    for address in ("/exchanges/1/raw.edi", "/exchanges/1/answers.edi", "/exchanges/1/proof.json", "/mails/1/raw.eml"):
        assert client.get(address).status_code == 403, address
    for address in ("/exchanges/1/raw/unmasked", "/exchanges/14/dossier", "/mails/1/unmasked"):
        assert client.post(address, data=CSRF).status_code == 403, address
    for view in VIEWS:
        text = client.get(f"/exchanges/1{view}").text
        assert not re.search(r"raw\.e|unmasked|proof\.json|dossier", text), view


def test_an_auditor_takes_the_bytes_as_they_were_kept(browser):
    """The interchange, its acknowledgment, and its mail, as attachments under names of ours."""
    client = browser(Role.AUDITOR)
    edi = client.get("/exchanges/1/raw.edi")
    assert edi.content.startswith(b"ISA*00*")
    assert edi.headers["content-disposition"] == 'attachment; filename="exchange-1.edi"'
    assert edi.headers["content-type"] == "application/octet-stream"
    assert b"AK1*PO*1" in client.get("/exchanges/1/answers.edi").content
    assert b"Subject: Order PO-1001" in client.get("/mails/1/raw.eml").content
    assert 400 <= client.get("/exchanges/18/answers.edi").status_code < 500
    assert 400 <= client.get("/mails/999/raw.eml").status_code < 500


def test_a_password_is_seen_by_nobody_who_has_not_asked_for_it(hostile):
    """ISA04 is masked on every page and in the download; the mail with it is refused."""
    client = hostile(Role.AUDITOR)
    pages = [f"/exchanges/{number}{view}" for number in (26, 28) for view in VIEWS]
    for address in [*pages, "/mails/26", "/mails/27", "/quarantine", "/quarantine/28", "/exchanges/26/raw.edi"]:
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert b"OPENSESAME" not in answer.content, address
    assert b"XXXXXXXXXX" in client.get("/exchanges/26/raw.edi").content
    refused = client.get("/mails/26/raw.eml")
    assert 400 <= refused.status_code < 500
    assert b"OPENSESAME" not in refused.content


def test_who_asks_for_the_password_is_kept_in_the_ledger(hostile, tmp_path):
    """The bytes as they are, and the event with the name of who took them."""
    client = hostile(Role.AUDITOR)
    assert client.post("/exchanges/26/raw/unmasked").status_code == 403  # not from a form of ours
    assert b"OPENSESAME" in client.post("/exchanges/26/raw/unmasked", data=CSRF).content
    assert b"Subject:" in client.post("/mails/26/unmasked", data=CSRF).content
    told = _events(tmp_path / "hostile", "shown-unmasked")
    assert [(actor, exchange, message) for actor, exchange, message, _ in told] == [
        ("auditor@example", 26, None),
        ("auditor@example", None, 26),
    ]


# ---------------------------------------------------------------- evidence


def test_an_inclusion_proof_is_downloaded_once_a_seal_covers_it(browser, home, tmp_path):
    """The program for outsiders finds it true, with the seal and the bytes beside it."""
    client = browser(Role.OPERATOR)
    settled = client.post("/exchanges/18/acts/settle", data=CSRF | {"why": "it came by fax", "step": "do"})
    assert settled.status_code == 303
    early = client.get("/exchanges/18/proof.json")
    assert 400 <= early.status_code < 500
    assert "no seal covers its newest event yet" in early.text
    assert "is older than its newest event" in client.get("/exchanges/18/evidence").text
    outcome = CliRunner().invoke(root, ["--home", str(home), "ledger", "seal"], catch_exceptions=False)
    assert outcome.exit_code == 0
    assert "covers everything that is known of it" in client.get("/exchanges/18/evidence").text
    proof, raw = tmp_path / "proof.json", tmp_path / "raw.edi"
    proof.write_bytes(client.get("/exchanges/18/proof.json").content)
    raw.write_bytes(client.get("/exchanges/18/raw.edi").content)
    command = [sys.executable, str(VERIFY), str(proof), "--seals", str(home / "seals.txt"), "--raw", str(raw)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_dossier_is_a_zip_and_the_ledger_keeps_who_took_it(browser, home):
    """Our original, the history, and what was found; of what came from the partner there is none."""
    client = browser(Role.AUDITOR)
    answer = client.post("/exchanges/14/dossier", data=CSRF)
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert {"interchange.edi", "mail.eml", "history.json", "README.txt"} <= set(names)
    assert [(actor, body) for actor, _, _, body in _events(home, "proof-exported")] == [
        ("auditor@example", {"number": 14})
    ]
    assert 400 <= client.post("/exchanges/1/dossier", data=CSRF).status_code < 500


# ---------------------------------------------------------------- what strangers write


def test_what_partners_write_is_text_on_every_page(hostile):
    """Subjects, names, ids, keys, file names, headers and letters are shown as they are written, and obeyed nowhere."""
    client = hostile(Role.OPERATOR)
    places = [f"/exchanges/{number}{view}" for number in (26, 27, 28) for view in VIEWS]
    places += ["/exchanges", "/exchanges?tab=mails", "/mails/26", "/mails/27", "/quarantine", "/quarantine/28"]
    places += ["/quarantine/m27", "/documents", "/documents?key=%3Cb%3EPO*", "/acknowledgments"]
    places += ["/exchanges?q=%3Cscript%3Ealert(1)%3C/script%3E", "/documents?key=%22%3E%3Cscript%3E&partner=%3Ci%3E"]
    for address in places:
        text = client.get(address).text
        assert "<script>alert" not in text, address
        assert "<img src=x" not in text, address
        assert "<b>PO</b>" not in text, address
        assert text.count("<script") == 1, address  # ours
        assert not re.search(r"\son\w+=|javascript:|\sstyle=", re.sub(r"&\w+;[^<]*", "", text)), address
    story = _words(client.get("/exchanges/26").text)
    assert "<script>alert(1)</script> order" in story
    assert "><img src=x onerror=alert(1)>.edi" in story
    assert "<b>PO</b>&\"'" in story
    letter = _words(client.get("/mails/26").text)
    assert "Hello <script>alert(1)</script>" in letter


def test_what_partners_write_turns_no_direction_and_stretches_no_page(home, browser):
    """An override of the direction shows fdp.exe where exe.pdf stands; a key may have thousands of characters."""
    turned, key = "\u202eexe.pdf\u2066\x9b31m", "K" * 5_000
    with open_app(home) as app, app.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE exchange SET subject = ?, file_name = ?, control_number = ?", (turned,) * 3)
        connection.exec_driver_sql("UPDATE message SET subject = ?", (turned,))
        connection.exec_driver_sql("UPDATE business_key SET value = ?", (f"{turned}{key}",))
        (number,) = connection.exec_driver_sql("SELECT exchange FROM business_key LIMIT 1").one()
        (mail,) = connection.exec_driver_sql("SELECT message FROM exchange WHERE id = ?", (number,)).one()
    client = browser(Role.OPERATOR)
    exchange = (f"/exchanges/{number}", f"/mails/{mail}")
    for address in (
        *exchange,
        "/",
        "/exchanges",
        "/partners/acme",
        "/partners/acme/checklist",
        "/nights/1",
        "/quarantine",
    ):
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert not set("\u202e\u2066\x9b") & set(answer.text), address
        if address not in exchange:  # which tell all of it, once
            assert key not in re.sub(r'"[^"]*"', "", answer.text), address
