"""Batches as processes: the gateway's own command, or one forked from a process that has it imported already."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from faults.home import DRIVER, Options, environment


class TookTooLongError(Exception):
    """A batch did not end in time; it was killed."""


class Batch:
    """A running batch."""

    def __init__(self, pid: int, said: Path) -> None:
        self.pid = pid
        self._said = said

    def wait(self, seconds: float) -> int | None:
        """Its exit code (negative: the signal that ended it); None where it still runs after these seconds."""
        raise NotImplementedError

    def signal(self, number: int) -> None:
        """Sends a signal to this process, and to none that it forked."""
        with suppress(ProcessLookupError):  # it was faster
            os.kill(self.pid, number)

    def end(self, seconds: float) -> tuple[int, str]:
        """Its exit code, and what it said; one that takes longer is killed.

        Raises:
            TookTooLongError: with what it said.
        """
        code = self.wait(seconds)
        said = self._said.read_text(errors="replace")
        if code is None:
            self.kill()
            raise TookTooLongError(f"still running after {seconds} s: {said[-500:]}")
        return code, said

    def kill(self) -> None:
        """Ends it and all that it forked."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait(10)


class _Command(Batch):
    """The gateway's own command."""

    def __init__(self, command: Sequence[str], more: Mapping[str, str], said: Path) -> None:
        with said.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                env=environment(**more),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        super().__init__(self._process.pid, said)

    def wait(self, seconds: float) -> int | None:
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


class _Forked(Batch):
    """A process forked by the server."""

    def __init__(self, server: Forks, pid: int, said: Path) -> None:
        super().__init__(pid, said)
        self._server = server
        self._status: int | None = None

    def wait(self, seconds: float) -> int | None:
        if self._status is None:
            found = self._server.line(seconds)
            self._status = None if found is None else found["status"]
        return self._status


class Forks:
    """The server: see ``driver.py``."""

    def __init__(self, options: Options, library: Path, said: Path) -> None:
        self._said = said
        command = [sys.executable, str(DRIVER), options.mutant, "alongside" if options.alongside else "alone"]
        self._process = subprocess.Popen(
            [*command, "--serve"],
            env=environment(LD_PRELOAD=str(library)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._unread = b""

    def start(self, arguments: Sequence[str], more: Mapping[str, str]) -> Batch:
        """Forks a batch."""
        assert self._process.stdin is not None
        wanted = {"arguments": list(arguments), "environment": dict(more), "said": str(self._said)}
        self._process.stdin.write(json.dumps(wanted).encode() + b"\n")
        found = self.line(60)
        assert found is not None, "the server does not answer"
        return _Forked(self, found["pid"], self._said)

    def line(self, seconds: float) -> dict | None:
        """The next answer, if it comes in time."""
        assert self._process.stdout is not None
        until = time.monotonic() + seconds
        while b"\n" not in self._unread:
            if not select.select([self._process.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                return None
            data = os.read(self._process.stdout.fileno(), 65_536)
            assert data, "the server died"
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)

    def close(self) -> None:
        """Ends the server."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()


def start_command(command: Sequence[str], more: Mapping[str, str], said: Path) -> Batch:
    """Starts a command as a batch."""
    return _Command(command, more, said)
