"""What every mailbox and every transport keeps, run against each of ours: twins, embedded host, real servers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from servers import certificates

from gateway.errors import MailboxUnavailable, Refused
from gateway.mail.host import MailHost
from gateway.mail.maildir import MaildirMailbox
from gateway.mail.memory import MemoryMailbox, MemoryTransport
from gateway.mail.model import Credentials, Listed, Mailbox, OutgoingMail, Transport
from gateway.mail.pop3 import Pop3Mailbox
from gateway.mail.smtp import SmtpTransport

pytestmark = pytest.mark.integration

US = "edi@example.test"
MAILS = [
    b"Subject: one\r\n\r\nplain\r\n",
    b"Subject: two\r\n\r\n.\r\n..\r\n...three dots\r\n",
    b"Subject: three\r\n\r\n" + b"ISA*00*" * 3_000 + b"\r\n",
    b"Subject: four\r\n\r\n" + bytes(range(1, 256)).replace(b"\r", b"").replace(b"\n", b"") + b"\r\n",
    b"Subject: five\r\n\r\n",
]


@dataclass
class Box:
    """A mailbox under test: how to put mail in, and how many are left."""

    mailbox: Mailbox
    put: Callable[[bytes], object]
    left: Callable[[], int]


@dataclass
class Way:
    """A transport under test: two good recipients, a refused one, and what arrived for a recipient."""

    transport: Transport
    good: tuple[str, str]
    bad: str
    arrived: Callable[[str], list[bytes]]


@pytest.fixture(params=["memory", "maildir", "embedded", "embedded-one-by-one", "dovecot-stls", "dovecot-pop3s"])
def box(request, tmp_path):
    kind = request.param
    if kind == "memory":
        memory = MemoryMailbox()
        yield Box(memory, memory.deliver, lambda: len(memory.messages))
    elif kind == "maildir":
        yield from _maildir(tmp_path)
    elif kind.startswith("embedded"):
        with MailHost({US: "secret"}, pipelining=kind == "embedded") as host:
            mailbox = Pop3Mailbox(
                name="box", host=host.host, port=host.pop3_port, security="none",
                credentials=Credentials(US, lambda: "secret"),
                plaintext_password=True, timeout=20.0,
            )  # fmt: skip
            yield Box(mailbox, lambda raw: host.deliver(US, raw), lambda: len(host.waiting(US)))
    else:
        yield _dovecot(request.getfixturevalue("dovecot"), kind)


def _maildir(directory):
    for folder in ("new", "cur", "tmp"):
        (directory / folder).mkdir()
    count = iter(range(100))

    def put(raw):
        number = next(count)
        folder, flags = ("cur", ":2,S") if number % 2 else ("new", "")
        (directory / folder / f"17{number:08d}.M1.host{flags}").write_bytes(raw)

    yield Box(
        MaildirMailbox("box", directory),
        put,
        lambda: sum(len(list((directory / each).iterdir())) for each in ("new", "cur")),
    )


def _dovecot(dovecot, kind):
    account = dovecot.account()
    stls = kind == "dovecot-stls"
    mailbox = Pop3Mailbox(
        name="box", host=dovecot.host, port=dovecot.pop3_port if stls else dovecot.pop3s_port,
        security="starttls" if stls else "tls", credentials=Credentials(account.name, lambda: account.password),
        ca_file=str(dovecot.ca_file), timeout=20.0,
    )  # fmt: skip
    return Box(mailbox, account.put, lambda: len(account.waiting()))


@pytest.fixture(params=["memory", "embedded", "embedded-tls-login", "postfix"])
def way(request, tmp_path):
    kind = request.param
    if kind == "memory":
        memory = MemoryTransport()
        memory.refused["bad@example.test"] = "550 5.1.1 no such user"
        yield Way(
            memory, ("one@example.test", US), "bad@example.test",
            lambda who: [mail.raw for mail in memory.sent if who in mail.recipients],
        )  # fmt: skip
    elif kind.startswith("embedded"):
        yield from _embedded_way(kind, tmp_path)
    else:
        dovecot, postfix = request.getfixturevalue("dovecot"), request.getfixturevalue("postfix")
        one, other = dovecot.account(), dovecot.account()
        transport = SmtpTransport(
            host=postfix.host, port=postfix.port, security="starttls", ca_file=str(postfix.ca_file), timeout=20.0
        )
        boxes = {one.name: one, other.name: other}
        yield Way(transport, (one.name, other.name), "reject@example.test", lambda who: _patiently(boxes[who].waiting))


def _embedded_way(kind, directory):
    accounts = {US: "secret", "one@example.test": "other"}
    if kind == "embedded":
        with MailHost(accounts) as host:
            transport = SmtpTransport(host=host.host, port=host.smtp_port, security="none", timeout=20.0)
            yield Way(transport, ("one@example.test", US), "bad@example.test", lambda who: list(host.waiting(who)))
        return
    tls = certificates.make(directory / "tls")
    with MailHost(accounts, tls=tls.context(), require_login=True) as host:
        transport = SmtpTransport(
            host=host.host, port=host.smtp_port, security="starttls", credentials=Credentials(US, lambda: "secret"),
            ca_file=str(tls.ca_file), timeout=20.0,
        )  # fmt: skip
        yield Way(transport, ("one@example.test", US), "bad@example.test", lambda who: list(host.waiting(who)))


def _patiently(waiting):
    deadline = time.monotonic() + 20
    while not waiting() and time.monotonic() < deadline:
        time.sleep(0.05)
    return waiting()


# ---------------------------------------------------------------- mailboxes


def test_an_empty_mailbox_lists_nothing(box):
    with box.mailbox.session() as session:
        assert list(session.listing()) == []
        assert list(session.fetch([])) == []
        session.commit()


def test_every_byte_of_every_mail_arrives_in_order(box):
    for raw in MAILS:
        box.put(raw)
    with box.mailbox.session() as session:
        listed = session.listing()
        fetched = list(session.fetch(listed))
    assert [each.raw for each in fetched] == MAILS
    assert [each.listed for each in fetched] == list(listed)
    assert [each.size for each in listed] == [len(raw) for raw in MAILS]


def test_uids_are_unique_and_the_same_in_the_next_session(box):
    for raw in MAILS:
        box.put(raw)
    with box.mailbox.session() as session:
        first = [each.uid for each in session.listing()]
    with box.mailbox.session() as session:
        second = [each.uid for each in session.listing()]
    assert first == second
    assert len(set(first)) == len(MAILS)


def test_only_what_is_asked_for_is_fetched_in_the_order_asked(box):
    for raw in MAILS:
        box.put(raw)
    with box.mailbox.session() as session:
        listed = session.listing()
        assert [each.raw for each in session.fetch([listed[3], listed[0]])] == [MAILS[3], MAILS[0]]


def test_an_abandoned_fetch_leaves_the_session_usable(box):
    for raw in MAILS:
        box.put(raw)
    with box.mailbox.session() as session:
        listed = session.listing()
        assert next(iter(session.fetch(listed))).raw == MAILS[0]
        assert [each.raw for each in session.fetch(listed[1:2])] == [MAILS[1]]
        assert list(session.listing()) == list(listed)


def test_without_commit_nothing_is_deleted(box):
    box.put(MAILS[0])
    with box.mailbox.session() as session:
        session.delete(session.listing())
    assert box.left() == 1


def test_an_exception_in_the_block_deletes_nothing(box):
    box.put(MAILS[0])
    with contextlib.suppress(ZeroDivisionError), box.mailbox.session() as session:
        session.delete(session.listing())
        _ = 1 / 0
    assert box.left() == 1


def test_commit_deletes_what_was_marked_and_nothing_else(box):
    for raw in MAILS:
        box.put(raw)
    with box.mailbox.session() as session:
        listed = session.listing()
        session.delete([listed[0], listed[2]])
        session.delete([listed[0]])
        session.commit()
    with box.mailbox.session() as session:
        assert [each.raw for each in session.fetch(session.listing())] == [MAILS[1], MAILS[3], MAILS[4]]


def test_a_message_that_is_not_there_is_left_out(box):
    box.put(MAILS[0])
    with box.mailbox.session() as session:
        (there,) = session.listing()
        ghost = Listed(99, "no-such-uid", 10)
        assert [each.raw for each in session.fetch([ghost, there])] == [MAILS[0]]
        assert [listed for listed, _ in session.left_out] == [ghost]


def test_a_mailbox_names_itself(box):
    assert box.mailbox.name
    assert box.mailbox.host
    assert isinstance(box.mailbox.user, str)


def test_a_maildir_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(MailboxUnavailable), MaildirMailbox("gone", tmp_path / "gone").session():
        pass


# ---------------------------------------------------------------- transports


def mail(*recipients, raw=MAILS[1]):
    return OutgoingMail(US, recipients, raw)


def body(raw):
    return raw.replace(b"\r\n", b"\n").partition(b"\n\n")[2]


def test_a_mail_arrives_with_its_dots_at_each_recipient(way):
    with way.transport.session() as session:
        handover = session.send(mail(*way.good))
    assert handover.reply.startswith("250")
    assert handover.refused == ()
    for who in way.good:
        assert [body(raw) for raw in way.arrived(who)] == [body(MAILS[1])]


def test_many_mails_go_in_one_session(way):
    with way.transport.session() as session:
        replies = {session.send(mail(way.good[0])).reply for _ in range(10)}
    assert len(replies) == 10


def test_a_refused_recipient_is_named_and_the_others_get_the_mail(way):
    with way.transport.session() as session:
        handover = session.send(mail(way.bad, way.good[0]))
    assert [who for who, _ in handover.refused] == [way.bad]
    assert handover.refused[0][1].startswith("5")
    assert len(way.arrived(way.good[0])) == 1


def test_when_all_recipients_are_refused_nothing_is_taken_and_the_session_goes_on(way):
    with way.transport.session() as session:
        with pytest.raises(Refused):
            session.send(mail(way.bad))
        assert session.send(mail(way.good[0])).reply.startswith("250")
    assert len(way.arrived(way.good[0])) == 1


def test_an_unused_session_costs_nothing(way):
    with way.transport.session():
        pass
