"""POP3 servers that do what no standard says: uids, sizes, silence, and messages too big for memory."""

from __future__ import annotations

import hashlib

import pytest

from gateway.errors import MailboxUnavailable
from gateway.mail import wire
from gateway.mail.host import MailHost
from gateway.mail.host.faults import Fault
from gateway.mail.model import Credentials, HeadReader
from gateway.mail.pop3 import Pop3Mailbox
from gateway.mail.spool import Spooled

PIPELINING = ("+OK", "USER", "UIDL", "PIPELINING", ".")


def mailbox(port, **changes):
    settings = {
        "name": "box", "host": "127.0.0.1", "port": port, "security": "none", "plaintext_password": True,
        "credentials": Credentials("edi", lambda: "s3cret"), "timeout": 5.0, "commit_timeout": 5.0,
    }  # fmt: skip
    return Pop3Mailbox(**settings | changes)


def log_in(talk, capabilities=PIPELINING):
    talk.say("+OK ready")
    talk.hear("CAPA")
    talk.say(*capabilities)
    talk.hear("USER edi")
    talk.say("+OK")
    talk.hear("PASS s3cret")
    talk.say("+OK")


def list_mails(talk, sizes, *uids):
    talk.hear("LIST")
    talk.say("+OK", *(f"{number} {size}" for number, size in enumerate(sizes, 1)), ".")
    talk.hear("UIDL")
    talk.say("+OK", *uids, ".")


def listed(server):
    with mailbox(server.port).session() as session:
        return session.listing()


def empty(box):
    with box.session() as session:
        listing = session.listing()
        list(session.heads(listing))
        session.delete([each.listed for each in session.fetch(listing)])
        session.commit()


def test_a_uidl_longer_than_a_database_indexes_is_named_by_its_hash(scripted):
    long = "u" * 5_000

    def script(talk):
        log_in(talk)
        list_mails(talk, [5, 5], f"1 {long}", "2 " + "u" * 70)

    found = [each.uid for each in listed(scripted(script))]
    assert found == ["long:" + hashlib.sha256(long.encode()).hexdigest(), "u" * 70]


def test_a_message_that_uidl_leaves_out_is_named_by_its_header_block(scripted):
    def script(talk):
        log_in(talk)
        list_mails(talk, [5, 5], "1 one")
        talk.hear("TOP 2 0")
        talk.say("+OK", "Message-ID: <2@example.com>", "", ".")

    first, second = listed(scripted(script))
    assert first.uid == "one"
    assert second.uid.startswith("sha256:")


def test_without_uidl_and_top_nothing_is_downloaded_to_make_a_uid(scripted):
    def script(talk):
        log_in(talk)
        talk.hear("LIST")
        talk.say("+OK", "1 5", "2 5", ".")
        talk.hear("UIDL")
        talk.say("-ERR")
        for _ in range(2):
            talk.hear("TOP")
        talk.say("-ERR", "-ERR")

    server = scripted(script)
    assert [each.uid for each in listed(server)] == ["", ""]
    assert not any(line.startswith("RETR") for line in server.heard)


def test_header_blocks_come_many_at_a_time_and_a_refused_one_is_left_out(scripted):
    def script(talk):
        log_in(talk)
        list_mails(talk, [5, 5, 5], "1 a", "2 b", "3 c")
        for number in (1, 2, 3):
            talk.hear(f"TOP {number} 0")
        talk.say("+OK", "Subject: 1", "", ".", "-ERR gone", "+OK", "Subject: 3", "", ".")

    with mailbox(scripted(script).port).session() as session:
        assert isinstance(session, HeadReader)
        found = list(session.heads(session.listing()))
    assert [(each.number, head) for each, head in found] == [(1, b"Subject: 1\r\n\r\n"), (3, b"Subject: 3\r\n\r\n")]


def test_the_window_is_bounded_by_bytes_too(scripted):
    """Of messages of 4 MB two are asked for at once, not dozens."""

    def script(talk):
        log_in(talk)
        list_mails(talk, [4_000_000] * 10, *(f"{number} u{number}" for number in range(1, 11)))
        talk.hear("RETR 1")
        talk.hear("RETR 2")
        assert talk.silence(0.1) == b""
        talk.say("+OK", "one", ".", "+OK", "two", ".")
        talk.hear("RETR 3")

    with mailbox(scripted(script).port).session() as session, pytest.raises(MailboxUnavailable):
        list(session.fetch(session.listing()))


def test_a_big_message_comes_as_a_file_among_small_ones(monkeypatch, tmp_path):
    monkeypatch.setattr(wire, "SPOOL_OVER", 100_000)
    big = b"Subject: big\r\n\r\n" + b".dots\r\n" * 200_000
    raws = [b"Subject: a\r\n\r\n", big, b"Subject: c\r\n\r\n"]
    with MailHost({"edi": "s3cret"}) as host:
        for raw in raws:
            host.deliver("edi", raw)
        with mailbox(host.pop3_port, spool=tmp_path).session() as session:
            found = list(session.fetch(session.listing()))
    assert [type(each.body) for each in found] == [bytes, Spooled, bytes]
    assert [each.raw for each in found] == raws
    assert [each.size for each in found] == [len(raw) for raw in raws]
    assert found[1].body.sha256 == hashlib.sha256(big).hexdigest()


def test_a_big_message_that_lied_about_its_size_is_left_on_the_server(monkeypatch, scripted, tmp_path):
    monkeypatch.setattr(wire, "SPOOL_OVER", 10_000)

    def script(talk):
        log_in(talk)
        list_mails(talk, [5, 5], "1 a", "2 b")
        for _ in range(2):
            talk.hear("RETR")
        talk.say("+OK", *["x" * 998] * 300, ".", "+OK", "two", ".")

    with mailbox(scripted(script).port, max_size=100_000, spool=tmp_path).session() as session:
        assert [each.raw for each in session.fetch(session.listing())] == [b"two\r\n"]
        assert [(each.number, "limit" in why) for each, why in session.left_out] == [(1, True)]


def test_no_room_for_a_big_message_ends_the_session_and_deletes_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(wire, "SPOOL_OVER", 1_000)
    with MailHost({"edi": "s3cret"}) as host:
        host.deliver("edi", b"Subject: big\r\n\r\n" + b"x" * 2_000_000 + b"\r\n")
        with mailbox(host.pop3_port, spool=tmp_path / "gone").session() as session:
            listing = session.listing()
            session.delete(listing)
            with pytest.raises(MailboxUnavailable, match="no room"):
                list(session.fetch(listing))
            with pytest.raises(MailboxUnavailable):
                session.commit()
        assert len(host.waiting("edi")) == 1


@pytest.mark.parametrize("verb", ["CAPA", "USER", "PASS", "LIST", "UIDL", "TOP", "RETR", "DELE"])
def test_a_server_that_falls_silent_at_any_reply_is_given_up_and_has_lost_nothing(verb):
    def hook(said, _argument):
        return Fault(delay=1.0) if said == verb else None

    with MailHost({"edi": "s3cret"}, pop3_hook=hook) as host:
        host.deliver("edi", b"Subject: x\r\n\r\n")
        with pytest.raises(MailboxUnavailable):
            empty(mailbox(host.pop3_port, timeout=0.15))
        assert len(host.waiting("edi")) == 1


def test_a_refused_dele_leaves_that_message_and_deletes_the_others():
    def hook(verb, argument):
        return Fault(reply="-ERR [SYS/TEMP] not now") if (verb, argument) == ("DELE", "1") else None

    with MailHost({"edi": "s3cret"}, pop3_hook=hook) as host:
        for subject in (b"1", b"2"):
            host.deliver("edi", b"Subject: " + subject + b"\r\n\r\n")
        with mailbox(host.pop3_port).session() as session:
            session.delete(session.listing())
            session.commit()
        assert host.waiting("edi") == (b"Subject: 1\r\n\r\n",)
