"""Before: what an earlier processing of the same message left in the ledger.

A message is processed again after a release, or after a process died in the middle. What was decided then
about an interchange (delivered, a duplicate, discarded by a person …) stands; only what was quarantined is
looked at anew.
"""

from __future__ import annotations

from msgspec import Struct, field
from sqlalchemy import select

from gateway.flow.case import Case
from gateway.ledger import tables
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState


class Before(Struct, frozen=True):
    """The exchanges and payloads that a message has already; empty for one that is new."""

    payloads: dict[str, int] = field(default_factory=dict)  # path → row
    latest: dict[str, str] = field(default_factory=dict)  # SHA-256 of an interchange → state of its last exchange
    quarantined: dict[str, list[int]] = field(default_factory=dict)  # SHA-256 → exchanges

    @classmethod
    def of(cls, recorder: Recorder, case: Case) -> Before:
        """Asks the ledger, if the message was tried before."""
        before = cls()
        if not case.message.attempts:
            return before
        x, p = tables.exchange, tables.payload
        message = case.message.id
        for row in recorder.connection.execute(select(p.c.path, p.c.id).where(p.c.message == message)):
            before.payloads[row.path] = row.id
        exchanges = select(x.c.id, x.c.sha256, x.c.state).where(x.c.message == message, x.c.direction == "in")
        for each in recorder.connection.execute(exchanges.order_by(x.c.id)):
            before.latest[each.sha256] = each.state
            if each.state == ExchangeState.QUARANTINED:
                before.quarantined.setdefault(each.sha256, []).append(each.id)
        return before

    def deals_with(self, sha256: str) -> bool:
        """Whether an interchange is still to be decided on."""
        return self.latest.get(sha256, ExchangeState.QUARANTINED) == ExchangeState.QUARANTINED

    def take_quarantined(self, sha256: str) -> list[int]:
        """The quarantined exchanges that a new one replaces; each is given once."""
        return self.quarantined.pop(sha256, [])
