"""One process a home."""

import os
import re
import signal
import subprocess
import sys

import pytest

from gateway.errors import ConfigurationFault, HomeInUse
from gateway.jobs.lock import FILE_NAME, HomeLock, holder

HOLD = """
import sys, time
from pathlib import Path
from gateway.jobs.lock import HomeLock
with HomeLock(Path(sys.argv[1]), "gateway night"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_holder_is_refused_and_told_who_is_at_work(tmp_path):
    with HomeLock(tmp_path, "gateway night"), pytest.raises(HomeInUse) as caught, HomeLock(tmp_path, "gateway send"):
        pytest.fail("the home was held twice")
    assert re.search(rf"gateway night \(pid {os.getpid()} on \S+ since \d\d:\d\d\)", str(caught.value))


def test_the_next_one_gets_it_when_the_block_ends_even_by_a_failure(tmp_path):
    with pytest.raises(ZeroDivisionError), HomeLock(tmp_path):
        _ = 1 / 0
    with HomeLock(tmp_path):
        assert holder(tmp_path) is not None
    assert holder(tmp_path) is None


def test_a_refused_process_leaves_the_holders_note_alone(tmp_path):
    with HomeLock(tmp_path, "gateway night"):
        for _ in range(2):
            with pytest.raises(HomeInUse, match="gateway night"):
                HomeLock(tmp_path, "gateway send").__enter__()


def test_kill_9_lets_go_of_the_lock(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(HomeInUse, match=rf"pid {process.pid} "):
            HomeLock(tmp_path).__enter__()
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        with HomeLock(tmp_path):
            pass
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def test_programs_that_we_start_do_not_inherit_the_lock(tmp_path):
    with HomeLock(tmp_path):
        child = subprocess.Popen(["sleep", "30"], close_fds=False)
    try:
        with HomeLock(tmp_path):
            pass
    finally:
        child.kill()
        child.wait(10)


def test_a_damaged_note_still_refuses(tmp_path):
    with HomeLock(tmp_path):
        (tmp_path / FILE_NAME).write_bytes(b"\xff{")
        with pytest.raises(HomeInUse, match="another process"):
            HomeLock(tmp_path).__enter__()


def test_a_home_that_is_not_there_is_a_configuration_fault(tmp_path):
    with pytest.raises(ConfigurationFault, match="cannot be opened"):
        HomeLock(tmp_path / "absent").__enter__()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["night"], "gateway night "),
        (["--home", "place", "--debug", "night", "--partner", "acme"], "gateway night "),
        ([], "gateway "),
    ],
)
def test_our_own_command_is_named_without_options(tmp_path, monkeypatch, words, named):
    monkeypatch.setattr(sys, "argv", ["gateway", *words])
    with HomeLock(tmp_path):
        assert str(holder(tmp_path)).startswith(f"{named}(pid")
