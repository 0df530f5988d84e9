"""The parts of a story, each read within bounds: by indexes, and no more rows than are wanted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, and_, func, select

from gateway.ledger.at_rest import opened_row
from gateway.ledger.events import Event, event_of
from gateway.ledger.rows import ExchangeRow, exchange_row
from gateway.ledger.story_values import (
    AcknowledgmentStory,
    AwaitedStory,
    FindingStory,
    GroupStory,
    MailStory,
    PayloadStory,
    ReceiptStory,
    RelatedStory,
    SetStory,
    sentences,
)
from gateway.ledger.tables import (
    acknowledgment,
    business_key,
    event,
    exchange,
    expectation,
    finding,
    functional_group,
    message,
    payload,
    receipt,
    transaction_set,
)

_CHUNK = 500  # ids in one question
_KEYS = 100  # business keys that are named with an exchange as a whole


Findings = dict[tuple[int | None, int | None], tuple[FindingStory, ...]]


@dataclass(slots=True)
class Bounds:
    """How much is read, and of what there turned out to be more. ``limit`` None: all of everything."""

    connection: Connection
    limit: int | None
    cut: list[str] = field(default_factory=list)

    def rows(self, name: str, table: Table, order: Any, *which: ColumnElement[bool], newest: bool = False) -> list[Any]:
        """The first rows of a table that meet ``which``, in the order of a column (or the last ones)."""
        return self.fetched(name, select(table).where(*which), order, newest=newest)

    def fetched(self, name: str, wanted: Select[Any], order: Any, *, newest: bool = False) -> list[Any]:
        """The first rows of a question, in the order of one of its columns (or the last ones)."""
        if self.limit is not None and self.connection.dialect.name == "postgresql":
            # Asked for the first of an order, PostgreSQL may go through the whole table in that order instead of using
            # the index of what is wanted. An OFFSET keeps the two questions apart.
            inner = wanted.offset(0).subquery()
            wanted, order = select(inner), inner.c[order.name]
        wanted = wanted.order_by(order.desc() if newest else order)
        if self.limit is not None:
            wanted = wanted.limit(self.limit + 1)
        found = list(self.connection.execute(wanted))
        if self.limit is not None and len(found) > self.limit:
            found.pop()
            if name not in self.cut:
                self.cut.append(name)
        return found


# ---------------------------------------------------------------- the exchange and its mail


def exchange_row_on(bounds: Bounds, number: int) -> ExchangeRow | None:
    """The exchange with all tracked properties and the first of its business keys; None where there is none."""
    mail = message.c
    wanted = select(exchange, mail.cc_addresses, mail.mailbox, mail.proof, mail.proof_detail)
    wanted = wanted.outerjoin(message, mail.id == exchange.c.message).where(exchange.c.id == number)
    row = bounds.connection.execute(wanted).mappings().one_or_none()
    if row is None:
        return None
    k = business_key.c
    keys = select(k.name, k.value).where(k.exchange == number)
    if bounds.limit is not None:
        keys = keys.limit(min(bounds.limit, _KEYS))
    return exchange_row(dict(row), tuple(sorted({(each[0], each[1]) for each in bounds.connection.execute(keys)})))


def mail(connection: Connection, number: int | None) -> MailStory | None:
    """The mail of that number, in brief."""
    if number is None:
        return None
    row = connection.execute(select(message).where(message.c.id == number)).mappings().one_or_none()
    return None if row is None else MailStory(**_fields(MailStory, row))


def payload_of(connection: Connection, number: int) -> PayloadStory | None:
    """The part of its mail that carries an exchange."""
    wanted = select(payload).join(exchange, exchange.c.payload == payload.c.id).where(exchange.c.id == number)
    row = connection.execute(wanted).mappings().one_or_none()
    return None if row is None else PayloadStory(**_fields(PayloadStory, row))


def payloads(bounds: Bounds, number: int) -> tuple[PayloadStory, ...]:
    """The parts of a mail that carry EDI."""
    rows = bounds.rows("payloads", payload, payload.c.ordinal, payload.c.message == number)
    return tuple(PayloadStory(**_fields(PayloadStory, row._mapping)) for row in rows)  # noqa: SLF001


# ---------------------------------------------------------------- groups, sets, findings


def findings(bounds: Bounds, number: int) -> Findings:
    """The findings by group and set; those of the interchange itself under (None, None)."""
    found: dict[tuple[int | None, int | None], list[FindingStory]] = defaultdict(list)
    for row in bounds.rows("findings", finding, finding.c.id, finding.c.exchange == number):
        opened = opened_row(bounds.connection, row._mapping)  # noqa: SLF001 - SQLAlchemy's public accessor
        told = FindingStory(**_fields(FindingStory, opened))
        found[row.functional_group, row.transaction_set].append(told)
    return {place: tuple(told) for place, told in found.items()}


def groups(bounds: Bounds, number: int, found: Findings) -> tuple[tuple[GroupStory, ...], int]:
    """The first groups with their first sets, and every set that something is wrong with; and how many sets there are.

    Args:
        bounds: how much.
        number: the exchange's.
        found: its findings.
    """
    s, g = transaction_set.c, functional_group.c
    rows = bounds.rows("sets", transaction_set, s.id, s.exchange == number)
    rows += _more(bounds.connection, transaction_set, {place[1] for place in found}, {row.id for row in rows})
    held = bounds.rows("groups", functional_group, g.id, g.exchange == number)
    wanted = {row.functional_group for row in rows} | {place[0] for place in found}
    held += _more(bounds.connection, functional_group, wanted, {row.id for row in held})
    keys = _keys(bounds, number, [row.id for row in rows])
    sets: dict[int, list[SetStory]] = defaultdict(list)
    for row in sorted(rows, key=lambda each: (each.ordinal, each.id)):
        mine = found.get((row.functional_group, row.id), ()) or found.get((None, row.id), ())
        told = SetStory(**_fields(SetStory, row._mapping))  # noqa: SLF001
        sets[row.functional_group].append(replace(told, keys=tuple(sorted(keys[row.id])), findings=mine))
    told_groups = tuple(
        replace(
            GroupStory(**_fields(GroupStory, row._mapping, but=("sets",))),  # noqa: SLF001
            sets=tuple(sets[row.id]),
            findings=found.get((row.id, None), ()),
            size=max(row.sets, len(sets[row.id])),
        )
        for row in sorted(held, key=lambda each: (each.ordinal, each.id))
    )
    total = bounds.connection.execute(select(func.sum(g.sets)).where(g.exchange == number)).scalar() or 0
    return told_groups, max(int(total), len(rows))


def _more(connection: Connection, table: Table, wanted: Iterable[int | None], there: set[int]) -> list[Row[Any]]:
    """The rows with these ids that are not there yet."""
    missing = sorted({each for each in wanted if each is not None} - there)
    rows: list[Row[Any]] = []
    for at in range(0, len(missing), _CHUNK):
        rows += connection.execute(select(table).where(table.c.id.in_(missing[at : at + _CHUNK]))).all()
    return rows


def _keys(bounds: Bounds, number: int, sets: Sequence[int]) -> dict[int, set[tuple[str, str]]]:
    """The business keys of some sets of an exchange."""
    k = business_key.c
    found: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for at in range(0, len(sets), _CHUNK):
        mine = k.transaction_set.in_(sets[at : at + _CHUNK])
        wanted = select(k.transaction_set, k.name, k.value).where(k.exchange == number, mine)
        for row in bounds.fetched("keys", wanted, k.transaction_set):
            found[row[0]].add((row[1], row[2]))
    return found


# ---------------------------------------------------------------- acknowledgments and receipts


def acknowledgments_of(bounds: Bounds, number: int) -> tuple[AcknowledgmentStory, ...]:
    """What partners said of an exchange."""
    a = acknowledgment.c
    return _acknowledgments(bounds.rows("answered", acknowledgment, a.id, a.exchange == number))


def acknowledgments_in(bounds: Bounds, number: int) -> tuple[AcknowledgmentStory, ...]:
    """What an exchange said of others."""
    a = acknowledgment.c
    return _acknowledgments(bounds.rows("answering", acknowledgment, a.id, a.carrier == number))


def _acknowledgments(rows: Iterable[Row[Any]]) -> tuple[AcknowledgmentStory, ...]:
    return tuple(
        AcknowledgmentStory(**_fields(AcknowledgmentStory, row._mapping) | {"errors": sentences(row.errors)})  # noqa: SLF001
        for row in rows
    )


def awaited(connection: Connection, number: int) -> tuple[AwaitedStory, ...]:
    """What is still awaited for an exchange."""
    rows = connection.execute(
        select(expectation).where(expectation.c.exchange == number).order_by(expectation.c.kind)
    ).mappings()
    return tuple(AwaitedStory(**_fields(AwaitedStory, row)) for row in rows)


def receipts(bounds: Bounds, row: ExchangeRow) -> tuple[ReceiptStory, ...]:
    """The receipts for an exchange's mail; of one that came in, those that we gave."""
    which = receipt.c.exchange == row.id if row.direction == "out" else receipt.c.original == row.message
    rows = bounds.rows("receipts", receipt, receipt.c.id, which)
    return tuple(ReceiptStory(**_fields(ReceiptStory, each._mapping)) for each in rows)  # noqa: SLF001


# ---------------------------------------------------------------- others


def related(bounds: Bounds, row: ExchangeRow) -> tuple[RelatedStory, ...]:
    """Other exchanges that have to do with this one."""
    x = exchange.c
    ways: list[tuple[str, ColumnElement[bool]]] = []
    if row.duplicate_of is not None:
        ways.append(("duplicate of", x.id == row.duplicate_of))
    if row.answers is not None:
        ways.append(("answers", x.id == row.answers))
    if row.repeats is not None:
        ways.append(("same document as", x.id == row.repeats))
    ways.append(("same document as the later", x.repeats == row.id))
    ways += [("repeated by", x.duplicate_of == row.id), ("answered by", x.answers == row.id)]
    if row.message is not None:
        ways.append(("came in the same mail as", and_(x.message == row.message, x.id != row.id)))
    return tuple(each for relation, which in ways for each in _others(bounds, relation, which))


def carried(bounds: Bounds, number: int) -> list[RelatedStory]:
    """The exchanges that a mail led to."""
    return _others(bounds, "carries", exchange.c.message == number)


def _others(bounds: Bounds, relation: str, which: ColumnElement[bool]) -> list[RelatedStory]:
    x = exchange.c
    wanted = select(x.id, x.at, x.direction, x.types, x.control_number, x.state, x.payload).where(which)
    return [
        RelatedStory(relation, r.id, r.at, r.direction, tuple(r.types.split()), r.control_number, r.state, r.payload)
        for r in bounds.fetched("related", wanted, x.id)
    ]


# ---------------------------------------------------------------- events


def events(bounds: Bounds, number: int, mail: int | None) -> tuple[Event, ...]:
    """What happened to the exchange, and to its mail as a whole: of very many the first and the last."""
    mine = event.c.exchange == number
    if mail is None:
        return _events(bounds, mine)
    of_mail = and_(event.c.message == mail, event.c.exchange.is_(None))
    found = {each.seq: each for which in (mine, of_mail) for each in _events(bounds, which)}
    return tuple(found[seq] for seq in sorted(found))


def events_of_mail(bounds: Bounds, number: int) -> tuple[Event, ...]:
    """What happened to a mail and to the exchanges in it."""
    return _events(bounds, event.c.message == number)


def _events(bounds: Bounds, which: ColumnElement[bool]) -> tuple[Event, ...]:
    rows = bounds.rows("events", event, event.c.seq, which)
    found = {row.seq: event_of(dict(row._mapping)) for row in rows}  # noqa: SLF001
    if bounds.limit is not None and len(rows) == bounds.limit:
        for row in bounds.rows("events", event, event.c.seq, which, newest=True)[: max(1, bounds.limit // 2)]:
            found[row.seq] = event_of(dict(row._mapping))  # noqa: SLF001
    return tuple(found[seq] for seq in sorted(found))


def _fields(kind: type[Any], row: Any, but: Sequence[str] = ()) -> dict[str, Any]:
    """The columns of a row that a value of ``kind`` has too."""
    return {name: row[name] for name in kind.__dataclass_fields__ if name in row and name not in but}
