"""Evidence: what proves to somebody else that an exchange is in the ledger as recorded (``docs/verify_evidence.py``).

It holds the exchange's rows and events, and with each event the hashes that lead from it to the root of a seal. Whoever
has that seal from us, and the key of our seals, needs nothing else: not the ledger, and not this program. Of other
exchanges it shows hashes and digests only.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, or_, select

from gateway.errors import NotAllowedNow, NotFound
from gateway.ledger import merkle, prints, seals, tables, tree
from gateway.ledger.seals import Seal, SealKey

FORMAT = "edi-gateway evidence 1"
_Row = RowMapping


@dataclass(frozen=True, slots=True)
class _Owned:
    """Rows with one digest: ``texts`` is what it is made of."""

    table: str
    owner: int
    texts: tuple[str, ...]
    digest: bytes

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
        SealInvalid: the newest seal was not signed by that key.
    """
    row = connection.execute(select(tables.exchange).where(tables.exchange.c.id == number)).mappings().one_or_none()
    if row is None:
        raise NotFound(what="exchange", key=number)
    events = _events(connection, number, row["message"])
    records = _records(connection, [each["seq"] for each in events])
    rows = list(_shown(connection, list(_owned(connection, number, row["message"], row["payload"])), records))
    note, seal = _seal(connection, key, number, max(each["seq"] for each in (*events, *records)))
    nodes = tree.Nodes(connection, seal.size)
    return {
        "format": FORMAT,
        "exchange": number,
        "seal": note,
        "key": str(key),
        "events": [_proven(nodes, seal, each) for each in (*events, *records)],
        "rows": rows,
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


def _shown(connection: Connection, owned: Sequence[_Owned], records: list[_Row]) -> Iterator[dict[str, Any]]:
    """The rows, each with an event that holds its digest; an event that ``records`` lacks is added to them.

    A transaction may change a row without an event about the exchange: then all later ones are looked at.
    """
    left = []
    for each in owned:
        seq = next((row["seq"] for row in reversed(records) if _holds(row, each)), None)
        if seq is None:
            left.append(each)
        else:
            yield each.as_dict(seq)
    e = tables.event.c
    after = records[0]["seq"] if records else 0
    later = select(tables.event).where(e.seq > after, e.kind == "recorded").order_by(e.seq)
    for row in connection.execute(later).mappings() if left else ():
        held = [each for each in left if _holds(row, each)]
        if held:
            records.append(row)
            left = [each for each in left if each not in held]
            yield from (each.as_dict(row["seq"]) for each in held)
        if not left:
            return


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
                yield _Owned(name, owner, texts, audited.digest(texts))


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


def _holds(event: _Row, owned: _Owned) -> bool:
    """Whether an event ``recorded`` holds the digest of these rows."""
    for table, first, digests in prints.mentions(json.loads(event["body"]), bytes(event["rows"])):
        at = (owned.owner - first) * prints.LENGTH
        if table == owned.table and at >= 0 and digests[at : at + prints.LENGTH] == owned.digest:
            return True
    return False
