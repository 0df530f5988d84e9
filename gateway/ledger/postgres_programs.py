"""PostgreSQL's own programs, run for a backup: found, of a version that fits, and told the password by nobody else.

The password goes into the environment of the one process that needs it: there it is seen by this user only, and nothing
of it stays behind. It stands on no command line.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

from msgspec import Struct
from sqlalchemy import Engine

from gateway.errors import ProgramMissing, ProgramTooOld

_DEBIAN = Path("/usr/lib/postgresql")  # every version has its own directory there
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?")
_NOT_FOR_CHILDREN = ("GATEWAY_SECRET_", "PG")
_SAID = 40  # lines of what a program said that are kept


class Program(Struct, frozen=True):
    """A program and its version, as ``15.18``."""

    path: str
    version: str

    @property
    def major(self) -> int:
        """The version that counts for what it understands."""
        return int(self.version.partition(".")[0])


class ProgramFailedError(Exception):
    """A program ended with a failure; the text is what it said."""


def find(name: str, wanted: int, purpose: str) -> Program:
    """A program in a version that is not older than ``wanted``: the one on the PATH, or the newest that there is.

    Args:
        name: as pg_dump.
        wanted: the major version.
        purpose: what for, as "dump the database", for the fault.

    Raises:
        ProgramMissing: there is none.
        ProgramTooOld: there are only older ones.
    """
    on_path = shutil.which(name)
    places = [on_path] if on_path else []
    places += sorted(map(str, _DEBIAN.glob(f"*/bin/{name}")), key=lambda each: -int(_directory_version(each)))
    found = [program for place in places if (program := _program(place)) is not None]
    if not found:
        raise ProgramMissing(program=name, purpose=purpose)
    fitting = next((each for each in found if each.major >= wanted), None)
    if fitting is None:
        newest = max(found, key=lambda each: each.major)
        raise ProgramTooOld(program=newest.path, found=newest.version, wanted=wanted, purpose=purpose)
    return fitting


def _directory_version(path: str) -> str:
    name = Path(path).parent.parent.name
    return name if name.isdigit() else "0"


@cache
def _program(path: str) -> Program | None:
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(  # noqa: S603 - a program of PostgreSQL's
            [path, "--version"], capture_output=True, text=True, timeout=30, check=False, env=environment({})
        )
        if version := _VERSION.search(done.stdout):
            return Program(path, ".".join(part for part in version.groups() if part))
    return None


def conninfo(engine: Engine) -> tuple[str, dict[str, str]]:
    """How a program reaches the database: what may stand on a command line, and the environment with the rest."""
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - only there with the extra

    _, parameters = engine.dialect.create_connect_args(engine.url)
    # Text and numbers are libpq's; what else is there is meant for the driver.
    known = {key: str(value) for key, value in parameters.items() if isinstance(value, (str, int))}
    password = known.pop("password", "")
    known.pop("sslpassword", None)
    known.setdefault("application_name", "gateway backup")
    return make_conninfo("", **known), {"PGPASSWORD": password} if password else {}


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program: ours without secrets, and what it is to know; it speaks English."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_FOR_CHILDREN)}
    return ours | {"LC_ALL": "C", "PGCLIENTENCODING": "UTF8"} | dict(more)


def run(words: Sequence[str], more: Mapping[str, str], heard: Callable[[str], None] = lambda _: None) -> str:
    """Runs a program to its end and returns what it printed.

    Args:
        words: the program and its arguments.
        more: what its environment holds beside ours.
        heard: is given each line that it says on stderr; what it raises ends the program.

    Raises:
        ProgramFailedError: it failed, and why.
    """
    with started(words, more, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as (process, errors):
        for line in errors:
            heard(line)
        assert process.stdout is not None
        printed = process.stdout.read().decode("utf-8", "replace")
        if process.wait() != 0:
            raise ProgramFailedError(errors.reason())
    return printed


class Errors:
    """What a program says on stderr, a line at a time; the last lines are kept."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._last: list[str] = []

    def __iter__(self) -> Iterator[str]:
        for raw in self._stream:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            self._last = [*self._last[-_SAID:], line]
            yield line

    def reason(self) -> str:
        """Why it failed, in its own words."""
        complaints = [each for each in self._last if "error:" in each or "FATAL:" in each or "ERROR:" in each]
        found = complaints[0] if complaints else (self._last[-1] if self._last else "it said nothing")
        return re.sub(r"^(?:[\w/.]+: )?(?:error|detail): ", "", found)


@contextmanager
def started(
    words: Sequence[str], more: Mapping[str, str], *, stdout: int | IO[bytes], stdin: int | IO[bytes]
) -> Iterator[tuple[subprocess.Popen[bytes], Errors]]:
    """A program that runs while the block does; it is killed where the block is left before its end."""
    process = subprocess.Popen(  # noqa: S603 - a program of PostgreSQL's, with arguments of ours
        list(words), stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, env=environment(more)
    )
    assert process.stderr is not None
    try:
        yield process, Errors(process.stderr)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
