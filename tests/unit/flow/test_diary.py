"""What a batch leaves written: each step with its time, its counts and its troubles, also while it runs."""

from __future__ import annotations

import pytest
from builders.stage import Stage

from gateway.errors import MailboxUnavailable
from gateway.flow import night as nights
from gateway.ledger import batches


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def _told(stage):
    with stage.ledger.reading() as connection:
        return batches.last_of(connection)


def test_every_step_of_a_night_is_written_with_its_time_and_what_it_counted(stage):
    """A batch that ended tells its steps in their order, and the sum is what the batch counted."""
    stage.run()
    told = _told(stage)
    assert [each.name for each in told.steps] == [name for name, _ in nights.STEPS]
    assert all(each.took is not None and each.took >= 0 for each in told.steps)
    summed = {}
    for step in told.steps:
        for what, number in step.counts.items():
            summed[what] = summed.get(what, 0) + number
    assert summed == dict(told.counts)
    assert told.result == "all is well"


def test_a_step_that_fails_is_told_with_its_sentence_and_what_to_do(stage, monkeypatch):
    """The trouble stands at its step, the steps after it ran, and the batch says how it ended."""

    def away(_context):
        raise MailboxUnavailable(mailbox="edi", host="mail.example", reason="refused <b>it</b>\nnow")

    steps = tuple((name, away if name == "collect" else step) for name, step in nights.STEPS)
    monkeypatch.setattr(nights, "STEPS", steps)
    stage.run()
    told = _told(stage)
    first, *others = told.steps
    assert [(each.where, each.code) for each in first.troubles] == [("collect", MailboxUnavailable.code)]
    assert "\n" not in first.troubles[0].sentence
    assert first.troubles[0].advice
    assert not any(each.troubles for each in others)
    assert len(others) == len(nights.STEPS) - 1
    assert (told.troubles, told.exit_code, told.result) == (1, 69, "a host was away")


def test_a_long_batch_tells_where_it_is_while_it_runs(stage, monkeypatch):
    """Who looks during a step of minutes sees that step, and those before it with their times."""
    seen = []

    def slow(context):
        context.reporter.happened("messages collected", 3)
        stage.now += 5_000

    def looks(_context):
        seen.append(_told(stage))

    monkeypatch.setattr(nights, "STEPS", (("collect", slow), ("process", looks)))
    stage.run()
    (told,) = seen
    assert [(each.name, each.took) for each in told.steps] == [("collect", 5_000), ("process", None)]
    assert dict(told.counts) == {"messages collected": 3}
    assert told.result == "not ended"


def test_a_batch_of_an_older_version_is_read_too(stage):
    """Its counts are told, and that it knows nothing of steps."""
    stage.run()
    with stage.ledger.transaction() as recorder:
        recorder.connection.exec_driver_sql('UPDATE batch SET summary = \'{"counts": {"seals": 1}, "troubles": 2}\'')
    told = _told(stage)
    assert (dict(told.counts), told.troubles, told.steps, told.by) == ({"seals": 1}, 2, (), "")
