"""Collecting: what is downloaded, what is left, what is deleted, and what a person is shown of it."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from builders.stage import HOUR, Stage, orders
from msgspec.structs import replace

from gateway.errors import MailboxUnavailable
from gateway.flow import collect as collecting
from gateway.flow.collect import collect_from
from gateway.ledger import archive
from gateway.ledger.attention import attention
from gateway.mail import maildir as maildir_module
from gateway.mail import wire
from gateway.mail.host import MailHost
from gateway.mail.host.faults import Fault
from gateway.mail.maildir import MaildirMailbox
from gateway.mail.model import Credentials
from gateway.mail.pop3 import Pop3Mailbox
from gateway.settings.model import Limits, MailboxSettings

DAY = 24 * HOUR


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def left(stage, days=None):
    """Mail stays on the server from now on, for so many days."""
    span = None if days is None else timedelta(days=days)
    kept = MailboxSettings(name="orders", protocol="pop3", keep_on_server=True, keep_for=span)
    stage.settings = replace(stage.settings, mailboxes=(kept,))


def mail(number, words="see attachment"):
    return f"From: a@b.example\r\nSubject: {number:03}\r\nMessage-ID: <{number:03}@x>\r\n\r\n{words}\r\n".encode()


def stored(stage):
    """The kept bytes of all received mails, oldest first."""
    return [stage.ledger.content(str(row["sha256"])) for row in stage.rows("message")]


def needed(stage):
    with stage.ledger.reading() as connection:
        return attention(connection)


def pop3(host, name="orders", **changes):
    settings = {
        "name": name, "host": host.host, "port": host.pop3_port, "security": "none", "plaintext_password": True,
        "credentials": Credentials("edi", lambda: "s3cret"), "timeout": 10.0,
    }  # fmt: skip
    return Pop3Mailbox(**settings | changes)


# ---------------------------------------------------------------- mail that is left on its server


def test_after_its_days_on_the_server_a_mail_is_deleted_there_and_not_taken_again(stage):
    left(stage, days=14)
    stage.mail(orders(1))
    stage.run()
    stage.now += 14 * DAY - 1
    stage.run()
    assert len(stage.mailbox.messages) == 1
    stage.now += 1
    assert stage.run().counts == {"seen before": 1}
    assert stage.mailbox.messages == {}
    assert len(stage.delivered) == 1


def test_a_mail_whose_bytes_are_not_ours_is_not_deleted_when_its_days_are_over(stage):
    """Another mail took over the UID, with the size and the header block of the first: it is new, and stays."""
    left(stage, days=1)
    uid = stage.mailbox.deliver(mail(1, "one"))
    stage.run()
    stage.mailbox.messages[uid] = mail(1, "two")
    stage.now += 2 * DAY
    stage.run()
    assert stage.mailbox.messages == {uid: mail(1, "two")}
    assert stored(stage) == [mail(1, "one"), mail(1, "two")]
    stage.now += 2 * DAY
    stage.run()
    assert stage.mailbox.messages == {}


def test_another_mail_under_a_known_uid_with_the_same_size_is_seen_by_its_header_block(stage):
    left(stage)
    uid = stage.mailbox.deliver(mail(1))
    stage.run()
    stage.mailbox.messages[uid] = mail(2)
    stage.run()
    assert stored(stage) == [mail(1), mail(2)]
    assert stage.run().counts == {}, "and from then on it is known"


def test_what_servers_change_in_a_header_block_by_themselves_is_no_new_mail(stage):
    left(stage)
    uid = stage.mailbox.deliver(b"Status: N\r\nX-UID: 1\r\n" + mail(1))
    stage.run()
    stage.mailbox.messages[uid] = b"X-UID: 2\r\nStatus: R\r\n" + mail(1)
    assert stage.run().counts == {}


def test_in_each_run_some_header_blocks_are_looked_at_and_over_the_runs_all(stage, monkeypatch):
    monkeypatch.setattr(collecting, "HEADS", 2)
    monkeypatch.setattr(collecting.random, "sample", random.Random(1).sample)
    left(stage)
    uids = [stage.mailbox.deliver(mail(number)) for number in range(6)]
    stage.run()
    for number, uid in enumerate(uids):
        stage.mailbox.messages[uid] = mail(100 + number)
    counts = [stage.run().counts.get("collected", 0) for _ in range(40)]
    assert counts[0] == 2
    assert sum(counts) == 6


def test_a_uid_that_was_gone_and_is_back_is_downloaded(stage):
    left(stage)
    first = mail(1)
    uid = stage.mailbox.deliver(first)
    stage.run()
    del stage.mailbox.messages[uid]
    stage.run()
    stage.mailbox.messages[uid] = mail(1).replace(b"see attachment", b"SEE ATTACHMENT")
    assert stage.run().counts["collected"] == 1
    assert len(stored(stage)) == 2


def test_a_mail_that_was_gone_and_is_back_begins_its_days_anew(stage):
    left(stage, days=10)
    uid = stage.mailbox.deliver(mail(1))
    stage.run()
    del stage.mailbox.messages[uid]
    stage.run()
    stage.now += 11 * DAY
    stage.mailbox.messages[uid] = mail(1)
    stage.run()
    assert len(stage.mailbox.messages) == 1
    stage.now += 10 * DAY
    stage.run()
    assert stage.mailbox.messages == {}


def test_two_messages_under_one_uid_are_both_taken_and_always_looked_at(stage):
    def hook(verb, _argument):
        return Fault(reply="+OK\r\n1 same\r\n2 same\r\n.") if verb == "UIDL" else None

    with MailHost({"edi": "s3cret"}, pop3_hook=hook) as host:
        for number in (1, 2):
            host.deliver("edi", mail(number))
        for expected in (2, 0, 0):
            assert collect_from(stage.context(), pop3(host), keep_on_server=True) == expected
        stage.now += 20 * DAY
        collect_from(stage.context(), pop3(host), keep_on_server=True, keep_for=timedelta(days=14))
        assert host.waiting("edi") == ()
    assert stored(stage) == [mail(1), mail(2)]


def test_without_uidl_and_top_the_bytes_decide(stage):
    def hook(verb, _argument):
        return Fault(reply="-ERR never heard of it") if verb in {"UIDL", "TOP"} else None

    with MailHost({"edi": "s3cret"}, pop3_hook=hook) as host:
        for number in (1, 2):
            host.deliver("edi", mail(number))
        assert collect_from(stage.context(), pop3(host), keep_on_server=True) == 2
        host.deliver("edi", mail(3))
        assert collect_from(stage.context(), pop3(host), keep_on_server=True) == 1
        stage.now += 20 * DAY
        collect_from(stage.context(), pop3(host), keep_on_server=True, keep_for=timedelta(days=14))
        assert host.waiting("edi") == ()
    assert stored(stage) == [mail(1), mail(2), mail(3)]


# ---------------------------------------------------------------- what is not taken


def test_a_mail_over_the_limit_needs_a_person_until_it_is_taken(stage):
    stage.limits = Limits(message_size=600)
    stage.mail(orders(1))
    stage.run()
    stage.run()
    (shown,) = needed(stage)
    assert (shown.reference, shown.state) == ("orders", "not taken")
    assert "the limit is 600" in shown.reason
    assert stage.kinds().count("not-taken") == 1
    stage.limits = Limits()
    stage.run()
    assert needed(stage) == []
    assert len(stage.delivered) == 1


def test_a_mail_over_the_limit_that_is_gone_from_its_server_needs_nobody(stage):
    stage.limits = Limits(message_size=600)
    stage.mail(orders(1))
    stage.run()
    stage.mailbox.messages.clear()
    stage.run()
    assert needed(stage) == []


def test_a_mail_over_the_limit_is_noted_even_when_the_download_of_the_others_fails(stage):
    stage.limits = Limits(message_size=600)
    stage.mail(orders(1))
    stage.mailbox.deliver(mail(1))
    stage.mailbox.faults["fetch"] = MailboxUnavailable(mailbox="orders", host="memory", reason="gone")
    stage.run()
    assert [each.state for each in needed(stage)] == ["not taken"]


def test_a_mail_that_the_server_does_not_give_needs_a_person_until_it_does(stage):
    uid = stage.mailbox.deliver(mail(1))
    stage.mailbox.deliver(mail(2))
    stage.mailbox.refused.add(uid)
    stage.run()
    assert stored(stage) == [mail(2)]
    assert [(each.state, "does not give" in each.reason) for each in needed(stage)][-1] == ("not taken", True)
    stage.mailbox.refused.clear()
    stage.run()
    assert "not taken" not in [each.state for each in needed(stage)]
    assert stored(stage) == [mail(2), mail(1)]


# ---------------------------------------------------------------- ends of sessions that say nothing


def test_after_a_lost_answer_to_quit_nothing_is_taken_twice_or_lost(stage):
    stage.mailbox.loses_commit_reply = True
    stage.mail(orders(1))
    assert stage.run().exit_code == 69
    stage.mailbox.loses_commit_reply = False
    assert stage.run().exit_code == 0
    assert len(stage.delivered) == 1


def test_a_quit_that_deleted_only_some_is_made_good_by_the_next_run(stage):
    replies = iter(["-ERR some deleted messages not removed"])

    def hook(verb, _argument):
        return Fault(reply=found) if verb == "QUIT" and (found := next(replies, "")) else None

    with MailHost({"edi": "s3cret"}, pop3_hook=hook) as host:
        for number in (1, 2):
            host.deliver("edi", mail(number))
        with pytest.raises(MailboxUnavailable, match="some messages may still be there"):
            collect_from(stage.context(), pop3(host))
        assert len(host.waiting("edi")) == 2
        assert collect_from(stage.context(), pop3(host)) == 0
        assert host.waiting("edi") == ()
    assert stored(stage) == [mail(1), mail(2)]
    assert stage.kinds().count("resighted") == 2


# ---------------------------------------------------------------- messages of any size


@pytest.fixture
def small_pieces(monkeypatch):
    """Everything above a kilobyte is big."""
    monkeypatch.setattr(archive, "WHOLE", 1_000)
    monkeypatch.setattr(archive, "PIECE", 300)
    monkeypatch.setattr(wire, "SPOOL_OVER", 1_000)
    monkeypatch.setattr(maildir_module, "SPOOL_OVER", 1_000)


@pytest.mark.usefixtures("small_pieces")
def test_a_big_mail_goes_its_whole_way_in_pieces(stage):
    raw = stage.mail(orders(1))
    assert stage.run().exit_code == 0
    (row,) = (each for each in stage.rows("content") if each["sha256"] == stage.rows("message")[0]["sha256"])
    assert (row["bytes"], row["size"], row["pieces"]) == (b"", len(raw), -(-len(raw) // 300))
    assert stored(stage)[0] == raw
    assert stage.states("in") == ["delivered"]
    assert list(stage.delivered.values()) == [orders(1)]
    assert len(stage.sent) == 1


@pytest.mark.usefixtures("small_pieces")
def test_a_big_mail_that_comes_again_is_kept_once(stage):
    stage.mail(orders(1))
    stage.run()
    before = len(stage.rows("content_piece"))
    stage.mailbox.messages["again"] = stored(stage)[0]
    assert stage.run().counts == {"seen before": 1}
    assert len(stage.rows("content_piece")) == before


@pytest.mark.usefixtures("small_pieces")
def test_big_mails_from_pop3_and_from_a_maildir_are_kept_as_they_came(stage, tmp_path):
    big = mail(1, "x" * 3_000_000)
    with MailHost({"edi": "s3cret"}) as host:
        host.deliver("edi", big)
        host.deliver("edi", mail(2))
        assert collect_from(stage.context(), pop3(host, spool=tmp_path)) == 2
        assert host.waiting("edi") == ()
    for folder in ("new", "cur"):
        (tmp_path / "box" / folder).mkdir(parents=True)
    (tmp_path / "box" / "new" / "1.big").write_bytes(mail(3, "y" * 5_000))
    assert collect_from(stage.context(), MaildirMailbox("dir", tmp_path / "box", spool=tmp_path)) == 1
    assert stored(stage) == [big, mail(2), mail(3, "y" * 5_000)]
    assert list((tmp_path / "box" / "new").iterdir()) == []


@pytest.mark.usefixtures("small_pieces")
def test_a_group_that_is_not_committed_keeps_no_piece(stage, monkeypatch):
    stage.mail(orders(1))

    def broken(*_arguments, **_words):
        raise RuntimeError("the plug was pulled")

    monkeypatch.setattr(collecting.Recorder, "put", broken)
    stage.run()
    monkeypatch.undo()
    assert stage.rows("content_piece") == []
    assert len(stage.mailbox.messages) == 1
