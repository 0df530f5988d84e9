"""Quality: what share was accepted and rejected, of interchanges and of transaction sets, by us and by partners.

Of what came in, the verdict is ours; of what we sent, it is the partner's. Acknowledgments are no documents and are
not in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, case, func, select

from gateway.errors import QueryInvalid
from gateway.ledger.daily import clipped_column
from gateway.ledger.literals import word
from gateway.ledger.reports.rows import has_type, which, within_window
from gateway.ledger.reports.scope import Scope
from gateway.ledger.states import ExchangeState
from gateway.ledger.tables import exchange, transaction_set

BY = ("partner", "direction", "type")
VERDICTS = ("accepted", "accepted_with_errors", "partially_accepted", "rejected")


class Verdicts(Struct, frozen=True):
    """How many of each verdict. ``held``: quarantined or discarded; ``open``: nobody has spoken on it yet.

    An interchange is rejected too when its number was used before for other content.
    """

    accepted: int = 0
    accepted_with_errors: int = 0
    partially_accepted: int = 0
    rejected: int = 0
    duplicate: int = 0
    held: int = 0
    open: int = 0

    @property
    def judged(self) -> int:
        """Those that have a verdict: what rates are of."""
        return self.accepted + self.accepted_with_errors + self.partially_accepted + self.rejected

    @property
    def acceptance(self) -> float | None:
        """The share that was accepted, with or without errors; None where nothing was judged."""
        return (self.accepted + self.accepted_with_errors) / self.judged if self.judged else None

    @property
    def rejection(self) -> float | None:
        """The share that was rejected as a whole; None where nothing was judged."""
        return self.rejected / self.judged if self.judged else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the counts and both rates."""
        told: dict[str, Any] = {name: getattr(self, name) for name in self.__struct_fields__}
        return told | {"acceptance": _rounded(self.acceptance), "rejection": _rounded(self.rejection)}


class Quality(Struct, frozen=True):
    """One line; what was not asked for by is None. Types are as in ``volumes``."""

    interchanges: Verdicts
    sets: Verdicts
    partner: str | None = None
    direction: str | None = None
    type: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        told: dict[str, Any] = {name: value for name in BY if (value := getattr(self, name)) is not None}
        return told | {"interchanges": self.interchanges.as_dict(), "sets": self.sets.as_dict()}


def quality(connection: Connection, scope: Scope, by: Sequence[str] = ("partner", "direction")) -> tuple[Quality, ...]:
    """The verdicts on the documents of a scope, by some of ``BY``.

    Raises:
        QueryInvalid: ``by`` names what there is not.
    """
    for name in by:
        if name not in BY or by.count(name) > 1:
            raise QueryInvalid(where=f"by {name}", reason=f"some of {', '.join(BY)} are possible, each once")
    interchanges: dict[tuple[Any, ...], dict[str, int]] = defaultdict(dict)
    sets: dict[tuple[Any, ...], dict[str, int]] = defaultdict(dict)
    for found, statement in ((interchanges, _interchanges(scope, by)), (sets, _sets(scope, by))):
        for row in connection.execute(statement):
            found[tuple(row[:-2])][row[-2]] = row[-1]
    return tuple(
        Quality(Verdicts(**interchanges[key]), Verdicts(**sets[key]), **dict(zip(by, key, strict=True)))
        for key in sorted(interchanges.keys() | sets.keys())
    )


def _interchanges(scope: Scope, by: Sequence[str]) -> Any:
    dimensions = [*_dimensions(by, exchange.c.types), _verdict().label("verdict")]
    within = _within(scope, exchange.c.types)
    return select(*dimensions, func.count()).where(*within).group_by(*dimensions)


def _sets(scope: Scope, by: Sequence[str]) -> Any:
    """Sets of interchanges that were judged at all."""
    s, x = transaction_set.c, exchange.c
    said = case((x.direction == word("in"), s.status), else_=s.acknowledged)
    verdict = case((said.in_([word(each) for each in VERDICTS]), said), else_=word("open")).label("verdict")
    dimensions = [*_dimensions(by, s.set_id), verdict]
    unjudged = [ExchangeState.DUPLICATE, ExchangeState.QUARANTINED, ExchangeState.DISCARDED, ExchangeState.CONFLICT]
    within = [*_within(scope, s.set_id), x.state.not_in([each.value for each in unjudged])]
    return select(*dimensions, func.count()).join_from(transaction_set, exchange).where(*within).group_by(*dimensions)


def _within(scope: Scope, types: ColumnElement[str]) -> list[ColumnElement[bool]]:
    found = [*within_window(scope), *which(scope, exchange.c), exchange.c.kind == "document"]
    return [*found, has_type(types, scope.type)] if scope.type is not None else found


def _dimensions(by: Sequence[str], types: ColumnElement[str]) -> list[ColumnElement[Any]]:
    columns = {"partner": exchange.c.partner, "direction": exchange.c.direction, "type": clipped_column(types)}
    return [columns[name] for name in by]


def _verdict() -> ColumnElement[str]:
    """What became of an interchange, as a field of ``Verdicts``."""
    x = exchange.c
    held = (ExchangeState.QUARANTINED, ExchangeState.DISCARDED)
    refused = (ExchangeState.CONFLICT, ExchangeState.REFUSED)
    return case(
        (x.state == word(ExchangeState.DUPLICATE), word("duplicate")),
        (x.state.in_([word(each) for each in held]), word("held")),
        (x.verdict.in_([word(each) for each in VERDICTS[:3]]) & (x.state != word(ExchangeState.CONFLICT)), x.verdict),
        (x.state.in_([word(each) for each in refused]) | (x.verdict == word("rejected")), word("rejected")),
        else_=word("open"),
    )


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
