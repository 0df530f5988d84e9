"""Alerts on both databases: raised once although two processes look at once, told once although both would tell."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from builders.stage import HOUR, Stage, orders
from msgspec.structs import replace

from gateway.flow import alerts, operate, telling
from gateway.flow.collect import collect
from gateway.flow.inbound import process
from gateway.ledger import alerts as kept
from gateway.settings import AlertSettings

pytestmark = pytest.mark.integration

RULES = (AlertSettings("ops", to=("ops@us.example",)),)


def standing(stage):
    with stage.ledger.reading() as connection:
        return kept.standing(connection)


def stage_on(engine, tmp_path):
    stage = Stage(tmp_path, engine=engine)
    stage.settings = replace(stage.settings, alerts=RULES)
    return stage


def test_a_life_of_alerts_on_both_databases(ledger_engine, tmp_path):
    stage = stage_on(ledger_engine, tmp_path)
    for number in range(600):  # more than one question to the database holds
        stage.mail(orders(number + 1), sender=f"nobody{number}@stranger.example")
    first = stage.run()
    assert first.counts["alerts told"] == 600
    assert len(stage.sent) == 1
    assert "alerts told" not in stage.run().counts
    for number in sorted(row["id"] for row in stage.rows("message") if row["direction"] == "in")[:599]:
        operate.discard(stage.context(), f"m{number}", actor="jo", reason="spam")
    stage.now += 2 * HOUR
    stage.run()
    (left,) = standing(stage)
    assert (left.state, list(left.told)) == ("told", ["ops"])
    closed = [row for row in stage.rows("alert") if row["state"] == "closed"]
    assert len(closed) == 599
    assert all(json.loads(str(row["told"])) for row in closed)
    alerts.close(stage.context(), left.id, actor="jo", reason="seen")
    stage.now += 2 * HOUR
    stage.run()
    assert [each.id for each in standing(stage)] == [left.id]
    assert len(stage.sent) == 2


def test_two_processes_that_look_and_tell_at_once_do_it_once(ledger_engine, tmp_path):
    stage = stage_on(ledger_engine, tmp_path)
    stage.mail(orders(1), sender="nobody@stranger.example")
    collect(stage.context())
    process(stage.context())
    together = Barrier(2)

    def look_and_tell(_):
        together.wait(10)
        alerts.raise_alerts(stage.context())
        telling.tell(stage.context())

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(look_and_tell, range(2)))
    assert len(standing(stage)) == 1
    assert len(stage.sent) == 1
    assert stage.kinds().count("alert-raised") == 1
