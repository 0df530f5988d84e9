"""Anew: what a partner refused and is sent again is awaited as if it went for the first time.

Until it is handed over the refusal stands, and whatever else the partner says speaks of the first time. From then on
its word counts as the first one: a refusal is no repetition, and an acceptance contradicts nothing. All that was said
before stays in the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, select

from gateway.flow import deadlines
from gateway.flow.acts import told
from gateway.flow.context import Context
from gateway.flow.terms import terms_of
from gateway.ledger import archive, tables
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState
from gateway.ledger.work import DueMail
from gateway.x12.model import Status
from partners.model import AcknowledgmentPolicy

AWAITED_ANEW = "awaited-anew"  # the event
_ASKS = slice(100, 101)  # ISA14


def await_anew(context: Context, recorder: Recorder, lane: Sequence[DueMail]) -> None:
    """Of mails that are about to be handed over: what was refused is as if nobody had spoken on it."""
    refused = [each.exchange for each in lane if each.refused and not each.rest]
    if not refused:
        return
    x = tables.exchange.c
    columns = (x.id, x.partner, x.agreement, x.sha256, x.verdict, x.types, x.versions)
    for row in recorder.connection.execute(select(*columns).where(x.id.in_(refused)).order_by(x.id)).all():
        _forget_verdict(recorder, row)
        _expect(context, recorder, row)


def waits_to_go_again(exchange: Row[*tuple[Any, ...]]) -> bool:
    """Whether the partner refused an exchange, and it is queued again and was not begun to be handed over."""
    return bool(exchange.state == ExchangeState.READY and exchange.verdict == Status.REJECTED)


def spoken_before(recorder: Recorder, exchange: int) -> int:
    """The newest acknowledgment that speaks of an earlier time; what is newer speaks of the last. 0: there is none."""
    return int((told(recorder, AWAITED_ANEW, exchange=exchange) or {}).get("after", 0))


def _forget_verdict(recorder: Recorder, row: Row[*tuple[Any, ...]]) -> None:
    a = tables.acknowledgment.c
    newest = recorder.connection.execute(select(func.max(a.id)).where(a.exchange == row.id)).scalar() or 0
    for table in (tables.functional_group, tables.transaction_set):
        recorder.change_where(table, table.c.exchange == row.id, acknowledged="", acknowledged_at=None)
    recorder.change(tables.exchange, row.id, verdict="", acknowledged_at=None)
    recorder.event(AWAITED_ANEW, exchange=row.id, partner=row.partner, verdict=row.verdict, after=newest)


def _expect(context: Context, recorder: Recorder, row: Row[*tuple[Any, ...]]) -> None:
    """As was agreed; under an agreement that is gone, as usual: who refused it will answer it."""
    terms = terms_of(context.directory, row.partner, row.agreement, row.types, row.versions)
    policy = terms.acknowledgment if terms is not None else AcknowledgmentPolicy()
    asks = archive.head(recorder.connection, row.sha256, _ASKS.stop)[_ASKS] == b"1"
    e = tables.expectation
    waited = set(recorder.connection.execute(select(e.c.kind).where(e.c.exchange == row.id)).scalars())
    for kind, within in deadlines.agreed(policy, ta1=asks).items():
        if kind not in waited:
            recorder.put(e, exchange=row.id, kind=kind, partner=row.partner, within=within)
