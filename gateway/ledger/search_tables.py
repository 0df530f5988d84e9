"""The tables that serve searching: saved queries and the text index (see ``text``), and the indexes of few rows.

An index of few rows is one over the rows that meet a condition, in order of time: what needs a person, duplicates, what
was settled. A statement finds it only where the condition stands in it word for word, so the words are here.

No condition has a list (IN): SQLite makes a table of each list whenever it writes a row, which took more than half of
what a change of an exchange took.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, Connection, Table, Text, event, text
from sqlalchemy.exc import DBAPIError

from gateway.ledger.columns import metadata, partial_index
from gateway.ledger.columns import text_column as _text
from gateway.ledger.marks import COLUMNS
from gateway.ledger.states import EXCHANGE_ATTENTION, ExchangeState

# A query that somebody gave a name. The words as they were written, so that since=7d stays seven days.
saved_query = Table(
    "saved_query",
    metadata,
    Column("name", Text, primary_key=True),
    Column("words", Text, nullable=False),  # JSON list
    Column("at", BigInteger, nullable=False),
    _text("actor"),
)

# Where nearly every exchange ends.
USUAL_STATES = (
    *(ExchangeState.ACKNOWLEDGED, ExchangeState.COMPLETE, ExchangeState.DELIVERED, ExchangeState.RECONCILED),
)
USUAL_VERDICTS = ("", "accepted")


def _one_of(column: str, values: Iterable[str]) -> str:
    return "(" + " OR ".join(f"{column} = '{value}'" for value in sorted(values)) + ")"


def _none_of(column: str, values: Iterable[str]) -> str:
    return " AND ".join(f"{column} <> '{value}'" for value in sorted(values))


ATTENTION = f"{_one_of('state', EXCHANGE_ATTENTION)} AND settled_at IS NULL"
DUPLICATE = "state = 'duplicate' OR duplicate_of IS NOT NULL OR repeats IS NOT NULL"
SETTLED = "settled_at IS NOT NULL"
LATE = "acknowledged_at > due_at"
FAULTY = "fault_code <> ''"
UNUSUAL_STATE = _none_of("state", USUAL_STATES)
UNUSUAL_VERDICT = _none_of("verdict", USUAL_VERDICTS)
SHORTEST = 5  # characters of an ST02 that is worth an index: everybody has a set 0001
LONG_NUMBER = f"length(control_number) >= {SHORTEST}"


def add_indexes(exchange: Table, transaction_set: Table) -> None:
    """Adds the indexes of few rows to their tables."""
    for name, columns, condition in (
        ("attention", ("at",), ATTENTION),
        ("duplicate", ("at",), DUPLICATE),
        ("settled", ("at",), SETTLED),
        ("late", ("at",), LATE),
        ("fault", ("fault_code", "at"), FAULTY),
        ("state_at", ("state", "at"), UNUSUAL_STATE),
        ("verdict", ("verdict", "at"), UNUSUAL_VERDICT),
    ):
        _of_few(exchange, name, columns, condition)
    _of_few(transaction_set, "control_number", ("control_number",), LONG_NUMBER)


def _of_few(table: Table, name: str, columns: tuple[str, ...], condition: str) -> None:
    partial_index(f"ix_{table.name}_{name}", *(table.c[each] for each in columns), where=text(condition))


# ---------------------------------------------------------------- the text index

FULL_TEXT = (
    f"CREATE VIRTUAL TABLE search_text USING fts5({', '.join(f'c{number}' for number in range(COLUMNS))},"
    " content='', detail=none, columnsize=0, tokenize='trigram')"
)
_TABLE = (
    'CREATE TABLE search_text (id bigint NOT NULL, text text COLLATE "C" NOT NULL, marks integer[] NOT NULL,'
    " CONSTRAINT pk_search_text PRIMARY KEY (id))"
)
_INDEX = "CREATE INDEX ix_search_text ON search_text USING gin ({})"


@event.listens_for(metadata, "after_create")
def make_text_index(_metadata: object, connection: Connection, **_: object) -> None:
    """Makes the empty text index."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(FULL_TEXT)
        return
    connection.exec_driver_sql(_TABLE)
    make_trigram_index(connection)


def make_trigram_index(connection: Connection) -> None:
    """Makes the index of PostgreSQL's table.

    Marks stand first, because GIN looks at the conditions in that order: a month bounds how far it reads two words that
    are never together.

    Where the server has no pg_trgm, or this user may not put it into the database, the index knows marks and numbers
    alone, and a text is looked for in the rows themselves.
    """
    try:
        with connection.begin_nested():
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            connection.exec_driver_sql(_INDEX.format("marks, text gin_trgm_ops"))
    except DBAPIError:
        connection.exec_driver_sql(_INDEX.format("marks"))
