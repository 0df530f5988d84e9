"""The part of the tree that shows, with a seal alone, that the events of an archive were in the ledger.

An archive has the tables of the tree too. In them stand: the leaves of all other events in each tile that one of its
events is in, the tiles beside those, and the roots above. So the root of what was sealed can be made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from gateway.ledger import tree
from gateway.ledger.retention_units import ask
from gateway.ledger.tables import event, event_leaf, seal, tree_head, tree_node
from gateway.ledger.tree import LEVEL, TILE

_ABOVE = 2 * LEVEL  # the level of a block of tiles


def write_proof(home: Connection, archive: Connection, seqs: Sequence[int]) -> None:
    """Copies the tree's head, the seals, and what the events need, into an archive that has these events.

    Args:
        home: of the ledger, in which the events still are.
        archive: of the archive, within a writing transaction.
        seqs: the numbers of the events, in their order.
    """
    head = home.execute(select(tree_head)).mappings().one()
    archive.execute(delete(tree_head))
    archive.execute(insert(tree_head), dict(head))
    sealed = home.execute(select(seal).where(seal.c.size <= head["size"]).order_by(seal.c.size)).mappings().all()
    if sealed:
        archive.execute(insert(seal), [dict(row) for row in sealed])
    tiles = _tiles_of(home, seqs, head)
    ends = {head["size"] // TILE, *({sealed[-1]["size"] // TILE} if sealed else ())}  # tiles that are not complete
    _write_nodes(home, archive, {tile >> LEVEL for tile in tiles | ends})
    mine = set(seqs)
    for tile in sorted(tiles | ends):
        first, count = _first(home, tile, head), min(TILE, head["size"] - tile * TILE)
        leaves = tree.tile_leaves(home, first, count) if count > 0 else []
        others = [{"seq": seq, "leaf": leaf} for seq, leaf in leaves if seq not in mine]
        if others:
            archive.execute(insert(event_leaf), others)


def problems_of(archive: Connection, seqs: Sequence[int]) -> Iterator[str]:
    """Where the tree in an archive does not add up over its events, a sentence each."""
    head = archive.execute(select(tree_head)).mappings().one()
    kept = {(row.level, row.position): row for row in archive.execute(select(tree_node))}
    for tile in sorted(_tiles_of(archive, seqs, head)):
        first, count = _first(archive, tile, head), min(TILE, head["size"] - tile * TILE)
        leaves = [leaf for _, leaf in tree.tile_leaves(archive, first, count)]
        if count < TILE:
            wanted = bytes(head["checks"])
            fits = b"".join(leaf[: tree.CHECK] for leaf in leaves) == wanted
        else:
            fits = tree.root_over(leaves) == bytes(kept[LEVEL, tile].hash)
        if not fits:
            yield f"The events of tile {tile} (event {first} and after) are not those that were recorded."
    for (level, position), row in kept.items():
        below = [kept.get((level - LEVEL, (position << LEVEL) + each)) for each in range(TILE)]
        whole = [bytes(each.hash) for each in below if each is not None]
        if level > LEVEL and len(whole) == TILE and tree.root_over(whole) != bytes(row.hash):
            yield f"The tree does not add up at level {level}, position {position}."


def _tiles_of(connection: Connection, seqs: Sequence[int], head: Any) -> set[int]:
    """The tiles that events are in."""
    n = tree_node.c
    firsts = connection.execute(select(n.first_seq, n.position).where(n.level == LEVEL).order_by(n.first_seq)).all()
    ends = [*((row.first_seq, row.position) for row in firsts), (head["first_seq"], head["size"] // TILE)]
    found, at = set[int](), 0
    for seq in seqs:
        while at + 1 < len(ends) and ends[at + 1][0] <= seq:
            at += 1
        found.add(int(ends[at][1]))
    return found


def _first(connection: Connection, tile: int, head: Any) -> int:
    n = tree_node.c
    row = connection.execute(select(n.first_seq).where(n.level == LEVEL, n.position == tile)).scalar()
    return int(row if row is not None else head["first_seq"])


def _write_nodes(home: Connection, archive: Connection, blocks: set[int]) -> None:
    n = tree_node.c
    above = home.execute(select(tree_node).where(n.level >= _ABOVE)).mappings().all()
    rows = [dict(row) for row in above]
    for block in sorted(blocks):
        first = block << LEVEL
        within = select(tree_node).where(n.level == LEVEL, n.position.between(first, first + TILE - 1))
        rows += [dict(row) for row in home.execute(within).mappings()]
    if rows:
        archive.execute(insert(tree_node), rows)


def seqs_in(archive: Connection) -> list[int]:
    """The numbers of the events of an archive, in their order."""
    return list(archive.execute(select(event.c.seq).order_by(event.c.seq)).scalars())


def leaves_at_home(home: Connection, seqs: Sequence[int]) -> dict[int, bytes]:
    """The leaves of events as the ledger has them: of those that are there, and of those that were put away."""
    found = {row.seq: bytes(row.leaf) for row in ask(home, select(event_leaf), event_leaf.c.seq, seqs)}
    for row in ask(home, select(event), event.c.seq, seqs):
        found[row.seq] = tree.leaf(row._mapping)  # noqa: SLF001 - SQLAlchemy's public accessor
    return found
