"""[oauth.NAME] and the ways to log in: what the settings fill in, and what they refuse."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from gateway.errors import SettingsInvalid
from gateway.settings import parse_settings

PAGE = (Path(__file__).resolve().parents[3] / "docs/oauth.md").read_text(encoding="utf-8")
BASE = '[gateway]\nname = "Us"\ndomain = "example.com"\nidentities = ["ZZ:US"]\n'
BOX = '[mailbox.a]\nhost = "pop.example.com"\nuser = "edi@example.com"\n'
TABLE = '[oauth.x]\nclient_id = "c"\ntoken_url = "https://login.example.com/token"\n'
ENTRA = "https://login.microsoftonline.com"


def parsed(text):
    return parse_settings((BASE + text).encode(), home=Path("/srv/edi"))


def refused(text):
    with pytest.raises(SettingsInvalid) as caught:
        parsed(text)
    return caught.value.details["key"], str(caught.value)


def test_the_pages_examples_are_right():
    examples = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(examples) == 5
    for each in examples:
        text = re.sub(r"^ {3}", "", each, flags=re.MULTILINE)
        settings = parsed(text)
        assert len(settings.oauth) == 1


def test_microsoft_fills_in_its_endpoints_and_scopes():
    (app,) = parsed(
        '[oauth.m]\nprovider = "microsoft"\ngrant = "client-credentials"\ntenant = "t"\nclient_id = "c"'
    ).oauth
    assert app.token_url == f"{ENTRA}/t/oauth2/v2.0/token"
    assert app.scope == "https://outlook.office365.com/.default"
    assert (app.client_authentication, app.secret) == ("post", "oauth.m")
    (person,) = parsed('[oauth.m]\nprovider = "microsoft"\nclient_id = "c"').oauth
    assert person.device_url == f"{ENTRA}/organizations/oauth2/v2.0/devicecode"
    assert "offline_access" in person.scope.split()
    assert (person.client_authentication, person.secret) == ("none", "")


def test_google_fills_in_its_endpoints_and_scope():
    (person,) = parsed('[oauth.g]\nprovider = "google"\nclient_id = "c"\nsecret_expires = 2027-01-31').oauth
    assert person.scope == "https://mail.google.com/"
    assert person.device_url == ""
    assert person.authorize_url.startswith("https://accounts.google.com/")
    assert person.secret_expires == date(2027, 1, 31)


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("[oauth.x]\n", "oauth.x.client_id", "missing"),
        ('[oauth.x]\nclient_id = "c"', "oauth.x.token_url", "missing"),
        ('[oauth.x]\nclient_id = "c"\ntoken_url = "http://login.example.com"', "oauth.x.token_url", "https"),
        ('[oauth.x]\nclient_id = "c"\ntoken_url = "https://a:b@login.example.com"', "oauth.x.token_url", "https"),
        (TABLE + 'client_secret = "s"', "oauth.x.client_secret", "gateway secret set oauth.x"),
        (TABLE + 'secret_expires = "2027-01-31"', "oauth.x.secret_expires", "without quotes"),
        (TABLE + 'grant = "password"', "oauth.x.grant", "client-credentials"),
        (TABLE + 'tenant = "t"', "oauth.x.tenant", "microsoft"),
        (
            TABLE + 'grant = "client-credentials"\nclient_authentication = "none"',
            "oauth.x.client_authentication",
            "needs",
        ),
        (TABLE + 'client_authentication = "none"\nsecret = "s"', "oauth.x.secret", "no secret"),
        (TABLE + 'grant = "service-account"', "oauth.x.subject", "missing"),
        (TABLE + "scope = []", "oauth.x.scope", "at least one"),
        (
            '[oauth.x]\nprovider = "google"\ngrant = "client-credentials"\nclient_id = "c"',
            "oauth.x.grant",
            "google has",
        ),
        (
            '[oauth.x]\nprovider = "microsoft"\ngrant = "client-credentials"\nclient_id = "c"',
            "oauth.x.tenant",
            "missing",
        ),
        ('[oauth.x]\nprovider = "microsoft"\ntenant = "a/b"\nclient_id = "c"', "oauth.x.tenant", "id or a domain"),
        ("[oauth]\nx = 1", "oauth", "table of its own"),
        (BOX + 'oauth = "y"\n' + TABLE, "mailbox.a.oauth", "no table [oauth.y]"),
        (BOX + 'oauth = "x"\nauth = "plain"\n' + TABLE, "mailbox.a.auth", "with oauth"),
        (BOX + 'auth = "xoauth2"\n', "mailbox.a.auth", "needs a token"),
        (BOX + 'tls_minimum = "1.4"\n', "mailbox.a.tls_minimum", "1.0 or 1.1 or 1.2 or 1.3"),
        (BOX + 'protocol = "imap"\nauth = "apop"\n', "mailbox.a.auth", "POP3"),
        ('[smtp]\nhost = "h"\nsender = "a@example.com"\noauth = "x"\n' + TABLE, "smtp.user", "missing"),
        (BOX + 'security = "none"\nauth = "plain"\n', "mailbox.a.security", "unencrypted"),
    ],
)
def test_what_does_not_fit_is_named(text, key, words):
    found, said = refused(text)
    assert found == key
    assert words in said


@pytest.mark.parametrize("way", ["scram-sha-256", "scram-sha-1", "cram-md5", "apop"])
def test_a_way_that_keeps_the_password_needs_no_tls(way):
    (box,) = parsed(f'{BOX}security = "none"\nauth = "{way}"\n').mailboxes
    assert (box.auth, box.plaintext_password) == (way, False)
