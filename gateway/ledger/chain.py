"""Following a business document across types: 850 → its 997 → 855 → 856 → 810 → 820, in and out, as one story.

The documents that carry the number that was asked for are found by it. Their other numbers (the invoice's on an 810,
the shipment's on an 856) lead to further ones: the 820 that pays the invoice does not name the order. So that this ends
where the story does:

* only documents of one partner count, unless all are asked for, and none more than ``WITHIN`` away in time;
* another value of a number that was asked for by name (the second order of a shipment) is another story;
* a document is left by another name than it was found by, and only where it has few values of that name: who follows
  an invoice comes to the payment, and not from there to the forty other invoices that it pays;
* a number that says nothing by itself (a release "1", the reference of a batch) or stands in very many documents leads
  nowhere; ``Chain.passed`` names it.

Everything is found by indexes, one short question a number; a common number costs no more than a rare one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field
from sqlalchemy import Connection, Engine, Row, Select, bindparam, func, or_, select

from gateway.ledger.chain_answers import with_answers
from gateway.ledger.chain_values import Chain, Document, Passed
from gateway.ledger.database import reading
from gateway.ledger.key_value import key_value
from gateway.ledger.literals import word
from gateway.ledger.tables import business_key, exchange, transaction_set
from gateway.ledger.work import taken_as_test

MOST = 200  # documents of one chain
DEPTH = 3  # numbers from what was asked for
WITHIN = 400 * 86_400_000  # ms: how far from the document that carries a number another one with the same may be
SHORTEST = 3  # characters of a number that leads further
COMMON = 50  # documents of the partner with one number: more of them are no story
FEW = 10  # values of one name in a document that are followed
_LOOKED_AT = 1_000  # documents with the number that was asked for that are looked at, the newest first
_VERY_COMMON = 300  # documents of everybody with one number: more of them are not even looked at
_NAMES = 30  # names that one value may have
_AT_ONCE = 40  # documents in one question
_KEYS = 200  # values of one name in a document that are told

# Names whose numbers are not unique by themselves: a batch's reference, a group, a release of a blanket order.
WEAK = frozenset({"reference", "group", "release", "original", "report", "catalog", "equipment"})
_NOTHING = frozenset({"N/A", "NONE", "NULL", "UNKNOWN", "TEST", "TBD", "VERBAL", "PHONE", "VARIOUS"})

_NAMED = re.compile(r"([a-z][a-z0-9_]*)=(.+)", re.DOTALL)

Key = tuple[str, str]  # name, value


def follow(
    engine: Engine,
    value: str,
    *,
    name: str | None = None,
    partner: str | None = None,
    all_partners: bool = False,
    most: int = MOST,
) -> Chain:
    """The chain of the documents around one number; without documents where nobody has it.

    Args:
        engine: the ledger.
        value: an order's number, a shipment's, a claim's … as it stands in the documents.
        name: what it is a number of (po, invoice, shipment, claim …); None: whatever has it.
        partner: whose documents; None: of the partner that had it last.
        all_partners: everybody's documents, as one story.
        most: at most so many documents.

    Raises:
        DatabaseUnavailable: with the reason.
    """
    asked = f"{name}={value}" if name else value
    kept = key_value(value.strip())
    if not kept or _is_no_text(kept + (name or "") + (partner or "")):
        return Chain(asked, partner or "", ())
    with reading(engine) as connection:
        search = _Search(connection, partner, all_partners=all_partners, most=most)
        search.begin(kept, [name] if name else list(_names(connection, kept)))
        for depth in range(DEPTH):
            if not search.further(depth):
                break
        documents = with_answers(connection, search.documents())
    return Chain(
        asked=asked,
        partner="" if all_partners else search.partner or "",
        documents=documents,
        followed=tuple(search.followed),
        passed=tuple(search.passed.values()),
        others=tuple(sorted(search.others)),
        cut=search.cut,
    )


def follow_written(engine: Engine, key: str, *, partner: str | None = None, all_partners: bool = False) -> Chain:
    """The chain of a number as people write it: NAME=VALUE, or a number (that may have an equals sign in it).

    Raises:
        DatabaseUnavailable: with the reason.
    """
    named = _NAMED.fullmatch(key)
    if named is not None:
        found = follow(engine, named[2], name=named[1], partner=partner, all_partners=all_partners)
        if found.documents:
            return found
    return follow(engine, key, partner=partner, all_partners=all_partners)


def _is_no_text(written: str) -> bool:
    """Whether no database can have it."""
    return "\0" in written or any("\ud800" <= each <= "\udfff" for each in written)


class _Found(Struct):
    """One document of the chain, and the names that it was found by."""

    row: Row[Any]
    via: Key
    depth: int
    names: set[str]
    keys: tuple[Key, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)  # of values, by name: it may have more than its keys tell


class _Search(Struct):
    connection: Connection
    partner: str | None
    all_partners: bool
    most: int
    found: dict[int, _Found] = field(default_factory=dict)  # by transaction set
    followed: dict[Key, None] = field(default_factory=dict)
    passed: dict[Key, Passed] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)  # names whose other values are other stories
    cut: bool = False

    def begin(self, value: str, names: list[str]) -> None:
        """The documents that carry what was asked for."""
        whose = None if self.all_partners else self.partner
        found = [self._having((name, value), whose) for name in names]
        self.cut = any(len(rows) >= _LOOKED_AT for rows in found)
        rows = sorted((row for each in found for row in each), key=lambda row: (row.at, row.transaction_set))
        if not self.all_partners:
            if self.partner is None and rows:
                self.partner = rows[-1].partner
            self.others = {row.partner for row in rows} - {self.partner}
            rows = [row for row in rows if row.partner == self.partner]
        for row in reversed(rows):  # where there are too many, the newest
            self._take(row, (row.name, row.value), 0)
        self.asked = {row.name for row in rows}
        self.followed = dict.fromkeys((row.name, row.value) for row in rows)
        self._read_keys()

    def further(self, depth: int) -> bool:
        """Finds what the numbers of the documents of one depth lead to; whether that is anything."""
        before = len(self.found)
        for key, (since, until) in self._leading(depth).items():
            if len(self.found) >= self.most:
                self.cut = True
                break
            count = self.connection.execute(_COUNT, {"the_name": key[0], "the_value": key[1]}).scalar_one()
            rows = self._having(key) if count <= _VERY_COMMON else []
            mine = [row for row in rows if self._counts(row) and since <= row.at <= until]
            if len(mine) > COMMON or count > _VERY_COMMON:
                many = f"{len(mine)} documents" if count <= _VERY_COMMON else f"more than {_VERY_COMMON} documents"
                self.passed[key] = Passed(*key, f"it stands in {many}")
                continue
            self.followed[key] = None
            for row in mine:
                self._take(row, key, depth + 1)
        self._read_keys()
        return len(self.found) > before

    def documents(self) -> list[Document]:
        """What was found, in time order."""
        found = sorted(self.found.values(), key=lambda each: (each.row.at, each.row.exchange, each.row.transaction_set))
        return [_document(each) for each in found]

    # ------------------------------------------------------------ inside

    def _having(self, key: Key, partner: str | None = None) -> list[Row[Any]]:
        """The documents with a key, the newest first; with ``partner`` only this one's."""
        given = {"the_name": key[0], "the_value": key[1]}
        if partner is None:
            return list(self.connection.execute(_BY_KEY, given))
        return list(self.connection.execute(_BY_KEY_OF_PARTNER, given | {"the_partner": partner}))

    def _counts(self, row: Row[Any]) -> bool:
        return self.all_partners or row.partner == self.partner

    def _take(self, row: Row[Any], via: Key, depth: int) -> None:
        known = self.found.get(row.transaction_set)
        if known is not None:
            known.names.add(via[0])
        elif len(self.found) >= self.most:
            self.cut = True
        else:
            self.found[row.transaction_set] = _Found(row, via, depth, {via[0]})

    def _leading(self, depth: int) -> dict[Key, tuple[int, int]]:
        """The keys of the documents of one depth that lead further, each with the times that it is followed in."""
        leading: dict[Key, tuple[int, int]] = {}
        for each in self.found.values():
            for key in self._ways_out(each) if each.depth == depth else ():
                since, until = leading.get(key, (each.row.at, each.row.at))
                leading[key] = min(since, each.row.at - WITHIN), max(until, each.row.at + WITHIN)
        return leading

    def _ways_out(self, each: _Found) -> Iterator[Key]:
        """The keys of a document that may lead to others."""
        by_name: dict[str, list[str]] = defaultdict(list)
        for name, value in each.keys:
            by_name[name].append(value)
        for name, values in by_name.items():
            if name in each.names | self.asked | WEAK:
                continue
            if len(values) > FEW:
                count = each.counts.get(name, len(values))
                self.passed.setdefault((name, ""), Passed(name, "", f"one {each.row.set_id} names {count} of them"))
                continue
            for key in ((name, value) for value in values):
                if key not in self.followed and key not in self.passed and not self._is_empty(key):
                    yield key

    def _is_empty(self, key: Key) -> bool:
        """Whether a number says nothing by itself."""
        value = key[1]
        says = len(value) >= SHORTEST and value.upper() not in _NOTHING and len(set(value)) > 1
        if not says:
            self.passed[key] = Passed(*key, "it says nothing by itself")
        return not says

    def _read_keys(self) -> None:
        """The keys of the documents that are new."""
        new = [each for each in self.found.values() if not each.keys]
        for start in range(0, len(new), _AT_ONCE):
            some = new[start : start + _AT_ONCE]
            keys: dict[int, set[Key]] = {each.row.transaction_set: {each.via} for each in some}
            for row in self.connection.execute(_keys_of(some)):
                keys[row.transaction_set].add((row.name, row.value))
                self.found[row.transaction_set].counts[row.name] = row.how_many
            for each in some:
                each.keys = tuple(sorted(keys[each.row.transaction_set]))


def _keys_of(some: list[_Found]) -> Select[Any]:
    """The keys of some documents, of each name the first ones: a payment may name thousands of invoices."""
    b = business_key.c
    of_name = (b.transaction_set, b.name)
    place = func.row_number().over(partition_by=of_name, order_by=b.value).label("place")
    how_many = func.count().over(partition_by=of_name).label("how_many")
    found = (
        select(b.transaction_set, b.name, b.value, place, how_many)
        .where(
            b.exchange.in_([each.row.exchange for each in some]),
            b.transaction_set.in_([each.row.transaction_set for each in some]),
        )
        .subquery()
    )
    return select(found).where(found.c.place <= _KEYS)


def _names(connection: Connection, value: str) -> Iterator[str]:
    """The names that a value has, each found by one step in the index."""
    b, last = business_key.c, ""
    for _ in range(_NAMES):
        wanted = select(func.min(b.name)).where(b.value == value, b.name > last)
        name: str | None = connection.execute(wanted).scalar()
        if name is None:
            return
        yield name
        last = name


def _by_key(*, of_partner: bool = False) -> Any:
    """The documents with one key, the newest first: the index gives the keys, their rows the rest."""
    b, s, x = business_key.c, transaction_set.c, exchange.c
    keys = select(b.value, b.name, b.transaction_set, b.exchange)
    keys = keys.where(b.value == bindparam("the_value"), b.name == bindparam("the_name"))
    if of_partner:  # else the newest might all be others'
        keys = keys.join(exchange, x.id == b.exchange).where(x.partner == bindparam("the_partner"))
    few = keys.order_by(b.value.desc(), b.name.desc(), b.transaction_set.desc()).limit(_LOOKED_AT).subquery("few")
    columns = (
        *(few.c.name, few.c.value, few.c.transaction_set, few.c.exchange),
        *(s.set_id, s.control_number, s.status, s.acknowledged, s.delivered_at),
        *(x.at, x.direction, x.partner, x.state, x.handed_over_at, x.duplicate_of),
        x.control_number.label("interchange"),
        or_(x.usage == word("T"), taken_as_test()).label("test"),
    )
    joined = few.join(transaction_set, s.id == few.c.transaction_set).join(exchange, x.id == few.c.exchange)
    return select(*columns).select_from(joined)


def _count() -> Any:
    """How many documents have a key, as far as that matters; the index alone tells."""
    b = business_key.c
    mine = select(b.transaction_set).where(b.value == bindparam("the_value"), b.name == bindparam("the_name"))
    return select(func.count()).select_from(mine.limit(_VERY_COMMON + 1).subquery())


_BY_KEY, _BY_KEY_OF_PARTNER, _COUNT = _by_key(), _by_key(of_partner=True), _count()


def _document(each: _Found) -> Document:
    row = each.row
    return Document(
        at=row.at,
        direction=row.direction,
        set_id=row.set_id,
        control_number=row.control_number,
        partner=row.partner,
        exchange=row.exchange,
        transaction_set=row.transaction_set,
        interchange=row.interchange,
        state=row.state,
        status=row.status,
        acknowledged=row.acknowledged,
        delivered_at=row.delivered_at,
        handed_over_at=row.handed_over_at,
        duplicate_of=row.duplicate_of,
        keys=each.keys,
        via=each.via,
        depth=each.depth,
        test=bool(row.test),
    )
