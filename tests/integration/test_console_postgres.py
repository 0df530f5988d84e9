"""The console and the API over a ledger on PostgreSQL: people sign in, every page comes, programs submit and find."""

from __future__ import annotations

import re

import pytest
from builders.shared_home import SharedHome
from builders.stage import WHEN
from starlette.testclient import TestClient

from gateway.app import open_app
from gateway.console.build import build
from gateway.console.keeper import Keeper
from gateway.console.pages import PAGES
from gateway.console.site import Site
from gateway.demo.documents import bare, invoice
from gateway.flow.night import night
from gateway.ledger import api_tokens, passwords, users
from gateway.ledger.api_tokens import SCOPES
from gateway.mail.host import MailHost

pytestmark = pytest.mark.integration

PASSWORD = "correct horse battery staple"


@pytest.fixture
def home(postgres, migrated_template, tmp_path):
    """A home with a batch of orders, one of them of a stranger's number."""
    with MailHost({"edi@acme.example": "x", "edi@globex.example": "x"}) as host:
        shared = SharedHome(tmp_path, postgres.fresh_database(migrated_template), host)
        for number in range(1, 6):
            shared.order(number, "acme" if number % 2 else "globex")
        shared.order(3, again=True)
        with open_app(shared.path, lock=True) as app:
            night(app.context)
            app.ledger.write(
                lambda recorder: users.add(recorder, "ada", "administrator", password=passwords.encoded(PASSWORD))
            )
        yield shared.path


@pytest.fixture
def site(home):
    site = Site(home)
    yield site
    site.close()


@pytest.fixture
def client(site):
    keeper = Keeper(site)
    with TestClient(build(site, keeper, PAGES), follow_redirects=False) as client:
        yield client
    keeper.close()


def test_somebody_signs_in_and_every_page_comes(client):
    """Each page that has an address of its own, and each that these lead to, as deep as two links."""
    for _ in range(3):
        assert client.post("/sign-in", data={"name": "ada", "password": "wrong"}).status_code == 403
    assert client.post("/sign-in", data={"name": "ada", "password": PASSWORD}).status_code == 303
    seen, waiting = {}, [("/", 0), ("/account", 0), ("/alerts", 0), ("/reports", 0), ("/ledger/changes", 0)]
    while waiting and len(seen) < 150:
        path, depth = waiting.pop(0)
        if path in seen:
            continue
        answer = client.get(path)
        seen[path] = answer.status_code
        if depth < 2 and answer.headers.get("content-type", "").startswith("text/html"):
            found = re.findall(r'<a [^>]*href="(/[^"#]*)', answer.text)
            waiting += [(each.replace("&amp;", "&"), depth + 1) for each in found if not each.startswith("/api")]
    assert len(seen) > 40
    assert {path: status for path, status in seen.items() if status not in {200, 303}} == {}


def test_programs_submit_find_and_are_watched_over(client, site):
    token = site.app.ledger.write(lambda recorder: api_tokens.add(recorder, "erp", SCOPES, lasts=60_000))
    client.headers["authorization"] = f"Bearer {token}"
    root = "/api/v1"
    document = bare(invoice("I77I", "PO-1", WHEN))
    key = {"Idempotency-Key": "I77I"}
    first = client.post(f"{root}/documents?partner=acme", content=document, headers=key)
    assert first.status_code == 201, first.text
    again = client.post(f"{root}/documents?partner=acme", content=document, headers=key)
    assert (again.status_code, again.json()["exchanges"]) == (200, first.json()["exchanges"])
    [number] = first.json()["exchanges"]
    assert client.get(f"{root}/exchanges/{number}").json()["state"] == "ready"
    assert client.get(f"{root}/exchanges", params={"q": "partner=acme direction=in"}).json()["exchanges"]
    cancelled = client.post(f"{root}/exchanges/{number}/cancel", json={"why": "a mistake"})
    assert (cancelled.status_code, cancelled.json()["done"]) == (200, True)
    for path in ("/status", "/partners", "/partners/acme/profile", "/reports/volumes", "/mails"):
        assert client.get(root + path).status_code == 200, path
    body = client.get("/readyz").json()
    assert body["ready"] is True, body
    assert "gateway_info" in client.get("/metrics").text
