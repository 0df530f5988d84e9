"""No message takes more processor time than it is given, wherever it is spent, and the others go on."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from builders.stage import Stage, orders
from msgspec.structs import replace

from gateway.errors import MessageTooSlow
from gateway.flow import inbound
from gateway.flow.time_limit import at_most


def endless():
    """What forgives everything, as parsers around foreign libraries do."""
    while True:
        try:
            sum(range(10_000))
        except Exception:  # noqa: BLE001
            continue


def in_a_thread(work):
    """What ``work`` gives, or raises, in another thread than the main one."""
    found = []

    def run():
        try:
            found.append(work())
        except BaseException as problem:  # noqa: BLE001
            found.append(problem)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def limited(seconds, work):
    with at_most(seconds):
        return work()


def test_what_takes_too_long_is_stopped():
    with pytest.raises(MessageTooSlow, match="1 s"):
        limited(1, endless)
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)


def test_it_is_stopped_in_a_thread_too():
    assert isinstance(in_a_thread(lambda: limited(1, endless)), MessageTooSlow)


def test_threads_are_watched_by_one_thread_and_each_by_its_own_clock():
    slow = threading.Thread(target=lambda: found.append(in_a_thread(lambda: limited(1, endless))))
    found = []
    slow.start()
    quick = [in_a_thread(lambda: limited(1, int)) for _ in range(200)]
    assert sum(each.name == "time limit" for each in threading.enumerate()) == 1
    slow.join()
    assert quick == [0] * 200
    assert isinstance(found[0], MessageTooSlow)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # what the child does is safe
def test_a_forked_process_watches_anew():
    in_a_thread(lambda: limited(1, int))
    child = os.fork()
    if not child:
        os._exit(isinstance(in_a_thread(lambda: limited(1, endless)), MessageTooSlow) and 7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # what the child does is safe
def test_a_signal_that_comes_late_stops_nothing():
    """Another thread may have taken it just as the block ended."""
    child = os.fork()
    if not child:
        limited(1, int)
        signal.raise_signal(signal.SIGVTALRM)
        os._exit(7 if isinstance(in_a_thread(lambda: limited(1, endless)), MessageTooSlow) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


@pytest.mark.parametrize("run", [lambda work: work(), in_a_thread], ids=["main", "thread"])
def test_waiting_costs_nothing_and_nothing_comes_after_the_end(run):
    def work():
        limited(1, lambda: time.sleep(1.5))
        return sum(range(3_000_000))

    assert run(work) == sum(range(3_000_000))


def test_a_message_without_end_is_quarantined_and_the_others_go_on(tmp_path, monkeypatch):
    stage = Stage(tmp_path)
    stage.limits = replace(stage.limits, processor_time=1)
    real = inbound.unpack

    def unpack(case, *given):
        if b"endless" in case.message.raw[:]:
            endless()
        real(case, *given)

    monkeypatch.setattr(inbound, "unpack", unpack)
    stage.mail(orders(1), subject="endless")
    stage.mail(orders(2))
    stage.run()
    assert [row["fault_code"] for row in stage.rows("message") if row["direction"] == "in"] == ["message.too-slow", ""]
    assert len(stage.delivered) == 1
