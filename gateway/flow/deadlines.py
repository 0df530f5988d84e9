"""Deadlines: when what a partner owes us is due, by the clock or by the partner's calendar, as was agreed.

The span was fixed with the bytes; how it passes is as the profile says when it begins.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from functools import cache, partial
from typing import Any

from sqlalchemy import Connection, Select, Update, bindparam, null, select, update

from gateway.flow.context import Context
from gateway.flow.terms import terms_of
from gateway.ledger import bulk, tables
from gateway.ledger.recording import Recorder
from partners.calendar import NeverWorksError
from partners.directory import Directory
from partners.model import AcknowledgmentPolicy, Agreement, Counted, FunctionalAck

_SPEAKS_FOR_ALL = ("functional", "TA1")  # whose time stands with the exchange, the first of them that is awaited


def agreed(policy: AcknowledgmentPolicy, *, ta1: bool) -> dict[str, int]:
    """How long (ms) each acknowledgment of an interchange is awaited, by its kind; ``ta1``: whether it asks for one."""
    if policy.within is None:
        return {}
    within = int(policy.within.total_seconds() * 1000)
    kinds = ("functional", policy.functional is not FunctionalAck.NONE), ("TA1", ta1)
    return {kind: within for kind, is_awaited in kinds if is_awaited}


def begin(context: Context, recorder: Recorder, exchanges: Sequence[int], *, anew: bool = True) -> int:
    """The time for everything that is awaited of these exchanges begins now; returns how much that is.

    Args:
        context: whose directory knows the calendars.
        recorder: the transaction in which the exchanges were handed over.
        exchanges: their ids.
        anew: also what runs already begins again; else only what does not run yet.
    """
    connection = recorder.connection
    some = {"exchanges": bulk.listed(connection, exchanges)}
    rows = bulk.asked(connection, ("awaited", anew), partial(_awaited, connection, anew=anew), some)
    due_at = cache(partial(later, context.directory, recorder.now))
    together: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for exchange, kind, within, *under in rows:
        together[kind, due_at(*under, kind, within)].append(exchange)
    for (kind, due), ids in together.items():
        row = {"exchanges": bulk.listed(connection, ids), "of": kind, "due": due}
        bulk.write(connection, "time begins", partial(_begins, connection), [row])
    for kind in reversed(_SPEAKS_FOR_ALL):
        for (of, due), ids in together.items():
            for each in ids if of == kind else ():
                recorder.change(tables.exchange, each, due_at=due)
    return len(rows)


def stop(recorder: Recorder, exchange: int) -> None:
    """The time for what is awaited of an exchange stops: it did not arrive. It begins anew with the next hand-over."""
    e = tables.expectation
    stopped = update(e).where(e.c.exchange == exchange)
    recorder.connection.execute(stopped.values(due_at=null(), overdue_at=null(), escalated_at=null()))


def _awaited(connection: Connection, *, anew: bool) -> Select[Any]:
    e, x = tables.expectation, tables.exchange
    found = select(e.c.exchange, e.c.kind, e.c.within, e.c.partner, x.c.agreement, x.c.types, x.c.versions).join(
        x, x.c.id == e.c.exchange
    )
    found = found.where(bulk.among(connection, e.c.exchange, "exchanges"))
    return found if anew else found.where(e.c.due_at.is_(None))


def _begins(connection: Connection) -> Update:
    e = tables.expectation
    which = bulk.among(connection, e.c.exchange, "exchanges"), e.c.kind == bindparam("of")
    return update(e).where(*which).values(due_at=bindparam("due"), overdue_at=null(), escalated_at=null())


def later(
    directory: Directory, moment: int, partner: str, agreement: str, types: str, versions: str, kind: str, span: int
) -> int:
    """The moment ``span`` ms after another one, as an agreement counts the time for a kind of acknowledgment.

    ``types`` and ``versions`` are those of the document, with blanks between. Where the partner or agreement is gone,
    or its calendar has no working day, all time counts.
    """
    terms = terms_of(directory, partner, agreement, types, versions)
    if terms is None or counted(terms, kind) is Counted.ALWAYS:
        return moment + span
    try:
        return directory.get(partner).calendar.later(moment, timedelta(milliseconds=span))
    except NeverWorksError:
        return moment + span


def escalation(
    directory: Directory, moment: int, partner: str, agreement: str, types: str, versions: str, kind: str, span: int
) -> int:
    """When what was called overdue at ``moment`` becomes urgent: after the agreed time, or after its own span again."""
    terms = terms_of(directory, partner, agreement, types, versions)
    patience = terms.acknowledgment.escalate_after if terms is not None else None
    more = span if patience is None else int(patience.total_seconds() * 1000)
    return later(directory, moment, partner, agreement, types, versions, kind, more)


def counted(agreement: Agreement, kind: str) -> Counted:
    """How the time for a kind of acknowledgment passes under an agreement."""
    return agreement.security.receipt_counted if kind == "receipt" else agreement.acknowledgment.counted
