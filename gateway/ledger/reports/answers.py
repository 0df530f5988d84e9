"""Acknowledgments in time: how long partners take to acknowledge what we sent, and we to acknowledge what came.

A percentile is by nearest rank: the shortest time within which that share of all was acknowledged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Subquery,
    and_,
    case,
    exists,
    func,
    or_,
    select,
)

from gateway.errors import QueryInvalid
from gateway.ledger.daily import clipped_column
from gateway.ledger.literals import whole
from gateway.ledger.reports.rows import has_type, which, within_window
from gateway.ledger.reports.scope import Scope
from gateway.ledger.states import ExchangeState
from gateway.ledger.tables import exchange, expectation
from gateway.values import asdict

BY = ("partner", "direction", "type")
PERCENTILES = (50, 90, 95, 100)

_UNANSWERED = [each.value for each in (ExchangeState.DUPLICATE, ExchangeState.QUARANTINED, ExchangeState.DISCARDED)]

_ALL = 2**62  # a limit that is none

_answer = exchange.alias("answer")


class Answers(Struct, frozen=True):
    """One line; what was not asked for by is None. Times are in ms, None where nothing was acknowledged.

    Direction ``out``: documents of ours that were handed over, and the partner's acknowledgment of all of each. On
    time, late, overdue and never are measured against what was agreed: ``overdue`` are awaited still, of ``never``
    nothing is awaited any more. ``waiting`` have time left; of ``untold`` nothing was agreed: answered or not, they are
    in no share.

    Direction ``in``: documents that came, and the hand-over of our acknowledgment to the SMTP host. ``waiting`` have
    one that is not handed over, ``untold`` have none. Nothing was agreed, so that nothing is late. Duplicates (they
    get the acknowledgment of the first again) and what is held are not in it.
    """

    exchanges: int
    answered: int
    on_time: int
    late: int
    overdue: int
    never: int
    waiting: int
    untold: int
    p50: int | None = None
    p90: int | None = None
    p95: int | None = None
    longest: int | None = None
    partner: str | None = None
    direction: str | None = None
    type: str | None = None

    @property
    def on_time_share(self) -> float | None:
        """The share of those whose time is over that were acknowledged in it; None where there are none."""
        over = self.on_time + self.late + self.overdue + self.never
        return self.on_time / over if over else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times in ms."""
        told = asdict(self)
        share = self.on_time_share
        dimensions = {name: value for name in BY if (value := told.pop(name)) is not None}
        return dimensions | told | {"on_time_share": None if share is None else round(share, 4)}


def answers(
    connection: Connection, scope: Scope, now: int, by: Sequence[str] = ("partner", "direction", "type")
) -> tuple[Answers, ...]:
    """Times to acknowledgment of the documents of a scope, by some of ``BY``; directions are never mixed.

    Args:
        connection: within a transaction.
        scope: window and criteria.
        now: the moment (ms) that overdue is measured against.
        by: how the lines are made; without ``direction``, each line is still of one.

    Raises:
        QueryInvalid: ``by`` names what there is not.
    """
    for name in by:
        if name not in BY or by.count(name) > 1:
            raise QueryInvalid(where=f"by {name}", reason=f"some of {', '.join(BY)} are possible, each once")
    found = []
    received = _received_one_by_one if connection.dialect.name == "sqlite" else _received
    for direction, lives in (("in", received(scope)), ("out", _sent(scope, now))):
        if scope.direction in {None, direction}:
            found += _lines(connection, lives, direction, [name for name in by if name != "direction"])
    return tuple(sorted(found, key=lambda each: tuple(getattr(each, name) for name in by)))


def _lines(connection: Connection, lives: Subquery, direction: str, by: Sequence[str]) -> list[Answers]:
    outcomes = ("on_time", "late", "overdue", "never", "waiting", "untold")
    dimensions = [lives.c[name] for name in by]
    columns = [
        func.count().label("exchanges"),
        _how_many(lives.c.took.is_not(None)).label("answered"),
        *(_how_many(lives.c.outcome == each).label(each) for each in outcomes),
    ]
    times = _percentiles(connection, lives, by)
    found = []
    for row in connection.execute(select(*dimensions, *columns).group_by(*dimensions)).mappings():
        told: dict[str, Any] = dict(row)
        if told["exchanges"]:
            told |= times[tuple(told[name] for name in by)]
            found.append(Answers(direction=direction, **told))
    return found


def _how_many(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)).cast(BigInteger), whole(0))


def _percentiles(
    connection: Connection, lives: Subquery, by: Sequence[str]
) -> dict[tuple[Any, ...], dict[str, int | None]]:
    """The ranks are found by the database, which sorts without holding it all in memory."""
    dimensions = [lives.c[name] for name in by]
    place = func.row_number().over(partition_by=dimensions or None, order_by=lives.c.took).label("place")
    count = func.count().over(partition_by=dimensions or None).label("count")
    ranked = select(*dimensions, lives.c.took, place, count).where(lives.c.took.is_not(None)).subquery()
    count_of = ranked.c["count"]
    rank = {each: (count_of * each + 99) // whole(100) for each in PERCENTILES}
    wanted = select(*(ranked.c[name] for name in by), ranked.c.took, ranked.c.place, count_of)
    found: dict[tuple[Any, ...], dict[str, int | None]] = defaultdict(dict)
    names = dict(zip(PERCENTILES, ("p50", "p90", "p95", "longest"), strict=True))
    for row in connection.execute(wanted.where(or_(*(ranked.c.place == each for each in rank.values())))):
        took, place_of, total = row[-3:]
        for percent, name in names.items():
            if place_of == (total * percent + 99) // 100:
                found[tuple(row[: len(by)])][name] = took
    return found


def _sent(scope: Scope, now: int) -> Subquery:
    """What became of each document of ours that was handed over."""
    x, e = exchange.c, expectation.c
    awaited = exists().where(e.exchange == x.id, e.kind != "receipt")
    outcome = case(
        (x.due_at.is_(None), "untold"),
        (x.acknowledged_at <= x.due_at, "on_time"),
        (x.acknowledged_at > x.due_at, "late"),
        (and_(awaited, x.due_at >= now), "waiting"),
        (awaited, "overdue"),
        else_="never",
    )
    took = case((x.acknowledged_at < x.handed_over_at, 0), else_=x.acknowledged_at - x.handed_over_at)
    gone = or_(x.handed_over_at.is_not(None), x.acknowledged_at.is_not(None))
    return _lives([*_within(scope, "out"), gone], took, outcome, exchange)


def _received(scope: Scope) -> Subquery:
    """When each document that came was answered."""
    x, a = exchange.c, _answer.c
    within = [*_within(scope, "in"), x.state.not_in(_UNANSWERED)]
    mine = (a.direction == "out", a.kind == "acknowledgment")
    asked = select(a.answers, func.min(a.handed_over_at).label("first")).join_from(exchange, _answer, a.answers == x.id)
    answer = asked.where(*within, *mine).group_by(a.answers).subquery("answered")
    first = answer.c.first
    took = case((first < x.at, 0), else_=first - x.at)
    outcome = case((first.is_not(None), "answered"), (answer.c.answers.is_not(None), "waiting"), else_="untold")
    return _lives(within, took, outcome, exchange.outerjoin(answer, answer.c.answers == x.id))


def _received_one_by_one(scope: Scope) -> Subquery:
    """The same for SQLite, which would join by walking through all acknowledgments that there ever were."""
    x, a = exchange.c, _answer.c
    within = [*_within(scope, "in"), x.state.not_in(_UNANSWERED)]
    mine = (a.answers == x.id, a.direction == "out", a.kind == "acknowledgment")
    first = select(func.min(a.handed_over_at)).where(*mine).correlate(exchange).scalar_subquery()
    there = exists().where(*mine).correlate(exchange)
    # The limit keeps SQLite from asking anew wherever the answer is named.
    columns = (x.partner, x.types, x.at, first.label("first"), there.label("there"))
    asked = select(*columns).where(*within).limit(_ALL).subquery("asked")
    answered = asked.c.first
    took = case((answered < asked.c.at, 0), else_=answered - asked.c.at)
    outcome = case((answered.is_not(None), "answered"), (asked.c.there, "waiting"), else_="untold")
    told = (asked.c.partner, clipped_column(asked.c.types).label("type"), took.label("took"), outcome.label("outcome"))
    return select(*told).subquery()


def _within(scope: Scope, direction: str) -> list[ColumnElement[bool]]:
    x = exchange.c
    within = [*within_window(scope), *which(scope, x), x.direction == direction, x.kind == "document"]
    return [*within, has_type(x.types, scope.type)] if scope.type is not None else within


def _lives(
    within: Sequence[ColumnElement[bool]], took: ColumnElement[int], outcome: ColumnElement[str], source: FromClause
) -> Subquery:
    x = exchange.c
    columns = (x.partner, clipped_column(x.types).label("type"), took.label("took"), outcome.label("outcome"))
    return select(*columns).select_from(source).where(*within).subquery()
