"""Signing in through an OpenID provider: who is let in, and every lie that is seen through."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import pytest
from servers import openid
from sqlalchemy import select
from starlette.testclient import TestClient

from gateway.app import open_app
from gateway.console import oidc
from gateway.console.build import build
from gateway.console.door import Entrance
from gateway.console.keeper import Keeper
from gateway.console.people import Role
from gateway.console.routing import view
from gateway.console.site import Site
from gateway.errors import ProviderUnavailable
from gateway.ledger import passwords, users
from gateway.ledger.tables import event
from gateway.mail.oauth.http import EndpointError
from gateway.settings import OidcSettings, read_settings

BASE = "http://localhost:8025"


def _shown(visit):
    return visit.page(
        "fault.html", sentence=f"hello {visit.user.name} {visit.user.role.word}", advice="", code="", status=200
    )


@pytest.fixture
def provider():
    with openid.running() as provider:
        yield provider


@pytest.fixture
def site(home, provider):
    with (home / "gateway.toml").open("a") as file:
        file.write(
            f"""
[console]
public_url = "{BASE}"

[console.oidc]
issuer = "{provider.url}"
client_id = "{openid.CLIENT}"
roles = {{ "edi operators" = "operator", "edi auditors" = "auditor", "it" = "administrator" }}
label = "the company's account"
"""
        )
    with open_app(home, actor="root") as app:
        app.secrets.set("console.oidc", openid.SECRET, by="root", at=app.now())
    site = Site(home)
    yield site
    site.close()


@pytest.fixture
def keeper(site):
    keeper = Keeper(site)
    yield keeper
    keeper.close()


@pytest.fixture
def app(site, keeper):
    pages = (view("/", _shown), view("/exchanges", _shown), view("/rare", _shown, Role.ADMINISTRATOR))
    return build(site, keeper, pages, Entrance.of(read_settings(site.home).console, 1_000_000))


@pytest.fixture
def client(app):
    with TestClient(app, base_url=BASE, follow_redirects=False) as client:
        yield client


def go(client, provider, to="/", **changed):
    """There and back; what the browser gets in the end. ``changed``: parameters of the way back."""
    there = client.get("/sign-in/provider", params={"to": to})
    assert there.status_code == 303, there.text
    back, parameters = provider.authorized(there.headers["location"])
    parameters = {name: value for name, value in (parameters | changed).items() if value is not None}
    return client.get(back, params=parameters, headers={"sec-fetch-site": "cross-site"})


def failures(site):
    with site.app.ledger.reading() as connection:
        return [
            json.loads(each)["reason"]
            for each in connection.execute(select(event.c.body).where(event.c.kind == "sign-in-failed")).scalars()
        ]


def user(site, name):
    with site.app.ledger.reading() as connection:
        return users.find(connection, name)


# ---------------------------------------------------------------- who is let in


def test_somebody_whom_the_provider_vouches_for_comes_in_and_goes_where_they_wanted(client, provider, site):
    """They are known from then on, with the role that the provider's word stands for."""
    page = client.get("/sign-in", params={"to": "/exchanges"}).text
    assert "Sign in with the company&#39;s account" in page
    done = go(client, provider, to="/exchanges?q=1")
    assert done.status_code == 200
    assert 'content="0;url=/exchanges?q=1"' in done.text
    assert client.get("/exchanges").text.count("hello olga operator") == 1
    known = user(site, "olga")
    assert (known.issuer, known.subject, known.role) == (provider.url, provider.subject, "operator")
    cookie = next(each for each in done.headers.get_list("set-cookie") if each.startswith("console="))
    assert "SameSite=strict" in cookie
    assert "HttpOnly" in cookie


def test_what_is_asked_of_the_provider_is_a_code_with_pkce_and_nothing_that_can_be_guessed(client, provider):
    there = [client.get("/sign-in/provider").headers["location"] for _ in range(2)]
    assert there[0].startswith(f"{provider.url}/authorize?")
    first, second = (dict(each.split("=", 1) for each in one.partition("?")[2].split("&")) for one in there)
    assert (first["response_type"], first["code_challenge_method"]) == ("code", "S256")
    assert all(first[name] != second[name] for name in ("state", "nonce", "code_challenge"))
    assert len(first["state"]) >= 40
    cookie = client.get("/sign-in/provider").headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax"} <= {each.strip() for each in cookie.split(";")}
    assert first["nonce"] not in cookie, "what the browser keeps is encrypted"


def test_the_role_is_what_the_provider_says_at_each_sign_in_the_highest_of_several(client, provider, site):
    provider.groups = ["edi auditors", "it", "everybody"]
    go(client, provider)
    assert client.get("/rare").status_code == 200
    provider.groups = "edi auditors"
    go(client, provider)
    assert "hello olga auditor" in client.get("/").text
    provider.groups = ["everybody"]
    refused = go(client, provider)
    assert (refused.status_code, "nothing in its groups stands for a role here" in refused.text) == (403, True)


def test_a_person_is_known_by_the_providers_number_never_by_a_name(client, provider, site):
    """A name that was given to another person opens nothing; a person with a new name stays who they are."""
    go(client, provider)
    provider.name = "olga.new"
    go(client, provider)
    assert "hello olga operator" in client.get("/").text
    client.cookies.clear()
    provider.subject, provider.name = "999", "olga"
    refused = go(client, provider)
    assert (refused.status_code, "there is another user olga here" in refused.text) == (403, True)
    assert client.get("/").status_code == 303


def test_a_user_with_a_password_is_not_taken_over_by_the_provider(client, provider, site):
    site.app.ledger.write(
        lambda recorder: users.add(recorder, "ada", "administrator", password=passwords.encoded("a lamp for the snow"))
    )
    provider.name, provider.groups = "Ada", ["it"]
    assert go(client, provider).status_code == 403
    assert user(site, "ada").issuer == ""


def test_whom_the_provider_vouches_for_has_no_password_here(client, provider):
    go(client, provider)
    client.cookies.clear()
    for tried in ("", "x"):
        assert client.post("/sign-in", data={"name": "olga", "password": tried}).status_code == 403


def test_a_disabled_user_is_not_let_in_whatever_the_provider_says(client, provider, site):
    go(client, provider)
    site.app.ledger.write(lambda recorder: users.disable(recorder, "olga"))
    assert "is let in no more" in go(client, provider).text
    assert client.get("/").status_code == 303


def test_roles_may_stand_deeper_and_names_may_be_addresses(home, client, provider, site):
    """As Keycloak writes them."""
    file = home / "gateway.toml"
    file.write_text(
        file.read_text().replace(
            "[console.oidc]", '[console.oidc]\nname_claim = "email"\nrole_claim = "realm_access.roles"'
        )
    )
    provider.lies = {"email": "Olga@Example.com", "email_verified": True, "realm_access": {"roles": ["it"]}}
    go(client, provider)
    assert "hello olga@example.com administrator" in client.get("/").text
    for unverified in (False, "false", "False"):  # some providers write it as a text
        provider.lies["email_verified"] = unverified
        assert "has not verified" in go(client, provider).text, unverified
    for verified in ("true", None):
        provider.lies["email_verified"] = verified
        assert "One moment" in go(client, provider).text, verified


def test_a_provider_may_change_its_key(client, provider, monkeypatch):
    """An unknown key is looked for anew, but not more often than once a minute."""
    go(client, provider)
    assert provider.looked_for_keys == 1
    openid.elliptic(provider)
    assert go(client, provider).status_code == 403, "it looked a moment ago"
    real = time.monotonic
    monkeypatch.setattr(oidc.time, "monotonic", lambda: real() + 61)
    assert go(client, provider).status_code == 200
    assert provider.looked_for_keys == 2


def test_a_token_without_the_name_of_its_key_is_tried_with_all(client, provider):
    provider.shows = [openid.another_key("old"), provider.key]
    provider.kid = None
    assert go(client, provider).status_code == 200


def test_a_provider_that_takes_the_secret_in_the_form_gets_it_there(client, provider):
    provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert go(client, provider).status_code == 200
    assert provider.asked[0]["client_secret"] == openid.SECRET


# ---------------------------------------------------------------- lies


@dataclass(frozen=True)
class FromNow:
    """A moment, in seconds from the test's own: workers that collect tests at different moments name it alike."""

    seconds: int


@pytest.mark.parametrize(
    "lies",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another-application"},
        {"aud": [openid.CLIENT, "another-application"]},
        {"aud": ["another-application"]},
        {"aud": None},
        {"azp": "another-application"},
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"exp": FromNow(-3_600)},
        {"exp": None},
        {"exp": "soon"},
        {"iat": FromNow(3_600)},
        {"iat": None},
        {"nbf": FromNow(3_600)},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": ["olga"]},
        {"sub": {"of": "olga"}},
        {"nonce": []},
        {"exp": True},
        {"exp": [1]},
        {"iat": "now"},
        {"aud": {"it": openid.CLIENT}},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"preferred_username": None},
        {"preferred_username": 7},
        {"preferred_username": "<script>alert(1)</script>"},
        {"preferred_username": "gateway"},
        {"groups": None},
        {"groups": {"edi operators": True}},
    ],
    ids=lambda each: "-".join(f"{name}-{value}"[:30] for name, value in each.items()),
)
def test_a_token_that_does_not_fit_lets_nobody_in(client, provider, site, lies):
    now = int(time.time())
    lies = {name: now + value.seconds if isinstance(value, FromNow) else value for name, value in lies.items()}
    """The refusal is a page with a reason, and an event; nobody was added."""
    provider.lies = lies
    refused = go(client, provider)
    assert refused.status_code in {400, 403}, refused.text
    assert "<script>alert" not in refused.text
    assert client.get("/").status_code == 303
    assert user(site, "olga") is None
    assert len(failures(site)) == 1


@pytest.mark.parametrize("way", ["other key", "other key, unknown", "none", "hmac by the public key", "cut", "rubbish"])
def test_a_forged_signature_lets_nobody_in(client, provider, site, way, monkeypatch):
    if way == "other key":
        provider.signs_with = openid.another_key()
    elif way == "other key, unknown":
        provider.signs_with, provider.kid = openid.another_key("mine"), "mine"
    elif way == "none":
        provider.algorithm = "none"
    elif way == "hmac by the public key":
        openid.forged_by_public_key(provider)
    elif way == "cut":
        real = provider.id_token
        monkeypatch.setattr(provider, "id_token", lambda asked: real(asked).rpartition(".")[0] + ".")
    else:
        monkeypatch.setattr(provider, "id_token", lambda _: "not.a.token")
    assert go(client, provider).status_code == 403
    assert client.get("/").status_code == 303
    assert user(site, "olga") is None


@pytest.mark.parametrize(
    "changed",
    [
        {"state": "of another sign-in"},
        {"state": None},
        {"code": None},
        {"code": "of somebody else"},
        {"iss": "https://evil.example"},
        {"error": "access_denied", "error_description": "<b>no</b>"},
    ],
    ids="-".join,
)
def test_an_answer_that_is_not_of_this_sign_in_lets_nobody_in(client, provider, changed):
    refused = go(client, provider, **changed)
    assert refused.status_code == 403
    assert "<b>no" not in refused.text
    assert client.get("/").status_code == 303


def test_an_answer_in_another_browser_lets_nobody_in(app, client, provider):
    """Else somebody could sign others in under their own name."""
    there = client.get("/sign-in/provider").headers["location"]
    back, parameters = provider.authorized(there)
    with TestClient(app, base_url=BASE, follow_redirects=False) as other:
        refused = other.get(back, params=parameters)
        assert (refused.status_code, "began in another browser" in refused.text) == (403, True)
        own = other.get("/sign-in/provider").headers["location"]
        provider.authorized(own)
        assert other.get(back, params=parameters).status_code == 403
        assert other.get("/").status_code == 303


def test_a_code_counts_once(client, provider):
    there = client.get("/sign-in/provider").headers["location"]
    back, parameters = provider.authorized(there)
    assert client.get(back, params=parameters).status_code == 200
    client.cookies.delete("console")
    assert client.get(back, params=parameters).status_code == 403


def test_two_tabs_sign_in_and_neither_disturbs_the_other(client, provider):
    """As after a browser was opened anew with all of its tabs."""
    ways = [client.get("/sign-in/provider", params={"to": to}).headers["location"] for to in ("/rare", "/exchanges")]
    for way, to in zip(ways, ("/rare", "/exchanges"), strict=True):
        back, parameters = provider.authorized(way)
        done = client.get(back, params=parameters)
        assert (done.status_code, f'content="0;url={to}"' in done.text) == (200, True), done.text
    assert [each for each in client.cookies if "provider" in each] == []


def test_a_browser_keeps_few_sign_ins_that_never_came_to_their_end(client, provider):
    """Else its requests would grow until no server takes them."""
    ways = [client.get("/sign-in/provider").headers["location"] for _ in range(9)]
    assert len([each for each in client.cookies if "provider" in each]) == 4
    back, parameters = provider.authorized(ways[-1])
    assert client.get(back, params=parameters).status_code == 200


@pytest.mark.parametrize("state", ["", "x", "=;,", "a" * 7 + "\r\nSet-Cookie: x=y", "ä" * 8])
def test_an_answer_with_a_state_that_is_none_is_refused(client, provider, state):
    client.get("/sign-in/provider")
    refused = client.get("/sign-in/provider/return", params={"state": state, "code": "c"})
    assert (refused.status_code, "began in another browser" in refused.text) == (403, True)
    assert "x=y" not in refused.headers.get("set-cookie", "")


def test_a_place_elsewhere_is_not_gone_to(client, provider):
    done = go(client, provider, to="//evil.example/")
    assert 'content="0;url=/"' in done.text


# ---------------------------------------------------------------- a provider that does not work


@pytest.mark.parametrize(
    ("broken", "status", "said"),
    [
        ({"issuer": "https://evil.example"}, 403, "it calls itself https://evil.example"),
        ({"jwks_uri": None}, 403, "its description has no jwks_uri"),
        ({"token_endpoint": "http://192.0.2.1/token"}, 503, "not https"),
    ],
)
def test_a_description_that_does_not_fit_is_said(client, provider, broken, status, said):
    provider.metadata = broken
    there = client.get("/sign-in/provider")
    answer = go(client, provider) if there.status_code == 303 else there
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


def test_a_provider_that_is_away_is_no_defect(client, provider, site):
    """Those who have a password come in meanwhile."""
    back, parameters = provider.authorized(client.get("/sign-in/provider").headers["location"])
    provider.answer = (502, {})
    answer = client.get(back, params=parameters)
    assert (answer.status_code, "does not answer as it should" in answer.text) == (503, True)
    assert openid.SECRET not in answer.text
    provider.answer = (401, {"error": "invalid_client", "error_description": openid.SECRET})
    refused = go(client, provider)
    assert (refused.status_code, "invalid_client" in refused.text, openid.SECRET in refused.text) == (403, True, False)


def test_a_provider_that_does_not_answer_is_waited_for_once_in_a_while(monkeypatch):
    """Else everybody who comes waits one after the other, each as long as its timeout is."""
    moment, asked = [100.0], []
    monkeypatch.setattr(oidc.time, "monotonic", lambda: moment[0])

    def away(url):
        asked.append(url)
        raise EndpointError("it does not answer")

    settings = OidcSettings(issuer="https://id.example", client_id="x", roles=())
    away_now = oidc.Provider(settings, "https://edi.example/back", str, away, None)
    for _ in range(9):
        with pytest.raises(ProviderUnavailable, match="it does not answer"):
            away_now.address(oidc.Errand.new())
    assert len(asked) == 1
    moment[0] += 6
    with pytest.raises(ProviderUnavailable):
        away_now.address(oidc.Errand.new())
    assert len(asked) == 2


def test_without_the_table_there_is_no_such_page(home, client):
    file = home / "gateway.toml"
    file.write_text(file.read_text().partition("[console.oidc]")[0])
    assert client.get("/sign-in/provider").status_code == 404
    assert client.get("/sign-in/provider/return?code=1&state=1").status_code == 403
    assert "Sign in with" not in client.get("/sign-in").text


def test_failing_again_and_again_waits_as_with_passwords(client, provider):
    """Nobody makes us ask the provider without end."""
    codes = [go(client, provider, code="wrong").status_code for _ in range(17)]
    assert codes[:16] == [403] * 16
    assert codes[16] == 429
    assert len(provider.asked) == 16
