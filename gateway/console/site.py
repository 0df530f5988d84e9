"""One home as the console sees it: opened once for reading, and again, alone, for every act."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gateway.app import App, milliseconds, open_app
from gateway.errors import GatewayError, HomeInUse
from gateway.ledger.recording import Listener
from gateway.settings import FILE_NAME, read_settings

Stamp = tuple[int, ...]

PATIENCE = 10.0  # seconds that an act waits for a batch to end
_PAUSE = 0.05  # seconds between two tries


class Site:
    """The home behind the pages.

    The reading side is opened when it is first asked for, and anew when gateway.toml has changed or another file is in
    the place of the ledger. It takes no lock: batches and commands go on beside it.

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
        self._settings: Stamp = ()
        self._ledger: Stamp = ()
        self._trouble: GatewayError | None = None

    @property
    def app(self) -> App:
        """The home, for reading; as it was last, while what gateway.toml says now cannot be read.

        Raises:
            GatewayError: it cannot be opened: settings, database, migrations.
        """
        with self._guard:
            settings = _stamp(self.home / FILE_NAME)
            if self._app is None or settings != self._settings or self._is_other_ledger(self._app):
                return self._open(settings)
            return self._app

    @property
    def trouble(self) -> GatewayError | None:
        """Why gateway.toml cannot be read as it is now; what is shown goes by what it said before."""
        return self._trouble

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

    def _open(self, settings: Stamp) -> App:
        self._trouble = None
        if self._app is not None:
            try:
                read_settings(self.home)
            except GatewayError as fault:  # one wrong letter must not take the pages from everybody
                self._trouble, self._settings = fault, settings
                return self._app
        self._close()
        with ExitStack() as stack:
            app = stack.enter_context(open_app(self.home, actor="console", clock=self.clock))
            self._opened = stack.pop_all()
        self._app, self._settings, self._ledger = app, settings, _ledger_stamp(app)
        return app

    def _is_other_ledger(self, app: App) -> bool:
        """Whether the file that is open was put aside: by a restore, or by hand."""
        found = _ledger_stamp(app)
        return found not in {(), self._ledger}

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()
        self._opened = self._app = None


def _stamp(file: Path) -> Stamp:
    """What changes with the file; nothing where there is none."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _ledger_stamp(app: App) -> Stamp:
    """Which file the ledger is; nothing where it is none, or is not there."""
    url = app.home_engine.url
    return _stamp(Path(url.database))[:2] if url.get_backend_name() == "sqlite" and url.database else ()
