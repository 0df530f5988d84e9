"""A PostgreSQL server of our own: a fresh cluster on a free loopback port, thrown away at the end of the run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from builders import scratch

from servers import need

SERVER_USER = "postgres"  # who runs the server where we are root: PostgreSQL refuses root
# A test cluster may forget everything in a power cut.
SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "listen_addresses=127.0.0.1",
    "max_connections=40",
    "shared_buffers=16MB",
    "log_min_messages=fatal",
)


@dataclass
class Postgres:
    """A running server."""

    port: int
    password: str = "not a secret"  # nobody but this machine's tests can reach it
    server: str = ""  # the program
    directory: Path = Path()
    settings: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    _numbers: Iterator[int] = field(default_factory=count)

    def url(self, database: str = "postgres") -> str:
        """The url of a database on this server."""
        return f"postgresql://gateway:{self.password.replace(' ', '%20')}@127.0.0.1:{self.port}/{database}"

    def fresh_database(self, template: str = "template1") -> str:
        """Makes a database, empty or a copy of ``template``, and returns its url."""
        import psycopg

        name = f"ledger_{next(self._numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Removes a database, whoever still uses it."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def start(self) -> None:
        """Starts the server, and returns when it answers."""
        run = [self.server, "-D", str(self.directory / "data"), "-p", str(self.port), "-k", str(self.directory)]
        run += [word for setting in self.settings for word in ("-c", setting)]
        with (self.directory / "log").open("ab") as out:
            command = need.as_user(SERVER_USER, run)
            self.process = subprocess.Popen(command, cwd=self.directory, stdout=out, stderr=out)
        _wait(self, self.process, self.directory / "log")

    def stop(self) -> None:
        """Ends the server as `pg_ctl stop -m immediate` does: it recovers from its log at the next start."""
        assert self.process is not None
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(timeout=60)  # as long as pg_ctl waits


@contextmanager
def running(settings: tuple[str, ...] = SETTINGS) -> Iterator[Postgres]:
    """A fresh cluster that runs while the block does."""
    initdb, server = need.program("initdb"), need.program("postgres")
    # A short directory: a Unix socket's path has at most 107 bytes.
    directory = Path(tempfile.mkdtemp(prefix="pg", dir=scratch.short()))
    started = Postgres(need.free_port(), server=server, directory=directory, settings=settings)
    data, password_file = directory / "data", directory / "password"
    password_file.write_text(started.password)
    if os.geteuid() == 0:
        shutil.chown(directory, SERVER_USER)
        shutil.chown(password_file, SERVER_USER)
    make = [initdb, "-D", str(data), "-U", "gateway", "-A", "scram-sha-256", f"--pwfile={password_file}"]
    make += ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
    made = subprocess.run(need.as_user(SERVER_USER, make), cwd=directory, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    try:
        started.start()
        yield started
    finally:
        if started.process is not None:
            started.stop()  # nothing here is worth a checkpoint
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for the whole run."""
    with running() as server:
        yield server


def _wait(started: Postgres, process: subprocess.Popen[bytes], log: Path) -> None:
    import time

    import psycopg

    for _ in range(300):
        assert process.poll() is None, log.read_text()
        try:
            psycopg.connect(started.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"PostgreSQL does not answer: {log.read_text()}")
