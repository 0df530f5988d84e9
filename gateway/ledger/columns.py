"""What all tables of the ledger are made of."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, MetaData, Text

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
