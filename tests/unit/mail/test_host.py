"""The embedded mail host, spoken to with Python's own clients: an oracle that is not ours."""

from __future__ import annotations

import contextlib
import poplib
import smtplib
import socket
import ssl
import threading

import pytest
from servers import certificates

from gateway.mail.host import MailHost
from gateway.mail.host.faults import Fault

US, PARTNER = "edi@example.test", "in@partner.test"
RAW = b"From: in@partner.test\r\nSubject: x\r\n\r\n.dot\r\nline two\r\n"


@pytest.fixture
def host():
    with MailHost({US: "secret", PARTNER: "other"}) as running:
        yield running


@contextlib.contextmanager
def pop3(host, user=US, password="secret"):
    client = poplib.POP3(host.host, host.pop3_port, timeout=10)
    try:
        client.user(user)
        client.pass_(password)
        yield client
    finally:
        client.close()


def test_mail_goes_in_by_smtp_and_out_by_pop3(host):
    with smtplib.SMTP(host.host, host.smtp_port, timeout=10) as client:
        client.sendmail(PARTNER, [US], RAW)
    assert host.waiting(US) == (b"Return-Path: <in@partner.test>\r\n" + RAW,)
    with pop3(host) as client:
        assert client.stat() == (1, len(host.waiting(US)[0]))
        assert b"\r\n".join(client.retr(1)[1]) + b"\r\n" == host.waiting(US)[0]
        client.dele(1)
        assert len(host.waiting(US)) == 1
        client.quit()
    assert host.waiting(US) == ()


def test_all_pop3_commands_answer(host):
    for number in range(3):
        host.deliver(US, b"Subject: %d\r\n\r\none\r\ntwo\r\n" % number)
    with pop3(host) as client:
        assert "PIPELINING" in client.capa()
        assert client.list()[1] == [b"1 24", b"2 24", b"3 24"]
        assert client.list(2) == b"+OK 2 24"
        assert len({line.split()[1] for line in client.uidl()[1]}) == 3
        assert client.uidl(3).startswith(b"+OK 3 ")
        assert client.top(1, 1)[1] == [b"Subject: 0", b"", b"one"]
        client.dele(1)
        with pytest.raises(poplib.error_proto):
            client.retr(1)
        assert client.stat()[0] == 2
        client.rset()
        assert client.stat()[0] == 3
        client.noop()
        for nonsense in ("RETR 99", "RETR x", "DELE", "TOP 1", "NONSENSE"):
            with pytest.raises(poplib.error_proto):
                client._shortcmd(nonsense)


def test_leaving_without_quit_deletes_nothing_and_lets_the_next_in(host):
    host.deliver(US, RAW)
    for _ in range(2):
        with pop3(host) as client:
            client.dele(1)
    assert len(host.waiting(US)) == 1


def test_a_wrong_password_and_a_locked_box_are_refused(host):
    with pytest.raises(poplib.error_proto, match="AUTH"), pop3(host, password="wrong"):
        pass
    with pop3(host), pytest.raises(poplib.error_proto, match="IN-USE"), pop3(host):
        pass


def test_nothing_is_served_before_login(host):
    client = poplib.POP3(host.host, host.pop3_port, timeout=10)
    with pytest.raises(poplib.error_proto):
        client.stat()
    client.close()


def test_a_session_does_not_see_or_delete_what_comes_later(host):
    host.deliver(US, b"one\r\n")
    with pop3(host) as client:
        host.deliver(US, b"two\r\n")
        assert client.stat()[0] == 1
        client.dele(1)
        client.quit()
    assert host.waiting(US) == (b"two\r\n",)


def test_an_unknown_recipient_is_refused_and_the_others_get_the_mail(host):
    with smtplib.SMTP(host.host, host.smtp_port, timeout=10) as client:
        refused = client.sendmail(PARTNER, [US, "nobody@example.test"], RAW)
    assert refused["nobody@example.test"][0] == 550
    assert len(host.waiting(US)) == 1


def test_mails_are_kept_as_files_where_asked(tmp_path):
    with MailHost({US: "secret"}, keep=tmp_path) as host:
        uid = host.deliver(US, RAW)
    assert (tmp_path / US / f"{uid}.eml").read_bytes() == RAW


def test_tls_is_offered_on_both_ports(tmp_path):
    tls = certificates.make(tmp_path)
    context = ssl.create_default_context(cafile=str(tls.ca_file))
    with MailHost({US: "secret"}, tls=tls.context(), require_login=True) as host:
        with smtplib.SMTP(host.host, host.smtp_port, timeout=10) as client:
            with pytest.raises(smtplib.SMTPSenderRefused):
                client.sendmail(US, [US], RAW)
            client.starttls(context=context)
            client.login(US, "secret")
            client.sendmail(US, [US], RAW)
        client = poplib.POP3(host.host, host.pop3_port, timeout=10)
        client.stls(context=context)
        client.user(US)
        client.pass_("secret")
        assert client.stat()[0] == 1
        client.close()


def test_smtp_hooks_refuse_at_any_verb_and_what_is_taken_is_told():
    refusals = {"MAIL": "451 later", "RCPT": "550 never", "DATA": "554 not this"}
    told = []
    active = {"verb": ""}

    def hook(verb, _argument):
        return Fault(reply=refusals[verb]) if verb == active["verb"] else None

    with (
        MailHost({US: "secret"}, smtp_hook=hook, after_delivery=told.append) as host,
        smtplib.SMTP(host.host, host.smtp_port, timeout=10) as client,
    ):
        for verb in refusals:
            active["verb"] = verb
            with pytest.raises(smtplib.SMTPException):
                client.sendmail(PARTNER, [US], RAW)
        active["verb"] = ""
        client.sendmail(PARTNER, [US], RAW)
        assert len(host.waiting(US)) == len(told) == 1


def test_pop3_hooks_spoil_replies():
    def hook(verb, argument):
        return Fault(reply="-ERR not that one", delay=0.01) if (verb, argument) == ("RETR", "1") else None

    with MailHost({US: "secret"}, pop3_hook=hook) as host:
        host.deliver(US, RAW)
        host.deliver(US, RAW)
        with pop3(host) as client:
            with pytest.raises(poplib.error_proto, match="not that one"):
                client.retr(1)
            assert client.retr(2)[1]


def test_the_host_ends_although_clients_are_connected():
    with MailHost({US: "secret"}) as host:
        clients = [socket.create_connection((host.host, port)) for port in (host.pop3_port, host.smtp_port)]
        for client in clients:
            client.recv(100)
    for client in clients:
        client.close()
    assert not any(thread.name == "mail-host" for thread in threading.enumerate())


def test_nonsense_does_not_stop_the_host(host):
    for nonsense in (b"\xff\xfe\0\r\n" * 3, b"A" * 100_000, b"AUTH PLAIN !!!\r\nAUTH X\r\nPASS\r\nUSER\r\n"):
        with socket.create_connection((host.host, host.pop3_port), timeout=10) as client:
            client.sendall(nonsense)
            client.recv(100)
    host.deliver(US, RAW)
    with pop3(host) as client:
        assert client.stat()[0] == 1
