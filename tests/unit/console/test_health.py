"""What watches over the gateway asks: alive, ready, figures; and who is told the reasons."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from gateway.console.build import build
from gateway.console.door import Entrance
from gateway.console.keeper import Keeper
from gateway.console.site import Site
from gateway.ledger import api_tokens
from gateway.settings import ConsoleSettings

LOCAL = "127.0.0.1"


@pytest.fixture
def site(home):
    site = Site(home)
    yield site
    site.close()


@pytest.fixture
def opened(site):
    keeper = Keeper(site)
    clients = []

    def open_(peer=LOCAL, **settings):
        app = build(site, keeper, (), Entrance.of(ConsoleSettings(**settings), 1_000_000))
        clients.append(TestClient(app, base_url="http://127.0.0.1:8025", client=(peer, 5)))
        return clients[-1]

    yield open_
    for each in clients:
        each.close()
    keeper.close()


def token(site, *scopes):
    return site.app.ledger.write(lambda recorder: api_tokens.add(recorder, f"t-{'-'.join(scopes)}", scopes))


def bearer(value):
    return {"authorization": f"Bearer {value}"}


def test_whoever_asks_is_told_that_the_process_lives(opened):
    """Under any name, since load balancers use their own."""
    for headers in ({}, {"host": "10.2.3.4:8025"}, {"host": "lb.internal"}):
        answer = opened("203.0.113.7").get("/healthz", headers=headers)
        assert (answer.status_code, answer.text) == (200, "ok\n")


def test_a_home_that_works_is_ready_and_says_why(opened, site):
    answer = opened().get("/readyz")
    assert answer.status_code == 200
    body = answer.json()
    assert body["ready"] is True
    assert [each["name"] for each in body["checks"]] == ["database", "batch"]
    assert all(each["ok"] for each in body["checks"])


def test_a_batch_that_is_long_ago_is_not_ready(home, site, opened):
    """A day and an hour, or what gateway.toml says."""
    real = site.clock
    site.clock = lambda: real() + 2 * 86_400_000
    body = opened().get("/readyz").json()
    assert body["ready"] is False
    assert "1 d 1 h at most are expected" in body["checks"][1]["reason"]
    assert opened().get("/readyz").status_code == 503
    file = home / "gateway.toml"
    file.write_text(file.read_text().replace("[gateway]", '[gateway]\nbatch_expected = "10d"', 1))
    assert opened().get("/readyz").status_code == 200


def test_a_database_that_is_behind_or_gone_is_not_ready(home, site, opened):
    """What is wrong is the fault's own sentence."""
    with site.app.home_engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0009'"))
    answer = opened().get("/readyz")
    assert answer.status_code == 503
    assert "database.migrations-behind" in answer.json()["checks"][0]["reason"]
    (home / "gateway.toml").unlink()
    assert "home.missing" in opened().get("/readyz").json()["checks"][-1]["reason"]


def test_settings_that_cannot_be_read_are_not_ready(home, opened):
    """The console goes on by what they said before, but batches do not."""
    assert opened().get("/readyz").status_code == 200
    file = home / "gateway.toml"
    good = file.read_text()
    file.write_text(f"{good}\n[[broken\n")
    answer = opened().get("/readyz")
    assert answer.status_code == 503
    assert [each["name"] for each in answer.json()["checks"] if not each["ok"]] == ["settings"]
    file.write_text(good)
    assert opened().get("/readyz").status_code == 200


def test_reasons_and_figures_are_for_this_machine_or_a_token(opened, site):
    """Others are told yes or no; a proxy makes everybody look like this machine, so that then nobody is."""
    good, other = token(site, "metrics"), token(site, "search")
    far, behind = opened("203.0.113.7"), opened(public_url="https://edi.example.com")
    for client in (far, behind):
        assert client.get("/readyz").json() == {"ready": True}
        assert client.get("/readyz", headers=bearer(other)).json() == {"ready": True}
        assert "checks" in client.get("/readyz", headers=bearer(good)).json()
        refused = client.get("/metrics")
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert client.get("/metrics", headers=bearer(other)).status_code == 403
        assert client.get("/metrics", headers=bearer(good)).status_code == 200
    assert opened().get("/metrics").status_code == 200
    assert opened().get("/metrics", headers={"x-forwarded-for": "203.0.113.7"}).status_code == 401


def test_the_figures_are_what_a_batch_writes_into_its_file(opened):
    """Each line is a comment or a sample that Prometheus can read."""
    answer = opened().get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    names = {line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")}
    assert {"gateway_info"} < names
    assert all(line.startswith(("# HELP ", "# TYPE ", "gateway_")) for line in lines)
