"""What an event may say of a row that an earlier one spoke of: not that it is another row, nor quietly that it is gone.

The core of a row stays what was told of it first (see ``audited``); rows that never change are told once. What becomes
of an exchange is told by an event of the same transaction that speaks of it, or of its mail. Gone is what a removal in
order names in the same transaction, by an event ``purged``. The number of a row that is gone may be given to another.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct, field

from gateway.ledger.audited import AUDITED, CORE, GONE, LENGTH, UNTOLD
from gateway.ledger.leaves import Leaf

SAY_AT_MOST = 20  # rows of one table that are said one by one
TOLD_OF = "exchange"  # of which nothing changes without an event that says why
_ROWS_OF = {"exchange": "exchanges", "message": "messages"}  # what an event "purged" names, by table

Odd = tuple[str, int, str]  # table, owner, and what is wrong, a sentence


class Retelling(Struct):
    """The owners of a run of which something else was told before.

    ``altered``: another core, or of a row that never changes anything else; ``gone``: they are gone now; ``again``:
    exchanges of which there is something to tell.
    """

    altered: list[int] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)


class Few:
    """The latest digest of some rows, in memory: those that a few events speak of."""

    def __init__(self) -> None:
        self.latest: dict[str, dict[int, bytes]] = defaultdict(dict)
        self.cores: dict[str, dict[int, bytes]] = defaultdict(dict)

    def note(self, name: str, first: int, digests: bytes, cores: bytes) -> Retelling | None:
        """The digests of a run of owners, later than what was noted before; None where nothing is to be judged."""
        found = Retelling()
        latest, kept = self.latest[name], self.cores[name]
        changes = name in AUDITED and AUDITED[name].core is not None
        for place in range(len(digests) // LENGTH):
            owner, digest = first + place, digests[place * LENGTH : (place + 1) * LENGTH]
            before = latest.get(owner)
            latest[owner] = digest
            if digest == GONE:
                kept.pop(owner, None)
                if before != GONE:
                    found.gone.append(owner)
                continue
            if name == TOLD_OF and before != digest:  # also where nobody knows what was before
                found.again.append(owner)
            if not changes:
                if before not in {None, GONE, digest}:
                    found.altered.append(owner)
            elif cores:
                core = cores[place * CORE : (place + 1) * CORE]
                if core != UNTOLD and kept.setdefault(owner, core) != core:
                    found.altered.append(owner)
        return found if found.altered or found.again or found.gone else None


class Retold:
    """Judges one event after the other, in their order.

    Args:
        mail_of: gives the mail of an exchange.
    """

    def __init__(self, mail_of: Callable[[int], int | None]) -> None:
        self._mail_of = mail_of
        self._purged: dict[str, list[tuple[int, int]]] = {}  # by this transaction: of each table, from … to
        self._exchanges: set[int] = set()  # that its events speak of
        self._mails: set[int] = set()
        self._away = False  # it had events that were put away
        self._said: Counter[str] = Counter()
        self._named: set[tuple[str, int]] = set()

    def heard(self, events: Sequence[Leaf]) -> None:
        """Events of a transaction whose event ``recorded`` follows."""
        for event in events:
            if event.exchange is not None:
                self._exchanges.add(event.exchange)
            if event.message is not None:
                self._mails.add(event.message)
            if event.away:
                self._away = True
            if event.body:
                self._put_away(event.body)

    def _put_away(self, body: str) -> None:
        try:
            said = json.loads(body)
            for name, word in _ROWS_OF.items():
                if word in said:
                    named = [(int(first), int(last)) for first, last in said[word]]
                    self._purged.setdefault(name, []).extend(named)
        except (ValueError, TypeError, AttributeError):
            return  # whatever it is, it names nothing

    def judge(self, seq: int, name: str, told: Retelling) -> Iterator[Odd]:
        """What is wrong with a run of an event ``recorded``."""
        for owner in told.altered:
            yield from self._odd(name, owner, f"Event {seq} records {words(name, owner)} anew as another one.")
        for owner in told.again:
            if (name, owner) not in self._named and not self._is_told(owner):
                said = f"Event {seq} records {words(name, owner)} anew, and no event tells what became of it."
                yield from self._odd(name, owner, said)
        for owner in told.gone:
            if not self._in_order(name, owner):
                said = f"Event {seq} records {words(name, owner)} as removed, and no removal in order is told with it."
                yield from self._odd(name, owner, said)

    def recorded(self) -> None:
        """An event ``recorded`` ends its transaction."""
        self._purged.clear()
        self._exchanges.clear()
        self._mails.clear()
        self._away = False

    def now(self, name: str, owner: int) -> Iterator[Odd]:
        """The row as it is now has another core than what was told first, although it is as it was recorded last."""
        said = f"{words(name, owner, capital=True)} is another one than what was recorded first, and was recorded anew."
        if (name, owner) not in self._named:
            yield from self._odd(name, owner, said)

    def rest(self) -> Iterator[tuple[str, str]]:
        """How many more there were of each table: its name and a sentence."""
        for name, count in self._said.items():
            if count > SAY_AT_MOST:
                yield name, f"{count - SAY_AT_MOST} more rows of {name} were recorded as what they were not before."

    def _odd(self, name: str, owner: int, said: str) -> Iterator[Odd]:
        self._said[name] += 1
        if self._said[name] <= SAY_AT_MOST:
            yield name, owner, said
        self._named.add((name, owner))

    def _is_told(self, exchange: int) -> bool:
        return exchange in self._exchanges or self._away or self._mail_of(exchange) in self._mails

    def _in_order(self, name: str, owner: int) -> bool:
        if name == "interchange_key":  # goes to the exchange that takes the number of one whose number is free
            return True
        named = "exchange" if name in AUDITED and not AUDITED[name].one_by_one else name
        if named not in _ROWS_OF:  # a part of something; which one, nobody can say any more
            return bool(self._purged)
        return any(first <= owner <= last for first, last in self._purged.get(named, ()))


def words(name: str, owner: object, *, capital: bool = False) -> str:
    """A row for people: exchange 34, finding of exchange 34."""
    audited = AUDITED.get(name)
    plain = name.replace("_", " ")
    said = f"{plain} {owner}" if audited is None or audited.one_by_one else f"{plain} of {audited.owner} {owner}"
    return f"{said[0].upper()}{said[1:]}" if capital else said
