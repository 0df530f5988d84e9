"""Duplicates: has this interchange, or its number, been here before?

An interchange is known by its identity pair, ISA13 and ISA09 (its key). Within the duplicate window a
number is known whatever its date says.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import and_, or_, select

from gateway.ledger import tables
from gateway.ledger.recording import Recorder
from gateway.x12.model import Header


@dataclass(frozen=True, slots=True)
class Earlier:
    """An exchange that used the same identity pair and control number before."""

    id: int
    sha256: str
    message: int | None
    at: int


def interchange_key(header: Header) -> str:
    """The name of one interchange: identity pair, ISA13 and ISA09, hashed to one width."""
    text = "|".join((str(header.sender), str(header.receiver), header.control_number, header.date))
    return hashlib.sha256(text.encode("latin-1", "replace")).hexdigest()


def earlier(recorder: Recorder, header: Header, sha256: str, window: int) -> Earlier | None:
    """The earlier exchange with the same number and pair; one with the same bytes before any other.

    A number whose interchange was refused by TA1 was never used: a corrected one may carry it again.

    Args:
        recorder: the transaction in which the answer must hold.
        header: of the interchange in question.
        sha256: of its bytes.
        window: milliseconds back from now in which a number is known whatever its date.
    """
    x, k = tables.exchange, tables.interchange_key
    recorder.flush()  # it may stand in the same batch
    rows = recorder.connection.execute(
        select(x.c.id, x.c.sha256, x.c.message, x.c.at, x.c.ta1)
        .join(k, k.c.exchange == x.c.id)
        .where(
            or_(
                k.c.key == interchange_key(header),
                and_(
                    x.c.control_number == header.control_number,
                    x.c.at >= recorder.now - window,
                    x.c.sender_qualifier == header.sender.qualifier,
                    x.c.sender_id == header.sender.id,
                    x.c.receiver_qualifier == header.receiver.qualifier,
                    x.c.receiver_id == header.receiver.id,
                ),
            ),
            x.c.direction == "in",
        )
        .order_by(x.c.id)
    ).all()
    same = [row for row in rows if row.sha256 == sha256]
    other = [row for row in rows if not row.ta1.startswith("R")]
    for row in same + other:
        return Earlier(row.id, row.sha256, row.message, row.at)
    return None


def take_key(recorder: Recorder, header: Header, exchange: int) -> None:
    """The interchange is this exchange from now on; the key is unique, whoever else is at work."""
    key = interchange_key(header)
    table = tables.interchange_key
    taken = recorder.connection.execute(select(table.c.exchange).where(table.c.key == key)).scalar_one_or_none()
    if taken is None:
        recorder.put(table, key=key, exchange=exchange)
        return
    # The earlier one was refused by TA1 (see ``earlier``): its number goes to this one.
    recorder.flush()
    recorder.connection.execute(table.update().where(table.c.key == key).values(exchange=exchange))
