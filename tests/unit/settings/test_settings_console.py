"""[console] and [console.oidc]: what is read, and what would be dangerous or cannot work."""

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.errors import SettingsInvalid
from gateway.settings import ConsoleSettings, parse_settings, template_settings
from gateway.settings.console import own_url

HOME = Path("/srv/edi")
GATEWAY = '[gateway]\nname = "Ours"\ndomain = "edi.ours.example"\nidentities = ["ZZ:OURCO"]\n'
OIDC = """
[console]
public_url = "https://edi.example.com"
[console.oidc]
issuer = "https://id.example.com/realm"
client_id = "edi"
roles = { "edi operators" = "operator" }
"""


def console(text):
    return parse_settings((GATEWAY + text).encode(), home=HOME).console


def test_without_the_table_there_is_no_console_and_with_it_this_machine_alone():
    assert console("") is None
    assert console("[console]") == ConsoleSettings()
    assert own_url(ConsoleSettings()) == "http://127.0.0.1:8025"


def test_everything_that_can_be_written_is_read():
    found = console(
        """
[console]
listen = "[::1]:9000"
public_url = "https://edi.example.com:8443"
certificate = "tls/cert.pem"
key = "/etc/tls/key.pem"
trusted_proxies = ["127.0.0.1", "10.0.0.0/8", "::1"]
session = "10m"
session_longest = "8h"
api_rate = 60
"""
    )
    assert found.listen == ("::1", 9000)
    assert (found.certificate, found.key) == (HOME / "tls/cert.pem", Path("/etc/tls/key.pem"))
    assert found.trusted_proxies == ("127.0.0.1/32", "10.0.0.0/8", "::1/128")
    assert (found.session, found.session_longest) == (timedelta(minutes=10), timedelta(hours=8))
    assert own_url(found) == "https://edi.example.com:8443"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ('listen = "[::1]:9000"', "http://[::1]:9000"),
        ('listen = "localhost:9000"', "http://localhost:9000"),
        ('listen = "127.0.0.1:443"\ncertificate = "c"\nkey = "k"', "https://127.0.0.1:443"),
        ('listen = "0.0.0.0:8025"\npublic_url = "https://edi.example.com/"', "https://edi.example.com"),
    ],
)
def test_the_address_that_people_open(text, url):
    assert own_url(console(f"[console]\n{text}")) == url


def test_a_provider_is_read_with_its_defaults():
    oidc = console(OIDC).oidc
    assert (oidc.issuer, oidc.client_id, oidc.secret) == ("https://id.example.com/realm", "edi", "console.oidc")
    assert (oidc.roles, oidc.scope) == ((("edi operators", "operator"),), "openid profile email")
    assert (oidc.name_claim, oidc.role_claim) == ("preferred_username", "groups")


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ('[console]\nlisten = "0.0.0.0:8025"', "console.listen", "in the clear"),
        (
            '[console]\nlisten = "192.0.2.1:8025"\npublic_url = "http://localhost:8025"',
            "console.listen",
            "in the clear",
        ),
        ('[console]\nlisten = "edi.example.com:8025"', "console.listen", "in the clear"),
        ('[console]\nlisten = "127.0.0.1"', "console.listen", "an address and a port"),
        ('[console]\nlisten = "127.0.0.1:0"', "console.listen", "an address and a port"),
        ('[console]\nlisten = "127.0.0.1:99999"', "console.listen", "an address and a port"),
        ('[console]\nlisten = "::1:8025"', "console.listen", "in brackets"),
        ("[console]\nlisten = 8025", "console.listen", "text in quotes"),
        (
            '[console]\nlisten = "0.0.0.0:443"\ncertificate = "c"\nkey = "k"',
            "console.public_url",
            "no other is answered",
        ),
        ('[console]\npublic_url = "http://edi.example.com"', "console.public_url", "https"),
        ('[console]\npublic_url = "https://edi.example.com/console"', "console.public_url", "no path"),
        ('[console]\npublic_url = "https://user:pw@edi.example.com"', "console.public_url", "without a password"),
        ('[console]\ncertificate = "c.pem"', "console.key", "belong together"),
        ('[console]\nkey = "k.pem"', "console.certificate", "belong together"),
        (
            '[console]\ncertificate = "c"\nkey = "k"\npublic_url = "http://localhost:8025"',
            "console.public_url",
            "begins with https",
        ),
        ('[console]\nsession = "13h"', "console.session", "longer than session_longest"),
        ('[console]\nsession = "10s"', "console.session", "at least 1m"),
        ('[console]\ntrusted_proxies = "127.0.0.1"', "console.trusted_proxies", "a list"),
        ('[console]\ntrusted_proxies = ["proxy.example"]', "console.trusted_proxies", "addresses and networks"),
        ("[console]\napi_rate = 0", "console.api_rate", "whole number"),
        ("[console]\nport = 80", "console.port", "unknown key"),
        ('[console]\npassword = "x"', "console.password", "passwords never stand in this file"),
        ("console = 5", "console", "a table is wanted"),
        ("[console]\noidc = 5", "console.oidc", "a table is wanted"),
        (OIDC.replace('public_url = "https://edi.example.com"', ""), "console.public_url", "sends people back there"),
        (OIDC.replace('client_id = "edi"', ""), "console.oidc.client_id", "the key is missing"),
        (OIDC.replace("issuer =", "scope ="), "console.oidc.issuer", "the key is missing"),
        (OIDC.replace("https://id", "http://id"), "console.oidc.issuer", "https"),
        (OIDC.replace('"operator" }', '"king" }'), "console.oidc.roles", "stands for one of viewer, auditor"),
        (OIDC.replace('{ "edi operators" = "operator" }', "{}"), "console.oidc.roles", "a table such as"),
        (OIDC + 'client_secret = "x"', "console.oidc.client_secret", "passwords never stand in this file"),
        (OIDC + 'realm = "x"', "console.oidc.realm", "unknown key"),
        ('["console.oidc"]\nissuer = "https://id.example.com"', "console.oidc", "unknown table"),
    ],
)
def test_what_would_be_dangerous_or_cannot_work_is_refused_at_its_line(text, key, reason):
    """The fault names the key."""
    whole = GATEWAY + text if not text.startswith("console =") else f"{text}\n{GATEWAY}"
    with pytest.raises(SettingsInvalid) as caught:
        parse_settings(whole.encode(), home=HOME)
    assert caught.value.details["key"] == key
    assert reason in str(caught.value)


def test_the_file_of_a_new_home_shows_how():
    """Without its comment signs the example is right."""
    text = template_settings("Ours", "edi.ours.example", "ZZ:OURCO")
    example = text.partition("# [console]")[2].partition("\n\n")[0]
    lines = "\n".join(line.removeprefix("# ") for line in example.splitlines())
    found = console(f"[console]{lines}")
    assert found.public_url == "https://edi.example.com"
    assert found.trusted_proxies == ("127.0.0.1/32",)
