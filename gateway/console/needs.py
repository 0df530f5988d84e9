"""What needs a person, as pages show it: in order of urgency, each with where it is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from msgspec import Struct

from gateway.flow.needs import kind_of
from gateway.flow.standing import Standing
from gateway.ledger.alerts import Alert
from gateway.ledger.attention import Attention

# The most urgent kinds first: what stands still, then what was refused, then what is late, then what ends with time.
_ORDER = (
    *("escalated", "database", "disk", "defect", "mailbox", "smtp", "login", "no access", "configuration", "night"),
    *("not delivered", "in doubt", "failed", "bounced", "not to all", "document refused", "not taken"),
    *("refused", "rejected", "conflict", "partially accepted", "quarantined", "repeated"),
    *("overdue", "missed", "gap", "step back", "contradicted", "unmatched"),
    *("ended", "ends soon", "backup", "not told", "reply", "other"),
)
_RANK = {kind: place for place, kind in enumerate(_ORDER)}
_LABELS = {
    "quarantined": "Preview, release or discard",
    "conflict": "Look at it",
    "overdue": "Resend or settle",
    "escalated": "Resend or settle",
    "in doubt": "Say whether it went",
    "failed": "Resend or settle",
    "bounced": "Resend or settle",
    "refused": "See what they refused",
    "rejected": "See the findings",
    "partially accepted": "See the findings",
    "gap": "Explain the numbers",
    "step back": "Explain the numbers",
    "missed": "Settle or wait",
}


class Need(Struct, frozen=True):
    """One thing that needs a person: what, why, whose side, and where to go. ``at`` is ms since 1970 UTC.

    ``path`` is the page where it is done ("" where only a command helps), ``label`` what is done there.
    """

    kind: str
    reference: str
    state: str
    at: int
    partner: str
    what: str
    reason: str
    side: str
    command: str
    path: str
    label: str
    urgent: bool = False
    usage: str = ""
    alert: Alert | None = None


def needs(standing: Standing) -> list[Need]:
    """All of them, the most urgent kind first, and of each kind the newest first."""
    found = [_of_attention(each, alert) for each, alert in standing.needs]
    found += [_of_alert(each) for each in standing.met]
    found += [_of_file(each) for each in standing.refused]
    return sorted(found, key=lambda each: (not each.urgent, _RANK.get(each.kind, len(_RANK)), -each.at))


def kinds(found: Iterable[Need]) -> Mapping[str, int]:
    """How many there are of each kind."""
    return Counter(each.kind for each in found)


def in_order(counted: Mapping[str, int]) -> list[tuple[str, int]]:
    """Kinds and their numbers, the most urgent kind first."""
    return sorted(counted.items(), key=lambda each: _RANK.get(each[0], len(_RANK)))


_ENDING = frozenset({"ends soon", "ended"})
# Where a kind is looked after that belongs to no exchange and no mail; {} is the partner's page.
_PLACES = {
    **dict.fromkeys(("gap", "step back", "missed"), "{}/numbers"),
    **dict.fromkeys(("mailbox", "smtp", "login", "no access", "night", "defect", "database"), "/nights"),
    "not told": "/alerts/rules",
    "backup": "/ledger/backups",
}


def way(reference: str, kind: str, partner: str, exchange: int | None, message: int | None) -> str:
    """The page where something is done about what a reference names; "" where there is none."""
    if kind == "quarantined":
        return f"/quarantine/{reference}"
    if exchange is not None:
        return f"/exchanges/{exchange}"
    if message is not None:
        return f"/mails/{message}"
    theirs = f"/partners/{quote(partner, safe='')}" if partner else ""
    if kind in _PLACES:
        return _PLACES[kind].format(theirs)
    if kind in _ENDING and theirs:
        return f"{theirs}/certificates"
    return theirs if reference.startswith("outbox/") or kind == "document refused" else ""


def _of_attention(thing: Attention, alert: Alert | None) -> Need:
    kind = kind_of(thing)
    return Need(
        kind,
        thing.reference,
        thing.state,
        thing.at,
        thing.partner,
        thing.what,
        thing.reason,
        thing.side or (alert.side if alert else ""),
        thing.next_command,
        way(thing.reference, kind, thing.partner, thing.exchange, thing.message),
        _LABELS.get(kind, "Look at it"),
        urgent=thing.urgent,
        usage=thing.usage,
        alert=alert,
    )


def _of_alert(alert: Alert) -> Need:
    path = way(alert.reference, alert.kind, alert.partner, alert.exchange, alert.message)
    return Need(
        alert.kind,
        alert.reference,
        alert.kind,
        alert.last_at,
        alert.partner,
        alert.reference,
        alert.subject,
        alert.side,
        alert.next_command,
        path or f"/alerts/{alert.id}",
        _LABELS.get(alert.kind, "Look at it"),
        urgent=alert.kind in {"database", "disk"},
        alert=alert,
    )


def _of_file(path: str) -> Need:
    """A document in the outbox, as ``outbox/PARTNER/failed/NAME``."""
    partner, _, name = path.split("/")[-3:] if path.count("/") > 1 else ("", "", path)
    return Need(
        "document refused",
        name,
        "refused",
        0,
        partner,
        f"document {name} in the outbox of {partner}",
        "It could not be sent; beside it lies the reason.",
        "ours",
        f"cat '{path}.why.txt'",
        f"/partners/{quote(partner, safe='')}" if partner else "",
        "Look at the partner",
    )
