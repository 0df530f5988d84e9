"""Settle: a person looked at something and puts it to rest."""

from __future__ import annotations

from sqlalchemy import delete, select

from gateway.flow.acts import Act, acting, before, exchange_row, not_now
from gateway.flow.context import Context
from gateway.ledger import tables
from gateway.ledger.attention import needs_attention
from gateway.ledger.states import ExchangeState


def settle(context: Context, number: int, *, actor: str, reason: str, dry_run: bool = False) -> Act:
    """A person looked at it and put it to rest: it needs no attention any more. Its state stays as it is.

    Raises:
        NotFound, NotAllowedNow: it needs nobody, or it is in quarantine (release or discard it).
    """
    with acting(context, actor, dry_run=dry_run) as recorder:
        exchange = exchange_row(recorder, number)
        if exchange.state in {ExchangeState.QUARANTINED, ExchangeState.CONFLICT}:
            raise not_now("exchange", exchange, "release, accept or discard it")
        table = tables.expectation
        awaited = recorder.connection.execute(select(table.c.exchange).where(table.c.exchange == number)).first()
        if not needs_attention(recorder.connection, number) and awaited is None:
            if exchange.settled_at is not None:
                return before(number, "it was put to rest")
            raise not_now("exchange", exchange, "it needs nobody's attention")
        recorder.connection.execute(delete(table).where(table.c.exchange == number))
        recorder.change(tables.exchange, number, settled_at=recorder.now, updated_at=recorder.now)
        recorder.event("settled", exchange=number, partner=exchange.partner, reason=reason)
    return Act(str(number), "settled")
