"""The pages of one's account, of users and of tokens: what they change, and what they refuse."""

from __future__ import annotations

import re

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select
from starlette.testclient import TestClient

from gateway.app import open_app
from gateway.console.build import build
from gateway.console.keeper import Keeper
from gateway.console.pages import PAGES
from gateway.console.site import Site
from gateway.ledger import api_tokens, passwords, users
from gateway.ledger.tables import api_token, event

PASSWORD = "correct horse battery staple"
OTHER = "an umbrella for the moon"


@pytest.fixture(scope="module", autouse=True)
def quick_hashes():
    """The same function with little work: what it costs is not what is asked here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        passwords._nobodys.cache_clear()
        yield
    passwords._nobodys.cache_clear()


@pytest.fixture(scope="module")
def encoded(quick_hashes):
    return passwords.encoded(PASSWORD)


@pytest.fixture
def site(home, encoded):
    with open_app(home, actor="root") as app:
        for name, role in (("ada", "administrator"), ("olga", "operator")):
            app.ledger.write(lambda recorder, n=name, r=role: users.add(recorder, n, r, password=encoded))
    site = Site(home, patience=0.2)
    yield site
    site.close()


@pytest.fixture
def keeper(site):
    keeper = Keeper(site)
    yield keeper
    keeper.close()


class Browser:
    """Somebody who has signed in."""

    def __init__(self, client, name, password=PASSWORD):
        self.client = client
        assert client.post("/sign-in", data={"name": name, "password": password}).status_code == 303

    def get(self, path):
        return self.client.get(path)

    def post(self, path, **form):
        page = self.client.get("/account").text
        return self.client.post(path, data=form | {"csrf": re.search(r'name="csrf" value="([^"]+)"', page)[1]})


@pytest.fixture
def browser(site, keeper):
    clients = []

    def opened(name, password=PASSWORD):
        clients.append(TestClient(build(site, keeper, PAGES), follow_redirects=False))
        return Browser(clients[-1], name, password)

    yield opened
    for each in clients:
        each.close()


@pytest.fixture
def ada(browser):
    return browser("ada")


def user(site, name):
    with site.app.ledger.reading() as connection:
        return users.find(connection, name)


def told(site, kind):
    with site.app.ledger.reading() as connection:
        return [
            tuple(each) for each in connection.execute(select(event.c.body, event.c.actor).where(event.c.kind == kind))
        ]


# ---------------------------------------------------------------- one's own account


def test_everybody_sees_their_own_role_and_sessions(browser):
    """Whoever comes in from elsewhere with one's password shows here."""
    browser("olga")
    page = browser("olga").get("/account").text
    assert "acts: releases, resends" in page
    assert page.count("testclient") >= 2
    assert "(this one)" in page
    assert "/users" not in page


def test_other_sessions_are_ended_by_a_button(browser, site):
    first, second = browser("olga"), browser("olga")
    done = second.post("/account/sessions")
    assert done.headers["location"] == "/account"
    assert [first.get("/account").status_code, second.get("/account").status_code] == [303, 200]
    assert '"sessions":1' in told(site, "sessions-ended")[0][0].replace(" ", "")


def test_a_password_is_changed_with_the_present_one_alone(browser, site):
    """All other sessions end, and this browser goes on with another number."""
    elsewhere, here = browser("olga"), browser("olga")
    before = here.client.cookies["console"]
    wrong = here.post("/account/password", current="wrong", new=OTHER, again=OTHER)
    assert (wrong.status_code, "present password is not right" in wrong.text) == (400, True)
    differs = here.post("/account/password", current=PASSWORD, new=OTHER, again=OTHER + "!")
    assert (differs.status_code, "typed in two ways" in differs.text) == (400, True)
    weak = here.post("/account/password", current=PASSWORD, new="olga12345678", again="olga12345678")
    assert (weak.status_code, "it is the user&#39;s name" in weak.text) == (400, True)
    assert passwords.matches(user(site, "olga").password, PASSWORD)
    done = here.post("/account/password", current=PASSWORD, new=OTHER, again=OTHER)
    assert done.headers["location"] == "/account"
    assert "You have another password" in here.get("/account").text
    assert here.client.cookies["console"] != before
    assert elsewhere.get("/account").status_code == 303
    browser("olga", OTHER)
    [(body, actor)] = told(site, "user-password")
    assert actor == "olga"
    assert OTHER not in body


def test_guessing_the_present_password_takes_longer_and_longer_too(browser):
    """A browser that was left open is no way around the pauses."""
    here = browser("olga")
    codes = [here.post("/account/password", current="no", new=OTHER, again=OTHER).status_code for _ in range(6)]
    assert codes == [400] * 5 + [429]


# ---------------------------------------------------------------- users


def test_users_and_tokens_are_for_administrators(browser):
    """An operator gets neither page nor act."""
    olga = browser("olga")
    assert [olga.get(path).status_code for path in ("/users", "/users/ada", "/tokens")] == [403] * 3
    acts = ("/users", "/users/ada/role", "/users/ada/password", "/users/ada/disable", "/users/ada/remove", "/tokens")
    assert [olga.post(path, role="viewer").status_code for path in acts] == [403] * len(acts)


def test_a_user_is_added_with_a_role_and_comes_in(ada, browser, site):
    done = ada.post("/users", name=" Vera@Example.com ", role="viewer", new=OTHER, again=OTHER)
    assert done.headers["location"] == "/users"
    assert "Added vera@example.com as viewer." in ada.get("/users").text
    vera = browser("vera@example.com", OTHER)
    assert "reads what is masked" in vera.get("/account").text
    assert ("ada" in told(site, "user-added")[-1][1], OTHER in told(site, "user-added")[-1][0]) == (True, False)
    assert ada.get("/users/vera@example.com").status_code == 200


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({"name": "olga", "role": "viewer", "new": OTHER, "again": OTHER}, 409, "There is a user olga already"),
        ({"name": "", "role": "viewer", "new": OTHER, "again": OTHER}, 400, "the name of a user has letters"),
        ({"name": "<b>x</b>", "role": "viewer", "new": OTHER, "again": OTHER}, 400, "the name of a user has letters"),
        ({"name": "gateway", "role": "viewer", "new": OTHER, "again": OTHER}, 400, "choose another name"),
        ({"name": "vera", "role": "king", "new": OTHER, "again": OTHER}, 400, "a role is viewer"),
        ({"name": "vera", "role": "viewer", "new": "short", "again": "short"}, 400, "at least 12 characters"),
        ({"name": "vera", "role": "viewer", "new": OTHER, "again": "x"}, 400, "typed in two ways"),
        ({}, 400, "the name of a user has letters"),
    ],
)
def test_a_user_who_cannot_be_is_refused_with_the_reason(ada, site, form, status, said):
    """The page comes again, and nobody was added."""
    refused = ada.post("/users", **form)
    assert (refused.status_code, said in refused.text) == (status, True)
    assert "<b>x" not in refused.text
    assert user(site, "vera") is None


def test_role_password_state_and_account_of_another_are_changed(ada, browser, site):
    """Each takes effect at once."""
    olga = browser("olga")
    assert ada.post("/users/olga/role", role="auditor").headers["location"] == "/users/olga"
    assert "raw bytes and exports" in olga.get("/account").text
    ada.post("/users/olga/password", new=OTHER, again=OTHER)
    assert olga.get("/account").status_code == 303
    olga = browser("olga", OTHER)
    ada.post("/users/olga/disable")
    assert olga.get("/account").status_code == 303
    assert "disabled" in ada.get("/users").text
    ada.post("/users/olga/enable")
    assert browser("olga", OTHER).get("/account").status_code == 200
    assert ada.post("/users/olga/remove").headers["location"] == "/users"
    assert user(site, "olga") is None
    assert ada.get("/users/olga").status_code == 404
    kinds = ("user-role", "user-password", "user-disabled", "user-enabled", "user-removed")
    assert [told(site, kind)[-1][1] for kind in kinds] == ["ada"] * 5


@pytest.mark.parametrize("what", ["role", "disable", "remove"])
def test_nobody_takes_away_their_own(ada, site, what):
    """So there is always an administrator left."""
    refused = ada.post(f"/users/ada/{what}", role="viewer")
    assert (refused.status_code, "another administrator" in refused.text) == (409, True)
    assert (user(site, "ada").role, user(site, "ada").disabled_at) == ("administrator", None)


def test_users_that_are_not_there_are_said_to_be_so(ada):
    for what in ("role", "password", "disable", "enable", "remove"):
        answer = ada.post(f"/users/nobody/{what}", role="viewer", new=OTHER, again=OTHER)
        assert (answer.status_code, "There is no user nobody." in answer.text) == (404, True), what


# ---------------------------------------------------------------- tokens


def test_a_token_is_shown_once_and_only_its_hash_is_kept(ada, site):
    form = {"name": "erp", "days": "90", "partner": "globex", "scope-search": "1", "scope-submit": "1"}
    page = ada.post("/tokens", **form)
    assert page.status_code == 200
    token = re.search(r"edigw_[\w-]{43}", page.text)[0]
    assert "edigw_" not in ada.get("/tokens").text
    with site.app.ledger.reading() as connection:
        row = connection.execute(select(api_token)).one()
        known = api_tokens.find(connection, token)
    assert token not in str(row)
    assert (known.name, known.scopes, known.partner) == ("erp", ("search", "submit"), "globex")
    assert known.expires_at - known.created_at == 90 * 86_400_000
    [(body, actor)] = told(site, "token-added")
    assert (actor, token in body) == ("ada", False)


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({"name": "erp"}, 400, "a token needs scopes"),
        ({"name": "", "scope-search": "1"}, 400, "the name of a token has"),
        ({"name": "<i>", "scope-search": "1"}, 400, "the name of a token has"),
        ({"name": "erp", "scope-search": "1", "days": "-1"}, 400, "the end of a token"),
        ({"name": "erp", "scope-search": "1", "partner": "nobody"}, 404, "no trading partner named nobody"),
        ({"name": "erp", "scope-metrics": "1", "partner": "globex"}, 400, "a token of one partner cannot"),
    ],
)
def test_a_token_that_cannot_be_is_refused_with_the_reason(ada, site, form, status, said):
    refused = ada.post("/tokens", **form)
    assert (refused.status_code, said in refused.text) == (status, True)
    assert "<i>" not in refused.text
    with site.app.ledger.reading() as connection:
        assert api_tokens.every(connection) == []


def test_a_revoked_token_keeps_its_name_for_ever(ada, site):
    """What the ledger says of the old one must not be taken for a new one."""
    ada.post("/tokens", **{"name": "erp", "days": "", "scope-search": "1"})
    assert ada.post("/tokens/erp/revoke", why="lost").headers["location"] == "/tokens"
    assert "revoked" in ada.get("/tokens").text
    again = ada.post("/tokens", **{"name": "erp", "scope-search": "1"})
    assert (again.status_code, "There is a token erp already" in again.text) == (409, True)
    assert ada.post("/tokens/nothing/revoke").status_code == 404
    [(body, actor)] = told(site, "token-revoked")
    assert (actor, "lost" in body) == ("ada", True)
