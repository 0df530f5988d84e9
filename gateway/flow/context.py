"""What every step is given: the ledger, who we trade with, the ports to the world, and the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct, field

from gateway.errors import GatewayError, SecretMissing
from gateway.flow.handover import Handover
from gateway.flow.keyring import Keyring
from gateway.flow.reporter import Reporter
from gateway.ledger.leases import ALONE, Leases
from gateway.ledger.recording import Ledger
from gateway.mail.model import Mailbox, Transport
from gateway.mail.txt_records import no_dns
from gateway.mail.verp import Tokens
from gateway.settings import Settings
from gateway.settings.model import Limits
from partners.directory import Directory
from partners.model import Delivery


def no_secrets(name: str) -> str:
    """Where there is no store of secrets.

    Raises:
        SecretMissing: always.
    """
    raise SecretMissing(name=name)


class Context(Struct, frozen=True):
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
    tokens: Tokens | None = None  # names for mails that bounces bring back; None where the home has no key
    alongside: bool = False  # whether a big batch may use a second process
    keys: Keyring = field(default_factory=Keyring)  # our own, for S/MIME
    txt: Callable[[str], bytes | None] = no_dns  # name → TXT record, for DKIM; made anew for every batch
    leases: Leases = ALONE  # who else may be at work on this ledger
    stopping: Callable[[], bool] = bool  # whether we were asked to end: what is begun is finished, no more is begun
    secrets: Callable[[str], str] = no_secrets  # name → secret, for the webhooks of alerts
    seal_key: Callable[[], bytes] | None = None  # gives the private key that signs seals; None: nothing is sealed
    troubles: Sequence[tuple[str, GatewayError]] | None = None  # of this batch so far; None outside of one
