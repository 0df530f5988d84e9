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
    there: Any = table.c[column].is_not(None)
    return index_for(
        Index(f"ix_{table.name}_{column}", table.c[column], sqlite_where=there, postgresql_where=there), only
    )


def index_for(index: Index, only: str) -> Index:
    """The index, made on that dialect alone where one is named; ``index.info`` says so too."""
    if only:
        index.info["only"] = only
        index.ddl_if(dialect=only)
    return index
