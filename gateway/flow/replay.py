"""Replay: received mail takes the whole way again, as if it had come now."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from sqlalchemy import Connection, func, select

from gateway.errors import GatewayError, NotFound
from gateway.flow.acknowledge import acknowledge
from gateway.flow.acts import Act, Reference, acting, message_row, not_now
from gateway.flow.context import Context
from gateway.flow.inbound import prepare
from gateway.flow.receipts import KIND as RECEIPT
from gateway.ledger import tables
from gateway.ledger.leases import take_turns_over
from gateway.ledger.recording import Recorder, insisting
from gateway.ledger.states import ExchangeState, MessageState
from gateway.ledger.work import stored_message

AT_REST = (MessageState.PROCESSED, MessageState.QUARANTINED, MessageState.DISCARDED, MessageState.NOTED)
REPLAYED = ("", "letter", RECEIPT)  # kinds of mails
NOT_REPLAYED = "only letters carry EDI, and only receipts are judged again"


class Became(Struct, frozen=True):
    """What became of one interchange of a replayed mail: its new exchange, and the state it has."""

    exchange: int
    state: str
    sha256: str
    original: int | None  # what it is a duplicate of

    def __str__(self) -> str:
        of = f" of exchange {self.original}" if self.original is not None else ""
        return f"exchange {self.exchange} is {self.state}{of}"


@insisting
def replay(context: Context, reference: str, *, actor: str, reason: str, dry_run: bool = False) -> Act:
    """Takes a received mail the whole way again, as if it had come now: with the profiles and the checks of now.

    The duplicate check is on: an interchange that was taken before gets its acknowledgment again and is not delivered
    again; one that was not (its sender was unknown, its key was missing …) is taken now. A receipt is judged again.

    Raises:
        NotFound, NotAllowedNow: it is neither letter nor receipt, or waits to be processed.
    """
    with context.ledger.reading() as connection:
        message = _message_of(connection, Reference.parse(reference))
        stored = stored_message(connection, message, context.settings.home)
    case = prepare(context, stored)
    with acting(context, actor, dry_run=dry_run) as recorder:
        owner = {case.partner.key} if case.partner is not None else set()
        take_turns_over(
            recorder.connection, owner | {each.partner.key for _, each in case.interchanges if each.partner}
        )
        row = message_row(recorder, message)
        if row.state not in AT_REST or row.kind not in REPLAYED:
            reason_not = "it waits to be processed" if row.state == MessageState.STORED else NOT_REPLAYED
            raise not_now("message", row, reason_not)
        recorder.event("replayed", message=message, partner=row.partner, reason=reason)
        last = _last_exchange(recorder, message)
        acknowledge(context, recorder, [case])
        recorder.flush()
        became = _became(recorder, message, last)
        _replace_quarantined(recorder, message, last, became)
        state = message_row(recorder, message).state
        judged = _receipt_in_words(recorder.connection, message) if row.kind == RECEIPT else ""
    words = "; ".join(map(str, became)) or judged or f"it carries no interchange, and is {state}"
    return Act(reference, f"replayed: {words}", exchange=became[0].exchange if became else None)


def _receipt_in_words(connection: Connection, message: int) -> str:
    """What is thought of a receipt by now."""
    r = tables.receipt.c
    last = select(r.relation, r.exchange).where(r.message == message, r.direction == "in").order_by(r.id.desc())
    row = connection.execute(last.limit(1)).first()
    if row is None or row.exchange is None:
        return "it is a receipt for nothing that we sent"
    if row.relation == "forged":
        return f"it is a receipt for exchange {row.exchange}, and nothing proves it still"
    return f"it is a receipt for exchange {row.exchange}, and counts as {row.relation}"


def replay_range(
    context: Context, since: int, until: int, *, partner: str = "", actor: str, reason: str, dry_run: bool = False
) -> Iterator[tuple[str, Act | GatewayError]]:
    """Replays every letter that was received from ``since`` (included) until ``until`` (ms since 1970 UTC), one by one.

    Yields each one's reference with what became of it, or the fault that kept it; the others go on. What a person
    discarded stays as it is.
    """
    for number in replayable(context, since, until, partner):
        reference = f"m{number}"
        try:
            yield reference, replay(context, reference, actor=actor, reason=reason, dry_run=dry_run)
        except GatewayError as fault:
            if not fault.permanent:
                raise
            yield reference, fault


def replayable(context: Context, since: int, until: int, partner: str = "") -> list[int]:
    """The letters that ``replay_range`` takes, oldest first."""
    m = tables.message
    wanted = select(m.c.id).where(
        m.c.direction == "in",
        m.c.kind.in_(["", "letter"]),
        m.c.state.in_([MessageState.PROCESSED, MessageState.QUARANTINED]),
        m.c.at >= since,
        m.c.at < until,
    )
    if partner:
        wanted = wanted.where(m.c.partner == partner)
    with context.ledger.reading() as connection:
        return list(connection.execute(wanted.order_by(m.c.id)).scalars())


def _message_of(connection: Connection, named: Reference) -> int:
    if named.message is not None:
        return named.message
    x = tables.exchange
    found = connection.execute(select(x.c.message).where(x.c.id == named.exchange, x.c.direction == "in")).scalar()
    if found is None:
        raise NotFound(what="received exchange", key=named.exchange)
    return int(found)


def _last_exchange(recorder: Recorder, message: int) -> int:
    x = tables.exchange
    return recorder.connection.execute(select(func.max(x.c.id)).where(x.c.message == message)).scalar() or 0


def _became(recorder: Recorder, message: int, last: int) -> list[Became]:
    x = tables.exchange
    rows = recorder.connection.execute(
        select(x.c.id, x.c.state, x.c.sha256, x.c.duplicate_of)
        .where(x.c.message == message, x.c.direction == "in", x.c.id > last)
        .order_by(x.c.id)
    )
    return [Became(*row) for row in rows]


def _replace_quarantined(recorder: Recorder, message: int, last: int, became: list[Became]) -> None:
    """What waited in quarantine is replaced by what the same bytes became now."""
    x = tables.exchange
    by = {each.sha256: each.exchange for each in became}
    waiting = select(x.c.id, x.c.sha256).where(
        x.c.message == message, x.c.id <= last, x.c.state == ExchangeState.QUARANTINED
    )
    for row in recorder.connection.execute(waiting).all():
        if row.sha256 in by:
            recorder.change(x, row.id, state=ExchangeState.DISCARDED, updated_at=recorder.now)
            recorder.event("replaced", exchange=row.id, message=message, by=by[row.sha256])
