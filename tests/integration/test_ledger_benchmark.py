"""The ledger's benchmark records what the flow records, and a ledger that verifies."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from builders.stage import Stage, acknowledgment, invoice, orders
from sqlalchemy import func, select

from gateway.flow.submit import submit
from gateway.ledger import tables
from gateway.ledger.database import reading

BENCHMARKS = str(Path(__file__).resolve().parents[2] / "benchmarks")


@pytest.fixture
def bench(monkeypatch):
    """The benchmark's modules."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    names = ("_ledger_life", "_ledger_questions", "_ledger_world")
    yield {name: __import__(name) for name in names}
    for name in [*names, "_ledger_made"]:
        sys.modules.pop(name, None)


@pytest.fixture
def lived(bench, ledger_engine):
    """A ledger in which the benchmark's world has lived for a while."""
    life = bench["_ledger_life"].Life(ledger_engine, bench["_ledger_world"].World(2_000), group=20)
    life.run(300)
    return ledger_engine, life


def test_every_exchange_has_its_events_and_the_ledger_verifies(lived, bench):
    engine, life = lived
    x, e = tables.exchange, tables.event
    with reading(engine) as connection:
        silent = select(func.count()).where(~select(e.c.seq).where(e.c.exchange == x.c.id).exists())
        assert connection.execute(silent.select_from(x)).scalar_one() == 0
        assert connection.execute(select(func.count()).select_from(x)).scalar_one() == life.clocks.exchanges
    events, rows, _, differences = bench["_ledger_questions"].verify_all(engine)
    assert differences == 0
    assert events > life.clocks.exchanges
    assert rows > life.clocks.exchanges


def test_every_question_that_can_be_asked_is_answered(lived, bench):
    engine, _ = lived
    asking = bench["_ledger_questions"]
    asked = asking.questions(asking.sample(engine, 3, seed=7))
    for answer in asking.ask_all(engine, asked, repeats=1, seconds=5):
        assert not answer.fault, f"{answer.name}: {answer.fault}"
    assert all(asking.explain(engine, each) for each in asked[:3])


def test_it_records_what_the_flow_records(lived, tmp_path):
    """The same kinds of events with the same facts, and the same columns filled."""
    (tmp_path / "stage").mkdir()
    stage = Stage(tmp_path / "stage")
    stage.mail(orders(1))
    context = stage.context()
    submit(context, "acme", invoice())
    stage.run()
    stage.mail(acknowledgment(2, 1))
    stage.run()
    theirs, ours = _shape(stage.engine), _shape(lived[0])
    for kind, bodies in theirs["events"].items():
        assert bodies <= ours["events"][kind], kind
    for table, columns in theirs["columns"].items():
        assert table in _NOT_OF_EXCHANGES or columns <= ours["columns"][table], table


_NOT_OF_EXCHANGES = {"batch", "daily_count"}  # the night itself; counts of the day on which something is recorded


def _shape(engine):
    """Which kinds of events there are, with which facts; which columns of which tables are filled."""
    events: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    columns: dict[str, set[str]] = defaultdict(set)
    with reading(engine) as connection:
        for row in connection.execute(select(tables.event)):
            body = json.loads(row.body)
            events[row.kind].add(tuple(sorted(body)) if row.kind != "recorded" else ())
        for table in tables.metadata.sorted_tables:
            for row in connection.execute(select(table)).mappings():
                columns[table.name] |= {name for name, value in row.items() if value not in {None, "", 0, "[]", "{}"}}
    return {"events": events, "columns": columns}
