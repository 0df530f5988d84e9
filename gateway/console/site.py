"""One home as the console sees it: opened once for reading, and again, alone, for every act."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gateway.app import App, milliseconds, open_app
from gateway.errors import HomeInUse
from gateway.ledger.recording import Listener

PATIENCE = 10.0  # seconds that an act waits for a batch to end
_PAUSE = 0.05  # seconds between two tries


class Site:
    """The home behind the pages.

    The reading side is opened when it is first asked for, and anew when gateway.toml has changed. It takes no lock:
    batches and commands go on beside it.

    Args:
        home: the directory with gateway.toml.
        clock: gives milliseconds since 1970 UTC.
        patience: seconds that an act waits for a batch to end.
    """

    def __init__(self, home: Path, clock: Callable[[], int] = milliseconds, patience: float = PATIENCE) -> None:
        self.home = home
        self.clock = clock
        self.patience = patience
        self.listener: Listener | None = None  # hears what people and programs do here: the log
        self._guard = threading.Lock()
        self._opened: ExitStack | None = None
        self._app: App | None = None
        self._stamp = 0

    @property
    def app(self) -> App:
        """The home, for reading.

        Raises:
            GatewayError: it cannot be opened: settings, database, migrations.
        """
        with self._guard:
            stamp = self._settings_stamp()
            if self._app is None or stamp != self._stamp:
                self._close()
                with ExitStack() as stack:
                    self._app = stack.enter_context(open_app(self.home, actor="console", clock=self.clock))
                    self._opened = stack.pop_all()
                self._stamp = stamp
            return self._app

    @contextmanager
    def acting(self, who: str, *, alone: bool = True) -> Iterator[App]:
        """The home for one act in the name of ``who``, alone; a running batch is waited for.

        Args:
            who: the name that the ledger keeps.
            alone: nobody else may work on the home meanwhile. Acts that need only a transaction (profiles,
                certificates, holds) go on beside a batch, as their commands do.

        Raises:
            HomeInUse: somebody else has been at work for longer than ``patience``.
            GatewayError: as ``open_app``.
        """
        deadline = time.monotonic() + self.patience
        with ExitStack() as stack:
            while True:
                try:
                    app = stack.enter_context(open_app(self.home, lock=alone, actor=who, clock=self.clock))
                except HomeInUse:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(_PAUSE)
                else:
                    break
            app.ledger.listener = self.listener
            yield app

    def close(self) -> None:
        """Lets go of the database."""
        with self._guard:
            self._close()

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()
        self._opened = self._app = None

    def _settings_stamp(self) -> int:
        try:
            return (self.home / "gateway.toml").stat().st_mtime_ns
        except OSError:
            return -1
