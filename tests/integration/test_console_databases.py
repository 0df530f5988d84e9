"""The console's pages about exchanges on SQLite and on PostgreSQL: every link on them answers, and acts are kept."""

from __future__ import annotations

import re
from html import unescape

import pytest
from builders.stage import HOUR, OURS, WHEN, Stage, acknowledgment, invoice, orders
from starlette.testclient import TestClient

from gateway.console.build import build
from gateway.console.pages import PAGES
from gateway.console.people import Role, Somebody, User
from gateway.console.site import Site
from gateway.demo import documents
from gateway.flow.submit import submit

pytestmark = pytest.mark.integration

_SETTINGS = """
[gateway]
name = "Example Co"
domain = "us.example"
identities = ["{ours}"]

[database]
url = '{url}'
"""
_MINE = re.compile(r"/(exchanges|mails|documents|acknowledgments|quarantine)([/?].*)?")


@pytest.fixture
def client(ledger_engine, tmp_path, monkeypatch):
    """An operator's browser over a home with a little of everything."""
    stage = Stage(tmp_path, engine=ledger_engine)
    good, bad = documents.order("PO-1", WHEN), documents.order("PO-2", WHEN, 2, quantity="A DOZEN")
    stage.mail(orders(1, good, bad))
    stage.mail(orders(2), sender="who@stranger.example")
    stage.mail(b"no EDI at all")
    for number in (1, 2):
        submit(stage.context(), "acme", invoice(f"INV-{number}"))
    stage.run()
    sent = {row["control_number"] for row in stage.rows("functional_group") if row["functional_id"] == "IN"}
    stage.mail(acknowledgment(3, int(min(sent)), "R"))
    stage.now += HOUR
    stage.run()
    stage.now += 100 * HOUR
    stage.run()
    monkeypatch.setenv("GATEWAY_SECRET_DATABASE", ledger_engine.url.password or "")
    url = ledger_engine.url.set(password="{password}" if ledger_engine.url.password else None)
    written = url.render_as_string(hide_password=False).replace("%7Bpassword%7D", "{password}")
    (tmp_path / "gateway.toml").write_text(_SETTINGS.format(ours=OURS, url=written))
    site = Site(tmp_path, clock=lambda: stage.now)
    with TestClient(build(site, Somebody(User("olga", Role.OPERATOR)), PAGES), follow_redirects=False) as client:
        yield client
    site.close()


def test_every_link_of_the_pages_leads_somewhere(client):
    """From the five pages on, whatever is a link to one of them answers; of filters, those of the first page."""
    todo = ["/exchanges", "/exchanges?tab=mails", "/documents", "/acknowledgments", "/quarantine"]
    seen = set(todo)
    while todo:
        address = todo.pop(0)
        answer = client.get(address)
        # What no seal covers yet cannot be proven, and what nobody acknowledged has no acknowledgment to download.
        assert answer.status_code == 200 or address.endswith("/proof.json"), (address, answer.text)
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        for link in re.findall(r'href="([^"#]+)"', answer.text):
            target = unescape(link)
            if target.startswith("?"):
                target = address.partition("?")[0] + target
            filtered = address.startswith("/exchanges?") and target.startswith("/exchanges?")
            if _MINE.fullmatch(target) and target not in seen and not filtered:
                seen.add(target)
                todo.append(target)
    assert len(seen) > 100
    for wanted in (r"/exchanges/\d+/answers", r"/exchanges/\d+/acts/resend", r"/mails/\d+", r"/quarantine/m?\d+"):
        assert any(re.fullmatch(wanted, each) for each in seen), wanted


def test_the_pages_tell_the_same_on_both_databases(client):
    """What is overdue, refused, in quarantine and missing."""
    assert '<span class="said-so bad">' in client.get("/acknowledgments").text
    assert "refused by the partner" in client.get("/exchanges?q=state%3Drefused-by-the-partner").text
    quarantine = client.get("/quarantine").text
    assert "No trading partner has the address who@stranger.example." in unescape(quarantine)
    share = client.get("/acknowledgments?tab=share").text
    assert "50.0 %" in share
    story = client.get("/documents?key=invoice%3DINV-2").text
    assert "is not acknowledged, and that is overdue" in story


def test_an_act_and_a_saved_query_are_kept_with_who_did_them(client):
    """In the name of the operator, on either database."""
    form = {"csrf": "form-secret-of-somebody"}
    page = client.get("/acknowledgments").text
    number = re.search(r'/exchanges/(\d+)/acts/acknowledge"', page)[1]
    done = client.post(
        f"/exchanges/{number}/acts/acknowledge",
        data=form | {"choice": "accepted", "why": "by telephone", "step": "do"},
    )
    assert done.status_code == 303
    story = unescape(client.get(f"/exchanges/{number}").text)
    assert "taken as accepted on a person's word: by telephone" in story
    assert "by olga" in story
    saved = client.post("/exchanges/saved", data=form | {"name": "mine", "q": "partner=acme -direction=in"})
    assert saved.status_code == 303
    assert "INV-1" in client.get("/exchanges?q=%40mine").text
