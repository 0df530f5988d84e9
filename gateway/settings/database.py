"""The database URL of gateway.toml: what is allowed, and where a relative SQLite file lies."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, urlsplit

DEFAULT_URL = "sqlite:///ledger.db"
PASSWORD = "{password}"  # noqa: S105 - where one goes, not one

_DIALECTS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def database_url(written: str, home: Path) -> str:
    """The URL as SQLAlchemy wants it: SQLite files absolute (from ``home``), PostgreSQL through psycopg.

    Raises:
        ValueError: for another database, a database in memory, or a password in the URL.
    """
    scheme, colon, rest = written.partition("://")
    dialect = _DIALECTS.get(scheme.lower())
    if not colon or dialect is None:
        raise ValueError("sqlite:///FILE or postgresql://USER:{password}@HOST/DATABASE is wanted")
    if dialect == "sqlite":
        return f"sqlite:///{_sqlite_file(rest, home)}"
    _refuse_password(rest)
    return f"{dialect}://{rest}"


def with_password(url: str, password: str) -> str:
    """The URL with its ``{password}`` filled in, whatever characters the password has."""
    return url.replace(PASSWORD, quote(password, safe=""))


def _sqlite_file(rest: str, home: Path) -> str:
    if not rest.startswith("/") or rest == "/" or rest.startswith("/:memory:"):
        raise ValueError("sqlite:/// and a file are wanted: a ledger in memory would be lost")
    if "?" in rest:
        raise ValueError("a SQLite url has no options here: the gateway sets them itself")
    return os.path.abspath(home / rest[1:])  # noqa: PTH100 - resolve() would follow links


def _refuse_password(rest: str) -> None:
    try:
        parts = urlsplit(f"//{rest}")
        password = parts.password
        _ = parts.port
    except ValueError:
        raise ValueError("postgresql://USER:{password}@HOST:PORT/DATABASE is wanted") from None
    if password not in {None, PASSWORD} or "password=" in parts.query.lower():
        raise ValueError(
            "passwords never stand in this file: write {password} in the url "
            "and give the secret database in the environment or the credentials directory"
        )
