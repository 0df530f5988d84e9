"""Leases and claims: one holder at a time, and a commit that comes too late is refused."""

from __future__ import annotations

import os
import time

import pytest
from builders.stage import Stage, orders
from msgspec.structs import replace
from sqlalchemy import select, update

from gateway.errors import LeaseLost
from gateway.flow.collect import collect
from gateway.flow.dispatch import dispatch
from gateway.flow.inbound import process
from gateway.flow.reporter import Tally
from gateway.ledger import database, tables
from gateway.ledger.claims import claiming, give_back
from gateway.ledger.leases import SharedLeases, holding

pytestmark = pytest.mark.integration
TERM = 600  # ms


@pytest.fixture
def engine(postgres, migrated_template):
    opened = database.open_engine(postgres.fresh_database(migrated_template))
    yield opened
    opened.dispose()


class Sleeper(SharedLeases):
    """The leases of a process that never finds the time to renew them."""

    def _keep_alive(self) -> None:
        pass


@pytest.fixture
def ours(engine):
    leases = SharedLeases(engine, TERM)
    yield leases
    leases.close()


@pytest.fixture
def sleeper(engine):
    return Sleeper(engine, TERM)


def expire(engine):
    """Time passes; the database's clock is not ours to move."""
    with database.writing(engine) as connection:
        connection.execute(update(tables.lease).values(until=0))
        connection.execute(update(tables.claim).values(until=0))


def shared(stage, leases):
    """The context of a worker, and what it tells."""
    tally = Tally()
    return replace(stage.context(tally), leases=leases), tally


def test_a_lease_has_one_holder_and_an_epoch_for_each_change_of_hands(ours, sleeper):
    first = sleeper.take("mailbox:orders")
    assert first is not None
    assert first.epoch == 1
    assert ours.take("mailbox:orders") is None
    sleeper.release(first)
    second = ours.take("mailbox:orders")
    assert second is not None
    assert second.epoch == 2
    assert sleeper.take("mailbox:orders") is None


def test_what_a_process_has_is_not_given_twice_to_its_threads(ours):
    with holding(ours, "night") as lease:
        assert lease is not None
        assert ours.take("night") is None
    assert ours.take("night") is not None


def test_a_lease_lives_for_as_long_as_its_process_and_no_longer(engine, ours, sleeper):
    kept, lost = ours.take("kept"), sleeper.take("lost")
    time.sleep(TERM / 1000 * 2)
    other = SharedLeases(engine, TERM)
    try:
        assert other.take("kept") is None
        assert other.take("lost") is not None
        assert ours.is_fresh(kept)
        assert not sleeper.is_fresh(lost)
    finally:
        other.close()


def test_what_is_given_back_while_it_is_being_renewed_is_free(engine, sleeper, monkeypatch):
    """Else nobody could have it for another term, and a restore was refused after the last worker had ended."""
    lease, renewing = sleeper.take("outbox:here"), sleeper._renew

    def late(held):
        sleeper.release(lease)
        renewing(held)

    monkeypatch.setattr(sleeper, "_renew", late)
    sleeper.renew()
    with database.reading(engine) as connection:
        assert connection.execute(select(tables.lease.c.until)).scalars().all() == [0]


def test_a_message_that_is_given_back_while_its_claim_is_renewed_is_free(tmp_path, engine, sleeper):
    stage = Stage(tmp_path, engine=engine)
    stage.mail(orders(1))
    collect(stage.context())
    with claiming(stage.ledger, sleeper, 1, 10**9, 5, tmp_path) as (claims, _):
        with database.writing(engine) as connection:
            give_back(connection, claims)
        sleeper.renew()
    with database.reading(engine) as connection:
        assert connection.execute(select(tables.claim.c.until)).scalars().all() == [0]


def test_a_zombies_commit_is_refused(tmp_path, engine, ours, sleeper):
    stage = Stage(tmp_path, engine=engine)
    lease = sleeper.take("mailbox:orders")
    expire(engine)
    assert ours.take("mailbox:orders") is not None
    with pytest.raises(LeaseLost), stage.ledger.transaction(None, lease) as recorder:
        recorder.event("noted", kind="letter")
    assert stage.kinds() == []


def test_nobody_takes_a_lease_between_its_check_and_the_commit(tmp_path, engine, ours, sleeper):
    stage = Stage(tmp_path, engine=engine)
    lease = sleeper.take("mailbox:orders")
    with stage.ledger.transaction(None, lease), database.writing(engine) as other:
        other.exec_driver_sql("SET LOCAL lock_timeout = '100ms'")
        with pytest.raises(Exception, match="lock timeout"):
            other.execute(update(tables.lease).values(epoch=9))


def test_a_child_process_has_none_of_its_parents_leases(ours):
    assert ours.take("mailbox:orders") is not None
    holder = ours.holder
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        ours.engine.dispose(close=False)
        os.write(writing, f"{ours.holder == holder} {ours.take('mailbox:orders')}".encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reading, 100) == b"False None"


def test_two_workers_never_claim_the_same_message(tmp_path, engine, ours, sleeper):
    stage = Stage(tmp_path, engine=engine)
    for number in range(1, 8):
        stage.mail(orders(number))
    collect(stage.context())
    with (
        claiming(stage.ledger, ours, 4, 10**9, 5, tmp_path) as (first, some),
        claiming(stage.ledger, sleeper, 100, 10**9, 5, tmp_path) as (second, rest),
    ):
        assert (len(some), len(rest)) == (4, 3)
        assert not first.epochs.keys() & second.epochs.keys()
        assert all(each.attempts == 0 for each in some)


def test_a_dead_workers_messages_are_taken_over_one_by_one_and_its_own_commit_is_refused(
    tmp_path, engine, ours, sleeper
):
    stage = Stage(tmp_path, engine=engine)
    for number in range(1, 6):
        stage.mail(orders(number))
    collect(stage.context())
    with claiming(stage.ledger, sleeper, 100, 10**9, 5, tmp_path) as (claims, waiting):
        assert len(waiting) == 5
        expire(engine)
        context, tally = shared(stage, ours)
        process(context)
        assert tally.counts["interchanges accepted"] == 5
        with pytest.raises(LeaseLost), stage.ledger.transaction(None, claims) as recorder:
            recorder.event("noted", kind="letter")
    assert stage.kinds().count("examined") == 5
    assert {row["attempts"] for row in stage.rows("message") if row["direction"] == "in"} == {2}
    assert stage.rows("claim") == []


def test_a_mailbox_that_another_worker_collects_is_left_to_it(tmp_path, engine, ours, sleeper):
    stage = Stage(tmp_path, engine=engine)
    stage.mail(orders(1))
    lease = sleeper.take(f"mailbox:{stage.mailbox.name}")
    context, tally = shared(stage, ours)
    collect(context)
    assert tally.counts == {"mailboxes left to another worker": 1}
    sleeper.release(lease)
    collect(context)
    assert tally.counts["collected"] == 1


def test_what_a_living_worker_is_sending_is_not_in_doubt_and_what_a_dead_one_was_is(tmp_path, engine, ours, sleeper):
    stage = Stage(tmp_path, engine=engine)
    stage.mail(orders(1))
    collect(stage.context())
    process(stage.context())
    lease = sleeper.take("partner:acme:send")
    with stage.ledger.transaction(None, lease) as recorder:
        recorder.connection.execute(update(tables.outgoing).values(state="sending", attempts=1))
    context, tally = shared(stage, ours)
    dispatch(context)
    assert tally.counts == {}
    assert stage.rows("outgoing")[0]["state"] == "sending"
    expire(engine)
    dispatch(context)
    assert tally.counts == {"mails in doubt, sent again": 1, "mails sent": 1}
    assert stage.kinds().count("in-doubt") == 1


def test_a_worker_that_lost_its_partner_records_nothing_of_what_it_sent(tmp_path, engine, sleeper, ours):
    """It was asleep while it handed the mail over; another one said that it was in doubt, and sent it again."""
    stage = Stage(tmp_path, engine=engine)
    stage.mail(orders(1))
    collect(stage.context())
    process(stage.context())
    context, tally = shared(stage, sleeper)
    other, others = shared(stage, ours)
    asleep = iter([True])

    def sleep(_mail):
        if next(asleep, False):
            expire(engine)
            dispatch(other)

    stage.transport.after_taking = sleep
    dispatch(context)
    assert others.counts == {"mails in doubt, sent again": 1, "mails sent": 1}
    assert [type(fault) for _, fault in tally.troubles] == [LeaseLost]
    assert "mails sent" not in tally.counts
    assert stage.kinds().count("sent") == 1
    assert len({each.raw for each in stage.transport.sent}) == 1
    assert len(stage.transport.sent) == 2
    assert stage.rows("outgoing") == []
