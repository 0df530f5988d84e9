"""Where tests write: in memory where there is room, so that none waits for a disk that others keep busy."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from multiprocessing.util import Finalize
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM = 6 << 30  # bytes that must be free there
_NAME = "gw-"  # and the number of the process: short, for a Unix socket's path has at most 107 bytes


def use() -> None:
    """Makes a directory in memory the place of temporary files, for this process and those that it starts.

    It goes with this process. There is none where a place was named (TMPDIR), as it is for those that were started.
    """
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < ROOM:
        return
    for left in MEMORY.glob(f"{_NAME}*"):  # by a run that was killed
        if not Path(f"/proc/{left.name.removeprefix(_NAME)}").exists():
            shutil.rmtree(left, ignore_errors=True)
    place = MEMORY / f"{_NAME}{os.getpid()}"
    place.mkdir(mode=0o755, exist_ok=True)
    if not _runs_programs(place):
        shutil.rmtree(place)
        return
    os.environ["TMPDIR"] = str(place)
    tempfile.tempdir = None
    # After what multiprocessing removes there itself, with a priority of -100.
    Finalize(None, shutil.rmtree, (place,), {"ignore_errors": True}, exitpriority=-200)


def short() -> str:
    """A directory for servers' own directories, whose sockets need short paths."""
    named = tempfile.gettempdir()
    return named if named.startswith(f"{MEMORY}/{_NAME}") else "/tmp"


def _runs_programs(place: Path) -> bool:
    script = place / "runs"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    try:
        return subprocess.run([script], check=False).returncode == 0
    except OSError:
        return False
