"""What works on a home right now, and when the next batch is due; asking for one at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.jobs import bell
from gateway.jobs.lock import holder
from gateway.jobs.schedule import next_run
from gateway.ledger.batches import Batch


@dataclass(frozen=True, slots=True)
class Running:
    """``holder`` works on the home now (None: nobody); ``service`` says that `gateway serve` runs on this machine.

    ``next_at`` is when its next batch is due (ms since 1970 UTC); None where nobody knows, as with cron or a timer.
    """

    holder: str | None
    service: bool
    next_at: int | None


def running(home: Path, interval: timedelta, last: Batch | None, now: int) -> Running:
    """How it is now.

    Args:
        home: the directory with gateway.toml.
        interval: between two batches of the service.
        last: the newest batch; None before the first.
        now: ms since 1970 UTC.
    """
    service = bell.is_heard(home)
    due: int | None = None
    if service and last is not None:
        moment = datetime.fromtimestamp(now / 1000, UTC)
        due = int(next_run(moment, interval, datetime.fromtimestamp(last.started_at / 1000, UTC)).timestamp() * 1000)
    return Running(holder(home), service, due)


def ask(home: Path) -> bool:
    """Asks the service for a batch at once; false where none runs here."""
    return bell.ring(home)
