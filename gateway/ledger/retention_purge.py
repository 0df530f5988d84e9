"""Putting away, in one transaction: raw bytes alone, or exchanges and mails with all that was recorded of them.

What goes leaves its trace. The leaves of events stay, so that the tree still adds up; an event tells what was put away,
by which policy, and which events and bytes that was; rows are recorded as gone (see ``tree`` and ``prints``). So a
verification finds nothing wrong, and names whatever went in any other way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Engine, Table, delete, func, select
from sqlalchemy import event as listening

from gateway.ledger import text, tree
from gateway.ledger.archive import insert
from gateway.ledger.database import open_engine
from gateway.ledger.key_life import thorough
from gateway.ledger.payload_keys import vault_of
from gateway.ledger.recording import Recorder
from gateway.ledger.retention_links import beside_held
from gateway.ledger.retention_units import Judge, Key, Unit, ask
from gateway.ledger.tables import (
    acknowledgment,
    alert,
    arrival,
    business_key,
    claim,
    content,
    content_key,
    content_piece,
    event,
    exchange,
    expectation,
    finding,
    functional_group,
    interchange_key,
    message,
    number_gap,
    payload,
    put_away,
    receipt,
    received_number,
    sighting,
    transaction_set,
)

_CHUNK = 500


class Gone(Struct, frozen=True):
    """How much went: exchanges, mails, events, contents, and bytes of these as they were before encryption."""

    exchanges: int = 0
    messages: int = 0
    events: int = 0
    contents: int = 0
    size: int = 0

    def as_dict(self) -> dict[str, int]:
        """For ``--json``."""
        return {
            "exchanges": self.exchanges,
            "mails": self.messages,
            "events": self.events,
            "contents": self.contents,
            "bytes": self.size,
        }

    def __add__(self, other: Gone) -> Gone:
        return Gone(
            self.exchanges + other.exchanges,
            self.messages + other.messages,
            self.events + other.events,
            self.contents + other.contents,
            self.size + other.size,
        )


@contextmanager
def purging(engine: Engine) -> Iterator[Engine]:
    """An engine to put away with.

    SQLite would look up every foreign key of every row that goes, most of them without an index; its own engine does
    not, and overwrites what it frees. PostgreSQL has the indexes.
    """
    if engine.dialect.name != "sqlite":
        yield engine
        return
    own = open_engine(engine.url.render_as_string(hide_password=False))
    listening.listen(own, "connect", _without_foreign_keys)
    with engine.connect() as connection:
        vault = vault_of(connection)
    if vault is not None:
        vault.attach(own)
    try:
        yield own
    finally:
        own.dispose()


def _without_foreign_keys(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA foreign_keys = OFF").fetchall()


# ---------------------------------------------------------------- raw bytes


def over_names(connection: Connection, judge: Judge, units: Iterable[Unit], now: int) -> dict[str, Unit]:
    """The bytes of some units whose time is over, and that nobody else needs, each with a unit it belongs to.

    Bytes that were put away already are left out. Where others have the same bytes, theirs must be over too. What is
    linked with a held unit is kept with it.
    """
    over = [unit for unit in units if not unit.kept_by and unit.names_over(now)]
    beside = beside_held(connection, judge, over)
    mine = {name: unit for unit in over if unit.key not in beside for name in unit.names_over(now)}
    sizes = _there(connection, list(mine))
    wanted = {name: unit for name, unit in mine.items() if name in sizes}
    users = users_of(connection, wanted)
    others = judge.units({key for keys in users.values() for key in keys})
    known = {unit.key for unit in over}
    beside |= beside_held(connection, judge, [unit for key, unit in others.items() if key not in known])

    def is_done_with(key: Key, name: str) -> bool:
        unit = others.get(key)
        return unit is None or (not unit.kept_by and key not in beside and name in unit.names_over(now))

    return {name: unit for name, unit in wanted.items() if all(is_done_with(key, name) for key in users[name])}


def sizes_of(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """Those of some contents that are kept, with their sizes."""
    return _there(connection, names)


def purge_payload(recorder: Recorder, names: Mapping[str, Unit], policy: str) -> Gone:
    """Puts raw bytes away; what was recorded of them stays.

    Args:
        recorder: the transaction, in which ``names`` were found.
        names: by SHA-256 the unit they belong to.
        policy: by which, for people.
    """
    sizes = _there(recorder.connection, list(names))
    if not sizes:
        return Gone()
    remove_content(recorder.connection, list(sizes), policy)
    rows = [{"sha256": name, "at": recorder.now, "policy": policy} for name in sorted(sizes)]
    offer = insert(recorder.connection, put_away)
    offer = offer.on_conflict_do_update(
        index_elements=[put_away.c.sha256], set_={"at": offer.excluded.at, "policy": offer.excluded.policy}
    )
    recorder.connection.execute(offer, rows)
    by_partner: dict[str, list[str]] = {}
    for name in sorted(sizes):
        by_partner.setdefault(names[name].partner, []).append(name)
    for partner, some in sorted(by_partner.items()):
        size = sum(sizes[name] for name in some)
        what = f"the raw bytes of {len(some)} content{'' if len(some) == 1 else 's'}, {size} bytes"
        recorder.event("purged", partner=partner, what=what, policy=policy, contents=some, size=size)
    return Gone(contents=len(sizes), size=sum(sizes.values()))


def remove_content(connection: Connection, names: Sequence[str], why: str) -> None:
    """Removes raw bytes, and the keys that they lay under."""
    thorough(connection)
    with tree.permit(connection, why):
        for some in _chunks(names):
            connection.execute(delete(content_piece).where(content_piece.c.sha256.in_(some)))
            connection.execute(delete(content).where(content.c.sha256.in_(some)))
    for some in _chunks(names):
        connection.execute(delete(content_key).where(content_key.c.sha256.in_(some)))


def _there(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    rows = ask(connection, select(content.c.sha256, content.c.size), content.c.sha256, names)
    return {row.sha256: row.size for row in rows}


def users_of(connection: Connection, names: Mapping[str, Unit]) -> dict[str, set[Key]]:
    """The units that have these bytes.

    Exchanges are found by their control number: equal bytes have an equal one. What we wrote without one (receipts)
    nobody else has.
    """
    found: dict[str, set[Key]] = {name: set() for name in names}
    for row in ask(connection, select(message.c.sha256, message.c.id), message.c.sha256, list(names)):
        found[row.sha256].add(("m", row.id))
    numbers = {
        part.control_number
        for unit in names.values()
        for part in unit.parts
        if part.control_number or part.direction == "in"
    }
    x = exchange.c
    wanted = select(x.sha256, x.id, x.message).where(x.control_number.in_(bind := sorted(numbers)))
    for row in ask(connection, wanted, x.sha256, list(names)) if bind else ():
        found[row.sha256].add(("x", row.id) if row.message is None else ("m", row.message))
    return found


# ---------------------------------------------------------------- whole exchanges and mails


def purge_ledger(recorder: Recorder, units: Sequence[Unit], policy: str) -> Gone:
    """Puts exchanges and mails away, with everything that was recorded of them, bytes included.

    Args:
        recorder: the transaction, in which ``units`` were found to go (see ``retention_links.going``).
        units: which.
        policy: by which, for people.
    """
    if not units:
        return Gone()
    connection = recorder.connection
    thorough(connection)
    x = sorted(each for unit in units for each in unit.exchanges)
    m = sorted(unit.message for unit in units if unit.message is not None)
    seqs = events_of(connection, x, m)
    names = _left_alone(connection, units)
    sizes = _there(connection, names)
    with tree.permit(connection, policy):
        tree.forget_events(connection, seqs)
    text.unindex(connection, x, m)
    _remove_rows(recorder, x, m)
    remove_content(connection, list(sizes), policy)
    for some in _chunks(names):
        connection.execute(delete(put_away).where(put_away.c.sha256.in_(some)))
    what = f"{_counted(len(x), 'exchange')} and {_counted(len(m), 'mail')}"
    recorder.event(
        "purged",
        what=what,
        policy=policy,
        exchanges=list(ranges(x)),
        messages=list(ranges(m)),
        events=list(ranges(seqs)),
        partners=sorted({unit.partner for unit in units}),
    )
    return Gone(len(x), len(m), len(seqs), len(sizes), sum(sizes.values()))


def events_of(connection: Connection, exchanges: Sequence[int], messages: Sequence[int]) -> list[int]:
    """The numbers of the events of exchanges and mails, in their order."""
    found: set[int] = set()
    for column, values in ((event.c.exchange, exchanges), (event.c.message, messages)):
        found.update(row.seq for row in ask(connection, select(event.c.seq), column, values))
    return sorted(found)


def ranges(numbers: Iterable[int]) -> Iterator[list[int]]:
    """Numbers in ascending order as runs: [first, last]."""
    first = last = None
    for number in numbers:
        if last is not None and number == last + 1:
            last = number
            continue
        if first is not None:
            yield [first, last or first]
        first = last = number
    if first is not None:
        yield [first, last or first]


def _left_alone(connection: Connection, units: Sequence[Unit]) -> list[str]:
    """The names of the units' bytes that no other unit has."""
    mine = {name: unit for unit in units for name in unit.names}
    leaving = {unit.key for unit in units}
    users = users_of(connection, mine)
    return sorted(name for name in mine if users[name] <= leaving)


def _remove_rows(recorder: Recorder, x: Sequence[int], m: Sequence[int]) -> None:
    """All rows of exchanges and mails: what points to others first."""
    connection = recorder.connection
    a, r = acknowledgment.c, receipt.c
    recorder.remove(acknowledgment, _ids(connection, acknowledgment, (a.carrier, x), (a.exchange, x)))
    recorder.remove(receipt, _ids(connection, receipt, (r.exchange, x), (r.message, m), (r.original, m)))
    for table in (finding, business_key, interchange_key, received_number):
        recorder.remove(table, _owners(connection, table, x))
    recorder.remove(transaction_set, _ids(connection, transaction_set, (transaction_set.c.exchange, x)))
    recorder.remove(functional_group, _ids(connection, functional_group, (functional_group.c.exchange, x)))
    for column, values in (
        *((alert.c.exchange, x), (alert.c.message, m), (number_gap.c.exchange, x), (arrival.c.exchange, x)),
        *((expectation.c.exchange, x), (claim.c.message, m), (sighting.c.message, m)),
    ):
        for some in _chunks(values):
            connection.execute(delete(column.table).where(column.in_(some)))
    recorder.remove(exchange, x)
    recorder.remove(payload, _ids(connection, payload, (payload.c.message, m)))
    recorder.remove(message, m)


def _ids(connection: Connection, table: Table, *where: tuple[ColumnElement[Any], Sequence[int]]) -> list[int]:
    found = {row.id for column, values in where for row in ask(connection, select(table.c.id), column, values)}
    return sorted(found)


def _owners(connection: Connection, table: Table, x: Sequence[int]) -> list[int]:
    column = table.c.exchange
    return sorted({row.exchange for row in ask(connection, select(column).distinct(), column, x)})


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]


def size_of(connection: Connection, units: Collection[Unit]) -> int:
    """The bytes that are still kept of some units, in all."""
    names = {name for unit in units for name in unit.names}
    total = 0
    for some in _chunks(sorted(names)):
        wanted = select(func.coalesce(func.sum(content.c.size), 0)).where(content.c.sha256.in_(some))
        total += int(connection.execute(wanted).scalar_one())
    return total
