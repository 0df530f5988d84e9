"""What was repaired in a mail is recorded and told, and its raw bytes are kept."""

from __future__ import annotations

import hashlib
import time

import pytest
from builders.hostile import EDI, MAILS
from builders.stage import Stage

from gateway.flow.intact import find_isa
from gateway.ledger.story import message_story, raw_bytes, story
from gateway.ledger.telling import tell, tell_message


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def test_a_repaired_payload_is_recorded_with_its_repairs_and_delivered(stage):
    raw = MAILS["wrapped at 76"].raw
    stage.mailbox.deliver(raw)
    stage.run()
    assert stage.states("in") == ["delivered"]
    assert stage.rows("payload")[0]["repairs"] == "lines that were wrapped at 76 characters rejoined"
    assert raw_bytes(stage.engine, hashlib.sha256(raw).hexdigest()) == raw
    told = "\n".join(tell(story(stage.engine, 1)))
    assert "1: lines that were wrapped at 76 characters rejoined" in told


def test_an_archive_is_told_with_its_name(stage):
    stage.mailbox.deliver(MAILS["zip"].raw)
    stage.run()
    payload = stage.rows("payload")[0]
    assert (payload["path"], payload["file_name"]) == ("1/1", "a.edi")
    assert payload["repairs"] == "taken from the archive a.zip"
    assert "a.edi: taken from the archive a.zip" in "\n".join(tell_message(message_story(stage.engine, 1)))


def test_what_is_damaged_is_quarantined_with_its_place_and_gets_no_answer(stage):
    stage.mailbox.deliver(MAILS["base64 with a character replaced"].raw)
    stage.run()
    (message,) = stage.rows("message")
    assert (message["state"], message["fault_code"]) == ("quarantined", "content.damaged")
    assert "The part 1 cannot be decoded without guessing" in str(message["fault"])
    assert (stage.sent, stage.delivered) == ([], {})


def test_a_broken_mail_is_quarantined_with_its_sender_and_subject(stage):
    stage.mailbox.deliver(MAILS["no boundary"].raw)
    stage.run()
    (message,) = stage.rows("message")
    assert (message["state"], message["from_address"], message["subject"]) == (
        "quarantined", "edi@acme.example", "orders",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["51 hosts", "our own mail"])
def test_a_mail_that_runs_in_circles_is_never_answered(stage, name):
    stage.mailbox.deliver(MAILS[name].raw)
    stage.run()
    (message,) = stage.rows("message")
    assert (message["state"], message["fault_code"]) == ("quarantined", "message.loop")
    assert stage.sent == []


def test_an_interchange_is_found_among_a_hundred_thousand_false_ones_in_a_moment():
    began = time.process_time()
    flood = b"\nISA*00*" * 100_000
    assert find_isa(flood) == -1
    assert find_isa(flood + EDI) == len(flood)
    assert find_isa(b" " * 30_000 + EDI) == 30_000
    assert time.process_time() - began < 2
