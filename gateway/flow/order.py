"""Order: where an agreement keeps it, a later document waits while an earlier one of the partner does.

An earlier one waits when the SMTP host did not take it for now, or when nobody knows whether it did. One that was
given up, cancelled or superseded holds nobody up: a person was called. Acknowledgments and other partners never wait.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from sqlalchemy import Connection, func, or_, select

from gateway.ledger import tables
from gateway.ledger.work import DueMail
from partners.directory import Directory


class Order:
    """Whose turn it is. ``directory``: the profiles as they are now, which say for what the order is kept."""

    def __init__(self, directory: Directory) -> None:
        self._ordered = {(each.key, one.name) for each in directory for one in each.agreements if one.ordered}
        self._partners = {key for key, _ in self._ordered}
        self._named = {(each.key, one.name) for each in directory for one in each.agreements}

    def turn(
        self, connection: Connection, now: int, tried: set[int], ask: Callable[[], list[DueMail]]
    ) -> list[DueMail]:
        """What ``ask`` gives, without the documents that wait for an earlier one.

        Args:
            connection: the transaction that marks what goes next.
            now: ms since 1970 UTC.
            tried: exchanges that ``ask`` leaves out; what waits is added, so that its place is free for others.
            ask: gives what is due, in order.
        """
        due = ask()
        if not self._ordered or not due:
            return due
        first = self._held_up(connection, now, tried)
        while late := self._waiting(due, first):
            tried |= late
            due = ask()
        return due

    def _waiting(self, due: Sequence[DueMail], first: Mapping[str, int]) -> set[int]:
        return {
            each.exchange
            for each in due
            if each.kind == "document"
            and self._keeps(each.partner, each.agreement)
            and each.exchange > first.get(each.partner, each.exchange)
        }

    def _held_up(self, connection: Connection, now: int, tried: Collection[int]) -> dict[str, int]:
        """The earliest document of each partner that waits, for its time or for a person, or was tried in this run."""
        o, x = tables.outgoing, tables.exchange
        rows = connection.execute(
            select(o.c.partner, x.c.agreement, func.min(o.c.exchange).label("first"))
            .join(x, x.c.id == o.c.exchange)
            .where(
                or_(o.c.state == "held", (o.c.state == "ready") & (o.c.next_at > now), o.c.exchange.in_(list(tried))),
                x.c.kind == "document",
            )
            .group_by(o.c.partner, x.c.agreement)
        )
        first: dict[str, int] = {}
        for row in rows:
            if self._keeps(row.partner, row.agreement):
                first[row.partner] = min(row.first, first.get(row.partner, row.first))
        return first

    def _keeps(self, partner: str, agreement: str) -> bool:
        """Whether the order is kept for an agreement; one that has another name by now may be one of those."""
        named = partner, agreement
        return named in self._ordered or (partner in self._partners and named not in self._named)
