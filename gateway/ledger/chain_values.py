"""A business document across types, as frozen values: what ``chain.follow`` gives."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gateway.ledger.moments import iso
from gateway.values import asdict

_MOMENTS = ("at", "delivered_at", "handed_over_at")


class Answer(Struct, frozen=True):
    """What was answered to a document: by us, or by the partner.

    ``at`` is when it came, or when we made it; ``kind`` is TA1, 997 or 999; ``status`` the verdict on the document.
    ``carrier`` is the exchange that it went or came in, None where that is not known; ``state`` says of one of ours
    whether it is on its way.
    """

    at: int
    kind: str
    direction: str  # in: from the partner, out: from us
    status: str
    carrier: int | None
    state: str = ""
    relation: str = "matched"
    errors: tuple[str, ...] = ()


class Document(Struct, frozen=True):
    """One transaction set of the chain. ``via`` is the key by which it was found, as (name, value)."""

    at: int  # when it was received, or numbered by us
    direction: str
    set_id: str
    control_number: str  # ST02
    partner: str
    exchange: int
    transaction_set: int
    interchange: str  # ISA13
    state: str  # of the exchange
    status: str  # our verdict on one that came
    acknowledged: str  # the partner's on one that went
    delivered_at: int | None
    handed_over_at: int | None
    duplicate_of: int | None
    keys: tuple[tuple[str, str], ...]
    via: tuple[str, str]
    depth: int  # 0: it carries what was asked for; 1: it was found by a key of such a document, and so on
    answers: tuple[Answer, ...] = ()
    test: bool = False  # it was sent, or taken, as a test

    @property
    def title(self) -> str:
        """Its set, and whether it was a test: nobody should take one for a document in earnest."""
        return f"{self.set_id} (test)" if self.test else self.set_id

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times in ISO 8601."""
        values: dict[str, Any] = {}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            values[name] = iso(value) if name in _MOMENTS else value
        values["answers"] = [asdict(each) | {"at": iso(each.at)} for each in self.answers]
        return values


class Passed(Struct, frozen=True):
    """A key that was not followed, and why: it stands in too many documents, or means nothing by itself."""

    name: str
    value: str
    reason: str


class Chain(Struct, frozen=True):
    """A business document across types, in time order.

    ``asked`` is what was asked for; ``partner`` whose documents these are, "" for everybody's. ``followed`` are the
    keys by which they were found, ``passed`` those that were not followed. ``others`` are partners that have the asked
    number too. ``cut`` tells that there are more documents than were read.
    """

    asked: str
    partner: str
    documents: tuple[Document, ...]
    followed: tuple[tuple[str, str], ...] = ()
    passed: tuple[Passed, ...] = ()
    others: tuple[str, ...] = ()
    cut: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For JSON: one document, times in ISO 8601."""
        return {
            "asked": self.asked,
            "partner": self.partner,
            "documents": [each.as_dict() for each in self.documents],
            "followed": [list(each) for each in self.followed],
            "passed": [asdict(each) for each in self.passed],
            "others": list(self.others),
            "cut": self.cut,
        }
