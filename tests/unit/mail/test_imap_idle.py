"""Waiting for new mail by IDLE: it calls when mail comes, notices what came meanwhile, and ends when told."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager

import pytest
from servers.imap import USUAL, ImapServer

from gateway.errors import MailboxUnavailable
from gateway.mail.imap import ImapMailbox
from gateway.mail.imap_idle import ImapWatch
from gateway.mail.model import Credentials

RAW = b"Subject: x\r\n\r\ny\r\n"


@pytest.fixture
def server():
    made = []

    def start(*messages, **options):
        made.append(ImapServer(*messages, **options))
        return made[-1]

    yield start
    for each in made:
        each.close()


class Calls:
    """Counts calls, and waits for one."""

    def __init__(self):
        self.count = 0
        self._changed = threading.Condition()

    def __call__(self):
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait_for(self, count):
        with self._changed:
            return self._changed.wait_for(lambda: self.count >= count, 10)


@contextmanager
def watching(host, watch):
    """The watch in a thread of its own; gives a list with the fault that ended it, if one did."""
    reading, writing = os.pipe()
    faults = []
    box = ImapMailbox(
        name="box", host="127.0.0.1", port=host.port, security="none", plaintext_password=True,
        credentials=Credentials("edi", lambda: "s3cret"), timeout=5.0,
    )  # fmt: skip

    def run():
        try:
            with box.session() as session:
                watch.run(session, reading)
        except MailboxUnavailable as fault:
            faults.append(fault)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield faults
    finally:
        began = time.monotonic()
        os.write(writing, b".")
        thread.join(10)
        assert time.monotonic() - began < 3, "a watch ends at once"
        os.close(reading)
        os.close(writing)


def test_new_mail_calls_and_mail_that_goes_does_not(server):
    host, calls = server(), Calls()
    with watching(host, ImapWatch(calls)):
        assert host.idling.wait(10)
        host.deliver(RAW)
        assert calls.wait_for(1)
        host._talks[0].say("* 1 EXPUNGE", "* 0 EXISTS", "* OK Still here")
        host.deliver(RAW)
        assert calls.wait_for(2)
    assert calls.count == 2
    assert host.heard[-1] == "DONE", "the IDLE is ended as the RFC has it"


def test_mail_that_waits_when_the_watch_begins_calls(server):
    host, calls = server(RAW), Calls()
    with watching(host, ImapWatch(calls)):
        assert calls.wait_for(1)


def test_what_came_between_two_connections_calls_and_nothing_else_does(server):
    host, calls = server(RAW), Calls()
    watch = ImapWatch(calls)
    for delivered, wanted in [(0, 1), (0, 1), (1, 2), (0, 2)]:
        for _ in range(delivered):
            host.deliver(RAW)
        host.idling.clear()
        with watching(host, watch):
            assert host.idling.wait(10)
        assert calls.count == wanted


def test_a_lost_connection_is_a_fault(server):
    host = server()
    with watching(host, ImapWatch(Calls())) as faults:
        assert host.idling.wait(10)
        host.drop()
        deadline = time.monotonic() + 5
        while not faults and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [fault.code for fault in faults] == ["mailbox.unavailable"]


def test_idle_is_renewed_so_that_no_one_forgets_the_connection(server):
    host, calls = server(), Calls()
    with watching(host, ImapWatch(calls, renew=0.05)):
        deadline = time.monotonic() + 5
        while sum("IDLE" in each for each in host.heard) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        host.deliver(RAW)
        assert calls.wait_for(1)
    assert sum("IDLE" in each for each in host.heard) >= 4


def test_a_server_without_idle_is_asked_now_and_then(server):
    def hook(talk, _tag, command):
        if command == "NOOP":
            talk.say(f"* {len(host.messages)} EXISTS")
        return False

    host = server(capabilities=tuple(each for each in USUAL if each != "IDLE"), hook=hook)
    calls = Calls()
    with watching(host, ImapWatch(calls, ask=0.05)):
        time.sleep(0.1)
        host.messages[1] = RAW
        assert calls.wait_for(1)
    assert calls.count == 1
    assert not any("IDLE" in each for each in host.heard)


def test_a_server_that_ends_the_idle_itself_gets_a_new_one(server):
    idles = []

    def hook(talk, tag, command):
        if command == "IDLE" and len(idles) < 3:
            idles.append(tag)
            talk.say("+ idling", f"{tag} OK enough")
            return True
        return False

    host, calls = server(hook=hook), Calls()
    with watching(host, ImapWatch(calls)):
        assert host.idling.wait(10)
        host.deliver(RAW)
        assert calls.wait_for(1)
    assert len(idles) == 3


def test_a_server_that_refuses_idle_is_a_fault(server):
    def hook(talk, tag, command):
        if command == "IDLE":
            talk.say(f"{tag} NO not now")
            return True
        return False

    with watching(server(hook=hook), ImapWatch(Calls())) as faults:
        deadline = time.monotonic() + 5
        while not faults and time.monotonic() < deadline:
            time.sleep(0.01)
    assert "not now" in str(faults[0])
