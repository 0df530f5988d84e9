"""Quarantine: what it is, why, whose side, what mends it; several decided on at once."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest
from click.testing import CliRunner

from gateway.app import open_app
from gateway.cli.main import root
from gateway.console.people import Role
from gateway.ledger.attention import attention
from gateway.ledger.query import Query
from gateway.ledger.search import search, search_messages

CSRF = {"csrf": "form-secret-of-somebody"}


def _words(text):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def _state(home, reference):
    table, number = ("message", reference[1:]) if reference.startswith("m") else ("exchange", reference)
    with open_app(home) as app, app.ledger.reading() as connection:
        return connection.exec_driver_sql(f"SELECT state FROM {table} WHERE id = {number}").scalar()


def test_each_thing_says_why_it_is_there_and_whose_side_it_is_on(browser):
    """The stranger's order with what most probably mends it, and the damaged mail."""
    words = _words(browser(Role.OPERATOR).get("/quarantine").text)
    assert "No trading partner has the address sales@stranger.example. On the side of: partner. sender.unknown" in words
    assert "sales@stranger.example claims to speak for ACME Retail (it names ZZ:ACMERETAIL)" in words
    assert "the base64 is broken after 0 bytes" in words
    assert "Interchanges 1" in words
    assert "Mails that no interchange speaks for 1" in words


def test_the_command_line_lists_all_of_it_however_much_else_needs_a_person(home, monkeypatch):
    """It is told out of all that needs a person, of which a usual question takes the first thousand."""
    monkeypatch.setattr(attention, "__defaults__", (1, ""))
    outcome = CliRunner().invoke(root, ["--home", str(home), "quarantine", "list", "--json"])
    listed = {json.loads(line)["reference"] for line in outcome.stdout.splitlines()}
    with open_app(home) as app:
        waiting = Query(state="quarantined", limit=None)
        exchanges, mails = search(app.engine, waiting), search_messages(app.engine, waiting)
    assert listed == {str(each.id) for each in exchanges} | {f"m{each.id}" for each in mails}
    assert len(listed) > 1


def test_what_mends_it_is_a_link_for_who_may_do_it(browser):
    """An administrator changes the profile; an operator is told whose it is."""
    link = "/partners/acme/edit?address=sales%40stranger.example"
    assert f'href="{link}"' in browser(Role.ADMINISTRATOR).get("/quarantine").text
    text = browser(Role.OPERATOR).get("/quarantine").text
    assert link not in text
    assert "(Add it to acme: for the administrator)" in text


def test_the_list_is_narrowed_by_cause_and_partner(browser):
    """One code, one partner, and none of both."""
    client = browser(Role.VIEWER)
    text = client.get("/quarantine?code=content.damaged").text
    assert re.findall(r'href="/quarantine/([^"]+)"', text) == ["m5"]
    assert "None." in client.get("/quarantine?code=content.damaged&partner=globex").text
    assert 400 <= client.get("/quarantine", params={"code": "x\0"}).status_code < 500


def test_very_many_are_paged(browser, monkeypatch):
    """More than a page leads to a list of its own, page by page."""
    from gateway.console.pages import quarantine

    client = browser(Role.VIEWER)
    monkeypatch.setattr(quarantine, "PAGE", 1)
    monkeypatch.setattr(quarantine, "_HELD", ("quarantined", "conflict", "duplicate"))
    text = client.get("/quarantine").text
    assert 'href="/quarantine?only=interchanges"' in text
    text = client.get("/quarantine?only=interchanges").text
    first = re.findall(r'href="/quarantine/(\d+)"', text)
    following = unescape(re.search(r'<a rel="next" href="([^"]+)"', text)[1])
    second = re.findall(r'href="/quarantine/(\d+)"', client.get(following).text)
    assert (first, second) == (["25"], ["13"])
    assert 400 <= client.get("/quarantine?only=mails&before=nonsense").status_code < 500


def test_one_of_them_is_previewed(browser):
    """Its reason, its advice, its first segments, its mail, and the acts that are possible."""
    client = browser(Role.OPERATOR)
    text = client.get("/quarantine/13").text
    words = _words(text)
    assert "Why it is here No trading partner has the address sales@stranger.example." in words
    assert "What to do Add the address to a profile" in words
    assert "BEG" in words
    assert "Please find our EDI attached." in words
    assert set(re.findall(r"/exchanges/13/acts/([\w-]+)", text)) == {"release", "discard", "replay"}
    assert "the base64 is broken" in _words(client.get("/quarantine/m5").text)


def test_what_is_no_x12_beside_a_good_file_is_listed_by_its_name_and_previewed(hostile):
    """The list, the page of one with its acts, the exchange that it is, its bytes, and the page of its mail."""
    client = hostile(Role.OPERATOR)
    text = client.get("/quarantine?code=payload.not-x12").text
    (number,) = set(re.findall(r'href="/quarantine/(\d+)"', text))
    name = '"><img src=x onerror=alert(1)>.edi'
    assert name in unescape(text)
    assert "is not X12: it is EDIFACT (its first bytes: 'UNB+UNOA'). On the side of: partner." in _words(text)
    text = client.get(f"/quarantine/{number}").text
    assert "send it again as whole X12" in _words(text)
    assert set(re.findall(rf"/exchanges/{number}/acts/([\w-]+)", text)) == {"release", "discard", "replay"}
    for page in ("", "/segments", "/raw", "/answers", "/mail", "/evidence"):
        assert client.get(f"/exchanges/{number}{page}").status_code in {200, 404}, page
    assert name in unescape(client.get("/").text)
    (mail,) = set(re.findall(r'href="/quarantine/(m\d+)"', client.get("/quarantine").text)) or {""}
    links = re.findall(r'<li><a href="/exchanges/\d+">([^<]*)</a>', client.get(f"/quarantine/{mail}").text)
    assert all(each.strip() for each in links)


@pytest.mark.parametrize("reference", ["m999", "999", "x", "m", "m99999999999999999999", "1e3", "%3Cb%3E"])
def test_what_is_not_there_is_said_so(browser, reference):
    """No page of something that nobody has."""
    answer = browser(Role.VIEWER).get(f"/quarantine/{reference}")
    assert 400 <= answer.status_code < 500
    assert "There is no" in answer.text


def test_what_was_decided_is_told_to_be_so(browser):
    """A delivered order is not in quarantine, and nothing is offered for it but to replay it."""
    text = browser(Role.OPERATOR).get("/quarantine/1").text
    assert "It is not in quarantine any more." in text
    assert set(re.findall(r"/exchanges/1/acts/([\w-]+)", text)) == {"replay"}


def test_several_are_tried_and_then_released_at_once(browser, home):
    """First what would happen, then it happens, with one reason for all."""
    client = browser(Role.OPERATOR)
    form = CSRF | {"pick-13": "yes", "pick-m5": "yes", "verb": "release", "why": "they are theirs"}
    tried = client.post("/quarantine/acts", data=form | {"step": "try"})
    assert _words(tried.text).count("is processed again by the next batch") == 2
    assert "Nothing was changed yet." in tried.text
    assert (_state(home, "m5"), _state(home, "13")) == ("quarantined", "quarantined")
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', tried.text.split("<table")[1]))
    done = client.post("/quarantine/acts", data=hidden | {"step": "do"})
    assert "Release: 2 of 2 done" in _words(done.text)
    with open_app(home) as app, app.ledger.reading() as connection:
        stranger = connection.exec_driver_sql("SELECT message FROM exchange WHERE id = 13").scalar()
        assert (_state(home, "m5"), _state(home, f"m{stranger}")) == ("stored", "stored")
        told = connection.exec_driver_sql("SELECT actor, body FROM event WHERE kind = 'released'").all()
    assert [tuple(each) for each in told] == [("operator@example", '{"reason":"they are theirs"}')] * 2


def test_what_cannot_be_done_does_not_stop_the_others(browser, home):
    """The delivered order is refused with the reason, the damaged mail is discarded."""
    form = CSRF | {"pick-1": "yes", "pick-zz": "yes", "pick-m5": "yes", "verb": "discard", "why": "junk", "step": "do"}
    form["seen"] = "yes"
    answer = browser(Role.OPERATOR).post("/quarantine/acts", data=form)
    words = _words(answer.text)
    assert "Discard: 1 of 3 done" in words
    assert "not done: exchange 1 is delivered: only a quarantined one can be discarded" in words
    assert "There is no exchange or message zz" in words
    assert (_state(home, "m5"), _state(home, "1")) == ("discarded", "delivered")


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"verb": "release", "why": "x"}, "0 were picked"),
        ({"pick-m5": "yes", "why": "x"}, "Choose what is to be done"),
        ({"pick-m5": "yes", "verb": "resend", "why": "x"}, "Choose what is to be done"),
        ({"pick-m5": "yes", "verb": "release"}, "Say why"),
        ({f"pick-{number}": "yes" for number in range(501)} | {"verb": "release", "why": "x"}, "501 were picked"),
    ],
)
def test_an_unfinished_form_changes_nothing(browser, home, form, said):
    """What is missing is said."""
    answer = browser(Role.OPERATOR).post("/quarantine/acts", data=CSRF | form | {"step": "do"})
    assert 400 <= answer.status_code < 500
    assert said in answer.text
    assert _state(home, "m5") == "quarantined"
