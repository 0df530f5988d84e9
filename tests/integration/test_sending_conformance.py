"""What every transport keeps, whatever the host does: two real servers, the embedded host, the twin."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from servers.proxy import Proxy

from gateway.errors import OutcomeUnknown, Refused, SmtpCrowded, SmtpInterrupted, SmtpUnavailable, TemporarilyRefused
from gateway.mail.host import MailHost
from gateway.mail.host.faults import Fault
from gateway.mail.letters import open_letter
from gateway.mail.memory import MemoryTransport
from gateway.mail.model import OutgoingMail, Transport
from gateway.mail.smtp import SmtpTransport
from gateway.mail.verp import Tokens, with_token
from gateway.settings.model import Limits

pytestmark = pytest.mark.integration

US = "edi@example.test"
RAW = (
    b"From: edi@example.test\r\nSubject: x\r\nMessage-ID: <1@example.test>\r\n\r\n.dot\r\n..\r\n" + b"x" * 900 + b"\r\n"
)


@dataclass
class Way:
    """A transport under test, two recipients that are taken, and those that are not."""

    transport: Transport
    one: str
    two: str
    gone: str
    later: str
    arrived: Callable[[str], int]


def smtp(server, **changes):
    settings = {"host": server.host, "port": server.port, "security": "starttls", "ca_file": str(server.ca_file)}
    return SmtpTransport(**settings | {"timeout": 20.0} | changes)


@pytest.fixture(params=["memory", "embedded", "postfix", "exim"])
def way(request):
    if request.param == "memory":
        memory = MemoryTransport()
        memory.refused |= {"reject@example.test": "550 5.1.1 no", "grey@example.test": "451 4.7.1 later"}
        yield Way(
            memory, "one@example.test", "two@example.test", "reject@example.test", "grey@example.test",
            lambda who: sum(who in mail.recipients for mail in memory.sent),
        )  # fmt: skip
    elif request.param == "embedded":
        yield from _embedded()
    else:
        server, dovecot = request.getfixturevalue(request.param), request.getfixturevalue("dovecot")
        one, two = dovecot.account(), dovecot.account()
        boxes = {one.name: one, two.name: two}
        yield Way(
            smtp(server), one.name, two.name, "reject@example.test", "grey@example.test",
            lambda who: len(boxes[who].waiting()),
        )  # fmt: skip


def _embedded():
    def hook(verb, argument):
        return Fault(reply="451 4.7.1 later") if verb == "RCPT" and argument.startswith("grey") else None

    accounts = {"one@example.test": "a", "two@example.test": "b"}
    with MailHost(accounts, smtp_hook=hook) as host:
        transport = SmtpTransport(host=host.host, port=host.smtp_port, security="none", timeout=20.0)
        yield Way(
            transport, "one@example.test", "two@example.test", "reject@example.test", "grey@example.test",
            lambda who: len(host.waiting(who)),
        )  # fmt: skip


def mail(*recipients, sender=US, **more):
    return OutgoingMail(sender, recipients, RAW, **more)


def eventually(count, wanted):
    deadline = time.monotonic() + 20
    while count() < wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    return count()


def test_what_is_taken_has_a_reply_and_a_name_in_the_hosts_queue(way):
    with way.transport.session() as session:
        taken = session.send(mail(way.one, way.two))
    assert taken.reply.startswith("250")
    assert taken.queue_id
    assert taken.queue_id in taken.reply
    assert eventually(lambda: way.arrived(way.one), 1) == eventually(lambda: way.arrived(way.two), 1) == 1


def test_each_recipient_has_an_answer_of_its_own(way):
    with way.transport.session() as session:
        taken = session.send(mail(way.gone, way.one, way.later))
        codes = {who: reply[0] for who, reply in taken.refused}
        assert codes == {way.gone: "5", way.later: "4"}
        with pytest.raises(TemporarilyRefused):
            session.send(mail(way.later))
        with pytest.raises(TemporarilyRefused):
            session.send(mail(way.later, way.gone))
        with pytest.raises(Refused):
            session.send(mail(way.gone))
        session.send(mail(way.one))
    assert eventually(lambda: way.arrived(way.one), 2) == 2


def test_sessions_side_by_side_lose_nothing_and_mix_nothing_up(way):
    def send(session, who):
        return [session.send(mail(who)).reply for _ in range(15)]

    with way.transport.sessions(2) as sessions, ThreadPoolExecutor(2) as threads:
        done = [threads.submit(send, *each) for each in zip(sessions, (way.one, way.two), strict=True)]
        assert len({reply for each in done for reply in each.result()}) == 30
    for who in (way.one, way.two):
        assert eventually(lambda who=who: way.arrived(who), 15) == 15


# ---------------------------------------------------------------- Exim, told what to refuse


@pytest.mark.parametrize("verb", ["mail", "data", "dot"])
@pytest.mark.parametrize(("kind", "fault"), [("grey", TemporarilyRefused), ("reject", Refused)])
def test_exims_refusal_at_each_verb_takes_nothing_and_leaves_the_connection_usable(dovecot, exim, verb, kind, fault):
    account = dovecot.account()
    connections = exim.log().count("SMTP connection from")
    with smtp(exim).session() as session:
        session.send(mail(account.name))
        with pytest.raises(fault):
            session.send(mail(account.name, sender=f"{verb}-{kind}@example.test"))
        session.send(mail(account.name))
    assert exim.log().count("SMTP connection from") <= connections + 1
    assert eventually(lambda: len(account.waiting()), 2) == 2


def test_a_slow_answer_to_the_final_dot_is_waited_for(dovecot, exim):
    account = dovecot.account()
    with smtp(exim, timeout=1.0).session() as session:
        assert session.send(mail(account.name, sender="dot-slow@example.test")).queue_id
    assert eventually(lambda: len(account.waiting()), 1) == 1


def test_a_host_with_no_place_for_one_more_connection_is_crowded_and_serves_the_others(dovecot, exim):
    account = dovecot.account()
    with smtp(exim).sessions(exim.most + 1) as sessions:
        for session in sessions[: exim.most]:
            session.send(mail(account.name))
        with pytest.raises(SmtpCrowded):
            sessions[-1].send(mail(account.name))
        sessions[0].send(mail(account.name))
    assert eventually(lambda: len(account.waiting()), exim.most + 1) == exim.most + 1


def test_a_host_that_is_away_is_asked_once_by_all_sessions(scripted_away):
    transport = SmtpTransport(host="127.0.0.1", port=scripted_away.port, security="none", timeout=5.0)

    def send(session):
        with pytest.raises(SmtpUnavailable) as caught:
            session.send(mail("one@example.test"))
        return caught.value

    with transport.sessions(8) as sessions, ThreadPoolExecutor(8) as threads:
        faults = list(threads.map(send, sessions))
    assert not any(isinstance(each, (SmtpCrowded, SmtpInterrupted)) for each in faults)
    assert scripted_away.connections == 1


class _Away:
    """Takes connections and says that it has no time; slowly, so that all sessions wait for its first word."""

    def __init__(self, listener):
        self.port = listener.getsockname()[1]
        self.connections = 0
        self._listener = listener
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                time.sleep(0.3)
                connection.sendall(b"421 4.3.2 closed for the night\r\n")


@pytest.fixture
def scripted_away():
    listener = socket.create_server(("127.0.0.1", 0))
    yield (away := _Away(listener))
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    away.thread.join(5)


# ---------------------------------------------------------------- taken, and returned after all


@pytest.mark.parametrize("server", ["postfix", "exim"])
def test_a_mail_that_is_taken_and_returned_comes_home_with_its_token(dovecot, request, server):
    ours = dovecot.account()
    tokens = Tokens(lambda: b"a key")
    sender = with_token(ours.name, tokens.token(7))
    with smtp(request.getfixturevalue(server)).session() as session:
        session.send(mail("bounce-here@example.test", sender=sender, envelope_id=tokens.token(7)))
    assert eventually(lambda: len(ours.waiting()), 1) == 1
    letter = open_letter(ours.waiting()[0], Limits())
    (bounce,) = letter.bounces
    assert (letter.kind, bounce.action, bounce.recipient) == ("bounce", "failed", "bounce-here@example.test")
    assert tokens.exchange_of((*letter.delivered_to, *letter.to)) == 7
    assert tokens.exchange(bounce.envelope_id) == 7
    assert bounce.original_message_id == "<1@example.test>"


# ---------------------------------------------------------------- cut


@pytest.mark.parametrize("server", ["embedded", "postfix", "exim"])
@pytest.mark.parametrize(
    ("verb", "fault"), [("MAIL", SmtpInterrupted), ("DATA", SmtpInterrupted), ("last words", OutcomeUnknown)]
)
def test_a_connection_cut_before_the_final_dot_takes_nothing_and_after_it_nobody_knows(request, server, verb, fault):
    with _host(request, server) as (port, who, arrived), Proxy(port, loses=verb.encode()) as proxy:
        transport = SmtpTransport(host="127.0.0.1", port=proxy.port, security="none", timeout=10.0)
        raw = b"From: edi@example.test\r\nSubject: x\r\n\r\nthese are my last words\r\n"
        with transport.session() as session, pytest.raises(fault):
            session.send(OutgoingMail(US, (who,), raw))
        if fault is OutcomeUnknown:
            assert eventually(arrived, 1) == 1  # the host had it: nobody who only sees the connection can tell
        else:
            time.sleep(0.2)
            assert arrived() == 0


@contextmanager
def _host(request, server):
    if server == "embedded":
        with MailHost({"one@example.test": "a"}) as host:
            yield host.smtp_port, "one@example.test", lambda: len(host.waiting("one@example.test"))
        return
    account = request.getfixturevalue("dovecot").account()
    yield request.getfixturevalue(server).port, account.name, lambda: len(account.waiting())
