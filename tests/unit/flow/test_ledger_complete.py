"""The ledger tells everything of a mail, its documents, their delivery and the hosts' answers, in full length."""

from __future__ import annotations

import email.utils
import hashlib
import json

import pytest
from builders.stage import WHEN, Stage, invoice, orders

from gateway.demo import documents
from gateway.flow.submit import submit
from gateway.ledger.events import event_of


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def events(stage: Stage, kind: str) -> list[dict[str, object]]:
    """The bodies of all events of a kind."""
    return [dict(event_of(row).body) for row in stage.rows("event") if row["kind"] == kind]


def test_subject_message_id_and_every_address_are_kept_whole(stage):
    """A tracked property is never cut, however long a sender makes it."""
    many = [f"clerk{number}@example.com" for number in range(1_500)]
    long_id = f"<{'x' * 900}@acme.example>"
    raw = stage.mail(orders(1), subject="S" * 5_000, Cc=", ".join(many))
    stage.mailbox.messages.clear()
    stage.mailbox.deliver(raw.replace(b"<1@acme.example>", long_id.encode()))
    stage.run()
    (message,) = [row for row in stage.rows("message") if row["direction"] == "in"]
    exchange = stage.rows("exchange")[0]
    for row in (message, exchange):
        assert row["subject"] == "S" * 5_000
        assert row["message_id"] == long_id
    assert json.loads(message["cc_addresses"]) == many
    assert json.loads(exchange["to_addresses"]) == ["edi@us.example", *many]


def test_a_message_id_that_is_none_is_kept_as_it_was_written(stage):
    raw = stage.mail(orders(1))
    stage.mailbox.messages.clear()
    stage.mailbox.deliver(raw.replace(b"<1@acme.example>", b"Order 17 of ACME"))
    stage.run()
    assert stage.rows("message")[0]["message_id"] == "Order 17 of ACME"


def test_each_interchange_of_a_strangers_mail_does_not_repeat_its_longest_headers(stage):
    """The message has all of it; what repeats it for each of many interchanges keeps only the beginning."""
    stage.mail(orders(1), sender="who@stranger.example", subject="S" * 5_000)
    stage.run()
    assert len(stage.rows("message")[0]["subject"]) == 5_000
    assert len(stage.rows("exchange")[0]["subject"]) == 1_000


def test_what_we_send_has_its_payload_with_file_name_content_type_size_and_hash(stage):
    submit(stage.context(), "acme", invoice(), name="inv.edi")
    stage.run()
    (exchange,) = [row for row in stage.rows("exchange") if row["direction"] == "out"]
    (message,) = stage.rows("message")
    (payload,) = stage.rows("payload")
    assert (exchange["payload"], payload["message"]) == (payload["id"], message["id"])
    assert payload["file_name"] == exchange["file_name"]
    assert (payload["content_type"], payload["size"]) == ("application/EDI-X12", exchange["size"])
    assert payload["sha256"] == exchange["sha256"]
    assert message["dated"] == stage.sent[0]["Date"]
    assert email.utils.parsedate_to_datetime(message["dated"]).timestamp() * 1000 == stage.now


def test_a_delivery_is_told_with_the_hash_and_size_of_what_the_business_got(stage):
    stage.mail(orders(1, documents.order("PO-1", WHEN), documents.order("PO-2", WHEN)))
    stage.run()
    files = list(stage.delivered.values())
    assert [each["sha256"] for each in events(stage, "delivered")] == [hashlib.sha256(f).hexdigest() for f in files]
    assert [each["size"] for each in events(stage, "delivered")] == [len(f) for f in files]


def test_a_delivery_that_failed_is_told_with_its_target_and_reason(stage):
    stage.settings.inbox.mkdir(parents=True, exist_ok=True)
    (stage.settings.inbox / "acme").write_text("a file where the directory should be")
    stage.mail(orders(1))
    stage.run()
    (told,) = events(stage, "delivery-failed")
    assert str(stage.settings.inbox / "acme") in str(told["reason"])
    assert told["code"] == "delivery.failed"


def test_positions_of_findings_count_in_the_interchange_that_is_kept(stage):
    """Of two interchanges in one file, the second one's findings point into its own bytes."""
    bad = documents.order("PO-2", WHEN, quantity="A DOZEN")
    stage.mail(orders(1) + orders(2, bad))
    stage.run()
    (found,) = stage.rows("finding")
    exchange = next(row for row in stage.rows("exchange") if row["id"] == found["exchange"])
    kept = stage.ledger.content(str(exchange["sha256"]))
    assert kept[int(found["offset"]) :].startswith(b"PO1*")


def test_what_the_host_answered_is_kept_word_for_word_where_it_took_nothing(stage):
    stage.transport.refused["edi@acme.example"] = "451 4.7.1 greylisted, come back in five minutes"
    submit(stage.context(), "acme", invoice(), name="inv.edi")
    stage.run()
    (told,) = events(stage, "deferred")
    assert (told["reply"], told["attempt"]) == ("451 4.7.1 greylisted, come back in five minutes", 1)
