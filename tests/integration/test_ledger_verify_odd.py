"""Rows and values that no gateway ever writes are named by a verification, and stop none, on both databases."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from builders.by_hand import by_hand
from builders.recorded import fill
from sqlalchemy import Engine, delete, insert, select, text, update

from gateway.ledger import database, tables, tree
from gateway.ledger.seals import Seal, make_seal
from gateway.ledger.verify import Verification

pytestmark = pytest.mark.integration
COUNT = 8


def some(engine: Engine) -> None:
    fill(engine, COUNT)


@pytest.fixture
def filled(ledger_with):
    return ledger_with(some)


def sentences(engine: Engine, since: Seal | None = None) -> list[str]:
    with database.reading(engine) as connection:
        look = Verification(connection)
        found = look.full() if since is None else look.since(since)
        said = [each.sentence for each in found]
        assert look.extent.size >= 0
        return said


def seal_of(engine: Engine) -> Seal:
    with database.reading(engine) as connection:
        head = tree.head_of(connection)
    return make_seal("us.example/ledger", head.size, head.root, head.seq, 1_795_312_800_000)


def copied(engine: Engine, table: Any, condition: Any, **changes: Any) -> Any:
    """A statement that puts in a copy of a row with other values."""
    with database.reading(engine) as connection:
        row = dict(connection.execute(select(table).where(condition)).mappings().first() or {})
    assert row
    return insert(table).values(row | changes)


# ---------------------------------------------------------------- numbers below 1


def test_rows_and_events_whose_numbers_are_below_1_are_named_in_full_and_since_a_seal(filled):
    """Everything goes through the ledger from number 1 on: a forged exchange -1 must not be looked past."""
    seal = seal_of(filled)
    t = tables
    by_hand(
        filled,
        copied(filled, t.exchange, t.exchange.c.id == 1, id=-1, control_number="000004242"),
        copied(filled, t.functional_group, t.functional_group.c.id == 1, id=-1, exchange=-1),
        copied(filled, t.transaction_set, t.transaction_set.c.id == 1, id=-1, exchange=-1, functional_group=-1),
        copied(filled, t.business_key, t.business_key.c.exchange == 1, exchange=-1, value="PO-FORGED"),
        copied(filled, t.acknowledgment, t.acknowledgment.c.id == 1, id=0),
        copied(filled, t.event, t.event.c.kind == "examined", seq=-1, exchange=-1),
        copied(filled, t.event, t.event.c.kind == "examined", seq=0, actor="the auditor"),
        insert(t.event_leaf).values(seq=-7, leaf=bytes(32)),
    )
    for found in (sentences(filled), sentences(filled, seal)):
        assert found == [
            "Event -1 was never recorded: no event has such a number.",
            "Event 0 was never recorded: no event has such a number.",
            "The leaf of event -7 was never recorded: no event has such a number.",
            "Exchange -1 was never recorded, or was removed and has come back.",
            "Functional group -1 was never recorded, or was removed and has come back.",
            "Transaction set -1 was never recorded, or was removed and has come back.",
            "Business key of exchange -1 was never recorded, or was removed and has come back.",
            "Acknowledgment 0 was never recorded, or was removed and has come back.",
        ]


def test_of_many_numbers_below_1_twenty_are_named(filled):
    forged = [copied(filled, tables.exchange, tables.exchange.c.id == 1, id=-number) for number in range(25)]
    by_hand(filled, *(each.values(idempotency_key=None) for each in forged))
    found = sentences(filled)
    assert len(found) == 21
    assert found[-1] == "More rows of exchange were never recorded."


# ---------------------------------------------------------------- values that only SQLite keeps


@pytest.fixture
def loose(ledgers, tmp_path):
    """A ledger on SQLite, which keeps any value in any column."""
    shutil.copy(ledgers.file(some), tmp_path / "ledger.db")
    engine = database.open_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield engine
    engine.dispose()


@pytest.mark.parametrize("value", ["'x'", "x'ff'", "2.5", "1e300", "CAST(x'c328' AS TEXT)"])
def test_numbers_that_are_none_are_named(loose, value):
    by_hand(
        loose,
        text(f"UPDATE finding SET exchange = {value} WHERE exchange = 3"),
        text(f"INSERT INTO event_leaf (seq, leaf) VALUES ({value}, 'no bytes')"),
    )
    found = sentences(loose)
    assert [each for each in found if each.startswith("The leaf of event") and "never recorded" in each]
    assert "Finding of exchange 3 is missing: it was recorded, and never removed in order." in found
    assert [each for each in found if each.startswith("Finding of exchange") and "never recorded" in each]


@pytest.mark.parametrize("value", ["'abc'", "x''", "7", "NULL"])
def test_digests_that_are_none_make_their_event_another_one(loose, value):
    seal = seal_of(loose)
    by_hand(loose, text(f"UPDATE event SET rows = {value} WHERE seq = (SELECT max(seq) FROM event)"))
    with database.reading(loose) as connection:
        seq = connection.execute(select(tables.event.c.seq).order_by(tables.event.c.seq.desc()).limit(1)).scalar_one()
    assert f"Event {seq} is not what was recorded." in sentences(loose)
    assert sentences(loose, seal)[0].startswith("The first")


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        '{"rows": 3}',
        '{"rows": {"exchange": [["1", 1]]}}',
        '{"rows": {"exchange": [[1.5, 1]]}}',
        '{"rows": {"exchange": [[0, 1]]}}',
        '{"rows": {"exchange": [[9223372036854775807, 3]]}}',
        "[" * 200_000,
    ],
)
def test_an_event_that_speaks_of_what_cannot_be_is_named(filled, body):
    with database.reading(filled) as connection:
        e = tables.event.c
        seq = connection.execute(select(e.seq).where(e.kind == "recorded").order_by(e.seq).limit(1)).scalar_one()
    by_hand(filled, update(tables.event).where(tables.event.c.seq == seq).values(body=body))
    found = sentences(filled)
    assert [each for each in found if each.startswith(f"Event {seq} cannot be read")]
    assert f"Event {seq} is not what was recorded." in found


# ---------------------------------------------------------------- numbers that are too big


@pytest.mark.parametrize("number", [70_000_000_000, 2**63 - 1])
def test_a_row_with_a_number_far_beyond_all_others_is_named_and_costs_nothing(filled, number):
    by_hand(filled, update(tables.receipt).where(tables.receipt.c.id == 3).values(id=number))
    assert sentences(filled) == [
        "Receipt 3 is missing: it was recorded, and never removed in order.",
        f"Receipt {number} was never recorded, or was removed and has come back.",
    ]


# ---------------------------------------------------------------- the head of the tree


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"size": 1094}, "does not fit a tree of 1094 leaves"),
        ({"frontier": b"abc"}, "does not fit a tree of "),
        ({"size": 2**60, "frontier": bytes(32)}, f"tells of {2**60} events, and there are "),
        ({"next_seq": 5}, "says that event 5 comes next, and "),
        ({"next_seq": -1}, "is not one"),
        (None, "is missing"),
    ],
)
def test_a_head_of_the_tree_that_is_none_is_named_and_the_rest_is_looked_at(filled, changed, said):
    seal = seal_of(filled)
    head = tables.tree_head
    by_hand(
        filled,
        delete(head) if changed is None else update(head).values(changed),
        update(tables.exchange).where(tables.exchange.c.id == 2).values(partner="globex"),
    )
    first, *others = sentences(filled)
    assert first.startswith(f"The head of the tree {said}")
    assert others == ["Exchange 2 is not what was recorded."]
    (only,) = sentences(filled, seal)
    assert only == first


@pytest.mark.parametrize("value", ["'abc'", "1.5", "CAST(x'c328' AS TEXT)"])
@pytest.mark.parametrize("column", ["size", "frontier", "checks", "first_seq", "next_seq"])
def test_a_head_of_the_tree_with_values_that_are_none_is_named(loose, column, value):
    by_hand(loose, text(f"UPDATE tree_head SET {column} = {value}"))
    assert sentences(loose) == ["The head of the tree is not one."]


def test_nodes_of_the_tree_with_values_that_are_none_are_named(loose):
    fill(loose, 80, first=COUNT + 1)
    by_hand(loose, text("UPDATE tree_node SET hash = 'abc'"))
    assert "The tree of " in sentences(loose)[-1]
    by_hand(loose, text("UPDATE tree_node SET first_seq = 'abc'"))
    assert "Tile 0 of the tree is missing." in sentences(loose)
