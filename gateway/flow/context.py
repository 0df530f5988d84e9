"""What every step is given: the ledger, who we trade with, the ports to the world, and the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.flow.handover import Handover
from gateway.flow.reporter import Reporter
from gateway.ledger.recording import Ledger
from gateway.mail.model import Mailbox, Transport
from gateway.settings import Settings
from gateway.settings.model import Limits
from partners.directory import Directory
from partners.model import Delivery


@dataclass(frozen=True, slots=True)
class Context:
    """Wired together by ``gateway.app``; tests put shipped in-memory twins in."""

    settings: Settings
    ledger: Ledger
    directory: Directory
    mailboxes: tuple[Mailbox, ...]
    transport: Transport | None
    handover: Callable[[Delivery, str], Handover]  # (delivery settings, partner key) → adapter
    reporter: Reporter
    clock: Callable[[], int]  # milliseconds since 1970 UTC
    limits: Limits
