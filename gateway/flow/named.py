"""Which of our interchanges and groups an acknowledgment names: only what went, or may have gone, can be answered.

A number may be there twice: a person put a count back, or a partner's rules let it come again. What still waits for its
first sending is then not what the partner speaks of, and taking it for that would take it off the wire unsent.

What comes in a test (ISA15 T) answers only what went as one: nobody's test system speaks for documents in earnest. In
earnest (P) both can be answered, for many translators write P into every acknowledgment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Row, and_, not_, or_, select

from gateway.flow.anew import AWAITED_ANEW
from gateway.flow.identify import identity
from gateway.ledger import tables
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState
from gateway.x12.model import PRODUCTION, TEST, GroupAck, Header, InterchangeAck, SetAck

_WENT = ("sent", "in-doubt")  # events after which the partner may have it


def interchange(recorder: Recorder, header: Header, ta1: InterchangeAck) -> Row[*tuple[Any, ...]] | None:
    """The exchange of ours to that identity that a TA1 names (TA101); of several, that of TA102 and TA103.

    Args:
        recorder: the transaction, flushed.
        header: of the interchange that carries the TA1.
        ta1: what it says.
    """
    x = tables.exchange
    # The date and time are copied by the partner, who may copy them wrongly: they choose, and refuse nothing.
    same_moment = (x.c.interchange_date == ta1.date) & (x.c.interchange_time == ta1.time)
    return recorder.connection.execute(
        select(x)
        .where(x.c.control_number == _nine(ta1), *_ours(header), _went())
        .order_by(same_moment.desc(), x.c.id.desc())
        .limit(1)
    ).one_or_none()


def group(recorder: Recorder, header: Header, ack: GroupAck) -> Row[*tuple[Any, ...]] | None:
    """The newest group of ours that AK101 and AK102 name, sent to whoever now acknowledges it."""
    x, g = tables.exchange, tables.functional_group
    return recorder.connection.execute(
        select(g.c.id.label("group_id"), g.c.exchange, g.c.sets, x.c.partner)
        .join(x, x.c.id == g.c.exchange)
        .where(g.c.functional_id == ack.functional_id, _has(ack), *_ours(header), _went())
        .order_by(g.c.id.desc())
        .limit(1)
    ).one_or_none()


def sets(ours: Sequence[Any], spoken: Sequence[SetAck]) -> list[int | None]:
    """Which row of ours each set means that an acknowledgment names (AK201, AK202); None for one that is not ours.

    Translators that keep ST02 as a number write it back with other zeros before it.
    """
    exact = {(row.set_id, row.control_number): row.id for row in ours}
    bare = {(row.set_id, _bare(row.control_number)): row.id for row in ours}
    return [
        exact.get((each.set_id, each.control_number), bare.get((each.set_id, _bare(each.control_number))))
        for each in spoken
    ]


def _bare(number: str) -> str:
    return number.strip().lstrip("0")


def in_earnest(header: Header) -> Header | None:
    """For what named nothing because it came in a test: as if it had come in earnest; None where it did."""
    return replace(header, usage=PRODUCTION) if header.usage == TEST else None


def of_another(recorder: Recorder, header: Header, ack: InterchangeAck | GroupAck) -> str:
    """To whom else the number went that an acknowledgment names, and that never went to its sender; "" for nobody."""
    x, g = tables.exchange, tables.functional_group
    wanted = select(x.c.partner).where(not_(_to(header)), x.c.direction == "out", _went())
    if isinstance(ack, InterchangeAck):
        wanted = wanted.where(x.c.control_number == _nine(ack))
    else:
        wanted = wanted.join(g, g.c.exchange == x.c.id).where(g.c.functional_id == ack.functional_id, _has(ack))
    return str(recorder.connection.execute(wanted.order_by(x.c.id.desc()).limit(1)).scalar() or "")


def went_again(recorder: Recorder, exchange: int) -> bool:
    """Whether the partner may have an exchange more than once: a person sent it again, or a doubt did.

    What it refused it does not have; only what went since counts.
    """
    e = tables.event.c
    told = select(e.kind).where(e.exchange == exchange, e.kind.in_(("resent", "in-doubt", AWAITED_ANEW)))
    last = recorder.connection.execute(told.order_by(e.seq.desc()).limit(1)).scalar()
    return last is not None and last != AWAITED_ANEW


def _ours(header: Header) -> Sequence[ColumnElement[bool]]:
    """Sent by whom the answer goes to, to whom it comes from; for a test, as a test."""
    x, receiver = tables.exchange, identity(header.receiver)
    return (
        x.c.direction == "out",
        _to(header),
        x.c.sender_qualifier == receiver.qualifier,
        x.c.sender_id == receiver.id,
        *((x.c.usage == TEST,) if header.usage == TEST else ()),
    )


def _to(header: Header) -> ColumnElement[bool]:
    """Sent to whom it comes from."""
    x, sender = tables.exchange, identity(header.sender)
    return and_(x.c.receiver_qualifier == sender.qualifier, x.c.receiver_id == sender.id)


def _nine(ta1: InterchangeAck) -> str:
    """TA101 as ISA13 has it, also where a translator left out its zeros."""
    return ta1.control_number.strip().zfill(9)


def _has(ack: GroupAck) -> ColumnElement[bool]:
    """The number of the group (GS06), however many zeros stand before it."""
    return tables.functional_group.c.control_number.in_({ack.control_number, ack.control_number.lstrip("0") or "0"})


def _went() -> ColumnElement[bool]:
    """Not one that waits for its first sending. What a host refused for a time did not go either."""
    x, e = tables.exchange, tables.event
    before = select(e.c.seq).where(e.c.exchange == x.c.id, e.c.kind.in_(_WENT)).exists()
    return or_(x.c.state != ExchangeState.READY, before)
