"""What a test needs from the machine. Absent programs skip a test, but never where GATEWAY_TESTS_STRICT is set (CI)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

# Where Debian keeps servers that are not on an ordinary user's PATH.
PLACES = (
    *os.environ.get("PATH", "").split(":"),
    "/usr/sbin",
    "/usr/local/sbin",
    *(str(p) for p in Path("/usr/lib/postgresql").glob("*/bin")),
)


def program(name: str) -> str:
    """The path of a program, or the end of the test: skipped, or failed in strict runs."""
    found = shutil.which(name, path=":".join(PLACES))
    if found is None:
        absent(f"{name} is not installed")
    return found


def absent(reason: str) -> None:
    """Skips the test with a reason, or fails it where nothing may be skipped."""
    if os.environ.get("GATEWAY_TESTS_STRICT"):
        pytest.fail(f"{reason}, and GATEWAY_TESTS_STRICT forbids skipping", pytrace=False)
    pytest.skip(reason)


_numbers = count(os.getpid() * 997)  # processes begin far from each other


def free_port() -> int:
    """A loopback port that nobody uses right now, and that no outgoing connection gets before a server has it."""
    for number in _numbers:
        port = 10_000 + number % 20_000  # Linux gives 32768 and above away by itself
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError


def as_user(name: str, command: list[str]) -> list[str]:
    """The command as an unprivileged user where we are root; servers like Dovecot and PostgreSQL want that."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", f"--reuid={name}", f"--regid={_group(name)}", "--clear-groups", *command]


def _group(name: str) -> str:
    return subprocess.run(["id", "-gn", name], capture_output=True, text=True, check=True).stdout.strip()
