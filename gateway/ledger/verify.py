"""Is the ledger what was recorded? Reads events, tree and rows, and names what is not.

In full, every event is made a leaf again and must fit the tree, and every audited row must agree with the latest
digest that an event holds of it (see ``prints``) and be the row still that was recorded first (see ``retold``). Since a
seal, only later events and the rows that they speak of are read. Whoever can write to the database can make a tree of
his own: a seal that is kept elsewhere tells (see ``seals``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, select

from gateway.ledger import prints, tables, tree
from gateway.ledger.garbage import without_collecting
from gateway.ledger.heads import head_of
from gateway.ledger.latest import Latest
from gateway.ledger.leaves import Leaf, Pages
from gateway.ledger.merkle import Frontier, subtrees
from gateway.ledger.retold import SAY_AT_MOST, Few, Odd, Retold, words
from gateway.ledger.scanning import Scanning, pieces
from gateway.ledger.seals import Seal
from gateway.ledger.strays import stray_events, stray_owners
from gateway.values import asdict

_TILES = 64

Progress = Callable[[str, int, int], None]
"""Told what is being read, how far it has come, and of how many."""


class Difference(Struct, frozen=True):
    """One thing that is not what was recorded.

    ``kind``: event, tree, row, content, profile, configuration or seal; ``reference``: the event's number, or the row
    as ``exchange 34``.
    """

    kind: str
    reference: str
    sentence: str

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


class Extent(Struct, frozen=True):
    """What a verification looked at."""

    events: int
    rows: int
    size: int  # leaves of the tree
    root: bytes


class Verification:
    """One look at the ledger, within one transaction that only reads.

    Iterate ``full`` or ``since``: each gives the differences as they are found. Then ``extent`` tells what was read.

    Args:
        connection: from ``gateway.ledger.database.reading``.
        progress: told from time to time.
        processes: how many may compute the digests of a big ledger.
    """

    def __init__(self, connection: Connection, progress: Progress = lambda *_: None, *, processes: int = 1) -> None:
        self._connection = connection
        self._progress = progress
        self._processes = processes
        self._head, self._wrong = head_of(connection)
        self._events = self._rows = 0
        self._tiles = Frontier()  # over the roots of complete tiles
        self._rest = Frontier()  # over the leaves after them
        self._retold = Retold(self._mail_of)

    @property
    def extent(self) -> Extent:
        """What was read so far, and the tree as it stands."""
        roots = Frontier(self._head.size, self._head.frontier)
        return Extent(self._events, self._rows, self._head.size, roots.root())

    @property
    def nodes(self) -> tree.Nodes:
        """The subtrees of the tree as it stands."""
        return tree.Nodes(self._connection, self._head.size, tail=self._head.first_seq)

    def _beginning(self, *, every: bool) -> Iterator[Difference]:
        """What is no part of a ledger: a head that is none, and whatever has a number that nothing ever gets."""
        if self._wrong:
            yield Difference("tree", "head", f"The head of the tree {self._wrong}.")
        for name, seq in stray_events(self._connection, every=every):
            what = "More events" if seq is None else f"Event {seq}" if name == "event" else f"The leaf of event {seq}"
            said = f"{what} {'were' if seq is None else 'was'} never recorded: no event has such a number."
            yield Difference("event", str(seq), said)
        for name, owner in stray_owners(self._connection, every=every):
            if owner is None:
                yield Difference("row", name, f"More rows of {name} were never recorded.")
            else:
                yield _row_difference(name, owner, found=True, recorded=False)

    # ------------------------------------------------------------ in full

    def full(self) -> Iterator[Difference]:
        """Every event, the whole tree, every audited row.

        Raises:
            DatabaseUnavailable: it cannot be read.
        """
        if not self._head.adopted:
            yield Difference("tree", "tree", "What was there before the tree was never taken into it: migrate again.")
        work = pieces(self._connection)
        with (
            without_collecting(),
            Latest() as latest,
            Scanning(self._connection, work, latest.found, self._processes) as scanning,
        ):
            yield from self._beginning(every=True)
            for each in self._tree(latest):
                scanning.go_on()
                if each is not None:
                    yield each
            tops = {name: last for name, _, last in work}
            for name, _, last in scanning.finish():
                self._progress(name, last, tops[name])
            yield from self._all_rows(latest)

    def _tree(self, latest: Latest) -> Iterator[Difference | None]:
        """All events against the tiles, and the tiles against the tree; None from time to time."""
        pages = Pages(self._connection, quick=True)
        for position, tile, end in self._kept_tiles():
            if tile is None:
                yield Difference("tree", f"tile {position}", f"Tile {position} of the tree is missing.")
                self._tiles.append(bytes(32))
                continue
            events = pages.until(end)
            yield from self._take(events, latest)
            if tree.root_over([each.hash for each in events]) != tree.kept_bytes(tile.hash) or len(events) != tree.TILE:
                yield from _named(self._again(events, end), tree.kept_bytes(tile.checks), position)
            # What follows is held against the tile as it is kept, so that one wrong event is one difference.
            for level, place, root in self._tiles.append_all([tree.kept_bytes(tile.hash)], tree.LEVEL):
                yield from self._upper(level + tree.LEVEL, place, root)
            yield None
        events = pages.until(self._head.next_seq)
        yield from self._take(events, latest)
        if b"".join(each.hash[: tree.CHECK] for each in events) != self._head.checks:
            events = self._again(events, self._head.next_seq)
            yield from _named(events, self._head.checks, self._tiles.size)
        self._rest.append_all([each.hash for each in events], tree.LEVEL)
        for event in pages.until(None):
            yield Difference("event", str(event.seq), f"Event {event.seq} was never recorded: it is not in the tree.")
        yield from self._whole()

    def _again(self, events: list[Leaf], end: int) -> list[Leaf]:
        """The same events with nobody's encoding but ours, to name what does not fit."""
        return Pages(self._connection, events[0].seq - 1).until(end) if events else events

    def _kept_tiles(self) -> Iterator[tuple[int, Row[*tuple[Any, ...]] | None, int]]:
        """The complete tiles: position, row (None where it is missing), and the event that the next one begins with."""
        n = tables.tree_node.c
        count = self._head.size // tree.TILE
        for start in range(0, count, _TILES):
            wanted = select(n.position, n.hash, n.first_seq, n.checks).where(
                n.level == tree.LEVEL, n.position.between(start, start + _TILES)
            )
            rows = self._connection.execute(wanted)
            found = {row.position: row for row in rows if isinstance(row.first_seq, int)}
            for position in range(start, min(start + _TILES, count)):
                after = found.get(position + 1)
                yield position, found.get(position), int(after.first_seq if after else self._head.first_seq)
            self._progress("events", self._events, self._head.size)

    def _upper(self, level: int, position: int, root: bytes) -> Iterator[Difference]:
        """The kept roots above the tiles must be those over the tiles."""
        n = tables.tree_node.c
        kept = self._connection.execute(select(n.hash).where(n.level == level, n.position == position)).scalar()
        if kept is None or tree.kept_bytes(kept) != root:
            yield Difference("tree", f"node {level}.{position}", f"Node {position} at level {level} does not add up.")

    def _whole(self) -> Iterator[Difference]:
        """The tree over what was read must be the one that the head tells of."""
        size = self._tiles.size * tree.TILE + self._rest.size
        if self._tiles.packed() + self._rest.packed() != self._head.frontier or size != self._head.size:
            yield Difference("tree", "head", f"The tree of {self._head.size} leaves is not the one over these events.")

    def _take(self, events: Sequence[Leaf], latest: Latest | Few) -> Iterator[Difference]:
        """What the events say of rows is noted down."""
        self._events += len(events)
        start = 0
        for place, event in enumerate(events):
            if event.rows is not None:
                yield from self._noted(event, event.rows, events[start:place], latest)
                start = place + 1
        self._retold.heard(events[start:])

    def _noted(self, event: Leaf, rows: bytes, before: Sequence[Leaf], latest: Latest | Few) -> Iterator[Difference]:
        """What an event says of rows and must not say of them; ``before`` it came others of its transaction."""
        try:
            for name, first, digests, cores in prints.runs(json.loads(event.body), rows):
                told = latest.note(name, first, digests, cores)
                if told is not None:
                    self._retold.heard(before)
                    before = ()
                    yield from map(_odd, self._retold.judge(event.seq, name, told))
        except (ValueError, RecursionError) as problem:
            yield _unreadable(event, problem)
        self._retold.recorded()

    def _mail_of(self, exchange: int) -> int | None:
        x = tables.exchange.c
        found: int | None = self._connection.execute(select(x.message).where(x.id == exchange)).scalar()
        return found

    # ------------------------------------------------------------ rows

    def _all_rows(self, latest: Latest) -> Iterator[Difference]:
        for name in prints.AUDITED:
            said = 0
            for page in latest.pages(name):
                self._rows += latest.count(name, page)
                for each in self._differing(latest, name, page):
                    said += 1
                    if said <= SAY_AT_MOST:
                        yield each
            if said > SAY_AT_MOST:
                yield Difference("row", name, f"{said - SAY_AT_MOST} more rows of {name} are not what was recorded.")
        yield from self._more()

    def _more(self) -> Iterator[Difference]:
        for name, said in self._retold.rest():
            yield Difference("row", name, said)

    def _differing(self, latest: Latest, name: str, page: int) -> Iterator[Difference]:
        """The rows that are not what was recorded; read again, for another process may have seen a later moment."""
        differing = dict(latest.differing(name, page))
        altered = dict(latest.altered(name, page))
        again = sorted(differing.keys() | altered.keys())
        now = prints.read(self._connection, prints.AUDITED[name], again) if again else {}
        for owner in again:
            whole, core = now[owner][: prints.LENGTH], now[owner][prints.LENGTH :]
            noted = differing.get(owner, whole)
            if whole != noted:
                yield _row_difference(name, owner, found=whole != prints.GONE, recorded=noted != prints.GONE)
            elif altered.get(owner, core) != core:
                yield from map(_odd, self._retold.now(name, owner))

    # ------------------------------------------------------------ since a seal

    def since(self, seal: Seal) -> Iterator[Difference]:
        """The tree at a seal, the events since, and the rows that they speak of; quick, whatever came before.

        Raises:
            DatabaseUnavailable: it cannot be read.
        """
        try:
            self._rest = self._sealed(seal, quick=True)
            if self._rest.root() != seal.root:
                self._rest = self._sealed(seal, quick=False)
        except LookupError as problem:
            yield Difference(
                "seal", str(seal.size), f"The tree that was sealed on {seal.time} is not there: {problem}."
            )
            return
        if self._rest.root() != seal.root:
            yield sealed_otherwise(seal)
        yield from self._beginning(every=False)
        latest = Few()
        for page in Pages(self._connection, seal.seq, quick=True).all():
            yield from self._later(page, latest)
        differences = list(self._whole())
        if differences:
            events = Pages(self._connection, self._head.first_seq - 1).until(self._head.next_seq)
            yield from _named(events, self._head.checks, self._head.size // tree.TILE)
        yield from differences
        yield from self._touched(latest)

    def _sealed(self, seal: Seal, *, quick: bool) -> Frontier:
        """The tree as it was then, as far as its events are there."""
        nodes = tree.Nodes(self._connection, self._head.size, quick=quick, tail=self._head.first_seq)
        return Frontier(seal.size, b"".join(nodes.subtree(level, place) for level, place in subtrees(0, seal.size)))

    def _later(self, page: Sequence[Leaf], latest: Few) -> Iterator[Difference]:
        self._rest.append_all([each.hash for each in page], tree.LEVEL)
        yield from self._take(page, latest)
        self._progress("events", self._events, self._head.size)

    def _touched(self, latest: Few) -> Iterator[Difference]:
        for name, noted in latest.latest.items():
            if name not in prints.AUDITED:
                continue
            audited, cores = prints.AUDITED[name], latest.cores[name]

            def differs(
                owner: int, now: bytes, noted: dict[int, bytes] = noted, cores: dict[int, bytes] = cores
            ) -> bool:
                core = now[prints.LENGTH :]
                return now[: prints.LENGTH] != noted[owner] or core != cores.get(owner, core)

            now = prints.read(self._connection, audited, sorted(noted), quick=True)
            self._rows += len(now)
            if again := sorted(owner for owner, digest in now.items() if differs(owner, digest)):
                now = prints.read(self._connection, audited, again)
            for owner in again:
                whole, told = now[owner][: prints.LENGTH], noted[owner]
                if whole != told:
                    yield _row_difference(name, owner, found=whole != prints.GONE, recorded=told != prints.GONE)
                elif differs(owner, now[owner]):
                    yield from map(_odd, self._retold.now(name, owner))
        yield from self._more()


def _named(events: Sequence[Leaf], checks: bytes, position: int) -> Iterator[Difference]:
    """Which event of a tile is not what it was; with four bytes of each leaf a guess can hardly fail."""
    wanted = [checks[at : at + tree.CHECK] for at in range(0, len(checks), tree.CHECK)]
    found = [each.hash[: tree.CHECK] for each in events]
    place = next((at for at, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), None)
    if place is None and len(found) == len(wanted):
        yield Difference("tree", f"tile {position}", f"Tile {position} of the tree is not the one over its events.")
        return
    place = min(len(found), len(wanted)) if place is None else place
    before = f"after event {events[place - 1].seq}" if place else "at its beginning"
    if place < len(found) and found[place + 1 : place + 3] == wanted[place : place + 2] and len(found) > len(wanted):
        yield Difference("event", str(events[place].seq), f"Event {events[place].seq} was never recorded.")
    elif place >= len(found) or (
        len(found) < len(wanted) and found[place : place + 2] == wanted[place + 1 : place + 3]
    ):
        missing = len(wanted) - len(found)
        yield Difference("event", f"{before}", f"{missing} event(s) {before} are missing (tile {position}).")
    else:
        yield Difference("event", str(events[place].seq), f"Event {events[place].seq} is not what was recorded.")


def _odd(odd: Odd) -> Difference:
    name, owner, sentence = odd
    return Difference("row", words(name, owner), sentence)


def _row_difference(name: str, owner: object, *, found: bool, recorded: bool) -> Difference:
    what = words(name, owner)
    if found and recorded:
        said = "is not what was recorded"
    elif found:
        said = "was never recorded, or was removed and has come back"
    else:
        said = "is missing: it was recorded, and never removed in order"
    return Difference("row", what, f"{what[0].upper()}{what[1:]} {said}.")


def _unreadable(event: Leaf, problem: Exception) -> Difference:
    return Difference("event", str(event.seq), f"Event {event.seq} cannot be read: {problem}.")


def sealed_otherwise(seal: Seal) -> Difference:
    """The tree is not the one that was sealed."""
    said = f"The first {seal.size} events (up to event {seal.seq}) are not those that were sealed on {seal.time}."
    return Difference("seal", str(seal.size), said)
