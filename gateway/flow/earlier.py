"""Earlier: what was submitted before under a key, and the names under which exchanges keep it.

An exchange keeps the key of its submission, the first of several the key itself, the others with ``#1``, ``#2`` … at
its end. There are two sorts of keys:

- One that somebody chose names one document, for one partner and one usage (ISA15), for ever.
- One that is made of the content says only that the same content went. It went only as what it went as: a test stands
  in the way of no document in earnest. And what a person cancelled went nowhere. Then the document goes again, under
  the next name of its key that is free.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from gateway.errors import KeyReused
from gateway.ledger import bulk, tables
from gateway.ledger.literals import word
from gateway.ledger.states import ExchangeState
from partners.model import Agreement, Direction, Partner, Status

_MOST = 100  # exchanges that one key has names for: agreements that a document is divided among, and repetitions
_ENDS_AS_A_NAME = re.compile(r"(.*)#\d+", re.DOTALL)
_OTHER_USAGE = "another usage: it went with ISA15 {usage}"


class Key(Struct, frozen=True):
    """By what a submission is known.

    ``words`` are the keys that it may have had; the first is that of a new one. What went before ``since`` (ms since
    1970 UTC) does not count. ``again`` is how keys begin under which the same content went knowingly once more.
    Whoever asks may have begun after event ``begun`` and been interrupted: what was submitted since then is his own.
    """

    words: tuple[str, ...]
    chosen: bool = False
    since: int = 0
    again: str = ""
    begun: int | None = None


class Carrier(Struct, frozen=True):
    """An exchange that was submitted under a key; ``agreement`` has the name that it has by now."""

    exchange: int
    at: int
    partner: str
    agreement: str
    usage: str
    state: str
    control_number: str
    key: str
    types: str
    versions: str
    seq: int  # of the event that tells of it
    document: str  # SHA-256 of what the business handed in


class Known(Struct, frozen=True):
    """What the ledger knows of a submission.

    ``carriers`` carry the document already: all of it where ``whole``, else what belongs to their agreements.
    ``own``: this very submission had come to its end before it was interrupted. ``taken`` are names, each with the
    exchange that has it.
    """

    carriers: tuple[Carrier, ...]
    whole: bool
    taken: dict[str, int]
    own: bool = False

    @property
    def agreements(self) -> frozenset[str]:
        """Under which agreements a part of the document went."""
        return frozenset(each.agreement for each in self.carriers)


def chosen(word: str) -> Key:
    """A key that somebody chose for a document."""
    return Key((word,), chosen=True)


def of_content(partner: str, document: str, now: int, window: int, *, again: bool) -> Key:
    """The key of content, known for ``window``; with ``again`` one that it never had.

    The time is counted in windows, so that content which is too old to count stands under a third key.

    Args:
        partner: whom it is for.
        document: its SHA-256.
        now: ms since 1970 UTC.
        window: in ms.
        again: it goes knowingly once more.
    """
    name = f"{partner}/{document}"
    if again:
        return Key((f"{name}/again/{now}",))
    words = (f"{name}/{now // window}", f"{name}/{now // window - 1}")
    return Key(words, since=now - window, again=f"{name}/again/")


def usage_for(partner: Partner, agreement: Agreement | None, was: str, *, test: bool = False) -> str:
    """ISA15 of what goes to a partner now; ``was``: what it was under an agreement that is gone."""
    if test or partner.status is Status.TESTING:
        return "T"
    return was if agreement is None else agreement.envelope.usage


def known(connection: Connection, partner: Partner, key: Key, document: str, *, name: str, test: bool = False) -> Known:
    """What was submitted before under a key.

    Args:
        connection: of the ledger.
        partner: whom the document is for.
        key: by what the submission is known.
        document: SHA-256 of the document.
        name: what the document is called in messages.
        test: it goes as a test, whatever the agreement says.

    Raises:
        KeyReused: the key was chosen for something else.
    """
    names = [each for word in key.words for each in _names(word)]
    found = {each.key: _by_now(partner, each) for each in _carriers(connection, names)}
    taken = {each.key: each.exchange for each in found.values()}
    if key.chosen:
        mine = _of_chosen(found, key.words[0], partner.key, document)
        for each in mine:
            _refuse_other_use(each, partner, key.words[0], document, name=name, test=test)
        return Known(mine, bool(mine), taken)
    rows = [each for each in found.values() if each.at >= key.since]
    own = [each for each in rows if key.begun is not None and each.seq > key.begun]
    if own:
        return Known(tuple(own), whole=True, taken=taken, own=True)
    counted = [each for each in rows if _counts(connection, each, _now(partner, each, test=test))]
    if rows and not counted and key.again:
        first = min(each.at for each in rows)
        meant = [_by_now(partner, each) for each in _again(connection, partner.key, key.again, first)]
        counted = [each for each in meant if _counts(connection, each, _now(partner, each, test=test))]
        return Known(tuple(counted), bool(counted), taken)
    missing = {each.agreement for each in rows} - {each.agreement for each in counted}
    return Known(tuple(counted), bool(counted) and not missing, taken)


def names_for(key: Key, number: int, before: Known, *, name: str) -> Iterator[str]:
    """Under which names the exchanges of a new submission keep its key.

    Args:
        key: of the submission.
        number: how many exchanges there are.
        before: what is known of the key.
        name: what the document is called in messages.

    Raises:
        KeyReused: there is no name left.
    """
    word = key.words[0]
    free = (each for each in _own_names(word) if key.chosen or each not in before.taken)
    for _ in range(number):
        found = next(free, None)
        if found is None or found in before.taken:
            exchange = max(before.taken.values()) if found is None else before.taken[found]
            raise KeyReused(name=name, key=word, other="another document", exchange=exchange)
        yield found


# ---------------------------------------------------------------- names


def _own_names(word: str) -> Iterator[str]:
    """The names of a key. One that looks like a name of another key has an ending always, so that no two are alike."""
    yield f"{word}#0" if _ENDS_AS_A_NAME.fullmatch(word) else word
    yield from (f"{word}#{number}" for number in range(1, _MOST))


def _names(word: str) -> Iterator[str]:
    """The names of a key, and those that tell whether a name that it had in older versions is its own."""
    yield from _own_names(word)
    alike = _ENDS_AS_A_NAME.fullmatch(word)
    if alike:
        yield from (word, alike[1], f"{alike[1]}#0")


def _of_chosen(found: dict[str, Carrier], word: str, partner: str, document: str) -> tuple[Carrier, ...]:
    """The exchanges of the one submission under a key; ``other#1`` may be a part of ``other``, or a key of its own."""
    first, *parts = (found.get(each) for each in _own_names(word))
    alike = _ENDS_AS_A_NAME.fullmatch(word)
    if first is None and alike:  # older versions gave it no ending
        first = found.get(word)
        if first is not None and any(_together(first, found.get(f"{alike[1]}{end}")) for end in ("", "#0")):
            first = None
    if first is None:
        mine = (each for each in parts if each is not None)
        return tuple(each for each in mine if (each.partner, each.document) == (partner, document))
    return (first, *(each for each in parts if each is not None and _together(each, first)))


def _together(one: Carrier, other: Carrier | None) -> bool:
    """Whether two exchanges came of one submission."""
    return other is not None and (one.at, one.partner, one.document) == (other.at, other.partner, other.document)


# ---------------------------------------------------------------- what counts


def _refuse_other_use(carrier: Carrier, partner: Partner, word: str, document: str, *, name: str, test: bool) -> None:
    other = ""
    if carrier.partner != partner.key:
        other = f"another partner, {carrier.partner}"
    elif carrier.document != document:
        other = "another document"
    elif carrier.usage != _now(partner, carrier, test=test):
        other = _OTHER_USAGE.format(usage=carrier.usage)
    if other:
        raise KeyReused(name=name, key=word, other=other, exchange=carrier.exchange)


def _by_now(partner: Partner, carrier: Carrier) -> Carrier:
    """An earlier exchange under the name that its agreement has by now: the same, or one that is about its sets."""
    if carrier.partner != partner.key:
        return carrier
    sets = product(carrier.types.split(), carrier.versions.split())
    agreement = partner.agreement_named(carrier.agreement, Direction.OUT, sets)
    return carrier if agreement is None else replace(carrier, agreement=agreement.name)


def _now(partner: Partner, carrier: Carrier, *, test: bool) -> str:
    """The usage that an earlier exchange would have if it were submitted now."""
    agreement = partner.agreement_named(carrier.agreement, Direction.OUT, ())
    return usage_for(partner, agreement, carrier.usage, test=test)


def _counts(connection: Connection, carrier: Carrier, usage: str) -> bool:
    """Whether an exchange, or what was sent in its place, is of that usage and was not cancelled."""
    ends = _ends(connection, carrier.exchange, carrier.state, carrier.usage)
    return any(state != ExchangeState.CANCELLED and each == usage for state, each in ends)


def _ends(connection: Connection, exchange: int, state: str, usage: str) -> Iterator[tuple[str, str]]:
    """State and usage of an exchange; of one that was superseded, of those that took its place."""
    x, e = tables.exchange.c, tables.event.c
    if state == ExchangeState.SUPERSEDED:
        asked = select(e.body).where(e.exchange == exchange, e.kind == "superseded").order_by(e.seq.desc()).limit(1)
        told = json.loads(connection.execute(asked).scalar() or "{}")
        numbers = [int(each) for each in str(told.get("by", "")).split(",") if each.strip().isdigit()]
        rows = connection.execute(select(x.id, x.state, x.usage).where(x.id.in_(numbers))).all()
        for row in rows:
            yield from _ends(connection, row.id, row.state, row.usage)
        if rows:
            return
    yield state, usage  # what took its place was put away: it counts as it is


# ---------------------------------------------------------------- asking


def _carriers(connection: Connection, names: Sequence[str]) -> Iterator[Carrier]:
    def statement() -> Select[Any]:
        return _submitted(bulk.among(connection, tables.exchange.c.idempotency_key, "names"))

    rows = bulk.asked(connection, "submitted under", statement, {"names": bulk.listed(connection, names)})
    return map(_carrier, rows)


def _again(connection: Connection, partner: str, beginning: str, since: int) -> Iterator[Carrier]:
    """What went knowingly once more; rarely asked, and found among what was sent to the partner since then."""
    x = tables.exchange.c
    same = func.substr(x.idempotency_key, 1, len(beginning)) == beginning
    return map(_carrier, connection.execute(_submitted(x.partner == partner, x.at >= since, same)))


def _submitted(*which: ColumnElement[bool]) -> Select[Any]:
    x, e = tables.exchange.c, tables.event.c
    of_exchange = (x.id, x.at, x.partner, x.agreement, x.usage, x.state, x.control_number, x.idempotency_key)
    columns = (*of_exchange, x.types, x.versions, e.seq, e.body)
    told = and_(e.exchange == x.id, e.kind == word("submitted"))
    return select(*columns).select_from(tables.exchange.join(tables.event, told)).where(*which).order_by(x.id)


def _carrier(row: Sequence[Any]) -> Carrier:
    *columns, body = row
    return Carrier(*(*columns, json.loads(body).get("document", "")))
