"""The ledger's benchmark copies a load so many times over, and each copy is an exchange of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Column, ForeignKey, MetaData, Table, Text, func, select

from gateway.ledger import daily, tables
from gateway.ledger.database import open_engine, reading, upgrade
from gateway.ledger.query import Query
from gateway.ledger.search import parse_query, search
from gateway.ledger.story import story

BENCHMARKS = str(Path(__file__).resolve().parents[2] / "benchmarks")
COPIES = 3
x = tables.exchange.c


@pytest.fixture(scope="module")
def bench():
    """The benchmark's modules."""
    names = ("_ledger_life", "_ledger_world", "_ledger_made", "_ledger_fresh", "_ledger_copies", "_ledger_multiply")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield {name: __import__(name) for name in names}
        for name in names:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def loaded(bench, tmp_path_factory):
    """A ledger in which the benchmark's world has lived for a while, and that life."""
    file = tmp_path_factory.mktemp("original") / "ledger.db"
    engine = open_engine(f"sqlite:///{file}")
    upgrade(engine)
    life = bench["_ledger_life"].Life(engine, bench["_ledger_world"].World(2_000), group=20)
    life.run(500)
    yield engine, life, file
    engine.dispose()


@pytest.fixture(scope="module")
def made(bench, loaded, tmp_path_factory, request):
    """Gives the copies in a kind of database, with the plan by which they were made."""
    found = {}

    def of(kind):
        if kind not in found:
            file = tmp_path_factory.mktemp("copies") / "ledger.db"
            url = f"sqlite:///{file}" if kind == "sqlite" else request.getfixturevalue("postgres").fresh_database()
            engine = open_engine(url)
            upgrade(engine)
            found[kind] = engine, bench["_ledger_multiply"].multiply(loaded[2], engine, COPIES)
        return found[kind]

    yield of
    for engine, _ in found.values():
        engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.integration)])
def copies(made, request):
    return made(request.param)


def counted(engine, table, *which):
    with reading(engine) as connection:
        return connection.execute(select(func.count()).select_from(table).where(*which)).scalar_one()


def rows(engine, statement):
    with reading(engine) as connection:
        return connection.execute(statement).mappings().all()


def found(engine, *words) -> list[int]:
    return [row.id for row in search(engine, parse_query(list(words)))]


def test_every_row_is_there_so_many_times(copies, loaded, bench):
    other = bench["_ledger_copies"]
    alike = {"daily_count", "expectation"}  # of months; what partners have answered by then
    for table in tables.metadata.sorted_tables:
        if table.name in other.LEFT_OUT | alike:
            continue
        times = 1 if table.name in other.ONCE else COPIES
        assert counted(copies[0], table) == times * counted(loaded[0], table), table.name


def test_what_points_to_a_row_points_to_one_of_its_copy(copies, loaded):
    engine, plan = copies
    if engine.dialect.name == "sqlite":
        with reading(engine) as connection:
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
    for row in rows(loaded[0], select(tables.exchange).where(x.answers.is_not(None)).limit(20)):
        for k in range(COPIES):
            copy = rows(engine, select(tables.exchange).where(x.id == plan.new("exchange", row["id"], k)))[0]
            assert copy["answers"] == plan.new("exchange", row["answers"], k)
            assert copy["message"] == plan.new("message", row["message"], k)
            assert copy["at"] == row["at"] + k * plan.shift
            told = story(engine, copy["id"])
            assert len(told.events) == len(story(loaded[0], row["id"]).events)


def test_ids_are_in_the_order_of_time_where_the_original_is(copies):
    e = tables.event.c
    moments = [row["at"] for row in rows(copies[0], select(e.at).order_by(e.seq))]
    assert moments == sorted(moments)


def test_a_message_id_finds_one_copy_alone(copies, loaded):
    engine, plan = copies
    for row in rows(loaded[0], select(x.id, x.message_id).limit(30)):
        assert found(engine, f"message-id={row['message_id']}") == [plan.new("exchange", row["id"], 0)]
    ids = [row["message_id"] for row in rows(engine, select(x.message_id))]
    assert len(set(ids)) == len(ids)


def test_control_numbers_go_on_being_counted(copies, loaded):
    """A partner's number 7 is number 19 to 21 of a partner three times as busy."""
    engine, plan = copies
    for row in rows(loaded[0], select(tables.exchange).where(x.direction == "in", x.partner != "").limit(30)):
        for k in range(COPIES):
            number = (int(row["control_number"]) - 1) * COPIES + k + 1
            words = (f"control={number}", f"partner={row['partner']}")
            among = rows(
                loaded[0],
                select(x.id).where(x.control_number == row["control_number"], x.partner == row["partner"]),
            )
            wanted = {plan.new("exchange", each["id"], k) for each in among}
            assert set(found(engine, *words)) == wanted


def test_a_business_number_finds_the_documents_of_its_copy(copies, loaded, bench):
    engine, plan = copies
    fresh = bench["_ledger_fresh"].Fresh(COPIES)
    key = tables.business_key.c
    values = [row["value"] for row in rows(loaded[0], select(key.value).where(key.name == "po").distinct().limit(40))]
    for value in values:
        among = rows(loaded[0], select(key.exchange).where(key.name == "po", key.value == value).distinct())
        for k in range(COPIES):
            number = fresh.fresh_text(value, k)
            wanted = {plan.new("exchange", each["exchange"], k) for each in among}
            assert set(found(engine, f"po={number}")) == wanted
            assert wanted <= set(found(engine, f"po=*{number[1:]}"))
            said = [row for row in search(engine, Query(text=number)) if row.id in wanted]
            assert len(said) == len(wanted)


def test_subjects_name_the_numbers_of_their_own_copy(copies):
    """Wherever a document's number stands in a subject it is the one that its keys have."""
    some = [
        row
        for row in search(copies[0], parse_query(["type=850", "limit=all"]))
        if row.direction == "in" and row.partner
    ]
    assert some
    for row in some:
        numbers = [row.control_number, *(value for _, value in row.keys)]
        assert any(number in row.subject for number in numbers), row.subject


def test_days_are_counted_as_the_rows_have_them(copies):
    with reading(copies[0]) as connection:
        assert daily.check(connection) == []


def test_a_load_goes_on_in_every_copy(bench, loaded, tmp_path):
    life = loaded[1]
    engine = open_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    upgrade(engine)
    multiplying = bench["_ledger_multiply"]
    plan = multiplying.multiply(loaded[2], engine, COPIES)
    import pickle

    kept = pickle.loads(pickle.dumps((life.world, life.made.memory(), life.turns, life.clocks)))
    world, memory, turns, clocks = multiplying.continued(kept, plan)
    further = bench["_ledger_life"].Life(engine, world, 20)
    further.made.remembered(memory)
    further.turns, further.clocks = turns, clocks
    before = counted(engine, tables.exchange)
    assert clocks.exchanges == clocks.found == before
    sent = counted(engine, tables.exchange, x.state == "sent")
    further.run(before + 300)
    assert counted(engine, tables.exchange) == clocks.exchanges >= before + 300
    answered = tables.acknowledgment.c
    older = counted(engine, tables.acknowledgment, answered.exchange <= before, answered.carrier > before)
    assert older > sent / 2
    engine.dispose()


def test_what_nobody_has_thought_of_is_an_error(bench):
    copies = bench["_ledger_copies"]
    metadata = MetaData()
    other = Table("other", metadata, Column("name", Text, primary_key=True))
    with pytest.raises(copies.NobodySaidError, match="other: name is unique"):
        copies.copied(other)
    pointing = Table(
        "pointing",
        metadata,
        Column("id", BigInteger, primary_key=True),
        Column("other", Text, ForeignKey(other.c.name)),
    )
    with pytest.raises(copies.NobodySaidError, match=r"pointing\.other points to other"):
        copies.copied(pointing)
    unique = Table("unique", metadata, Column("id", BigInteger, primary_key=True), Column("word", Text, unique=True))
    with pytest.raises(copies.NobodySaidError, match="unique: word is unique"):
        copies.copied(unique)
