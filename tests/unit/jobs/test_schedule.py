"""When batches run, and how a wait ends."""

import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from gateway.jobs import schedule
from gateway.jobs.schedule import Pacer, next_run

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FIVE = timedelta(minutes=5)


@pytest.fixture
def pacer():
    pacer = Pacer()
    yield pacer
    pacer.close()


@pytest.mark.parametrize(
    ("last", "wanted"),
    [
        (None, NOON),
        (NOON - timedelta(minutes=2), NOON + timedelta(minutes=3)),
        (NOON - FIVE, NOON),
        (NOON - timedelta(days=3), NOON),  # missed runs are not caught up with
        (NOON + timedelta(hours=2), NOON + FIVE),  # the clock was set back
    ],
)
def test_next_run(last, wanted):
    assert next_run(NOON, FIVE, last) == wanted


def test_a_wait_ends_when_the_time_is_up(pacer):
    began = time.monotonic()
    assert pacer.wait(0.05)
    assert time.monotonic() - began >= 0.05


def test_another_thread_ends_a_wait_at_once_and_all_later_ones(pacer):
    timer = threading.Timer(0.05, pacer.stop)
    timer.start()
    began = time.monotonic()
    assert not pacer.wait(30)
    assert time.monotonic() - began < 10
    assert not pacer.wait(30)
    assert pacer.stopped
    timer.join()


def test_sigterm_ends_a_wait_and_the_old_handler_comes_back(pacer):
    before = signal.getsignal(signal.SIGTERM)
    with pacer.signals():
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM))
        timer.start()
        assert not pacer.wait(30)
        timer.join()
    assert signal.getsignal(signal.SIGTERM) is before


def test_runs_come_at_once_then_after_the_interval_until_stopped(pacer):
    moments = []
    for moment in pacer.runs(timedelta(milliseconds=20), lambda: datetime.now(UTC)):
        moments.append(moment)
        if len(moments) == 3:
            pacer.stop()
    assert len(moments) == 3
    assert moments[1] - moments[0] >= timedelta(milliseconds=20)


def test_a_call_shortens_the_wait_so_far_that_a_burst_is_taken_together(pacer, monkeypatch):
    monkeypatch.setattr(schedule, "CALM", 0.1)
    timers = [threading.Timer(delay, pacer.call) for delay in (0.05, 0.06, 0.07)]
    for timer in timers:
        timer.start()
    began = time.monotonic()
    assert pacer.wait(30)
    assert 0.1 <= time.monotonic() - began < 5
    for timer in timers:
        timer.join()


def test_a_call_during_a_batch_shortens_the_next_wait_only(pacer, monkeypatch):
    monkeypatch.setattr(schedule, "CALM", 0.02)
    pacer.call()
    assert pacer.wait(30)
    began = time.monotonic()
    assert pacer.wait(0.2)
    assert time.monotonic() - began >= 0.2


def test_a_call_never_makes_a_wait_longer(pacer, monkeypatch):
    monkeypatch.setattr(schedule, "CALM", 30)
    pacer.call()
    began = time.monotonic()
    assert pacer.wait(0.05)
    assert time.monotonic() - began < 5


def test_a_call_does_not_keep_us_from_stopping(pacer):
    pacer.call()
    timer = threading.Timer(0.05, pacer.stop)
    timer.start()
    began = time.monotonic()
    assert not pacer.wait(30)
    assert time.monotonic() - began < 0.9
    timer.join()
