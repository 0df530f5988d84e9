"""Statements are compiled once for all tests of a process, and not anew for the database of each test.

Compiling them took a fifth of the time of the fast tests. A statement is kept under its dialect, which SQLAlchemy makes
for each engine: here those of SQLite, which differ in nothing, count as one.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

_KEPT = 4_000  # statements; more than there are


def use() -> None:
    """From now on in this process."""
    kept: Any = LRUCache(_KEPT)
    made = Engine.__init__

    def make(self: Engine, *arguments: Any, **options: Any) -> None:
        made(self, *arguments, **options)
        if type(self.dialect) is SQLiteDialect_pysqlite and self._compiled_cache is not None:
            self._compiled_cache = kept

    Engine.__init__ = make  # type: ignore[method-assign]
    SQLiteDialect_pysqlite.__eq__ = lambda self, other: type(self) is type(other)  # type: ignore[method-assign, assignment]
    SQLiteDialect_pysqlite.__hash__ = lambda self: hash(type(self))  # type: ignore[method-assign, assignment]
