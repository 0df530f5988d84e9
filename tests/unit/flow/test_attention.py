"""What needs a person is found by the indexes of few rows, and is exactly what the condition as a whole says."""

from __future__ import annotations

from itertools import product

import pytest
from builders.stage import Stage

from gateway.ledger import tables
from gateway.ledger.attention import attention, by_partner, how_many, left_out, needs_attention
from gateway.ledger.states import ExchangeState, MessageState

CODES = ("", "sending.some-refused", "acknowledgment.contradicting", "delivery.failed", "sendinh", "acknowledgmenu.x")


@pytest.fixture
def world(tmp_path):
    """An exchange of every state, verdict, fault and way, settled or not; some with an overdue receipt."""
    stage = Stage(tmp_path)
    verdicts = ("", "accepted", "partially_accepted")
    every = product(ExchangeState, verdicts, CODES, ("in", "out"), (None, 5))
    with stage.ledger.transaction() as recorder:
        for number, (state, verdict, code, direction, settled) in enumerate(every, 1):
            about = {"at": number, "updated_at": number, "direction": direction, "kind": "document", "sha256": "0" * 64}
            told = {"state": state, "verdict": verdict, "fault_code": code, "settled_at": settled, "partner": "acme"}
            row = recorder.add(tables.exchange, **about, **told)
            if number % 7 == 0:
                due = {"exchange": row, "partner": "acme", "within": 1, "due_at": 1}
                kinds = {"kind": "receipt" if number % 2 else "997", "overdue_at": 3 if number % 3 else None}
                recorder.flush()
                recorder.connection.execute(tables.expectation.insert(), due | kinds)
        mails = {"direction": "in", "sha256": "0" * 64}
        for number, state in enumerate([MessageState.QUARANTINED] * 4 + [MessageState.PROCESSED] * 3):
            recorder.add(tables.message, at=number, state=state, **mails)
    return stage


@pytest.mark.unrecorded
def test_all_that_meets_the_condition_is_found_and_nothing_else(world):
    """Each exchange is in the list where, asked for itself, it needs a person."""
    with world.ledger.reading() as connection:
        ids = [row["id"] for row in world.rows("exchange")]
        wanted = {each for each in ids if needs_attention(connection, each)}
        listed = [each.exchange for each in attention(connection, 100_000) if each.exchange is not None]
    assert len(ids) > 1000
    assert 100 < len(wanted) < len(ids)
    assert len(listed) == len(set(listed))
    assert set(listed) == wanted


@pytest.mark.unrecorded
def test_counts_by_partner_are_those_of_the_list(world):
    with world.ledger.reading() as connection:
        listed = attention(connection, 100_000)
        exchanges, mails = by_partner(connection)
    assert exchanges == {"acme": sum(each.exchange is not None for each in listed)}
    assert mails == {"": 4}


@pytest.mark.unrecorded
@pytest.mark.parametrize("limit", [1, 10, 600])
def test_a_bounded_list_holds_the_newest(world, limit):
    """With a limit, the newest things are listed and none that is older than one left out."""
    with world.ledger.reading() as connection:
        whole = [each.at for each in attention(connection, 100_000)]
        some = [each.at for each in attention(connection, limit)]
    assert some == whole[:limit]


@pytest.mark.unrecorded
@pytest.mark.parametrize(
    ("needy", "crowd"),
    [
        ({"direction": "in", "state": "delivered"}, {"direction": "out", "state": "sent"}),
        ({"state": "sent", "fault_code": "sending.some-refused"}, {"state": "ready", "fault_code": "sending.refused"}),
        (
            {"direction": "out", "state": "sent", "fault_code": "acknowledgment.contradicting"},
            {"direction": "in", "state": "delivered", "fault_code": "acknowledgment.x"},
        ),
    ],
)
def test_what_needs_nobody_never_hides_what_does(tmp_path, needy, crowd):
    """Newer exchanges that are merely found by the same index leave the older one in a bounded list."""
    stage = Stage(tmp_path)
    verdict = "" if "fault_code" in needy else "partially_accepted"
    about = {"kind": "document", "direction": "out", "sha256": "0" * 64, "verdict": verdict, "partner": "acme"}
    with stage.ledger.transaction() as recorder:
        for number in range(1, 6):
            told = needy if number == 1 else crowd
            recorder.add(tables.exchange, **about | {"at": number, "updated_at": number} | told)
    with stage.ledger.reading() as connection:
        assert [each.at for each in attention(connection, 2)] == [1]
        assert how_many(connection, 1) == 1


@pytest.mark.unrecorded
def test_an_acknowledgment_that_is_late_never_hides_a_receipt_that_is(tmp_path):
    """Both stand among what is expected; only the receipt is told by it, the other one by its state."""
    stage = Stage(tmp_path)
    about = {"kind": "document", "direction": "out", "sha256": "0" * 64, "partner": "acme", "state": "acknowledged"}
    with stage.ledger.transaction() as recorder:
        for number in range(1, 6):
            row = recorder.add(tables.exchange, **about, at=number, updated_at=number)
            due = {"exchange": row, "partner": "acme", "within": 1, "due_at": 1, "overdue_at": 3}
            recorder.flush()
            kind = "receipt" if number == 1 else "functional"
            recorder.connection.execute(tables.expectation.insert(), due | {"kind": kind})
    with stage.ledger.reading() as connection:
        assert [each.at for each in attention(connection, 2)] == [1]


@pytest.mark.unrecorded
def test_how_many_there_are_is_exact_up_to_a_bound(world):
    """Up to the bound the number is that of the list; beyond, it says that there are more."""
    with world.ledger.reading() as connection:
        count = len([each for each in attention(connection, 100_000) if each.exchange or each.message])
        assert how_many(connection, 100_000) == count
        assert how_many(connection, count) == count
        assert how_many(connection, count - 1) == count
        assert how_many(connection, 10) == 11


@pytest.mark.unrecorded
def test_no_look_walks_through_all_exchanges(world):
    """The plan of each part names an index, so that an old ledger in which all is well answers at once."""
    from sqlalchemy import select

    from gateway.ledger.needing import places

    x = tables.exchange.c
    with world.ledger.reading() as connection:
        for place in places():
            wanted = select(x.id, x.at).where(*place).order_by(x.at.desc()).limit(9)
            written = str(wanted.compile(connection.engine, compile_kwargs={"literal_binds": True}))
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {written}")]
            assert "USING" in next(each for each in plan if "exchange" in each), plan


@pytest.mark.unrecorded
@pytest.mark.parametrize("limit", [1, 3, 10, 600])
def test_urgent_things_stay_in_a_bounded_list_however_old(world, limit):
    """The oldest things that need a person are urgent: they lead the list, and hide nothing newer of the others."""
    with world.ledger.transaction() as recorder:
        oldest = [each for each in attention(recorder.connection, 100_000) if each.exchange is not None][-3:]
        for each in oldest:
            due = {"exchange": each.exchange, "partner": "acme", "within": 1, "due_at": 1, "kind": "TA1"}
            recorder.connection.execute(tables.expectation.insert(), due | {"overdue_at": 3, "escalated_at": 4})
    with world.ledger.reading() as connection:
        whole = attention(connection, 100_000)
        some = attention(connection, limit)
    assert [each.exchange for each in whole[:3]] == [each.exchange for each in oldest]
    assert [each.reference for each in some[:3]] == [each.reference for each in whole[: min(3, limit)]]
    assert [each.at for each in some] == [each.at for each in whole[:limit]]


@pytest.mark.unrecorded
@pytest.mark.parametrize("only", ["", "acme", "globex"])
def test_what_a_bounded_list_leaves_out_is_counted(world, only):
    """Exchanges, mails, gaps, missed files, mailboxes: each thing that is not listed counts."""
    with world.ledger.transaction() as recorder:
        gap = {"at": 1, "theirs": "ZZ:A", "ours": "ZZ:B", "level": "interchange", "epoch": 1, "kind": "gap"}
        gap |= {"first": 1, "last": 2, "exchange": 1, "raised_at": 2}
        came = {"rule": "orders", "agreement": "", "opens_at": 1, "due_at": 1, "missed_at": 2}
        for partner in ("acme", "globex"):
            recorder.connection.execute(tables.number_gap.insert(), gap | {"partner": partner})
            recorder.connection.execute(tables.arrival.insert(), came | {"partner": partner})
        refused = {"mailbox": "orders", "uid": "1", "at": 1, "size": 1, "fault_code": "mail.too-large", "fault": ""}
        recorder.connection.execute(tables.not_taken.insert(), refused)
    with world.ledger.reading() as connection:
        whole = len(attention(connection, 100_000, only))
        assert whole > 1
        assert left_out(connection, whole, 100_000, only) == 0
        for limit in (1, whole - 1, whole):
            listed = attention(connection, limit, only)
            assert len(listed) + left_out(connection, len(listed), limit, only) == whole
