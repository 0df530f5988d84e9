"""Logging in to Dovecot and Postfix in every way that they offer, and whole nights on access tokens."""

from __future__ import annotations

import contextlib

import pytest
from servers.tokens import CLIENT, SECRET

from gateway.errors import InsecureConnection, LoginRefused, TokenNotTaken
from gateway.mail.imap import ImapMailbox
from gateway.mail.model import Credentials, OutgoingMail
from gateway.mail.oauth import Client, TokenClient, TokenSource
from gateway.mail.oauth.http import poster
from gateway.mail.pop3 import Pop3Mailbox
from gateway.mail.smtp import SmtpTransport

pytestmark = pytest.mark.integration

RAW = b"From: a@example.test\r\nSubject: hello\r\n\r\nbody\r\n"
PASSWORD_MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]
TOKEN_MECHANISMS = ["XOAUTH2", "OAUTHBEARER"]


class Forgetful:
    """A vault that keeps nothing past this process."""

    def __init__(self):
        self.text = None
        self.alone = contextlib.nullcontext

    def load(self):
        return self.text

    def save(self, text):
        self.text = text


def pop3(logins, credentials, **changes):
    server = logins.dovecot
    settings = {
        "name": "pop", "host": server.host, "port": server.pop3_port, "security": "starttls",
        "credentials": credentials, "ca_file": str(server.ca_file), "timeout": 20.0,
    }  # fmt: skip
    return Pop3Mailbox(**settings | changes)


def imap(logins, credentials, **changes):
    server = logins.dovecot
    settings = {
        "name": "imap", "host": server.host, "port": server.imap_port, "security": "starttls",
        "credentials": credentials, "ca_file": str(server.ca_file), "timeout": 20.0,
    }  # fmt: skip
    return ImapMailbox(**settings | changes)


def smtp(logins, credentials, **changes):
    server = logins.smtp()
    settings = {
        "host": server.host, "port": server.port, "security": "starttls", "credentials": credentials,
        "ca_file": str(server.ca_file), "timeout": 20.0,
    }  # fmt: skip
    return SmtpTransport(**settings | changes)


def subjects(mailbox):
    with mailbox.session() as session:
        return [bytes(each.raw).count(b"Subject: hello") for each in session.fetch(session.listing())]


def send(transport, account):
    with transport.session() as session:
        return session.send(OutgoingMail("a@example.test", (account.name,), RAW)).reply


def source(logins):
    provider = logins.provider
    client = Client("test", "client-credentials", CLIENT, "post", provider.token_url, "mail", secret=lambda: SECRET)
    return TokenSource(TokenClient(client, poster("", 5.0)), Forgetful())


@pytest.fixture
def account(logins):
    account = logins.dovecot.account()
    account.put(RAW)
    logins.provider.user = account.name
    return account


# ---------------------------------------------------------------- passwords


@pytest.mark.parametrize("mechanism", ["", "USER", "APOP", *PASSWORD_MECHANISMS])
@pytest.mark.parametrize("security", ["starttls", "none"])
def test_pop3_takes_the_password_in_every_way(logins, account, mechanism, security):
    credentials = Credentials(account.name, lambda: account.password, mechanism=mechanism)
    assert subjects(pop3(logins, credentials, security=security, plaintext_password=security == "none")) == [1]


@pytest.mark.parametrize("mechanism", ["", *PASSWORD_MECHANISMS])
def test_imap_takes_the_password_in_every_way(logins, account, mechanism):
    credentials = Credentials(account.name, lambda: account.password, mechanism=mechanism)
    assert subjects(imap(logins, credentials)) == [1]


@pytest.mark.parametrize("mechanism", ["", *PASSWORD_MECHANISMS])
def test_smtp_takes_the_password_in_every_way(logins, account, mechanism):
    credentials = Credentials(account.name, lambda: account.password, mechanism=mechanism)
    assert send(smtp(logins, credentials), account).startswith("250 ")


@pytest.mark.parametrize("mechanism", ["APOP", "CRAM-MD5", "SCRAM-SHA-256"])
def test_a_password_that_stays_here_needs_no_tls(logins, account, mechanism):
    credentials = Credentials(account.name, lambda: account.password, mechanism=mechanism)
    assert subjects(pop3(logins, credentials, security="none")) == [1]
    if mechanism != "APOP":
        assert send(smtp(logins, credentials, security="none"), account).startswith("250 ")


@pytest.mark.parametrize("make", [pop3, imap])
@pytest.mark.parametrize("mechanism", ["", "CRAM-MD5", "SCRAM-SHA-256"])
def test_a_wrong_password_is_refused_after_one_attempt(logins, account, make, mechanism):
    said = "auth failed, 2 attempts"
    before = logins.dovecot.log().count(said)
    wrong = Credentials(account.name, lambda: "wrong-and-long-enough", mechanism=mechanism)
    with pytest.raises(LoginRefused), make(logins, wrong).session():
        pass
    assert logins.dovecot.log().count(said) == before


@pytest.mark.parametrize("password", ["größe und länge", "ª⁄€", 'with "quotes" and \\'])
@pytest.mark.parametrize("mechanism", ["", "PLAIN", "SCRAM-SHA-256"])
def test_a_wrong_password_of_any_letters_is_only_wrong(logins, account, password, mechanism):
    """The refusal is the server's word on the password, not on the line that it came in."""
    with (
        pytest.raises(LoginRefused),
        pop3(logins, Credentials(account.name, lambda: password, mechanism=mechanism)).session(),
    ):
        pass


# ---------------------------------------------------------------- tokens


@pytest.mark.parametrize("mechanism", ["", *TOKEN_MECHANISMS])
@pytest.mark.parametrize("make", [pop3, imap])
def test_a_token_opens_the_mailbox(logins, account, make, mechanism):
    tokens = source(logins)
    credentials = Credentials(account.name, token=tokens, renew=tokens.renew, mechanism=mechanism)
    assert subjects(make(logins, credentials)) == [1]


@pytest.mark.parametrize("mechanism", ["", *TOKEN_MECHANISMS])
def test_a_token_lets_us_send(logins, account, mechanism):
    tokens = source(logins)
    credentials = Credentials(account.name, token=tokens, renew=tokens.renew, mechanism=mechanism)
    assert send(smtp(logins, credentials), account).startswith("250 ")


@pytest.mark.parametrize("mechanism", TOKEN_MECHANISMS)
@pytest.mark.parametrize("make", [pop3, imap, smtp])
def test_a_revoked_token_is_replaced_within_the_same_session(logins, account, make, mechanism):
    tokens = source(logins)
    first = tokens()
    logins.provider.revoked.add(first)
    asked = len(logins.provider.asked)
    host = make(logins, Credentials(account.name, token=tokens, renew=tokens.renew, mechanism=mechanism))
    found = send(host, account) if make is smtp else subjects(host)
    assert found
    assert len(logins.provider.asked) == asked + 1
    assert tokens() != first


@pytest.mark.parametrize("make", [pop3, imap, smtp])
def test_a_token_for_somebody_else_is_refused_after_one_renewal(logins, account, make):
    tokens = source(logins)
    asked = len(logins.provider.asked)
    host = make(logins, Credentials("somebody@example.test", token=tokens, renew=tokens.renew))
    with pytest.raises(TokenNotTaken) as caught:
        send(host, account) if make is smtp else subjects(host)
    assert len(logins.provider.asked) == asked + 2
    assert tokens() not in str(caught.value.as_dict())


@pytest.mark.parametrize("make", [pop3, imap, smtp])
def test_a_token_never_goes_in_clear(logins, account, make):
    host = make(logins, Credentials(account.name, token=lambda: "token"), security="none")
    with pytest.raises(InsecureConnection):
        send(host, account) if make is smtp else subjects(host)
