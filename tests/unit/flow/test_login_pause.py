"""A refused login is tried ever more seldom, and at once when somebody did something about it."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import pairwise

import pytest
from builders.stage import Stage

from gateway.errors import LoginRefused
from gateway.flow import alerts
from gateway.flow.login_pause import FIRST_PAUSE, LONGEST_PAUSE, next_try
from gateway.ledger.alerts import standing
from gateway.ledger.tables import secret

MINUTE = 60_000


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """A stage whose mailbox refuses every login and counts them."""
    made = Stage(tmp_path)
    made.tries = 0

    @contextmanager
    def refuse():
        made.tries += 1
        raise LoginRefused(host="pop.us.example", user="edi", reason="-ERR no")
        yield

    monkeypatch.setattr(made.mailbox, "session", refuse)
    return made


def batches(stage, count, pause=5 * MINUTE):
    for _ in range(count):
        summary = stage.run()
        assert [fault.code for _, fault in summary.troubles] == ["mail.login-refused"]
        stage.now += pause


def test_a_day_of_batches_every_five_minutes_makes_few_tries(stage):
    batches(stage, 288)
    assert 8 <= stage.tries <= 12


def test_a_new_password_is_tried_at_once(stage):
    batches(stage, 4)
    before = stage.tries
    with stage.ledger.transaction() as recorder:
        recorder.connection.execute(
            secret.insert().values(name="mailbox.orders", token=b"", updated_at=stage.now, updated_by="kim")
        )
    batches(stage, 1)
    assert stage.tries == before + 1


def test_when_the_alert_is_closed_the_login_is_tried_at_once(stage):
    batches(stage, 4)
    before = stage.tries
    with stage.ledger.reading() as connection:
        number = standing(connection)[0].id
    alerts.close(stage.context(), number, actor="kim", reason="account unlocked")
    batches(stage, 1)
    assert stage.tries == before + 1


def test_the_pauses_double_up_to_six_hours():
    tries, moment = [], 0
    for _ in range(12):
        moment = next_try(0, moment)
        tries.append(moment)
    assert [each // FIRST_PAUSE for each in tries[:4]] == [1, 2, 4, 8]
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert max(gaps) <= LONGEST_PAUSE
    assert gaps[-1] == LONGEST_PAUSE
