"""The Merkle tree over all events (RFC 6962): what was written once cannot be changed unseen.

Events get their numbers when their transaction ends, in the order of the commits, and become leaves of the tree in
the same transaction. Whoever appends holds the head of the tree until the commit, so the last thing that a
transaction does is to append.

Kept are the roots of complete subtrees of 256 leaves (tiles), 65,536 leaves and so on, and of each leaf four bytes, to
name the one that is wrong. A leaf itself is made again from its event whenever it is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple

from msgspec import Struct
from sqlalchemy import BigInteger, Connection, Select, Table, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from gateway.ledger import bulk, prints, tables
from gateway.ledger.literals import whole
from gateway.ledger.merkle import EMPTY, Frontier, root_of
from gateway.ledger.plain_json import compact
from gateway.ledger.quick_json import compact_any
from gateway.ledger.ready import Ready
from gateway.ledger.strays import LAST

TILE = 256  # leaves
LEVEL = 8  # of a tile; 16, 24 … are kept too
CHECK = 4  # bytes that are kept of each leaf
_ADOPTED_AT_ONCE = 1_000  # rows that one event speaks of when a ledger from before the tree is taken in

# The columns that a leaf is made of, in this order; then the digests of rows, where there are any.
LEAF = ("seq", "at", "kind", "exchange", "message", "partner", "actor", "body")
_COLUMNS = (*LEAF, "rows")
_row = itemgetter(*_COLUMNS)


_HEAD_ROW = Ready("tree_head", lambda _: select(tables.tree_head))
_NODES = Ready(
    "nodes of the tree",
    lambda _: select(tables.tree_node.c.position, tables.tree_node.c.hash, tables.tree_node.c.first_seq).where(
        tables.tree_node.c.level == bindparam("level"),
        tables.tree_node.c.position.between(bindparam("first"), bindparam("last")),
    ),
)
_EVENTS = Ready("events from one on", lambda _: _from(tables.event, *_COLUMNS))
_AWAY = Ready("leaves from one on", lambda _: _from(tables.event_leaf, "seq", "leaf"))


def _from(table: Table, *names: str) -> Select[Any]:
    """The first ``count`` rows from number ``first`` on; in SQLite a text would come after all numbers."""
    seq, count = table.c.seq, bindparam("count", type_=BigInteger)
    wanted = select(*(table.c[name] for name in names)).where(seq >= bindparam("first"), seq <= whole(LAST))
    return wanted.order_by(seq).limit(count).offset(whole(0))


class Head(Struct, frozen=True):
    """The tree as it stands: how many leaves, its root, and the newest event in it."""

    size: int
    root: bytes
    seq: int


class HeadRow(NamedTuple):
    """The row of ``tree_head``."""

    size: int
    next_seq: int
    frontier: bytes
    checks: bytes
    first_seq: int
    adopted: int


_HEAD = tuple(tables.tree_head.c[name] for name in HeadRow._fields)


def leaf(event: Any) -> bytes:
    """The leaf hash of an event from its row."""
    return leaf_of([event[name] for name in LEAF], event["rows"])


def leaf_of(values: Sequence[Any], rows: bytes | None) -> bytes:
    """The leaf hash of an event: SHA-256(0x00 ‖ JSON list of the columns ``LEAF`` [‖ LF ‖ digests of rows])."""
    return leaf_of_encoded(compact_any(values), rows)


def leaf_of_encoded(data: bytes, rows: bytes | None) -> bytes:
    """The same, where the list is JSON already."""
    return hashlib.sha256(b"\0" + data if rows is None else b"\0%b\n%b" % (data, kept_bytes(rows))).digest()


def kept_bytes(value: object) -> bytes:
    """Bytes as they are; what somebody wrote in their place is other bytes, so that a hash is another one."""
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    return repr(value).encode(errors="backslashreplace")


def root_over(leaves: Sequence[bytes]) -> bytes:
    """The root of a tree over these leaf hashes."""
    sha256 = hashlib.sha256
    nodes = leaves
    while len(nodes) > 1:  # an odd one stands for itself a level higher: so do RFC 6962's halves
        odd = nodes[-1:] if len(nodes) & 1 else ()
        nodes = [*(sha256(b"\1" + a + b).digest() for a, b in zip(nodes[::2], nodes[1::2], strict=False)), *odd]
    return nodes[0] if nodes else EMPTY


def append(connection: Connection, events: Sequence[dict[str, Any]]) -> None:
    """Writes events, in their order, and makes them leaves of the tree. To be the last act of a transaction.

    Args:
        connection: within a writing transaction.
        events: rows of ``event`` whose ``seq`` is given here.
    """
    head = _locked(connection)
    values, leaves = [], []
    for seq, event in enumerate(events, head.next_seq):
        event["seq"] = seq
        row = _row(event)
        values.append(row)
        leaves.append(leaf_of(row[:-1], row[-1]))
    bulk.append_values(connection, tables.event, _COLUMNS, values)
    _grow(connection, head, leaves, range(head.next_seq, head.next_seq + len(events)))


def head_of(connection: Connection) -> Head:
    """The tree as this transaction sees it."""
    row = connection.execute(select(tables.tree_head)).one()
    return Head(row.size, Frontier(row.size, bytes(row.frontier)).root(), row.next_seq - 1)


def _locked(connection: Connection) -> HeadRow:
    (row,) = bulk.asked(connection, "tree_head locked", lambda: select(*_HEAD).with_for_update(), {})
    return HeadRow(*row)


def _grow(connection: Connection, head: HeadRow, leaves: Sequence[bytes], seqs: Sequence[int]) -> None:
    """Leaves are added to the tree; ``seqs`` are the numbers of their events."""
    frontier = Frontier(head.size, bytes(head.frontier))
    checks = bytes(head.checks) + b"".join(each[:CHECK] for each in leaves)
    started = head.size - head.size % TILE  # the first leaf of the tile that was not complete

    def first_seq(index: int) -> int:
        """The event that is the first leaf of a tile."""
        return int(head.first_seq) if index < head.size else seqs[index - head.size]

    nodes = []
    for level, position, root in frontier.append_all(leaves, LEVEL):
        node = {"level": level, "position": position, "hash": root, "first_seq": 0, "checks": b""}
        if level == LEVEL:
            first = position * TILE
            at = (first - started) * CHECK
            node |= {"first_seq": first_seq(first), "checks": checks[at : at + TILE * CHECK]}
        nodes.append(node)
    if nodes:
        bulk.write(connection, "tree_node", tables.tree_node.insert, nodes)
    left = frontier.size % TILE
    moved = {
        "size": frontier.size,
        "next_seq": seqs[-1] + 1,
        "frontier": frontier.packed(),
        "checks": checks[len(checks) - left * CHECK :],
        "first_seq": first_seq(frontier.size - left) if left else seqs[-1] + 1,
    }
    bulk.write(connection, "tree_head", tables.tree_head.update, [moved])


# ---------------------------------------------------------------- reading


class Nodes:
    """The subtrees of the tree as they are kept, for proofs and roots; leaves are made again from their events.

    Args:
        connection: within a transaction.
        size: leaves of the tree.
        quick: as in ``tile_leaves``.
        tail: the first event of the tile that is not complete; None: the kept head says it.
    """

    def __init__(self, connection: Connection, size: int, *, quick: bool = False, tail: int | None = None) -> None:
        self._connection = connection
        self._size = size
        self._quick = quick
        self._tail = tail
        self._kept: dict[tuple[int, int], bytes] = {}
        self._leaves: dict[int, list[bytes]] = {}

    def subtree(self, level: int, position: int) -> bytes:
        """The root of a complete subtree (see ``merkle.Subtree``).

        Raises:
            LookupError: the ledger does not have it.
        """
        if level < LEVEL:
            first = position << level
            leaves = self._tile(first // TILE)[first % TILE :][: 1 << level]
            if len(leaves) < 1 << level:
                raise LookupError(f"leaves {first} to {first + (1 << level) - 1} are not all there")
            return root_of(1 << level, _complete(leaves))
        if level % LEVEL == 0:
            return self._node(level, position)
        below = level - level % LEVEL
        count = 1 << (level - below)
        first = position << (level - below)
        self._load(below, first, count)
        return root_of(count, _complete([self._node(below, first + each) for each in range(count)]))

    def root(self, size: int) -> bytes:
        """The root of the first ``size`` leaves.

        Raises:
            LookupError: as ``subtree``.
        """
        return root_of(size, self.subtree)

    def seq_of(self, index: int) -> int:
        """The number of the event that is leaf ``index``.

        Raises:
            LookupError: it is not there.
        """
        first = _first_of(self._connection, index // TILE)
        found = [seq for seq, _ in tile_leaves(self._connection, first, TILE)]
        if index % TILE >= len(found):
            raise LookupError(f"leaf {index} is not there")
        return found[index % TILE]

    def index_of(self, seq: int) -> int:
        """The leaf that an event is.

        Raises:
            LookupError: it is none.
        """
        n = tables.tree_node.c
        row = self._connection.execute(
            select(n.position, n.first_seq)
            .where(n.level == LEVEL, n.first_seq <= seq)
            .order_by(n.position.desc())
            .limit(1)
        ).one_or_none()
        position, first = (row.position, row.first_seq) if row else (0, _first_of(self._connection, 0))
        for number in (position, position + 1):  # the last complete tile, or the one that is not complete
            first = first if number == position else _first_of(self._connection, number)
            for offset, (each, _) in enumerate(tile_leaves(self._connection, first, TILE)):
                if each == seq:
                    return int(number * TILE + offset)
        raise LookupError(f"event {seq} is not in the tree")

    def _tile(self, number: int) -> list[bytes]:
        if number not in self._leaves:
            wanted = min(TILE, self._size - number * TILE)
            first = _first_of(self._connection, number, self._tail)
            leaves = tile_leaves(self._connection, first, wanted, quick=self._quick)
            self._leaves[number] = [found for _, found in leaves]
        return self._leaves[number]

    def _node(self, level: int, position: int) -> bytes:
        if (level, position) not in self._kept:
            self._load(level, position, 1)
        if (level, position) not in self._kept:
            raise LookupError(f"the subtree at level {level}, position {position} is not there")
        return self._kept[level, position]

    def _load(self, level: int, first: int, count: int) -> None:
        for row in _NODES.rows(self._connection, level=level, first=first, last=first + count - 1):
            self._kept[level, row["position"]] = kept_bytes(row["hash"])


def _complete(leaves: Sequence[bytes]) -> Callable[[int, int], bytes]:
    """The subtrees over these leaves, whose number is a power of two."""

    def subtree(level: int, position: int) -> bytes:
        return root_over(leaves[position << level :][: 1 << level])

    return subtree


def _first_of(connection: Connection, tile: int, tail: int | None = None) -> int:
    """The first event of a tile; ``tail`` is that of the one that is not complete, where it is known.

    Raises:
        LookupError: nothing says it.
    """
    row = _NODES.row(connection, level=LEVEL, first=tile, last=tile)
    if row is None and tail is not None:
        return tail
    found = (row or _HEAD_ROW.rows(connection)[0])["first_seq"]
    if not isinstance(found, int):
        raise LookupError(f"tile {tile} does not say where it begins")  # noqa: TRY004 - as where it is missing
    return found


def tile_leaves(connection: Connection, first: int, count: int, *, quick: bool = False) -> list[tuple[int, bytes]]:
    """The numbers and leaf hashes of ``count`` events from number ``first`` on, those put away in order included.

    ``quick``: SQLite encodes them, where it writes every character as we do; not for whoever has found that they do not
    fit the tree.
    """
    found: list[tuple[int, bytes]] = []
    if quick and connection.dialect.name == "sqlite" and prints.agrees():
        with suppress(DBAPIError):  # bytes where a text should be: we encode them
            rows = bulk.tuples(connection, f"{encoded_by_sqlite()} WHERE seq >= ? ORDER BY seq LIMIT ?", [first, count])
            found = [(seq, leaf_of_encoded(data, digests)) for seq, data, digests in rows]
    if not found:
        try:
            found = [(row["seq"], leaf(row)) for row in _EVENTS.rows(connection, first=first, count=count)]
        except DBAPIError:
            if connection.dialect.name != "sqlite":
                raise
            columns = ", ".join(map(sqlite.dialect().identifier_preparer.quote, _COLUMNS))
            sql = f"SELECT {columns} FROM event WHERE seq >= ? ORDER BY seq LIMIT ?"  # noqa: S608 - names of ours
            legible = bulk.legible(connection, sql, [first, count])
            found = [(row[0], leaf_of(row[:-1], row[-1])) for row in legible]
    found += [(row["seq"], kept_bytes(row["leaf"])) for row in _AWAY.rows(connection, first=first, count=count)]
    return sorted(found)[:count]


@cache
def encoded_by_sqlite() -> str:
    """SQL for each event's number, the list that its leaf is made of as JSON in UTF-8, and digests of rows."""
    quote = sqlite.dialect().identifier_preparer.quote
    columns = ", ".join(map(quote, LEAF))
    return f"SELECT seq, CAST(json_array({columns}) AS BLOB), {quote('rows')} FROM event"  # noqa: S608 - names of ours


# ---------------------------------------------------------------- putting away


@contextmanager
def permit(connection: Connection, reason: str) -> Iterator[None]:
    """Within the block, events and raw bytes may be removed; the permit goes with the block, and so with the commit."""
    table = tables.retention_permit
    connection.execute(insert(table).values(id=1, reason=reason))
    yield
    connection.execute(delete(table))


def forget_events(connection: Connection, seqs: Iterable[int]) -> int:
    """Removes events and keeps their leaves, so that the tree still adds up. Within ``permit``.

    Returns:
        How many there were.
    """
    e = tables.event
    wanted = sorted(set(seqs))
    count = 0
    for start in range(0, len(wanted), TILE):
        some = wanted[start : start + TILE]
        rows = connection.execute(select(e).where(e.c.seq.in_(some))).mappings().all()
        if rows:
            connection.execute(insert(tables.event_leaf), [{"seq": row["seq"], "leaf": leaf(row)} for row in rows])
            connection.execute(delete(e).where(e.c.seq.in_([row["seq"] for row in rows])))
        count += len(rows)
    return count


def recall_events(connection: Connection, events: Sequence[Any]) -> list[int]:
    """Puts events back in the place of their leaves. Within ``permit``.

    Args:
        connection: within a writing transaction.
        events: rows of ``event`` as they were.

    Returns:
        The numbers of those that are not what was put away; they stay away.
    """
    kept = tables.event_leaf
    refused = []
    for event in events:
        found = connection.execute(select(kept.c.leaf).where(kept.c.seq == event["seq"])).scalar()
        if found is None or bytes(found) != leaf(event):
            refused.append(event["seq"])
            continue
        connection.execute(delete(kept).where(kept.c.seq == event["seq"]))
        connection.execute(insert(tables.event).values({name: event[name] for name in (*LEAF, "rows")}))
    return refused


# ---------------------------------------------------------------- ledgers from before the tree


def adopt(connection: Connection, now: int) -> None:
    """Takes what was written before there was a tree into it, once: all events, and digests of all rows as they are."""
    head = _locked(connection)
    if head.adopted:
        return
    e = tables.event.c
    after = 0
    while (
        rows := connection.execute(select(tables.event).where(e.seq > after).order_by(e.seq).limit(10_000))
        .mappings()
        .all()
    ):
        after = rows[-1]["seq"]
        _grow(connection, _locked(connection), [leaf(row) for row in rows], [row["seq"] for row in rows])
    for event in _adopted(connection, now):
        append(connection, [event])
    connection.execute(update(tables.tree_head).values(adopted=1))


def _adopted(connection: Connection, now: int) -> Iterator[dict[str, Any]]:
    """Events that hold the digests of the rows that are there."""
    for name, audited in prints.AUDITED.items():
        owner = audited.table.c[audited.owner]
        highest = connection.execute(select(func.max(owner))).scalar() or 0
        for first in range(1, highest + 1, _ADOPTED_AT_ONCE):
            last = min(highest, first + _ADOPTED_AT_ONCE - 1)
            some = range(first, last + 1)
            found = prints.read(connection, audited, some, quick=True)
            told = list(found.values())
            if told != [audited.gone] * len(some):
                run, digests = prints.as_run(audited, first, told)
                yield recorded(now, compact({"rows": {name: [run]}}), digests)


def recorded(now: int, body: str, digests: bytes) -> dict[str, Any]:
    """The event that says which rows a transaction wrote (see ``prints``); its number is still to be given."""
    return {
        "seq": 0,
        "at": now,
        "kind": "recorded",
        "exchange": None,
        "message": None,
        "partner": "",
        "actor": "",
        "body": body,
        "rows": digests,
    }
