"""What works on a home right now, and when the next batch is due; asking for one at once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from gateway.app import App
from gateway.jobs import bell
from gateway.jobs.lock import holder
from gateway.jobs.schedule import next_run
from gateway.ledger.batches import Batch

_BATCHES = ("gateway night", "gateway serve", "another process")  # as the home's lock names who holds it


class Running(Struct, frozen=True):
    """``holder`` works on the home now (None: nobody); ``service`` says that `gateway serve` runs on this machine.

    ``next_at`` is when its next batch is due (ms since 1970 UTC); None where nobody knows, as with cron or a timer.
    """

    holder: str | None
    service: bool
    next_at: int | None

    is_shared: bool = False  # other machines may have batches on this ledger, too

    @property
    def unended(self) -> str:
        """What became of the newest batch, where no end of it is known: running, interrupted, or not ended."""
        if self.holder is not None and self.holder.startswith(_BATCHES):
            return "running"
        return "not ended" if self.is_shared else "interrupted"


def running(app: App, last: Batch | None, now: int) -> Running:
    """How it is now.

    Args:
        app: the home.
        last: the newest batch; None before the first.
        now: ms since 1970 UTC.
    """
    home, is_shared = app.home, app.engine.dialect.name == "postgresql"
    service = bell.is_heard(home)
    due: int | None = None
    if service and last is not None:
        moment = datetime.fromtimestamp(now / 1000, UTC)
        due = int(
            next_run(moment, app.settings.interval, datetime.fromtimestamp(last.started_at / 1000, UTC)).timestamp()
            * 1000
        )
    return Running(holder(home), service, due, is_shared)


def ask(home: Path) -> bool:
    """Asks the service for a batch at once; false where none runs here."""
    return bell.ring(home)
