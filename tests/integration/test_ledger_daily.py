"""The daily counts say what the rows say, whatever is recorded, removed, or recorded by others at the same time."""

from __future__ import annotations

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from builders import ledger_rows as make
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from gateway.ledger import daily, database, tables
from gateway.ledger.daily_sums import matrix, sums, sums_by_day
from gateway.ledger.daily_tables import DIMENSIONS, daily_count, first_day, length_of, month_and_day, months_of
from gateway.ledger.database import reading, writing
from gateway.ledger.recording import Ledger

pytestmark = [pytest.mark.integration, pytest.mark.unrecorded]

DAY = daily.DAY
OCTOBER = first_day(2026 * 12 + 9)


def row(number, **values):
    """An exchange as the recorder inserts it."""
    blank = {name: value for name, value in make.EXCHANGE.items() if name != "to_addresses"}
    return blank | {"id": number, "at": OCTOBER * DAY} | values


def record(connection, exchanges, sets=()):
    """What one transaction inserts and counts; sets are (id, exchange, ST01)."""
    rows = {"exchange": list(exchanges)}
    rows["transaction_set"] = [{"id": number, "exchange": owner, "set_id": set_id} for number, owner, set_id in sets]
    for each in rows["exchange"]:
        connection.execute(insert(tables.exchange).values(**each))
    for each in rows["transaction_set"]:
        group = make.group(connection, each["exchange"])
        connection.execute(insert(tables.transaction_set).values(ordinal=1, functional_group=group, **each))
    daily.count_rows(connection, rows)


def counted(connection):
    found = {}
    for month in daily.months(connection):
        first, last = first_day(month), first_day(month + 1) - 1
        found |= {(day, *key): sum_ for day, key, sum_ in sums_by_day(connection, first, last, DIMENSIONS)}
    return found


# ---------------------------------------------------------------- what is counted


def test_interchanges_count_under_all_their_types_and_sets_under_their_own(ledger_engine):
    with writing(ledger_engine) as connection:
        record(connection, [row(1, types="850 860", size=700)], [(1, 1, "850"), (2, 1, "850"), (3, 1, "860")])
        of = (OCTOBER, "acme", "in", "document", "P")
        assert counted(connection) == {
            (*of, "850 860"): (1, 0, 700),
            (*of, "850"): (0, 2, 0),
            (*of, "860"): (0, 1, 0),
        }
        assert daily.check(connection) == []


def test_a_day_ends_at_midnight_utc(ledger_engine):
    with writing(ledger_engine) as connection:
        record(connection, [row(1, at=OCTOBER * DAY - 1), row(2, at=OCTOBER * DAY), row(3, at=(OCTOBER + 1) * DAY - 1)])
        assert matrix(connection, OCTOBER - 1, OCTOBER + 1) == {"acme": [1, 2, 0]}
        assert matrix(connection, OCTOBER, OCTOBER, "bytes") == {"acme": [2 * 1234]}
        assert matrix(connection, OCTOBER + 1, OCTOBER + 5) == {}


def test_sets_that_come_later_count_with_their_exchange(ledger_engine):
    with writing(ledger_engine) as connection:
        record(connection, [row(1)])
    with writing(ledger_engine) as connection:
        record(connection, [], [(1, 1, "850")])
        assert list(counted(connection).values()) == [(1, 1, 1234)]


def test_types_of_any_length_are_counted(ledger_engine):
    """A stranger's interchange may name a hundred types; PostgreSQL's index takes 2,700 bytes."""
    many = " ".join(f"TYPE{number:04}\N{GREEK SMALL LETTER ALPHA}" for number in range(1_000))
    with writing(ledger_engine) as connection:
        record(connection, [row(1, partner="", types=many)], [(1, 1, many)])
        (key,) = counted(connection)
        assert key[-1] == many[:59] + "…"
        assert daily.check(connection) == []


def test_what_is_removed_is_counted_no_more(ledger_engine):
    with writing(ledger_engine) as connection:
        record(connection, [row(1), row(2, partner="beta", types="997")], [(1, 1, "850"), (2, 2, "997")])
    with writing(ledger_engine) as connection:
        counts = daily.Counts()
        for table, column in ((tables.transaction_set, "exchange"), (tables.exchange, "id")):
            ids = connection.execute(select(table.c.id).where(table.c[column] == 1)).scalars().all()
            counts.removing(connection, table.name, ids)
            if table is tables.exchange:
                connection.execute(delete(tables.functional_group).where(tables.functional_group.c.exchange == 1))
            connection.execute(delete(table).where(table.c.id.in_(ids)))
        counts.write(connection)
        assert daily.check(connection) == []
        assert set(connection.execute(select(daily_count.c.partner)).scalars()) == {"beta"}


def test_the_recorder_counts_what_it_writes_and_what_it_removes(ledger_engine):
    """With texts that no database takes as they are, over several flushes, removed in another transaction."""
    blank = {name: value for name, value in make.EXCHANGE.items() if name not in {"to_addresses", "at", "types"}}
    ledger = Ledger(ledger_engine, lambda: OCTOBER * DAY)
    with ledger.transaction() as recorder:
        ids = []
        for types in ("850", "8\x0050 \ud800", "860"):
            ids.append(recorder.add(tables.exchange, at=OCTOBER * DAY, types=types, **blank))
            group = recorder.add(tables.functional_group, exchange=ids[-1], ordinal=1)
            recorder.flush()
            given = {"exchange": ids[-1], "functional_group": group, "ordinal": 1, "set_id": types}
            recorder.add(tables.transaction_set, **given)
    with reading(ledger_engine) as connection:
        assert daily.check(connection) == []
        assert matrix(connection, OCTOBER, OCTOBER) == {"acme": [3]}
    with ledger.transaction() as recorder:
        for table in (tables.transaction_set, tables.functional_group, tables.exchange):
            column = table.c.id if table is tables.exchange else table.c.exchange
            gone = recorder.connection.execute(select(table.c.id).where(column == ids[1])).scalars().all()
            recorder.remove(table, gone)
    with reading(ledger_engine) as connection:
        assert daily.check(connection) == []
        assert matrix(connection, OCTOBER, OCTOBER) == {"acme": [2]}


# ---------------------------------------------------------------- any history

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.integers(OCTOBER - 40, OCTOBER + 40).flatmap(
                lambda day: st.integers(day * DAY, day * DAY + DAY - 1)
            ),
            "partner": st.sampled_from(["acme", "beta", "", "Größe"]),
            "direction": st.sampled_from(["in", "out"]),
            "kind": st.sampled_from(["document", "acknowledgment"]),
            "usage": st.sampled_from(["P", "T"]),
            "types": st.sampled_from(["850", "850 860", "997", ""]),
            "size": st.integers(0, 10**12),
        }
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(ROWS, max_size=4))
def test_counts_agree_with_a_naive_count(ledger_engine, batches):
    number = set_number = 0
    naive = defaultdict(lambda: [0, 0, 0])
    with writing(ledger_engine) as connection:
        for table in (tables.transaction_set, tables.functional_group, tables.exchange, daily_count):
            connection.execute(delete(table))
        for batch in batches:
            rows, sets = [], []
            for values in batch:
                number += 1
                rows.append(row(number, **values))
                of = (values["at"] // DAY, *(values[name] for name in DIMENSIONS[:-1]))
                _add(naive[*of, values["types"]], 1, 0, values["size"])
                for set_id in values["types"].split():
                    set_number += 1
                    sets.append((set_number, number, set_id))
                    _add(naive[*of, set_id], 0, 1, 0)
            record(connection, rows, sets)
        assert counted(connection) == {key: tuple(amounts) for key, amounts in naive.items()}
        assert daily.check(connection) == []
        some = (OCTOBER - 35, OCTOBER + 33)
        by_partner, together = defaultdict(lambda: [0, 0, 0]), defaultdict(lambda: [0, 0, 0])
        for key, amounts in sums(connection, *some, ("partner",)):
            _add(together[key], *amounts)
        for key, amounts in sums(connection, *some, ("partner", "direction")):
            _add(by_partner[key[:1]], *amounts)
        wanted = defaultdict(lambda: [0, 0, 0])
        for key, amounts in naive.items():
            if some[0] <= key[0] <= some[1]:
                _add(wanted[key[1:2]], *amounts)
        assert by_partner == together == {key: amounts for key, amounts in wanted.items() if any(amounts)}


def _add(to, *amounts):
    for place, amount in enumerate(amounts):
        to[place] += amount


# ---------------------------------------------------------------- check and rebuild


def test_check_names_what_differs_and_rebuild_mends_it(ledger_engine):
    with writing(ledger_engine) as connection:
        record(connection, [row(1), row(2, partner="beta"), row(3, at=(OCTOBER - 1) * DAY)], [(1, 1, "850")])
        d = daily_count
        connection.execute(update(d).where(d.c.partner == "beta", d.c.direction == "in").values(i01=7))
        connection.execute(delete(d).where(d.c.month == 2026 * 12 + 8))
    with reading(ledger_engine) as connection:
        found = daily.check(connection)
    assert [(each.day, each.key[:2], each.counted[0], each.rows[0]) for each in found] == [
        (None, ("acme", ""), 0, 1),
        (None, ("acme", "in"), 0, 1),
        (date(2026, 9, 30), ("acme", ""), 0, 1),
        (date(2026, 9, 30), ("acme", "in"), 0, 1),
        (date(2026, 10, 1), ("beta", "in"), 7, 1),
    ]
    assert str(found[0]).startswith("2026-09, acme, all together: counted are 0 interchanges")
    assert str(found[-1]).startswith("2026-10-01, beta in document P 850: counted are 7 interchanges, 0 sets")
    with writing(ledger_engine) as connection:
        for month in daily.months(connection):
            daily.rebuild(connection, month)
        assert daily.check(connection) == []


def test_an_empty_ledger_has_no_counts_and_no_differences(ledger_engine):
    with reading(ledger_engine) as connection:
        assert daily.check(connection) == []
        assert list(daily.months(connection)) == []
        assert matrix(connection, OCTOBER, OCTOBER + 30) == {}


def test_the_migration_counts_what_is_there(ledger_url):
    engine = database.open_engine(ledger_url)
    database.upgrade(engine, "0008")
    with writing(engine) as connection:
        for number, at in enumerate((OCTOBER * DAY - 1, OCTOBER * DAY, (OCTOBER + 61) * DAY), 1):
            exchange = make.exchange(connection, at=at, types="850 " * number + "Größe" * 20, partner=f"p{number % 2}")
            make.transaction_set(connection, exchange, make.group(connection, exchange))
    database.upgrade(engine)
    with reading(engine) as connection:
        assert daily.check(connection) == []
        assert sum(amounts[0] for amounts in counted(connection).values()) == 3
    engine.dispose()


# ---------------------------------------------------------------- several at once


def test_many_who_record_at_once_lose_no_count(ledger_engine):
    """Transactions that count the same partners in different orders neither deadlock nor overwrite each other."""

    def work(worker):
        for turn in range(10):
            numbers = [worker * 1_000 + turn * 10 + place for place in range(3)]
            partners = ["acme", "beta", "gamma"] if worker % 2 else ["gamma", "beta", "acme"]
            rows = [row(number, partner=each) for number, each in zip(numbers, partners, strict=True)]
            with writing(ledger_engine) as connection:
                connection.execute(insert(tables.exchange), rows)
                daily.count_rows(connection, {"exchange": rows})

    with ThreadPoolExecutor() as workers:
        assert list(workers.map(work, range(1, 5))) == [None] * 4
    with reading(ledger_engine) as connection:
        assert matrix(connection, OCTOBER, OCTOBER) == {"acme": [40], "beta": [40], "gamma": [40]}
        assert daily.check(connection) == []


def test_a_rebuild_beside_those_who_record_loses_nothing(ledger_engine):
    stop = threading.Event()

    def work():
        number = 10_000
        while not stop.is_set():
            number += 1
            with writing(ledger_engine) as connection:
                connection.execute(insert(tables.exchange), [row(number)])
                daily.count_rows(connection, {"exchange": [row(number)]})

    with ThreadPoolExecutor() as workers:
        worker = workers.submit(work)
        try:
            for _ in range(20):
                with writing(ledger_engine) as connection:
                    daily.rebuild(connection, 2026 * 12 + 9)
        finally:
            stop.set()
        worker.result()
    with reading(ledger_engine) as connection:
        assert daily.check(connection) == []


# ---------------------------------------------------------------- the calendar


@given(st.integers(0, 40_000), st.integers(0, 800))
def test_months_of_a_span_hold_each_of_its_days_once(first, length):
    days = [first_day(month) + day - 1 for month, span in months_of(first, first + length) for day in span]
    assert days == list(range(first, first + length + 1))
    month, day = month_and_day(first)
    assert first_day(month) + day - 1 == first
    assert 28 <= length_of(month) <= 31
