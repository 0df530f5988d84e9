"""POP3 and SMTP against Dovecot and Postfix, in what only a real server can show."""

from __future__ import annotations

import time

import pytest

from gateway.errors import InsecureConnection, LoginRefused, MailboxBusy, Refused, TemporarilyRefused
from gateway.mail.model import Credentials, OutgoingMail
from gateway.mail.pop3 import Pop3Mailbox
from gateway.mail.smtp import SmtpTransport

pytestmark = pytest.mark.integration


def mailbox(dovecot, account, **changes):
    settings = {
        "name": "dovecot", "host": dovecot.host, "port": dovecot.pop3_port, "security": "starttls",
        "credentials": Credentials(account.name, lambda: account.password),
        "ca_file": str(dovecot.ca_file), "timeout": 20.0,
    }  # fmt: skip
    return Pop3Mailbox(**settings | changes)


def transport(postfix, **changes):
    settings = {
        "host": postfix.host, "port": postfix.port, "security": "starttls", "ca_file": str(postfix.ca_file),
        "timeout": 20.0,
    }  # fmt: skip
    return SmtpTransport(**settings | changes)


def collect(box):
    with box.session() as session:
        listed = session.listing()
        raws = [each.raw for each in session.fetch(listed)]
        session.delete(listed)
        session.commit()
    return raws


def wait_for(account, count):
    deadline = time.monotonic() + 20
    while len(account.waiting()) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return account.waiting()


def test_dovecot_gives_long_lines_and_dots_byte_for_byte(dovecot):
    account = dovecot.account()
    raw = b"Subject: long\r\n\r\n.\r\n..two\r\n" + b"ISA*" * 5_000 + b"\r\n"
    account.put(raw)
    assert collect(mailbox(dovecot, account)) == [raw]
    assert account.waiting() == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_dovecot_is_refused_when_its_certificate_is_not_ours(dovecot, security):
    port = dovecot.pop3_port if security == "starttls" else dovecot.pop3s_port
    box = mailbox(dovecot, dovecot.account(), ca_file="", security=security, port=port)
    with pytest.raises(InsecureConnection), box.session():
        pass


def test_dovecot_refuses_a_wrong_password(dovecot):
    box = mailbox(dovecot, dovecot.account(), credentials=Credentials("somebody@example.test", lambda: "wrong"))
    with pytest.raises(LoginRefused) as caught, box.session():
        pass
    assert "wrong" not in str(caught.value)


@pytest.mark.slow
def test_a_second_session_on_a_locked_mailbox_is_told_that_it_is_busy(dovecot):
    account = dovecot.account()
    account.put(b"Subject: x\r\n\r\ny\r\n")
    with mailbox(dovecot, account).session() as first:
        first.listing()
        with pytest.raises(MailboxBusy), mailbox(dovecot, account).session():
            pass


def test_a_message_taken_away_by_another_client_is_left_out_and_the_others_go_on(dovecot):
    account = dovecot.account()
    for number in range(3):
        account.put(b"Subject: %d\r\n\r\nx\r\n" % number)
    with mailbox(dovecot, account).session() as session:
        listed = session.listing()
        gone = [path for path in account.maildir.rglob("*.test*") if path.read_bytes().startswith(b"Subject: 1")]
        for path in gone:
            path.unlink()
        fetched = [each.raw.partition(b"\r\n")[0] for each in session.fetch(listed)]
        left_out = [listed.number for listed, _ in session.left_out]
    assert fetched == [b"Subject: 0", b"Subject: 2"]
    assert left_out == [2]


def test_a_mail_goes_through_postfix_into_dovecot_and_out_by_pop3_unchanged(dovecot, postfix):
    account = dovecot.account()
    raw = (
        b"From: a@example.com\r\nSubject: x\r\nMessage-ID: <1@example.com>\r\n\r\n.dot\r\n..\r\n" + b"x" * 900 + b"\r\n"
    )
    with transport(postfix).session() as session:
        handover = session.send(OutgoingMail("a@example.com", (account.name,), raw))
    assert handover.reply.startswith("250 ")
    assert "queued as" in handover.reply
    assert len(wait_for(account, 1)) == 1
    (received,) = collect(mailbox(dovecot, account))
    assert received.endswith(raw[raw.index(b"\r\n\r\n") :])


def test_postfix_takes_many_mails_on_one_connection(dovecot, postfix):
    account = dovecot.account()
    before = postfix.log().count(": connect from")
    with transport(postfix).session() as session:
        for number in range(20):
            session.send(OutgoingMail("a@example.com", (account.name,), b"Subject: %d\r\n\r\nx\r\n" % number))
    assert len(wait_for(account, 20)) == 20
    assert postfix.log().count(": connect from") == before + 1


def test_postfix_refusals_tell_temporary_from_final_and_the_session_goes_on(dovecot, postfix):
    account = dovecot.account()
    raw = b"Subject: x\r\n\r\nx\r\n"
    with transport(postfix).session() as session:
        with pytest.raises(Refused):
            session.send(OutgoingMail("a@example.com", ("reject@example.test",), raw))
        with pytest.raises(TemporarilyRefused):
            session.send(OutgoingMail("a@example.com", ("grey@example.test",), raw))
        with pytest.raises(Refused):
            session.send(OutgoingMail("a@example.com", ("somebody@outside.example",), raw))
        partly = session.send(OutgoingMail("a@example.com", (account.name, "reject@example.test"), raw))
    assert [who for who, _ in partly.refused] == ["reject@example.test"]
    assert len(wait_for(account, 1)) == 1
