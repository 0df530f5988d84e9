"""When batches run, and how a wait ends."""

import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

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
