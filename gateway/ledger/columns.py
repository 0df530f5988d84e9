"""What all tables of the ledger are made of."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_POSTGRES = "postgres"  # in the info of an index

Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts by itself only for INTEGER


def text_column(name: str, *, index: bool = False) -> Column[str]:
    """Text that is never NULL, empty by default."""
    return Column(name, Text, nullable=False, default="", server_default="", index=index)


def number_column(name: str) -> Column[int]:
    """A whole number that is never NULL, 0 by default."""
    return Column(name, BigInteger, nullable=False, default=0, server_default="0")


def index_where_set(table: Table, column: str, *, only: str = "") -> Index:
    """An index over the rows whose column is not NULL.

    Args:
        table: whose.
        column: of it.
        only: the one dialect that needs it, for what looks up foreign keys.
    """
    return index_for(
        partial_index(f"ix_{table.name}_{column}", table.c[column], where=table.c[column].is_not(None)), only
    )


def partial_index(name: str, *columns: Any, where: Any, unique: bool = False) -> Index:
    """An index over the rows of which ``where`` holds."""
    return index_on(Index(name, *columns, unique=unique, sqlite_where=where), where=where)


def index_on(index: Index, **options: Any) -> Index:
    """The index with PostgreSQL's options: ``where``, ``using``, ``include``.

    They are noted in ``index.info``, for giving them to SQLAlchemy loads all that it knows of PostgreSQL, which takes a
    tenth of a command's start: whoever opens a PostgreSQL database calls ``know_postgres``.
    """
    index.info[_POSTGRES] = options
    return index


def know_postgres(of: MetaData) -> None:
    """Gives SQLAlchemy the options of indexes that only PostgreSQL has."""
    for table in of.tables.values():
        for index in table.indexes:
            index.dialect_options["postgresql"].update(index.info.get(_POSTGRES, {}))


def index_for(index: Index, only: str) -> Index:
    """The index, made on that dialect alone where one is named; ``index.info`` says so too."""
    if only:
        index.info["only"] = only
        index.ddl_if(dialect=only)
    return index
