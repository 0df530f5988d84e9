"""Turf: for which partners this run may send.

One process that has the whole home sends for everybody. Where many share a ledger, a partner's lease says who sends:
so a partner's mails keep their order, and a mail that is marked as being sent, while nobody who is alive has the lease,
was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.errors import LeaseLost
from gateway.flow import outcome
from gateway.flow.context import Context
from gateway.flow.stops import stops_of
from gateway.ledger.leases import Lease, SharedLeases
from gateway.ledger.recording import Recorder
from gateway.ledger.work import interrupted_mails, partners_to_mail

PARTNERS = 50  # that one run sends for at once; others may send for the rest
INTERRUPTED = "the process ended while it was handing the mail over"


class Turf:
    """The partners whose leases this run has."""

    def __init__(self, context: Context, leases: SharedLeases) -> None:
        self._context = context
        self._leases = leases
        self._ours: dict[str, Lease] = {}
        self._elsewhere: set[str] = set()
        self._stops = stops_of(context.directory)

    @property
    def partners(self) -> list[str]:
        """Those that we may send for."""
        return list(self._ours)

    def fences(self, partners: Iterable[str]) -> list[Lease]:
        """What must be ours to commit something about these partners; in one order for all."""
        return [self._ours[each] for each in sorted(set(partners)) if each in self._ours]

    def is_fresh(self, partner: str) -> bool:
        """Whether a partner's lease counts still, as far as we know without asking: sleepers find out here."""
        lease = self._ours.get(partner)
        return lease is not None and self._leases.is_fresh(lease)

    def widen(self, tried: Iterable[int]) -> bool:
        """Takes more partners whose mails are due; what a dead process left of theirs is in doubt. False: no more."""
        room = PARTNERS - len(self._ours)
        if room <= 0:
            return False
        with self._context.ledger.reading() as connection:
            others = [*self._ours, *self._elsewhere]
            wanted = partners_to_mail(connection, self._context.clock(), room, tried, others, self._stops)
        taken = [each for each in wanted if self._take(each)]
        return bool(taken)

    def _take(self, partner: str) -> bool:
        lease = self._leases.take(f"partner:{partner}:send")
        if lease is None:
            self._elsewhere.add(partner)
            return False
        self._ours[partner] = lease
        try:
            self._context.ledger.write(lambda recorder: self._doubt(recorder, partner), lease)
        except BaseException:
            self.let_go([partner])
            raise
        return True

    def _doubt(self, recorder: Recorder, partner: str) -> None:
        for mail in interrupted_mails(recorder.connection, partner):
            outcome.doubt(self._context, recorder, mail, INTERRUPTED)

    def has(self, partner: str) -> bool:
        """Whether a partner is ours, as far as we know."""
        return partner in self._ours

    def lose(self, fault: LeaseLost) -> None:
        """Somebody else has one of our partners: what came of that one's mails is theirs to find out."""
        lost = {partner for partner, lease in self._ours.items() if lease.name == fault.details.get("name")}
        if not lost:
            raise fault
        for each in lost:
            del self._ours[each]
            self._elsewhere.add(each)
            self._context.reporter.trouble(fault, f"sending to {each}")

    def let_go(self, partners: Iterable[str]) -> None:
        """Gives partners back, at the end or when nothing of theirs is due."""
        self._leases.release(*(self._ours.pop(each, None) for each in list(partners)))

    def is_more_due(self, tried: Iterable[int]) -> bool:
        """Whether, with nothing in our hands, mails are due that nobody has: they came while we held their partner."""
        names = self._leases.elsewhere("partner:")
        self._elsewhere = {each.removeprefix("partner:").removesuffix(":send") for each in names}
        with self._context.ledger.reading() as connection:
            return bool(partners_to_mail(connection, self._context.clock(), 1, tried, self._elsewhere, self._stops))
