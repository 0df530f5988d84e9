"""Long looks: in the background, one of a name at a time, with progress, and with faults in words."""

from __future__ import annotations

import threading
import time

import pytest

from gateway.console.site import Site
from gateway.console.tasks import Tasks, tasks
from gateway.errors import NotFound, Unexpected


@pytest.fixture
def site(home):
    made = Site(home)
    yield made
    made.close()


def ended(found: Tasks, name: str):
    """The task once it has ended."""
    for _ in range(200):
        task = found.get(name)
        if task is not None and not task.is_running:
            return task
        time.sleep(0.02)
    raise AssertionError("it did not end")


def test_one_of_a_name_runs_at_a_time_and_tells_how_far_it_is(site):
    """Asked again while it runs, nothing begins; afterwards it does."""
    found, go, there = tasks(site), threading.Event(), threading.Event()

    def work(app, progress):
        progress("rows", 30, 120)
        there.set()
        assert go.wait(5)
        return app.actor

    assert found.get("look") is None
    assert found.start("look", "anna", work)
    assert there.wait(5)
    assert not found.start("look", "bert", work)
    running = found.get("look")
    assert (running.is_running, running.what, running.percent, running.result) == (True, "rows", 25, None)
    go.set()
    task = ended(found, "look")
    assert (task.result, task.by, task.fault) == ("anna", "anna", None)
    assert found.start("look", "bert", work)
    assert ended(found, "look").result == "bert"
    assert tasks(site) is found


def test_a_fault_of_ours_is_kept_and_anything_else_is_a_defect(site):
    """Whoever asked reads of both; the console goes on."""
    found = tasks(site)

    def refuses(_app, _progress):
        raise NotFound(what="thing", key="x")

    def breaks(_app, _progress):
        raise ZeroDivisionError("oops")

    found.start("refuses", "anna", refuses)
    found.start("breaks", "anna", breaks)
    assert isinstance(ended(found, "refuses").fault, NotFound)
    fault = ended(found, "breaks").fault
    assert isinstance(fault, Unexpected)
    assert "oops" in str(fault)


def test_a_home_that_cannot_be_opened_is_a_fault_too(site):
    """The settings may have become wrong meanwhile."""
    (site.home / "gateway.toml").write_text("[gateway\n")
    found = tasks(site)
    found.start("look", "anna", lambda _app, _progress: None)
    task = ended(found, "look")
    assert task.fault is not None
    assert task.ended_at is not None
