"""What was put away of that which a seal covers: in order or not, an auditor asks whoever did it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator

from sqlalchemy import Connection, select, text

from gateway.ledger.seals import Seal
from gateway.ledger.tables import CONFIGURATION, event


def put_away_since(connection: Connection, seal: Seal) -> Iterator[str]:
    """How many events of a seal's were put away after it, by whom and by which policy; a sentence each."""
    e = event.c
    later = select(e.actor, e.body).where(text(CONFIGURATION), e.kind == "purged", e.seq > seal.seq)
    found: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for row in connection.execute(later.order_by(e.seq)):
        policy, covered = _covered(row.body, seal.seq)
        if covered:
            found[row.actor or "gateway", policy].append(covered)
    for (actor, policy), counts in sorted(found.items()):
        by = f"{actor}, by the policy {policy}" if policy else actor
        times = "once" if len(counts) == 1 else f"{len(counts)} times"
        said = "1 event" if counts == [1] else f"{sum(counts)} events"
        went = "was" if counts == [1] else "were"
        yield f"{said} that the seal of {seal.time} covers {went} put away after it, {times}: {by}."


def _covered(body: str, seq: int) -> tuple[str, int]:
    """The policy that an event ``purged`` names, and how many events up to ``seq``."""
    try:
        said = json.loads(body)
        spans = [(int(first), min(int(last), seq)) for first, last in said.get("events", ())]
        return str(said.get("policy", "")), sum(last - first + 1 for first, last in spans if last >= first)
    except (ValueError, TypeError, AttributeError):
        return "", 0  # a verification names it, if it is not what was recorded
