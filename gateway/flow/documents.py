"""Documents: the sets of an interchange that came, one by one, as the business was handed them or may fetch them."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, Select, func, select

from gateway.errors import NotAllowedNow, NotFound
from gateway.flow.deliver import deliverable
from gateway.flow.handover import Deliverable
from gateway.ledger import archive
from gateway.ledger.moments import iso
from gateway.ledger.recording import Ledger
from gateway.ledger.tables import event, exchange, functional_group, transaction_set
from gateway.ledger.work import TAKEN_AS_TEST, DueExchange, due_set

_WHAT = "document"
_TAKEN = ("due", "delivered")


class Document(Struct, frozen=True):
    """One transaction set. ``number`` names it in the ledger; ``delivery`` is due, delivered, withheld or empty."""

    number: int
    set_id: str
    control_number: str
    group_control_number: str
    agreement: str
    status: str
    delivery: str
    delivered_at: int | None
    delivered_to: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "number": self.number,
            "set": self.set_id,
            "control_number": self.control_number,
            "group_control_number": self.group_control_number,
            "agreement": self.agreement,
            "status": self.status,
            "delivery": self.delivery,
            "delivered_at": iso(self.delivered_at),
            "delivered_to": self.delivered_to,
        }


def documents(connection: Connection, number: int, limit: int, after: int = 0) -> list[Document]:
    """The documents of an exchange that came, in their order.

    Args:
        connection: of the ledger.
        number: the exchange's.
        limit: at most so many.
        after: only those after this one (its ``number``), for the next page.

    Raises:
        NotFound: there is no such exchange, or it did not come from a partner.
    """
    found = connection.execute(select(exchange.c.direction).where(exchange.c.id == number)).scalar()
    if found != "in":
        raise NotFound(what="received exchange", key=number)
    wanted = _sets().where(transaction_set.c.exchange == number, transaction_set.c.id > after)
    rows = connection.execute(wanted.order_by(transaction_set.c.id).limit(limit))
    return [
        Document(
            row.id,
            row.set_id,
            row.control_number,
            row.group_number,
            row.agreement,
            row.status,
            row.delivery,
            row.delivered_at,
            row.delivered_to,
        )
        for row in rows
    ]


def document(ledger: Ledger, number: int, which: int) -> Deliverable:
    """One document in its own envelope, under the name and key of its delivery.

    Args:
        ledger: where it is.
        number: the exchange's.
        which: the document's ``number``.

    Raises:
        NotFound: the exchange has no such document.
        NotAllowedNow: it was not accepted, so that the business gets it in no way.
        ContentPutAway, ContentErased, PayloadKeyUnreadable: its bytes cannot be had any more, or not here.
    """
    with ledger.reading() as connection:
        wanted = transaction_set.c.exchange == number, transaction_set.c.id == which
        row = connection.execute(_sets().where(*wanted)).one_or_none()
        if row is None:
            raise NotFound(what=_WHAT, key=which)
        if row.delivery not in _TAKEN:
            reason = "only what was accepted from a partner is given to the business"
            raise NotAllowedNow(what=_WHAT, key=which, state=row.delivery or row.status or "one of ours", reason=reason)
        whole = connection.execute(select(exchange).where(exchange.c.id == number)).one()
        archive.refuse_gone(connection, whole.sha256)
        test = whole.usage == "T" or _is_test(connection, number)
    return deliverable(_exchange(whole, row, test=test), (due_set(row),), ledger.content(whole.sha256))


def _sets() -> Select[Any]:
    return select(
        transaction_set,
        functional_group.c.control_number.label("group_number"),
        functional_group.c.start.label("group_start"),
        functional_group.c.version.label("group_version"),
    ).join(functional_group, functional_group.c.id == transaction_set.c.functional_group)


def _is_test(connection: Connection, number: int) -> bool:
    asked = select(func.count()).where(event.c.exchange == number, event.c.kind == TAKEN_AS_TEST)
    return bool(connection.execute(asked).scalar())


def _exchange(whole: Row[Any], row: Row[Any], *, test: bool) -> DueExchange:
    return DueExchange(
        whole.id,
        whole.partner,
        whole.sha256,
        whole.size,
        f"{whole.sender_qualifier}:{whole.sender_id}",
        f"{whole.receiver_qualifier}:{whole.receiver_id}",
        whole.control_number,
        whole.message_id,
        whole.file_name,
        (due_set(row),),
        whole.usage,
        test,
    )
