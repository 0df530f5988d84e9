"""The night's part of putting away: once a day, only what is new since the last one, and all of it now and then."""

from __future__ import annotations

from datetime import timedelta

import pytest
from builders.stage import ACME, HOUR, Stage, orders
from msgspec.structs import replace

from gateway.flow import retain
from gateway.flow.hold import add, release
from gateway.flow.retain import policies
from gateway.ledger.query import Query
from gateway.settings import Kept, RetentionSettings

DAY = 24 * HOUR


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path)
    stage.settings = replace(
        stage.settings,
        retention=RetentionSettings(ledger=timedelta(days=400), payload=timedelta(days=2), nightly=True),
    )
    return stage


def nights(stage, *, days):
    """A night a day; an order comes each day. Returns the number of contents after each."""
    kept = []
    for _ in range(days):
        stage.now += DAY
        stage.mail(orders(len(stage.rows("exchange")) // 2 + 1))
        assert [str(fault) for _, fault in stage.run().troubles] == []
        kept.append(len(stage.rows("content")))
    return kept


def test_each_night_puts_away_what_became_too_old_since_the_last(stage, monkeypatch):
    looked = []
    original = retain.apply
    monkeypatch.setattr(
        retain, "apply", lambda context, **options: looked.append(options["since"]) or original(context, **options)
    )
    kept = nights(stage, days=6)
    assert kept[0] == 4  # a mail and an order, our answer and its mail
    assert max(kept) == kept[-1] == kept[-2]
    assert looked[0] is None
    assert all(each is not None for each in looked[1:])


def test_it_is_done_once_a_day(stage):
    nights(stage, days=3)
    events = len(stage.rows("event"))
    stage.now += HOUR
    stage.run()
    assert [row["kind"] for row in stage.rows("event")[events:]] == []


def test_without_the_setting_the_night_puts_nothing_away(stage):
    stage.settings = replace(stage.settings, retention=replace(stage.settings.retention, nightly=False))
    assert nights(stage, days=5) == [4, 8, 12, 16, 20]


def test_what_a_released_hold_kept_goes_with_the_next_night(stage):
    stage.mail(orders(1))
    stage.run()
    act = add(stage.context(), ["partner=acme"], Query(partner="acme"), [], actor="lawyer", reason="a dispute")
    kept = nights(stage, days=5)
    assert kept == [8, 12, 16, 20, 24]
    release(stage.context(), int(act.reference), actor="lawyer", reason="over")
    assert nights(stage, days=1)[0] < 16


def test_other_policies_are_applied_to_everything(stage):
    stage.settings = replace(stage.settings, retention=replace(stage.settings.retention, payload=timedelta(days=100)))
    assert nights(stage, days=5) == [4, 8, 12, 16, 20]
    stage.settings = replace(stage.settings, retention=replace(stage.settings.retention, payload=timedelta(days=2)))
    assert nights(stage, days=1)[0] < 16


def test_the_longest_policy_counts_and_the_profile_goes_before_the_type(stage):
    stage.settings = replace(
        stage.settings,
        duplicate_window=timedelta(days=1),
        retention=RetentionSettings(
            ledger=timedelta(days=100),
            payload=timedelta(days=50),
            types=(("850", Kept(payload=timedelta(days=10))), ("855", Kept(payload=timedelta(days=20)))),
        ),
    )
    stage.profiles = [
        ACME.replace('sets = ["850"]', 'sets = ["850"]\nretention = { payload = "30d" }').replace(
            "identities", 'retention = { ledger = "200d" }\nidentities'
        )
    ]
    rules = policies(stage.settings, stage.context().directory)

    def days(partner, direction, *types):
        spans = rules.of_exchange(partner, direction, types)
        return spans.ledger // DAY, spans.payload // DAY

    assert days("acme", "in", "850") == (200, 30)  # its agreement
    assert days("acme", "out", "855") == (200, 20)  # the partner's ledger, the type's payload
    assert days("stranger", "in", "850") == (100, 10)
    assert days("stranger", "in", "850", "855") == (100, 20)
    assert days("stranger", "in", "997") == (100, 50)
    assert days("stranger", "in") == (100, 50)
    assert rules.of_mail("acme").ledger // DAY == 200
    assert rules.shortest().payload // DAY == 10
    assert [span // DAY for span in rules.payload_spans()] == [10, 20, 30, 50]


def test_bytes_never_outlive_what_speaks_of_them_and_history_never_the_duplicate_window(stage):
    stage.settings = replace(
        stage.settings, retention=RetentionSettings(ledger=timedelta(days=30), payload=timedelta(days=500))
    )
    spans = policies(stage.settings, stage.context().directory).of_exchange("acme", "in", ["850"])
    assert (spans.ledger // DAY, spans.payload // DAY) == (500, 500)
    stage.settings = replace(
        stage.settings, retention=RetentionSettings(ledger=timedelta(days=30), payload=timedelta(days=5))
    )
    spans = policies(stage.settings, stage.context().directory).of_exchange("acme", "in", ["850"])
    assert (spans.ledger // DAY, spans.payload // DAY) == (365, 5)


def test_asked_to_stop_it_ends_between_two_transactions_and_the_next_run_goes_on(stage):
    stage.settings = replace(stage.settings, retention=replace(stage.settings.retention, nightly=False))
    nights(stage, days=8)
    stage.now += 10 * DAY
    stops = iter([False] * 6 + [True] * 100)
    some = retain.apply(replace(stage.context(), stopping=lambda: next(stops)))
    rest = retain.apply(stage.context())
    assert some.contents + rest.contents == 32
    assert stage.rows("content") == []
