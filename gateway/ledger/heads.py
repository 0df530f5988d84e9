"""The head of the tree as a verification goes by it: the one that is kept, or, where that is none, one made anew.

A head that is gone or says what cannot be is a difference. So that the rest can be looked at, the tree is then taken
to be the one over the events that are there.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from gateway.ledger import tables, tree
from gateway.ledger.leaves import Leaf, Pages
from gateway.ledger.merkle import Frontier

_TOO_MANY = 1_000_000  # leaves more than events: no tree from which some were removed


def head_of(connection: Connection) -> tuple[tree.HeadRow, str]:
    """The head, and what is wrong with it: empty where it is one."""
    found, wrong = _kept(connection)
    if found is not None and not wrong:
        return found, ""
    return _made(connection), wrong


def _kept(connection: Connection) -> tuple[tree.HeadRow | None, str]:
    try:
        row = connection.execute(select(*(tables.tree_head.c[name] for name in tree.HeadRow._fields))).first()
    except DBAPIError:  # bytes that are no text, where neither should be
        if connection.dialect.name != "sqlite":
            raise
        return None, "is not one"
    if row is None:
        return None, "is missing"
    found = tree.HeadRow(*row)
    return found, "is not one" if not _is_shaped(found) else _contradiction(connection, found)


def _is_shaped(head: tree.HeadRow) -> bool:
    """Whether its values are of the kind that they should be: SQLite keeps any value in any column."""
    numbers = (head.size, head.next_seq, head.first_seq)
    whole = all(isinstance(each, int) and each >= 0 for each in numbers)
    return whole and isinstance(head.frontier, bytes) and isinstance(head.checks, bytes)


def _contradiction(connection: Connection, head: tree.HeadRow) -> str:
    """What cannot be true of it, whatever became of the events."""
    try:
        Frontier(head.size, head.frontier)
    except ValueError:
        return f"does not fit a tree of {head.size} leaves"
    if head.size > _TOO_MANY:
        counted = (select(func.count()).select_from(each) for each in (tables.event, tables.event_leaf))
        there = sum(connection.execute(each).scalar_one() for each in counted)
        if head.size > there + _TOO_MANY:
            return f"tells of {head.size} events, and there are {there}"
    last = tree.tile_leaves(connection, head.first_seq, head.size % tree.TILE, quick=True)
    if last and b"".join(each[: tree.CHECK] for _, each in last) == head.checks and last[-1][0] + 1 != head.next_seq:
        return f"says that event {head.next_seq} comes next, and {last[-1][0]} is the last in it"
    return ""


def _made(connection: Connection) -> tree.HeadRow:
    """The head of a tree over all events that are there."""
    frontier, seq = Frontier(), 0
    tail: list[Leaf] = []
    for page in Pages(connection, quick=True).all():
        frontier.append_all([each.hash for each in page], tree.LEVEL)
        tail = [*tail, *page][-tree.TILE :]
        seq = page[-1].seq
    left = frontier.size % tree.TILE
    last = tail[len(tail) - left :] if left else []
    first_seq = last[0].seq if last else seq + 1
    checks = b"".join(each.hash[: tree.CHECK] for each in last)
    return tree.HeadRow(frontier.size, seq + 1, frontier.packed(), checks, first_seq, 1)
