"""What PostgreSQL gets as arrays: the same rows as by one statement each; and ids that are asked for ahead."""

from __future__ import annotations

import threading
import time

import pytest
from builders import ledger_rows as make
from sqlalchemy import select

from gateway.errors import DatabaseUnavailable
from gateway.ledger import bulk_arrays, database, tables
from gateway.ledger.leases import CAME, SENT, take_turns_over
from gateway.ledger.recorder import Recorder
from gateway.ledger.recording import Ledger

pytestmark = pytest.mark.integration


@pytest.fixture
def engine(postgres, migrated_template):
    opened = database.open_engine(postgres.fresh_database(migrated_template))
    yield opened
    opened.dispose()


@pytest.fixture
def ledger(engine):
    return Ledger(engine, lambda: 1_000)


def contents(engine):
    with database.reading(engine) as connection:
        return {row.sha256: row.bytes for row in connection.execute(select(tables.content))}


def keep(recorder: Recorder, *bodies: bytes) -> list[str]:
    names = [recorder.keep(each) for each in bodies]
    recorder.flush()
    return names


def test_every_change_is_made_and_of_two_of_one_row_the_later_counts(engine, ledger):
    with database.writing(engine) as connection:
        numbers = [make.exchange(connection) for _ in range(10)]
    with ledger.transaction() as recorder:
        for number in numbers:
            recorder.change(tables.exchange, number, user="first", settled_at=None)
        for number in numbers[:5]:
            recorder.change(tables.exchange, number, user=f'"{number}", \\ {{NULL}}', settled_at=None)
        for number in numbers[5:]:
            recorder.change(tables.exchange, number, settled_at=number, acknowledged_at=None)
    with database.reading(engine) as connection:
        found = {row.id: row for row in connection.execute(select(tables.exchange))}
    assert [found[each].user for each in numbers] == [f'"{each}", \\ {{NULL}}' for each in numbers[:5]] + ["first"] * 5
    assert [found[each].settled_at for each in numbers] == [None] * 5 + numbers[5:]


def test_bytes_come_back_as_they_were_and_are_kept_once(engine, ledger):
    bodies = [b"\0\\x00'\"{},\xff" * each for each in range(40)] + [bytes([each]) * 400_000 for each in range(6)]
    with ledger.transaction() as recorder:
        names = keep(recorder, *bodies)
    with ledger.transaction() as recorder:
        assert keep(recorder, *reversed(bodies), b"one more") == [*reversed(names), recorder.keep(b"one more")]
    found = contents(engine)
    assert [bytes(found[name]) for name in names] == bodies
    assert len(found) == len(bodies) + 1


def test_a_mail_that_was_gone_counts_from_when_it_is_back(engine, ledger):
    with database.writing(engine) as connection:
        message = make.message(connection)
    sighting = {"mailbox": "orders", "message": message}
    for at, state in ((1, "deleted"), (2, "stored"), (3, "stored")):
        with ledger.transaction() as recorder:
            for uid in range(6):
                recorder.put(tables.sighting, **sighting, uid=f"u{uid}", sha256=f"s{uid}", at=at, size=at, state=state)
    with database.reading(engine) as connection:
        rows = connection.execute(select(tables.sighting)).all()
    assert {(row.at, row.size, row.state) for row in rows} == {(2, 3, "stored")}
    assert len(rows) == 6


def test_a_refusal_of_the_database_is_worded_like_any_other(ledger):
    rows = [("x" * 20, each) for each in range(200_000)]

    def change():
        with ledger.transaction() as recorder:
            recorder.connection.exec_driver_sql("SET LOCAL statement_timeout = 1")
            bulk_arrays.change(recorder.connection, tables.exchange, ("user",), rows)

    with pytest.raises(DatabaseUnavailable, match="canceling statement"):
        change()


def test_ids_are_taken_once_whatever_transactions_needed_before(ledger):
    taken = []

    def add(recorder, count, *others):
        for table in (tables.message, *others):
            taken.extend((table.name, recorder._ids.take(table)) for _ in range(count))

    for count, others in (
        (3, ()),
        (700, (tables.payload,)),
        (1, ()),
        (300, (tables.exchange, tables.payload)),
        (9, ()),
    ):
        with ledger.transaction() as recorder, ledger.transaction() as beside:
            add(recorder, count, *others)
            add(beside, count, tables.finding)
    assert len(set(taken)) == len(taken)


def test_who_decides_about_what_was_sent_waits_only_for_others_who_do(engine):
    order = []

    def decide(name, *about):
        with database.writing(engine) as connection:
            take_turns_over(connection, ["globex", "acme"], *about)
            order.append(name)

    with database.writing(engine) as connection:
        take_turns_over(connection, ["acme"], CAME)
        decide("sent", SENT)
        waiting = [threading.Thread(target=decide, args=each) for each in (("came", CAME), ("both",))]
        for each in waiting:
            each.start()
        time.sleep(0.3)
        assert order == ["sent"]
    for each in waiting:
        each.join()
    assert sorted(order[1:]) == ["both", "came"]
