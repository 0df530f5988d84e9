"""The console beside the batches: a process of its own, watched, started again when it ends, and ended with us.

A batch forks where there is much to do, and a process that forks must not have a web server's threads.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gateway.errors import GatewayError
from gateway.settings import ConsoleSettings, read_settings

SHORTEST, LONGEST = 1.0, 60.0  # seconds between its end and the next start; they grow while it ends soon
STEADY = 30.0  # one that ran this long was a good one
_GRACE = 15.0  # seconds that it has to end


class ConsoleProcess:
    """Keeps `gateway console` of a home running until ``close``.

    Args:
        home: the directory with gateway.toml.
        say: told when it ended by itself, and when the next start is.
        command: what to start in its place (tests).
    """

    def __init__(self, home: Path, say: Callable[[str], None], command: tuple[str, ...] = ()) -> None:
        self._command = command or (sys.executable, "-m", "gateway", "--home", str(home), "console", "--with-parent")
        self._say = say
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends it, in order where it can."""
        self._stopping.set()
        self._thread.join(2 * _GRACE)

    def _run(self) -> None:
        pause = SHORTEST
        while not self._stopping.is_set():
            began = time.monotonic()
            code = self._once()
            if self._stopping.is_set():
                return
            pause = SHORTEST if time.monotonic() - began > STEADY else pause
            self._say(f"the console ended ({_how(code)}); it is started again in {pause:.0f} s")
            self._stopping.wait(pause)
            pause = min(2 * pause, LONGEST)

    def _once(self) -> int | None:
        """One run of it; its exit code, None where it could not be started."""
        try:
            # Its standard input ends with us, however we end; then it ends too.
            process = subprocess.Popen(self._command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603
        except OSError as problem:
            self._say(f"the console cannot be started: {problem.strerror}")
            return None
        try:
            while process.poll() is None and not self._stopping.wait(0.2):
                pass
        finally:
            _end(process)
        return process.returncode


class ConsoleBeside:
    """The console of a service, as gateway.toml wants it now: it begins, ends and begins anew with the table.

    Args:
        home: the directory with gateway.toml.
        say: told what becomes of it.
    """

    def __init__(self, home: Path, say: Callable[[str], None]) -> None:
        self._home = home
        self._say = say
        self._wanted: ConsoleSettings | None = None
        self._process: ConsoleProcess | None = None

    def look(self) -> None:
        """Reads gateway.toml and does what it says; where it cannot be read, all stays as it is."""
        with suppress(GatewayError):
            wanted = read_settings(self._home).console
            if wanted != self._wanted:
                self.close()
                self._wanted = wanted
                self._process = ConsoleProcess(self._home, self._say) if wanted is not None else None

    def close(self) -> None:
        """Ends it."""
        if self._process is not None:
            self._process.close()
        self._process = self._wanted = None


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    process.terminate()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _how(code: int | None) -> str:
    if code is None:
        return "it did not start"
    return f"by signal {-code}" if code < 0 else f"exit code {code}"
