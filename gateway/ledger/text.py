"""The text index: which exchanges and mails may hold a piece of text, found without reading them all.

On SQLite it is a full-text table of trigrams without content of its own; on PostgreSQL a table with a GIN index of
trigrams (pg_trgm). Exchanges stand in it under their ids, mails that no exchange speaks for under theirs, negative.
Whoever writes exchanges, business keys or mails calls ``index_rows`` in the same transaction; whoever changes mails
``index_mails``; whoever removes something ``unindex`` before.

The index never holds too little: a row that changed may be in it twice, by what it was and by what it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    delete,
    exists,
    select,
)

from gateway.ledger import bulk, marks, tables
from gateway.ledger.literals import word
from gateway.ledger.marks import COLUMNS, Indexed
from gateway.ledger.search_tables import make_trigram_index
from gateway.ledger.states import MessageState

Row = Mapping[str, Any]

# As PostgreSQL has it. Its index is made by the migration and by search_tables, which SQLAlchemy's own tables cannot.
search_text = Table(
    "search_text",
    MetaData(),
    Column("id", BigInteger, primary_key=True),
    Column("text", Text, nullable=False),
    Column("marks", ARRAY(Integer), nullable=False),
)

# A mail in one of these is at work: the index of its state finds it.
AT_WORK = (MessageState.STORED.value, MessageState.QUEUED.value)
_AT_ONCE = 500  # ids in one question
_COLUMNS = ", ".join(f"c{number}" for number in range(COLUMNS))
_INSERT = f"INSERT INTO search_text (rowid, {_COLUMNS}) VALUES (?{', ?' * COLUMNS})"  # noqa: S608 - our names
_DELETE = (
    f"INSERT INTO search_text (search_text, rowid, {_COLUMNS})"  # noqa: S608 - our names
    f" VALUES ('delete', ?{', ?' * COLUMNS})"
)
_THERE = "SELECT 1 FROM search_text WHERE search_text MATCH ? AND rowid = ?"
_x, _m, _k, _p = tables.exchange.c, tables.message.c, tables.business_key.c, tables.payload.c
_EXCHANGE = (
    *(_x.id, _x.at, _x.partner, _x.from_address, _x.user, _x.host, _x.types, _x.versions, _x.usage),
    *(_x.sender_id, _x.receiver_id, _x.subject, _x.file_name),
)
_MAIL = (_m.id, _m.at, _m.partner, _m.from_address, _m.user, _m.host, _m.subject)


def index_rows(connection: Connection, rows: Mapping[str, Sequence[Row]]) -> None:
    """Indexes what a transaction has just inserted.

    Args:
        connection: the transaction, the rows already written.
        rows: by the name of their table; what is not about exchanges, keys, mails and payloads is left out.
    """
    exchanges, keys = rows.get("exchange", ()), rows.get("business_key", ())
    values: defaultdict[int, list[str]] = defaultdict(list)
    for key in keys:
        values[key["exchange"]].append(key["value"])
    _add(connection, [marks.of_exchange(row, values.pop(row["id"], ())) for row in exchanges])
    if values:  # keys of exchanges that were written before
        reindex(connection, values)
    spoken = {row["message"] for row in exchanges}
    mails = [row["id"] for row in rows.get("message", ()) if row["id"] not in spoken and row["state"] not in AT_WORK]
    if mails:
        index_mails(connection, mails)


def index_mails(connection: Connection, messages: Collection[int]) -> None:
    """Indexes those of some mails, inserted or changed, that no exchange speaks for and that are not at work."""
    ids = {"messages": bulk.listed(connection, sorted(messages))}
    alone = [number for (number,) in bulk.asked(connection, "mails alone", partial(_alone, connection), ids)]
    if alone:  # few: most mails have an exchange that speaks for them
        _replace(connection, list(_mails(connection, select(*_MAIL), alone)))


def _alone(connection: Connection) -> Select[Any]:
    """Which of some mails no exchange speaks for, or are quarantined, and are not at work."""
    alone = ~exists().where(_x.message == _m.id) | (_m.state == word(MessageState.QUARANTINED.value))
    settled = _m.state.not_in([word(each) for each in AT_WORK])
    return select(_m.id).where(bulk.among(connection, _m.id, "messages"), settled, alone)


def reindex(connection: Connection, exchanges: Collection[int]) -> None:
    """Indexes exchanges as they are now, whether they are in the index or not."""
    _replace(connection, list(_exchanges(connection, exchanges)))


def unindex(connection: Connection, exchanges: Collection[int] = (), messages: Collection[int] = ()) -> None:
    """Takes exchanges and mails out of the index; called while their rows are still there."""
    if connection.dialect.name == "sqlite":
        there = [*_exchanges(connection, exchanges), *_mails(connection, select(*_MAIL), messages)]
        indexed = [each for each in marks.sequence(there) if _is_indexed(connection, each)]
        if indexed:
            connection.exec_driver_sql(_DELETE, [marks.as_columns(each) for each in indexed])
        return
    for some in _slices([*exchanges, *(-number for number in messages)]):
        connection.execute(delete(search_text).where(search_text.c.id.in_(some)))


def rebuild(connection: Connection, tell: Callable[[int], None] = lambda _: None) -> None:
    """Makes the index anew, with trigrams where PostgreSQL has them by now.

    Args:
        connection: a transaction that writes; whoever searches waits for its end.
        tell: called with the number of rows that were indexed, again and again.
    """
    on_sqlite = connection.dialect.name == "sqlite"
    if on_sqlite:
        connection.exec_driver_sql("INSERT INTO search_text (search_text) VALUES ('delete-all')")
    else:
        connection.exec_driver_sql("DROP INDEX IF EXISTS ix_search_text")
        connection.exec_driver_sql("TRUNCATE search_text")
    for ids in _pages(connection, tables.exchange):
        _add(connection, list(_exchanges(connection, ids)))
        tell(len(ids))
    for ids in _pages(connection, tables.message):
        index_mails(connection, ids)
        tell(len(ids))
    if not on_sqlite:
        make_trigram_index(connection)


def _pages(connection: Connection, table: Table) -> Iterator[list[int]]:
    """The ids of a table, some at a time."""
    after = -(2**62)
    while ids := list(
        connection.execute(select(table.c.id).where(table.c.id > after).order_by(table.c.id).limit(_AT_ONCE)).scalars()
    ):
        yield ids
        after = ids[-1]


# ---------------------------------------------------------------- what is there


def _is_indexed(connection: Connection, row: Indexed) -> bool:
    """Whether the full-text table has it: told to forget what it never knew, it would lose count."""
    month = marks.as_characters(row.marks[0])
    return connection.exec_driver_sql(_THERE, (f'"{month}"', row.id)).first() is not None


def _exchanges(connection: Connection, ids: Collection[int]) -> Iterator[Indexed]:
    for some in _slices(ids):
        values: defaultdict[int, list[str]] = defaultdict(list)
        for owner, value in connection.execute(select(_k.exchange, _k.value).where(_k.exchange.in_(some))):
            values[owner].append(value)
        for row in connection.execute(select(*_EXCHANGE).where(_x.id.in_(some))).mappings():
            yield marks.of_exchange(dict(row), values[row["id"]])


def _mails(connection: Connection, wanted: Select[Any], ids: Collection[int]) -> Iterator[Indexed]:
    for some in _slices(ids):
        found = connection.execute(wanted.where(_m.id.in_(some))).mappings().all()
        names: defaultdict[int, list[str]] = defaultdict(list)
        files = select(_p.message, _p.file_name).where(_p.message.in_([row["id"] for row in found]))
        for owner, name in connection.execute(files) if found else ():
            names[owner].append(name)
        yield from (marks.of_mail(dict(row), names[row["id"]]) for row in found)


def _slices(ids: Iterable[int]) -> Iterator[list[int]]:
    ordered = sorted(ids)
    return (ordered[start : start + _AT_ONCE] for start in range(0, len(ordered), _AT_ONCE))


# ---------------------------------------------------------------- writing


def _add(connection: Connection, found: Sequence[Indexed]) -> None:
    """What is not in the index yet."""
    if not found:
        return
    if connection.dialect.name == "sqlite":
        bulk.many(connection, _INSERT, [marks.as_columns(each) for each in marks.sequence(found)])
    else:
        bulk.append(connection, search_text, [_row(each) for each in found])


def _replace(connection: Connection, found: Sequence[Indexed]) -> None:
    """What may be in the index already. The full-text table gets it beside what it has."""
    if not found:
        return
    if connection.dialect.name == "sqlite":
        _add(connection, found)
        return
    ids = [each.id for each in found]
    for some in _slices(ids):
        connection.execute(delete(search_text).where(search_text.c.id.in_(some)))
    bulk.append(connection, search_text, [_row(each) for each in found])


def _row(indexed: Indexed) -> dict[str, Any]:
    text, numbers = marks.as_text_and_marks(indexed)
    return {"id": indexed.id, "text": text, "marks": numbers}
