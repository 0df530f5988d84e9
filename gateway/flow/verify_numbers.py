"""Our control numbers, held against those that were used: none may come again unless a person said so.

Where a count stands is not digested, for it is work. But the exchanges that carry its numbers are, and whoever puts a
count elsewhere through the gateway makes an event of it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Select, bindparam, func, select, text

from gateway.flow.checkpoint import ahead_of
from gateway.ledger import bulk
from gateway.ledger.counters import counters
from gateway.ledger.literals import whole
from gateway.ledger.tables import CONFIGURATION, event, exchange, functional_group
from gateway.ledger.verify import Difference
from partners.numbering import LAST, next_number

Key = tuple[str, str, str, str]  # partner, ours, theirs, level

_NEWEST, _FEW = 2_000, 20  # exchanges of a partner that are looked at in full, and since a seal
_AT_ONCE = 500  # names in one question


class _Used(Struct, frozen=True):
    exchange: int
    number: int


def numbers(connection: Connection, *, full: bool) -> Iterator[Difference]:
    """Each count must be past the numbers of the newest exchanges, since it was last put elsewhere by a person."""
    standing = {(each.partner, each.ours, each.theirs, each.level): each.next for each in counters(connection)}
    put = _put(connection)
    partners = sorted({key[0] for key in standing} | {key[0] for key in put} | _partners(connection))
    for partner in partners:
        for key, used in sorted(_used(connection, partner, _NEWEST if full else _FEW).items()):
            seq, start = put.get(key, (0, None))
            later = _after(connection, used, seq) if seq else used
            known = [*([start] if start is not None else ()), *(next_number(each.number) for each in later)]
            if not known:
                continue
            furthest, found = ahead_of(known, 0), standing.get(key, 1)
            if not 1 <= found <= LAST or ahead_of((found, furthest), 0) != found:
                yield _behind(key, found, furthest)


def _behind(key: Key, found: int, furthest: int) -> Difference:
    partner, ours, theirs, level = key
    said = (
        f"The next {level} number to {partner} ({ours} to {theirs}) would be {found}, "
        f"and {(furthest - 2) % LAST + 1} was used: no event tells that the count was put back."
    )
    return Difference("configuration", f"{level} number {partner}", said)


def _put(connection: Connection) -> Mapping[Key, tuple[int, int]]:
    """Where each count was last put, and by which event."""
    e = event.c
    kinds = ("numbers-started", "numbers-jumped")
    wanted = select(e.seq, e.kind, e.partner, e.body).where(text(CONFIGURATION), e.kind.in_(kinds)).order_by(e.seq)
    found: dict[Key, tuple[int, int]] = {}
    for row in connection.execute(wanted):
        body = json.loads(row.body)
        key = (row.partner, body["ours"], body["theirs"], body["level"])
        found[key] = row.seq, body["next"] if row.kind == "numbers-started" else body["after"]
    return found


def _partners(connection: Connection) -> set[str]:
    """Who has exchanges: one step in the index for each."""
    partner = exchange.c.partner

    def after() -> Select[Any]:
        return select(func.min(partner)).where(partner > bindparam("last"))

    found: set[str] = set()
    last: str | None = ""
    while (last := bulk.asked(connection, "numbers: partner", after, {"last": last})[0][0]) is not None:
        found.add(last)
    return found


def _used(connection: Connection, partner: str, limit: int) -> Mapping[Key, Sequence[_Used]]:
    """The numbers that the newest exchanges of a partner carry."""
    x, g = exchange.c, functional_group.c
    names = (x.id, x.sender_qualifier, x.sender_id, x.receiver_qualifier, x.receiver_id, x.control_number)

    def newest() -> Select[Any]:
        mine = select(x.id).where(x.partner == bindparam("partner"))
        return mine.order_by(x.at.desc(), x.id.desc()).limit(whole(limit)).offset(whole(0))

    def ours() -> Select[Any]:
        return select(*names).where(bulk.among(connection, x.id, "ids"), x.direction == bindparam("direction"))

    def groups() -> Select[Any]:
        return select(g.exchange, g.control_number).where(bulk.among(connection, g.exchange, "ids"))

    found: dict[Key, list[_Used]] = defaultdict(list)
    last = bulk.asked(connection, ("numbers: newest", limit), newest, {"partner": partner})
    ids = bulk.listed(connection, (each for (each,) in last))
    pairs: dict[int, tuple[str, str]] = {}
    for number, *pair, written in bulk.asked(connection, "numbers: ours", ours, {"ids": ids, "direction": "out"}):
        if used := _number(written):
            pairs[number] = "{}:{}".format(*pair[:2]), "{}:{}".format(*pair[2:])
            found[partner, *pairs[number], "interchange"].append(_Used(number, used))
    ids = bulk.listed(connection, pairs)
    for owner, written in bulk.asked(connection, "numbers: groups", groups, {"ids": ids}) if pairs else ():
        if used := _number(written):
            found[partner, *pairs[owner], "group"].append(_Used(owner, used))
    return found


def _after(connection: Connection, used: Sequence[_Used], seq: int) -> list[_Used]:
    """Those of exchanges that began after an event: clocks may go back, events never do."""
    e, found = event.c, set[int]()
    ids = sorted({each.exchange for each in used})
    for start in range(0, len(ids), _AT_ONCE):
        wanted = select(e.exchange).where(e.exchange.in_(ids[start : start + _AT_ONCE]))
        began = wanted.group_by(e.exchange).having(func.min(e.seq) > seq)
        found.update(connection.execute(began).scalars())
    return [each for each in used if each.exchange in found]


def _number(written: Any) -> int:
    """The number, or 0 where it is none."""
    if not isinstance(written, str) or not written.isascii() or not written.isdigit() or len(written) > 9:
        return 0
    return int(written)
