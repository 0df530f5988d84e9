"""Bringing back: exchanges and mails return from an archive under their own numbers, events in place of leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Table, func, insert, select

from gateway.errors import MovedArchiveAltered, NotAllowedNow
from gateway.ledger import tree
from gateway.ledger.moved_rows import Row, numbers, rows_of
from gateway.ledger.moved_write import copy_contents
from gateway.ledger.prints import AUDITED
from gateway.ledger.recording import Recorder
from gateway.ledger.retention_units import Judge, Key, Unit, ask
from gateway.ledger.tables import (
    acknowledgment,
    alert,
    arrival,
    content,
    event,
    exchange,
    message,
    number_gap,
    receipt,
    sighting,
)


class Recalled(Struct, frozen=True):
    """What came back: ``events`` are their numbers, ``contents`` the names of the bytes that are there again."""

    exchanges: tuple[int, ...]
    messages: tuple[int, ...]
    events: tuple[int, ...]
    contents: tuple[str, ...]


def with_what_they_point_to(archive: Connection, judge: Judge, keys: Iterable[Key]) -> dict[Key, Unit]:
    """Units of an archive, and the other units in it that theirs point to."""
    found = judge.units(keys)
    fresh = found
    x = exchange.c
    while fresh:
        ids = [number for unit in fresh.values() for number in unit.exchanges]
        rows = ask(archive, select(x.answers, x.duplicate_of), x.id, ids)
        wanted = {number for row in rows for number in row if number is not None}
        fresh = judge.units(set(judge.keys_of(wanted).values()) - found.keys())
        found |= fresh
    return found


def recall(recorder: Recorder, archive: Connection, units: Sequence[Unit], path: object) -> Recalled:
    """Writes units back into the ledger.

    Args:
        recorder: the ledger's transaction.
        archive: of the archive.
        units: which; those that are in the ledger are left alone.
        path: of the archive, for faults.

    Raises:
        NotAllowedNow: something points to what is neither in the ledger nor among them; or its key is taken.
        MovedArchiveAltered: an event is not the one that was put away.
    """
    home = recorder.connection
    units = list(_absent(home, units))
    x, m = numbers(units)
    rows = dict(rows_of(archive, x, m))
    _refuse_dangling(home, rows[exchange], set(x))
    rows |= {table: _anchored(home, table, rows[table], set(x), set(m)) for table in _LINKING}
    names = list(dict.fromkeys(name for unit in units for name in unit.names))
    copy_contents(archive, home, names)
    for table, some in rows.items():
        if table.name in AUDITED or table is sighting:
            for row in _new(home, table, some):
                recorder.put(table, **row)
    recorder.flush()
    for table in (number_gap, arrival, alert):
        fresh = list(_numbered_anew(home, table, rows[table]))
        if fresh:
            home.execute(insert(table), fresh)
    there = sorted(row.sha256 for row in ask(home, select(content.c.sha256), content.c.sha256, names))
    return Recalled(tuple(x), tuple(m), _recall_events(home, rows[event], path), tuple(there))


def _recall_events(home: Connection, rows: Sequence[Row], path: object) -> tuple[int, ...]:
    with tree.permit(home, "brought back from an archive"):
        refused = tree.recall_events(home, rows)
    there = {row.seq for row in ask(home, select(event.c.seq), event.c.seq, refused)}
    strange = sorted(set(refused) - there)
    if strange:
        raise MovedArchiveAltered(path=path, reason=f"event {strange[0]} is not the one that was put away")
    return tuple(sorted({row["seq"] for row in rows} - set(refused)))


# Rows that speak of two units: they come back with the second of them.
_LINKING: Mapping[Table, tuple[tuple[str, Table], ...]] = {
    acknowledgment: (("carrier", exchange), ("exchange", exchange)),
    receipt: (("message", message), ("original", message), ("exchange", exchange)),
    event: (("message", message), ("exchange", exchange)),
    alert: (("message", message), ("exchange", exchange)),
}


def _anchored(home: Connection, table: Table, rows: Sequence[Row], x: set[int], m: set[int]) -> list[Row]:
    """The rows of which all that they point to is there, or is coming."""
    found = list(rows)
    for name, owner in _LINKING[table]:
        coming = x if owner is exchange else m
        others = sorted({row[name] for row in found if row[name] is not None} - coming)
        there = coming | {row.id for row in ask(home, select(owner.c.id), owner.c.id, others)} | {None}
        found = [row for row in found if row[name] in there]
    return found


def _absent(home: Connection, units: Sequence[Unit]) -> Iterator[Unit]:
    x, m = numbers(units)
    there = {("x", row.id) for row in ask(home, select(exchange.c.id), exchange.c.id, x)}
    there |= {("m", row.id) for row in ask(home, select(message.c.id), message.c.id, m)}
    for unit in units:
        mine = {("x", number) for number in unit.exchanges} | {unit.key}
        if not mine & there:
            yield unit


def _refuse_dangling(home: Connection, rows: Sequence[Row], coming: set[int]) -> None:
    wanted = {row[name] for row in rows for name in ("answers", "duplicate_of") if row[name] is not None} - coming
    there = {row.id for row in ask(home, select(exchange.c.id), exchange.c.id, sorted(wanted))}
    for row in rows:
        for name in ("answers", "duplicate_of"):
            if row[name] is not None and row[name] not in there | coming:
                reason = f"it belongs to exchange {row[name]}, which is in another archive: bring that one back first"
                raise NotAllowedNow(what="exchange", key=row["id"], state="moved out", reason=reason)
    keys = {row["idempotency_key"]: row["id"] for row in rows if row["idempotency_key"] is not None}
    k = exchange.c.idempotency_key
    for taken in ask(home, select(k), k, sorted(keys)):
        number = keys[taken.idempotency_key]
        reason = f"its key {taken.idempotency_key} belongs to a later exchange now"
        raise NotAllowedNow(what="exchange", key=number, state="moved out", reason=reason)


def _new(home: Connection, table: Table, rows: Sequence[Row]) -> list[Row]:
    """Those rows whose key is not there; a row may belong to another one too, which stayed."""
    key = [column.name for column in table.primary_key.columns]
    there = _keys(home, table, key, rows)
    return [row for row in rows if tuple(row[name] for name in key) not in there]


def _numbered_anew(home: Connection, table: Table, rows: Sequence[Row]) -> Iterator[Row]:
    """Those rows that are not there; one whose number another has by now gets a new one.

    No digest speaks of these rows, so the newest may leave, and SQLite gives its number again.
    """
    fresh = _new(home, table, rows)
    yield from fresh
    if home.dialect.name != "sqlite":
        return
    following = max([home.execute(select(func.max(table.c.id))).scalar() or 0, *(row["id"] for row in fresh)])
    for row in rows:
        same = [table.c[name] == row[name] for name in ("at", "partner", "exchange", "message") if name in row]
        if row not in fresh and home.execute(select(table.c.id).where(*same).limit(1)).first() is None:
            following += 1
            yield row | {"id": following}


def _keys(
    home: Connection, table: Table, key: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> set[tuple[Any, ...]]:
    columns = [table.c[name] for name in key]
    indexed = table.c.message if table is sighting else columns[-1]
    values = sorted({row[indexed.name] for row in rows})
    return {tuple(row) for row in ask(home, select(*columns), indexed, values)}
