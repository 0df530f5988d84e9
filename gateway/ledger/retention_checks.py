"""Is what is gone gone in order? Whatever is missing must be told of by an event, and by nothing but an event.

Somebody who can write to the database could put the leaf of an event in its place and take the event away, or take
bytes away and write down that a policy did. So the events that tell what was put away are asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Column, Connection, Row, Select, and_, exists, func, select, text

from gateway.ledger import hold_checks
from gateway.ledger.erasures import FORGOTTEN
from gateway.ledger.holds import Hold, holds
from gateway.ledger.payload_keys import PARTNER
from gateway.ledger.retention_units import ask
from gateway.ledger.tables import CONFIGURATION, content, event, event_leaf, exchange, message, payload_key, put_away

_PURGED, _BACK = "purged", "recalled"
_PAGE = 10_000
_SAY_AT_MOST = 20


def unexplained(connection: Connection, after: int = -1) -> Iterator[str]:
    """What is gone and nobody told of it, a sentence each; nothing where all is in order. Reads every row.

    Args:
        connection: within a transaction.
        after: look at the events after this one alone; what was put away of them, a later one tells.
    """
    told = _Told(connection, after)
    yield from _few(_events(connection, told, after), "more events are gone, and no event tells of it")
    if after >= 0:
        return
    yield from _few(_put_away(connection, told), "more bytes are said to be put away, and no event tells of it")
    yield from _few(_returned(connection, told), "more bytes came again and are missing")
    yield from _few(_keys(connection, told), "more keys are gone, and no event tells of it")
    yield from _few(_held(connection), "more was put away although it is held")


class _Purged(Struct, frozen=True):
    """One event that tells what was put away."""

    seq: int
    at: int
    policy: str


class _Told:
    """What the events say of what was put away, and of what came back since: in their order, the later word counts."""

    def __init__(self, connection: Connection, after: int) -> None:
        spans: list[tuple[int, int]] = []
        self.names: dict[bytes, tuple[_Purged, ...]] = {}
        self.keys: set[int] = set()
        e = event.c
        of_these = (text(CONFIGURATION), e.kind.in_([_PURGED, _BACK, FORGOTTEN]), e.seq > after)
        wanted = select(e.seq, e.at, e.kind, e.body).where(*of_these)
        for seq, at, kind, body in connection.execute(wanted.order_by(e.seq)):
            said = _body(body)
            events = [(int(first), int(last)) for first, last in said.get("events", ())]
            contents = [bytes.fromhex(name) for name in said.get("contents", ())] if kind != FORGOTTEN else []
            if kind == _PURGED:
                spans += events
                each = _Purged(seq, at, str(said.get("policy", "")))
                for name in contents:
                    self.names[name] = (*self.names.get(name, ()), each)
            elif kind == _BACK:
                spans = list(_without(_merged(spans), events))
                for name in contents:
                    self.names.pop(name, None)
            else:
                self.keys.add(int(said.get("key", 0)))
        self.spans = _merged(spans)


def _body(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def _without(spans: Iterable[tuple[int, int]], gone: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Runs in ascending order, without other runs."""
    holes, at = _merged(gone), 0
    for start, last in spans:
        first = start
        while at < len(holes) and holes[at][1] < first:
            at += 1
        for hole in holes[at:]:
            if hole[0] > last:
                break
            if hole[0] > first:
                yield first, hole[0] - 1
            first = hole[1] + 1
        if first <= last:
            yield first, last


def _events(connection: Connection, told: _Told, after: int) -> Iterator[str]:
    spans = iter(told.spans)
    span = next(spans, None)
    for (seq,) in _in_order(connection, select(event_leaf.c.seq), event_leaf.c.seq, after):
        while span is not None and span[1] < seq:
            span = next(spans, None)
        if span is None or seq < span[0]:
            yield f"Event {seq} is gone, and no event tells that it was put away."


def _put_away(connection: Connection, told: _Told) -> Iterator[str]:
    for row in _in_order(connection, select(put_away), put_away.c.sha256, ""):
        events = told.names.get(bytes.fromhex(row.sha256), ())
        if not events:
            yield f"The bytes {row.sha256} are said to be put away, and no event tells of it."
        elif all((row.at, row.policy) != (each.at, each.policy) for each in events):
            seq = events[-1].seq
            yield f"The note of when and why the bytes {row.sha256} were put away is not what event {seq} tells."


def _returned(connection: Connection, told: _Told) -> Iterator[str]:
    """Bytes that are missing although they came again after they were put away."""
    there = exists().where(content.c.sha256 == put_away.c.sha256)
    for word, table, changed, column in (
        ("Exchange ", exchange, exchange.c.updated_at, event.c.exchange),
        ("Mail m", message, message.c.at, event.c.message),
    ):
        c = table.c
        # Few were changed after their bytes went: of these the first event tells when they came.
        wanted = select(c.id, c.sha256).join_from(table, put_away, put_away.c.sha256 == c.sha256)
        for row in connection.execute(wanted.where(changed >= put_away.c.at, ~there).order_by(c.id)).all():
            events = told.names.get(bytes.fromhex(row.sha256), ())
            first = connection.execute(select(func.min(event.c.seq)).where(column == row.id)).scalar()
            if events and first is not None and first > events[-1].seq:
                yield f"{word}{row.id} came with the bytes {row.sha256} after they were put away, and they are missing."


def _keys(connection: Connection, told: _Told) -> Iterator[str]:
    k = payload_key.c
    forgotten = and_(k.scope == PARTNER, k.token.is_(None))
    for row in connection.execute(select(k.id, k.partner, k.period).where(forgotten).order_by(k.id)):
        if row.id not in told.keys:
            yield f"The payload key of {row.partner} for {row.period} is gone, and no event tells of it."


def _held(connection: Connection) -> Iterator[str]:
    """What was put away while a hold named it; what holds by a query only, nobody can tell of what is gone."""
    told = hold_checks.told(connection)
    if not told:
        return
    held = {each.id: each for each in holds(connection, released=True)}
    names = {number: _names(connection, each) for number, each in held.items()}
    wanted = select(event.c.seq, event.c.body).where(text(CONFIGURATION), event.c.kind == _PURGED).order_by(event.c.seq)
    for seq, body in connection.execute(wanted.where(event.c.seq > min(each.made for each in told.values()))):
        said = _body(body)
        contents = set(said.get("contents", ()))
        for number, each in told.items():
            if number not in held or not each.made < seq < (each.released or seq + 1):
                continue
            hold = held[number]
            what = [f"Exchange {each}" for each in _among(hold.exchanges, said.get("exchanges", ()))]
            what += [f"Mail m{each}" for each in _among(hold.messages, said.get("messages", ()))]
            what += [f"The content {each}" for each in sorted(contents & names[number])]
            yield from (f"{each} was put away, event {seq} says, while hold {number} kept it." for each in what)


def _names(connection: Connection, each: Hold) -> set[str]:
    """The bytes of what a hold names, as far as that is there."""
    found = set[str]()
    for table, numbers in ((exchange, each.exchanges), (message, each.messages)):
        found.update(row.sha256 for row in ask(connection, select(table.c.sha256), table.c.id, numbers))
    return found


def _among(numbers: Iterable[int], gone: Iterable[Sequence[int]]) -> list[int]:
    """Those of some numbers that lie in runs: [first, last]."""
    runs = [(int(first), int(last)) for first, last in gone]
    return [each for each in sorted(numbers) if any(first <= each <= last for first, last in runs)]


def _in_order(connection: Connection, wanted: Select[Any], key: Column[Any], after: Any) -> Iterator[Row[Any]]:
    """Rows in the order of a key, a page at a time."""
    while rows := connection.execute(wanted.where(key > after).order_by(key).limit(_PAGE)).all():
        yield from rows
        after = getattr(rows[-1], key.name)


def _few(sentences: Iterator[str], more: str) -> Iterator[str]:
    count = 0
    for sentence in sentences:
        count += 1
        if count <= _SAY_AT_MOST:
            yield sentence
    if count > _SAY_AT_MOST:
        yield f"{count - _SAY_AT_MOST} {more}."
