"""A Maildir, with other readers and odd files around."""

from __future__ import annotations

import os

import pytest

from gateway.errors import MailboxUnavailable
from gateway.mail.maildir import MaildirMailbox


@pytest.fixture
def maildir(tmp_path):
    for folder in ("new", "cur", "tmp"):
        (tmp_path / folder).mkdir()
    return tmp_path


def put(maildir, name, raw=b"Subject: x\n\n.\nbare LF\n", folder="new"):
    (maildir / folder / name).write_bytes(raw)


def test_bytes_are_those_of_the_file(maildir):
    put(maildir, "1700000000.1.host")
    with MaildirMailbox("box", maildir).session() as session:
        (fetched,) = session.fetch(session.listing())
    assert fetched.raw == b"Subject: x\n\n.\nbare LF\n"


def test_the_oldest_comes_first_by_the_time_in_its_name(maildir):
    put(maildir, "1700000009.1.host:2,S", folder="cur")
    put(maildir, "1700000010.1.host")
    put(maildir, "999.1.host")
    with MaildirMailbox("box", maildir).session() as session:
        assert [each.uid for each in session.listing()] == ["999.1.host", "1700000009.1.host", "1700000010.1.host"]


def test_a_message_that_a_reader_moves_is_still_fetched_and_deleted(maildir):
    put(maildir, "1700000000.1.host")
    with MaildirMailbox("box", maildir).session() as session:
        listed = session.listing()
        fetching = session.fetch([listed[0], listed[0]])
        next(fetching)
        (maildir / "new" / "1700000000.1.host").rename(maildir / "cur" / "1700000000.1.host:2,S")
        assert next(fetching).raw
        session.delete(listed)
        session.commit()
    assert list((maildir / "cur").iterdir()) == []


def test_a_message_that_is_gone_is_left_out(maildir):
    put(maildir, "1700000000.1.host")
    with MaildirMailbox("box", maildir).session() as session:
        listed = session.listing()
        (maildir / "new" / "1700000000.1.host").unlink()
        assert list(session.fetch(listed)) == []
        assert [why for _, why in session.left_out] == ["the file is gone"]
        session.delete(listed)
        session.commit()


def test_only_plain_files_are_messages(maildir):
    (maildir / "secret").write_text("not a mail")
    (maildir / "new" / "link").symlink_to(maildir / "secret")
    (maildir / "new" / "directory").mkdir()
    os.mkfifo(maildir / "new" / "fifo")
    put(maildir, ".hidden")
    put(maildir, "half", folder="tmp")
    with MaildirMailbox("box", maildir).session() as session:
        assert list(session.listing()) == []


def test_a_file_that_turns_into_a_link_is_not_followed(maildir):
    put(maildir, "1.1.host")
    (maildir / "secret").write_text("not a mail")
    with MaildirMailbox("box", maildir).session() as session:
        listed = session.listing()
        (maildir / "new" / "1.1.host").unlink()
        (maildir / "new" / "1.1.host").symlink_to(maildir / "secret")
        assert list(session.fetch(listed)) == []


def test_a_message_past_the_limit_is_listed_and_left_out(maildir):
    put(maildir, "1.1.host", b"x" * 2_000)
    with MaildirMailbox("box", maildir, max_size=1_000).session() as session:
        listed = session.listing()
        assert listed[0].size == 2_000
        assert list(session.fetch(listed)) == []
        assert len(session.left_out) == 1


def test_a_directory_that_is_no_maildir_is_unavailable(tmp_path):
    with pytest.raises(MailboxUnavailable), MaildirMailbox("box", tmp_path).session():
        pass


def test_a_file_name_that_is_no_utf8_is_a_message_like_any_other(maildir):
    put(maildir, os.fsdecode(b"1.\xff\xfe.host"), b"Subject: x\r\n\r\n")
    with MaildirMailbox("box", maildir).session() as session:
        listed = session.listing()
        assert [each.raw for each in session.fetch(listed)] == [b"Subject: x\r\n\r\n"]
        assert listed[0].uid.encode("utf-8")  # fit for any database
        session.delete(listed)
        session.commit()
    assert list((maildir / "new").iterdir()) == []
