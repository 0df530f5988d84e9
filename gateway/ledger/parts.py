"""The parts of a story, each read within bounds: by indexes, and no more rows than are wanted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace
from sqlalchemy import BindParameter, ColumnElement, Connection, Select, Table, and_, bindparam, func, or_, select

from gateway.ledger import bulk
from gateway.ledger.at_rest import opened_row, opened_sentences
from gateway.ledger.events import Event, event_of
from gateway.ledger.ready import Ready
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
Row = dict[str, Any]

_NUMBER: BindParameter[int] = bindparam("number")


def _of(name: str, table: Table, order: str, *which: ColumnElement[bool]) -> Ready:
    """The rows of a table that meet ``which``."""
    return Ready(f"story: {name}", lambda _: select(table).where(*which), order)


def _those(name: str, table: Table) -> Ready:
    """The rows of a table with the ids ``ids``."""
    return Ready(f"story: {name}", lambda connection: select(table).where(bulk.among(connection, table.c.id, "ids")))


class Bounds(Struct):
    """How much is read, and of what there turned out to be more. ``limit`` None: all of everything."""

    connection: Connection
    limit: int | None
    cut: list[str] = field(default_factory=list)

    def rows(self, name: str, wanted: Ready, *, newest: bool = False, **parameters: Any) -> list[Row]:
        """The first rows of an answer (or the last ones); where there are more, ``name`` is what was cut."""
        limit = None if self.limit is None else self.limit + 1
        found = wanted.rows(self.connection, limit=limit, newest=newest, **parameters)
        if self.limit is not None and len(found) > self.limit:
            found.pop()
            if name not in self.cut:
                self.cut.append(name)
        return found


# ---------------------------------------------------------------- the exchange and its mail

_EXCHANGE = Ready(
    "story: exchange",
    lambda _: (
        select(exchange, message.c.cc_addresses, message.c.mailbox, message.c.proof, message.c.proof_detail)
        .outerjoin(message, message.c.id == exchange.c.message)
        .where(exchange.c.id == _NUMBER)
    ),
)
_ITS_KEYS = Ready(
    "story: keys of an exchange",
    lambda _: select(business_key.c.name, business_key.c.value).where(business_key.c.exchange == _NUMBER),
)
_MAIL = _of("mail", message, "", message.c.id == _NUMBER)
_PAYLOAD = Ready(
    "story: payload",
    lambda _: select(payload).join(exchange, exchange.c.payload == payload.c.id).where(exchange.c.id == _NUMBER),
)
_PAYLOADS = _of("payloads", payload, "ordinal", payload.c.message == _NUMBER)


def exchange_row_on(bounds: Bounds, number: int) -> ExchangeRow | None:
    """The exchange with all tracked properties and the first of its business keys; None where there is none."""
    row = _EXCHANGE.row(bounds.connection, number=number)
    if row is None:
        return None
    limit = None if bounds.limit is None else min(bounds.limit, _KEYS)
    keys = _ITS_KEYS.rows(bounds.connection, limit=limit, number=number)
    return exchange_row(row, tuple(sorted({(each["name"], each["value"]) for each in keys})))


def mail(connection: Connection, number: int | None) -> MailStory | None:
    """The mail of that number, in brief."""
    row = None if number is None else _MAIL.row(connection, number=number)
    return None if row is None else MailStory(**_fields(MailStory, row))


def payload_of(connection: Connection, number: int) -> PayloadStory | None:
    """The part of its mail that carries an exchange."""
    row = _PAYLOAD.row(connection, number=number)
    return None if row is None else PayloadStory(**_fields(PayloadStory, row))


def payloads(bounds: Bounds, number: int) -> tuple[PayloadStory, ...]:
    """The parts of a mail that carry EDI."""
    rows = bounds.rows("payloads", _PAYLOADS, number=number)
    return tuple(PayloadStory(**_fields(PayloadStory, row)) for row in rows)


# ---------------------------------------------------------------- groups, sets, findings

_FINDINGS = _of("findings", finding, "id", finding.c.exchange == _NUMBER)
_SETS = _of("sets", transaction_set, "id", transaction_set.c.exchange == _NUMBER)
_GROUPS = _of("groups", functional_group, "id", functional_group.c.exchange == _NUMBER)
_THOSE_SETS = _those("those sets", transaction_set)
_THOSE_GROUPS = _those("those groups", functional_group)
_HOW_MANY = Ready(
    "story: how many sets",
    lambda _: select(func.sum(functional_group.c.sets).label("sets")).where(functional_group.c.exchange == _NUMBER),
)


def _keys_of_sets(connection: Connection) -> Select[Any]:
    k = business_key.c
    mine = bulk.among(connection, k.transaction_set, "sets")
    return select(k.transaction_set, k.name, k.value).where(k.exchange == _NUMBER, mine)


_SETS_KEYS = Ready("story: keys of sets", _keys_of_sets, "transaction_set")


def findings(bounds: Bounds, number: int) -> Findings:
    """The findings by group and set; those of the interchange itself under (None, None)."""
    found: dict[tuple[int | None, int | None], list[FindingStory]] = defaultdict(list)
    for row in bounds.rows("findings", _FINDINGS, number=number):
        told = FindingStory(**_fields(FindingStory, opened_row(bounds.connection, row)))
        found[row["functional_group"], row["transaction_set"]].append(told)
    return {place: tuple(told) for place, told in found.items()}


def groups(bounds: Bounds, number: int, found: Findings) -> tuple[tuple[GroupStory, ...], int]:
    """The first groups with their first sets, and every set that something is wrong with; and how many sets there are.

    Args:
        bounds: how much.
        number: the exchange's.
        found: its findings.
    """
    rows = bounds.rows("sets", _SETS, number=number)
    rows += _more(bounds.connection, _THOSE_SETS, {place[1] for place in found}, {row["id"] for row in rows})
    held = bounds.rows("groups", _GROUPS, number=number)
    wanted = {row["functional_group"] for row in rows} | {place[0] for place in found}
    held += _more(bounds.connection, _THOSE_GROUPS, wanted, {row["id"] for row in held})
    total = _HOW_MANY.rows(bounds.connection, number=number)[0]["sets"] or 0
    return _told(bounds, number, found, rows, held), max(int(total), len(rows))


def sets_numbered(bounds: Bounds, number: int, controls: Iterable[str]) -> tuple[GroupStory, ...]:
    """The sets of an exchange that have one of these ST02, wherever in it they stand, in their groups."""
    t, f = transaction_set.c, finding.c
    wanted = select(transaction_set).where(t.exchange == number, t.control_number.in_(sorted(controls)))
    rows = [dict(row) for row in bounds.connection.execute(wanted.order_by(t.id).limit(bounds.limit)).mappings()]
    groups_ = {row["functional_group"] for row in rows}
    about = select(finding).where(f.exchange == number, f.transaction_set.in_([row["id"] for row in rows]))
    found: dict[tuple[int | None, int | None], list[FindingStory]] = defaultdict(list)
    for row in bounds.connection.execute(about.order_by(f.id).limit(bounds.limit)).mappings():
        told = FindingStory(**_fields(FindingStory, opened_row(bounds.connection, dict(row))))
        found[row["functional_group"], row["transaction_set"]].append(told)
    held = _more(bounds.connection, _THOSE_GROUPS, groups_, set())
    return _told(bounds, number, {place: tuple(each) for place, each in found.items()}, rows, held)


def _told(
    bounds: Bounds, number: int, found: Findings, rows: Sequence[Row], held: Sequence[Row]
) -> tuple[GroupStory, ...]:
    """Groups with those of their sets that were read."""
    keys = _keys(bounds, number, [row["id"] for row in rows])
    sets: dict[int, list[SetStory]] = defaultdict(list)
    for row in sorted(rows, key=_in_order):
        mine = found.get((row["functional_group"], row["id"]), ()) or found.get((None, row["id"]), ())
        told = SetStory(**_fields(SetStory, row))
        sets[row["functional_group"]].append(replace(told, keys=tuple(sorted(keys[row["id"]])), findings=mine))
    return tuple(
        replace(
            GroupStory(**_fields(GroupStory, row, but=("sets",))),
            sets=tuple(sets[row["id"]]),
            findings=found.get((row["id"], None), ()),
            size=max(row["sets"], len(sets[row["id"]])),
        )
        for row in sorted(held, key=_in_order)
    )


def _in_order(row: Row) -> tuple[int, int]:
    return row["ordinal"], row["id"]


def _more(connection: Connection, those: Ready, wanted: Iterable[int | None], there: set[int]) -> list[Row]:
    """The rows with these ids that are not there yet."""
    missing = sorted({each for each in wanted if each is not None} - there)
    rows: list[Row] = []
    for at in range(0, len(missing), _CHUNK):
        rows += those.rows(connection, ids=bulk.listed(connection, missing[at : at + _CHUNK]))
    return rows


def _keys(bounds: Bounds, number: int, sets: Sequence[int]) -> dict[int, set[tuple[str, str]]]:
    """The business keys of some sets of an exchange."""
    found: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for at in range(0, len(sets), _CHUNK):
        some = bulk.listed(bounds.connection, sets[at : at + _CHUNK])
        for row in bounds.rows("keys", _SETS_KEYS, number=number, sets=some):
            found[row["transaction_set"]].add((row["name"], row["value"]))
    return found


# ---------------------------------------------------------------- acknowledgments and receipts

_ANSWERED = _of("answered", acknowledgment, "id", acknowledgment.c.exchange == _NUMBER)
_ANSWERING = _of("answering", acknowledgment, "id", acknowledgment.c.carrier == _NUMBER)
_AWAITED = _of("awaited", expectation, "kind", expectation.c.exchange == _NUMBER)
_RECEIPTS_IN = _of("receipts in", receipt, "id", receipt.c.exchange == _NUMBER)
_RECEIPTS_OUT = _of("receipts out", receipt, "id", receipt.c.original == _NUMBER)


def acknowledgments_of(bounds: Bounds, number: int) -> tuple[AcknowledgmentStory, ...]:
    """What partners said of an exchange."""
    return _acknowledgments(bounds.connection, bounds.rows("answered", _ANSWERED, number=number))


def acknowledgments_by(
    bounds: Bounds, number: int, carrier: int, sets: Sequence[int]
) -> tuple[AcknowledgmentStory, ...]:
    """What one acknowledgment, ``carrier``, says of an exchange as a whole, and of some of its sets."""
    a = acknowledgment.c
    of_these = or_(a.transaction_set.is_(None), a.transaction_set.in_(list(sets)))
    wanted = select(acknowledgment).where(a.exchange == number, a.carrier == carrier, of_these).order_by(a.id)
    rows = bounds.connection.execute(wanted.limit(bounds.limit)).mappings()
    return _acknowledgments(bounds.connection, map(dict, rows))


def acknowledgments_in(bounds: Bounds, number: int) -> tuple[AcknowledgmentStory, ...]:
    """What an exchange said of others."""
    return _acknowledgments(bounds.connection, bounds.rows("answering", _ANSWERING, number=number))


def _acknowledgments(connection: Connection, rows: Iterable[Row]) -> tuple[AcknowledgmentStory, ...]:
    return tuple(
        AcknowledgmentStory(
            **_fields(AcknowledgmentStory, row) | {"errors": opened_sentences(connection, row["errors"])}
        )
        for row in rows
    )


def awaited(connection: Connection, number: int) -> tuple[AwaitedStory, ...]:
    """What is still awaited for an exchange."""
    return tuple(AwaitedStory(**_fields(AwaitedStory, row)) for row in _AWAITED.rows(connection, number=number))


def receipts(bounds: Bounds, row: ExchangeRow) -> tuple[ReceiptStory, ...]:
    """The receipts for an exchange's mail; of one that came in, those that we gave."""
    ours = row.direction == "out"
    rows = bounds.rows("receipts", _RECEIPTS_IN if ours else _RECEIPTS_OUT, number=row.id if ours else row.message)
    return tuple(ReceiptStory(**_fields(ReceiptStory, each)) for each in rows)


# ---------------------------------------------------------------- others

_RELATED = ("id", "at", "direction", "types", "control_number", "state", "payload")


def _other(name: str, *which: ColumnElement[bool]) -> Ready:
    """Other exchanges that meet ``which``."""
    columns = [exchange.c[each] for each in _RELATED]
    return Ready(f"story: {name}", lambda _: select(*columns).where(*which), "id")


_THAT = _other("that one", exchange.c.id == _NUMBER)
_REPEATING = _other("repeating", exchange.c.repeats == _NUMBER)
_DUPLICATES = _other("duplicates", exchange.c.duplicate_of == _NUMBER)
_ANSWERS = _other("answers", exchange.c.answers == _NUMBER)
_BESIDE = _other("beside", and_(exchange.c.message == bindparam("mail"), exchange.c.id != _NUMBER))
_CARRIED = _other("carried", exchange.c.message == _NUMBER)


def related(bounds: Bounds, row: ExchangeRow) -> tuple[RelatedStory, ...]:
    """Other exchanges that have to do with this one."""
    told = (
        ("duplicate of", row.duplicate_of),
        ("answers", row.answers),
        ("same document as", row.repeats),
    )
    found = [
        each
        for relation, number in told
        if number is not None
        for each in _others(bounds, relation, _THAT, number=number)
    ]
    found += _others(bounds, "same document as the later", _REPEATING, number=row.id)
    found += _others(bounds, "repeated by", _DUPLICATES, number=row.id)
    found += _others(bounds, "answered by", _ANSWERS, number=row.id)
    if row.message is not None:
        found += _others(bounds, "came in the same mail as", _BESIDE, mail=row.message, number=row.id)
    return tuple(found)


def carried(bounds: Bounds, number: int) -> list[RelatedStory]:
    """The exchanges that a mail led to."""
    return _others(bounds, "carries", _CARRIED, number=number)


def _others(bounds: Bounds, relation: str, wanted: Ready, **parameters: Any) -> list[RelatedStory]:
    return [
        RelatedStory(relation, **row | {"types": tuple(row["types"].split())})
        for row in bounds.rows("related", wanted, **parameters)
    ]


# ---------------------------------------------------------------- events

_EVENTS = _of("events", event, "seq", event.c.exchange == _NUMBER)
_MAIL_ALONE = _of("events of a mail alone", event, "seq", event.c.message == _NUMBER, event.c.exchange.is_(None))
_MAIL_EVENTS = _of("events of a mail", event, "seq", event.c.message == _NUMBER)


def events(bounds: Bounds, number: int, mail: int | None) -> tuple[Event, ...]:
    """What happened to the exchange, and to its mail as a whole: of very many the first and the last."""
    mine = _events(bounds, _EVENTS, number)
    if mail is None:
        return mine
    found = {each.seq: each for each in (*mine, *_events(bounds, _MAIL_ALONE, mail))}
    return tuple(found[seq] for seq in sorted(found))


def events_of_mail(bounds: Bounds, number: int) -> tuple[Event, ...]:
    """What happened to a mail and to the exchanges in it."""
    return _events(bounds, _MAIL_EVENTS, number)


def _events(bounds: Bounds, wanted: Ready, number: int) -> tuple[Event, ...]:
    rows = bounds.rows("events", wanted, number=number)
    found = {row["seq"]: event_of(row) for row in rows}
    if bounds.limit is not None and len(rows) == bounds.limit:
        for row in bounds.rows("events", wanted, newest=True, number=number)[: max(1, bounds.limit // 2)]:
            found[row["seq"]] = event_of(row)
    return tuple(found[seq] for seq in sorted(found))


def _fields(kind: type[Any], row: Mapping[str, Any], but: Sequence[str] = ()) -> dict[str, Any]:
    """The columns of a row that a value of ``kind`` has too."""
    return {name: row[name] for name in kind.__struct_fields__ if name in row and name not in but}
