"""Searching: the text index, saved queries, indexes of few rows, and smaller ones."""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import DBAPIError

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ATTENTION = (
    "state IN ('bounced', 'conflict', 'failed', 'in doubt', 'overdue', 'quarantined', 'refused by the partner',"
    " 'rejected', 'unmatched') AND settled_at IS NULL"
)
USUAL = "state NOT IN ('acknowledged', 'complete', 'delivered', 'reconciled')"
OF_FEW = (
    ("exchange", "attention", ["at"], ATTENTION),
    ("exchange", "duplicate", ["at"], "state = 'duplicate' OR duplicate_of IS NOT NULL OR repeats IS NOT NULL"),
    ("exchange", "settled", ["at"], "settled_at IS NOT NULL"),
    ("exchange", "late", ["at"], "acknowledged_at > due_at"),
    ("exchange", "fault", ["fault_code", "at"], "fault_code <> ''"),
    ("exchange", "state_at", ["state", "at"], USUAL),
    ("exchange", "verdict", ["verdict", "at"], "verdict NOT IN ('', 'accepted')"),
    ("transaction_set", "control_number", ["control_number"], "length(control_number) >= 5"),
)
WHERE_SET = (
    *(("event", "exchange"), ("event", "message"), ("exchange", "answers")),
    *(("acknowledgment", "exchange"), ("receipt", "exchange"), ("receipt", "original")),
)
HASHED = (("exchange", "message_id"), ("message", "message_id"), ("message", "sha256"))
COLUMNS = 24
BATCH = 2_000  # rows that are indexed with one statement


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    op.create_table(
        "saved_query",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_saved_query"),
    )
    _indexes()
    if on_sqlite:
        _keys_without_rowid()
        _full_text()
    else:
        _hash_indexes()
        _indexes_with_id()
        _trigrams()


# ---------------------------------------------------------------- indexes


def _indexes() -> None:
    op.drop_index("ix_exchange_state_at", "exchange")
    for table, name, columns, condition in OF_FEW:
        where = sa.text(condition)
        op.create_index(f"ix_{table}_{name}", table, columns, sqlite_where=where, postgresql_where=where)
    for table, column in WHERE_SET:
        there = sa.text(f"{column} IS NOT NULL")
        op.drop_index(f"ix_{table}_{column}", table)
        op.create_index(f"ix_{table}_{column}", table, [column], sqlite_where=there, postgresql_where=there)


def _hash_indexes() -> None:
    for table, column in HASHED:
        op.drop_index(f"ix_{table}_{column}", table)
        op.create_index(f"ix_{table}_{column}", table, [column], postgresql_using="hash")


def _indexes_with_id() -> None:
    """The id is read from the index alone, as it is on SQLite."""
    for name, columns in (("partner_at", ["partner", "at"]), ("at", ["at"])):
        op.drop_index(f"ix_exchange_{name}", "exchange")
        op.create_index(f"ix_exchange_{name}", "exchange", columns, postgresql_include=["id"])


def _keys_without_rowid() -> None:
    """The rows of business_key stand in the order of their values, once instead of twice."""
    op.create_table(
        "business_key_0006",
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("transaction_set", ID, nullable=False),
        sa.Column("exchange", ID, nullable=False),
        sa.ForeignKeyConstraint(["exchange"], ["exchange.id"], name="fk_business_key_exchange"),
        sa.ForeignKeyConstraint(["transaction_set"], ["transaction_set.id"], name="fk_business_key_transaction_set"),
        sa.PrimaryKeyConstraint("value", "name", "transaction_set", name="pk_business_key"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO business_key_0006 (value, name, transaction_set, exchange)"
        " SELECT value, name, transaction_set, exchange FROM business_key ORDER BY value, name, transaction_set"
    )
    op.drop_table("business_key")
    op.rename_table("business_key_0006", "business_key")
    op.create_index("ix_business_key_exchange", "business_key", ["exchange"])


# ---------------------------------------------------------------- the text index


def _full_text() -> None:
    columns = ", ".join(f"c{number}" for number in range(COLUMNS))
    op.execute(
        f"CREATE VIRTUAL TABLE search_text USING fts5({columns},"
        " content='', detail=none, columnsize=0, tokenize='trigram')"
    )
    insert = f"INSERT INTO search_text (rowid, {columns}) VALUES (?{', ?' * COLUMNS})"  # noqa: S608 - our names
    for rows in _everything():
        op.get_bind().exec_driver_sql(insert, [_columns(*row) for row in rows])


def _trigrams() -> None:
    """The index is made when the table is full, which is faster. Without pg_trgm it knows marks and numbers alone."""
    op.execute(
        'CREATE TABLE search_text (id bigint NOT NULL, text text COLLATE "C" NOT NULL, marks integer[] NOT NULL,'
        " CONSTRAINT pk_search_text PRIMARY KEY (id))"
    )
    connection = op.get_bind()
    insert = "INSERT INTO search_text (id, text, marks) VALUES (%s, %s, %s)"
    for rows in _everything():
        connection.exec_driver_sql(insert, [_text_and_marks(*row) for row in rows])
    index = "CREATE INDEX ix_search_text ON search_text USING gin ({})"
    try:
        with connection.begin_nested():
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            connection.exec_driver_sql(index.format("marks, text gin_trgm_ops"))
    except DBAPIError:
        connection.exec_driver_sql(index.format("marks"))


Indexed = tuple[int, list[str], list[str], list[str], list[int]]  # id, texts, digits of keys and of others, marks
DIGITS = re.compile(r"[0-9]{5,}", re.ASCII)
UPPER_TO_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = 253_402_300_799_999
EXCHANGES = (
    'SELECT id, at, partner, from_address, "user", host, types, versions, usage, sender_id, receiver_id, subject,'
    " file_name FROM exchange WHERE id > :after ORDER BY id LIMIT :size"
)
KEYS = "SELECT exchange, value FROM business_key WHERE exchange BETWEEN :first AND :last"
MAILS = (
    'SELECT id, at, partner, from_address, "user", host, subject FROM message m WHERE id > :after'
    " AND state NOT IN ('stored', 'queued')"
    " AND (state = 'quarantined' OR NOT EXISTS (SELECT 1 FROM exchange x WHERE x.message = m.id))"
    " ORDER BY id LIMIT :size"
)
FILES = "SELECT message, file_name FROM payload WHERE message BETWEEN :first AND :last"


def _everything() -> Iterator[list[Indexed]]:
    """Every exchange, and every mail that no exchange speaks for and that is not at work, some at a time."""
    for rows, keys in _pages(EXCHANGES, KEYS):
        yield [_exchange(row, keys[row.id]) for row in rows]
    for rows, files in _pages(MAILS, FILES):
        yield [_mail(row, files[row.id]) for row in rows]


def _pages(wanted: str, parts: str) -> Iterator[tuple[list[Any], defaultdict[int, list[str]]]]:
    connection, after = op.get_bind(), -(2**62)
    while rows := list(connection.execute(sa.text(wanted), {"after": after, "size": BATCH})):
        after = rows[-1].id
        found: defaultdict[int, list[str]] = defaultdict(list)
        for owner, value in connection.execute(sa.text(parts), {"first": rows[0].id, "last": after}):
            found[owner].append(value)
        yield rows, found


def _exchange(row: Any, keys: Iterable[str]) -> Indexed:
    marks = [_mark("month", _month(row.at)), *_marks(row)]
    marks += [_mark("sender", row.sender_id), _mark("receiver", row.receiver_id)]
    marks += [_mark("type", each) for each in row.types.split()]
    marks += [_mark("version", each[:6]) for each in row.versions.split()]
    if row.usage != "P":
        marks.append(_mark("usage", row.usage))
    return _indexed(row.id, marks, [row.subject, row.file_name], list(keys))


def _mail(row: Any, files: Iterable[str]) -> Indexed:
    marks = [_mark("mails of month", _month(row.at)), _mark("mail", ""), *_marks(row)]
    return _indexed(-row.id, marks, [row.subject, *files], [])


def _marks(row: Any) -> list[int]:
    folded = (("from", row.from_address), ("domain", row.from_address.rpartition("@")[2]))
    folded += (("user", row.user), ("host", row.host))
    return [_mark("partner", row.partner), *(_mark(kind, _folded(value)) for kind, value in folded)]


def _indexed(number: int, marks: list[int], texts: list[str], keys: list[str]) -> Indexed:
    known = list(dict.fromkeys(filter(None, [*texts, *keys])))
    numbers = list(dict.fromkeys(DIGITS.findall("\n".join(keys))))
    others = dict.fromkeys(each for each in DIGITS.findall("\n".join(texts)) if each not in numbers)
    return number, known, numbers, list(others), marks


def _mark(kind: str, value: str | int) -> int:
    return 200_000 + zlib.crc32(f"{kind}\0{value}".encode()) % (2**31 - 200_000)


def _month(at: int) -> int:
    moment = EPOCH + timedelta(milliseconds=min(max(at, 0), LATEST))
    return moment.year * 12 + moment.month - 1


def _folded(text: str) -> str:
    return text.translate(UPPER_TO_LOWER)


def _columns(number: int, texts: list[str], numbers: list[str], others: list[str], marks: list[int]) -> tuple[Any, ...]:
    values = [*texts, *(_coded(run, 0xEC00) for run in numbers), *(_coded(run, 0xE000) for run in others)]
    values += ["".join(chr(0xE400 + (mark >> shift) % 2_048) for shift in (22, 11, 0)) for mark in marks]
    if len(values) > COLUMNS:
        values[COLUMNS - 1 :] = ["\n".join(values[COLUMNS - 1 :])]
    return (number, *values, *(None,) * (COLUMNS - len(values)))


def _coded(run: str, base: int) -> str:
    return "".join(chr(base + int(run[at : at + 3])) for at in range(len(run) - 2))


def _text_and_marks(
    number: int, texts: list[str], numbers: list[str], others: list[str], marks: list[int]
) -> tuple[int, str, list[int]]:
    pieces = [100_000 + int(run[at : at + 5]) for run in numbers for at in range(len(run) - 4)]
    pieces += [int(run[at : at + 5]) for run in others for at in range(len(run) - 4)]
    return number, _folded("\n".join(texts)), [*dict.fromkeys(pieces), *marks]
