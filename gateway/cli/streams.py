"""Standard output and error whose disk may be full: of error lines are lost, of output somebody is told.

A pipe that nobody reads any more ends a command quietly, with exit code 0.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from threading import current_thread, main_thread
from typing import IO, Any, cast


class Stream:
    """Passes everything on to a stream, and keeps what the system said when it could not be written.

    Args:
        stream: text or bytes.
        lossy: what cannot be written is lost, in place of ending the work that it tells of.
    """

    def __init__(self, stream: Any, *, lossy: bool = False) -> None:
        self._stream = stream
        self._lossy = lossy
        self.problem: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def buffer(self) -> Stream:
        """The bytes beneath; what fails there is known here."""
        return _Beneath(self, self._stream.buffer, lossy=self._lossy)

    def write(self, data: Any) -> int:
        """Writes text or bytes."""
        with self._noting():
            self._stream.write(data)
        return len(data)

    def flush(self) -> None:
        """Hands on what is kept back."""
        with self._noting():
            self._stream.flush()

    def end(self) -> None:
        """What is left over and cannot be written goes nowhere, so that Python does not stumble over it at its end."""
        try:
            self._stream.flush()
        except OSError:
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def note(self, problem: OSError) -> None:
        """Keeps what the system said."""
        self.problem = problem

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except io.UnsupportedOperation:
            raise
        except OSError as problem:
            self.note(problem)
            if self._lossy:
                return
            if isinstance(problem, BrokenPipeError) and current_thread() is main_thread():
                # Whoever read has enough. As the error itself click and rich would make exit code 1 of it.
                sys.exit(0)
            raise


class _Beneath(Stream):
    def __init__(self, above: Stream, stream: Any, *, lossy: bool) -> None:
        super().__init__(stream, lossy=lossy)
        self._above = above

    def note(self, problem: OSError) -> None:
        self._above.note(problem)


@contextmanager
def streams() -> Iterator[Stream]:
    """While it lasts standard error is lossy; yields standard output, which knows whether it failed."""
    out, err = Stream(sys.stdout), Stream(sys.stderr, lossy=True)
    try:
        with redirect_stdout(cast("IO[str]", out)), redirect_stderr(cast("IO[str]", err)):
            yield out
    finally:
        out.end()
        err.end()
