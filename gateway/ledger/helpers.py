"""Processes that compute digests of an SQLite ledger beside the one that verifies it (see ``digesting``).

What one of them cannot do (a value that SQLite cannot encode, a ledger that another process keeps locked, its own
death) is left to whoever asked. No thread waits for them: it would keep the one that verifies from its work.
"""

from __future__ import annotations

import fcntl
import pickle
import select
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any

from gateway.ledger.asking import Asking, Digests
from gateway.ledger.digesting import CANNOT, HEAD

_ROOM = 1 << 20  # bytes of a pipe: an answer finds room in it, so that the next piece can be begun
_PROGRAM = "import sys; sys.path[:] = {path!r}; from gateway.ledger.digesting import answer; answer()"

Piece = tuple[str, int, int]  # a table, the first owner and the last


class Helpers:
    """Some of these processes, which do pieces by turns.

    Args:
        path: of the ledger.
        tables: what is asked of them.
        count: how many.
    """

    def __init__(self, path: str, tables: Mapping[str, Asking], count: int) -> None:
        place = Path(path).absolute().as_uri() + "?mode=ro"
        self._helpers = [Helper(place, tables) for _ in range(count)]
        self._turns = cycle(self._helpers)

    def ask(self, piece: Piece) -> Answer:
        """The digests of a piece; those that were asked for first are to be looked at first."""
        return Answer(next(self._turns), piece)

    def close(self) -> None:
        """Ends them."""
        for each in self._helpers:
            each.close()


class Answer:
    """What was asked of a process."""

    def __init__(self, helper: Helper, piece: Piece) -> None:
        self._helper = helper
        helper.ask(piece)

    def done(self) -> bool:
        """Whether it is there, where those before it were read."""
        return self._helper.has_answered()

    def result(self) -> Digests | None:
        """The digests of the rows and of their cores; None: they cannot be computed there."""
        return self._helper.answer()


class Helper:
    """One such process."""

    def __init__(self, place: str, tables: Mapping[str, Asking]) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        with suppress(OSError):
            self.process = subprocess.Popen(  # noqa: S603 - this very program
                [sys.executable, "-c", _PROGRAM.format(path=sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,  # it ends when its input does
            )
            if hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux
                with suppress(OSError):
                    fcntl.fcntl(self._output, fcntl.F_SETPIPE_SZ, _ROOM)
        self.ask((place, dict(tables)))

    @property
    def _output(self) -> Any:
        assert self.process is not None
        return self.process.stdout

    def ask(self, what: Any) -> None:
        """Sends a piece; the first of all is where the ledger is, and what its tables are asked."""
        if self.process is not None and self.process.stdin is not None:
            data = memoryview(pickle.dumps(what))
            with suppress(OSError):  # it died, and will not answer
                while data:
                    data = data[self.process.stdin.write(data) or 0 :]

    def has_answered(self) -> bool:
        """Whether ``answer`` need not wait."""
        return self.process is None or bool(select.select([self._output], [], [], 0)[0])

    def answer(self) -> Digests | None:
        """The next answer; each piece has one, in their order."""
        if self.process is None:
            return None
        try:
            wholes, cores = HEAD.unpack(self._exactly(HEAD.size))
            return None if wholes == CANNOT else (self._exactly(wholes), self._exactly(cores))
        except (OSError, EOFError):
            return None

    def _exactly(self, count: int) -> bytes:
        found = bytearray()
        while len(found) < count:
            some = self._output.read(count - len(found))
            if not some:
                raise EOFError
            found += some
        return bytes(found)

    def close(self) -> None:
        """Ends it, whatever it is at."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
