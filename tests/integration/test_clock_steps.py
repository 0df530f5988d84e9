"""A clock that steps, the database's or a worker's, forward or back: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import pytest
from builders.stage import Stage, orders
from msgspec.structs import replace
from sqlalchemy import BigInteger, cast, func

from gateway.flow import inbound
from gateway.flow.collect import collect
from gateway.flow.deliver import deliver
from gateway.flow.dispatch import dispatch
from gateway.flow.inbound import process
from gateway.flow.reporter import Tally
from gateway.ledger import claims, database, leases
from gateway.ledger.leases import SharedLeases

pytestmark = pytest.mark.integration
HOUR = 3_600_000
ORDERS = 6


class Clocks:
    """How far each clock is off, in ms: that of the database, and that of the machine of the workers."""

    def __init__(self, stage):
        self.stage = stage
        self.database = 0

    def step(self, whose, by):
        if whose == "database":
            self.database += by
        else:
            self.stage.now += by

    def database_now(self):
        return cast(func.extract("epoch", func.clock_timestamp()) * 1000 + self.database, BigInteger)


@pytest.fixture
def stage(postgres, migrated_template, tmp_path):
    engine = database.open_engine(postgres.fresh_database(migrated_template))
    yield Stage(tmp_path, engine=engine)
    engine.dispose()


@pytest.fixture
def clocks(stage, monkeypatch):
    made = Clocks(stage)
    for module in (leases, claims):
        monkeypatch.setattr(module, "database_now", made.database_now)
    return made


@pytest.fixture
def workers(stage):
    """Two of them, each with what it tells."""
    made = [SharedLeases(stage.engine) for _ in range(2)]
    tallies = [Tally(), Tally()]
    yield [(replace(stage.context(tally), leases=each), tally) for each, tally in zip(made, tallies, strict=True)]
    for each in made:
        each.close()


def once(act):
    """Does ``act`` when it is called first."""
    left = [act]

    def first(*_):
        if left:
            left.pop()()

    return first


@pytest.mark.parametrize("whose", ["database", "worker"])
@pytest.mark.parametrize("step", [24 * HOUR, -2 * HOUR], ids=["forward", "back"])
def test_a_clock_that_steps_while_a_worker_is_at_work_loses_and_doubles_nothing(
    stage, clocks, workers, monkeypatch, whose, step
):
    """It steps while one has mails in its hands, and again while it delivers and sends; another one looks each time."""
    (ours, told), (other, _) = workers
    for number in range(1, ORDERS + 1):
        stage.mail(orders(number))
    collect(ours)

    def meanwhile(*steps):
        clocks.step(whose, step)
        for each in steps:
            each(other)

    at_once = once(lambda: meanwhile(process))
    prepare = inbound.prepare
    monkeypatch.setattr(inbound, "prepare", lambda *given: (at_once(), prepare(*given))[1])
    process(ours)
    taken_over = step > 0 and whose == "database"
    assert told.counts.get("messages left to another worker", 0) == (ORDERS if taken_over else 0)
    clocks.step(whose, -step)
    stage.transport.after_taking = once(lambda: meanwhile(dispatch, deliver))
    stage.now += HOUR
    for each in (ours, other):
        dispatch(each)
        deliver(each)
    stage.now += 3 * HOUR  # what a step back put off is due by now
    for each in (other, ours):
        process(each)
        dispatch(each)
        deliver(each)

    assert stage.kinds().count("examined") == ORDERS
    assert stage.states("in") == ["delivered"] * ORDERS
    assert len(stage.delivered) == ORDERS
    assert sorted(edi[0][13] for edi in {str(edi): edi for edi in stage.sent_edi}.values()) == sorted(
        row["control_number"] for row in stage.rows("exchange") if row["direction"] == "out"
    )
    assert set(stage.states("out")) == {"complete"}
    assert stage.rows("outgoing") == []
    assert stage.rows("claim") == []
    mails = {each.raw for each in stage.transport.sent}
    assert len(mails) == ORDERS
    if not taken_over:
        assert len(stage.sent) == ORDERS
    else:  # those that were being sent were in doubt: the very same mails went again, which partners know again
        assert stage.kinds().count("in-doubt") == len(stage.sent) - ORDERS


@pytest.mark.parametrize("step", [24 * HOUR, -2 * HOUR], ids=["forward", "back"])
def test_what_a_worker_had_that_died_is_taken_over_when_the_clock_has_stepped(stage, clocks, workers, step):
    """After a step back it takes until that clock has gone as far again; nothing is given to two."""
    (dead, _), (other, told) = workers
    for number in range(1, ORDERS + 1):
        stage.mail(orders(number))
    collect(other)
    with stage.ledger.transaction() as recorder:
        held = claims._take(recorder.connection, dead.leases, ORDERS, 10**9, claims.message.c.attempts == 0)
    assert len(held.epochs) == ORDERS
    clocks.step("database", step)
    process(other)
    assert told.counts["interchanges accepted"] == (ORDERS if step > 0 else 0)
    clocks.step("database", 2 * HOUR + leases.TERM)
    process(other)
    assert told.counts["interchanges accepted"] == ORDERS
    assert stage.kinds().count("examined") == ORDERS
