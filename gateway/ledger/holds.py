"""Legal holds: what meets one is kept, whatever its age, and also when it comes later than the hold.

A hold is a query, numbers of exchanges and mails, or both. It is asked anew whenever something is about to be put
away, in the very transaction that would do it, so that nothing can slip past a hold that was just made.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, select

from gateway.errors import NotFound, QueryInvalid
from gateway.ledger.conditions import Conditions
from gateway.ledger.hold_checks import refuse_what_differs
from gateway.ledger.leases import take_turns_over
from gateway.ledger.query import CRITERIA, FLAGS, Criterion, Query
from gateway.ledger.recording import Recorder
from gateway.ledger.tables import exchange, hold, message
from gateway.values import asdict

# What changes by itself, and would end a hold unseen.
_PASSING = frozenset({*FLAGS, "state", "fault"})
_PAGING = ("limit", "before", "sort")
_CHUNK = 500
_TURN = "legal holds"


class Hold(Struct, frozen=True):
    """A legal hold. Times are ms since 1970 UTC; ``released_at`` is None while it holds."""

    id: int
    at: int
    actor: str
    reason: str
    words: tuple[str, ...]
    exchanges: tuple[int, ...]
    messages: tuple[int, ...]
    released_at: int | None
    released_by: str
    release_reason: str
    query: Query | None

    @property
    def subject(self) -> str:
        """What it holds, as it was written."""
        return _subject(self.words, self.exchanges, self.messages)


class Held(Struct, frozen=True):
    """Exchanges and mails that are held, each with the number of a hold."""

    exchanges: Mapping[int, int]
    messages: Mapping[int, int]


def _subject(words: Sequence[str], exchanges: Collection[int], messages: Collection[int]) -> str:
    """What a hold holds, as it is written."""
    return " ".join([*words, *map(str, sorted(exchanges)), *(f"m{each}" for each in sorted(messages))])


def add(
    recorder: Recorder,
    words: Sequence[str],
    query: Query | None,
    *,
    exchanges: Collection[int] = (),
    messages: Collection[int] = (),
    reason: str,
) -> int:
    """Makes a hold and returns its number.

    Args:
        recorder: the transaction; its actor holds.
        words: the query as it was written.
        query: what they say; None where only numbers are held.
        exchanges: held by their numbers.
        messages: held by their numbers.
        reason: why.

    Raises:
        QueryInvalid: nothing is named, or something that changes by itself.
        NotFound: an exchange or mail that is named is not there.
    """
    criteria = _criteria(query)
    if not criteria and not exchanges and not messages:
        raise QueryInvalid(where="hold", reason="name what is to be held: a query, or numbers")
    _alone(recorder.connection)
    _refuse_absent(recorder.connection, exchanges, messages)
    number = recorder.add(
        hold,
        at=recorder.now,
        actor=recorder.actor,
        reason=reason,
        words=json.dumps(list(words), ensure_ascii=False),
        query=json.dumps(criteria, ensure_ascii=False, sort_keys=True),
        exchanges=json.dumps(sorted(set(exchanges))),
        messages=json.dumps(sorted(set(messages))),
    )
    recorder.event("held", hold=number, words=_subject(words, exchanges, messages), reason=reason)
    return number


def same(
    recorder: Recorder,
    words: Sequence[str],
    query: Query | None,
    *,
    exchanges: Collection[int] = (),
    messages: Collection[int] = (),
    reason: str,
) -> tuple[int, str] | None:
    """Number and maker of the oldest open hold of the same for the same reason; nobody makes one meanwhile.

    Raises:
        QueryInvalid: the query asks for something that changes by itself.
    """
    criteria = _criteria(query)
    _alone(recorder.connection)
    h = hold.c
    wanted = select(h.id, h.actor, h.words, h.query).where(
        h.released_at.is_(None),
        h.reason == reason,
        h.exchanges == json.dumps(sorted(set(exchanges))),
        h.messages == json.dumps(sorted(set(messages))),
    )
    for row in recorder.connection.execute(wanted.order_by(h.id)).all():
        known = json.loads(row.query)
        if known == criteria or (json.loads(row.words) == list(words) and _is_within(criteria, known)):
            return int(row.id), str(row.actor)
    return None


def extend(recorder: Recorder, number: int, exchanges: Collection[int], messages: Collection[int], reason: str) -> None:
    """A hold on numbers holds more of them."""
    row = recorder.connection.execute(select(hold.c.exchanges, hold.c.messages).where(hold.c.id == number)).one()
    more = {
        "exchanges": json.dumps(sorted({*json.loads(row.exchanges), *exchanges})),
        "messages": json.dumps(sorted({*json.loads(row.messages), *messages})),
    }
    recorder.change(hold, number, **more)
    recorder.event("held", hold=number, words=_subject((), exchanges, messages), reason=reason)


def release(recorder: Recorder, number: int, *, reason: str) -> bool:
    """Ends a hold; false where it was released before.

    Raises:
        NotFound: there is none of that number.
    """
    _alone(recorder.connection)
    row = recorder.connection.execute(select(hold.c.released_at).where(hold.c.id == number)).one_or_none()
    if row is None:
        raise NotFound(what="legal hold", key=number, see="gateway ledger hold list")
    if row.released_at is not None:
        return False
    recorder.change(hold, number, released_at=recorder.now, released_by=recorder.actor, release_reason=reason)
    recorder.event("hold-released", hold=number, reason=reason)
    return True


def holds(connection: Connection, *, released: bool = False) -> list[Hold]:
    """The holds that hold, the oldest first; ``released``: those that did, too."""
    wanted = select(hold).order_by(hold.c.id)
    if not released:
        wanted = wanted.where(hold.c.released_at.is_(None))
    return [_hold(row) for row in connection.execute(wanted)]


def held(
    connection: Connection, exchanges: Iterable[int], messages: Iterable[int], among: Sequence[Hold] | None = None
) -> Held:
    """Which of some exchanges and mails are held, by themselves.

    Args:
        connection: the transaction in which the answer must hold.
        exchanges: numbers.
        messages: numbers.
        among: the holds; asked for where they are not given.
    """
    x, m = sorted(set(exchanges)), sorted(set(messages))
    found: tuple[dict[int, int], dict[int, int]] = {}, {}
    for each in holds(connection) if among is None else among:
        found[0].update(dict.fromkeys(set(x) & set(each.exchanges), each.id))
        found[1].update(dict.fromkeys(set(m) & set(each.messages), each.id))
        if each.query is not None:
            conditions = Conditions(connection.dialect.name, 0)
            met = _meeting(connection, exchange, conditions.of_exchanges(each.query), x)
            found[0].update(dict.fromkeys(met, each.id))
            met = _meeting(connection, message, conditions.of_messages(each.query), m)
            found[1].update(dict.fromkeys(met, each.id))
    return Held(*found)


def wait_for_holds(connection: Connection) -> None:
    """Until this transaction ends nobody makes or releases a hold, and all are what was recorded of them.

    SQLite has one writer anyway.

    Raises:
        NotAsRecorded: a hold was changed past the gateway; nothing may be put away or erased.
    """
    _alone(connection)
    refuse_what_differs(connection)


def _alone(connection: Connection) -> None:
    take_turns_over(connection, [_TURN])


def _meeting(connection: Connection, table: Any, conditions: Sequence[Any], ids: Sequence[int]) -> list[int]:
    found: list[int] = []
    for start in range(0, len(ids), _CHUNK):
        some = table.c.id.in_(ids[start : start + _CHUNK])
        found += connection.execute(select(table.c.id).where(some, *conditions)).scalars()
    return found


def _criteria(query: Query | None) -> dict[str, Any]:
    """What a query asks, for JSON; nothing where it asks nothing."""
    if query is None:
        return {}
    for name in sorted(query.asked & _PASSING):
        reason = "it changes by itself, and what is held must stay held"
        raise QueryInvalid(where=name.replace("_", "-"), reason=reason)
    told = {name: value for name, value in asdict(query).items() if value is not None and name not in _PAGING}
    if "also" in told:
        told["also"] = [each | {"values": list(each["values"])} for each in told["also"]]
    return told


def _is_within(asked: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Whether two queries differ in their times alone, and the one asks nothing more: words as ``since=7d``."""
    times = ("since", "until")
    rest = ({name: value for name, value in each.items() if name not in times} for each in (asked, known))
    if next(rest) != next(rest) or {*times} & asked.keys() != {*times} & known.keys():
        return False
    return bool(asked.get("since", 0) >= known.get("since", 0) and asked.get("until", 0) <= known.get("until", 0))


def _refuse_absent(connection: Connection, exchanges: Collection[int], messages: Collection[int]) -> None:
    for what, mark, table, numbers in (("exchange", "", exchange, exchanges), ("mail", "m", message, messages)):
        there = set(connection.execute(select(table.c.id).where(table.c.id.in_(list(numbers)))).scalars())
        absent = sorted(set(numbers) - there)
        if absent:
            raise NotFound(what=what, key=f"{mark}{absent[0]}")


def _hold(row: Row[Any]) -> Hold:
    values = {name: getattr(row, name) for name in ("id", "at", "actor", "reason", "released_at", "released_by")}
    for name in ("words", "exchanges", "messages"):
        values[name] = tuple(json.loads(getattr(row, name)))
    return Hold(**values, release_reason=row.release_reason, query=_query(json.loads(row.query)))


def _query(said: dict[str, Any]) -> Query | None:
    """The query as it was kept; None where there was none."""
    if not said:
        return None
    known = set(Query.__struct_fields__)
    # A criterion of a later version, whose meaning is not known here: the hold is then on all that the rest names.
    criteria = {name: value for name, value in said.items() if name in known}
    also = [each for each in criteria.pop("also", None) or () if each["field"] in CRITERIA]
    more = tuple(Criterion(each["field"], tuple(each["values"]), bool(each["negated"])) for each in also)
    return Query(**criteria, also=more or None)
