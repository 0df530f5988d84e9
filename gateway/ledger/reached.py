"""How far a ledger has come: its newest event, the next number of every series, and the head of its tree.

Two copies of a ledger are compared by it: one holds the other's history, or it does not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from msgspec import Struct, field
from sqlalchemy import Connection, func, inspect, select

from gateway.ledger import tables, tree


class Mark(Struct, frozen=True):
    """An event, and what tells it from one of the same number in another history. ``seq`` 0: no event."""

    seq: int = 0
    at: int = 0  # ms since 1970 UTC
    mark: str = ""


class Reached(Struct, frozen=True):
    """How far a ledger had come at one moment. Without a tree (a ledger from before there was one) ``size`` is 0."""

    newest: Mark = field(default_factory=Mark)
    numbers: Mapping[str, int] = field(default_factory=dict)  # JSON list of partner, ours, theirs, level → next
    size: int = 0  # leaves of the tree
    root: str = ""  # of the tree, hexadecimal


def reached(connection: Connection) -> Reached:
    """How far the ledger has come, as this transaction sees it."""
    newest_event, next_numbers = newest(connection), numbers(connection)
    if not inspect(connection).has_table(tables.tree_head.name):
        return Reached(newest_event, next_numbers)
    head = tree.head_of(connection)
    return Reached(newest_event, next_numbers, head.size, head.root.hex())


def holds(connection: Connection, earlier: Reached) -> bool:
    """Whether the history that was ``reached`` is the beginning of this ledger's, or all of it."""
    if not earlier.newest.seq:
        return True
    if not earlier.size or not inspect(connection).has_table(tables.tree_head.name):
        return marked(connection, earlier.newest.seq).mark == earlier.newest.mark
    size = tree.head_of(connection).size
    if size < earlier.size:
        return False
    try:
        return tree.Nodes(connection, size).root(earlier.size).hex() == earlier.root
    except LookupError:
        return False


def numbers(connection: Connection) -> dict[str, int]:
    """The next number of every series of ours: JSON list of partner, ours, theirs, level → next."""
    table = tables.control_number
    rows = connection.execute(select(table.c.partner, table.c.ours, table.c.theirs, table.c.level, table.c.next))
    return {json.dumps([row.partner, row.ours, row.theirs, row.level]): row.next for row in rows}


def newest(connection: Connection) -> Mark:
    """The newest event."""
    seq = connection.execute(select(func.max(tables.event.c.seq))).scalar()
    return marked(connection, seq) if seq else Mark()


def marked(connection: Connection, seq: int) -> Mark:
    """Event ``seq`` with its mark; empty where there is none of that number."""
    e = tables.event
    row = connection.execute(select(e.c.at, e.c.kind, e.c.partner, e.c.body).where(e.c.seq == seq)).one_or_none()
    if row is None:
        return Mark()
    return Mark(seq, row.at, hashlib.sha256(json.dumps([seq, *row]).encode()).hexdigest())
