"""A gateway home on access tokens: nights over real servers, the command line, and what doctor and status tell."""

from __future__ import annotations

import io
import json
import time
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from servers.tokens import CLIENT, SECRET

from gateway.cli import main
from gateway.flow import logins as told
from gateway.settings import OAuthSettings
from gateway.settings.model import MailboxSettings

pytestmark = pytest.mark.integration

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
SETTINGS = """
[gateway]
name = "Example Co"
domain = "example.test"
identities = ["ZZ:EXAMPLECO"]

[oauth.ms]
grant = "{grant}"
client_id = "{client}"
token_url = "{token_url}"
device_url = "{device_url}"
scope = "mail"
secret_expires = {expires}

[mailbox.orders]
host = "localhost"
port = {pop3s}
user = "{us}"
oauth = "ms"
ca_file = "{ca_file}"

[smtp]
host = "localhost"
port = {smtp}
user = "{us}"
oauth = "ms"
ca_file = "{smtp_ca_file}"
"""


class Home:
    """A gateway home and somebody at its command line."""

    def __init__(self, path, capsys, monkeypatch):
        self.path = path
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def run(self, *words, code=0, stdin=""):
        self._monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as caught:
            main(["--home", str(self.path), *map(str, words)])
        out, err = self._capsys.readouterr()
        assert caught.value.code == code, out + err
        assert SECRET not in out + err
        assert "access-" not in out + err
        return out

    def settings(self, logins, us, grant="client-credentials", days=400):
        provider, dovecot, postfix = logins.provider, logins.dovecot, logins.smtp()
        (self.path / "gateway.toml").write_text(
            SETTINGS.format(
                grant=grant, client=CLIENT, token_url=provider.token_url, device_url=provider.device_url,
                expires=datetime.now(UTC).date() + timedelta(days=days), pop3s=dovecot.pop3s_port, us=us.name,
                ca_file=dovecot.ca_file, smtp=postfix.port, smtp_ca_file=postfix.ca_file,
            )
        )  # fmt: skip


@pytest.fixture
def us(logins):
    account = logins.dovecot.account()
    provider = logins.provider
    provider.user, provider.uses, provider.rotates, provider.decision = account.name, None, False, ""
    provider.asked.clear()
    return account


@pytest.fixture
def partner(logins):
    return logins.dovecot.account()


@pytest.fixture
def home(tmp_path, logins, us, partner, capsys, monkeypatch):
    made = Home(tmp_path / "edi", capsys, monkeypatch)
    made.run("init", "--name", "Example Co", "--domain", "example.test", "--identity", "ZZ:EXAMPLECO")
    made.settings(logins, us)
    made.run("secret", "set", "oauth.ms", stdin=f"{SECRET}\n")
    profile = (SAMPLES / "home" / "partners" / "birch.toml").read_text()
    (made.path / "partners" / "birch.toml").write_text(profile.replace("edi@birchretail.example", partner.name))
    made.run("partner", "apply")
    return made


def order(partner, us):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = partner.name, us.name, "EDI"
    message.set_content("attached")
    data = (SAMPLES / "interchanges" / "850_purchase_order.edi").read_bytes()
    message.add_attachment(data, maintype="application", subtype="octet-stream", filename="850.edi")
    us.put(message.as_bytes().replace(b"\n", b"\r\n"))


def wait_for(account):
    """The mails that came through Postfix."""
    deadline = time.monotonic() + 20
    while not account.waiting() and time.monotonic() < deadline:
        time.sleep(0.05)
    return account.waiting()


def test_a_night_collects_and_answers_on_one_token_and_the_next_night_reuses_it(home, logins, us, partner):
    order(partner, us)
    night = json.loads(home.run("night", "--json"))
    assert night["counts"]["documents delivered"] == 1
    assert night["troubles"] == []
    assert len(wait_for(partner)) == 1
    home.run("night")
    assert logins.provider.grants() == ["client_credentials"]


def test_a_token_that_ends_half_way_is_replaced_and_the_night_goes_on(home, logins, us, partner):
    """The provider finds each token good once: for collecting. Sending needs the next."""
    logins.provider.uses = 1
    order(partner, us)
    night = json.loads(home.run("night", "--json"))
    assert night["troubles"] == []
    assert night["counts"]["documents delivered"] == 1
    assert len(wait_for(partner)) == 1
    assert logins.provider.grants() == ["client_credentials", "client_credentials"]


def test_a_provider_that_says_no_is_trouble_and_loses_nothing(home, logins, us, partner):
    order(partner, us)
    home.run("secret", "set", "oauth.ms", stdin="another-secret-of-some-length\n")
    night = json.loads(home.run("night", "--json", code=69))
    assert "oauth.refused" in {each["code"] for each in night["troubles"]}
    assert "another-secret" not in json.dumps(night)
    assert len(us.waiting()) == 1
    assert len(logins.provider.asked) == 1
    (waits,) = json.loads(home.run("status", "--json"))["attention"]
    assert (waits["state"], waits["next"]) == ("no access", "gateway mailbox authorize ms")
    assert "invalid_client" in waits["reason"]
    home.run("secret", "set", "oauth.ms", stdin=f"{SECRET}\n")
    assert json.loads(home.run("night", "--json"))["counts"]["documents delivered"] == 1
    assert json.loads(home.run("status", "--json"))["attention"] == []


def test_authorize_by_device_shows_a_code_waits_and_keeps_the_permission_encrypted(home, logins, us):
    home.settings(logins, us, grant="refresh-token")
    night = json.loads(home.run("night", "--json", code=78))
    assert {each["code"] for each in night["troubles"]} == {"oauth.not-authorized"}
    shown = home.run("mailbox", "authorize", "ms")
    assert "WDJB-MJHT" in shown
    assert f"{logins.provider.url}/activate" in shown
    assert json.loads(home.run("night", "--json"))["troubles"] == []
    for file in home.path.rglob("*"):
        if file.is_file():
            assert logins.provider.refresh.encode() not in file.read_bytes(), file


def test_authorize_speaks_json_and_takes_the_name_of_an_account(home, logins, us):
    home.settings(logins, us, grant="refresh-token")
    for name in ("orders", "smtp"):
        code, done = (json.loads(line) for line in home.run("mailbox", "authorize", name, "--json").splitlines())
        assert (code["event"], code["code"]) == ("code", "WDJB-MJHT")
        assert done == {"event": "authorized", "name": "ms", "grant": "refresh-token"}


def test_authorize_takes_a_refresh_token_from_elsewhere_and_tries_it_first(home, logins, us):
    home.settings(logins, us, grant="refresh-token")
    home.run("mailbox", "authorize", "ms", "--refresh-token", stdin="not-the-right-one\n", code=69)
    home.run("night", code=78)
    home.run("mailbox", "authorize", "ms", "--refresh-token", code=2)
    home.run("mailbox", "authorize", "ms", "--refresh-token", stdin=f"{logins.provider.refresh}\n")
    home.run("night")


def test_a_refresh_token_that_is_replaced_each_time_lasts_from_night_to_night(home, logins, us):
    home.settings(logins, us, grant="refresh-token")
    logins.provider.rotates = True
    home.run("mailbox", "authorize", "ms")
    logins.provider.uses = 0
    first = logins.provider.refresh
    home.run("night", code=69)
    assert logins.provider.refresh != first
    logins.provider.uses = None
    home.run("night")


def test_authorize_says_no_to_a_name_that_has_no_oauth(home):
    home.run("mailbox", "authorize", "nobody", code=2)


def test_an_application_of_its_own_needs_nobody_but_can_be_tried(home, logins):
    assert "gives access tokens" in home.run("mailbox", "authorize", "ms")
    assert logins.provider.grants() == ["client_credentials"]


def test_doctor_looks_at_tokens_and_says_when_there_is_none(home, logins, us):
    assert "There is an access token" in home.run("doctor")
    home.settings(logins, us, grant="refresh-token")
    assert "gateway mailbox authorize ms" in home.run("doctor", code=78)


@pytest.mark.parametrize(("days", "warned"), [(61, False), (60, True), (7, True), (-1, True)])
def test_a_client_secret_that_ends_is_told_by_doctor_status_and_night(home, logins, us, days, warned):
    home.settings(logins, us, days=days)
    words = f"{datetime.now(UTC).date() + timedelta(days=days)}"
    assert (words in home.run("doctor", code=78 if days < 0 else 0)) == warned
    assert (words in home.run("status")) == warned
    night = json.loads(home.run("night", "--json"))
    assert any(words in each["reason"] for each in night["attention"]) == warned


def test_a_private_key_is_stored_from_a_file(home, tmp_path):
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n")
    home.run("secret", "set", "oauth.other", "--file", tmp_path / "key.pem")
    (tmp_path / "not.pem").write_bytes(b"\xff\xfe")
    home.run("secret", "set", "oauth.other", "--file", tmp_path / "not.pem", code=2)


def test_doctor_warns_of_old_tls_and_of_an_end_that_nobody_knows():
    class Settings:
        mailboxes = (MailboxSettings("a", "pop3", host="old.example", tls_minimum="1.0"), MailboxSettings("b", "pop3"))
        smtp = None

    (found,) = told.check_tls(Settings)
    assert (found.ok, found.name) == (None, "mailbox a")
    table = OAuthSettings("ms", "client-credentials", "x", "post", "https://x", provider="microsoft", secret="oauth.ms")
    (found,) = told.check_client_secrets([table], datetime.now(UTC).date())
    assert found.ok is None
    assert "secret_expires" in found.advice
