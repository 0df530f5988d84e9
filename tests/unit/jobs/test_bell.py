"""A service is asked for a batch through a named pipe, and whoever asks learns whether anybody listens."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest

from gateway.jobs import bell
from gateway.jobs.schedule import CALM, Pacer


def test_nobody_listens_where_no_service_runs(tmp_path):
    """Asking in vain is told, before the first service and after the last."""
    assert not bell.ring(tmp_path)
    with bell.listening(tmp_path):
        assert bell.is_heard(tmp_path)
    assert not bell.is_heard(tmp_path)
    assert not bell.ring(tmp_path)


def test_a_ring_ends_a_long_wait(tmp_path):
    """A service that would wait for an hour begins as soon as it is asked."""
    with closing(Pacer()) as pacer, bell.listening(tmp_path) as descriptor:
        assert descriptor is not None
        pacer.hear(descriptor)
        timer = threading.Timer(0.2, lambda: bell.ring(tmp_path))
        timer.start()
        began = time.monotonic()
        assert pacer.wait(3600)
        assert time.monotonic() - began < CALM + 2
        timer.join()


def test_many_rings_during_a_batch_are_one_batch_after_it(tmp_path):
    """What was asked while nobody waited shortens the next wait, and only that one."""
    with closing(Pacer()) as pacer, bell.listening(tmp_path) as descriptor:
        assert descriptor is not None
        pacer.hear(descriptor)
        assert all(bell.ring(tmp_path) for _ in range(3))
        assert pacer.wait(3600)
        began = time.monotonic()
        assert pacer.wait(0.3)
        assert time.monotonic() - began >= 0.3


def test_a_wait_goes_on_after_the_caller_has_gone(tmp_path):
    """A caller that closes its end does not keep the service busy."""
    with closing(Pacer()) as pacer, bell.listening(tmp_path) as descriptor:
        assert descriptor is not None
        pacer.hear(descriptor)
        assert bell.is_heard(tmp_path)
        used = time.process_time()
        assert pacer.wait(0.5)
        assert time.process_time() - used < 0.2


@pytest.mark.parametrize("kind", ["file", "link"])
def test_another_thing_of_that_name_is_left_alone(tmp_path, kind):
    """Neither the service nor a caller writes into a file or follows a link that lies in the pipe's place."""
    other = tmp_path / "other"
    other.write_text("mine")
    place = tmp_path / bell.FILE_NAME
    place.write_text("mine") if kind == "file" else place.symlink_to(other)
    with bell.listening(tmp_path) as descriptor:
        assert descriptor is None
        assert not bell.ring(tmp_path)
    assert place.read_text() == other.read_text() == "mine"
