"""What a chain of documents should have led to by now, and has not: told only of what the partner's agreements know."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal

from msgspec import Struct

from gateway.ledger.chain_values import Chain, Document
from gateway.ledger.states import ExchangeState

Agreed = Collection[tuple[str, str]]  # direction (in, out) and transaction set

# What follows what, and whether from the other side. "Shipped, not invoiced" is 856 → 810 from the same side.
_FOLLOWS: dict[str, tuple[tuple[str, Literal["same", "other"], str], ...]] = {
    "850": (
        ("855", "other", "confirmed"),
        ("856", "other", "shipped"),
        ("810", "other", "invoiced"),
    ),
    "860": (("865", "other", "answered"),),
    "840": (("843", "other", "quoted"),),
    "830": (("856", "other", "shipped"),),
    "862": (("856", "other", "shipped"),),
    "856": (("810", "same", "invoiced"), ("861", "other", "confirmed as received")),
    "810": (("820", "other", "paid"),),
    "204": (("990", "other", "answered"), ("214", "other", "reported on"), ("210", "other", "invoiced")),
    "210": (("820", "other", "paid"),),
    "940": (("945", "other", "shipped"),),
    "943": (("944", "other", "confirmed as received"),),
    "837": (("277", "other", "taken into processing"), ("835", "other", "paid")),
    "270": (("271", "other", "answered"),),
    "276": (("277", "other", "answered"),),
    "278": (("278", "other", "decided"),),
}
_NAMES = {
    "850": "order", "860": "change of the order", "840": "request for quotation", "830": "forecast",
    "862": "shipping schedule", "856": "shipment", "810": "invoice", "204": "load tender", "210": "freight invoice",
    "940": "shipping order", "943": "stock transfer", "837": "claim", "270": "eligibility inquiry",
    "276": "claim status request", "278": "request for review",
}  # fmt: skip
_NEVER_WENT = {ExchangeState.CANCELLED, ExchangeState.SUPERSEDED, ExchangeState.FAILED, ExchangeState.DISCARDED}
_REFUSED = {ExchangeState.REJECTED, ExchangeState.QUARANTINED, ExchangeState.CONFLICT, *_NEVER_WENT}


class Missing(Struct, frozen=True):
    """One thing that has not come, in a sentence; ``exchange`` is the one that it should follow.

    ``urgent``: it is overdue, and not only to come.
    """

    sentence: str
    exchange: int
    urgent: bool = False


def missing(chain: Chain, agreed: Agreed) -> tuple[Missing, ...]:
    """What has not come.

    Args:
        chain: the documents.
        agreed: which sets the partner's agreements know, by direction; of others nothing is expected.
    """
    return (*_unacknowledged(chain), *_not_followed(chain, agreed))


def _unacknowledged(chain: Chain) -> Iterator[Missing]:
    for each in chain.documents:
        if each.direction == "out" and each.state == ExchangeState.OVERDUE:
            said = f"{_name(each)} is not acknowledged, and that is overdue."
            yield Missing(said, each.exchange, urgent=True)
        elif each.direction == "out" and each.state == ExchangeState.SENT and not each.acknowledged:
            yield Missing(f"{_name(each)} is not acknowledged yet.", each.exchange)


def _not_followed(chain: Chain, agreed: Agreed) -> Iterator[Missing]:
    """Of the last good document of each kind, what should follow it and does not; tests follow tests alone."""
    documents = [each for each in chain.documents if not each.test] or chain.documents
    there = {(each.direction, each.set_id) for each in documents if each.state not in _REFUSED}
    last = {(each.direction, each.set_id): each for each in documents if _is_good(each)}
    told: set[tuple[str, str]] = set()
    for (direction, set_id), each in last.items():
        for successor, side, participle in _FOLLOWS.get(set_id, ()):
            way = direction if side == "same" else {"in": "out", "out": "in"}[direction]
            if (way, successor) in agreed and (way, successor) not in there | told:
                told.add((way, successor))
                yield Missing(f"{_name(each)} is not {participle} yet: there is no {successor}.", each.exchange)


def _is_good(each: Document) -> bool:
    """Whether something is to follow it."""
    refused = "rejected" in {each.status, each.acknowledged}
    return each.state not in _REFUSED and each.duplicate_of is None and not refused


def _name(each: Document) -> str:
    whose = "Our" if each.direction == "out" else "The partner's"
    number = f" {each.keys[0][1]}" if each.keys else ""
    name = _NAMES.get(each.set_id, "document")
    return f"{whose} {name} ({each.set_id}{number})"
