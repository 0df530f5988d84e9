"""What is kept together and goes together: a mail with the exchanges that it carries, or an exchange without a mail.

A unit is judged by its age (see ``retention_policy``), and stays whatever its age while anything of it waits: for the
wire, for an answer, for the business, for a person; while it is left on its server; and while it is held.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import reduce
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, Select, Table, and_, or_, select

from gateway.ledger.alerts import CLOSED, RULE
from gateway.ledger.holds import Held, Hold, held, holds
from gateway.ledger.retention_policy import Policies, Spans
from gateway.ledger.states import EXCHANGE_ATTENTION, MessageState
from gateway.ledger.tables import (
    alert,
    claim,
    event,
    exchange,
    expectation,
    message,
    number_gap,
    outgoing,
    sighting,
    transaction_set,
)

Key = tuple[str, int]
"""Names a unit: ("m", its mail), or ("x", an exchange without one)."""

_CHUNK = 500  # values in one question
_UNDONE = (MessageState.STORED.value, MessageState.QUEUED.value, MessageState.QUARANTINED.value)
_FOR_A_PERSON = sorted(each.value for each in EXCHANGE_ATTENTION)


class Part(Struct, frozen=True):
    """One exchange of a unit. ``names``: the SHA-256 of the bytes that are its own."""

    id: int
    at: int
    direction: str
    types: str
    control_number: str
    names: tuple[str, ...]
    spans: Spans


class Unit(Struct, frozen=True):
    """A mail and its exchanges, or an exchange without a mail.

    ``name`` is the SHA-256 of the raw mail, empty without one; ``over_at`` is when its time in the ledger is over;
    ``kept_by`` says why it stays whatever its age; ``hold`` is the legal hold that keeps any of it.
    ``by_month``: it leaves with its month, into an archive.
    """

    key: Key
    at: int
    partner: str
    name: str
    spans: Spans
    over_at: int
    parts: tuple[Part, ...]
    kept_by: str
    hold: int | None = None
    by_month: bool = False

    @property
    def message(self) -> int | None:
        """Its mail."""
        return self.key[1] if self.key[0] == "m" else None

    @property
    def exchanges(self) -> tuple[int, ...]:
        """Its exchanges."""
        return tuple(part.id for part in self.parts)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all its bytes."""
        found = [name for part in self.parts for name in part.names]
        return tuple(dict.fromkeys([*found, self.name] if self.name else found))

    @property
    def types(self) -> str:
        """The transaction sets in it, for people."""
        return " ".join(dict.fromkeys(" ".join(part.types for part in self.parts).split()))

    def is_over(self, now: int) -> bool:
        """Whether its time in the ledger is over."""
        return self.over_at <= now

    def names_over(self, now: int) -> tuple[str, ...]:
        """The bytes whose time is over, each name once."""
        found = [name for part in self.parts if self._are_over(part.at, part.spans, now) for name in part.names]
        if self.name and self._are_over(self.at, self.spans, now):
            found.append(self.name)
        return tuple(dict.fromkeys(found))

    def _are_over(self, at: int, spans: Spans, now: int) -> bool:
        """Whether the time of bytes is over. What is kept as long as the ledger goes into the archive with it."""
        if self.by_month and spans.payload >= self.spans.ledger:
            return False
        return at + spans.payload <= now


class Judge:
    """Judges units in one transaction.

    Args:
        connection: in which the answers hold.
        policies: how long what is kept.
    """

    def __init__(self, connection: Connection, policies: Policies) -> None:
        self._connection = connection
        self._policies = policies
        self._holds: Sequence[Hold] = holds(connection)

    @property
    def holds_any(self) -> bool:
        """Whether any legal hold holds."""
        return bool(self._holds)

    def units(self, keys: Iterable[Key]) -> dict[Key, Unit]:
        """The units of these names; those that are gone are left out."""
        wanted = sorted(set(keys))
        mails = {row.id: row for row in self._rows(message, message.c.id, [n for kind, n in wanted if kind == "m"])}
        alone = self._rows(exchange, exchange.c.id, [n for kind, n in wanted if kind == "x"])
        carried: dict[int, list[Row[Any]]] = defaultdict(list)
        for row in self._rows(exchange, exchange.c.message, list(mails)):
            carried[row.message].append(row)
        exchanges = [*alone, *(row for rows in carried.values() for row in rows)]
        kept = _Kept(self._connection, self._holds, exchanges, list(mails.values()))
        inner = self._inner([row.id for row in exchanges if row.security])
        units = [self._unit(("x", row.id), None, [row], kept, inner) for row in alone]
        units += [self._unit(("m", n), mails[n], carried[n], kept, inner) for n in mails]
        return {unit.key: unit for unit in units}

    def keys_of(self, exchanges: Collection[int]) -> dict[int, Key]:
        """The units that exchanges belong to."""
        rows = self._rows(exchange, exchange.c.id, list(exchanges), exchange.c.id, exchange.c.message)
        return {row.id: ("x", row.id) if row.message is None else ("m", row.message) for row in rows}

    def _unit(
        self, key: Key, mail: Row[Any] | None, rows: Sequence[Row[Any]], kept: _Kept, inner: dict[int, str]
    ) -> Unit:
        parts = tuple(self._part(row, inner.get(row.id, "")) for row in rows)
        partner = next((row.partner for row in rows if row.partner), mail.partner if mail is not None else "")
        reasons = [kept.of_mail(mail.id)] if mail is not None else []
        reasons += [kept.of_exchange(row.id) for row in rows]
        spans = reduce(Spans.longest, [part.spans for part in parts] or [self._policies.of_mail(partner)])
        at = max([part.at for part in parts] + ([mail.at] if mail is not None else []))
        return Unit(
            key=key,
            at=at,
            partner=partner,
            name=mail.sha256 if mail is not None else "",
            spans=spans,
            over_at=self._policies.over_at(at, spans.ledger),
            parts=parts,
            kept_by=next((each for each in reasons if each), ""),
            hold=kept.hold(mail.id if mail is not None else None, [row.id for row in rows]),
            by_month=self._policies.whole_months,
        )

    def _part(self, row: Row[Any], inner: str) -> Part:
        spans = self._policies.of_exchange(row.partner, row.direction, row.types.split())
        names = (row.sha256, inner) if inner else (row.sha256,)
        return Part(row.id, row.at, row.direction, row.types, row.control_number, names, spans)

    def _inner(self, exchanges: Sequence[int]) -> dict[int, str]:
        """The signed inside of mails that went encrypted, by exchange: kept beside them."""
        which = event.c.kind == "secured"
        rows = self._rows(event, event.c.exchange, exchanges, event.c.exchange, event.c.body, where=which)
        return {row.exchange: str(json.loads(row.body).get("inner", "")) for row in rows}

    def _rows(
        self,
        table: Table,
        column: ColumnElement[Any],
        values: Sequence[int],
        *columns: ColumnElement[Any],
        where: ColumnElement[bool] | None = None,
    ) -> list[Row[Any]]:
        wanted = select(*(columns or (table,)))
        return ask(self._connection, wanted if where is None else wanted.where(where), column, values)


class _Kept:
    """Why exchanges and mails stay whatever their age."""

    def __init__(
        self, connection: Connection, among: Sequence[Hold], exchanges: Sequence[Row[Any]], mails: Sequence[Row[Any]]
    ) -> None:
        x, m = [row.id for row in exchanges], [row.id for row in mails]
        self._held: Held = held(connection, x, m, among)
        self._exchanges: dict[int, str] = {}
        self._mails: dict[int, str] = {}
        for row in exchanges:
            if row.state in _FOR_A_PERSON and row.settled_at is None:
                self._exchanges[row.id] = "it waits for a person"
        for row in mails:
            if row.state in _UNDONE:
                self._mails[row.id] = "it waits for a person" if row.state == _UNDONE[2] else "it is at work"
        for why, column, which in _OF_EXCHANGES:
            for number in _among(connection, column, x, which):
                self._exchanges.setdefault(number, why)
        for why, column, which in _OF_MAILS:
            for number in _among(connection, column, m, which):
                self._mails.setdefault(number, why)

    def of_exchange(self, number: int) -> str:
        """Why an exchange stays; empty where its age alone counts."""
        hold = self._held.exchanges.get(number)
        return f"it is held (hold {hold})" if hold is not None else self._exchanges.get(number, "")

    def of_mail(self, number: int) -> str:
        """Why a mail stays; empty where its age alone counts."""
        hold = self._held.messages.get(number)
        return f"it is held (hold {hold})" if hold is not None else self._mails.get(number, "")

    def hold(self, mail: int | None, exchanges: Iterable[int]) -> int | None:
        """The first hold on a mail or any of some exchanges."""
        of_mail = None if mail is None else self._held.messages.get(mail)
        found = [of_mail, *(self._held.exchanges.get(each) for each in exchanges)]
        return next((each for each in found if each is not None), None)


_OPEN_ALERT = and_(alert.c.state != CLOSED, alert.c.kind != RULE)
_OF_EXCHANGES: tuple[tuple[str, ColumnElement[Any], ColumnElement[bool] | None], ...] = (
    ("it is at work", outgoing.c.exchange, None),
    ("an answer is awaited", expectation.c.exchange, None),
    ("the business does not have it", transaction_set.c.exchange, transaction_set.c.delivery == "due"),
    ("it waits for a person", alert.c.exchange, _OPEN_ALERT),
    ("it waits for a person", number_gap.c.exchange, number_gap.c.closed_at.is_(None)),
)
_OF_MAILS: tuple[tuple[str, ColumnElement[Any], ColumnElement[bool] | None], ...] = (
    ("it is at work", claim.c.message, None),
    ("it is at work", outgoing.c.message, None),
    ("it is left on its server", sighting.c.message, sighting.c.state == "stored"),
    ("it waits for a person", alert.c.message, or_(_OPEN_ALERT, alert.c.kind == RULE)),
)


def _among(
    connection: Connection, column: ColumnElement[Any], values: Sequence[int], which: ColumnElement[bool] | None
) -> set[int]:
    wanted = select(column).distinct()
    rows = ask(connection, wanted if which is None else wanted.where(which), column, values)
    return {int(row[0]) for row in rows}


def ask(
    connection: Connection, wanted: Select[Any], column: ColumnElement[Any], values: Sequence[Any]
) -> list[Row[Any]]:
    """The rows whose column has one of the values, some values at a time."""
    found: list[Row[Any]] = []
    for start in range(0, len(values), _CHUNK):
        found += connection.execute(wanted.where(column.in_(values[start : start + _CHUNK]))).all()
    return found


# ---------------------------------------------------------------- pages

Cursor = tuple[str, int, int]
"""Where the next page begins: which stream, and the moment and number of the last unit."""

START: Cursor = ("m", -(2**62), 0)
_Condition = Callable[[Any], ColumnElement[bool]]


def page(
    connection: Connection, after: Cursor, before: int, size: int, *, which: ColumnElement[bool] | None = None
) -> tuple[list[Key], Cursor | None]:
    """The next units that are older than a moment, in the order of their age: first mails, then exchanges without one.

    Args:
        connection: within a transaction.
        after: where the page before ended; ``START`` at first.
        before: ms since 1970 UTC.
        size: how many at most.
        which: what a mail must meet too.

    Returns:
        Their names, and where the next page begins; None after the last.
    """
    stream, at, number = after
    table, also = (message, which) if stream == "m" else (exchange, exchange.c.message.is_(None))
    c = table.c
    later = or_(c.at > at, and_(c.at == at, c.id > number))
    wanted = select(c.id, c.at).where(c.at >= at, c.at < before, later).order_by(c.at, c.id).limit(size)
    rows = connection.execute(wanted if also is None else wanted.where(also)).all()
    keys: list[Key] = [(stream, row.id) for row in rows]
    if len(rows) == size:
        return keys, (stream, rows[-1].at, rows[-1].id)
    return keys, ("x", START[1], 0) if stream == "m" else None
