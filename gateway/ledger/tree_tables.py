"""The tables that make the ledger tamper-evident: the Merkle tree over its events, and the seals (see ``tree``)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table, Text

from gateway.ledger.columns import metadata
from gateway.ledger.columns import number_column as _number
from gateway.ledger.columns import text_column as _text

# How far the tree has come: one row. Whoever appends to the tree holds this row until the commit.
tree_head = Table(
    "tree_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("size", BigInteger, nullable=False),  # leaves
    Column("next_seq", BigInteger, nullable=False),  # of the next event
    Column("frontier", LargeBinary, nullable=False),  # roots of the complete subtrees, the biggest first, 32 bytes each
    Column("checks", LargeBinary, nullable=False),  # of the tile that is not complete: see tree_node
    Column("first_seq", BigInteger, nullable=False),  # of that tile
    _number("adopted"),  # 1: what was there before the tree is in it
)

# The roots of complete subtrees of 256 leaves (level 8, a tile), of 256 tiles (level 16) and so on.
tree_node = Table(
    "tree_node",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    Column("first_seq", BigInteger, nullable=False),  # the first event of a tile; 0 above
    Column("checks", LargeBinary, nullable=False),  # of a tile: 4 bytes of each leaf, to name the one that is wrong
    sqlite_with_rowid=False,
)

# The leaf of an event that was put away in order: the event is gone, the tree still adds up.
event_leaf = Table(
    "event_leaf",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("leaf", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# What was signed and when. The copies outside of the database are what counts; this is where they can be had again.
seal = Table(
    "seal",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),  # leaves that it covers
    Column("seq", BigInteger, nullable=False),  # the last event that it covers
    Column("at", BigInteger, nullable=False),
    Column("note", Text, nullable=False),  # the signed note as it was written outside
    _text("by"),
)

# While a row is here, within one transaction, events and raw bytes may be removed: put away in order, never otherwise.
retention_permit = Table(
    "retention_permit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("reason", Text, nullable=False),
)
