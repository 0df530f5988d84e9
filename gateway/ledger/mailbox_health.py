"""How it goes with each mailbox: what came lately, what it does not give, whether the last batch could read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from sqlalchemy import Connection, func, select

from gateway.ledger.alerts import Alert
from gateway.ledger.batches import Batch
from gateway.ledger.daily import DAY
from gateway.ledger.states import MessageState
from gateway.ledger.tables import message, not_taken

WINDOW = 7  # days that are looked back
_COLLECT = "collect"


class MailboxHealth(Struct, frozen=True):
    """Of one mailbox. Times are ms since 1970 UTC.

    ``mails`` came in the last 7 days, the last of them at ``came_at``; ``not_taken`` lie there and could not be taken,
    ``waiting`` were taken and are not processed yet.
    ``collected_at`` is when the last batch that is known step by step had read it; ``trouble`` says why it could not.
    """

    name: str
    mails: int
    came_at: int | None
    not_taken: int
    waiting: int
    collected_at: int | None
    trouble: str = ""

    @property
    def state(self) -> str:
        """ok, failed, or waiting where no batch has told yet."""
        if self.trouble:
            return "failed"
        return "waiting" if self.collected_at is None else "ok"


def mailboxes(
    connection: Connection, names: Sequence[str], last: Batch | None, alerts: Sequence[Alert], now: int
) -> list[MailboxHealth]:
    """The mailboxes of these names, as the ledger knows of them.

    Args:
        connection: within a transaction.
        names: as gateway.toml has them.
        last: the newest batch; None before the first.
        alerts: those that stand.
        now: ms since 1970 UTC.
    """
    m = message.c
    since = now - WINDOW * DAY
    came = select(m.mailbox, func.count(), func.max(m.at)).where(m.at >= since, m.direction == "in")
    mails = {row[0]: (row[1], row[2]) for row in connection.execute(came.group_by(m.mailbox))}
    left = select(not_taken.c.mailbox, func.count()).group_by(not_taken.c.mailbox)
    refused: Mapping[str, int] = {row[0]: row[1] for row in connection.execute(left)}
    stored = select(m.mailbox, func.count()).where(m.state == MessageState.STORED).group_by(m.mailbox)
    waiting: Mapping[str, int] = {row[0]: row[1] for row in connection.execute(stored)}
    troubles = {each.reference: each.subject for each in reversed(alerts)}
    collect = next((each for each in last.steps if each.name == _COLLECT), None) if last else None
    if collect is not None:
        troubles |= {each.where: each.sentence for each in collect.troubles}
    return [
        MailboxHealth(
            name,
            *mails.get(name, (0, None)),
            refused.get(name, 0),
            waiting.get(name, 0),
            collect.ended_at if collect else None,
            troubles.get(f"mailbox {name}", ""),
        )
        for name in names
    ]
