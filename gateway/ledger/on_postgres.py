"""What SQLAlchemy knows of PostgreSQL alone, loaded when it is needed.

Loading it takes a tenth of a command's start, and a home on SQLite has no use for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Table

if TYPE_CHECKING:
    from sqlalchemy.dialects.postgresql import Insert


def insert(table: Table) -> Insert:
    """INSERT, which knows ON CONFLICT."""
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - see above

    return postgresql.insert(table)


def array(values: Sequence[Any]) -> ColumnElement[Any]:
    """A list of values within a statement."""
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415

    return postgresql.array(values)


def as_jsonb(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A text column as JSONB."""
    from sqlalchemy.dialects.postgresql import JSONB  # noqa: PLC0415

    return column.cast(JSONB)
