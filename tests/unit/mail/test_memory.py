"""The faults that the in-memory twins can be told to have."""

from __future__ import annotations

import pytest

from gateway.errors import MailboxBusy, MailboxUnavailable, OutcomeUnknown, Refused, TemporarilyRefused
from gateway.mail.memory import MemoryMailbox, MemoryTransport
from gateway.mail.model import OutgoingMail

MAIL = OutgoingMail("us@example.com", ("one@example.com", "two@example.com"), b"x")


@pytest.mark.parametrize("step", ["session", "listing", "fetch", "commit"])
def test_a_mailbox_fails_where_it_is_told_to_and_deletes_nothing(step):
    box = MemoryMailbox(messages=[b"one"])
    box.faults[step] = MailboxUnavailable(mailbox="memory", host="memory", reason="told to")

    def collect():
        with box.session() as session:
            listed = session.listing()
            session.delete(each.listed for each in session.fetch(listed))
            session.commit()

    with pytest.raises(MailboxUnavailable):
        collect()
    assert len(box.messages) == 1


def test_a_lost_answer_to_commit_has_deleted_all_the_same():
    box = MemoryMailbox(messages=[b"one"])
    box.loses_commit_reply = True
    with box.session() as session:
        session.delete(session.listing())
        with pytest.raises(MailboxUnavailable):
            session.commit()
    assert box.messages == {}


def test_one_session_at_a_time():
    box = MemoryMailbox()
    with box.session(), pytest.raises(MailboxBusy), box.session():
        pass
    with box.session() as session:
        session.commit()
        with pytest.raises(MailboxUnavailable):
            session.listing()


def test_a_refused_message_is_left_out():
    box = MemoryMailbox(messages=[b"one", b"two"])
    box.refused.add("000001")
    with box.session() as session:
        assert [each.raw for each in session.fetch(session.listing())] == [b"two"]
        assert [listed.uid for listed, _ in session.left_out] == ["000001"]


def test_a_transport_answers_what_it_is_told_to():
    transport = MemoryTransport(user="us")

    def refuse(mail):
        raise TemporarilyRefused(host="memory", reply="451 later")

    def lose(mail):
        raise OutcomeUnknown(host="memory")

    with transport.session() as session:
        transport.answer = refuse
        with pytest.raises(TemporarilyRefused):
            session.send(MAIL)
        assert transport.sent == []
        transport.answer, transport.after_taking = None, lose
        with pytest.raises(OutcomeUnknown):
            session.send(MAIL)
        assert transport.sent == [MAIL]


def test_a_transport_names_refused_recipients():
    transport = MemoryTransport()
    transport.refused["one@example.com"] = "550 no"
    with transport.session() as session:
        assert session.send(MAIL).refused == (("one@example.com", "550 no"),)
        transport.refused["two@example.com"] = "550 no"
        with pytest.raises(Refused):
            session.send(MAIL)
