"""Overdue: what partners owe us and did not send in time is raised, and later once more as urgent."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import update

from gateway.flow import deadlines
from gateway.flow.context import Context
from gateway.ledger import tables
from gateway.ledger.states import ExchangeState
from gateway.ledger.work import Overdue, long_overdue, newly_overdue


def overdue(context: Context) -> None:
    """Raises, once, every acknowledgment that did not come in time; it stays awaited. Later it becomes urgent, once."""
    context.reporter.step("reconcile")
    now = context.clock()
    with context.ledger.reading() as connection:
        due = newly_overdue(connection, now)
        urgent = [each for each in long_overdue(connection) if _escalation(context, each) < now]
    if due:
        _raise(context, due)
    if urgent:
        _escalate(context, urgent)


def _raise(context: Context, due: Sequence[Overdue]) -> None:
    with context.ledger.transaction() as recorder:
        for each in due:
            recorder.connection.execute(
                update(tables.expectation)
                .where(tables.expectation.c.exchange == each.exchange, tables.expectation.c.kind == each.kind)
                .values(overdue_at=recorder.now)
            )
            if each.state == ExchangeState.SENT:
                recorder.change(
                    tables.exchange,
                    each.exchange,
                    state=ExchangeState.OVERDUE,
                    updated_at=recorder.now,
                    settled_at=None,
                )
            recorder.event("overdue", exchange=each.exchange, partner=each.partner, kind=each.kind, due_at=each.due_at)
    context.reporter.happened("acknowledgments overdue", len(due))


def _escalation(context: Context, each: Overdue) -> int:
    """From when on it is urgent."""
    span = (each.partner, each.agreement, each.types, each.versions, each.kind, each.within)
    return deadlines.escalation(context.directory, each.overdue_at or each.due_at, *span)


def _escalate(context: Context, urgent: Sequence[Overdue]) -> None:
    table = tables.expectation
    with context.ledger.transaction() as recorder:
        for each in urgent:
            recorder.connection.execute(
                update(table)
                .where(table.c.exchange == each.exchange, table.c.kind == each.kind)
                .values(escalated_at=recorder.now)
            )
            recorder.event(
                "escalated", exchange=each.exchange, partner=each.partner, kind=each.kind, due_at=each.due_at
            )
    context.reporter.happened("acknowledgments long overdue", len(urgent))
