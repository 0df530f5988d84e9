"""IMAP against Dovecot, in what only a real server can show."""

from __future__ import annotations

import contextlib
import imaplib
import os
import threading
import time

import pytest

from gateway.errors import InsecureConnection, LoginRefused, MailboxUnavailable
from gateway.mail.imap import ImapMailbox
from gateway.mail.imap_idle import ImapWatch
from gateway.mail.model import Credentials

pytestmark = pytest.mark.integration


def mailbox(dovecot, account, **changes):
    settings = {
        "name": "dovecot", "host": dovecot.host, "port": dovecot.imap_port, "security": "starttls",
        "credentials": Credentials(account.name, lambda: account.password), "ca_file": str(dovecot.ca_file),
        "timeout": 20.0,
    }  # fmt: skip
    return ImapMailbox(**settings | changes)


@contextlib.contextmanager
def other_client(dovecot, account):
    """Somebody with a mail program."""
    client = imaplib.IMAP4(dovecot.host, dovecot.imap_port)
    client.login(account.name, account.password)
    client.select("INBOX")
    try:
        yield client
    finally:
        client.logout()


def mails(account, count):
    raws = [b"Subject: %d\r\n\r\n%s\r\n" % (number, b"ISA*00*" * 500) for number in range(count)]
    for raw in raws:
        account.put(raw)
    return raws


def collect(box):
    with box.session() as session:
        fetched = list(session.fetch(session.listing()))
        session.delete(each.listed for each in fetched)
        session.commit()
    return [each.raw for each in fetched], session.left_out


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_dovecot_is_refused_when_its_certificate_is_not_ours(dovecot, security):
    port = dovecot.imap_port if security == "starttls" else dovecot.imaps_port
    box = mailbox(dovecot, dovecot.account(), ca_file="", security=security, port=port)
    with pytest.raises(InsecureConnection), box.session():
        pass


def test_dovecot_refuses_a_wrong_password(dovecot):
    account = dovecot.account()
    box = mailbox(dovecot, account, credentials=Credentials(account.name, lambda: "wr0ng-one"))
    with pytest.raises(LoginRefused) as caught, box.session():
        pass
    assert "wr0ng" not in str(caught.value)


def test_what_another_client_expunges_during_the_download_is_left_out_and_the_rest_comes(dovecot):
    account = dovecot.account()
    raws = mails(account, 300)
    with mailbox(dovecot, account).session() as session, other_client(dovecot, account) as client:
        listed = session.listing()
        downloads = session.fetch(listed)
        fetched = [next(downloads) for _ in range(10)]
        client.store("250:300", "+FLAGS", "\\Deleted")
        client.expunge()
        fetched += downloads
        gone = [each.number for each, _ in session.left_out]
        session.delete(each.listed for each in fetched)
        session.commit()
    assert {each.raw for each in fetched} <= set(raws)
    assert len(fetched) + len(gone) == 300
    assert len(fetched) >= 249
    assert set(gone) <= set(range(250, 301))
    assert account.waiting() == []


def test_flags_and_new_mail_of_another_client_in_the_middle_disturb_nothing(dovecot):
    account = dovecot.account()
    raws = mails(account, 250)
    with mailbox(dovecot, account).session() as session, other_client(dovecot, account) as client:
        downloads = session.fetch(session.listing())
        fetched = [next(downloads)]
        client.store("1:250", "+FLAGS", "\\Seen \\Flagged")
        account.put(b"Subject: late\r\n\r\n")
        fetched += downloads
        session.delete(each.listed for each in fetched)
        session.commit()
    assert [each.raw for each in fetched] == raws
    assert account.waiting() == [b"Subject: late\r\n\r\n"]


def test_what_another_client_marked_deleted_is_left_to_that_client(dovecot):
    account = dovecot.account()
    raws = mails(account, 5)
    with other_client(dovecot, account) as client:
        client.store("2", "+FLAGS", "\\Deleted")
        collected, _ = collect(mailbox(dovecot, account))
    assert collected == [raws[0], *raws[2:]]
    assert account.waiting() == [raws[1]]


def test_mail_that_is_seen_already_is_collected_all_the_same(dovecot):
    account = dovecot.account()
    raws = mails(account, 3)
    with other_client(dovecot, account) as client:
        client.store("1:3", "+FLAGS", "\\Seen")
    with mailbox(dovecot, account).session() as session:
        assert [each.raw for each in session.fetch(session.listing())] == raws
    with other_client(dovecot, account) as client:
        account.put(b"Subject: new\r\n\r\n")
        client.noop()
    with mailbox(dovecot, account).session() as session:
        list(session.fetch(session.listing()))
    with other_client(dovecot, account) as client:
        assert client.search(None, "UNSEEN")[1] == [b"4"], "reading by us does not count as seen"


def test_a_folder_of_its_own_with_a_name_beyond_ascii_is_collected(dovecot):
    account = dovecot.account()
    with other_client(dovecot, account) as client:
        client.create('"EDI.Auftr&AOQ-ge"')
        client.append('"EDI.Auftr&AOQ-ge"', None, None, b"Subject: there\r\n\r\n")
    account.put(b"Subject: in the inbox\r\n\r\n")
    box = mailbox(dovecot, account, folder="EDI.Aufträge", done_folder="EDI/Aufträge/Erledigt")
    assert collect(box) == ([b"Subject: there\r\n\r\n"], [])
    assert [each.strip() for each in account.waiting(".EDI.Auftr&AOQ-ge.Erledigt")] == [b"Subject: there"]
    assert account.waiting() == [b"Subject: in the inbox\r\n\r\n"]


def test_a_folder_that_cannot_be_made_is_a_fault_and_nothing_is_gone(dovecot):
    account = dovecot.account()
    raws = mails(account, 2)
    with pytest.raises(MailboxUnavailable, match="moving to the folder"):
        collect(mailbox(dovecot, account, done_folder="a/../b"))
    assert account.waiting() == raws


def test_dovecot_calls_by_idle_when_mail_comes_and_not_when_it_goes(dovecot):
    account = dovecot.account()
    calls = threading.Semaphore(0)
    reading, writing = os.pipe()

    def watch():
        with mailbox(dovecot, account).session() as session:
            ImapWatch(calls.release).run(session, reading)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        time.sleep(0.5)
        account.deliver(b"Subject: one\r\n\r\nx\r\n")
        assert calls.acquire(timeout=20)
        assert len(collect(mailbox(dovecot, account))[0]) == 1
        assert not calls.acquire(timeout=1.5), "our own moving calls nobody"
        account.deliver(b"Subject: two\r\n\r\nx\r\n")
        assert calls.acquire(timeout=20)
    finally:
        os.write(writing, b".")
        thread.join(10)
        os.close(reading)
        os.close(writing)
    assert not thread.is_alive()
