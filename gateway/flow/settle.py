"""Settle: a person looked at something and puts it to rest."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select

from gateway.flow.acts import Act, Found, acting, before, exchange_row, not_now, told
from gateway.flow.context import Context
from gateway.ledger import tables
from gateway.ledger.attention import needs_attention
from gateway.ledger.recording import Recorder, insisting
from gateway.ledger.states import ExchangeState

UNDER_WAY = (ExchangeState.READY, ExchangeState.SENDING)  # nothing is missing of it yet
WAITS = "it waits for the wire, and nothing is missing yet"


@insisting
def settle(context: Context, number: int, *, actor: str, reason: str, dry_run: bool = False) -> Act:
    """A person looked at it and put it to rest: it needs no attention any more. Its state stays as it is.

    Raises:
        NotFound, NotAllowedNow: it needs nobody, or it is in quarantine (release or discard it); also while it waits
            for the wire, for what is awaited of it then begins when it goes.
    """
    with acting(context, actor, dry_run=dry_run) as recorder:
        exchange = exchange_row(recorder, number)
        if exchange.state in {ExchangeState.QUARANTINED, ExchangeState.CONFLICT}:
            raise not_now("exchange", exchange, "release, accept or discard it")
        waits = exchange.state in UNDER_WAY
        awaited = {} if waits else _awaited(recorder, number)
        if not needs_attention(recorder.connection, number) and not awaited:
            if exchange.settled_at is not None:
                return before(number, "it was put to rest")
            raise not_now("exchange", exchange, WAITS if waits else "it needs nobody's attention")
        if awaited:
            table = tables.expectation
            recorder.connection.execute(delete(table).where(table.c.exchange == number))
        recorder.change(tables.exchange, number, settled_at=recorder.now, updated_at=recorder.now)
        more: dict[str, Any] = {"awaited": awaited} if awaited else {}
        recorder.event("settled", exchange=number, partner=exchange.partner, reason=reason, **more)
    return Act(str(number), "settled")


def await_again(recorder: Recorder, exchange: Found) -> None:
    """What was put to rest goes on after all: what was awaited of it is awaited again, unless it was answered."""
    if exchange.settled_at is None or exchange.verdict:
        return
    recorder.flush()
    there = _awaited(recorder, exchange.id)
    for kind, within in (told(recorder, "settled", exchange=exchange.id) or {}).get("awaited", {}).items():
        if kind not in there:
            row = {"exchange": exchange.id, "kind": kind, "partner": exchange.partner, "within": within}
            recorder.put(tables.expectation, **row)
    recorder.flush()


def _awaited(recorder: Recorder, exchange: int) -> dict[str, int]:
    """What is awaited of an exchange, each with how long (ms)."""
    e = tables.expectation.c
    rows = recorder.connection.execute(select(e.kind, e.within).where(e.exchange == exchange))
    return {row.kind: row.within for row in rows}
