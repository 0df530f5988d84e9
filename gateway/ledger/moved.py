"""Moving out: what leaves the ledger is first written into an archive, an SQLite file of the same tables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from gateway.errors import GatewayError
from gateway.ledger.recording import Ledger, Recorder
from gateway.ledger.retention_purge import Gone
from gateway.ledger.retention_units import Key

Purge = Callable[[Recorder, Sequence[Key], Collection[Key]], Gone]
Trouble = Callable[[GatewayError, str], None]


def finish(ledger: Ledger, purge: Purge, stopping: Callable[[], bool], trouble: Trouble) -> Gone:
    """What an earlier run wrote into an archive and did not put away goes now."""
    raise NotImplementedError


def move(ledger: Ledger, directory: Path, keys: Sequence[Key], purge: Purge, stopping: Callable[[], bool]) -> Gone:
    """Writes units into an archive, and puts them away."""
    raise NotImplementedError
