"""What partners write may be of any length and shape: both databases keep it, and judge it, alike."""

from __future__ import annotations

import json
import random
import string

import pytest
from builders.stage import WHEN, Stage, orders

from gateway.demo import documents
from gateway.ledger.chain import follow
from gateway.ledger.key_value import key_value

pytestmark = pytest.mark.integration


@pytest.fixture
def stage(tmp_path, ledger_engine):
    return Stage(tmp_path, engine=ledger_engine)


def noise(length: int) -> str:
    """Characters that no database makes shorter: an index of PostgreSQL takes 2,704 bytes, compressed."""
    chance = random.Random(length)
    return "".join(chance.choice(string.ascii_letters + string.digits) for _ in range(length))


def test_a_number_longer_than_any_index_is_rejected_for_its_length_and_found_by_it(stage):
    """Not quarantined for a failure of ours, which it was on PostgreSQL."""
    number = noise(9_000)
    stage.mail(orders(1, documents.order(number, WHEN)))
    stage.run()
    exchange = stage.rows("exchange")[0]
    assert (exchange["state"], exchange["verdict"]) == ("rejected", "rejected")
    (key,) = stage.rows("business_key")
    assert key["value"] == key_value(number)
    assert [each.exchange for each in follow(stage.engine, number).documents] == [exchange["id"]]
    assert "too long" in str(stage.rows("finding")[0]["message"])


def test_control_numbers_and_set_ids_of_any_length_are_kept(stage):
    raw = (
        orders(1)
        .replace(b"*1*X*004010", f"*{noise(5_000)}*X*004010".encode())
        .replace(b"ST*850*0001", f"ST*850*{noise(5_000)}".encode())
    )
    stage.mail(raw)
    summary = stage.run()
    assert stage.rows("exchange")[0]["state"] in {"rejected", "accepted", "delivered"}
    assert "messages quarantined" not in summary.counts


def test_headers_of_any_length_are_kept_whole(stage):
    long_id = f"<{noise(900)}@acme.example>"
    raw = stage.mail(orders(1), subject=noise(30_000), Cc=", ".join(f"c{n}@x{n}.example" for n in range(3_000)))
    stage.mailbox.messages.clear()
    stage.mailbox.deliver(raw.replace(b"<1@acme.example>", long_id.encode()))
    stage.run()
    exchange = stage.rows("exchange")[0]
    assert (exchange["state"], exchange["message_id"], exchange["subject"]) == ("delivered", long_id, noise(30_000))
    assert len(json.loads(str(exchange["to_addresses"]))) == 3_001


def test_hundreds_of_keys_of_one_document_are_kept(stage):
    """Business keys are extracted up to any number."""
    segments = [
        "ST*850*0001", "BEG*00*SA*PO-1**20261102", *(f"REF*DP*{n:05}" for n in range(400)), "PO1*1*1*EA*1**BP*A",
        "CTT*1",
    ]  # fmt: skip
    stage.profiles[0] = stage.profiles[0].replace(
        'versions = ["004010"]\n', 'versions = ["004010"]\nbusiness_keys = { department = "REF02[REF01=DP]" }\n', 1
    )
    raw = documents.interchange("ZZ:ACMERETAIL", "ZZ:EXAMPLECO", 1, WHEN, [("PO", "004010", [segments])])
    stage.mail(raw)
    stage.run()
    names = [row["name"] for row in stage.rows("business_key")]
    assert (names.count("department"), names.count("po")) == (400, 1)
