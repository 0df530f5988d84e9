"""Is what is gone gone in order? Whatever is missing must be told of by an event, and by nothing but an event.

Somebody who can write to the database could put the leaf of an event in its place and take the event away, or take
bytes away and write down that a policy did. So the events that tell what was put away are asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Table, and_, select, text

from gateway.ledger import hold_checks
from gateway.ledger.holds import Hold, holds
from gateway.ledger.payload_keys import PARTNER
from gateway.ledger.retention_units import ask
from gateway.ledger.tables import CONFIGURATION, event, event_leaf, exchange, message, payload_key, put_away

_PAGE = 10_000
_SAY_AT_MOST = 20


def unexplained(connection: Connection) -> Iterator[str]:
    """What is gone and nobody told of it, a sentence each; nothing where all is in order. Reads every row."""
    told = _Told(connection)
    yield from _few(_events(connection, told), "more events are gone, and no event tells of it")
    yield from _few(_put_away(connection, told), "more bytes are said to be put away, and no event tells of it")
    yield from _few(_keys(connection, told), "more keys are gone, and no event tells of it")
    yield from _few(_held(connection), "more was put away although it is held")


class _Told:
    """What the events say of what was put away."""

    def __init__(self, connection: Connection) -> None:
        spans: list[tuple[int, int]] = []
        self.names: set[bytes] = set()
        self.keys: set[int] = set()
        wanted = select(event.c.kind, event.c.body).where(event.c.kind.in_(["purged", "payload-key-forgotten"]))
        for kind, body in connection.execute(wanted.order_by(event.c.seq)):
            said = _body(body)
            if kind == "purged":
                spans += [(int(first), int(last)) for first, last in said.get("events", ())]
                self.names.update(bytes.fromhex(name) for name in said.get("contents", ()))
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


def _events(connection: Connection, told: _Told) -> Iterator[str]:
    spans = iter(told.spans)
    span = next(spans, None)
    for seq in _ordered(connection, event_leaf, "seq", -1):
        while span is not None and span[1] < seq:
            span = next(spans, None)
        if span is None or seq < span[0]:
            yield f"Event {seq} is gone, and no event tells that it was put away."


def _put_away(connection: Connection, told: _Told) -> Iterator[str]:
    for name in _ordered(connection, put_away, "sha256", ""):
        if bytes.fromhex(name) not in told.names:
            yield f"The bytes {name} are said to be put away, and no event tells of it."


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
    wanted = (
        select(event.c.seq, event.c.body).where(text(CONFIGURATION), event.c.kind == "purged").order_by(event.c.seq)
    )
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


def _ordered(connection: Connection, table: Table, column: str, after: Any) -> Iterator[Any]:
    """The values of a key, in their order, a page at a time."""
    c = table.c[column]
    while values := list(connection.execute(select(c).where(c > after).order_by(c).limit(_PAGE)).scalars()):
        yield from values
        after = values[-1]


def _few(sentences: Iterator[str], more: str) -> Iterator[str]:
    count = 0
    for sentence in sentences:
        count += 1
        if count <= _SAY_AT_MOST:
            yield sentence
    if count > _SAY_AT_MOST:
        yield f"{count - _SAY_AT_MOST} {more}."
