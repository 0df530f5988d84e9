"""What a batch asks of the ledger takes no longer when the ledger is ten years old: each question has its index."""

from __future__ import annotations

import pytest
from builders.overheard import overheard
from builders.stage import HOUR, Stage, orders
from sqlalchemy import Engine, event

from gateway.flow.settle import settle
from gateway.ledger import standing


@pytest.fixture
def asked():
    """Every statement that is run, with its parameters."""
    found: list[tuple[str, tuple]] = []

    def note(connection, cursor, statement, parameters, context, many):
        if statement.startswith("SELECT") and not many:
            found.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    yield found
    event.remove(Engine, "before_cursor_execute", note)


def plans(stage: Stage, asked, *words: str) -> list[str]:
    """How SQLite answers the statements with all of these words."""
    chosen = {one: values for one, values in list(asked) if all(word in one for word in words)}
    with stage.ledger.reading() as connection:
        return [
            " | ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {one}", values))
            for one, values in chosen.items()
        ]


@pytest.fixture
def stage(tmp_path, asked):
    stage = Stage(tmp_path)
    for number in (5, 6, 9):
        stage.now += 30 * HOUR
        stage.mail(orders(number))
        stage.run()
    stage.now += 30 * HOUR
    stage.run()  # what is missing is explained, or told
    return stage


def test_what_is_due_is_found_among_the_due_alone(stage, asked):
    found = plans(stage, asked, "transaction_set.delivery = 'due'", "LIMIT")
    assert found
    for plan in found:
        assert "transaction_set USING INDEX ix_transaction_set_due" in plan
        assert "ix_transaction_set_exchange" not in plan


def test_whether_what_is_sent_came_back_is_looked_for_among_its_own_events(stage):
    stage.mail(orders(10))
    with overheard(stage.engine) as statements:
        stage.run()
    found = plans(stage, statements, "'bounced'", "'sending'")
    assert found
    for plan in found:
        assert "event USING INDEX ix_event_exchange (exchange=?)" in plan
        assert "marked USING INDEX ix_event_exchange (exchange=?)" in plan


def test_missing_numbers_are_looked_for_by_number(stage, asked):
    interchanges = plans(stage, asked, "SELECT exchange.control_number", "exchange.state IN")
    groups = plans(stage, asked, "SELECT functional_group.control_number", "exchange.state IN")
    assert interchanges
    assert groups
    assert all("exchange USING INDEX ix_exchange_control_number_at" in plan for plan in interchanges)
    assert all("ix_functional_group_control_number" in plan for plan in groups)


def test_numbers_used_before_are_looked_for_in_the_window_alone(stage, asked):
    numbered = plans(stage, asked, 'interchange_key."key"', "exchange.control_number IN")
    named = plans(stage, asked, 'interchange_key."key" IN')
    assert numbered
    assert named
    assert all("ix_exchange_control_number_at (control_number=? AND at>?)" in plan for plan in numbered)
    assert all("SEARCH exchange USING INTEGER PRIMARY KEY" in plan for plan in named)


def test_what_ended_well_is_counted_for_the_asked_time_alone(stage, asked):
    """The rest is few, and has an index of its own."""
    with stage.ledger.reading() as connection:
        every = standing.counts(connection, 0)
        today = standing.counts(connection, stage.now - 31 * HOUR)
    assert every["in delivered"] == 3
    assert today["in delivered"] == 1
    counted = plans(stage, asked, "count(*) AS number", "GROUP BY exchange.direction")
    assert len(counted) == 2
    assert any("ix_exchange_state_at" in plan for plan in counted)
    assert any("ix_exchange_at (at>?)" in plan for plan in counted)


def test_what_ended_long_ago_is_not_counted_with_what_waits(stage):
    """A duplicate waits for nothing, a rejected interchange for a person until it is settled."""
    stage.mail(orders(9), subject="again")
    stage.mail(orders(10).replace(b"IEA*1*000000010", b"IEA*1*000000011"))
    stage.run()
    stage.now += 30 * HOUR
    with stage.ledger.reading() as connection:
        every = standing.counts(connection, 0)
        late = standing.counts(connection, stage.now - HOUR)
    assert (every["in duplicate"], every["in rejected"]) == (1, 1)
    assert "in duplicate" not in late
    assert late["in rejected"] == 1
    rejected = next(row["id"] for row in stage.rows("exchange") if row["state"] == "rejected")
    settle(stage.context(), int(str(rejected)), actor="anna", reason="they know")
    with stage.ledger.reading() as connection:
        assert "in rejected" not in standing.counts(connection, stage.now - HOUR)
