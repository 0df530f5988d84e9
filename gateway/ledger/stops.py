"""What waits because its partner gets nothing for now, or nothing in earnest."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, and_, func, not_, or_, select

from gateway.ledger.literals import word
from gateway.ledger.tables import exchange, outgoing

KEPT_BACK = "of the mails waiting: kept back until their partners are active, or live, again"
_TEST_REPORT = "test-report"  # the kind of what answers a self-test, which a draft may make, too


class Stops(Struct, frozen=True):
    """Keys of partners to whom not everything goes.

    ``everything``: nothing at all; ``drafts``: only reports on tests; ``testing``: no document in earnest (ISA15 P).
    """

    everything: frozenset[str] = frozenset()
    drafts: frozenset[str] = frozenset()
    testing: frozenset[str] = frozenset()

    @property
    def partners(self) -> frozenset[str]:
        """All of them."""
        return self.everything | self.drafts | self.testing

    def keeps(self, partner: str, kind: str, usage: str) -> bool:
        """Whether an exchange of that kind and usage (ISA15) waits until its partner is live, or active, again."""
        if partner in self.everything:
            return True
        if partner in self.drafts:
            return kind != _TEST_REPORT
        return partner in self.testing and kind == "document" and usage == "P"


def may_go(stops: Stops) -> ColumnElement[bool]:
    """The same as not ``Stops.keeps``, for a statement about mails that wait for the wire."""
    found: list[ColumnElement[bool]] = [outgoing.c.partner.not_in(sorted(stops.everything))]
    x = exchange.c
    asked = select(x.id).where(x.id == outgoing.c.exchange).correlate(outgoing)
    if stops.drafts:
        report = asked.where(x.kind == word(_TEST_REPORT)).exists()
        found.append(or_(outgoing.c.partner.not_in(sorted(stops.drafts)), report))
    if stops.testing:
        earnest = asked.where(x.kind == word("document"), x.usage == word("P")).exists()
        found.append(or_(outgoing.c.partner.not_in(sorted(stops.testing)), not_(earnest)))
    return and_(*found)


def kept_back(connection: Connection, stops: Stops) -> dict[str, int]:
    """How many mails wait for each partner only because of where the partnership stands."""
    wanted = (
        select(outgoing.c.partner, func.count())
        .where(outgoing.c.partner.in_(sorted(stops.partners)), outgoing.c.state == "ready", not_(may_go(stops)))
        .group_by(outgoing.c.partner)
        .order_by(outgoing.c.partner)
    )
    return dict(connection.execute(wanted).all())
