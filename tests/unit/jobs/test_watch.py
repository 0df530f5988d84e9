"""Watches: threads that are started again when they fail, and end when told."""

import itertools
import select
import threading
import time

import pytest

from gateway.errors import LoginRefused, MailboxUnavailable
from gateway.jobs import watch
from gateway.jobs.watch import Watches


@pytest.fixture
def said():
    return []


@pytest.fixture
def watches(said):
    made = Watches(lambda name, fault: said.append((name, str(fault))), shortest=0.01)
    yield made
    began = time.monotonic()
    made.close()
    assert time.monotonic() - began < 1.5
    assert not [each for each in threading.enumerate() if each.name.startswith("watch ")]


def until(condition):
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert condition()


def test_a_watch_runs_until_it_is_not_wanted_any_more(watches):
    running = threading.Event()
    ended = threading.Event()

    def attempt(interrupt):
        running.set()
        select.select([interrupt], [], [])
        ended.set()

    watches.keep({"box": attempt})
    watches.keep({"box": attempt})
    assert running.wait(5)
    assert sum(each.name == "watch box" for each in threading.enumerate()) == 1
    watches.keep({})
    assert ended.is_set()


def test_a_fault_is_said_once_and_the_watch_starts_again(watches, said):
    attempts = []

    def attempt(_interrupt):
        attempts.append(1)
        raise MailboxUnavailable(mailbox="box", host="h", reason="away")

    watches.keep({"box": attempt})
    until(lambda: len(attempts) >= 4)
    assert [name for name, _ in said] == ["box"]
    assert "away" in said[0][1]


def test_pauses_grow_while_attempts_fail(watches):
    moments = []

    def attempt(_interrupt):
        moments.append(time.monotonic())
        raise MailboxUnavailable(mailbox="box", host="h", reason=f"away {len(moments)}")

    watches.keep({"box": attempt})
    until(lambda: len(moments) >= 5)
    pauses = [after - before for before, after in itertools.pairwise(moments)]
    assert pauses[3] > pauses[0]


def test_a_defect_is_said_and_does_not_end_the_watch(watches, said):
    def attempt(_interrupt):
        raise ZeroDivisionError

    watches.keep({"box": attempt})
    until(lambda: said)
    assert "ZeroDivisionError" in said[0][1]
    assert any(each.name == "watch box" for each in threading.enumerate())


def test_a_refused_login_is_not_tried_again_soon(watches, said):
    """Accounts get locked by that."""
    attempts = []

    def attempt(_interrupt):
        attempts.append(1)
        raise LoginRefused(host="h", user="edi", reason="wrong")

    watches.keep({"box": attempt})
    until(lambda: said)
    time.sleep(0.1)
    assert len(attempts) == 1


def test_a_thread_that_hangs_does_not_hold_up_the_end(monkeypatch, said):
    monkeypatch.setattr(watch, "_END", 0.05)
    free = threading.Event()
    made = Watches(lambda *each: said.append(each))
    made.keep({"slow": lambda _interrupt: free.wait(10)})
    began = time.monotonic()
    made.close()
    assert time.monotonic() - began < 2
    free.set()
    until(lambda: not any(each.name == "watch slow" for each in threading.enumerate()))
