"""What a ledger is asked, statement by statement, by SQLAlchemy or by the driver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import Engine, event

from gateway.ledger import bulk


@contextmanager
def overheard(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are executed within it one by one, each with its parameters, in their order."""
    statements: list[tuple[str, Any]] = []

    def heard(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, many: bool) -> None:
        if not many:
            statements.append((statement, values))

    asked = bulk._execute

    def through_the_driver(connection: Any, sql: str, parameters: Any = (), **how: bool) -> Any:
        statements.append((sql, parameters))
        return asked(connection, sql, parameters, **how)

    event.listen(engine, "before_cursor_execute", heard)
    try:
        with patch.object(bulk, "_execute", through_the_driver):
            yield statements
    finally:
        event.remove(engine, "before_cursor_execute", heard)
