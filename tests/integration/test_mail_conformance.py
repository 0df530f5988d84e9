"""What every mailbox and every transport keeps, run against each of ours: twins, embedded host, real servers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from builders.boxes import KINDS, REMOTE, US, open_box
from servers import certificates
from servers.proxy import Proxy

from gateway.errors import MailboxBusy, MailboxUnavailable, Refused
from gateway.mail.host import MailHost
from gateway.mail.maildir import MaildirMailbox
from gateway.mail.memory import MemoryTransport
from gateway.mail.model import Credentials, Listed, OutgoingMail, Transport
from gateway.mail.smtp import SmtpTransport
from gateway.mail.spool import Spooled

pytestmark = pytest.mark.integration

MAILS = [
    b"Subject: one\r\n\r\nplain\r\n",
    b"Subject: two\r\n\r\n.\r\n..\r\n...three dots\r\n",
    b"Subject: three\r\n\r\n" + b"ISA*00*" * 3_000 + b"\r\n",
    b"Subject: four\r\n\r\n" + bytes(range(1, 256)).replace(b"\r", b"").replace(b"\n", b"") + b"\r\n",
    b"Subject: five\r\n\r\n",
]


@dataclass
class Way:
    """A transport under test: two good recipients, a refused one, and what arrived for a recipient."""

    transport: Transport
    good: tuple[str, str]
    bad: str
    arrived: Callable[[str], list[bytes]]


@pytest.fixture(params=KINDS)
def box(request, tmp_path):
    with open_box(request.param, tmp_path, lambda: request.getfixturevalue("dovecot")) as opened:
        yield opened


@pytest.fixture(params=REMOTE)
def remote(request, tmp_path):
    with open_box(request.param, tmp_path, lambda: request.getfixturevalue("dovecot")) as opened:
        yield opened


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


def test_a_body_of_one_line_of_millions_of_bytes_arrives(box):
    raw = b"Subject: one line\r\n\r\n" + b"PO1*1*1*EA~" * 600_000 + b"\r\n"
    box.put(MAILS[0])
    box.put(raw)
    box.put(MAILS[1])
    with box.mailbox.session() as session:
        assert [each.raw for each in session.fetch(session.listing())] == [MAILS[0], raw, MAILS[1]]


def test_bare_line_feeds_are_kept_or_become_line_ends_but_nothing_else_changes(box):
    raw = b"Subject: bare\n\nISA*00~\n.\n..\nIEA~\r\n"
    box.put(raw)
    with box.mailbox.session() as session:
        (fetched,) = session.fetch(session.listing())
    assert fetched.raw == (raw if box.keeps_bare_lf else raw.replace(b"\r", b"").replace(b"\n", b"\r\n"))


def test_a_message_too_big_for_memory_comes_whole_between_small_ones(box):
    big = b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n.dot\r\n") * 70_000
    for raw in (MAILS[0], big, MAILS[1]):
        box.put(raw)
    with box.mailbox.session() as session:
        found = list(session.fetch(session.listing()))
        session.delete(each.listed for each in found)
        session.commit()
    assert [each.size for each in found] == [len(MAILS[0]), len(big), len(MAILS[1])]
    assert [each.raw == raw for each, raw in zip(found, (MAILS[0], big, MAILS[1]), strict=True)] == [True] * 3
    in_files = [isinstance(each.body, Spooled) for each in found]
    assert in_files == [False, box.mailbox.host != "memory", False]
    assert box.left() == 0


def test_a_message_past_the_limit_is_listed_left_out_and_left_there(box):
    for raw in MAILS:
        box.put(raw)
    mailbox = box.again(max_size=10_000)
    if mailbox is box.mailbox:
        pytest.skip("it has no limit")
    with mailbox.session() as session:
        listed = session.listing()
        fetched = list(session.fetch(listed))
        session.delete(each.listed for each in fetched)
        session.commit()
    assert [each.raw for each in fetched] == [MAILS[0], MAILS[1], MAILS[3], MAILS[4]]
    assert [each for each, _ in session.left_out] == [listed[2]]
    assert box.left() == 1


def test_a_second_session_is_refused_or_harms_nothing(box, request):
    if "dovecot-pop3" in request.node.name or "dovecot-stls" in request.node.name:
        pytest.skip("it makes one wait for ten seconds; there is a slow test for that")
    for raw in MAILS:
        box.put(raw)
    with box.mailbox.session() as first:
        taken = list(first.fetch(first.listing()))
        with contextlib.suppress(MailboxBusy), box.mailbox.session() as second:
            also = list(second.fetch(second.listing()))
            second.delete(each.listed for each in also[:2])
            second.commit()
        first.delete(each.listed for each in taken[:3])
        first.commit()
    assert [each.raw for each in taken] == MAILS
    assert box.left() == 2


@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_cut_anywhere_loses_and_invents_nothing(remote, tenth):
    for raw in MAILS:
        remote.put(raw)
    with Proxy(remote.port) as whole, remote.again(port=whole.port).session() as session:
        assert len(list(session.fetch(session.listing()))) == len(MAILS)
    with Proxy(remote.port, cut_after=whole.passed * tenth // 10) as proxy:
        fetched = []
        with pytest.raises(MailboxUnavailable), remote.again(port=proxy.port, timeout=5.0).session() as session:
            fetched += session.fetch(session.listing())
    assert [each.raw for each in fetched] == MAILS[: len(fetched)]
    assert remote.left() == len(MAILS)


def test_a_lost_answer_to_the_deletion_is_a_fault_and_nothing_comes_twice(remote):
    remote.put(MAILS[0])
    with remote.mailbox.session() as session:
        session.delete(session.listing())
        session.commit()  # from now on a folder for collected mail is there
    for raw in MAILS:
        remote.put(raw)
    with (
        Proxy(remote.port, loses=remote.last_word) as proxy,
        remote.again(port=proxy.port, timeout=5.0).session() as session,
    ):
        fetched = list(session.fetch(session.listing()))
        session.delete(each.listed for each in fetched)
        with pytest.raises(MailboxUnavailable):
            session.commit()
    assert [each.raw for each in fetched] == MAILS
    deadline = time.monotonic() + 10
    while remote.left() and time.monotonic() < deadline:
        time.sleep(0.02)
    with remote.mailbox.session() as session:
        assert list(session.listing()) == []


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
