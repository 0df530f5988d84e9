"""The same flow on SQLite and on PostgreSQL: a night in, a night out, acknowledged, duplicated, found."""

from __future__ import annotations

import pytest
from builders.stage import Stage, acknowledgment, invoice, orders

from gateway.flow import operate
from gateway.flow.submit import submit
from gateway.ledger.standing import counts

pytestmark = pytest.mark.integration


def test_a_whole_life_on_both_databases(ledger_engine, tmp_path):
    stage = Stage(tmp_path, engine=ledger_engine)
    for number in range(1, 31):
        stage.mail(orders(number))
    stage.mail(orders(99), sender="sales@stranger.example")
    submit(stage.context(), "acme", invoice("INV-1"))
    submit(stage.context(), "globex", invoice("INV-2"))
    first = stage.run()
    assert first.counts["documents delivered"] == 30
    assert first.counts["mails sent"] == 32
    stage.mail(acknowledgment(100, 1, "R"))
    stage.mail(orders(1))
    second = stage.run()
    assert second.counts["interchanges duplicate"] == 1
    assert second.counts["acknowledgments repeated"] == 1
    assert second.counts["sent interchanges rejected by partners"] == 1
    assert sorted({each.state for each in second.attention}) == ["quarantined", "refused by the partner"]
    with stage.ledger.reading() as connection:
        assert counts(connection, 0)["in delivered"] == 30
    numbers = [row["control_number"] for row in stage.rows("exchange") if row["direction"] == "out"]
    # Documents and acknowledgments of one identity pair share one gapless count.
    assert max(numbers, key=int) == "000000031"
    refused = next(each for each in second.attention if each.state == "refused by the partner")
    operate.settle(stage.context(), int(refused.reference), actor="anna", reason="called")
    assert len(stage.run().attention) == 1


def test_what_is_no_x12_beside_a_good_file_waits_until_it_is_discarded(ledger_engine, tmp_path):
    stage = Stage(tmp_path, engine=ledger_engine)
    stage.mail(orders(1) + orders(2)[1:], b"7z\xbc\xaf\x27\x1c\0", b"")
    first = stage.run()
    assert first.counts["documents delivered"] == 1
    assert [each.code for each in first.attention] == ["payload.not-x12"] * 3
    for each in first.attention:
        operate.discard(stage.context(), each.reference, actor="anna", reason="asked")
    last = stage.run()
    assert (last.exit_code, last.attention) == (0, ())


def test_a_rolled_back_transaction_gives_its_numbers_back(ledger_engine, tmp_path):
    stage = Stage(tmp_path, engine=ledger_engine)

    def take_and_fail():
        with stage.ledger.transaction() as recorder:
            recorder.take_number("acme", "ZZ:A", "ZZ:B", "interchange", lambda number: number + 1)
            recorder.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        take_and_fail()
    with stage.ledger.transaction() as recorder:
        assert recorder.take_number("acme", "ZZ:A", "ZZ:B", "interchange", lambda number: number + 1) == 1
    with stage.ledger.transaction() as recorder:
        assert recorder.take_number("acme", "ZZ:A", "ZZ:B", "interchange", lambda number: number + 1) == 2


def test_hostile_text_stops_neither_database(ledger_engine, tmp_path):
    stage = Stage(tmp_path, engine=ledger_engine)
    stage.mailbox.deliver(
        b"From: edi@acme.example\r\nTo: edi@us.example\r\nSubject: a =?utf-8?q?=00=ED=A0=80?= b \xff\r\n"
        b"Message-ID: <nul@acme.example>\r\n\r\n" + orders(1).replace(b"PO-1*", b"PO\x001\xff*")
    )
    stage.mail(orders(2))
    stage.run()
    assert len(stage.delivered) >= 1
    assert len(stage.rows("message")) >= 2
