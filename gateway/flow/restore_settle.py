"""A restored ledger is made fit to go on with: no number comes twice, and nothing goes out twice unannounced.

What waited for the wire when the backup was made may have gone since. So each such mail is in doubt, as one is whose
connection broke at the final dot: acknowledgments, and documents of agreements with ``on_doubt = "resend"``, go again
with the same bytes and numbers; other documents wait for a person. Messages that were collected and not processed wait
for a person too, for what is made of them now would have other numbers. Documents that are due for the business go
under the same names and keys as before.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, and_, func, or_, select, update

from gateway.errors import ConfigurationFault, RestoredUnprocessed, SenderUndecided
from gateway.flow import outcome
from gateway.flow.checkpoint import AHEAD, Checkpoint, Jump, ahead_of, put_numbers
from gateway.flow.context import Context
from gateway.flow.reporter import Tally
from gateway.flow.restore_evidence import Outcome, Present
from gateway.flow.start_numbers import pairs
from gateway.ledger import tables
from gateway.ledger.counters import LEVELS
from gateway.ledger.reached import numbers
from gateway.ledger.recording import Recorder
from gateway.ledger.states import MessageState
from gateway.ledger.work import DueMail, due_mails, interrupted_mails
from gateway.settings import SmtpSettings

_EVER, _ALL = 2**62, 2**31  # ms since 1970 UTC; rows
_SECOND = 1_000  # ms
_RESENT, _HELD = "mails in doubt, sent again", "mails held in doubt"  # as the doubt of a mail is counted


class Settled(Struct, frozen=True):
    """What became of what had waited, and of the numbers."""

    jumps: tuple[Jump, ...] = ()
    held: int = 0  # documents that wait for a person
    resent: int = 0  # mails that go again
    unprocessed: tuple[int, ...] = ()  # messages that wait for a person
    due: int = 0  # documents that go to the business, perhaps again


class Since(Struct, frozen=True):
    """What may have happened since: from the moment of the backup (ms since 1970 UTC) until now.

    ``noted``: how far numbers had come when backups beside this one were restored. ``ahead``: how many numbers to skip
    where nobody knows; None: a thousand, and one for every second.
    """

    at: int
    present: Present
    known: Checkpoint | None
    outcome: Outcome
    noted: Mapping[str, int]
    ahead: int | None = None


def settle(context: Context, recorder: Recorder, since: Since, *, reason: str) -> Settled:
    """Does all of it, in the transaction of ``recorder``."""
    _end_batch(recorder, since)
    due = recorder.connection.execute(
        select(func.count()).select_from(tables.transaction_set).where(tables.transaction_set.c.delivery == "due")
    ).scalar_one()
    if since.outcome is Outcome.NOTHING_LOST:
        return Settled(due=due)
    counts = _doubt(context, recorder, since, reason)
    held = _hold_messages(recorder, since)
    jumps = put_numbers(recorder, _numbers(context, recorder, since), reason=reason)
    return Settled(jumps, counts[_HELD], counts[_RESENT], held, due)


def _end_batch(recorder: Recorder, since: Since) -> None:
    """The batch that made the backup was running in it; nobody is to look for what interrupted it."""
    table = tables.batch
    recorder.connection.execute(update(table).where(table.c.ended_at.is_(None)).values(ended_at=since.at))


# ---------------------------------------------------------------- what may have gone


def _doubt(context: Context, recorder: Recorder, since: Since, reason: str) -> Counter[str]:
    tally = Tally()
    settings = context.settings
    if settings.smtp is None:
        settings = replace(settings, smtp=SmtpSettings(host="the SMTP host"))
    told = replace(context, reporter=tally, settings=settings)
    for mail in _that_may_have_gone(recorder.connection, since):
        outcome.doubt(told, recorder, mail, f"an older ledger was put back, and it may have gone since ({reason})")
    return tally.counts


def _that_may_have_gone(connection: Connection, since: Since) -> Iterator[DueMail]:
    mails = due_mails(connection, _EVER, _ALL) + interrupted_mails(connection)
    for mail in sorted(mails, key=lambda each: each.exchange):
        stayed = since.outcome is Outcome.NUMBERS_KNOWN and since.present.waiting.get(mail.exchange) == mail.attempts
        if not stayed:
            yield mail


def _hold_messages(recorder: Recorder, since: Since) -> tuple[int, ...]:
    """Messages that the next batch would process, and that may have been processed."""
    m = tables.message.c
    by_itself = and_(m.state == MessageState.QUARANTINED, m.fault_code == SenderUndecided.code)
    wanted = select(m.id).where(or_(m.state == MessageState.STORED, by_itself)).order_by(m.id)
    stayed = since.present.stored if since.outcome is Outcome.NUMBERS_KNOWN else frozenset()
    found = [each for each in recorder.connection.execute(wanted).scalars() if each not in stayed]
    for each in found:
        fault = RestoredUnprocessed()
        recorder.change(tables.message, each, state=MessageState.QUARANTINED, **recorder.fault(fault))
        recorder.event("quarantined", message=each, code=fault.code, reason=str(fault))
    return tuple(found)


# ---------------------------------------------------------------- numbers


def _numbers(context: Context, recorder: Recorder, since: Since) -> Mapping[str, int]:
    """Where every series goes on: JSON list of partner, ours, theirs, level → next."""
    present = since.present.reached
    if since.outcome is Outcome.NUMBERS_KNOWN and present is not None:
        return present.numbers
    sources = [numbers(recorder.connection), since.known.numbers if since.known else {}, since.noted]
    sources.append(present.numbers if present else {})
    names = {name for each in sources for name in each}
    after = {}
    for name in names | _not_begun(context):
        known = [each[name] for each in sources if name in each] or [1]
        after[name] = ahead_of(known, _ahead(since, recorder.now))
    return after


def _not_begun(context: Context) -> set[str]:
    """The series of every partner: one may have begun since."""
    found = set()
    for partner in context.directory:
        try:
            pair = pairs(context.directory, partner)
        except ConfigurationFault:  # without an identity of ours nothing is numbered
            continue
        found |= {json.dumps([partner.key, ours, theirs, level]) for ours, theirs in pair for level in LEVELS}
    return found


def _ahead(since: Since, now: int) -> int:
    """How many numbers of a series to skip: more than can have been used since anything was known of it."""
    if since.ahead is not None:
        return since.ahead
    known = max(since.at, since.known.at if since.known else 0)
    return AHEAD + max(now - known, 0) // _SECOND
