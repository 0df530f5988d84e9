"""Evidence: what proves to somebody else that an exchange is in the ledger as recorded (``docs/verify_evidence.py``).

It holds the exchange's rows and events, and with each event the hashes that lead from it to the root of a seal. Whoever
has that seal from us, and the key of our seals, needs nothing else: not the ledger, and not this program. Of other
exchanges it shows hashes and digests only.
"""

from __future__ import annotations

import base64
import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, RowMapping, or_, select

from gateway.errors import NotAllowedNow, NotAsRecorded, NotFound
from gateway.ledger import merkle, prints, seals, tables, tree
from gateway.ledger.seals import Seal, SealKey

FORMAT = "edi-gateway evidence 1"
_CHUNK = 500  # numbers in one question
_STREAM = 1_000  # events at once
_BY_NUMBER = ("functional_group", "transaction_set", "acknowledgment")
_Row = RowMapping
_Place = tuple[str, int]  # a table, and the owner of rows in it


class _Owned(Struct, frozen=True):
    """Rows with one digest: ``texts`` is what it is made of."""

    table: str
    owner: int
    texts: tuple[str, ...]

    @property
    def place(self) -> _Place:
        return self.table, self.owner

    def as_dict(self, seq: int) -> dict[str, Any]:
        columns = list(prints.AUDITED[self.table].columns)
        return {"table": self.table, "owner": self.owner, "columns": columns, "rows": list(self.texts), "event": seq}


def evidence(connection: Connection, number: int, key: SealKey) -> dict[str, Any]:
    """The evidence for one exchange, to be written as JSON.

    Args:
        connection: within a transaction that reads.
        number: of the exchange.
        key: of our seals.

    Raises:
        NotFound: there is no such exchange.
        NotAllowedNow: nothing is sealed yet that covers all of it.
        NotAsRecorded: a row is not what the newest event that speaks of it recorded, or is missing.
        SealInvalid: the newest seal was not signed by that key.
    """
    row = connection.execute(select(tables.exchange).where(tables.exchange.c.id == number)).mappings().one_or_none()
    if row is None:
        raise NotFound(what="exchange", key=number)
    events = _events(connection, number, row["message"])
    records = _records(connection, [each["seq"] for each in events])
    owned = list(_owned(connection, number, row["message"], row["payload"]))
    places = {name: set(owners) for name, owners in _owners(connection, number, row["message"], row["payload"])}
    for name, owners in _recorded_with(records):
        places[name] |= owners
    newest = _newest(connection, places, records[0]["seq"] if records else 0)
    _refuse_what_differs(connection, number, places, newest)
    gone = {seq for (name, _), (seq, digest) in newest.items() if name == "acknowledgment" and digest == prints.GONE}
    wanted = gone | {newest[each.place][0] for each in owned} | {each["seq"] for each in (*events, *records)}
    told = _at(connection, sorted(wanted))
    note, seal = _seal(connection, key, number, max(wanted))
    nodes = tree.Nodes(connection, seal.size)
    return {
        "format": FORMAT,
        "exchange": number,
        "seal": note,
        "key": str(SealKey(seal.origin, key.public)),  # with the name that it had then
        "events": [_proven(nodes, seal, each) for each in told],
        "rows": [each.as_dict(newest[each.place][0]) for each in owned],
    }


def _events(connection: Connection, number: int, mail: int | None) -> list[_Row]:
    e = tables.event.c
    mine = e.exchange == number
    if mail is not None:
        mine = or_(mine, (e.message == mail) & e.exchange.is_(None))
    return list(connection.execute(select(tables.event).where(mine).order_by(e.seq)).mappings())


def _records(connection: Connection, seqs: Iterable[int]) -> list[_Row]:
    """The events that say which rows the transactions of these events wrote: each is the last of its transaction."""
    e = tables.event.c
    found: list[_Row] = []
    for seq in sorted(seqs):
        if not found or found[-1]["seq"] < seq:
            wanted = select(tables.event).where(e.seq > seq, e.kind == "recorded").order_by(e.seq).limit(1)
            found += connection.execute(wanted).mappings().all()
    return found


def _at(connection: Connection, seqs: Sequence[int]) -> list[_Row]:
    """The events of these numbers, in their order."""
    found: list[_Row] = []
    for start in range(0, len(seqs), _CHUNK):
        wanted = select(tables.event).where(tables.event.c.seq.in_(seqs[start : start + _CHUNK]))
        found += connection.execute(wanted.order_by(tables.event.c.seq)).mappings().all()
    return found


# ---------------------------------------------------------------- what was recorded last


def _recorded_with(records: Iterable[_Row]) -> Iterator[tuple[str, set[int]]]:
    """Rows of which only their numbers tell whose they are, in the transactions of these events.

    One of them that is gone now may be the exchange's.
    """
    for record in records:
        for name, runs in _runs(record["body"]):
            if name in _BY_NUMBER:
                yield name, {each for first, count in runs for each in range(first, first + count)}


def _newest(connection: Connection, places: Mapping[str, set[int]], first: int) -> dict[_Place, tuple[int, bytes]]:
    """Of each row the newest event that speaks of it and the digest that it holds.

    A transaction may change a row without an event about the exchange, so all events from ``first`` on are looked at;
    where one speaks of none of a row, those before too.
    """
    e = tables.event.c
    seqs = _speaking(connection, places, e.seq >= first)
    earlier = {name: {each for each in owners if (name, each) not in seqs} for name, owners in places.items()}
    if any(earlier.values()):
        seqs = _speaking(connection, earlier, e.seq < first) | seqs
    found: dict[_Place, tuple[int, bytes]] = {}
    for event in _at(connection, sorted(set(seqs.values()))):
        try:
            mentions = list(prints.mentions(json.loads(event["body"]), bytes(event["rows"] or b"")))
        except ValueError:
            continue  # it was changed: what it said of these rows is not known
        for name, start, digests in mentions:
            for at in range(0, len(digests), prints.LENGTH):
                place = name, start + at // prints.LENGTH
                if seqs.get(place) == event["seq"]:
                    found[place] = event["seq"], digests[at : at + prints.LENGTH]
    return found


def _speaking(connection: Connection, places: Mapping[str, set[int]], which: ColumnElement[bool]) -> dict[_Place, int]:
    """The newest of some events that speaks of each row; digests are left where they are, for they are long."""
    e = tables.event.c
    wanted = {name: sorted(owners) for name, owners in places.items()}
    found: dict[_Place, int] = {}
    asked = select(e.seq, e.body).where(e.kind == "recorded", which).order_by(e.seq)
    for seq, body in connection.execute(asked.execution_options(yield_per=_STREAM)):
        for name, runs in _runs(body):
            owners = wanted.get(name, ())
            for first, count in runs:
                some = owners[bisect_left(owners, first) : bisect_left(owners, first + count)]
                found.update(((name, owner), seq) for owner in some)
    return found


def _runs(body: str) -> list[tuple[str, list[tuple[int, int]]]]:
    """Which rows an event ``recorded`` speaks of: by table (first, how many). Nothing where it cannot be read."""
    try:
        told = json.loads(body)["rows"].items()
        return [(name, [(int(first), int(count)) for first, count, *_ in runs]) for name, runs in told]
    except (AttributeError, KeyError, TypeError, ValueError):
        return []


def _refuse_what_differs(
    connection: Connection, number: int, places: Mapping[str, set[int]], newest: Mapping[_Place, tuple[int, bytes]]
) -> None:
    """Evidence of what was changed past the gateway would prove an older state as the last one."""
    for name, owners in places.items():
        now = prints.read(connection, prints.AUDITED[name], sorted(owners))
        for owner, both in now.items():
            digest = both[: prints.LENGTH]
            seq, recorded = newest.get((name, owner), (0, prints.GONE))
            if digest == recorded:
                continue
            what = f"the row of {name} {owner} is not what event {seq} recorded of it"
            if digest == prints.GONE:
                what = f"the row of {name} {owner} is missing, which event {seq} recorded"
            elif not seq:
                what = f"no event recorded the row of {name} {owner}"
            raise NotAsRecorded(what="exchange", key=number, reason=what)


# ---------------------------------------------------------------- the seal, and the way to it


def _seal(connection: Connection, key: SealKey, number: int, seq: int) -> tuple[str, Seal]:
    """The first seal that covers event ``seq``."""
    s = tables.seal.c
    note = connection.execute(select(s.note).where(s.seq >= seq).order_by(s.size).limit(1)).scalar()
    if note is None:
        reason = "no seal covers its newest event yet; make one with `gateway ledger seal`"
        raise NotAllowedNow(what="exchange", key=number, state="not sealed", reason=reason)
    return note, seals.opened(note, key)


def _proven(nodes: tree.Nodes, seal: Seal, event: _Row) -> dict[str, Any]:
    """An event with its place in the tree and the hashes that lead to the root."""
    index = nodes.index_of(event["seq"])
    rows = event["rows"]
    return {
        "leaf": index,
        "values": [event[name] for name in tree.LEAF],
        "rows": None if rows is None else base64.b64encode(bytes(rows)).decode(),
        "path": [each.hex() for each in merkle.inclusion(index, seal.size, nodes.subtree)],
    }


def _owned(connection: Connection, number: int, mail: int | None, part: int | None) -> Iterator[_Owned]:
    for name, owners in _owners(connection, number, mail, part):
        audited = prints.AUDITED[name]
        for owner in owners:
            texts = tuple(prints.encoded_rows(connection, audited, owner))
            if texts:
                yield _Owned(name, owner, texts)


def _owners(
    connection: Connection, number: int, mail: int | None, part: int | None
) -> Iterator[tuple[str, Sequence[int]]]:
    """Table by table, whose rows belong to the exchange."""
    yield "exchange", [number]
    yield "message", [] if mail is None else [mail]
    yield "payload", [] if part is None else [part]
    for table in (tables.functional_group, tables.transaction_set):
        yield table.name, _ids(connection, table, table.c.exchange == number)
    for name in ("business_key", "finding", "interchange_key", "received_number"):
        yield name, [number]
    said = tables.acknowledgment.c
    yield (
        "acknowledgment",
        _ids(connection, tables.acknowledgment, or_(said.exchange == number, said.carrier == number)),
    )


def _ids(connection: Connection, table: Any, which: Any) -> list[int]:
    return list(connection.execute(select(table.c.id).where(which).order_by(table.c.id)).scalars())
