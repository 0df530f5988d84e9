"""What doctor says of an IMAP mailbox."""

from __future__ import annotations

from datetime import timedelta

import pytest
from servers.imap import USUAL, ImapServer

from gateway.errors import LoginRefused
from gateway.flow.check_mail import check_mailbox
from gateway.mail.imap import ImapMailbox
from gateway.mail.model import Credentials
from gateway.settings import Limits, MailboxSettings

RAW = b"Subject: x\r\n\r\ny\r\n"


def found(capabilities=USUAL, hook=None, password="s3cret", **settings):
    box = MailboxSettings(
        "orders", "imap", host="127.0.0.1", security="none", user="edi", plaintext_password=True, **settings
    )
    host = ImapServer(RAW, RAW, capabilities=capabilities, hook=hook)
    try:
        mailbox = ImapMailbox(
            name="orders", host=box.host, port=host.port, security="none", plaintext_password=True, timeout=5.0,
            credentials=Credentials("edi", lambda: password),
        )  # fmt: skip
        return [(check.ok, check.sentence) for check in check_mailbox(box, mailbox, Limits())], host
    finally:
        host.close()


def without(*names):
    return tuple(each for each in USUAL if each not in names)


def test_a_good_mailbox_is_counted_and_left_as_it_is():
    results, host = found(idle=True)
    assert [ok for ok, _ in results] == [True]
    assert "2 messages waiting" in results[0][1]
    assert len(host.messages) == 2
    assert not any("BODY" in each or "STORE" in each for each in host.heard)


def test_a_wrong_password_is_a_fault():
    with pytest.raises(LoginRefused):
        found(password="wrong")


def test_a_server_without_idle_is_told_of_where_idle_is_wanted():
    assert [ok for ok, _ in found(without("IDLE"))[0]] == [True]
    results, _ = found(without("IDLE"), idle=True)
    assert [ok for ok, _ in results] == [True, None]
    assert "IDLE" in results[1][1]


@pytest.mark.parametrize(
    ("missing", "warned"), [(("MOVE",), False), (("UIDPLUS",), False), (("MOVE", "UIDPLUS"), True)]
)
def test_a_server_that_can_only_expunge_everything_is_told_of(missing, warned):
    results, _ = found(without(*missing))
    assert [ok for ok, _ in results] == [True] + [None] * warned


@pytest.mark.parametrize(
    ("settings", "warned"),
    [({}, True), ({"keep_on_server": True}, False), ({"keep_on_server": True, "keep_for": timedelta(days=1)}, True)],
)
def test_a_folder_that_may_only_be_read_is_told_of_where_mail_is_to_leave_it(settings, warned):
    def hook(talk, tag, command):
        if command.startswith("SELECT"):
            talk.say("* 0 EXISTS", "* OK [UIDVALIDITY 7]", f"{tag} OK [READ-ONLY] look, don't touch")
            return True
        return False

    results, _ = found(hook=hook, **settings)
    assert [ok for ok, _ in results] == [True] + [None] * warned
