"""What should have come and did not, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import threading

import pytest
from builders.stage import ACME, HOUR, Stage, acknowledgment, invoice, orders

from gateway.flow import arrivals, gaps
from gateway.flow.collect import collect
from gateway.flow.inbound import process
from gateway.flow.submit import submit
from gateway.ledger.missing import arrivals_of, gaps_of, series_of

pytestmark = pytest.mark.integration

DAY = 24 * HOUR
PROFILE = (
    ACME + '\n[[expected]]\nsets = ["850"]\nby = "23:00"\ndays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]\n'
)


def test_missing_numbers_and_their_late_arrival_on_both_databases(ledger_engine, tmp_path):
    stage = Stage(tmp_path, engine=ledger_engine)
    for number in (999_999_997, 999_999_999, 2, 3):
        stage.mail(orders(number))
    assert stage.run().attention == ()
    stage.now += DAY
    told = sorted(each.what for each in stage.run().attention)
    assert told == [
        "from acme: interchange number 1 of ZZ:ACMERETAIL did not come",
        "from acme: interchange number 999999998 of ZZ:ACMERETAIL did not come",
    ]
    stage.mail(orders(999_999_998))
    stage.run()
    with stage.ledger.reading() as connection:
        assert [(each.first, each.last) for each in gaps_of(connection, "acme") if each.level == "interchange"] == [
            (1, 1)
        ]
        (first,) = [each for each in series_of(connection, "acme") if each.level == "interchange"]
    assert (first.epoch, first.reason, first.lowest, first.highest, first.came) == (2, "wrapped", 1, 3, 5)
    finding = next(each for each in stage.run().attention)
    gaps.close(stage.context(), int(finding.reference[1:]), actor="anna", reason="never used")
    gaps.reset(stage.context(), "acme", 1, groups=False, actor="anna", reason="new system")
    stage.now += HOUR
    stage.mail(orders(1))
    assert stage.run().attention == ()
    assert [row["epoch"] for row in stage.rows("received_number") if row["level"] == "interchange"][-1] == 3


def test_what_is_not_accepted_is_not_missing_from_its_own_count_on_both_databases(ledger_engine, tmp_path):
    """The partner goes back to 1 without a word: 2 is refused before the first accepted number shows the new count."""
    stage = Stage(tmp_path, engine=ledger_engine)
    for number in (501, 503):
        stage.mail(orders(number))
    stage.run()
    stage.now += HOUR
    stage.mail(orders(2).replace(b"*P*:", b"*I*:"))
    stage.mail(orders(502, sender="ZZ:ACMEWEST").replace(b"*P*:", b"*I*:"))
    stage.run()
    stage.now += HOUR
    for number in (3, 1):
        stage.mail(orders(number))
    stage.run()
    stage.now += DAY
    told = [each.what for each in stage.run().attention if each.reference.startswith("g")]
    assert sorted(told) == [
        "from acme: interchange number 502 of ZZ:ACMERETAIL did not come",
        "from acme: the interchange numbers of ZZ:ACMERETAIL went back from 503 to 3",
    ]


def test_a_number_that_was_used_before_the_new_beginning_is_free_on_both_databases(ledger_engine, tmp_path):
    stage = Stage(tmp_path, engine=ledger_engine)
    stage.mail(orders(1))
    stage.run()
    stage.now += HOUR
    gaps.reset(stage.context(), "acme", 1, groups=False, actor="anna", reason="new system")
    stage.now += HOUR
    stage.mail(orders(1).replace(b"PO-1*", b"PO-2*").replace(b"*261102*2200*U", b"*261103*2200*U"))
    stage.mail(orders(1))
    stage.run()
    assert stage.states("in") == ["delivered", "delivered", "duplicate"]


def test_numbers_that_mean_nothing_become_one_finding_on_both_databases(ledger_engine, tmp_path):
    stage = Stage(tmp_path, engine=ledger_engine)
    for number in range(1, 1000, 90):
        stage.mail(orders(number))
    stage.run()
    stage.now += DAY
    (told,) = stage.run().attention
    assert told.what.endswith("do not follow each other")


def test_names_that_no_database_can_hold_stop_nothing(ledger_engine, tmp_path):
    stage = Stage(tmp_path, engine=ledger_engine)
    for number in (1, 3):
        raw = orders(number).replace(b"GS*PO*ACMERETAIL", b"GS*PO*AC\x00E\xff")
        message = b"From: edi@acme.example\r\nTo: edi@us.example\r\nMessage-ID: <%d@x>\r\n\r\n" % number
        stage.mailbox.deliver(message + raw)
        stage.mail(orders(number + 10))
    summary = stage.run()
    assert "messages quarantined" not in summary.counts
    assert {row["theirs"] for row in stage.rows("received_number")} == {"ZZ:ACMERETAIL", "ACMERETAIL", "AC E\xff"}


def test_expected_files_on_both_databases(ledger_engine, tmp_path):
    stage = Stage(tmp_path, [PROFILE], engine=ledger_engine)
    stage.run()
    stage.now += 2 * HOUR
    (missed,) = stage.run().attention
    stage.now += HOUR
    stage.mail(orders(1))
    assert stage.run().attention == ()
    stage.now += 2 * DAY
    for each in stage.run().attention:
        arrivals.settle(stage.context(), int(each.reference[1:]), actor="anna", reason="holidays")
    with stage.ledger.reading() as connection:
        states = [each.state for each in reversed(arrivals_of(connection, "acme", 9))]
    assert missed.state == "missed"
    assert states == ["came late", "settled", "settled", "expected"]


def test_overdue_and_urgent_on_both_databases(ledger_engine, tmp_path):
    stage = Stage(tmp_path, engine=ledger_engine)
    submit(stage.context(), "acme", invoice())
    for _ in range(4):
        stage.run()
        stage.now += 25 * HOUR
    (late,) = stage.run().attention
    assert (late.state, late.urgent) == ("overdue", True)
    stage.mail(acknowledgment(1, 1))
    assert stage.run().attention == ()
    (sent,) = [row for row in stage.rows("exchange") if row["direction"] == "out"]
    assert sent["acknowledged_at"] > sent["due_at"]


def test_two_processes_that_note_numbers_of_one_partner_lose_none(ledger_engine, tmp_path):
    """Each holds a transaction open while the other wants the same series."""
    if ledger_engine.dialect.name == "sqlite":
        pytest.skip("one writer at a time: SQLite has no second one")
    stages = []
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        stages.append(Stage(tmp_path / place, engine=ledger_engine))
    for turn, stage in enumerate(stages):
        for number in range(1 + turn, 21, 2):
            stage.mail(orders(number))
        collect(stage.context())
    threads = [threading.Thread(target=process, args=(stage.context(),)) for stage in stages]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    stages[0].now += DAY
    stages[0].run()
    numbers = [row["number"] for row in stages[0].rows("received_number") if row["level"] == "interchange"]
    assert sorted(numbers) == list(range(1, 21))
    with stages[0].ledger.reading() as connection:
        assert gaps_of(connection, "acme") == []
