"""Somebody with all rights at the database's own prompt: no guard, no foreign key, and no event."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, text


def by_hand(engine: Engine, *statements: Any) -> None:
    """Executes statements past the gateway."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA foreign_keys = OFF")
            with connection.begin():
                triggers = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars()
                for name in list(triggers):
                    connection.execute(text(f"DROP TRIGGER {name}"))
                for statement in statements:
                    connection.execute(statement)
            driver.execute("PRAGMA foreign_keys = ON")
        return
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            connection.execute(statement)
